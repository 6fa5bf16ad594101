//! Rows of stored elements, cell by cell and summed up.
//!
//! A product of two stored elements is stored again if one of them is taken 16-fold: `2^4 2^256 2^256 2^-260 = 2^256`.

use ff::PrimeField;
use zkernel_backend::Field;

use super::lanes::Lanes;
use super::prime::{Constants, Prime};
use super::sums::{MOST, Sums};
use super::vector::{Ifma, Vector};

/// A stored element.
pub(super) type Word = [u64; 4];

/// Element held by each lane after [`load`].
pub(super) const ORDER: [usize; 8] = [0, 4, 1, 5, 2, 6, 3, 7];

/// Lane that holds each element: the inverse of [`ORDER`].
pub(super) const PLACE: [usize; 8] = [0, 2, 4, 6, 1, 3, 5, 7];

/// Eight elements in [`ORDER`].
#[inline(always)]
pub(super) fn load(ifma: Ifma, words: &[Word; 8]) -> Lanes {
    Lanes::unpack(ifma, words_of(ifma, words))
}

/// Eight elements from all over, in [`ORDER`].
#[inline(always)]
pub(super) fn load_each(ifma: Ifma, words: [&Word; 8]) -> Lanes {
    let two = |i: usize| Vector::load_pair(ifma, words[2 * i], words[2 * i + 1]);
    Lanes::unpack(ifma, sorted([two(0), two(1), two(2), two(3)]))
}

/// Twice four elements, in turns of two, in [`ORDER`]: lane by lane the elements 0, 2, 1, 3 of the first, and as far from these by
/// four lanes those of the second.
#[inline(always)]
pub(super) fn load_halves(ifma: Ifma, [low, high]: [&[Word; 4]; 2]) -> Lanes {
    let two =
        |half: &[Word; 4], i: usize| Vector::load(ifma, &half.as_flattened().as_chunks::<8>().0[i]);
    let rows = [two(low, 0), two(high, 0), two(low, 1), two(high, 1)];
    Lanes::unpack(ifma, sorted(rows))
}

/// Words of eight elements in [`ORDER`].
#[inline(always)]
pub(super) fn words_of(ifma: Ifma, words: &[Word; 8]) -> [Vector; 4] {
    let (rows, _) = words.as_flattened().as_chunks::<8>();
    sorted(unrolled!(4, i => Vector::load(ifma, &rows[i])))
}

/// Words of eight elements of which there are two in a row.
#[inline(always)]
fn sorted([r0, r1, r2, r3]: [Vector; 4]) -> [Vector; 4] {
    let (early, late) = (r0.blocks(r1), r2.blocks(r3));
    let ((w0, w1), (w2, w3)) = (early.0.interleave(late.0), early.1.interleave(late.1));
    [w0, w1, w2, w3]
}

/// The inverse of [`load`], of values below p.
#[inline(always)]
pub(super) fn store(words: &mut [Word; 8], lanes: &Lanes) {
    store_words(words, lanes.pack());
}

/// As [`store`], of words.
#[inline(always)]
pub(super) fn store_words(words: &mut [Word; 8], [w0, w1, w2, w3]: [Vector; 4]) {
    let ((e0, l0), (e1, l1)) = (w0.interleave(w1), w2.interleave(w3));
    let (early, late) = (e0.zip_blocks(e1), l0.zip_blocks(l1));
    let (rows, _) = words.as_flattened_mut().as_chunks_mut::<8>();
    for (row, vector) in rows.iter_mut().zip([early.0, early.1, late.0, late.1]) {
        vector.store(row);
    }
}

/// Up to eight elements, zeros for missing ones.
#[inline(always)]
pub(super) fn read(ifma: Ifma, words: &[Word]) -> Lanes {
    if let Ok(eight) = words.try_into() {
        return load(ifma, eight);
    }
    let mut padded = [[0; 4]; 8];
    padded[..words.len()].copy_from_slice(words);
    load(ifma, &padded)
}

/// As [`read`], 16-fold: stored elements as factors, below 16 p.
#[inline(always)]
pub(super) fn read_sixteenfold(ifma: Ifma, words: &[Word]) -> Lanes {
    if let Ok(eight) = words.try_into() {
        return Lanes::unpack_sixteenfold(ifma, words_of(ifma, eight));
    }
    let mut padded = [[0; 4]; 8];
    padded[..words.len()].copy_from_slice(words);
    Lanes::unpack_sixteenfold(ifma, words_of(ifma, &padded))
}

/// Up to eight elements below p.
#[inline(always)]
pub(super) fn write(words: &mut [Word], lanes: &Lanes) {
    if let Ok(eight) = words.try_into() {
        return store(eight, lanes);
    }
    let mut padded = [[0; 4]; 8];
    store(&mut padded, lanes);
    words.copy_from_slice(&padded[..words.len()]);
}

/// Integers as elements.
pub(crate) fn widen<F: PrimeField>(prime: Prime<F>, values: &[i64], cells: &mut [F]) {
    // SAFETY: `prime` holds an `Ifma`, which proves the features.
    unsafe { widen_words(prime, values, prime.words_mut(cells)) }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn widen_words<F: PrimeField>(prime: Prime<F>, values: &[i64], cells: &mut [Word]) {
    let k = prime.constants();
    let zero = k.mask.sub(k.mask);
    for (values, cells) in values.chunks(8).zip(cells.chunks_mut(8)) {
        let (mut magnitudes, mut negative) = ([0; 8], 0u8);
        for (lane, value) in values.iter().enumerate() {
            // Cells of a group are stored in this order of lanes.
            let place = PLACE[lane];
            magnitudes[place] = value.unsigned_abs();
            negative |= u8::from(*value < 0) << place;
        }
        let magnitudes = Vector::load(prime.ifma, &magnitudes);
        let integer = Lanes([
            magnitudes.and(k.mask),
            magnitudes.shr::<52>(),
            zero,
            zero,
            zero,
        ]);
        let element = integer.multiply(&k.widening, k).canonical(k);
        let opposite = Lanes(k.p).subtract(&element, &k.zero(), k);
        write(cells, &element.select(negative, &opposite));
    }
}

/// `a[i] *= b[i]`.
pub(crate) fn multiply<F: PrimeField>(prime: Prime<F>, a: &mut [F], b: &[F]) {
    // SAFETY: `prime` holds an `Ifma`, which proves the features.
    unsafe { multiply_words(prime, prime.words_mut(a), prime.words(b)) }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn multiply_words<F: PrimeField>(prime: Prime<F>, a: &mut [Word], b: &[Word]) {
    let k = prime.constants();
    for (a, b) in a.chunks_mut(8).zip(b.chunks(8)) {
        let factor = read_sixteenfold(prime.ifma, a);
        let product = factor.multiply(&read(prime.ifma, b), k);
        write(a, &product.canonical(k));
    }
}

/// `sums[i] += sum_t coefficient_t column_t[i]`, columns at least as long as the sums.
pub(crate) fn combine<F: PrimeField>(prime: Prime<F>, sums: &mut [F], terms: &[(&[F], F)]) {
    for terms in terms.chunks(MOST) {
        let terms: Vec<(&[Word], [u64; 5])> = factors(prime, terms)
            .into_iter()
            .map(|(column, factor)| (&prime.words(column)[..sums.len()], factor))
            .collect();
        // SAFETY: `prime` holds an `Ifma`, which proves the features.
        unsafe { combine_words(prime, prime.words_mut(sums), &terms) }
    }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn combine_words<F: PrimeField>(prime: Prime<F>, sums: &mut [Word], terms: &[(&[Word], [u64; 5])]) {
    let k = prime.constants();
    for (group, sum) in sums.chunks_mut(8).enumerate() {
        let mut products = Sums::new(k);
        for (column, coefficient) in terms {
            let cells = &column[8 * group..][..sum.len()];
            let coefficient = Lanes::splat(prime.ifma, *coefficient);
            products.add(&read(prime.ifma, cells), &coefficient);
        }
        let total = products.reduced(k).add(&read(prime.ifma, sum), k);
        write(sum, &total.canonical(k));
    }
}

/// `sum a[i] b[i]`.
pub(crate) fn dot<F: PrimeField>(prime: Prime<F>, a: &[F], b: &[F]) -> F {
    let length = a.len().min(b.len());
    let (a, b) = (&prime.words(a)[..length], &prime.words(b)[..length]);
    let mut lanes = [F::ZERO; 8];
    // SAFETY: `prime` holds an `Ifma`, which proves the features.
    unsafe { dot_words(prime, a, b, prime.words_mut(&mut lanes)) };
    // Products of stored elements lack a factor of 2^4.
    lanes.iter().sum::<F>() * F::from(16)
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn dot_words<F: PrimeField>(prime: Prime<F>, a: &[Word], b: &[Word], lanes: &mut [Word]) {
    let k = prime.constants();
    let zero = k.mask.sub(k.mask);
    let mut total = Lanes([zero; 5]);
    for (a, b) in a.chunks(8 * MOST).zip(b.chunks(8 * MOST)) {
        let mut products = Sums::new(k);
        for (a, b) in a.chunks(8).zip(b.chunks(8)) {
            products.add(&read(prime.ifma, a), &read(prime.ifma, b));
        }
        total = total.add(&products.reduced(k), k).canonical(k);
    }
    write(lanes, &total);
}

/// Terms with their coefficients in limbs.
pub(super) fn factors<T: Copy, F: PrimeField>(
    prime: Prime<F>,
    terms: &[(T, F)],
) -> Vec<(T, [u64; 5])> {
    let factor = |(own, coefficient): &(T, F)| (*own, prime.factor(*coefficient));
    terms.iter().map(factor).collect()
}

/// Up to eight offsets: mostly neighbours, whose cells are read as they lie.
pub(super) struct Offsets<'a> {
    offsets: &'a [usize],
    neighbours: bool,
}

impl<'a> Offsets<'a> {
    #[inline(always)]
    pub(super) fn new(offsets: &'a [usize]) -> Self {
        Self {
            offsets,
            neighbours: offsets.windows(2).all(|w| w[1] == w[0] + 1),
        }
    }

    /// The cells at the offsets, in a row.
    #[inline(always)]
    pub(super) fn cells<'c, T: Copy>(&self, source: &'c [T], room: &'c mut [T; 8]) -> &'c [T] {
        if self.neighbours {
            return &source[self.offsets[0]..][..self.offsets.len()];
        }
        for (cell, offset) in room.iter_mut().zip(self.offsets) {
            *cell = source[*offset];
        }
        &room[..self.offsets.len()]
    }
}

/// `sum_e coefficient_e dense[position_e + offset]` for every offset.
pub(crate) fn contract<F: PrimeField>(
    prime: Prime<F>,
    dense: &[F],
    entries: &[(usize, F)],
    offsets: &[usize],
) -> Vec<F> {
    let mut sums = vec![F::ZERO; offsets.len()];
    for entries in entries.chunks(MOST) {
        let entries = factors(prime, entries);
        let (dense, sums) = (prime.words(dense), prime.words_mut(&mut sums));
        // SAFETY: `prime` holds an `Ifma`, which proves the features.
        unsafe { contract_words(prime, dense, &entries, offsets, sums) };
    }
    sums
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn contract_words<F: PrimeField>(
    prime: Prime<F>,
    dense: &[Word],
    entries: &[(usize, [u64; 5])],
    offsets: &[usize],
    sums: &mut [Word],
) {
    let k = prime.constants();
    for (offsets, sum) in offsets.chunks(8).zip(sums.chunks_mut(8)) {
        let (at, mut room) = (Offsets::new(offsets), [[0; 4]; 8]);
        let mut products = Sums::new(k);
        for (position, coefficient) in entries {
            let cells = read(prime.ifma, at.cells(&dense[*position..], &mut room));
            products.add(&cells, &Lanes::splat(prime.ifma, *coefficient));
        }
        let total = products.reduced(k).add(&read(prime.ifma, sum), k);
        write(sum, &total.canonical(k));
    }
}

/// `(cell + constant)^-1` for every cell, 0 for 0, with one inversion.
pub(crate) fn invert<F: Field>(prime: Prime<F>, cells: &mut [F], constant: F) {
    for cell in &mut *cells {
        *cell += constant;
    }
    let mut before = Vec::with_capacity(cells.len().div_ceil(8));
    let mut products = [F::ZERO; 8];
    let words = prime.words_mut(&mut products);
    // SAFETY: `prime` holds an `Ifma`, which proves the features.
    unsafe { invert_forward(prime, prime.words(cells), &mut before, words) };
    crate::eval::invert_block(&mut products);
    // SAFETY: as above.
    unsafe {
        invert_backward(
            prime,
            prime.words_mut(cells),
            &before,
            prime.words(&products),
        );
    };
}

/// Eight cells, ones (as stored) for zeros, and the lanes of the zeros.
#[inline(always)]
fn nonzero(ifma: Ifma, cells: &[Word], k: &Constants) -> (Lanes, u8) {
    let cells = read(ifma, cells);
    let zeros = cells.zeros();
    (cells.select(zeros, &k.one), zeros)
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn invert_forward<F: PrimeField>(
    prime: Prime<F>,
    cells: &[Word],
    before: &mut Vec<Lanes>,
    products: &mut [Word],
) {
    let k = prime.constants();
    let mut product = k.one;
    for group in cells.chunks(8) {
        before.push(product);
        product = product.multiply(&nonzero(prime.ifma, group, k).0, k);
    }
    write(products, &product.canonical(k));
}

/// With P_k = P_{k-1} d_k 2^-260 and I_k = 2^512 / P_k: the stored inverse of d_k is I_k P_{k-1} 2^-260, and I_{k-1}
/// is I_k d_k 2^-260.
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn invert_backward<F: PrimeField>(
    prime: Prime<F>,
    cells: &mut [Word],
    before: &[Lanes],
    inverses: &[Word],
) {
    let k = prime.constants();
    let zero = k.mask.sub(k.mask);
    let mut inverse = read(prime.ifma, inverses);
    for (group, before) in cells.chunks_mut(8).zip(before).rev() {
        let (cell, zeros) = nonzero(prime.ifma, group, k);
        let own = inverse.multiply(before, k).canonical(k);
        inverse = inverse.multiply(&cell, k);
        write(group, &own.select(zeros, &Lanes([zero; 5])));
    }
}
