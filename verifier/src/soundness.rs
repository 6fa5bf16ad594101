//! The soundness calculator: how likely a false statement is accepted, argument by argument, from a system's own counts.
//!
//! The protocol is tree-special-sound: every challenge turns a false statement into a false statement about fewer things,
//! but for the roots of a polynomial that is not zero. A challenge is uniform in F (512 bits reduced, so uniform up to
//! 2^-256), hence each argument errs with probability `numerator / |F|`, and the whole interactive protocol with at most
//! their sum. Fiat-Shamir multiplies it by the number of hash queries plus one (Attema, Fehr, Klooß, ePrint 2021/1377).
//! All of this holds for a prover that cannot compute discrete logarithms, which costs far less than guessing a challenge:
//! see [`discrete_logarithm_bits`].
//!
//! Where a bad event concerns one of many objects (one of the gates, of the layers, of the looked-up rows), it is enough
//! that a single false one is caught, so the numerator is the largest degree of one object and not a sum.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use ff::PrimeField;

use crate::challenge::{Challenge, Coefficient};
use crate::expression::{Expression, VirtualId};
use crate::form::LinearForm;
use crate::layout::Layout;
use crate::system::{ConstraintSystem, Gate, LookupTable, VirtualColumn};

/// One argument of the protocol and the probability that it lets a false statement pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    /// What it argues.
    pub name: &'static str,
    /// The challenges it rests on.
    pub challenge: &'static str,
    /// The numerator as a formula in the names of [`Self::counts`].
    pub formula: &'static str,
    /// What the formula's names stand for in this system.
    pub counts: Vec<(&'static str, u128)>,
    /// Value of the formula: the error is at most `numerator / |F|`.
    pub numerator: u128,
}

/// The errors of all arguments of one system; those that it does not use are left out.
///
/// ```
/// use pasta_curves::Fp;
/// use zkernel_verifier::{builder::SystemBuilder, expression::Expression, soundness::Soundness, system::Phase};
///
/// let mut builder = SystemBuilder::<Fp>::new(4, 1);
/// let track = builder.advice("bits", Phase::One, 0);
/// builder.region(track, 15);
/// let bit = builder.plain(track);
/// builder.gate("boolean", Expression::from(bit) * bit - bit);
/// let soundness = Soundness::of(&builder.finish()?);
/// assert!(soundness.bits() > 240.0);
/// # Ok::<(), zkernel_verifier::validate::SystemError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Soundness {
    /// Largest f with `2^f <= |F|`.
    pub field_bits: u32,
    /// In the order in which the challenges are drawn.
    pub arguments: Vec<Argument>,
}

impl Soundness {
    /// Counts a system that [`ConstraintSystem::validate`] accepts. Time is linear in its forms, gates and table rows.
    #[must_use]
    pub fn of<F: PrimeField>(system: &ConstraintSystem<F>) -> Self {
        let mut arguments = alloc::vec![
            matrix_products(system),
            folded_tables(system),
            contractions(system),
            tuples(system),
            fractional_sums(system),
            gates(system),
            quotient(system),
            claims(system),
        ];
        arguments.extend(inner_product(system));
        arguments.retain(|argument| argument.numerator > 0);
        Self {
            field_bits: F::CAPACITY,
            arguments,
        }
    }

    /// `-log2` of an argument's error.
    #[must_use]
    pub fn bits_of(&self, argument: &Argument) -> f64 {
        f64::from(self.field_bits) - log2(argument.numerator)
    }

    /// `-log2` of the sum of all errors: what one attempt against an honest verifier's coins succeeds with.
    #[must_use]
    pub fn bits(&self) -> f64 {
        f64::from(self.field_bits) - log2(self.numerator())
    }

    /// `-log2` of the probability that a prover succeeds who makes `2^log_queries` queries to the hash: the sum of all
    /// errors times `2^log_queries + 1`. Zero if that bound says nothing.
    #[must_use]
    pub fn bits_after_queries(&self, log_queries: u32) -> f64 {
        let queries = 1u128
            .checked_shl(log_queries)
            .map_or_else(|| f64::from(log_queries), |q| log2(q.saturating_add(1)));
        (self.bits() - queries).max(0.0)
    }

    /// The sum of all numerators.
    #[must_use]
    pub fn numerator(&self) -> u128 {
        let numerators = self.arguments.iter().map(|argument| argument.numerator);
        numerators.fold(0, u128::saturating_add)
    }
}

/// log2 of the group operations that Pollard's rho expects to need for a discrete logarithm in a group of |F| elements on a
/// curve `y^2 = x^3 + b`, whose six automorphisms it can use: `sqrt(pi |F| / 12)` (Duursma, Gaudry, Morain 1999). On the Pasta
/// curves 126 bits.
#[must_use]
pub fn discrete_logarithm_bits<F: PrimeField>() -> f64 {
    let automorphisms = 6.0;
    (f64::from(F::CAPACITY) + libm::log2(core::f64::consts::PI / (2.0 * automorphisms))) / 2.0
}

/// A wrong output matrix passes: its difference contracted with powers of rho and tau is a polynomial in both.
fn matrix_products<F: PrimeField>(system: &ConstraintSystem<F>) -> Argument {
    let degree = system.degree_in(&[Challenge::Rho, Challenge::Tau]);
    Argument {
        name: "matrix products",
        challenge: "rho, tau",
        formula: "deg",
        counts: alloc::vec![("deg", degree)],
        numerator: degree,
    }
}

/// A wrong row of a folded secret table passes: it meets one of the rows that have the same public entries.
fn folded_tables<F: PrimeField>(system: &ConstraintSystem<F>) -> Argument {
    let degree = system.degree_in(&[Challenge::Alpha]);
    let alike = system.tables.iter().map(rows_alike).fold(1, u128::max);
    Argument {
        name: "folded tables",
        challenge: "alpha",
        formula: "deg rows",
        counts: alloc::vec![("deg", degree), ("rows", alike)],
        numerator: degree.saturating_mul(alike),
    }
}

/// A wrong phase-2 vector passes: its difference from the contraction is a polynomial in sigma.
fn contractions<F: PrimeField>(system: &ConstraintSystem<F>) -> Argument {
    let degree = system.degree_in(&[Challenge::Sigma]);
    Argument {
        name: "contractions",
        challenge: "sigma",
        formula: "deg",
        counts: alloc::vec![("deg", degree)],
        numerator: degree,
    }
}

/// A tuple in no table folds to the same element as one of the table rows; both have `entries` powers of theta.
fn tuples<F: PrimeField>(system: &ConstraintSystem<F>) -> Argument {
    let rows = system.table_cells();
    let sides = system.table_sides.iter();
    let entries = sides.map(|s| wide(s.entries.len())).fold(0, u128::max);
    let other = system.degree_of_gates(&[Challenge::Theta]);
    Argument {
        name: "lookup tuples",
        challenge: "theta",
        formula: "rows entries + deg",
        counts: alloc::vec![("rows", rows), ("entries", entries), ("deg", other)],
        numerator: rows.saturating_mul(entries).saturating_add(other),
    }
}

/// The difference of the two sums of fractions vanishes (numerator of degree less than cells + rows), or a denominator
/// does and its gate leaves the helper free (one value of beta for each cell and row).
fn fractional_sums<F: PrimeField>(system: &ConstraintSystem<F>) -> Argument {
    let (rows, cells) = (system.table_cells(), system.looked_up_cells());
    let other = system.degree_of_gates(&[Challenge::Beta]);
    let both = rows.saturating_add(cells).saturating_mul(2);
    Argument {
        name: "lookup sums",
        challenge: "beta",
        formula: "2 (cells + rows) + deg",
        counts: alloc::vec![("cells", cells), ("rows", rows), ("deg", other)],
        numerator: both.saturating_add(other),
    }
}

/// Wrong gates of one row cancel in the combination with powers of y.
fn gates<F: PrimeField>(system: &ConstraintSystem<F>) -> Argument {
    let lanes = system.gates.iter().map(|gate| system.gate_lanes(gate));
    let lanes = lanes.map(wide).fold(0, u128::saturating_add);
    Argument {
        name: "gates",
        challenge: "y",
        formula: "lanes - 1",
        counts: alloc::vec![("lanes", lanes)],
        numerator: lanes.saturating_sub(1),
    }
}

/// `b G = (X^n - 1) Q` fails as an identity and holds at zeta. `G` has degree `d (n - 1)`, `b` has t, and Q is whatever is
/// committed on c cosets, of degree `c n - 1`.
fn quotient<F: PrimeField>(system: &ConstraintSystem<F>) -> Argument {
    let [n, d] = [wide(system.rows()), wide(system.degree())];
    let [c, t] = [wide(system.quotient_columns()), wide(system.blinding)];
    let gates = d.saturating_mul(n.saturating_sub(1)).saturating_add(t);
    let quotient = c.saturating_add(1).saturating_mul(n).saturating_sub(1);
    let numerator = gates.max(quotient);
    Argument {
        name: "quotient",
        challenge: "zeta",
        formula: "max(d (n - 1) + t, (c + 1) n - 1)",
        counts: alloc::vec![("n", n), ("d", d), ("c", c), ("t", t)],
        numerator: if c == 0 { 0 } else { numerator },
    }
}

/// Wrong claims cancel: the linear constraints, the evaluations and the quotient's identity, with powers of lambda.
fn claims<F: PrimeField>(system: &ConstraintSystem<F>) -> Argument {
    let constraints = system.constraints.iter().map(|c| u128::from(c.claims));
    let constraints = constraints.fold(0, u128::saturating_add);
    let evaluations = wide(system.evaluations().count());
    let identity = u128::from(!system.gates.is_empty());
    let all = constraints.saturating_add(evaluations);
    Argument {
        name: "claims",
        challenge: "lambda",
        formula: "constraints + evaluations + identity - 1",
        counts: alloc::vec![
            ("constraints", constraints),
            ("evaluations", evaluations),
            ("identity", identity),
        ],
        numerator: all.saturating_add(identity).saturating_sub(1),
    }
}

/// The inner-product argument: 3 transcripts for each u and for x, 4 for each v, 2 for e.
fn inner_product<F: PrimeField>(system: &ConstraintSystem<F>) -> [Argument; 4] {
    let argument = |name, challenge, formula, rounds: u32, each: u128| Argument {
        name,
        challenge,
        formula,
        counts: alloc::vec![("rounds", u128::from(rounds))],
        numerator: u128::from(rounds).saturating_mul(each),
    };
    let columns = Layout::new(system).log_columns;
    [
        argument("column rounds", "u", "2 rounds", columns, 2),
        argument("merge", "x", "2 rounds", 1, 2),
        argument("inner rounds", "v", "3 rounds", system.log_n, 3),
        argument("last scalar", "e", "rounds", 1, 1),
    ]
}

impl<F: PrimeField> ConstraintSystem<F> {
    /// Largest total degree of one constraint in challenges that are drawn together.
    fn degree_in(&self, of: &[Challenge]) -> u128 {
        let forms = self.constraints.iter().flat_map(|c| &c.forms);
        let forms = forms.map(|form| degree_of_form(form, of));
        forms.fold(self.degree_of_gates(of), u128::max)
    }

    /// The same over gates, leaving out those of lookups, which are counted as what they are.
    fn degree_of_gates(&self, of: &[Challenge]) -> u128 {
        let folded = |id: VirtualId| {
            self.lookups.iter().any(|lookup| lookup.folded == id)
                || self.table_sides.iter().any(|side| side.folded == id)
        };
        let of_lookup = |gate: &&Gate<F>| {
            let mut reads = false;
            gate.expression.virtuals(&mut |id| reads |= folded(id));
            reads
        };
        let own = self.gates.iter().filter(|gate| !of_lookup(gate));
        let degrees = own.map(|gate| self.degree_of_expression(&gate.expression, of));
        degrees.fold(0, u128::max)
    }

    fn degree_of_expression(&self, expression: &Expression<F>, of: &[Challenge]) -> u128 {
        match expression {
            Expression::Constant(coefficient) => exponent(coefficient, of),
            Expression::Virtual(id) => self.virtual_column(*id).map_or(0, |v| {
                coefficients(v).map(|c| exponent(c, of)).fold(0, u128::max)
            }),
            Expression::Sum(a, b) | Expression::Difference(a, b) => {
                let [a, b] = [a, b].map(|side| self.degree_of_expression(side, of));
                a.max(b)
            }
            Expression::Product(a, b) => {
                let [a, b] = [a, b].map(|side| self.degree_of_expression(side, of));
                a.saturating_add(b)
            }
        }
    }

    /// Usable cells in the lanes of all table sides: table rows, those that no table uses included.
    fn table_cells(&self) -> u128 {
        self.cells_of(self.table_sides.iter().map(|side| side.folded))
    }

    /// Usable cells in the lanes of all lookups, disabled and padding ones included.
    fn looked_up_cells(&self) -> u128 {
        self.cells_of(self.lookups.iter().map(|lookup| lookup.folded))
    }

    fn cells_of(&self, folded: impl Iterator<Item = VirtualId>) -> u128 {
        let lanes = folded.map(|id| wide(self.lanes(id)));
        lanes
            .fold(0, u128::saturating_add)
            .saturating_mul(wide(self.usable()))
    }
}

/// Total degree of a form in those challenges: exponents add up over its axes.
fn degree_of_form<F: PrimeField>(form: &LinearForm<F>, of: &[Challenge]) -> u128 {
    let LinearForm::Strided(strided) = form else {
        return 0;
    };
    let mut degree = exponent(&strided.scale, of);
    for axis in &strided.axes {
        axis.factor.challenges(axis.len, &mut |challenge, largest| {
            if of.contains(&challenge) {
                degree = degree.saturating_add(u128::from(largest));
            }
        });
    }
    degree
}

fn coefficients<F>(column: &VirtualColumn<F>) -> impl Iterator<Item = &Coefficient<F>> {
    let terms = column.terms.iter().map(|(_, coefficient)| coefficient);
    terms.chain(&column.constants)
}

fn exponent<F>(coefficient: &Coefficient<F>, of: &[Challenge]) -> u128 {
    match coefficient.power {
        Some((challenge, exponent)) if of.contains(&challenge) => u128::from(exponent),
        _ => 0,
    }
}

/// The largest number of rows of a table with secret entries that have the same public ones.
fn rows_alike(table: &LookupTable) -> u128 {
    if table.secret.is_empty() {
        return 0;
    }
    let mut counts: BTreeMap<&[i64], u128> = BTreeMap::new();
    for row in table.rows.chunks(table.arity.max(1)) {
        let count = counts.entry(row).or_default();
        *count = count.saturating_add(1);
    }
    counts.into_values().fold(0, u128::max)
}

fn wide(count: usize) -> u128 {
    u128::try_from(count).unwrap_or(u128::MAX)
}

/// log2 of a count, 0 of none.
fn log2(count: u128) -> f64 {
    let mut value = 0.0;
    for shift in [96, 64, 32, 0] {
        let limb = count.checked_shr(shift).unwrap_or(0) & u128::from(u32::MAX);
        value = value * 4_294_967_296.0 + f64::from(u32::try_from(limb).unwrap_or(u32::MAX));
    }
    libm::log2(value.max(1.0))
}
