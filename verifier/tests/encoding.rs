//! Encodings are canonical both ways: `decode(encode(x)) = x`, and bytes that decode encode to themselves.

use ff::PrimeField;
use pasta_curves::{EpAffine, EqAffine, Fp, Fq};
use proptest::prelude::*;
use zkernel_verifier::curve::{Curve, Field, Generators, powers, signed};
use zkernel_verifier::encoding::{DecodeError, Reader, Writer};
use zkernel_verifier::proof::{Proof, ProofShape};

fn wide<F: Field>(seed: [u8; 64]) -> F {
    F::from_uniform_bytes(&seed)
}

/// The little-endian bytes of `p + offset`; p as the bytes of -1, plus one.
fn beyond<F: PrimeField<Repr = [u8; 32]>>(offset: u64) -> [u8; 32] {
    let mut bytes = (-F::ONE).to_repr();
    let mut carry = u128::from(offset) + 1;
    for byte in &mut bytes {
        carry += u128::from(*byte);
        *byte = carry.to_le_bytes()[0];
        carry >>= 8;
    }
    bytes
}

const SHAPE: ProofShape = ProofShape {
    boundaries: 1,
    commitments: [2, 1, 1, 1],
    evaluations: 3,
    column_rounds: 2,
    inner_rounds: 2,
};

/// A proof of that shape with distinct elements everywhere.
fn proof<C: Curve>(seed: u64) -> Proof<C> {
    let generators = Generators::<C>::derive(4);
    let point = |i: usize| generators.rows[(i + usize::try_from(seed % 7).unwrap()) % 16];
    let scalars = powers(signed::<C::ScalarExt>(-3) + C::ScalarExt::from(seed), 8);
    Proof {
        boundaries: vec![point(15)],
        commitments: [
            vec![point(0), C::identity()],
            vec![point(1)],
            vec![point(2)],
            vec![point(3)],
        ],
        evaluations: scalars[1..4].to_vec(),
        column_rounds: vec![[point(4), point(5)], [point(6), point(7)]],
        inner_rounds: vec![[point(8), point(9)], [point(10), point(11)]],
        schnorr: point(12),
        response: [scalars[5], scalars[6]],
    }
}

/// Whether the i-th 32-byte slot of a proof of [`SHAPE`] is a scalar: evaluations and the response are.
fn is_scalar(slot: usize) -> bool {
    (6..9).contains(&slot) || slot >= 18
}

fn proofs_round_trip<C: Curve>() {
    for seed in 0..9 {
        let proof = proof::<C>(seed);
        let bytes = proof.encode();
        assert_eq!(bytes.len(), SHAPE.bytes());
        assert!(proof.has_shape(&SHAPE));
        assert_eq!(Proof::<C>::decode(&bytes, &SHAPE), Ok(proof));
    }
}

#[test]
fn every_part_of_the_shape_is_compared() {
    let honest = proof::<EqAffine>(1);
    let longer: [fn(&mut Proof<EqAffine>); 8] = [
        |p| p.boundaries.push(p.schnorr),
        |p| p.commitments[0].push(p.schnorr),
        |p| p.commitments[1].push(p.schnorr),
        |p| p.commitments[2].push(p.schnorr),
        |p| p.commitments[3].push(p.schnorr),
        |p| p.evaluations.push(p.response[0]),
        |p| p.column_rounds.push([p.schnorr; 2]),
        |p| p.inner_rounds.push([p.schnorr; 2]),
    ];
    for (part, lengthen) in longer.iter().enumerate() {
        let mut changed = honest.clone();
        lengthen(&mut changed);
        assert!(!changed.has_shape(&SHAPE), "part {part}");
    }
}

#[test]
fn proofs_round_trip_on_both_curves() {
    proofs_round_trip::<EqAffine>();
    proofs_round_trip::<EpAffine>();
}

/// Every slot refuses what is not canonical, and nothing but the exact length is accepted.
fn slots_refuse<C: Curve>() {
    let bytes = proof::<C>(1).encode();
    for slot in 0..bytes.len() / 32 {
        let refused = |content: [u8; 32]| {
            let mut bytes = bytes.clone();
            bytes[32 * slot..32 * slot + 32].copy_from_slice(&content);
            Proof::<C>::decode(&bytes, &SHAPE).expect_err("not canonical")
        };
        let expected = if is_scalar(slot) {
            DecodeError::Scalar
        } else {
            DecodeError::Point
        };
        for offset in [0, 1, 2, 0xffff, 0x1_0000, 1 << 40] {
            let content = if is_scalar(slot) {
                beyond::<C::ScalarExt>(offset)
            } else {
                base_beyond::<C>(offset)
            };
            assert_eq!(refused(content), expected, "slot {slot}, p + {offset}");
        }
        assert_eq!(refused([0xff; 32]), expected, "slot {slot}");
        let mut sign = [0; 32];
        sign[31] = 0x80;
        assert_eq!(
            refused(sign),
            expected,
            "the identity with a sign, slot {slot}"
        );
    }
    for len in 0..bytes.len() {
        assert_eq!(
            Proof::<C>::decode(&bytes[..len], &SHAPE),
            Err(DecodeError::Short)
        );
    }
    for extra in [1, 31, 32, 64] {
        let long = [bytes.as_slice(), &vec![0; extra]].concat();
        assert_eq!(
            Proof::<C>::decode(&long, &SHAPE),
            Err(DecodeError::Trailing(extra))
        );
    }
}

/// x + p as the x coordinate, for the encoding of a point; either sign bit.
fn base_beyond<C: Curve>(offset: u64) -> [u8; 32] {
    let mut bytes = match C::NAME {
        "vesta" => beyond::<Fq>(offset),
        _ => beyond::<Fp>(offset),
    };
    if offset & 1 == 1 {
        bytes[31] |= 0x80;
    }
    bytes
}

#[test]
fn every_slot_is_canonical() {
    slots_refuse::<EqAffine>();
    slots_refuse::<EpAffine>();
}

fn scalars_beyond_the_modulus<F: Field>() {
    for offset in 0..=1u64 << 16 {
        let bytes = beyond::<F>(offset);
        assert_eq!(Reader::new(&bytes).scalar::<F>(), Err(DecodeError::Scalar));
    }
    let mut last = Reader::new(&[0; 0]).clone();
    assert_eq!(last.scalar::<F>(), Err(DecodeError::Short));
    let largest = (-F::ONE).to_repr();
    last = Reader::new(&largest);
    assert_eq!(last.scalar::<F>(), Ok(-F::ONE));
    assert_eq!(last.finish(), Ok(()));
}

#[test]
fn all_of_p_to_p_plus_65536_refused() {
    scalars_beyond_the_modulus::<Fp>();
    scalars_beyond_the_modulus::<Fq>();
}

#[test]
fn the_identity_is_32_zero_bytes() {
    let mut writer = Writer::new();
    writer.point(&EqAffine::default());
    assert_eq!(writer.0, [0; 32]);
    assert_eq!(Reader::new(&writer.0).point(), Ok(EqAffine::default()));
}

#[test]
fn lengths_that_lie_are_refused_before_they_cost_anything() {
    for lie in [2u64, 1 << 31, 1 << 61, 1 << 63, u64::MAX] {
        let bytes = [lie.to_le_bytes().as_slice(), &[7; 8]].concat();
        assert_eq!(Reader::new(&bytes).len(8), Err(DecodeError::Short));
        if lie > 8 {
            assert_eq!(Reader::new(&bytes).string(), Err(DecodeError::Short));
        }
        let count = usize::try_from(lie).unwrap();
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.points::<EqAffine>(count), Err(DecodeError::Short));
        assert_eq!(reader.scalars::<Fp>(count), Err(DecodeError::Short));
        assert_eq!(reader.remaining(), 16, "a refused list reads nothing");
    }
}

#[test]
fn text_must_be_utf8() {
    let bytes = [2u64.to_le_bytes().as_slice(), &[0xc3, 0x28]].concat();
    assert!(matches!(
        Reader::new(&bytes).string(),
        Err(DecodeError::Value(_))
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn bytes_that_decode_encode_to_themselves(bytes in prop::array::uniform32(any::<u8>()), high in 0u8..=0xff) {
        let mut bytes = bytes;
        bytes[31] = high;
        let mut w = Writer::new();
        if let Ok(value) = Reader::new(&bytes).scalar::<Fp>() {
            w.scalar(&value);
            prop_assert_eq!(&w.0, &bytes);
        }
        let mut w = Writer::new();
        if let Ok(point) = Reader::new(&bytes).point::<EqAffine>() {
            w.point(&point);
            prop_assert_eq!(&w.0, &bytes);
        }
    }

    #[test]
    fn writer_and_reader_agree(
        a in any::<u8>(), b in any::<u32>(), c in any::<u64>(), d in any::<i64>(), e in any::<u64>(),
        text in ".{0,12}", seed in prop::array::uniform32(any::<u8>()),
    ) {
        let mut uniform = [0u8; 64];
        uniform[..32].copy_from_slice(&seed);
        let scalar: Fp = wide(uniform);
        let mut w = Writer::new();
        w.u8(a); w.u32(b); w.u64(c); w.i64(d); w.f64(f64::from_bits(e)); w.string(&text); w.scalar(&scalar);
        let mut r = Reader::new(&w.0);
        prop_assert_eq!(r.u8(), Ok(a));
        prop_assert_eq!(r.u32(), Ok(b));
        prop_assert_eq!(r.u64(), Ok(c));
        prop_assert_eq!(r.i64(), Ok(d));
        prop_assert_eq!(r.f64().map(f64::to_bits), Ok(e));
        prop_assert_eq!(r.string(), Ok(text));
        prop_assert_eq!(r.scalar::<Fp>(), Ok(scalar));
        prop_assert_eq!(r.finish(), Ok(()));
    }

    #[test]
    fn a_proof_with_one_byte_changed_is_another_proof_or_none(at in 0usize..640, flip in 1u8..=255) {
        let mut bytes = proof::<EqAffine>(2).encode();
        let at = at % bytes.len();
        bytes[at] ^= flip;
        if let Ok(other) = Proof::<EqAffine>::decode(&bytes, &SHAPE) {
            prop_assert_eq!(other.encode(), bytes);
            prop_assert!(other != proof::<EqAffine>(2));
        }
    }
}
