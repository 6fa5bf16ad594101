//! Every gate, linear constraint and evaluation claim is needed: a forgery that breaks it alone is refused, and accepted
//! when it is left out.

use std::collections::BTreeSet;

use zkernel_attacks::F;
use zkernel_attacks::circuit::{Circuit, Lie};
use zkernel_attacks::forgery::{Forgery, accepts, broken, by_constraint, fix_evaluation};
use zkernel_attacks::prove;
use zkernel_verifier::transcript::Attack;

#[test]
fn every_gate_and_constraint_has_a_forgery() {
    let circuit = Circuit::new();
    let gates = circuit.system.gates.iter().map(|gate| gate.name.clone());
    let constraints = circuit.system.constraints.iter().map(|c| c.name.clone());
    let all: BTreeSet<String> = gates.chain(constraints).collect();
    let forged: BTreeSet<String> = by_constraint().into_keys().collect();
    assert_eq!(forged, all);
}

#[test]
fn forgeries_are_refused_and_win_without_their_constraint() {
    let circuit = Circuit::new();
    let honest = Attack::default();
    for (name, forgery) in by_constraint() {
        let case = forgery.case(&circuit, &[]);
        let outcome = forgery.run(&circuit, &case, &honest);
        assert_eq!(
            broken(&circuit.system, &outcome.model),
            std::slice::from_ref(&name),
            "{name}: breaks it alone"
        );
        assert!(
            !accepts(&case, &case.instances, &outcome.proof, &honest),
            "{name}: refused"
        );
        assert!(
            forgery.wins(&circuit, &[&name], &honest),
            "{name}: wins without it"
        );
    }
}

#[test]
fn remainder_out_of_range_with_the_right_accumulator() {
    let circuit = Circuit::new();
    let honest = Attack::default();
    for k in [1, -1] {
        let forgery = Forgery {
            lie: Lie::RemainderRange(k),
            edit: |_, _| {},
            cheat: Box::new(|_| zkernel_attacks::Cheat::default()),
        };
        assert!(!forgery.wins(&circuit, &[], &honest));
        assert!(forgery.wins(&circuit, &["lookup sum"], &honest));
    }
}

/// Lying about the evaluation of any virtual column makes the quotient identity hold for a false product.
#[test]
fn every_evaluation_claim_is_needed() {
    let circuit = Circuit::new();
    let honest = Attack::default();
    let (mut position, mut tried) = (0, 0);
    for id in 0..circuit.system.virtuals.len() {
        let skipped = format!("evaluation {id}");
        for without in [vec![], vec![skipped.as_str()]] {
            let mut case = circuit.case(0, Lie::Product);
            case.key.skip = without.iter().map(|s| (*s).to_owned()).collect();
            let mut cheat = fix_evaluation(position..position + 1, F::one());
            let outcome = prove(
                &case.key,
                &case.instances,
                &case.secrets,
                &mut cheat,
                &honest,
                3,
            );
            let proof = outcome.unwrap().proof;
            assert_eq!(
                accepts(&case, &case.instances, &proof, &honest),
                !without.is_empty(),
                "{skipped}"
            );
        }
        position += circuit
            .system
            .lanes(zkernel_verifier::expression::VirtualId(id as u32));
        tried += 1;
    }
    assert_eq!(position, circuit.system.evaluations().count());
    assert!(tried > 10);
}

#[test]
fn the_quotient_claim_is_needed() {
    let circuit = Circuit::new();
    let honest = Attack::default();
    let forgery = &by_constraint()["product"];
    assert!(!forgery.wins(&circuit, &[], &honest));
    assert!(forgery.wins(&circuit, &["quotient"], &honest));
}
