//! Every cell of every phase, every weight and every public value matters: changing one alone is rejected.

use std::collections::BTreeSet;

use ff::Field;
use pasta_curves::Fp;
use zkernel_engine::mock;
use zkernel_gadgets::model::{Honest, Op, Trace, WeightId};
use zkernel_verifier::form::TrackId;
use zkernel_verifier::system::Derivation;

use super::algebra::Algebra;
use super::circuits::{Sample, samples};

/// What is added to a cell.
const DELTAS: [i64; 4] = [1, -1, 64, -1 << 20];

#[test]
fn honest_samples_are_accepted() {
    for sample in samples() {
        let trace = honest(&sample);
        let failures = sample.circuit.check(&trace);
        assert!(failures.is_empty(), "{}: {failures:?}", sample.name);
        if has_one_side(&sample) {
            let broken = Algebra::of(&sample.circuit, &trace).broken();
            assert!(broken.is_empty(), "{}: {broken:?}", sample.name);
        }
    }
}

/// Whether all tables are public: the oracle of all cells knows no others.
fn has_one_side(sample: &Sample) -> bool {
    sample.circuit.lowered.system.table_sides.len() == 1
}

#[test]
fn every_corrupted_witness_cell_is_rejected() {
    for sample in samples() {
        let trace = honest(&sample);
        let claims = sample.circuit.instances(&trace);
        for (key, region) in &sample.circuit.lowered.regions {
            for (index, delta) in (0..region.len).flat_map(|i| DELTAS.map(|d| (i, d))) {
                let mut other = trace.clone();
                other.cells.get_mut(key).unwrap()[index] += delta;
                let accepted = sample.circuit.check_claims(&other, &claims).is_empty();
                assert!(!accepted, "{}: {key:?} {index} {delta}", sample.name);
            }
        }
    }
}

#[test]
fn every_corrupted_public_value_is_rejected() {
    for sample in samples() {
        let trace = honest(&sample);
        let claims = sample.circuit.instances(&trace);
        for (i, values) in claims.iter().enumerate() {
            for j in 0..values.len() {
                let mut other = claims.clone();
                other[i][j] += Fp::ONE;
                let accepted = sample.circuit.check_claims(&trace, &other).is_empty();
                assert!(!accepted, "{}: instance {i}, value {j}", sample.name);
            }
        }
    }
}

/// Weights, biases, and the padding rows that forms over whole columns read with them.
#[test]
fn every_corrupted_weight_is_rejected() {
    for mut sample in samples() {
        let trace = honest(&sample);
        for (track, position) in weight_cells(&sample) {
            let values = &mut sample.circuit.tensors.values;
            let (_, values) = values.iter_mut().find(|(id, _)| *id == track).unwrap();
            let len = values.len();
            values.resize(len.max(position + 1), 0);
            values[position] += 1;
            let accepted = sample.circuit.check(&trace).is_empty();
            assert!(!accepted, "{}: {track:?} {position}", sample.name);
            let values = &mut sample.circuit.tensors.values;
            let (_, values) = values.iter_mut().find(|(id, _)| *id == track).unwrap();
            values[position] -= 1;
            values.truncate(len);
        }
    }
}

/// V, Z and P; the helpers and multiplicities of the lookups, padding rows included.
#[test]
fn every_corrupted_derived_cell_is_rejected() {
    for sample in samples().into_iter().filter(has_one_side) {
        let trace = honest(&sample);
        let mut algebra = Algebra::of(&sample.circuit, &trace);
        for (track, position) in derived_cells(&algebra) {
            let add = |algebra: &mut Algebra<'_>, delta: Fp| {
                algebra.cells.get_mut(&track).unwrap()[position] += delta;
            };
            add(&mut algebra, Fp::ONE);
            let accepted = algebra.broken().is_empty();
            assert!(!accepted, "{}: {track:?} {position}", sample.name);
            add(&mut algebra, -Fp::ONE);
        }
        assert!(algebra.broken().is_empty());
    }
}

/// The oracle itself: a witness that is too short or too long is a failure, not a panic.
#[test]
fn a_witness_of_the_wrong_length_is_a_failure() {
    let sample = &samples()[0];
    let trace = honest(sample);
    let (system, tensors) = (&sample.circuit.lowered.system, &sample.circuit.tensors);
    let claims = sample.circuit.instances(&trace);
    let mut witness = sample.circuit.witness(&trace);
    witness.assign(TrackId(u32::MAX), vec![0]);
    assert!(
        !mock::check(system, &claims, &witness, tensors)
            .unwrap()
            .is_empty()
    );
}

fn honest(sample: &Sample) -> Trace {
    sample.circuit.network.run(&sample.x, &mut Honest).unwrap()
}

fn weight_cells(sample: &Sample) -> Vec<(TrackId, usize)> {
    let (graph, lowered) = (&sample.circuit.network.graph, &sample.circuit.lowered);
    let mut cells = Vec::new();
    for place in &lowered.weights {
        let track = lowered.system.track(place.track).unwrap();
        let weight = &graph.weights[place.weight.0 as usize];
        let rows = match is_read_whole(sample, place.weight) {
            true => track.columns * track.width / place.stride,
            false => weight.rows,
        };
        let at = |row: usize| (0..weight.cols).map(move |col| row * place.stride + col);
        cells.extend(
            (0..rows)
                .flat_map(at)
                .map(|p| (place.track, place.start + p)),
        );
    }
    cells
}

/// Whether forms read the padding rows of a matrix too. Those of biases and of convolutions with groups read no more
/// than the matrix.
fn is_read_whole(sample: &Sample, id: WeightId) -> bool {
    let nodes = &sample.circuit.network.graph.nodes;
    nodes.iter().any(|node| match node.op {
        Op::Dense { weights, .. } => weights == id,
        Op::Conv {
            weights, groups, ..
        } => weights == id && groups == 1,
        _ => false,
    })
}

fn derived_cells(algebra: &Algebra<'_>) -> Vec<(TrackId, usize)> {
    let mut cells = Vec::new();
    for derivation in &algebra.system.derivations {
        match derivation {
            Derivation::Contract(c) => {
                let region = c.target.start..c.target.start + c.target.len;
                cells.extend(region.map(|p| (c.target.track, p)));
            }
            Derivation::Product { target, .. } => {
                cells.extend((0..algebra.cells[target].len()).map(|p| (*target, p)));
            }
        }
    }
    let side = algebra.side();
    let helpers = algebra.system.lookups.iter().map(|lookup| lookup.helper);
    let helpers: BTreeSet<TrackId> = helpers.collect();
    for track in helpers.into_iter().chain([side.helper, side.multiplicity]) {
        cells.extend((0..algebra.cells[&track].len()).map(|p| (track, p)));
    }
    cells
}
