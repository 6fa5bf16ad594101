//! Every label, every length and the order of items decide all later challenges.

use ff::PrimeField as _;
use pasta_curves::{EqAffine, Fp};
use proptest::prelude::*;
use zkernel_verifier::curve::Generators;
use zkernel_verifier::transcript::Transcript;

const LABELS: [&str; 4] = ["key", "instance", "phase 1", "ab"];

/// The challenge after those items.
fn after(items: &[(usize, Vec<u8>)]) -> Fp {
    let mut transcript = Transcript::<Fp>::new();
    for (label, bytes) in items {
        transcript.absorb(LABELS[label % LABELS.len()], bytes);
    }
    transcript.challenge("rho")
}

#[test]
fn golden() {
    let mut transcript = Transcript::<Fp>::new();
    transcript.absorb("key", &[1, 2, 3]);
    transcript.absorb_points("phase 1", &Generators::<EqAffine>::derive(1).rows);
    transcript.absorb_scalars("evaluations", &[Fp::from(7)]);
    let first = transcript.challenge("rho");
    let second = transcript.round_challenge("u", 3);
    let hex = |f: Fp| {
        f.to_repr()
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect::<String>()
    };
    assert_eq!(
        [hex(first), hex(second)],
        [
            "d048d634b3422f3df2ddba690c0f157c403710125f27136428da5b2d8035193e".to_string(),
            "c46ce1820c7b2ff3d94f88412bcdfe48fab7be1d75cd6505f60d72a3e6885b32".to_string()
        ]
    );
}

#[test]
fn boundaries_between_items_count() {
    let item = |bytes: &[u8]| (0, bytes.to_vec());
    let split = after(&[item(b"ab"), item(b"c")]);
    assert_ne!(split, after(&[item(b"a"), item(b"bc")]));
    assert_ne!(split, after(&[item(b"abc")]));
    assert_ne!(after(&[item(b"")]), after(&[]));
    assert_ne!(after(&[item(b"")]), after(&[item(b""), item(b"")]));
}

#[test]
fn names_of_challenges_count_and_drawing_moves_on() {
    let draw = |names: &[&str]| {
        let mut transcript = Transcript::<Fp>::new();
        names
            .iter()
            .map(|name| transcript.challenge(name))
            .collect::<Vec<_>>()
    };
    assert_ne!(draw(&["rho"]), draw(&["tau"]));
    let two = draw(&["rho", "rho"]);
    assert_ne!(two[0], two[1]);
    // A challenge is not what a prover gets by absorbing its name.
    let mut transcript = Transcript::<Fp>::new();
    transcript.absorb("rho", &[]);
    assert_ne!(transcript.challenge("tau"), draw(&["rho", "tau"])[1]);
    let round = |index| Transcript::<Fp>::new().round_challenge("u", index);
    assert_ne!(round(1), round(11));
}

proptest! {
    #[test]
    fn every_change_of_the_items_changes_the_challenge(
        items in prop::collection::vec((0usize..4, prop::collection::vec(any::<u8>(), 0..6)), 1..6),
        at in any::<prop::sample::Index>(), change in 0usize..5, byte in any::<u8>(),
    ) {
        let at = at.index(items.len());
        let mut other = items.clone();
        match change {
            0 => other[at].1.push(byte),
            1 => other[at].0 += 1,
            2 => { other.remove(at); }
            3 => other.insert(at, (0, vec![byte])),
            _ => other.swap(0, at),
        }
        prop_assert_eq!(after(&items), after(&items));
        prop_assert_eq!(after(&items) == after(&other), items == other);
    }
}
