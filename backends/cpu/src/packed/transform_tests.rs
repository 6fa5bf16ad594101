//! Known factors, loose limbs and passes against `pasta_curves`, with limbs at the edges of every carry.

use pasta_curves::{Fp, Fq};
use proptest::prelude::*;
use zkernel_backend::Field;
use zkernel_verifier::curve::powers;

use super::butterflies::{LAYERS, Sink, Twiddles, vertical};
use super::copies::{Beside, Copied, Pieces, TOGETHER};
use super::lanes::{LIMB, Lanes, carry};
use super::loose::{Division, Loose, corrected, pack};
use super::prime::{Constants, Prime};
use super::rows::{ORDER, PLACE, load, store_words};
use super::tests::{EDGES, packed};
use super::vector::{Ifma, Vector};

/// Signed limbs of a value.
type Limbs = [i64; 5];

fn loose(ifma: Ifma, values: &[Limbs; 8]) -> Loose {
    Loose(core::array::from_fn(|i| {
        Vector::load_signed(ifma, &values.map(|v| v[i]))
    }))
}

/// Limbs of each lane.
fn limbs(value: &Loose) -> [Limbs; 8] {
    let words = value.0.map(Vector::words);
    core::array::from_fn(|lane| words.map(|w| w[lane].cast_signed()))
}

/// The element that signed limbs stand for.
fn element<F: Field>(limbs: &Limbs) -> F {
    let signed = |limb: i64| {
        let magnitude = F::from(limb.unsigned_abs());
        if limb < 0 { -magnitude } else { magnitude }
    };
    let step = |sum: F, limb: &i64| sum * F::from(1 << 52) + signed(*limb);
    limbs.iter().rev().fold(F::ZERO, step)
}

/// The element of a value below 2^256 in words.
fn element_of_words<F: Field>(words: [u64; 4]) -> F {
    let step = |sum: F, word: &u64| sum * F::from_u128(1 << 64) + F::from(*word);
    words.iter().rev().fold(F::ZERO, step)
}

/// Whether `low p <= value <= high p`.
fn within(value: &Loose, [low, high]: [u64; 2], k: &Constants) -> bool {
    let multiple = |times: u64| {
        let ifma = Ifma::new().expect("there is a prime");
        let times = Vector::splat(ifma, times);
        let zero = times.sub(times);
        let product = |i: usize| zero.low(k.p[i], times);
        let carries = |i: usize| zero.high(k.p[i], times);
        Loose([
            product(0),
            product(1).add(carries(0)),
            product(2).add(carries(1)),
            product(3).add(carries(2)),
            product(4).add(carries(3)),
        ])
    };
    let nonnegative = |value: Loose| {
        let top = carry(value.0, k).0[4].words();
        top.iter().all(|top| top.cast_signed() >= 0)
    };
    nonnegative(value.plus(&multiple(low))) && nonnegative(multiple(high).minus(value))
}

/// Products by one factor of values from `-2^259` on below `2^259`, with moved limbs: the same elements, within 3 p.
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn compare_known<F: Field>(prime: Prime<F>, values: &[Limbs; 8], w: F) {
    let (k, ifma) = (prime.constants(), prime.ifma);
    let known = prime.known(w);
    let value = loose(ifma, values);
    let product = known.multiply(ifma, &value, k);
    let other = loose(
        ifma,
        &values.map(|[a, b, c, d, e]| [a - (9 << 52), b + 9, c, d, e]),
    );
    let both = known.multiply_both(ifma, [&value, &other], k);
    for product in [&product, &both[0], &both[1]] {
        assert!(within(product, [3, 3], k), "bounds of a product");
        for (own, value) in limbs(product).iter().zip(values) {
            assert_eq!(element::<F>(own), element::<F>(value) * w);
            assert!(own.iter().all(|limb| limb.unsigned_abs() < 1 << 56));
        }
    }
}

/// The words below p of values between -63 p and 63 p.
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn compare_canonical<F: Field>(prime: Prime<F>, values: &[Limbs; 8]) {
    let k = prime.constants();
    let value = loose(prime.ifma, values).plus(&Loose(k.less_tails));
    for (value, lowered) in values.iter().zip(limbs(&value.lowered(k))) {
        assert_eq!(element::<F>(&lowered), element::<F>(value));
    }
    let p = Lanes(k.p).pack().map(|word| word.words()[0]);
    for log in [0, 6, 10, 15] {
        let (mut words, above) = if log == 0 {
            value.nearly_canonical(k)
        } else {
            value.nearly_canonical_over(&Division::new(prime.ifma, log), k)
        };
        if above.zeros() != u8::MAX {
            words = corrected(prime.ifma, words, k);
        }
        let mut cells = [[0; 4]; 8];
        store_words(&mut cells, words);
        for (place, value) in ORDER.into_iter().zip(values) {
            let wanted = element::<F>(value) * F::TWO_INV.pow_vartime([u64::from(log)]);
            assert_eq!(element_of_words::<F>(cells[place]), wanted);
            assert!(cells[place].iter().rev().lt(p.iter().rev()), "canonical");
        }
    }
}

/// Both fields, where there are the instructions.
fn compare_here(values: &[Limbs; 8], w: [u64; 4]) {
    fn one<F: Field>(values: &[Limbs; 8], w: F) {
        if let Some(prime) = packed::<F>() {
            // SAFETY: `prime` holds an `Ifma`.
            unsafe {
                compare_known(prime, values, w);
                let bounded = |[a, b, c, d, e]: Limbs| [a, b, c, d, e.clamp(-62 << 46, 62 << 46)];
                compare_canonical(prime, &values.map(bounded));
            }
        }
    }
    one(values, element_of_words::<Fp>(w));
    one(values, element_of_words::<Fq>(w));
}

/// Values with every limb at an edge, the top limb less `2^51`, by factors at the edges of theirs.
#[test]
fn every_pattern_by_known_factors() {
    let bit =
        |bit: usize| core::array::from_fn(|i| if bit / 64 == i { 1 << (bit % 64) } else { 0 });
    let factors: Vec<[u64; 4]> = (0..20)
        .map(|i| bit(13 * i))
        .chain([[0; 4], [u64::MAX; 4], [LIMB; 4]])
        .collect();
    let pattern = |index: usize| -> Limbs {
        let limb = |i: usize| EDGES[index >> (3 * i) & 7].cast_signed();
        core::array::from_fn(|i| limb(i) - if i < 4 { 0 } else { 1 << 51 })
    };
    for block in 0..1 << 12 {
        let values = core::array::from_fn(|lane| pattern(8 * block + lane));
        compare_here(&values, factors[block % factors.len()]);
    }
}

/// Multiples of p and what is next to them, in limbs that are carried or not.
#[test]
fn canonical_values_next_to_multiples_of_p() {
    fn all<F: Field>() {
        let Some(prime) = packed::<F>() else { return };
        let p = prime
            .constants()
            .p
            .map(|limb| limb.words()[0].cast_signed());
        for times in -62..=62 {
            for (limb, by) in (0..5).flat_map(|limb| [(limb, 1), (limb, 2), (limb, 1 << 13)]) {
                let values = core::array::from_fn(|lane| {
                    let mut value = p.map(|limb| limb * times);
                    value[limb] += by * (lane as i64 % 3 - 1);
                    if lane >= 4 {
                        value[limb] += 5 << 52;
                        if let Some(next) = value.get_mut(limb + 1) {
                            *next -= 5;
                        } else {
                            value[limb] -= 5 << 52;
                        }
                    }
                    value
                });
                // SAFETY: `prime` holds an `Ifma`.
                unsafe { compare_canonical(prime, &values) };
            }
        }
    }
    all::<Fp>();
    all::<Fq>();
}

proptest! {
    #[test]
    fn random_limbs_by_known_factors(
        values in prop::array::uniform8(prop::array::uniform5(-(1i64 << 51)..1 << 51)),
        loosened in prop::array::uniform8(-(1i64 << 8)..1 << 8),
        w in any::<[u64; 4]>(),
    ) {
        let mut values = values;
        for (value, by) in values.iter_mut().zip(loosened) {
            value[4] = value[4].clamp(-31 << 46, 31 << 46);
            value[2] += by << 52;
        }
        compare_here(&values, w);
    }

    #[test]
    fn loose_limbs_are_packed(words in prop::array::uniform8(any::<[u64; 4]>()), by in 0u64..1 << 10) {
        let Some(ifma) = Ifma::new() else { return Ok(()) };
        let [a, b, c, d, e] = load(ifma, &words.map(|[a, b, c, d]| [a, b, c, d | 1 << 40])).0;
        let (limb, one) = (Vector::splat(ifma, by << 52), Vector::splat(ifma, by));
        let mut cells = [[0; 4]; 8];
        store_words(&mut cells, pack([a, b, c.add(limb), d.sub(one), e]));
        prop_assert_eq!(cells, words.map(|[a, b, c, d]| [a, b, c, d | 1 << 40]));
    }
}

/// Results as they are.
struct Kept(Vec<Loose>);

impl Sink for Kept {
    fn lift(k: &Constants) -> &[Vector; 5] {
        &k.p8
    }

    fn put(&mut self, i: usize, j: usize, values: [Loose; 2], k: &Constants) {
        let quarter = self.0.len() / 4;
        for (half, value) in values.into_iter().enumerate() {
            self.0[i + (j + 2 * half) * quarter] = value.minus(&Loose(k.p8));
        }
    }
}

/// Cells to be copied: in those of a row and a task, a square and the complement of its root.
struct Squares(Vec<[[[u64; 4]; 4]; 2]>);

impl Squares {
    fn new(rows: usize) -> Self {
        let cells = |i: u64| [[[i * i; 4]; 4], [[!i; 4]; 4]];
        Self((0..(TOGETHER * rows) as u64).map(cells).collect())
    }
}

impl Pieces for Squares {
    fn cells(&self, row: usize, task: usize) -> [&[[u64; 4]; 4]; 2] {
        let [low, high] = &self.0[row * TOGETHER + task];
        [low, high]
    }
}

/// A pass on lanes with largest and other values: some results by definition, all within bounds.
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn compare_pass<F: Field>(prime: Prime<F>, layers: u32) {
    let (k, length) = (prime.constants(), 1usize << layers);
    let root = (layers..F::S).fold(F::ROOT_OF_UNITY, |w, _| w.square());
    let cell = |index: usize, lane: usize| match lane {
        0 => -F::ONE,
        1 => powers(-root, 3)[index % 3],
        _ => F::from((index * lane) as u64).square() - F::from(index as u64 % 5),
    };
    let inputs: Vec<[F; 8]> = (0..length)
        .map(|index| core::array::from_fn(|lane| cell(index, lane)))
        .collect();
    let mut buffer: Vec<Loose> = (0..length)
        .map(|place| {
            let index = place.reverse_bits() >> (usize::BITS - layers);
            let lanes = load(
                prime.ifma,
                prime.words(&inputs[index]).try_into().expect("eight"),
            );
            // In half of all values, p more: up to 2 p.
            let more = if index.is_multiple_of(2) {
                k.p
            } else {
                k.zero()
            };
            Loose::new(lanes).plus(&Loose(more))
        })
        .collect();
    for pair in buffer.as_chunks_mut::<2>().0 {
        *pair = [pair[0].plus(&pair[1]), pair[0].minus(&pair[1])];
    }
    let mut kept = Kept(vec![Loose(k.zero()); length]);
    let twiddles = Twiddles::new(prime, root, layers);
    let mut copies = vec![Copied::NOTHING; TOGETHER * length];
    let mut beside = Beside::new(prime.ifma, Squares::new(length), &mut copies);
    vertical(
        prime.ifma,
        &mut buffer,
        &twiddles,
        (&mut kept, &mut beside),
        k,
    );
    beside.finish();
    for (at, copied) in copies.iter().enumerate() {
        let [low, high] = copied.cells();
        let cell = (at % length * TOGETHER + at / length) as u64;
        assert_eq!((low[0][0], high[3][3]), (cell * cell, !cell));
    }
    let bound = if layers == 10 { 34 } else { 31 };
    assert!(kept.0.iter().all(|value| within(value, [bound, bound], k)));
    for spot in [0, 1, 2, 3, 5, 7, length / 2 - 1, length / 2, length - 1] {
        let step = root.pow_vartime([spot as u64]);
        let own = limbs(&kept.0[spot]);
        for lane in 0..8 {
            let column = inputs.iter().rev();
            let wanted = column.fold(F::ZERO, |sum, cells| sum * step + cells[lane]);
            // Limbs are those of elements as they are stored, times 2^256.
            let stored = element_of_words::<F>(prime.words(&[wanted])[0]);
            assert_eq!(
                element::<F>(&own[PLACE[lane]]),
                stored,
                "{layers} layers, {spot}"
            );
        }
    }
}

#[test]
fn passes_of_all_lengths() {
    fn all<F: Field>() {
        let Some(prime) = packed::<F>() else { return };
        for layers in 3..=LAYERS {
            // SAFETY: `prime` holds an `Ifma`.
            unsafe { compare_pass(prime, layers) };
        }
    }
    all::<Fp>();
    all::<Fq>();
}
