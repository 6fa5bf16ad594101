//! Zero knowledge: what a proof reveals is uniform (rank of the blinding), nothing repeats between proofs, and a simulator
//! without a witness makes proofs that are accepted if it chooses the challenges.

use std::collections::{BTreeMap, HashSet};

use ff::Field as _;
use group::{Curve as _, CurveAffine as _, GroupEncoding as _};
use zkernel_attacks::algebra::rank;
use zkernel_attacks::circuit::{Circuit, Lie};
use zkernel_attacks::grouped::{self, Grouped};
use zkernel_attacks::rotating::{self, Rotating};
use zkernel_attacks::tables::{self, Tables};
use zkernel_attacks::trial::{Fixture as _, accepts};
use zkernel_attacks::{C, Case, F};
use zkernel_backend_cpu::Cpu;
use zkernel_engine::prover::prove_unchecked;
use zkernel_engine::randomness::Randomness;
use zkernel_verifier::challenge::{Challenge, Challenges};
use zkernel_verifier::curve::Generators;
use zkernel_verifier::domain::Domain;
use zkernel_verifier::expression::VirtualId;
use zkernel_verifier::msm::msm;
use zkernel_verifier::proof::Proof;
use zkernel_verifier::system::{ConstraintSystem, TrackKind};
use zkernel_verifier::transcript::{Attack, Transcript};
use zkernel_verifier::verify::reduce;

const RUNS: u64 = 64;

fn fixed_challenges() -> Attack<F> {
    let phases = [
        "rho", "tau", "alpha", "sigma", "theta", "beta", "y", "zeta", "lambda", "x", "e",
    ];
    let rounds = (0..20).flat_map(|i| [format!("u{i}"), format!("v{i}")]);
    let names = phases.into_iter().map(str::to_owned).chain(rounds);
    let forced = names
        .zip(1u64..)
        .map(|(name, i)| (name, F::from(1_000_003 * i * i + 17)));
    Attack {
        forced: forced.collect(),
        ..Attack::default()
    }
}

/// A network, a circuit with rotations, one with masked tensors and a boundary, and one with shared helpers.
fn cases() -> [Case; 4] {
    [
        Circuit::new().case(2, Lie::Nothing),
        Rotating::new().case(rotating::Slip::Nothing, |_| {}),
        Tables::new().case(tables::Slip::Nothing, |_| {}),
        Grouped::new().case(grouped::Slip::Nothing, |_| {}),
    ]
}

/// The engine's proofs of one statement for fixed challenges and fresh randomness.
fn engine_proofs(case: &Case, attack: &Attack<F>) -> Vec<Proof<C>> {
    let backend = Cpu::new();
    let (key, witness) = case.for_engine(&backend);
    (0..RUNS)
        .map(|seed| {
            let transcript = Transcript::with_attack(attack.clone());
            let randomness = Randomness::deterministic(seed);
            let proof = prove_unchecked(
                &backend,
                &key,
                &case.instances,
                &witness,
                randomness,
                transcript,
            );
            let proof = proof.unwrap();
            assert!(case.accepts(&proof, attack));
            proof
        })
        .collect()
}

/// Challenges fixed, randomness varied: every slot of the proof but the shared boundary changes every time, and no point
/// occurs twice anywhere, so nothing is unblinded and no blinding factor is used twice.
#[test]
fn nothing_repeats() {
    for case in cases() {
        let mut seen = HashSet::new();
        for mut proof in engine_proofs(&case, &fixed_challenges()) {
            proof.boundaries.clear();
            let public = public_slots(&case, &proof);
            for slot in proof.encode().chunks(32) {
                let known = public.contains(slot);
                assert!(known || seen.insert(slot.to_vec()), "a slot repeats");
            }
        }
    }
}

/// Every commitment, cross term and Schnorr point carries a multiple of B of its own: with another B and everything else
/// equal, each point P changes by r (B - B'), and all these differences are distinct.
#[test]
fn every_point_has_a_blinding_factor_of_its_own() {
    let attack = fixed_challenges();
    let points = |case: &mut Case, seed: u64, blinding: Option<C>| -> Vec<C> {
        if let Some(point) = blinding {
            case.key.generators.blinding = point;
        }
        let backend = Cpu::new();
        let (key, witness) = case.for_engine(&backend);
        let transcript = Transcript::with_attack(attack.clone());
        let randomness = Randomness::deterministic(seed);
        let instances = &case.instances;
        let proof = prove_unchecked(&backend, &key, instances, &witness, randomness, transcript);
        let proof = proof.unwrap();
        let cross = proof.column_rounds.iter().chain(&proof.inner_rounds);
        let commitments = proof.commitments.iter().flatten();
        let all = commitments.chain(cross.flatten()).copied();
        all.chain([proof.schnorr]).collect()
    };
    let other = Generators::<C>::row(77).to_affine();
    let mut seen = HashSet::new();
    for (seed, (mut case, mut moved)) in (0..).zip(cases().into_iter().zip(cases())) {
        let pairs =
            points(&mut case, seed, None)
                .into_iter()
                .zip(points(&mut moved, seed, Some(other)));
        for (point, moved) in pairs {
            let difference = (point.to_curve() - moved).to_affine();
            assert!(
                !bool::from(difference.is_identity()),
                "a point without blinding"
            );
            assert!(
                seen.insert(difference.to_bytes()),
                "a blinding factor repeats"
            );
        }
    }
}

/// Encodings of the evaluations that depend on fixed columns alone: the same in every proof.
fn public_slots(case: &Case, proof: &Proof<C>) -> HashSet<Vec<u8>> {
    let secret = secret_lanes(&case.key.system);
    let values = proof
        .evaluations
        .iter()
        .zip(secret)
        .filter(|(_, secret)| !secret);
    values
        .map(|(value, _)| ff::PrimeField::to_repr(value).to_vec())
        .collect()
}

/// For each evaluation whether its virtual column reads anything but fixed columns.
fn secret_lanes(system: &ConstraintSystem<F>) -> Vec<bool> {
    let secret = |id: VirtualId| {
        let column = system.virtual_column(id).unwrap();
        let kinds = column
            .terms
            .iter()
            .map(|(track, _)| system.track(*track).unwrap().kind);
        kinds.into_iter().any(|kind| kind != TrackKind::Fixed)
    };
    system.evaluations().map(|(id, _)| secret(id)).collect()
}

/// The revealed evaluations of 64 proofs span as many dimensions as there are independent secret evaluations: each is
/// masked by randomness of its own, those of tensors too. With a column unblinded or a tensor unmasked the rank falls.
#[test]
fn evaluations_have_full_rank() {
    for case in cases() {
        let proofs = engine_proofs(&case, &fixed_challenges());
        let secret = secret_lanes(&case.key.system);
        let independent = rank(&matrix(&case, 0..case.key.domain.rows(), true));
        assert!(independent < proofs.len() - 1 && independent > 10);
        let revealed = |proof: &Proof<C>| -> Vec<F> {
            let kept = proof
                .evaluations
                .iter()
                .zip(&secret)
                .filter(|(_, secret)| **secret);
            kept.map(|(value, _)| *value).collect()
        };
        let first = revealed(&proofs[0]);
        let differences: Vec<Vec<F>> = proofs[1..]
            .iter()
            .map(|proof| {
                revealed(proof)
                    .iter()
                    .zip(&first)
                    .map(|(a, b)| a - b)
                    .collect()
            })
            .collect();
        assert_eq!(rank(&differences), independent);
    }
}

/// The same by the definitions: as functions of the blinding and mask cells alone the evaluations are as independent as
/// they are as functions of all cells, so they are uniform among what is consistent. One blinding row less than a column
/// has opening points is not enough, nor is a tensor without its mask.
#[test]
fn blinding_cells_determine_the_evaluations() {
    for case in cases() {
        let system = &case.key.system;
        let (rows, usable) = (system.rows(), system.usable());
        let independent = rank(&matrix(&case, 0..rows, true));
        assert_eq!(rank(&matrix(&case, usable..rows, true)), independent);
        assert!(rank(&matrix(&case, usable + 1..rows, true)) < independent);
        let bare = rank(&matrix(&case, usable..rows, false));
        assert_eq!(bare < independent, system.masks.is_some());
    }
}

/// The secret evaluations as linear functions of those rows of every opened column that is not fixed; of masked tensors
/// too, if `tensors`.
fn matrix(case: &Case, rows: std::ops::Range<usize>, tensors: bool) -> Vec<Vec<F>> {
    let system = &case.key.system;
    let mut challenges = Challenges::new();
    challenges.set(Challenge::Theta, F::from(77));
    let mut columns = BTreeMap::new();
    for (id, lane) in system.evaluations() {
        let column = system.virtual_column(id).unwrap();
        for (track, _) in &column.terms {
            let next = columns.len();
            let lane = column.first_lane() + lane;
            columns.entry((*track, lane)).or_insert(next);
        }
    }
    let random = |track| match system.track(track).unwrap().kind {
        TrackKind::Fixed => false,
        TrackKind::Tensor => tensors,
        TrackKind::Boundary | TrackKind::Advice(_) => true,
    };
    let row = |(id, lane): (VirtualId, usize)| {
        let mut row = vec![F::ZERO; columns.len() * rows.len()];
        let column = system.virtual_column(id).unwrap();
        let domain = &case.key.domain;
        let lagrange = domain.lagrange(F::from(88)).unwrap();
        let lagrange: Vec<&F> = Domain::rotated(&lagrange, column.rotation).collect();
        for (track, c) in column.terms.iter().filter(|(track, _)| random(*track)) {
            let first = columns[&(*track, column.first_lane() + lane)] * rows.len();
            for (cell, l) in row[first..]
                .iter_mut()
                .zip(lagrange[rows.clone()].iter().copied())
            {
                *cell += c.evaluate(&challenges) * l;
            }
        }
        row
    };
    let lanes = system.evaluations().zip(secret_lanes(system));
    lanes
        .filter(|(_, secret)| *secret)
        .map(|(lane, _)| row(lane))
        .collect()
}

/// Random points and scalars, challenges chosen first, A last: accepted for a false statement, by a verifier whose
/// challenges are those, and by no other.
#[test]
fn a_simulator_needs_no_witness() {
    let circuit = Circuit::new();
    let case = circuit.case(0, Lie::Nothing);
    let challenges = fixed_challenges();
    let statement = vec![vec![F::from(424_242)]];
    let shape = &case.key.shape;
    let mut next = 0;
    let mut point = || {
        next += 1;
        Generators::<C>::row(1000 + next).to_affine()
    };
    let mut scalar = F::from(5);
    let mut scalars = || {
        scalar = scalar.square() + F::from(3);
        scalar
    };
    let commitments = shape
        .commitments
        .map(|count| (0..count).map(|_| point()).collect());
    let mut proof = Proof {
        boundaries: Vec::new(),
        commitments,
        evaluations: (0..shape.evaluations).map(|_| scalars()).collect(),
        column_rounds: (0..shape.column_rounds)
            .map(|_| [point(), point()])
            .collect(),
        inner_rounds: (0..shape.inner_rounds)
            .map(|_| [point(), point()])
            .collect(),
        schnorr: C::default(),
        response: [scalars(), scalars()],
    };
    let transcript = Transcript::with_attack(challenges.clone());
    let deferred = reduce(&case.key, &statement, &proof, transcript).unwrap();
    proof.schnorr = -deferred.evaluate(&case.key.generators, &msm).to_affine();
    assert!(accepts(&case, &statement, &proof, &challenges));
    assert!(!accepts(&case, &statement, &proof, &Attack::default()));
}
