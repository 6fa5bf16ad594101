//! The field and curve the proof system is generic over: either curve of the Pasta cycle.

use alloc::vec::Vec;

use ff::{FromUniformBytes, PrimeField};
use group::{Curve as _, GroupEncoding};
use pasta_curves::arithmetic::{CurveAffine, CurveExt};
use pasta_curves::{EpAffine, EqAffine, Fp, Fq};

/// A prime field with 32-byte canonical little-endian encodings and a large power-of-two subgroup.
pub trait Field: PrimeField<Repr = [u8; 32]> + FromUniformBytes<64> + Ord {}

impl Field for Fp {}
impl Field for Fq {}

/// A commitment curve in affine coordinates with 32-byte compressed encodings; the identity is 32 zero bytes.
pub trait Curve: CurveAffine<ScalarExt: Field> + GroupEncoding<Repr = [u8; 32]> {
    /// Name that goes into the generators' domain and the key's digest.
    const NAME: &'static str;
}

impl Curve for EqAffine {
    const NAME: &'static str = "vesta";
}

impl Curve for EpAffine {
    const NAME: &'static str = "pallas";
}

/// The scalar field of a commitment curve: the field of every cell, challenge and evaluation.
pub type Scalar<C> = <C as CurveAffine>::ScalarExt;
/// The projective form of a commitment curve.
pub type Point<C> = <C as CurveAffine>::CurveExt;

/// Domain of the hash-to-curve from which every generator is derived.
const GENERATOR_DOMAIN: &str = "zkernel-v1-generators";

/// The points all commitments are made of, nobody knowing a linear relation between them.
///
/// `[f] = sum_j f_j G_j + r B`; `U` carries the inner product. Derived from a domain string by hash-to-curve
/// (`pasta_curves`' simplified SWU), so nothing has to be trusted or loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generators<C> {
    /// `G_0 .. G_{n-1}`, one per row.
    pub rows: Vec<C>,
    /// `U`: carries inner products.
    pub product: C,
    /// `B`: carries blinding factors.
    pub blinding: C,
}

impl<C: Curve> Generators<C> {
    /// Derives the generators for columns of `2^log_n` cells.
    #[must_use]
    pub fn derive(log_n: u32) -> Self {
        let points: Vec<Point<C>> = (0..1u64 << log_n).map(Self::row).collect();
        let mut rows = alloc::vec![C::identity(); points.len()];
        Point::<C>::batch_normalize(&points, &mut rows);
        Self::assemble(rows)
    }

    /// `G_index` in projective form; callers may derive ranges in parallel and pass them to [`Generators::assemble`].
    #[must_use]
    pub fn row(index: u64) -> Point<C> {
        Point::<C>::hash_to_curve(GENERATOR_DOMAIN)(&index.to_le_bytes())
    }

    /// Adds `U` and `B` to row generators that the caller derived with [`Generators::row`].
    #[must_use]
    pub fn assemble(rows: Vec<C>) -> Self {
        let hash = Point::<C>::hash_to_curve(GENERATOR_DOMAIN);
        Self {
            rows,
            product: hash(b"U").to_affine(),
            blinding: hash(b"B").to_affine(),
        }
    }
}

/// `value` as a field element, negative values as `p - |value|`.
#[must_use]
pub fn signed<F: PrimeField>(value: i64) -> F {
    let magnitude = F::from(value.unsigned_abs());
    if value < 0 { -magnitude } else { magnitude }
}

/// `x^exponent` from the exponent's highest bit on. Exponents here are short: `pow_vartime` squares 64 times for each.
#[must_use]
pub fn power<F: PrimeField>(x: F, exponent: u64) -> F {
    let bits = u64::BITS.saturating_sub(exponent.leading_zeros());
    (0..bits).rev().fold(F::ONE, |power, bit| {
        let squared = if power == F::ONE {
            power
        } else {
            power.square()
        };
        if exponent >> bit & 1 == 1 {
            squared * x
        } else {
            squared
        }
    })
}

/// The value in x of the polynomial with those coefficients, lowest first.
#[must_use]
pub fn evaluate<F: PrimeField>(coefficients: &[F], x: F) -> F {
    let coefficients = coefficients.iter().rev();
    coefficients.fold(F::ZERO, |value, c| value * x + c)
}

/// `1, x, x^2, ..` (`count` of them).
#[must_use]
pub fn powers<F: PrimeField>(x: F, count: usize) -> Vec<F> {
    core::iter::successors(Some(F::ONE), |p| Some(*p * x))
        .take(count)
        .collect()
}
