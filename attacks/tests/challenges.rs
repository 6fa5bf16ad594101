//! Every challenge is needed where it is drawn: known earlier, it admits a forgery.

use zkernel_attacks::F;
use zkernel_attacks::cheats::choose_output_last;
use zkernel_attacks::circuit::{Circuit, Lie};
use zkernel_attacks::forgery::by_challenge;
use zkernel_attacks::trial::{accepts, early};
use zkernel_verifier::rounds::BadChallenge;
use zkernel_verifier::transcript::{Attack, Transcript};
use zkernel_verifier::verify::{Rejection, reduce};

#[test]
fn a_challenge_known_early_admits_a_forgery() {
    let circuit = Circuit::new();
    let honest = Attack::default();
    for (name, forgery, without) in by_challenge() {
        assert!(
            forgery.wins(&circuit, without, &early(&[name])),
            "{name} known early: wins"
        );
        assert!(
            !forgery.wins(&circuit, without, &honest),
            "{name} in order: refused"
        );
    }
}

/// The merge challenge x: with it none of many forgeries passes, without it (x = 1) all do.
#[test]
fn merge_forger() {
    let circuit = Circuit::new();
    let (_, forgery, _) = by_challenge()
        .into_iter()
        .find(|(name, ..)| *name == "x")
        .unwrap();
    let case = forgery.case(&circuit, &[]);
    let known = early(&["x"]);
    for seed in 0..100 {
        for (early, wins) in [(&Attack::default(), false), (&known, true)] {
            let mut cheat = (forgery.cheat)(&circuit);
            let outcome = case.attempt(&mut cheat, early, seed);
            let accepted = case.accepts(&outcome.proof, early);
            assert_eq!(accepted, wins, "seed {seed}");
        }
    }
}

/// A public output that is not absorbed can be chosen after everything else.
#[test]
fn public_values_are_absorbed() {
    let circuit = Circuit::new();
    let forgotten = Attack {
        unabsorbed: vec!["instance"],
        ..Attack::default()
    };
    for (early, wins) in [(&Attack::default(), false), (&forgotten, true)] {
        let case = circuit.case(0, Lie::Product);
        let (mut cheat, shift) = choose_output_last(&circuit);
        let outcome = case.attempt(&mut cheat, early, 5);
        let mut instances = case.instances.clone();
        instances[0][0] += *shift.borrow();
        assert_ne!(instances, case.instances);
        assert_eq!(accepts(&case, &instances, &outcome.proof, early), wins);
    }
}

#[test]
fn zero_challenges_and_points_of_a_domain_are_refused() {
    let circuit = Circuit::new();
    let case = circuit.case(1, Lie::Nothing);
    let proof = case.proof(2);
    let domain = &case.key.domain;
    let in_h = domain.omega.square() * domain.omega;
    let names = [
        "rho", "tau", "alpha", "sigma", "theta", "beta", "y", "zeta", "lambda", "u0", "x", "v0",
        "e",
    ];
    let zero = names.map(|name| (name, F::zero()));
    let points =
        [in_h, F::one(), domain.shifts[0] * in_h, domain.shifts[0]].map(|zeta| ("zeta", zeta));
    for (name, value) in zero.into_iter().chain(points) {
        let forced = Attack {
            forced: vec![(name.into(), value)],
            ..Attack::default()
        };
        let result = reduce(
            &case.key,
            &case.instances,
            &proof,
            Transcript::with_attack(forced),
        );
        let Err(Rejection::Challenge(BadChallenge(named))) = result else {
            panic!("{name} = {value:?} was not refused");
        };
        assert_eq!(named, name.trim_end_matches('0'));
    }
}
