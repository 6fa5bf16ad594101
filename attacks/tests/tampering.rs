//! Every element and every bit of a proof counts, and binds exactly the challenges after it.

use group::CurveAffine as _;
use group::{Curve as _, GroupEncoding as _};
use rayon::prelude::*;
use zkernel_attacks::Case;
use zkernel_attacks::circuit::{Circuit, Lie};
use zkernel_attacks::trial::challenges;
use zkernel_attacks::{C, F};
use zkernel_verifier::challenge::Challenge;
use zkernel_verifier::curve::Generators;
use zkernel_verifier::key::{KeyError, VerifyingKey};
use zkernel_verifier::msm::msm;
use zkernel_verifier::proof::Proof;
use zkernel_verifier::rounds::PhaseOne;
use zkernel_verifier::transcript::{Attack, Transcript};
use zkernel_verifier::verify::{Rejection, verify};

fn honest() -> (Case, Proof<C>) {
    let case = Circuit::new().case(4, Lie::Nothing);
    let proof = case.proof(1);
    (case, proof)
}

fn refused(case: &Case, proof: &Proof<C>) -> bool {
    !case.accepts(proof, &Attack::default())
}

/// One element of a proof: where it is, and the first challenge drawn after it.
enum Element<'p> {
    Point(&'p mut C),
    Scalar(&'p mut F),
}

/// All elements in the order they are sent, with the first challenge that depends on each; none for the last scalars.
fn elements(proof: &mut Proof<C>) -> Vec<(String, Element<'_>)> {
    let mut all = Vec::new();
    let Proof {
        boundaries: _,
        commitments,
        evaluations,
        column_rounds,
        inner_rounds,
        schnorr,
        response,
    } = proof;
    for (points, next) in commitments.iter_mut().zip(["rho", "sigma", "y", "zeta"]) {
        all.extend(
            points
                .iter_mut()
                .map(|p| (next.to_owned(), Element::Point(p))),
        );
    }
    all.extend(
        evaluations
            .iter_mut()
            .map(|s| ("lambda".to_owned(), Element::Scalar(s))),
    );
    for (rounds, name) in [(column_rounds, "u"), (inner_rounds, "v")] {
        for (i, cross) in rounds.iter_mut().enumerate() {
            all.extend(
                cross
                    .iter_mut()
                    .map(|p| (format!("{name}{i}"), Element::Point(p))),
            );
        }
    }
    all.push(("e".to_owned(), Element::Point(schnorr)));
    all.extend(
        response
            .iter_mut()
            .map(|s| (String::new(), Element::Scalar(s))),
    );
    all
}

/// Other values for an element: shifted, neutral, and points with known relations to it or the generators.
fn change(element: Element<'_>, way: usize, case: &Case) {
    let g = &case.key.generators;
    match element {
        Element::Point(point) => {
            *point = match way {
                0 => (*point + g.rows[0].to_curve()).to_affine(),
                1 => C::identity(),
                2 => -*point,
                3 => g.blinding,
                _ => g.rows[3],
            }
        }
        Element::Scalar(scalar) => {
            *scalar = match way {
                0 => *scalar + F::one(),
                1 => F::zero(),
                2 => -*scalar,
                3 => F::one(),
                _ => scalar.double(),
            }
        }
    }
}

#[test]
fn every_element_counts_and_binds_the_challenges_after_it() {
    let (case, proof) = honest();
    let before = challenges(&case, &case.instances, &proof).unwrap();
    let count = elements(&mut proof.clone()).len();
    assert_eq!(count * 32, case.key.shape.bytes());
    (0..count * 5).into_par_iter().for_each(|job| {
        let (index, way) = (job / 5, job % 5);
        let mut changed = proof.clone();
        let (next, element) = elements(&mut changed).swap_remove(index);
        change(element, way, &case);
        if changed == proof {
            return; // the identity as the commitment of a zero column
        }
        assert!(refused(&case, &changed), "element {index}, way {way}");
        let after = challenges(&case, &case.instances, &changed).unwrap();
        for (i, ((name, old), (_, new))) in before.iter().zip(&after).enumerate() {
            let first = before.iter().position(|(name, _)| *name == next);
            let bound = first.is_some_and(|first| i >= first);
            assert_eq!(
                old != new,
                bound,
                "element {index} (before {next}) and challenge {name}"
            );
        }
    });
}

#[test]
fn every_bit_counts() {
    let (case, proof) = honest();
    let bytes = proof.encode();
    assert_eq!(Proof::decode(&bytes, &case.key.shape), Ok(proof));
    let survivors: Vec<usize> = (0..bytes.len() * 8)
        .into_par_iter()
        .filter(|bit| {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            match Proof::decode(&flipped, &case.key.shape) {
                Ok(decoded) => decoded.encode() != flipped || !refused(&case, &decoded),
                Err(_) => false,
            }
        })
        .collect();
    assert_eq!(survivors, [0usize; 0]);
}

#[test]
fn encodings_are_canonical() {
    let (case, proof) = honest();
    let bytes = proof.encode();
    let shape = &case.key.shape;
    for len in 0..bytes.len() {
        assert!(
            Proof::<C>::decode(&bytes[..len], shape).is_err(),
            "cut to {len} bytes"
        );
    }
    assert!(Proof::<C>::decode(&[&bytes[..], &[0]].concat(), shape).is_err());
    // z2 + p for the last scalar, where it still fits 256 bits
    let modulus = [
        &[
            1u8, 0, 0, 0, 0x21, 0xeb, 0x46, 0x8c, 0xdd, 0xa8, 0x94, 0x09, 0xfc, 0x98, 0x46, 0x22,
        ][..],
        &[0; 15],
        &[0x40],
    ]
    .concat();
    for slot in [bytes.len() - 64, bytes.len() - 32] {
        let mut shifted = bytes.clone();
        let mut carry = 0u16;
        for (byte, m) in shifted[slot..slot + 32].iter_mut().zip(&modulus) {
            carry += u16::from(*byte) + u16::from(*m);
            *byte = carry as u8;
            carry >>= 8;
        }
        assert!(
            Proof::<C>::decode(&shifted, shape).is_err(),
            "a scalar plus p"
        );
    }
    let identity = C::identity().to_bytes();
    assert_eq!(identity, [0; 32]);
}

#[test]
fn other_statements_are_refused() {
    let (case, proof) = honest();
    let check = |instances: &[Vec<F>], key: &Case| verify(&key.key, instances, &proof, &msm);
    assert_eq!(check(&case.instances, &case), Ok(()));
    let other = vec![vec![case.instances[0][0] + F::one()]];
    assert_eq!(check(&other, &case), Err(Rejection::Invalid));
    assert!(matches!(check(&[], &case), Err(Rejection::Shape)));
    let wrong = vec![vec![case.instances[0][0], F::zero()]];
    let expected = Rejection::Instance {
        index: 0,
        expected: 1,
        found: 2,
    };
    assert_eq!(check(&wrong, &case), Err(expected));
    let mut swapped = case.key.clone();
    swapped.tensors.swap(0, 1);
    assert_eq!(
        verify(&swapped, &case.instances, &proof, &msm),
        Err(Rejection::Invalid)
    );
    let another = Circuit::new().case(5, Lie::Nothing);
    assert_eq!(check(&another.instances, &another), Err(Rejection::Invalid));
}

/// A proof of another shape is refused before anything is computed.
#[test]
fn lengths_are_checked() {
    let (case, proof) = honest();
    let mut longer = vec![proof.clone(); 6];
    longer[0].commitments[0].push(C::identity());
    longer[1].evaluations.pop();
    longer[2].column_rounds.pop();
    longer[3].inner_rounds.push([C::identity(); 2]);
    longer[4].commitments[3].clear();
    longer[5].evaluations.push(F::zero());
    for proof in longer {
        assert_eq!(
            verify(&case.key, &case.instances, &proof, &msm),
            Err(Rejection::Shape)
        );
    }
}

/// The first challenge depends on the key's digest, the tensors' commitments, the boundaries and the public values.
#[test]
fn every_part_of_the_statement_is_absorbed() {
    let (case, proof) = honest();
    let first = |key: &VerifyingKey<C>, instances: &[Vec<F>], boundaries: &[C]| {
        let rounds = PhaseOne::start(key, instances, boundaries, Transcript::new());
        let rounds = rounds.commit(&proof.commitments[0]).unwrap();
        rounds.challenges().get(Challenge::Rho)
    };
    let before = first(&case.key, &case.instances, &[]);
    assert_eq!(before, first(&case.key, &case.instances, &[]));
    let mut key = case.key.clone();
    key.digest[63] ^= 1;
    assert_ne!(before, first(&key, &case.instances, &[]), "digest");
    let mut key = case.key.clone();
    key.tensors[0] = key.generators.product;
    assert_ne!(before, first(&key, &case.instances, &[]), "tensors");
    let boundary = [case.key.generators.product];
    assert_ne!(before, first(&case.key, &case.instances, &boundary));
    let mut instances = case.instances.clone();
    instances[0][0] += F::one();
    assert_ne!(before, first(&case.key, &instances, &[]), "public values");
}

/// A key needs a generator for each row and a commitment for each tensor column.
#[test]
fn a_key_of_other_lengths_is_refused() {
    let key = honest().0.key;
    let make = |generators: Generators<C>, tensors: Vec<C>| {
        VerifyingKey::new(key.system.clone(), generators, tensors, b"", &msm).map(|_| ())
    };
    let (generators, tensors) = (key.generators.clone(), key.tensors.clone());
    assert_eq!(make(generators.clone(), tensors.clone()), Ok(()));
    for log_n in [key.system.log_n - 1, key.system.log_n + 1] {
        let error = make(Generators::derive(log_n), tensors.clone());
        let wrong = matches!(error, Err(KeyError::Generators { .. }));
        assert!(wrong, "{error:?}");
    }
    let fewer = tensors[1..].to_vec();
    let more = [tensors.clone(), vec![generators.product]].concat();
    for tensors in [fewer, more] {
        let error = make(generators.clone(), tensors);
        assert!(matches!(error, Err(KeyError::Tensors { .. })), "{error:?}");
    }
}
