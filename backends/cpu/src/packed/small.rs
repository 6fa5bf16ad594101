//! Sums of products of small integers and field elements: ten instructions for eight products, and one reduction for many.
//!
//! A cell a of at most 50 bits is taken as `a + 2^51`, which is not negative and one limb; what that adds,
//! `2^51 sum_i b_i`, is subtracted once. A factor is in limbs, `b 2^e` for some e that the caller sets right at the end.

use ff::PrimeField;

use super::lanes::{Lanes, reduce};
use super::prime::{Constants, Prime};
use super::rows::{ORDER, Offsets, Word, factors, read, write};
use super::vector::{Ifma, Vector};
use crate::kernels::INTEGER_BITS as BITS;

/// Makes integers non-negative.
const OFFSET: u64 = 1 << 51;

/// Products that fit: a column takes at most two halves of 2^52 a product in 64 bits, with room for the reduction's.
const MOST: usize = 1024;

/// `sum_i a_i b_i` of up to [`MOST`] products in columns of 52 bits, not carried.
struct Sums {
    low: [Vector; 5],
    high: [Vector; 5],
}

impl Sums {
    #[inline(always)]
    fn new(k: &Constants) -> Self {
        Self {
            low: [k.mask; 5],
            high: k.zero(),
        }
    }

    /// Adds `a b` for a below 2^52.
    #[inline(always)]
    fn add(&mut self, a: Vector, b: &Lanes) {
        for i in 0..5 {
            self.low[i] = self.low[i].low(a, b.0[i]);
            self.high[i] = self.high[i].high(a, b.0[i]);
        }
    }

    /// The sum times `2^-260`, below 2 p.
    #[inline(always)]
    fn reduced(&self, k: &Constants) -> Lanes {
        let mut columns = [k.mask.sub(k.mask); 10];
        for i in 0..5 {
            columns[i] = columns[i].add(self.low[i]);
            columns[i + 1] = columns[i + 1].add(self.high[i]);
        }
        reduce(columns, k)
    }
}

/// Integers as they are added up, in [`ORDER`].
#[derive(Clone, Copy)]
struct Cells {
    ifma: Ifma,
    order: Vector,
    offset: Vector,
}

impl Cells {
    #[inline(always)]
    fn new(ifma: Ifma) -> Self {
        Self {
            ifma,
            order: Vector::load(ifma, &ORDER.map(|lane| lane as u64)),
            offset: Vector::splat(ifma, OFFSET),
        }
    }

    /// Up to eight integers, zeros for missing ones.
    #[inline(always)]
    fn read(self, values: &[i64]) -> Vector {
        debug_assert!(values.iter().all(|value| value.unsigned_abs() >> BITS <= 1));
        let vector = if let Ok(eight) = values.try_into() {
            Vector::load_signed(self.ifma, eight)
        } else {
            let mut padded = [0; 8];
            padded[..values.len()].copy_from_slice(values);
            Vector::load_signed(self.ifma, &padded)
        };
        vector.permuted(self.order).add(self.offset)
    }
}

/// A vector of elements that several columns of integers are multiplied with.
pub(crate) struct Factors<F> {
    prime: Prime<F>,
    lanes: Vec<Lanes>,
    /// What the offsets add.
    excess: F,
}

impl<F: PrimeField> Factors<F> {
    pub(crate) fn new(prime: Prime<F>, elements: &[F]) -> Self {
        // SAFETY: `prime` holds an `Ifma`, which proves the features.
        let lanes = unsafe { limbs(prime, prime.words(elements)) };
        let excess = elements.iter().sum::<F>() * F::from(OFFSET);
        Self {
            prime,
            lanes,
            excess,
        }
    }

    /// `sum_i values[i] elements[i]`, of as many values as elements.
    pub(crate) fn dot(&self, values: &[i64]) -> F {
        let mut lanes = [F::ZERO; 8];
        // SAFETY: `prime` holds an `Ifma`, which proves the features.
        unsafe {
            dot_words(
                self.prime,
                values,
                &self.lanes,
                self.prime.words_mut(&mut lanes),
            );
        };
        // Stored elements are `x 2^256`: 2^4 short of what a factor is.
        lanes.iter().sum::<F>() * F::from(16) - self.excess
    }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn limbs<F: PrimeField>(prime: Prime<F>, words: &[Word]) -> Vec<Lanes> {
    words
        .chunks(8)
        .map(|words| read(prime.ifma, words))
        .collect()
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn dot_words<F: PrimeField>(
    prime: Prime<F>,
    values: &[i64],
    factors: &[Lanes],
    lanes: &mut [Word],
) {
    let (k, cells) = (prime.constants(), Cells::new(prime.ifma));
    let mut total = Lanes(k.zero());
    for (values, factors) in values.chunks(8 * MOST).zip(factors.chunks(MOST)) {
        let mut sums = Sums::new(k);
        for (values, factor) in values.chunks(8).zip(factors) {
            sums.add(cells.read(values), factor);
        }
        let sum = sums.reduced(k).multiply(&k.widening, k);
        total = total.add(&sum, k).canonical(k);
    }
    write(lanes, &total);
}

/// `sums[i] += sum_t coefficient_t column_t[i]`, columns at least as long as the sums.
pub(crate) fn combine<F: PrimeField>(prime: Prime<F>, sums: &mut [F], terms: &[(&[i64], F)]) {
    for terms in terms.chunks(MOST) {
        let excess = excess(terms);
        let factors = factors(prime, terms);
        // SAFETY: `prime` holds an `Ifma`, which proves the features.
        unsafe { combine_words(prime, prime.words_mut(sums), &factors, excess) };
    }
}

/// Minus what the offsets add to a sum of terms.
fn excess<T, F: PrimeField>(terms: &[(T, F)]) -> F {
    terms.iter().map(|(_, coefficient)| coefficient).sum::<F>() * -F::from(OFFSET)
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn combine_words<F: PrimeField>(
    prime: Prime<F>,
    sums: &mut [Word],
    terms: &[(&[i64], [u64; 5])],
    excess: F,
) {
    let (k, cells) = (prime.constants(), Cells::new(prime.ifma));
    let excess = read(prime.ifma, prime.words(&[excess; 8]));
    for (group, sum) in sums.chunks_mut(8).enumerate() {
        let mut products = Sums::new(k);
        for (column, coefficient) in terms {
            let own = cells.read(&column[8 * group..][..sum.len()]);
            products.add(own, &Lanes::splat(prime.ifma, *coefficient));
        }
        let own = products.reduced(k).multiply(&k.widening, k);
        let total = own.add(&excess, k).add(&read(prime.ifma, sum), k);
        write(sum, &total.canonical(k));
    }
}

/// `sum_e coefficient_e cells[position_e + offset]` for every offset.
pub(crate) fn contract<F: PrimeField>(
    prime: Prime<F>,
    cells: &[i64],
    entries: &[(usize, F)],
    offsets: &[usize],
) -> Vec<F> {
    let mut sums = vec![F::ZERO; offsets.len()];
    for entries in entries.chunks(MOST) {
        let excess = excess(entries);
        let entries = factors(prime, entries);
        let sums = prime.words_mut(&mut sums);
        // SAFETY: `prime` holds an `Ifma`, which proves the features.
        unsafe { contract_words(prime, cells, &entries, offsets, (sums, excess)) };
    }
    sums
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn contract_words<F: PrimeField>(
    prime: Prime<F>,
    source: &[i64],
    entries: &[(usize, [u64; 5])],
    offsets: &[usize],
    (sums, excess): (&mut [Word], F),
) {
    let (k, cells) = (prime.constants(), Cells::new(prime.ifma));
    let excess = read(prime.ifma, prime.words(&[excess; 8]));
    for (offsets, sum) in offsets.chunks(8).zip(sums.chunks_mut(8)) {
        let (at, mut room) = (Offsets::new(offsets), [0; 8]);
        let mut products = Sums::new(k);
        for (position, coefficient) in entries {
            let own = cells.read(at.cells(&source[*position..], &mut room));
            products.add(own, &Lanes::splat(prime.ifma, *coefficient));
        }
        let own = products.reduced(k).multiply(&k.widening, k);
        let total = own.add(&excess, k).add(&read(prime.ifma, sum), k);
        write(sum, &total.canonical(k));
    }
}

#[cfg(test)]
mod tests {
    use ff::Field as _;
    use pasta_curves::Fp;
    use proptest::prelude::*;

    use super::*;

    const BOUND: i64 = 1 << BITS;

    fn signed(value: i64) -> Fp {
        let magnitude = Fp::from(value.unsigned_abs());
        if value < 0 { -magnitude } else { magnitude }
    }

    /// Integers with the bounds among them.
    fn integers(count: usize) -> impl Strategy<Value = Vec<i64>> {
        let value = prop_oneof![
            Just(-BOUND),
            Just(BOUND),
            Just(0),
            -BOUND..=BOUND,
            -128i64..128
        ];
        prop::collection::vec(value, count)
    }

    /// Elements with zero and minus one among them.
    fn elements(count: usize) -> impl Strategy<Value = Vec<Fp>> {
        let random = any::<[u64; 8]>().prop_map(|words| {
            words.iter().fold(Fp::ZERO, |sum, word| {
                sum * Fp::from(1 << 63).double() + Fp::from(*word)
            })
        });
        let element = prop_oneof![Just(Fp::ZERO), Just(-Fp::ONE), random];
        prop::collection::vec(element, count)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn sums_are_those_of_elements(
            (values, factors) in (1usize..2100).prop_flat_map(|n| (integers(n), elements(n))),
            split in 1usize..40,
        ) {
            let Some(prime) = Ifma::new().and_then(Prime::<Fp>::new) else { return Ok(()) };
            let own = values.iter().zip(&factors);
            let sum: Fp = own.clone().map(|(a, b)| signed(*a) * b).sum();
            prop_assert_eq!(Factors::new(prime, &factors).dot(&values), sum);

            let terms: Vec<(&[i64], Fp)> = values.chunks_exact(split).zip(factors.iter().copied()).collect();
            let mut sums: Vec<Fp> = factors.iter().rev().copied().cycle().take(split).collect();
            let wanted: Vec<Fp> = (0..split)
                .map(|i| sums[i] + terms.iter().map(|(column, c)| signed(column[i]) * c).sum::<Fp>())
                .collect();
            combine(prime, &mut sums, &terms);
            prop_assert_eq!(sums, wanted);

            let rows = values.len().div_ceil(2);
            let entries: Vec<(usize, Fp)> = factors.iter().take(rows).copied().enumerate().collect();
            for step in [1, 3] {
                let offsets: Vec<usize> = (0..=values.len() - rows).step_by(step).collect();
                let sums = contract(prime, &values, &entries, &offsets);
                for (offset, sum) in offsets.iter().zip(sums) {
                    let wanted = entries.iter().map(|(p, c)| signed(values[p + offset]) * c).sum::<Fp>();
                    prop_assert_eq!(sum, wanted);
                }
            }
        }
    }
}
