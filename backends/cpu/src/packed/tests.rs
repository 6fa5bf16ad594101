//! Packed arithmetic against `pasta_curves`, with limbs at the edges of every carry.

use ff::PrimeField;
use group::{Curve as _, Group as _};
use pasta_curves::{Ep, Fp, Fq};
use proptest::prelude::*;

use super::lanes::{LIMB, Lanes, carry, carry_up, digits, lift, signed_digits};
use super::points::{Block, Packed, Pair};
use super::prime::Prime;
use super::vector::{Ifma, Vector};
use super::{shared, turns};
use crate::affine::{NEGATED, Xy};
use crate::pace::Pace;

/// Limbs of which carries are made.
pub(super) const EDGES: [u64; 8] = [0, 1, 2, (1 << 46) - 1, 1 << 46, LIMB - 1, LIMB, LIMB >> 1];

/// Largest top limb of a value below 7 p, so that any product of two is within bounds.
const TOP: u64 = 7 << 46;

pub(super) fn packed<F: PrimeField>() -> Option<Prime<F>> {
    Prime::new(Ifma::new()?)
}

/// The element that limbs stand for.
fn element<F: PrimeField>(limbs: &[u64; 5]) -> F {
    let step = |sum: F, limb: &u64| sum * F::from(1 << 52) + F::from(*limb);
    limbs.iter().rev().fold(F::ZERO, step)
}

fn lanes(ifma: Ifma, values: &[[u64; 5]; 8]) -> Lanes {
    Lanes(core::array::from_fn(|i| {
        Vector::load(ifma, &values.map(|v| v[i]))
    }))
}

/// Limbs of each lane.
fn limbs(lanes: &Lanes) -> [[u64; 5]; 8] {
    let words = lanes.0.map(Vector::words);
    core::array::from_fn(|lane| words.map(|w| w[lane]))
}

/// The operations on eight pairs of values below 7 p, with their results as elements.
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn compare<F: PrimeField>(prime: Prime<F>, a: &[[u64; 5]; 8], b: &[[u64; 5]; 8]) {
    let k = prime.constants();
    let (x, y) = (lanes(prime.ifma, a), lanes(prime.ifma, b));
    let scale = F::from_u128(1 << 104).square() * F::from(1 << 52);
    let seven = core::array::from_fn(|i| (0..7).fold(k.zero()[i], |sum, _| sum.add(k.p[i])));
    let results = [
        limbs(&x.multiply(&y, k).canonical(k)),
        limbs(&x.square(k).canonical(k)),
        limbs(&x.add(&y, k).canonical(k)),
        limbs(&x.subtract(&y, &seven, k).canonical(k)),
        limbs(&Lanes::reduced(x.add(&Lanes(k.p2), k).0, k).canonical(k)),
    ];
    let low_bits = |lanes: &Lanes| limbs(lanes).map(|own| own.map(|limb| limb & LIMB));
    // In turns: the very digits of one after the other, at every pace.
    let pairs = ([&x, &y], [&y, &y]);
    for both in [
        turns::multiply::<false, false>(pairs.0, pairs.1, k),
        turns::multiply::<false, true>(pairs.0, pairs.1, k),
        turns::multiply::<true, false>(pairs.0, pairs.1, k),
    ] {
        for (own, other) in pairs.0.into_iter().zip(&both) {
            assert_eq!(low_bits(other), limbs(&own.multiply(&y, k)));
        }
    }
    // Twice the one and the other, the second of which keeps what it carries in its limbs.
    let (half, more) = (k.p2, digits(y.0.map(|limb| limb.add(limb))));
    let halves = [half, y.0];
    let signed = lift(unrolled!(5, j => x.0[j].sub(y.0[j])), &seven);
    let mores = [&more, &signed_digits(signed)];
    for squares in [
        turns::square_onto::<false>(halves, mores, pairs.0, k),
        turns::square_onto::<true>(halves, mores, pairs.0, k),
    ] {
        for (i, (own, square)) in pairs.0.into_iter().zip(squares).enumerate() {
            let (alone, half, more) = (own.square_uncarried(k), halves[i], mores[i].masked(k).0);
            let more = core::array::from_fn(|j| alone[j].add(half[j]).add(half[j]).add(more[j]));
            assert_eq!(limbs(&carry_up(square, k)), limbs(&carry_up(more, k)));
        }
    }
    for product in [
        turns::multiply_onto::<false, false>(&k.p5, pairs.0, pairs.1, k),
        turns::multiply_onto::<true, false>(&k.p5, pairs.0, pairs.1, k),
    ] {
        for (own, product) in pairs.0.into_iter().zip(product) {
            let alone = own.multiply_uncarried(&y, k);
            let more = core::array::from_fn(|i| alone[i].add(k.p5[i]));
            assert_eq!(limbs(&carry_up(product, k)), limbs(&carry_up(more, k)));
        }
    }
    // With one factor: the same elements at every pace, below 6 p or 2 p.
    for (shared, below) in [
        (shared::multiply_uncarried::<false>([&x, &y], y.0, k), 6),
        (shared::multiply_uncarried::<true>([&x, &y], y.0, k), 2),
    ] {
        let bound = (0..below).fold(k.zero(), |sum, _| {
            core::array::from_fn(|i| sum[i].add(k.p[i]))
        });
        let bound = limbs(&carry(bound, k))[0];
        for (own, product) in [&x, &y].into_iter().zip(shared) {
            let product = carry_up(product, k);
            assert_eq!(
                limbs(&product.canonical(k)),
                limbs(&own.multiply(&y, k).canonical(k))
            );
            assert!(
                limbs(&product)
                    .iter()
                    .all(|own| own.iter().rev().lt(bound.iter().rev()))
            );
        }
    }
    let prime_limbs = limbs(&Lanes(k.p))[0];
    for lane in 0..8 {
        let (u, v) = (element::<F>(&a[lane]), element::<F>(&b[lane]));
        let unscaled = scale.invert().unwrap_or(F::ZERO);
        let wanted = [u * v * unscaled, u.square() * unscaled, u + v, u - v, u];
        for (operation, (result, wanted)) in results.iter().zip(wanted).enumerate() {
            let own = result[lane];
            assert_eq!(element::<F>(&own), wanted, "operation {operation}");
            assert!(own.iter().rev().lt(prime_limbs.iter().rev()), "canonical");
        }
    }
}

/// Products of slopes below 6 p with runs below 36 p, 5 p more: below 10 p at every pace.
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn compare_falls<F: PrimeField>(prime: Prime<F>, slopes: &[[u64; 5]; 8], runs: &[[u64; 5]; 8]) {
    let k = prime.constants();
    let (a, b) = (lanes(prime.ifma, slopes), lanes(prime.ifma, runs));
    let few = turns::multiply_onto::<true, false>(&k.p5, [&a, &a], [&b, &b], k);
    let others = turns::multiply_onto::<false, false>(&k.p5, [&a, &a], [&b, &b], k);
    let bound = limbs(&carry(k.p5.map(|limb| limb.add(limb)), k))[0];
    let scale = F::from_u128(1 << 104).square() * F::from(1 << 52);
    for product in few.into_iter().chain(others) {
        let product = carry_up(product, k);
        for (own, (slope, run)) in limbs(&product).iter().zip(slopes.iter().zip(runs)) {
            assert_eq!(
                element::<F>(own) * scale,
                element::<F>(slope) * element::<F>(run)
            );
            assert!(own.iter().rev().lt(bound.iter().rev()));
        }
    }
}

/// The largest and other slopes and runs.
#[test]
fn falls_of_all_slopes() {
    fn here<F: PrimeField>(slopes: &[[u64; 5]; 8], runs: &[[u64; 5]; 8]) {
        if let Some(prime) = packed::<F>() {
            // SAFETY: `prime` holds an `Ifma`.
            unsafe { compare_falls(prime, slopes, runs) };
        }
    }
    let pattern = |index: usize, top: u64| -> [u64; 5] {
        let limb = |i: usize| EDGES[index >> (3 * i) & 7];
        let highest = top - [0, 1, 2, top / 2][index >> 12 & 3];
        core::array::from_fn(|i| if i < 4 { limb(i) } else { highest })
    };
    for block in 0..1 << 11 {
        let slopes = core::array::from_fn(|lane| pattern(8 * block + lane, (6 << 46) - 1));
        let other = |lane: usize| ((8 * block + lane) * 20_077 + 17) & 0x3fff;
        let runs = core::array::from_fn(|lane| pattern(other(lane), (36 << 46) - 1));
        here::<Fp>(&slopes, &runs);
        here::<Fq>(&slopes, &runs);
    }
}

fn compare_here<F: PrimeField>(a: &[[u64; 5]; 8], b: &[[u64; 5]; 8]) {
    if let Some(prime) = packed::<F>() {
        // SAFETY: `prime` holds an `Ifma`.
        unsafe { compare(prime, a, b) };
    }
}

/// Values with every limb at an edge: all 8^5 patterns, each against another one.
#[test]
fn every_pattern_of_edge_limbs() {
    let pattern = |index: usize| -> [u64; 5] {
        let limb = |i: usize| EDGES[index >> (3 * i) & 7];
        core::array::from_fn(|i| if i < 4 { limb(i) } else { limb(4).min(TOP - 1) })
    };
    for block in 0..1 << 12 {
        let a = core::array::from_fn(|lane| pattern(8 * block + lane));
        let b = core::array::from_fn(|lane| pattern(((8 * block + lane) * 20_077 + 17) & 0x7fff));
        compare_here::<Fp>(&a, &b);
        compare_here::<Fq>(&a, &b);
    }
}

/// The y of sums may grow over fifteen levels, at every pace.
#[test]
fn sums_of_fifteen_levels() {
    let powers = core::iter::successors(Some(1u64), |power| Some(3 * power));
    let multiple = |of: u64| Xy::new(&(Ep::generator() * Fq::from(of)).to_affine());
    let points: Vec<Xy<Fp>> = powers.take(16).map(multiple).collect();
    for pace in [Pace::FewProducts, Pace::FewInstructions] {
        let Some(prime) = Ifma::at(pace).and_then(Prime::<Fp>::new) else {
            return;
        };
        let mut packed = Packed::new(prime);
        let mut blocks = [packed.nothing(); 4];
        let own = |i: u32| [[i; 8], [i | NEGATED; 8]];
        for (i, place) in (0..16).zip([0].into_iter().chain(core::iter::repeat(1))) {
            for (references, blocks) in own(i).iter().zip(blocks.chunks_mut(2)) {
                packed.gather(packed.words(&points), references, &mut blocks[place..]);
            }
            if i > 0 {
                packed.add(&mut blocks, &[Pair::new(0, 1), Pair::new(2, 3)]);
            }
        }
        let mut sums = vec![Xy::IDENTITY; 16];
        let places: Vec<u32> = (0..16).collect();
        packed.scatter(&[blocks[0], blocks[2]], &places, &mut sums);
        let sum = multiple((3u64.pow(16) - 1) / 2);
        assert!(sums[..8].iter().all(|own| *own == sum));
        assert!(sums[8..].iter().all(|own| *own == sum.signed(true)));
    }
}

/// The least and largest y of fifteen levels, where they are not reduced, on either side.
#[test]
fn sums_of_the_largest_ordinates() {
    let Some(prime) = Ifma::at(Pace::FewInstructions).and_then(Prime::<Fp>::new) else {
        return;
    };
    let point = |of: u64| Xy::new(&(Ep::generator() * Fq::from(of)).to_affine());
    let points: [Xy<Fp>; 2] = [point(5), point(7)];
    let (mut packed, k) = (Packed::new(prime), prime.constants());
    let moved = |block: &mut Block, up: bool| {
        for i in 0..5 {
            let multiple = k.p5[i].add(k.p5[i]).add(k.p5[i]);
            let y = block.y.0[i];
            block.y.0[i] = if up { y.add(multiple) } else { y.sub(multiple) };
        }
    };
    for up in [false, true] {
        let mut blocks = [packed.nothing(); 4];
        for (i, block) in blocks.iter_mut().enumerate() {
            let own = [i as u32 % 2; 8];
            packed.gather(packed.words(&points), &own, core::slice::from_mut(block));
            moved(block, up == i.is_multiple_of(2));
        }
        packed.add(&mut blocks, &[Pair::new(0, 1), Pair::new(2, 3)]);
        let mut sums = vec![Xy::IDENTITY; 16];
        let places: Vec<u32> = (0..16).collect();
        packed.scatter(&[blocks[0], blocks[2]], &places, &mut sums);
        assert!(sums.iter().all(|own| *own == point(12)));
    }
}

/// Packing is the inverse of unpacking, and the transpose is one.
#[test]
fn packing_and_transposing() {
    let Some(ifma) = Ifma::new() else { return };
    let rows: [[u64; 8]; 8] = core::array::from_fn(|i| {
        core::array::from_fn(|j| ((1 << 63) | (8 * i as u64 + j as u64)).rotate_left(9 * i as u32))
    });
    let vectors = rows.map(|row| Vector::load(ifma, &row));
    let transposed = Vector::transpose(vectors).map(Vector::words);
    for (i, row) in transposed.iter().enumerate() {
        assert_eq!(*row, rows.map(|r| r[i]));
    }
    let [a, b, c, d, ..] = vectors;
    let packed = Lanes::unpack(ifma, [a, b, c, d]).pack().map(Vector::words);
    assert_eq!(packed[..], rows[..4]);
}

proptest! {
    #[test]
    fn random_limbs(
        a in prop::array::uniform8(prop::array::uniform5(0..=LIMB)),
        b in prop::array::uniform8(prop::array::uniform5(0..=LIMB)),
    ) {
        let bounded = |mut v: [u64; 5]| { v[4] %= TOP; v };
        compare_here::<Fp>(&a.map(bounded), &b.map(bounded));
        compare_here::<Fq>(&a.map(bounded), &b.map(bounded));
    }
}
