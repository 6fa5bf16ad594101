//! Every gate, linear constraint and evaluation claim is needed: a forgery that breaks it alone is refused, and accepted
//! when it is left out.

use zkernel_attacks::circuit::{Circuit, Lie};
use zkernel_attacks::forgery::{Forgery, by_constraint};
use zkernel_attacks::trial::{MakeCheat, each_constraint_is_needed, each_evaluation_is_needed};
use zkernel_verifier::transcript::Attack;

#[test]
fn forgeries_are_refused_and_win_without_their_constraint() {
    let forgeries = by_constraint();
    let cases = forgeries.iter().map(|(name, forgery)| {
        let cheat = || (forgery.cheat)(&Circuit::new());
        (name.as_str(), forgery.lie, Box::new(cheat) as MakeCheat<'_>)
    });
    each_constraint_is_needed(&Circuit::new(), cases.collect());
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

#[test]
fn every_evaluation_claim_is_needed() {
    each_evaluation_is_needed(&Circuit::new(), Lie::Product);
}

#[test]
fn the_quotient_claim_is_needed() {
    let circuit = Circuit::new();
    let honest = Attack::default();
    let forgery = &by_constraint()["product"];
    assert!(!forgery.wins(&circuit, &[], &honest));
    assert!(forgery.wins(&circuit, &["quotient"], &honest));
}
