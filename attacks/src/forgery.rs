//! The forgeries: for every constraint a false statement that breaks it alone, for every challenge one that wins if the
//! challenge is known too early.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use ff::Field as _;
use zkernel_engine::mock::residual;
use zkernel_verifier::challenge::Challenge;
use zkernel_verifier::form::TrackId;
use zkernel_verifier::system::{ConstraintSystem, LinearConstraint};
use zkernel_verifier::transcript::Attack;

use crate::F;
use crate::algebra::inverse;
use crate::case::{Case, count};
use crate::circuit::{Circuit, Lie};
use crate::prover::{Cheat, Edit, Model, Outcome};
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

/// The forgery that chooses the public output last, and the output it chose.
#[must_use]
pub fn choose_output_last(circuit: &Circuit) -> (Cheat<'static>, Rc<RefCell<F>>) {
    let before = |c: &&LinearConstraint<F>| c.name != "public";
    let claims: u32 = circuit
        .system
        .constraints
        .iter()
        .take_while(before)
        .map(|c| c.claims)
        .sum();
    let shift = Rc::new(RefCell::new(F::ZERO));
    let (lambda, chosen) = (Rc::new(RefCell::new(F::ZERO)), Rc::clone(&shift));
    let known = Rc::clone(&lambda);
    let column_round = move |round: usize, _: &mut Vec<Vec<F>>, _: &[Vec<F>], gap: F| {
        if round == 0 {
            let weight = known.borrow().pow_vartime([u64::from(claims)]);
            *chosen.borrow_mut() = -gap * inverse(weight);
        }
        (F::ZERO, Vec::new())
    };
    let cheat = Cheat {
        column_round: Some(Box::new(column_round)),
        claims: Some(Box::new(move |model: &mut Model<'_>| {
            *lambda.borrow_mut() = model.challenges.get(Challenge::Lambda);
        })),
        ..Cheat::default()
    };
    (cheat, shift)
}

/// Lies about one of these evaluations so that all claims together hold for this lambda.
///
/// # Panics
/// If no claim but their own depends on them.
#[must_use]
pub fn fix_evaluation(lanes: Range<usize>, lambda: F) -> Cheat<'static> {
    let edit = move |model: &mut Model<'_>| {
        model.challenges.set(Challenge::Lambda, lambda);
        let before = model.gap();
        let mut slope = |index: usize| {
            model.evaluations[index] += F::ONE;
            let slope = model.gap() - before;
            model.evaluations[index] -= F::ONE;
            slope
        };
        let slopes = lanes.clone().map(|index| (index, slope(index)));
        let (index, slope) = slopes
            .into_iter()
            .find(|(_, slope)| *slope != F::ZERO)
            .expect("an evaluation that matters");
        model.evaluations[index] -= before * inverse(slope);
    };
    Cheat {
        evaluations: boxed(edit),
        ..Cheat::default()
    }
}

fn boxed(edit: impl FnMut(&mut Model<'_>) + 'static) -> Edit<'static> {
    Some(Box::new(edit))
}

fn constraint(system: &ConstraintSystem<F>, name: &str) -> LinearConstraint<F> {
    let mut all = system.constraints.iter();
    all.find(|c| c.name == name).expect("a constraint").clone()
}

fn missing(model: &Model<'_>, constraint: &LinearConstraint<F>) -> F {
    residual(
        constraint,
        &model.instances,
        &model.challenges,
        &model.cells,
    )
    .expect("cells known")
}

/// Makes the sum of a layer hold by a change in V (0), Z (1) or P (2).
fn fix_layer(circuit: &Circuit, layer: usize, which: usize) -> Cheat<'static> {
    let sum = constraint(&circuit.system, &format!("layer {}/Y", layer + 1));
    let (tracks, first) = (circuit.phase_two, circuit.layers[layer]);
    let edit = move |model: &mut Model<'_>| {
        let gap = -missing(model, &sum);
        let [v, z, p] = tracks;
        let other = if which == 0 { z } else { v };
        let cell = (first..).find(|i| which == 2 || model.cells[&other][*i] != F::ZERO);
        let cell = cell.expect("a cell that is not zero");
        if which == 2 {
            add_to(model, p, cell, gap);
        } else {
            let change = gap * inverse(model.cells[&other][cell]);
            add_to(model, tracks[which], cell, change);
            add_to(model, p, cell, gap);
        }
    };
    Cheat {
        phase_two: boxed(edit),
        ..Cheat::default()
    }
}

fn add_to(model: &mut Model<'_>, track: TrackId, cell: usize, value: F) {
    model.cells.get_mut(&track).expect("exists")[cell] += value;
}

/// Makes the lookup sum hold by a change in one helper.
///
/// # Panics
/// If there is no such lookup.
#[must_use]
pub fn fix_lookup_sum(system: &ConstraintSystem<F>, lookup: &str) -> Cheat<'static> {
    let sum = constraint(system, "lookup sum");
    let name = format!("{lookup}/h");
    let tracks = system.tracks.iter().position(|t| t.name == name);
    let helper = TrackId(tracks.expect("a helper") as u32);
    let edit = move |model: &mut Model<'_>| {
        let gap = -missing(model, &sum);
        add_to(model, helper, 0, gap);
    };
    Cheat {
        helpers: boxed(edit),
        ..Cheat::default()
    }
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

/// A change of V that a known sigma does not see, and that makes the sum of the second layer hold.
fn sigma(circuit: &Circuit) -> Cheat<'static> {
    let k = F::from(FORESEEN);
    let sum = constraint(&circuit.system, "layer 2/Y");
    let ([v, z, p], first) = (circuit.phase_two, circuit.layers[1]);
    let edit = move |model: &mut Model<'_>| {
        let slope = |i: usize| model.cells[&z][i + 1] - k * model.cells[&z][i];
        let i = (first..).find(|i| slope(*i) != F::ZERO).expect("a slope");
        let change = -missing(model, &sum) * inverse(slope(i));
        for (cell, change) in [(i, -k * change), (i + 1, change)] {
            add_to(model, v, cell, change);
            let product = change * model.cells[&z][cell];
            add_to(model, p, cell, product);
        }
    };
    Cheat {
        phase_two: boxed(edit),
        ..Cheat::default()
    }
}

/// Breaks `P = V Z` in the row where the product is wrong, so that both cancel for a known y.
fn cancel_gates(circuit: &Circuit) -> Cheat<'static> {
    let system = &circuit.system;
    let power = |name: &str| -> u64 {
        let before = system.gates.iter().take_while(|gate| gate.name != name);
        before.map(|gate| system.gate_lanes(gate) as u64).sum()
    };
    let steps = power("product") - power("P = V Z");
    let (p, row) = (circuit.phase_two[2], circuit.product[0].start);
    let value = F::from(FORESEEN).pow_vartime([steps]);
    Cheat {
        phase_two: boxed(move |model| add_to(model, p, row, value)),
        ..Cheat::default()
    }
}

/// Changes the quotient so that the identity holds at a known zeta alone.
fn fix_quotient() -> Cheat<'static> {
    let edit = |model: &mut Model<'_>| {
        let zeta = F::from(FORESEEN);
        model.challenges.set(Challenge::Zeta, zeta);
        model.challenges.set(Challenge::Lambda, F::ONE);
        model.evaluations = model.evaluate(zeta);
        let (forms, _) = model.forms();
        let gap = model.gap();
        let coefficient = forms[model.key.layout.quotient][0];
        model.quotient[0][0] += gap * inverse(coefficient);
    };
    Cheat {
        quotient: boxed(edit),
        ..Cheat::default()
    }
}

fn fix_multiplicity_evaluation(circuit: &Circuit) -> Cheat<'static> {
    let system = &circuit.system;
    let side = &system.table_sides[0];
    let plain = |index: usize| system.virtuals[index].terms[0].0 == side.multiplicity;
    let index = system
        .evaluations()
        .position(|(id, _)| plain(id.0 as usize));
    let index = index.expect("m is opened");
    fix_evaluation(index..index + 1, F::from(FORESEEN))
}

fn shift_column_round() -> Cheat<'static> {
    let k = F::from(FORESEEN);
    Cheat {
        column_round: Some(Box::new(move |round, _, _, gap| {
            let shift = if round == 0 {
                -gap * inverse(k)
            } else {
                F::ZERO
            };
            (shift, Vec::new())
        })),
        ..Cheat::default()
    }
}

fn shift_inner_round() -> Cheat<'static> {
    let k = F::from(FORESEEN);
    Cheat {
        inner_round: Some(Box::new(move |round, gap| {
            if round == 0 {
                -gap * inverse(k)
            } else {
                F::ZERO
            }
        })),
        ..Cheat::default()
    }
}

/// The merge forgery: a multiple of a generator in a cross term rewrites a column after the claim is known.
fn rewrite_column() -> Cheat<'static> {
    let k = F::from(FORESEEN);
    Cheat {
        column_round: Some(Box::new(move |round, f, a, gap| {
            if round > 0 {
                return (F::ZERO, Vec::new());
            }
            let change = gap * inverse(a[1][0]);
            f[1][0] += change;
            (F::ZERO, vec![change * inverse(k)])
        })),
        ..Cheat::default()
    }
}

fn shift_schnorr() -> Cheat<'static> {
    let k = F::from(FORESEEN);
    Cheat {
        schnorr: Some(Box::new(move |x, gap| -k * x * gap)),
        ..Cheat::default()
    }
}
