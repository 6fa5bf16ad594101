//! The same for an ordinary circuit: rotations, several degree classes of the quotient, several lanes.

use zkernel_attacks::Cheat;
use zkernel_attacks::cheats::fix_lookup_sum;
use zkernel_attacks::rotating::{Rotating, Slip};
use zkernel_attacks::trial::{
    Fixture as _, MakeCheat, each_constraint_is_needed, each_evaluation_is_needed,
};
use zkernel_backend_cpu::Cpu;
use zkernel_backend_reference::Reference;
use zkernel_engine::Tensors;
use zkernel_engine::mock;
use zkernel_verifier::msm::msm;
use zkernel_verifier::transcript::Attack;
use zkernel_verifier::verify::verify;

#[test]
fn honest_proofs_are_accepted() {
    let circuit = Rotating::new();
    assert_eq!(circuit.system.blinding, 3);
    assert_eq!(circuit.system.quotient_columns(), 5);
    let case = circuit.case(Slip::Nothing, |_| {});
    assert!(case.wins(&mut Cheat::default()));
    let proofs = [
        case.engine_proof(&Cpu::new()),
        case.engine_proof(&Reference),
    ];
    for proof in proofs.map(Result::unwrap) {
        assert_eq!(verify(&case.key, &case.instances, &proof, &msm), Ok(()));
    }
    let (_, witness) = case.for_engine(&Cpu::new());
    let tensors = Tensors {
        values: Vec::new(),
        blinders: Vec::new(),
    };
    let failures = mock::check(&circuit.system, &case.instances, &witness, &tensors).unwrap();
    assert_eq!(failures, []);
}

#[test]
fn every_gate_and_constraint_is_needed() {
    let circuit = Rotating::new();
    let sum = |name: &'static str| move || fix_lookup_sum(&Rotating::new().system, name);
    let none = || Cheat::default();
    let cases: Vec<(_, _, MakeCheat<'_>)> = vec![
        ("step", Slip::Step, Box::new(none)),
        ("deep", Slip::Deep, Box::new(none)),
        ("flat", Slip::Flat, Box::new(none)),
        ("copies", Slip::Copy, Box::new(none)),
        ("constants", Slip::Constant, Box::new(none)),
        ("public output", Slip::Public, Box::new(none)),
        ("lookup sum", Slip::Lookup, Box::new(none)),
        ("y in range/gate", Slip::Lookup, Box::new(sum("y in range"))),
        ("table/gate", Slip::Lookup, Box::new(sum("table"))),
    ];
    each_constraint_is_needed(&circuit, cases);
}

#[test]
fn every_evaluation_claim_is_needed() {
    each_evaluation_is_needed(&Rotating::new(), Slip::Flat);
}

/// Whatever lies in the blinding rows, an honest proof is accepted, and with fewer of them the system is refused.
#[test]
fn blinding_rows_follow_from_the_rotations() {
    let circuit = Rotating::new();
    let mut fewer = circuit.system.clone();
    fewer.blinding = 2;
    let refused = fewer.validate().unwrap_err().to_string();
    assert!(
        refused.contains("3 opening points but 2 blinding rows"),
        "{refused}"
    );
    for seed in 0..5 {
        let case = circuit.case(Slip::Nothing, |_| {});
        let proof = case.proof(seed);
        assert!(case.accepts(&proof, &Attack::default()));
    }
}
