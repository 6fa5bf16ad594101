//! The same for an ordinary circuit: rotations, several degree classes of the quotient, several lanes.

use std::collections::BTreeSet;

use ff::Field as _;
use zkernel_attacks::forgery::{accepts, broken, fix_evaluation, fix_lookup_sum};
use zkernel_attacks::rotating::{Rotating, Slip};
use zkernel_attacks::{Case, Cheat, F, prove};
use zkernel_backend_cpu::Cpu;
use zkernel_backend_reference::Reference;
use zkernel_engine::Tensors;
use zkernel_engine::mock;
use zkernel_verifier::expression::VirtualId;
use zkernel_verifier::msm::msm;
use zkernel_verifier::transcript::Attack;
use zkernel_verifier::verify::verify;

type MakeCheat = Box<dyn Fn() -> Cheat<'static>>;

fn wins(case: &Case, cheat: &mut Cheat<'_>) -> bool {
    let early = Attack::default();
    let outcome = prove(&case.key, &case.instances, &case.secrets, cheat, &early, 1).unwrap();
    accepts(case, &case.instances, &outcome.proof, &early)
}

#[test]
fn honest_proofs_are_accepted() {
    let circuit = Rotating::new();
    assert_eq!(circuit.system.blinding, 3);
    assert_eq!(circuit.system.quotient_columns(), 5);
    let case = circuit.case(Slip::Nothing, |_| {});
    assert!(wins(&case, &mut Cheat::default()));
    let (key, witness) = case.for_engine(&Cpu::new());
    let proof = zkernel_engine::prove(&Cpu::new(), &key, &case.instances, &witness).unwrap();
    assert_eq!(verify(&case.key, &case.instances, &proof, &msm), Ok(()));
    let (key, witness) = case.for_engine(&Reference);
    let proof = zkernel_engine::prove(&Reference, &key, &case.instances, &witness).unwrap();
    assert_eq!(verify(&case.key, &case.instances, &proof, &msm), Ok(()));
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
    let system = &circuit.system;
    let sum = |name: &'static str| move || fix_lookup_sum(&Rotating::new().system, name);
    let none = || Cheat::default();
    let cases: Vec<(&str, Slip, MakeCheat)> = vec![
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
    let gates = system.gates.iter().map(|gate| gate.name.as_str());
    let constraints = system.constraints.iter().map(|c| c.name.as_str());
    let all: BTreeSet<&str> = gates.chain(constraints).collect();
    assert_eq!(
        cases
            .iter()
            .map(|(name, ..)| *name)
            .collect::<BTreeSet<_>>(),
        all
    );
    for (name, slip, cheat) in cases {
        let case = circuit.case(slip, |_| {});
        let early = Attack::default();
        let outcome = prove(
            &case.key,
            &case.instances,
            &case.secrets,
            &mut cheat(),
            &early,
            1,
        )
        .unwrap();
        assert_eq!(
            broken(system, &outcome.model),
            [name],
            "{name}: broken alone"
        );
        assert!(
            !accepts(&case, &case.instances, &outcome.proof, &early),
            "{name}: refused"
        );
        let without = circuit.case(slip, |system| {
            *system = system.clone().without_gate(name).without_constraint(name);
        });
        assert!(wins(&without, &mut cheat()), "{name}: wins without it");
    }
}

#[test]
fn every_evaluation_claim_is_needed() {
    let circuit = Rotating::new();
    let mut position = 0;
    for id in 0..circuit.system.virtuals.len() {
        let lanes = circuit.system.lanes(VirtualId(id as u32));
        for skip in [false, true] {
            let mut case = circuit.case(Slip::Flat, |_| {});
            case.key.skip = skip
                .then(|| format!("evaluation {id}"))
                .into_iter()
                .collect();
            let mut cheat = fix_evaluation(position..position + lanes, F::ONE);
            assert_eq!(wins(&case, &mut cheat), skip, "claim {id}");
        }
        position += lanes;
    }
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
        let early = Attack::default();
        let mut cheat = Cheat::default();
        let outcome = prove(
            &case.key,
            &case.instances,
            &case.secrets,
            &mut cheat,
            &early,
            seed,
        );
        assert!(accepts(
            &case,
            &case.instances,
            &outcome.unwrap().proof,
            &early
        ));
    }
}
