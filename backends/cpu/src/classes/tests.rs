//! Sums in all bases and divisions.

use ff::{Field as _, FromUniformBytes as _, PrimeField as _};
use group::{Curve as _, Group as _};
use pasta_curves::{Eq, EqAffine, Fp, Fq};

use super::*;
use crate::affine::normalize;
use crate::msm::finished;

/// Scalars of full size; if MIXED, among them equal ones, of which a bucket gets many, and ones whose digits are few.
pub(crate) fn scalars(count: usize, mixed: bool) -> Vec<Fp> {
    let own = |i: usize| {
        let mut bytes = [0; 64];
        bytes[..8].copy_from_slice(&(i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
        match i % 9 {
            0 if mixed => Fp::ZERO,
            1 if mixed => -Fp::ONE,
            2 | 3 if mixed => Fp::TWO_INV,
            _ => Fp::from_uniform_bytes(&bytes).square().square(),
        }
    };
    (0..count).map(own).collect()
}

/// Multiples of the generator in order.
pub(crate) fn points(count: usize) -> Vec<EqAffine> {
    let generator = Eq::generator();
    let next = |p: &Eq| Some(*p + generator);
    let points = core::iter::successors(Some(generator), next);
    normalize(&points.take(count).collect::<Vec<_>>())
}

/// The sum of these with scalars.
pub(crate) fn wanted(scalars: &[Fp]) -> EqAffine {
    let sum: Fp = (1..).zip(scalars).map(|(i, s)| Fp::from(i) * s).sum();
    (Eq::generator() * sum).to_affine()
}

fn own(level: Level, points: &[Xy<Fq>], scalars: &[Fp], division: Wide) -> EqAffine {
    let sums = sum::<EqAffine>(level, Source::Points(points), scalars, division);
    finished::<EqAffine>(sums).to_affine()
}

/// At all levels, in all bases, in several chunks, shares and rounds of them, the last one not whole. Where none are equal, no bucket is
/// cut.
#[test]
fn sums_are_those_of_logarithms() {
    let count = 2 * CHUNK - 805;
    let points = points(count);
    let inputs = [true, false].map(|mixed| scalars(count, mixed));
    let wanted = inputs.each_ref().map(|scalars| wanted(scalars));
    for level in Level::of_this_machine() {
        let portable = level == Level::PORTABLE;
        let points = Xy::all(level, &points);
        let bases = Base::wide().chain([Base::new(5, 25)]);
        let bases = bases.filter(|base| !portable || base.width() < 8);
        let ways = [(1, 1), (2, 1), (1, 2), (2, 2)].into_iter().cycle();
        for (base, (shares, rounds)) in bases.zip(ways) {
            let division = Wide {
                base,
                shares,
                rounds,
            };
            for (scalars, wanted) in inputs.iter().zip(wanted) {
                let own = own(level, &points, scalars, division);
                assert_eq!(own, wanted, "{level:?} {division:?}");
            }
        }
    }
}

/// So many that classes are put together as they lie, in one round and in two.
#[test]
fn hardly_a_bucket_is_empty() {
    let count = 10 * CHUNK - 805;
    let (points, scalars) = (points(count), scalars(count, false));
    let wanted = wanted(&scalars);
    let levels = Level::of_this_machine().into_iter();
    for level in levels.filter(|level| *level != Level::PORTABLE) {
        let points = Xy::all(level, &points);
        for rounds in [1, 2] {
            let division = Wide {
                base: Base::new(7, 17),
                shares: 1,
                rounds,
            };
            let own = own(level, &points, &scalars, division);
            assert_eq!(own, wanted, "{level:?} {rounds}");
        }
    }
}

/// Threads may come to the rounds of a window in any order: of more threads than processors some wait between taking one and beginning it.
#[test]
fn rounds_come_in_any_order() {
    let count = 4 * CHUNK - 805;
    let (points, scalars) = (points(count), scalars(count, false));
    let wanted = wanted(&scalars);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(64).build();
    let level = Level::detect();
    let points = Xy::all(level, &points);
    for shares in [2, 1, 1, 2, 1, 1, 1, 1] {
        let division = Wide {
            base: Base::new(7, 17),
            shares,
            rounds: 4 / shares,
        };
        let pool = pool.as_ref().expect("there are threads");
        let own = pool.install(|| own(level, &points, &scalars, division));
        assert_eq!(own, wanted, "{division:?}");
    }
}
