//! Number-theoretic transforms, natural to natural order, in two passes of whole vectors.
//!
//! With n = R C, row r, column c and `j = r C + c`, `k = k1 + R k2`:
//! `X[k] = sum_c w^(R c k2) (w^(c k1) sum_r w^(C r k1) x[r C + c])`. The first pass transforms over r, eight columns in
//! lanes, and multiplies by `w^(c k1)`; the second over c, eight k1 in lanes, and its outputs are eight neighbours again.
//! Between them tiles of eight by eight are transposed. In both, all lanes have the same twiddle.
//!
//! Decimation in time: the first three layers leave values below 16 p; afterwards a butterfly adds at most 2 p to the
//! bound of its operands, whatever they are, and nothing is reduced before the end. Nor are limbs carried but in front of
//! a product: a layer adds less than 2^57 to each ([`Loose`]).

use rayon::prelude::*;
use zkernel_backend::Field;
use zkernel_verifier::curve::powers;

use super::lanes::{Lanes, carry};
use super::prime::{Constants, Prime};
use super::rows::{ORDER, Word, load, store};
use super::vector::{Ifma, NEAR, Vector, prefetch};

/// Sizes of packed transforms: whole tiles, and bounds that hold: `16 + 2 (log_n / 2 - 2) < 62`.
pub(crate) const SIZES: core::ops::RangeInclusive<u32> = 6..=28;

/// Sizes up to which the twiddles between the passes are tabled.
const TABLED: u32 = 16;

/// Rows and columns from which the next cells are fetched ahead.
const FAR: u32 = 8;

/// Rows ahead of which cells are fetched.
const AHEAD: usize = 12;

/// Eight elements between the passes: four words, lanes in [`ORDER`].
pub(crate) type Parcel = [[u64; 8]; 4];

/// Values whose limbs are signed and below 2^62: up to 16 sums of products that are not carried.
#[derive(Clone, Copy)]
pub(crate) struct Loose([Vector; 5]);

/// What a transform of one size and direction needs.
pub(crate) struct Plan {
    log_rows: u32,
    log_columns: u32,
    /// `w^(C i)` and `w^(R i)`, half a period each, as factors.
    by_row: Vec<[u64; 5]>,
    by_column: Vec<[u64; 5]>,
    /// For each eight columns, as factors in words: `scale w^(c k1)` for all k1, or scale and `w^c` if not tabled.
    between: Vec<Parcel>,
    tabled: bool,
}

impl Plan {
    /// The plan for powers of omega, of order `2^log_n`, with results multiplied by `scale`.
    pub(crate) fn new<F: Field>(prime: Prime<F>, log_n: u32, omega: F, scale: F) -> Self {
        let log_rows = log_n.div_ceil(2);
        let log_columns = log_n - log_rows;
        let factors = |root: F, log: u32| -> Vec<[u64; 5]> {
            let half = powers(root, 1 << (log - 1));
            half.into_iter().map(|w| prime.factor(w)).collect()
        };
        let squared = |log: u32| (0..log).fold(omega, |w, _| w.square());
        let tabled = log_n <= TABLED;
        let columns = powers(omega, 1 << log_columns);
        let mut between = Vec::new();
        for columns in columns.chunks(8) {
            let mut current = [scale * F::from(16); 8];
            for _ in 0..if tabled { 1 << log_rows } else { 1 } {
                between.push(parcel(prime.words(&current)));
                current.iter_mut().zip(columns).for_each(|(f, w)| *f *= w);
            }
            if !tabled {
                let steps: Vec<F> = columns.iter().map(|w| *w * F::from(16)).collect();
                between.push(parcel(prime.words(&steps)));
            }
        }
        Self {
            log_rows,
            log_columns,
            by_row: factors(squared(log_columns), log_rows),
            by_column: factors(squared(log_rows), log_columns),
            between,
            tabled,
        }
    }

    /// Parcels of one task of the first pass.
    pub(crate) const fn rows(&self) -> usize {
        1 << self.log_rows
    }

    /// Tasks of the first pass, each of eight columns.
    pub(crate) const fn first_tasks(&self) -> usize {
        1 << (self.log_columns - 3)
    }
}

/// Eight words of elements as a parcel.
fn parcel(words: &[Word]) -> Parcel {
    core::array::from_fn(|i| core::array::from_fn(|lane| words[ORDER[lane]][i]))
}

#[inline(always)]
fn open(ifma: Ifma, parcel: &Parcel) -> Lanes {
    Lanes::unpack(ifma, unrolled!(4, i => Vector::load(ifma, &parcel[i])))
}

/// A column that several tasks write to, each its own cells.
struct Shared<'a, F> {
    cells: *mut [u64; 4],
    length: usize,
    column: core::marker::PhantomData<&'a mut [F]>,
}

// SAFETY: it stands for a mutable slice of words; tasks write to different cells.
unsafe impl<F> Sync for Shared<'_, F> {}

impl<'a, F: Field> Shared<'a, F> {
    /// A column as cells to be written by tasks.
    fn new(prime: Prime<F>, column: &'a mut [F]) -> Self {
        let cells = prime.words_mut(column);
        Self {
            length: cells.len(),
            cells: cells.as_mut_ptr(),
            column: core::marker::PhantomData,
        }
    }

    /// Writes eight neighbours.
    ///
    /// # Safety
    /// No other task writes to these cells.
    #[inline(always)]
    unsafe fn write(&self, start: usize, lanes: &Lanes) {
        assert!(start + 8 <= self.length);
        // SAFETY: inside the slice that is borrowed for as long as self lives; nobody else has these cells.
        store(unsafe { &mut *self.cells.add(start).cast() }, lanes);
    }
}

/// One task of the first pass: columns `8 task ..`, each cell times that of `shifts` (factors) if there are any.
pub(crate) fn first_pass<F: Field>(
    prime: Prime<F>,
    plan: &Plan,
    (column, shifts): (&[F], &[F]),
    task: usize,
    parcels: &mut [Parcel],
    buffer: &mut Vec<Loose>,
) {
    let (column, shifts) = (prime.words(column), prime.words(shifts));
    // SAFETY: `prime` holds an `Ifma`, which proves the features.
    unsafe { first_words(prime, plan, (column, shifts), task, parcels, buffer) }
}

/// The second pass, over the parcels of all tasks of the first, on all threads if wanted.
pub(crate) fn second_pass<F: Field>(
    prime: Prime<F>,
    plan: &Plan,
    parcels: &[Parcel],
    column: &mut [F],
    (parallel, buffer): (bool, &mut Vec<Loose>),
) {
    let column = Shared::new(prime, column);
    let task = |buffer: &mut Vec<Loose>, task: usize| {
        // SAFETY: `prime` holds an `Ifma`, which proves the features; every task is done once.
        unsafe { second_words(prime, plan, parcels, task, &column, buffer) }
    };
    let tasks = 0..1 << (plan.log_rows - 3);
    if parallel {
        tasks.into_par_iter().for_each_init(Vec::new, task);
    } else {
        tasks.for_each(|number| task(buffer, number));
    }
}

/// # Safety
/// The machine has the features, and no other call with this task and column runs at the same time.
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn first_words<F: Field>(
    prime: Prime<F>,
    plan: &Plan,
    (column, shifts): (&[Word], &[Word]),
    task: usize,
    parcels: &mut [Parcel],
    buffer: &mut Vec<Loose>,
) {
    let (k, ifma) = (prime.constants(), prime.ifma);
    let (rows, groups) = (plan.rows(), plan.first_tasks());
    let (column, _) = column.as_chunks::<8>();
    let (shifts, _) = shifts.as_chunks::<8>();
    buffer.clear();
    let row = |place: usize| place.reverse_bits() >> (usize::BITS - plan.log_rows);
    for place in 0..rows {
        if plan.log_rows >= FAR && place + AHEAD < rows {
            fetch(&column[row(place + AHEAD) * groups + task]);
        }
        let cells = load(ifma, &column[row(place) * groups + task]);
        buffer.push(Loose::new(match shifts.get(row(place) * groups + task) {
            Some(shifts) => cells.multiply(&load(ifma, shifts), k),
            None => cells,
        }));
    }
    vertical(ifma, buffer, &plan.by_row, k);
    if plan.tabled {
        let between = &plan.between[task * rows..][..rows];
        for ((value, factor), parcel) in buffer.iter().zip(between).zip(parcels) {
            seal(parcel, &value.carried(k).multiply(&open(ifma, factor), k));
        }
    } else {
        let mut factor = open(ifma, &plan.between[2 * task]);
        let step = open(ifma, &plan.between[2 * task + 1]);
        for (value, parcel) in buffer.iter().zip(parcels) {
            seal(parcel, &value.carried(k).multiply(&factor, k));
            factor = factor.multiply(&step, k);
        }
    }
}

/// Asks for the lines that hold some cells.
#[inline(always)]
fn fetch(cells: &[Word]) {
    cells.iter().step_by(2).for_each(prefetch::<NEAR, _>);
    cells.last().into_iter().for_each(prefetch::<NEAR, _>);
}

#[inline(always)]
fn seal(parcel: &mut Parcel, lanes: &Lanes) {
    let words = lanes.pack();
    for (to, word) in parcel.iter_mut().zip(words) {
        word.store(to);
    }
}

/// # Safety
/// The machine has the features, and no other call with this task and column runs at the same time.
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
unsafe fn second_words<F: Field>(
    prime: Prime<F>,
    plan: &Plan,
    parcels: &[Parcel],
    task: usize,
    column: &Shared<'_, F>,
    buffer: &mut Vec<Loose>,
) {
    let (k, ifma) = (prime.constants(), prime.ifma);
    let (rows, columns) = (plan.rows(), 1 << plan.log_columns);
    buffer.clear();
    buffer.resize(columns, Loose::new(k.one));
    let mut next = parcels.chunks(rows).skip(1);
    for (group, parcels) in parcels.chunks(rows).enumerate() {
        let tile = &parcels[8 * task..][..8];
        if let Some(next) = next.next().filter(|_| plan.log_columns >= FAR) {
            let next = next[8 * task..][..8].as_flattened();
            next.iter().for_each(prefetch::<NEAR, _>);
        }
        let words = unrolled!(4, i => {
            Vector::transpose(unrolled!(8, row => Vector::load(ifma, &tile[ORDER[row]][i])))
        });
        for lane in 0..8 {
            let place =
                (8 * group + ORDER[lane]).reverse_bits() >> (usize::BITS - plan.log_columns);
            let value = Lanes::unpack(ifma, unrolled!(4, i => words[i][lane]));
            buffer[place] = Loose::new(value);
        }
    }
    vertical(ifma, buffer, &plan.by_column, k);
    for (k2, value) in buffer.iter().enumerate() {
        // SAFETY: rows `8 task ..` are this task's.
        unsafe { column.write(k2 * rows + 8 * task, &value.carried(k).canonical(k)) };
    }
}

/// Transforms whole vectors below 2 p from bit-reversed to natural order; twiddles are half a period.
#[inline(always)]
fn vertical(ifma: Ifma, buffer: &mut [Loose], twiddles: &[[u64; 5]], k: &Constants) {
    let eighth = twiddles.len() / 4;
    let third = unrolled!(4, i => Lanes::splat(ifma, twiddles[i * eighth]));
    // SAFETY: `Ifma` proves the features.
    unsafe { layers(ifma, buffer, twiddles, &third, k) }
}

/// All layers of a part, of a power of two from 8 on: those of its quarters first, which stay in the first-level cache.
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn layers(
    ifma: Ifma,
    part: &mut [Loose],
    twiddles: &[[u64; 5]],
    third: &[Lanes; 4],
    k: &Constants,
) {
    if part.len() >= 32 {
        let quarter = part.len() / 4;
        for part in part.chunks_exact_mut(quarter) {
            layers(ifma, part, twiddles, third, k);
        }
        return two_layers(ifma, part, twiddles, k);
    }
    for eight in part.as_chunks_mut::<8>().0 {
        first_layers(eight, third, k);
    }
    if part.len() == 16 {
        let stride = twiddles.len() / 8;
        let (low, high) = part.split_at_mut(8);
        let twiddles = twiddles.iter().step_by(stride);
        for ((a, b), w) in low.iter_mut().zip(high).zip(twiddles) {
            (*a, *b) = butterfly(a, b, &Lanes::splat(ifma, *w), k);
        }
    }
}

/// Two layers on four quarters.
#[inline(always)]
fn two_layers(ifma: Ifma, part: &mut [Loose], twiddles: &[[u64; 5]], k: &Constants) {
    let quarter = part.len() / 4;
    let stride = twiddles.len() / (2 * quarter);
    let (low, high) = part.split_at_mut(2 * quarter);
    let ((a, b), (c, d)) = (low.split_at_mut(quarter), high.split_at_mut(quarter));
    for i in 0..quarter {
        let first = Lanes::splat(ifma, twiddles[2 * stride * i]);
        let (second, third) = (twiddles[stride * i], twiddles[stride * (i + quarter)]);
        let (a0, b0) = butterfly(&a[i], &b[i], &first, k);
        let (c0, d0) = butterfly(&c[i], &d[i], &first, k);
        (a[i], c[i]) = butterfly(&a0, &c0, &Lanes::splat(ifma, second), k);
        (b[i], d[i]) = butterfly(&b0, &d0, &Lanes::splat(ifma, third), k);
    }
}

/// `a + w b` and `a - w b`: at most 2 p are added to the bound of a.
#[inline(always)]
fn butterfly(a: &Loose, b: &Loose, w: &Lanes, k: &Constants) -> (Loose, Loose) {
    let product = Loose(b.carried(k).multiply_uncarried(w, k));
    (a.plus(&product), a.minus(&product, &k.p2))
}

/// Three layers on eight values below 2 p, in bit-reversed order: below 16 p.
#[inline(always)]
fn first_layers(v: &mut [Loose; 8], twiddles: &[Lanes; 4], k: &Constants) {
    for i in [0, 2, 4, 6] {
        (v[i], v[i + 1]) = (v[i].plus(&v[i + 1]), v[i].minus(&v[i + 1], &k.p2));
    }
    for i in [0, 4] {
        // Sums are below 4 p.
        (v[i], v[i + 2]) = (v[i].plus(&v[i + 2]), v[i].minus(&v[i + 2], &k.p5));
        (v[i + 1], v[i + 3]) = butterfly(&v[i + 1], &v[i + 3], &twiddles[2], k);
    }
    // Sums are below 8 p.
    (v[0], v[4]) = (v[0].plus(&v[4]), v[0].minus(&v[4], &k.p8));
    for i in 1..4 {
        (v[i], v[i + 4]) = butterfly(&v[i], &v[i + 4], &twiddles[i], k);
    }
}

impl Loose {
    #[inline(always)]
    const fn new(value: Lanes) -> Self {
        Self(value.0)
    }

    /// The same value in normal limbs.
    #[inline(always)]
    fn carried(&self, k: &Constants) -> Lanes {
        carry(self.0, k)
    }

    #[inline(always)]
    fn plus(&self, other: &Self) -> Self {
        Self(unrolled!(5, i => self.0[i].add(other.0[i])))
    }

    /// `self - other + multiple`, which is not negative.
    #[inline(always)]
    fn minus(&self, other: &Self, multiple: &[Vector; 5]) -> Self {
        Self(unrolled!(5, i => self.0[i].sub(other.0[i]).add(multiple[i])))
    }
}
