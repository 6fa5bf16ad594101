//! Multi-scalar multiplication: the deferred one that a verification amounts to, and a scalar executor.

use alloc::vec::Vec;

use ff::{Field as _, PrimeField};
use group::Group;

use crate::curve::{Curve, Generators, Point, Scalar};

/// What computes an MSM for the verifier: [`msm`] itself, or a device's.
pub type Executor<'a, C> = &'a dyn Fn(&[C], &[Scalar<C>]) -> Point<C>;

/// A sum that must be the identity. Sums of several proofs may be added with independent random weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeferredMsm<C: Curve> {
    /// Coefficients of the row generators.
    pub rows: Vec<Scalar<C>>,
    /// Coefficient of U.
    pub product: Scalar<C>,
    /// Coefficient of B.
    pub blinding: Scalar<C>,
    /// Every other point with its coefficient.
    pub terms: Vec<(Scalar<C>, C)>,
}

impl<C: Curve> DeferredMsm<C> {
    /// Whether the sum is the identity.
    #[must_use]
    pub fn is_identity(&self, generators: &Generators<C>, execute: Executor<'_, C>) -> bool {
        self.rows.len() == generators.rows.len()
            && bool::from(self.evaluate(generators, execute).is_identity())
    }

    /// The sum.
    #[must_use]
    pub fn evaluate(&self, generators: &Generators<C>, execute: Executor<'_, C>) -> Point<C> {
        let used = self
            .terms
            .iter()
            .filter(|(scalar, point)| !bool::from(scalar.is_zero() | point.is_identity()));
        let (mut scalars, mut points): (Vec<_>, Vec<_>) = used.copied().unzip();
        scalars.extend(
            self.rows
                .iter()
                .copied()
                .chain([self.product, self.blinding]),
        );
        points.extend(
            generators
                .rows
                .iter()
                .copied()
                .chain([generators.product, generators.blinding]),
        );
        execute(&points, &scalars)
    }
}

/// `sum_i scalars[i] points[i]` by signed windows, on one thread. Variable time: for public values.
///
/// ```
/// use group::{Curve as _, Group as _};
/// use pasta_curves::{Eq, EqAffine, Fp};
/// use zkernel_verifier::msm::msm;
///
/// let g = Eq::generator();
/// let points: [EqAffine; 2] = [g, g.double()].map(|p| p.to_affine());
/// assert_eq!(msm(&points, &[Fp::from(5), -Fp::from(2)]), g);
/// ```
#[must_use]
pub fn msm<C: Curve>(points: &[C], scalars: &[Scalar<C>]) -> Point<C> {
    let window = window_bits(points.len());
    let digits: Vec<Vec<i32>> = scalars
        .iter()
        .map(|scalar| signed_digits(scalar, window))
        .collect();
    let windows = digits.iter().map(Vec::len).fold(0, usize::max);
    (0..windows)
        .rev()
        .fold(Point::<C>::identity(), |sum, index| {
            let shifted = (0..window).fold(sum, |sum, _| sum.double());
            let of_window = digits.iter().map(|d| d.get(index).copied().unwrap_or(0));
            shifted + window_sum(points, of_window, window)
        })
}

/// Sums the points of one window: each into the bucket of its digit, then buckets weighted by running sums.
fn window_sum<C: Curve>(points: &[C], digits: impl Iterator<Item = i32>, window: u32) -> Point<C> {
    let buckets = 1usize.checked_shl(window.saturating_sub(1)).unwrap_or(1);
    let mut sums = alloc::vec![Point::<C>::identity(); buckets];
    for (point, digit) in points.iter().zip(digits) {
        let bucket = usize::try_from(digit.unsigned_abs())
            .ok()
            .and_then(|d| d.checked_sub(1));
        if let Some(sum) = bucket.and_then(|b| sums.get_mut(b)) {
            *sum += if digit < 0 { -*point } else { *point };
        }
    }
    let mut running = Point::<C>::identity();
    sums.into_iter()
        .rev()
        .fold(Point::<C>::identity(), |total, sum| {
            running += sum;
            total + running
        })
}

/// About the cheapest window: additions per window are n + 2^c.
fn window_bits(len: usize) -> u32 {
    let cost = |c: u32| {
        (255u32.div_ceil(c).saturating_add(1)).saturating_mul(
            u32::try_from(len)
                .unwrap_or(u32::MAX / 64)
                .saturating_add(1u32 << c),
        )
    };
    (2..=14).min_by_key(|c| cost(*c)).unwrap_or(4)
}

/// Digits d_i in -2^(c-1) .. 2^(c-1) with `scalar = sum d_i 2^(c i)`.
fn signed_digits<F: PrimeField>(scalar: &F, window: u32) -> Vec<i32> {
    let repr = scalar.to_repr();
    let bits = repr
        .as_ref()
        .iter()
        .flat_map(|byte| (0..8u32).map(move |i| i32::from(byte >> i & 1)));
    let bits: Vec<i32> = bits.collect();
    let mut carry = 0i32;
    let width = usize::try_from(window).unwrap_or(1);
    let half = 1i32 << window.saturating_sub(1);
    let mut digits: Vec<i32> = Vec::new();
    for chunk in bits.chunks(width) {
        let value = chunk
            .iter()
            .rev()
            .fold(0i32, |v, bit| v << 1 | bit)
            .saturating_add(carry);
        carry = i32::from(value > half);
        digits.push(value.saturating_sub(carry << window));
    }
    digits.push(carry);
    digits
}
