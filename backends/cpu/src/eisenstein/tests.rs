//! Digits are complete, and stand for their scalars.

use std::collections::BTreeMap;

use ff::{FromUniformBytes as _, PrimeField as _, WithSmallOrderMulGroup};
use pasta_curves::{Fp, Fq};
use proptest::prelude::*;
use zkernel_backend::Field;

use super::*;
use crate::halves::tests::edges;
use crate::integers::Octet;
use crate::kernels;
use crate::level::Level;

fn bases() -> impl Iterator<Item = Base> {
    Base::WIDTHS.flat_map(Base::of_width)
}

/// All `(i, j)` of a shape by the places of their buckets.
fn pairs(shape: impl Shape) -> BTreeMap<usize, (i16, i16)> {
    let of = |i| (0..=shape.end(i)).map(move |j| (i, j));
    let all = (1..=shape.most()).flat_map(of);
    let own = all.map(|(i, j)| (shape.place(i, j) as usize, (i, j)));
    let pairs: BTreeMap<_, _> = own.clone().collect();
    assert_eq!(pairs.len(), own.count(), "one place each");
    pairs
}

/// The digit of a code, `a + b omega`.
fn digit(places: usize, pairs: &BTreeMap<usize, (i16, i16)>, code: u16) -> (i16, i16) {
    let place = usize::from(code) % MOST_PLACES;
    if place == places {
        return (0, 0);
    }
    let (mut x, mut y) = pairs[&place];
    assert!(code >> PLACE_BITS < 6);
    for _ in 0..code >> PLACE_BITS {
        // zeta6 (x + y zeta6)
        (x, y) = (-y, x + y);
    }
    (x + y, y)
}

#[test]
fn every_bucket_has_a_place_and_lines() {
    fn check(shape: impl Shape) {
        let pairs = pairs(shape);
        assert!(pairs.keys().all(|place| *place < shape.places()));
        assert!(shape.places() < MOST_PLACES);
        let mut seen: BTreeMap<usize, (i16, i16)> = pairs.keys().map(|p| (*p, (0, 0))).collect();
        let [by_i, by_j] = lines(shape);
        for (value, (plain, turned)) in (1..).zip(by_i.iter().zip(&by_j)) {
            let of = |place: &u32| *place as usize;
            plain
                .iter()
                .for_each(|place| seen.entry(of(place)).or_default().0 += value);
            turned
                .iter()
                .for_each(|place| seen.entry(of(place)).or_default().1 += value);
        }
        assert_eq!(seen, pairs);
    }
    for base in bases() {
        check(base.hexagon);
        check(base.triangle);
    }
}

/// Every residue, with its carry, is a digit of the hexagon and carries of 0 or 1 times the base.
#[test]
fn every_residue_has_a_digit() {
    for base in bases() {
        let pairs = pairs(base.hexagon);
        for (a, b) in (0..=base.n).flat_map(|a| (0..=base.n).map(move |b| (a, b))) {
            let (carry, other) = base.carries(a, b);
            let own = (a - (carry & base.n), b - (other & base.n));
            let code = code(base.hexagon, own.0, own.1);
            let places = base.hexagon.places();
            assert_eq!(digit(places, &pairs, code), own, "{base:?} {a} {b}");
        }
    }
}

/// Every number of the triangle, turned, has a code.
#[test]
fn every_last_digit_has_a_code() {
    for base in bases() {
        let (pairs, most) = (pairs(base.triangle), base.triangle.most());
        for (a, b) in (-most..=most).flat_map(|a| (-most..=most).map(move |b| (a, b))) {
            if (a - b).abs() <= most {
                let code = code(base.triangle, a, b);
                assert_eq!(digit(base.triangle.places(), &pairs, code), (a, b));
            }
        }
    }
}

/// The scalars that codes stand for, on both levels.
fn round_trip<F: Field + WithSmallOrderMulGroup<3>>(values: &[F], base: Base) {
    let element = |(i, j): (i16, i16)| F::from(i as u64) - F::from(j as u64) * F::ZETA.square();
    let elements = |pairs: BTreeMap<usize, (i16, i16)>| -> BTreeMap<usize, F> {
        let own = pairs.into_iter();
        own.map(|(place, pair)| (place, element(pair))).collect()
    };
    let shapes = [
        elements(pairs(base.hexagon)),
        elements(pairs(base.triangle)),
    ];
    let count = values.len() as u32;
    for level in [Level::PORTABLE, Level::detect()] {
        let mut codes = Codes::new(base, values.len());
        for (codes, values) in codes.chunks().zip(values.chunks(Codes::TOGETHER)) {
            let mut octets = vec![Octet::default(); values.len().div_ceil(8)];
            kernels::octets(level, values, &mut octets);
            kernels::recode::<F, ()>(level, &base, &mut octets, (codes, &[]));
        }
        let mut sums = vec![F::ZERO; values.len()];
        for window in (0..base.count()).rev() {
            sums.iter_mut()
                .for_each(|sum| *sum *= F::from(1 << base.width));
            let middle = values.len() / 2 / 8 * 8;
            let halves = [0..middle, middle..values.len()];
            let terms = halves
                .iter()
                .flat_map(|range| codes.of_window(window, range));
            for ((place, reference), index) in terms.zip(0..count) {
                let point = reference & !NEGATED;
                assert_eq!(point / 3, index);
                if place == base.places(window) {
                    continue;
                }
                let unit = F::ZETA.pow_vartime([u64::from(point % 3)]);
                let digit = shapes[usize::from(base.is_last(window))][&place] * unit;
                let negative = reference & NEGATED != 0;
                sums[index as usize] += if negative { -digit } else { digit };
            }
        }
        assert!(sums == values, "{base:?}");
    }
}

#[test]
fn digits_of_edges_stand_for_scalars() {
    for base in bases() {
        round_trip(&edges::<Fp>(), base);
        round_trip(&edges::<Fq>(), base);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn digits_stand_for_scalars(wide in prop::collection::vec(any::<[u8; 32]>(), 1..40), index in 0..bases().count()) {
        let full = |bytes: &[u8; 32]| {
            let mut uniform = [0; 64];
            uniform[32..].copy_from_slice(bytes);
            uniform
        };
        let fp = wide.iter().map(|bytes| Fp::from_uniform_bytes(&full(bytes)));
        round_trip(&fp.chain([Fp::TWO_INV]).collect::<Vec<Fp>>(), bases().nth(index).unwrap());
        let fq = wide.iter().map(|bytes| Fq::from_uniform_bytes(&full(bytes)));
        round_trip(&fq.chain([Fq::TWO_INV]).collect::<Vec<Fq>>(), bases().nth(index).unwrap());
    }
}
