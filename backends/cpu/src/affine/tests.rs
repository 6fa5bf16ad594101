//! Sums of points at both levels, against plain ones.

use group::{CurveAffine as _, Group as _};
use pasta_curves::{Ep, EpAffine, EqAffine};
use proptest::prelude::*;

use super::*;
use crate::pace::Pace;

/// Every level; without the instructions, the portable one.
fn levels() -> [Level; 3] {
    let at = |pace| Level::avx512_ifma_at(pace).unwrap_or(Level::PORTABLE);
    [
        Level::PORTABLE,
        at(Pace::FewProducts),
        at(Pace::FewInstructions),
    ]
}

/// Small multiples of the generator, the identity and opposites among them: sums meet often.
fn multiples<C: Curve>(of: &[i8]) -> Vec<Xy<C::Base>> {
    let point = |m: &i8| {
        let point = C::generator() * C::ScalarExt::from(u64::from(m.unsigned_abs()));
        Xy::new(&point.to_affine()).signed(*m < 0)
    };
    of.iter().map(point).collect()
}

/// Every pair of small multiples, in every lane, plain and negated.
fn pairs<C: Curve>() {
    let values: Vec<i8> = (-3..=3).collect();
    let source = multiples::<C>(&values);
    let signs = [0, NEGATED];
    let operand = || (0..7u32).flat_map(|i| signs.map(|sign| i | sign));
    let references: Vec<u32> = operand()
        .flat_map(|left| operand().map(move |right| [left, right]))
        .flatten()
        .collect();
    let value = |reference: u32| {
        let value = values[(reference & !NEGATED) as usize];
        if reference & NEGATED == 0 {
            value
        } else {
            -value
        }
    };
    let sums: Vec<i8> = references
        .chunks(2)
        .map(|p| value(p[0]) + value(p[1]))
        .collect();
    for level in levels() {
        let mut counts = vec![2; references.len() / 2];
        let reduced = Adder::with(level, |adder| {
            adder.reduce(Source::Points(&source), &references, &mut counts)
        });
        assert!(counts.iter().all(|count| *count == 1));
        assert!(reduced == multiples::<C>(&sums));
    }
}

#[test]
fn every_pair() {
    pairs::<EpAffine>();
    pairs::<EqAffine>();
}

/// A source so large that points are fetched ahead, in buckets of several waves.
#[test]
fn sums_from_far() {
    let few = multiples::<EpAffine>(&(-60..60).collect::<Vec<i8>>());
    let source: Vec<_> = few.iter().copied().cycle().take((1 << 16) + 7).collect();
    let length = source.len() as u32;
    let references: Vec<u32> = (0..6000u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) % length) | ((i % 3 / 2) << 31))
        .collect();
    let counts: Vec<u32> = (0..1000).map(|i| 2 + i % 9).collect();
    assert_eq!(counts.iter().sum::<u32>(), 5996);
    let references = &references[..5996];
    let [portable, fast, few] = levels().map(|level| {
        Adder::with(level, |adder| {
            crate::buckets::sum(
                adder,
                Source::Points(&source),
                references.to_vec(),
                counts.clone(),
            )
        })
    });
    assert_eq!(portable.len(), counts.len());
    assert!(portable == fast && portable == few);
}

fn sum(points: &[Xy<<EpAffine as CurveAffine>::Base>]) -> Ep {
    points
        .iter()
        .map(|p| p.point::<EpAffine>().to_curve())
        .fold(Ep::identity(), |a, b| a + b)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn sums_by_bucket(counts in prop::collection::vec(0u32..40, 1..30), huge in 0u32..20_000) {
        let counts = [&counts[..], &[huge]].concat();
        let total: u32 = counts.iter().sum();
        let source = multiples::<EpAffine>(&(-60..60).collect::<Vec<i8>>());
        let references: Vec<u32> = (0..total).map(|i| (i * i % 113) | ((i % 3 / 2) << 31)).collect();
        let [portable, fast, few] = levels().map(|level| {
            let mut left = counts.clone();
            let points = Adder::with(level, |adder| adder.reduce(Source::Points(&source), &references, &mut left));
            let mut points = &points[..];
            let of_bucket = |count: &u32| {
                let (own, rest) = points.split_at(*count as usize);
                points = rest;
                sum(own)
            };
            left.iter().map(of_bucket).collect::<Vec<Ep>>()
        });
        prop_assert!(portable == fast && portable == few);
    }

    #[test]
    fn weighted_sums(values in prop::collection::vec(-9i8..9, 1..20), groups in 1usize..20, bits in 0u32..6) {
        let cycle = values.iter().copied().cycle();
        let buckets = multiples::<EpAffine>(&cycle.take(groups << bits).collect::<Vec<i8>>());
        let [portable, fast, few] = levels().map(|level| {
            Adder::with(level, |adder| {
                let sums = adder.bit_sums(&buckets, 1 << bits);
                let own = |i: u32| sums.iter().skip(i as usize).step_by(bits as usize + 1).copied().collect();
                let addends: Vec<(u32, Vec<_>)> = (0..=bits).rev().map(|i| (2 * i, own(i))).collect();
                let totals = adder.horner(groups, &addends);
                let multiples = adder.multiples(&buckets, 3, 4);
                (sums, totals, multiples)
            })
        });
        prop_assert!(portable == fast && portable == few);
        let all: Vec<Ep> = fast.0.iter().step_by(bits as usize + 1).map(|p| p.point::<EpAffine>().to_curve()).collect();
        let wanted: Vec<Ep> = buckets.chunks(1 << bits).map(sum).collect();
        prop_assert!(all == wanted);
    }
}
