//! The forgeries: for every constraint a false statement that breaks it alone, for every challenge one that wins if the
//! challenge is known too early.

use std::collections::BTreeMap;

use ff::Field as _;
use zkernel_verifier::form::TrackId;
use zkernel_verifier::transcript::Attack;

use crate::F;
use crate::algebra::inverse;
use crate::case::{Case, count};
use crate::cheats::{
    cancel_gates, fix_layer, fix_lookup_sum, fix_multiplicity_evaluation, fix_quotient,
    rewrite_column, shift_column_round, shift_inner_round, shift_schnorr, sigma,
};
use crate::circuit::{Circuit, Lie};
use crate::prover::{Cheat, Outcome};
use crate::trial::FORESEEN;

/// A lie in the witness, the cheat that hides it, and an edit of the phase-1 cells.
pub struct Forgery {
    /// The false step.
    pub lie: Lie,
    /// Changes phase-1 cells after the lie.
    pub edit: fn(&Circuit, &mut Case),
    /// Makes the cheating prover for the (full) circuit.
    pub cheat: Box<dyn Fn(&Circuit) -> Cheat<'static>>,
}

impl Forgery {
    fn new(lie: Lie, cheat: impl Fn(&Circuit) -> Cheat<'static> + 'static) -> Self {
        Self {
            lie,
            edit: |_, _| {},
            cheat: Box::new(cheat),
        }
    }

    fn plain(lie: Lie) -> Self {
        Self::new(lie, |_| Cheat::default())
    }

    /// The case of this forgery for the circuit without the named gates, constraints and checks.
    #[must_use]
    pub fn case(&self, circuit: &Circuit, without: &[&str]) -> Case {
        let mut case = circuit.case_with(0, self.lie, |system| {
            for name in without {
                *system = system.clone().without_gate(name).without_constraint(name);
            }
        });
        case.key.skip = without.iter().map(|name| (*name).into()).collect();
        (self.edit)(circuit, &mut case);
        case
    }

    /// Runs the cheating prover.
    ///
    /// # Panics
    /// If a challenge is bad.
    #[must_use]
    pub fn run<'k>(&self, circuit: &Circuit, case: &'k Case, early: &Attack<F>) -> Outcome<'k> {
        case.attempt(&mut (self.cheat)(circuit), early, 7)
    }

    /// Whether the verifier accepts this forgery for the circuit without the named parts, challenges being replaced by
    /// `early` on both sides.
    #[must_use]
    pub fn wins(&self, circuit: &Circuit, without: &[&str], early: &Attack<F>) -> bool {
        let case = self.case(circuit, without);
        let outcome = self.run(circuit, &case, early);
        case.accepts(&outcome.proof, early)
    }
}

/// Name of each gate and linear constraint of [`Circuit`], with a forgery that breaks it alone.
#[must_use]
pub fn by_constraint() -> BTreeMap<String, Forgery> {
    let one = F::ONE;
    let output = Lie::Output([one, F::ZERO, F::ZERO, F::ZERO]);
    let mut all = BTreeMap::new();
    let mut add = |name: &str, forgery| all.insert(name.to_owned(), forgery);
    add("product", Forgery::plain(Lie::Product));
    add("copy", Forgery::plain(Lie::Copy));
    add("public", Forgery::plain(Lie::Public));
    for (layer, lie) in [Lie::Remainder, output].into_iter().enumerate() {
        let name = format!("layer {}", layer + 1);
        add(&format!("{name}/Y"), Forgery::plain(lie));
        for (which, part) in ["V", "Z"].into_iter().enumerate() {
            let cheat = move |circuit: &Circuit| fix_layer(circuit, layer, which);
            add(&format!("{name}/{part}"), Forgery::new(lie, cheat));
        }
    }
    let products = |circuit: &Circuit| fix_layer(circuit, 1, 2);
    add("P = V Z", Forgery::new(output, products));
    add("lookup sum", Forgery::plain(Lie::Relu(one)));
    for name in ["x in range", "rem in range", "relu", "table"] {
        let cheat = move |circuit: &Circuit| fix_lookup_sum(&circuit.system, name);
        add(&format!("{name}/gate"), Forgery::new(Lie::Relu(one), cheat));
    }
    all
}

/// One forgery for each challenge; it wins if the prover knows the challenge too early. The names after it are left out
/// of the circuit to look at one argument alone.
#[must_use]
pub fn by_challenge() -> Vec<(&'static str, Forgery, &'static [&'static str])> {
    let (k, zero) = (F::from(FORESEEN), F::ZERO);
    let minus = -inverse(k);
    let rho = Forgery::plain(Lie::Output([F::ONE, zero, minus, zero]));
    let tau = Forgery::plain(Lie::Output([F::ONE, minus, zero, zero]));
    let beta = Forgery {
        edit: proportional_entry,
        ..Forgery::plain(Lie::Nothing)
    };
    let lie = |cheat: fn(&Circuit) -> Cheat<'static>| Forgery::new(Lie::Product, cheat);
    let output = Lie::Output([F::ONE, zero, zero, zero]);
    vec![
        ("rho", rho, &[]),
        ("tau", tau, &[]),
        ("theta", colliding_tuple(), &[]),
        ("beta", beta, &["layer 1/Y", "layer 1/Z"]),
        ("sigma", Forgery::new(output, sigma), &[]),
        ("y", lie(cancel_gates), &[]),
        ("zeta", lie(|_| fix_quotient()), &[]),
        ("lambda", lie(fix_multiplicity_evaluation), &[]),
        ("u0", lie(|_| shift_column_round()), &[]),
        ("v0", lie(|_| shift_inner_round()), &[]),
        ("x", lie(|_| rewrite_column()), &[]),
        ("e", lie(|_| shift_schnorr()), &[]),
    ]
}

/// A false activation whose tuple folds, with theta known, to that of the entry (7, 7).
fn colliding_tuple() -> Forgery {
    let q = signed_cell(&Circuit::new(), |circuit| circuit.q.track);
    let seven = F::from(7);
    let value = seven + (seven - q) * inverse(F::from(FORESEEN));
    let relu = if q >= -F::from(8) { F::ZERO } else { q };
    Forgery {
        edit: |circuit, case| count_entry(circuit, case, "relu", 15, F::ONE),
        ..Forgery::plain(Lie::Relu(value - relu))
    }
}

fn signed_cell(circuit: &Circuit, track: fn(&Circuit) -> TrackId) -> F {
    circuit.case(0, Lie::Nothing).secrets.cells[&track(circuit)][0]
}

/// An input out of range whose folded tuple, with beta known, is proportional to that of the relu entry (-8, 0).
fn proportional_entry(circuit: &Circuit, case: &mut Case) {
    let k = F::from(FORESEEN);
    let ratio = (k + F::ONE) * inverse(k + F::from(2));
    let x = case
        .secrets
        .cells
        .get_mut(&circuit.x.track)
        .expect("exists");
    x[0] = -F::from(8) * ratio;
    count(&circuit.system, &mut case.secrets.cells);
    count_entry(circuit, case, "relu", 0, inverse(ratio));
}

/// Adds to the multiplicity of a table's row.
fn count_entry(circuit: &Circuit, case: &mut Case, table: &str, row: usize, by: F) {
    let table = circuit.system.tables.iter().find(|t| t.name == table);
    let side = &circuit.system.table_sides[0];
    let m = case.secrets.cells.get_mut(&side.multiplicity);
    m.expect("exists")[table.expect("a table").offset + row] += by;
}
