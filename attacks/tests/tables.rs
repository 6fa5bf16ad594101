//! Secret tables, folded tables, masked tensors and boundaries.

use ff::Field as _;
use zkernel_attacks::algebra::inverse;
use zkernel_attacks::cheats::fix_lookup_sum;
use zkernel_attacks::tables::{Slip, Tables};
use zkernel_attacks::trial::{
    FORESEEN, Fixture as _, MakeCheat, each_constraint_is_needed, each_evaluation_is_needed, early,
};
use zkernel_attacks::{Cheat, F, Model};
use zkernel_backend_cpu::Cpu;
use zkernel_engine::{Tensors, mock};
use zkernel_verifier::msm::msm;
use zkernel_verifier::system::{ConstraintSystem, Region};
use zkernel_verifier::validate::SystemError;
use zkernel_verifier::verify::verify;

#[test]
fn honest_proofs_are_accepted() {
    let circuit = Tables::new();
    assert_eq!(circuit.system.table_sides.len(), 2);
    let case = circuit.case(Slip::Nothing, |_| {});
    assert!(case.wins(&mut Cheat::default()));
    let proof = case.engine_proof(&Cpu::new()).unwrap();
    assert_eq!(verify(&case.key, &case.instances, &proof, &msm), Ok(()));
}

#[test]
fn the_mock_prover_names_wrong_secret_entries() {
    let circuit = Tables::new();
    let errors = [F::ONE, F::ZERO, F::ZERO];
    for (slip, named) in [
        (Slip::Nothing, None),
        (Slip::Activation, Some("y = table[x]")),
        (Slip::Embedded(errors), Some("embedding")),
        (Slip::Product, Some("p = factor a")),
        (Slip::Boundary, Some("x = boundary")),
    ] {
        let case = circuit.case(slip, |_| {});
        let (_, witness) = case.for_engine(&Cpu::new());
        let tensors = case
            .key
            .system
            .tracks_of(zkernel_verifier::system::TrackKind::Tensor);
        let small = |v: &F| (-64i64..64).find(|s| zkernel_verifier::curve::signed::<F>(*s) == *v);
        let values = tensors.map(|(id, _)| {
            (
                id,
                case.secrets.cells[&id]
                    .iter()
                    .map(|v| small(v).unwrap())
                    .collect(),
            )
        });
        let tensors = Tensors {
            values: values.collect(),
            blinders: case.secrets.blinders.clone(),
        };
        let failures = mock::check(&circuit.system, &case.instances, &witness, &tensors).unwrap();
        let text: Vec<String> = failures.iter().map(ToString::to_string).collect();
        assert_eq!(text.len(), usize::from(named.is_some()), "{text:?}");
        assert!(named.is_none_or(|name| text[0].contains(name)), "{text:?}");
    }
}

/// Sets a phase-2 cell to what the other side of the lookup has, so that only its tie is broken.
fn match_folded(region: Region, from: Region, cell: usize, to: usize) -> Cheat<'static> {
    Cheat {
        phase_two: Some(Box::new(move |model: &mut Model<'_>| {
            let value = model.cells[&from.track][from.start + cell];
            model.cells.get_mut(&region.track).unwrap()[region.start + to] = value;
        })),
        ..Cheat::default()
    }
}

#[test]
fn every_gate_and_constraint_is_needed() {
    let circuit = Tables::new();
    let sum = |name: &'static str| -> MakeCheat<'static> {
        Box::new(move || fix_lookup_sum(&Tables::new().system, name))
    };
    let none = || -> MakeCheat<'static> { Box::new(Cheat::default) };
    let embedded = Slip::Embedded([F::ONE, F::ZERO, F::ZERO]);
    let [words, tokens] = circuit.folded;
    // The first token is word 4, and no other token is.
    let cases: Vec<(_, _, MakeCheat<'_>)> = vec![
        ("p = factor a", Slip::Product, none()),
        ("x = boundary", Slip::Boundary, none()),
        ("lookup sum", Slip::Activation, none()),
        ("y = table[x]/gate", Slip::Activation, sum("y = table[x]")),
        ("activation/gate", Slip::Activation, sum("activation")),
        ("embedding/gate", embedded, sum("embedding")),
        ("words/gate", embedded, sum("words")),
        (
            "fold tokens",
            embedded,
            Box::new(move || match_folded(tokens, words, 4, 0)),
        ),
        (
            "fold embedding",
            embedded,
            Box::new(move || match_folded(words, tokens, 0, 4)),
        ),
    ];
    each_constraint_is_needed(&circuit, cases);
}

/// An embedded token whose error a known alpha does not see.
#[test]
fn alpha_known_early_admits_a_forgery() {
    let circuit = Tables::new();
    let errors = [F::ONE, -inverse(F::from(FORESEEN)), F::ZERO];
    let case = circuit.case(Slip::Embedded(errors), |_| {});
    assert!(case.wins_with(&mut Cheat::default(), &early(&["alpha"])));
    assert!(!case.wins(&mut Cheat::default()));
}

#[test]
fn every_evaluation_claim_is_needed() {
    each_evaluation_is_needed(&Tables::new(), Slip::Product);
}

/// A proof for one boundary is no proof for another one, and two proofs may share one.
#[test]
fn boundaries_are_part_of_the_statement() {
    let circuit = Tables::new();
    let case = circuit.case(Slip::Nothing, |_| {});
    let backend = Cpu::new();
    let (key, witness) = case.for_engine(&backend);
    let prove = || zkernel_engine::prove(&backend, &key, &case.instances, &witness).unwrap();
    let (one, two) = (prove(), prove());
    assert_eq!(one.boundaries, two.boundaries);
    assert_ne!(one.commitments, two.commitments);
    let mut other = one.clone();
    other.boundaries[0] = two.commitments[0][0];
    assert!(verify(&case.key, &case.instances, &other, &msm).is_err());
}

#[test]
fn misuse_of_masks_is_refused() {
    let circuit = Tables::new();
    let refused = |edit: fn(&mut ConstraintSystem<F>)| {
        let mut system = circuit.system.clone();
        edit(&mut system);
        system.validate().unwrap_err()
    };
    let unmasked = refused(|system| system.masks = None);
    assert!(
        matches!(unmasked, SystemError::Unmasked { .. }),
        "{unmasked}"
    );
    let overlapping = refused(|system| {
        let masks = system.masks.as_mut().unwrap();
        masks.of[1].1 = masks.of[0].1;
    });
    assert!(
        matches!(overlapping, SystemError::Masks(_)),
        "{overlapping}"
    );
    let outside = refused(|system| system.masks.as_mut().unwrap().of[1].1 = 15);
    assert!(matches!(outside, SystemError::Masks(_)), "{outside}");
    let read = refused(|system| {
        let mask = system.masks.as_ref().unwrap().track;
        let tag = system.table_sides[0].tag;
        let read = |v: &mut zkernel_verifier::system::VirtualColumn<F>| v.terms[0].0 == tag;
        let column = system
            .virtuals
            .iter_mut()
            .find_map(|v| read(v).then_some(v))
            .unwrap();
        column.terms[0].0 = mask;
    });
    assert!(
        matches!(read, SystemError::Masks(_) | SystemError::NotParallel(_)),
        "{read}"
    );
}
