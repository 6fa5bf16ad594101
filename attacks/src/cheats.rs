//! What cheating provers change: cells, evaluations and rounds, so that all but one claim hold.

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

use ff::Field as _;
use zkernel_engine::mock::residual;
use zkernel_verifier::challenge::Challenge;
use zkernel_verifier::form::TrackId;
use zkernel_verifier::system::{ConstraintSystem, LinearConstraint};

use crate::F;
use crate::algebra::inverse;
use crate::circuit::Circuit;
use crate::prover::{Cheat, Edit, Model};
use crate::trial::FORESEEN;

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
pub(crate) fn fix_layer(circuit: &Circuit, layer: usize, which: usize) -> Cheat<'static> {
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

/// A change of V that a known sigma does not see, and that makes the sum of the second layer hold.
pub(crate) fn sigma(circuit: &Circuit) -> Cheat<'static> {
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
pub(crate) fn cancel_gates(circuit: &Circuit) -> Cheat<'static> {
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
pub(crate) fn fix_quotient() -> Cheat<'static> {
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

pub(crate) fn fix_multiplicity_evaluation(circuit: &Circuit) -> Cheat<'static> {
    let system = &circuit.system;
    let side = &system.table_sides[0];
    let plain = |index: usize| system.virtuals[index].terms[0].0 == side.multiplicity;
    let index = system
        .evaluations()
        .position(|(id, _)| plain(id.0 as usize));
    let index = index.expect("m is opened");
    fix_evaluation(index..index + 1, F::from(FORESEEN))
}

pub(crate) fn shift_column_round() -> Cheat<'static> {
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

pub(crate) fn shift_inner_round() -> Cheat<'static> {
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
pub(crate) fn rewrite_column() -> Cheat<'static> {
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

pub(crate) fn shift_schnorr() -> Cheat<'static> {
    let k = F::from(FORESEEN);
    Cheat {
        schnorr: Some(Box::new(move |x, gap| -k * x * gap)),
        ..Cheat::default()
    }
}
