//! Sums of all kinds of scalars and sizes.

use ff::{Field as _, PrimeField as _};
use pasta_curves::{Eq, EqAffine, Fp};

use super::*;
use crate::classes::tests::{points, wanted};

/// What the first scalars, or some, tell of the others may be wrong.
#[test]
fn scalars_are_of_other_sizes_than_they_seem() {
    let count = 40_003;
    let full = |i: u64| Fp::DELTA * (Fp::from(i).square() + Fp::ONE).square();
    let seems_wide = |i: u64| if i < 8 { full(i) } else { Fp::from(i % 200) };
    let seems_zero = |i: u64| if i < 8 { Fp::ZERO } else { full(i) };
    // All octets but those that tell the window, of which every one is looked at.
    let step = count as u64 / 8 / 32;
    let seems_short = |i: u64| {
        if (i / 8).is_multiple_of(step) {
            Fp::from(i % 9)
        } else {
            full(i)
        }
    };
    let points = points(count);
    let kinds: [&dyn Fn(u64) -> Fp; 3] = [&seems_wide, &seems_zero, &seems_short];
    for kind in kinds {
        let scalars: Vec<Fp> = (0..count as u64).map(kind).collect();
        for level in Level::of_this_machine() {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
            let own = pool.unwrap().install(|| msm(level, &points, &scalars));
            assert_eq!(own.unwrap(), wanted(&scalars), "{level:?}");
        }
    }
}

/// Called from outside of a pool, where the pool's threads do all.
#[test]
fn long_sums_go_to_the_pool() {
    let count = LONG + 5;
    let scalars: Vec<Fp> = (0..count as u64).map(|i| Fp::from(i * i % 200)).collect();
    assert!(rayon::current_thread_index().is_none());
    let own = msm(Level::detect(), &points(count), &scalars);
    assert_eq!(own.unwrap(), wanted(&scalars));
}

/// Points with known logarithms, so many that the one window of a byte is summed run by run on one thread, and cut into
/// parts on several.
#[test]
fn one_window_in_runs_and_on_several_threads() {
    let count = 2 * RUN + 5;
    let generator = Eq::generator();
    let points = points(count);
    let signed = |v: i64| {
        let magnitude = Fp::from(v.unsigned_abs());
        if v < 0 { -magnitude } else { magnitude }
    };
    // Of the latter, some buckets are empty in every run.
    let spread = |i: i64| i * i % 256 - 128;
    let few = |i: i64| if i % 3 == 0 { 100 } else { -7 };
    // Few buckets, so that several threads have queues; many, so that they have sections.
    let short = |i: i64| i * i % 15 - 7;
    let long = |i: i64| i * i * 7 % 65_521 - 32_760;
    let values = [spread as fn(i64) -> i64, few, short, long];
    let narrow = values.map(|value| (0..count as i64).map(value).map(signed).collect());
    // Few of full size among them are enough for others to be written in digits of both halves.
    let wide = |i: u64| {
        if i % 7 < 5 {
            Fp::DELTA * Fp::from(i).square()
        } else {
            Fp::from(i)
        }
    };
    let wide = (0..count as u64).map(wide).collect();
    // Short ones but for some that those do not tell by which all are judged, among them the last.
    let mixed = |i: i64| match i % 4096 {
        100 => signed(1000 + i),
        4000 => Fp::DELTA * signed(i),
        // The largest digits of the window, and what is just beyond.
        2001..2005 => signed([8, -8, 9, -9][i as usize % 4096 - 2001]),
        _ if i as usize == count - 1 => -Fp::DELTA,
        _ => signed(short(i)),
    };
    let mixed = (0..count as i64).map(mixed).collect();
    for scalars in narrow.into_iter().chain([wide, mixed]) {
        let scalars: Vec<Fp> = scalars;
        let sum: Fp = (1..).zip(&scalars).map(|(i, s)| Fp::from(i) * s).sum();
        let levels = Level::of_this_machine().into_iter();
        for (level, threads) in levels.flat_map(|level| [(level, 1), (level, 3)]) {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let own = pool.unwrap().install(|| msm(level, &points, &scalars));
            assert_eq!(
                own.unwrap(),
                (generator * sum).to_affine(),
                "{level:?} {threads}"
            );
            // Of scalars that are integers already.
            let (points, integers) = (Xy::all(level, &points), Integers::new(level, &scalars));
            let variable = || variable::<EqAffine>(level, &points, integers);
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            assert_eq!(pool.unwrap().install(variable), generator * sum);
        }
    }
}
