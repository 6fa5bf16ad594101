//! Random-looking inputs that are the same everywhere.

use ff::PrimeField as _;
use group::CurveAffine as _;
use group::{Curve as _, Group as _};
use pasta_curves::{Ep, EpAffine, Fq};

/// `count` scalars: full ones, or integers below `2^(bits-1)` in magnitude of both signs.
#[must_use]
pub fn scalars(count: usize, bits: u32) -> Vec<Fq> {
    let mut words = words();
    let mut next = || words.next().unwrap_or_default();
    let mut one = || {
        let word = next();
        if bits >= 64 {
            let high = Fq::from(next()) * Fq::from(next()) * Fq::from(word);
            return high * Fq::from(next()) + Fq::from(word);
        }
        let magnitude = Fq::from(word >> (65 - bits));
        if word & 1 == 1 { -magnitude } else { magnitude }
    };
    (0..count).map(|_| one()).collect()
}

/// `count` integers from -128 to 127.
#[must_use]
pub fn signed_bytes(count: usize) -> Vec<i64> {
    let byte = |word: u64| i64::from((word >> 56) as u8 as i8);
    words().map(byte).take(count).collect()
}

/// Words of a xorshift generator.
fn words() -> impl Iterator<Item = u64> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    std::iter::repeat_with(move || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    })
}

/// `count` distinct points on Pallas, each twice the one before it and a step: sums of neighbours do not meet, as those of a
/// regular walk would, and as those of hashed generators do not.
#[must_use]
pub fn points(count: usize) -> Vec<EpAffine> {
    let step = EpAffine::generator() * Fq::DELTA;
    let walk = std::iter::successors(Some(Ep::from(EpAffine::generator())), |p| {
        Some(p.double() + step.to_affine())
    });
    let walk: Vec<Ep> = walk.take(count).collect();
    let mut affine = vec![EpAffine::default(); count];
    Ep::batch_normalize(&walk, &mut affine);
    affine
}

/// The generator of the subgroup of order `2^log_n`.
#[must_use]
pub fn omega(log_n: u32) -> Fq {
    (log_n..Fq::S).fold(Fq::ROOT_OF_UNITY, |w, _| w.square())
}
