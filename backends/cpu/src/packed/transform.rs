//! Number-theoretic transforms, natural to natural order, in two passes of whole vectors.
//!
//! With n = R C, row r, column c and `j = r C + c`, `k = k1 + R k2`:
//! `X[k] = sum_c w^(R c k2) (w^(c k1) sum_r w^(C r k1) x[r C + c])`. The first pass transforms over r, eight columns in
//! lanes, and multiplies by `w^(c k1)`; the second over c, eight k1 in lanes, and its outputs are eight neighbours again.
//! Between them tiles of eight by eight are transposed. In both, all lanes have the same twiddle.

use zkernel_backend::Field;
use zkernel_verifier::curve::powers;

use super::butterflies::{LAYERS, Sink, Twiddles, vertical};
use super::lanes::Lanes;
use super::loose::{Loose, corrected, pack};
use super::prime::{Constants, Prime};
use super::rows::{ORDER, Word, load_halves, store_words, words_of};
use super::turns;
use super::vector::{Ifma, NEAR, Vector, fetch_at, prefetch};
use crate::parallel;

/// Sizes of packed transforms: whole tiles, and passes of at most [`LAYERS`] layers.
pub(crate) const SIZES: core::ops::RangeInclusive<u32> = 6..=2 * LAYERS;

/// Sizes up to which the twiddles between the passes are tabled.
const TABLED: u32 = 16;

/// Rows and columns from which the next cells are fetched ahead.
const FAR: u32 = 8;

/// Rows ahead of which cells are fetched.
const AHEAD: usize = 12;

/// Eight elements between the passes: four words, lanes in [`ORDER`].
pub(crate) type Parcel = [[u64; 8]; 4];

/// What a transform of one size and direction needs.
pub(crate) struct Plan {
    log_rows: u32,
    log_columns: u32,
    /// Of the roots `w^C` and `w^R`.
    by_row: Twiddles,
    by_column: Twiddles,
    /// For each eight columns, as factors in words: `scale w^(c k1)` for all k1, or for those that begin quarters, and `w^c`, if
    /// not tabled.
    between: Vec<Parcel>,
    tabled: bool,
}

impl Plan {
    /// The plan for powers of omega, of order `2^log_n`, with results multiplied by `scale`.
    pub(crate) fn new<F: Field>(prime: Prime<F>, log_n: u32, omega: F, scale: F) -> Self {
        let log_rows = log_n.div_ceil(2);
        let log_columns = log_n - log_rows;
        let squared = |log: u32| (0..log).fold(omega, |w, _| w.square());
        let tabled = log_n <= TABLED;
        let columns = powers(omega, 1 << log_columns);
        let mut between = Vec::new();
        for columns in eights(&columns) {
            let stride = if tabled { 1 } else { 1 << (log_rows - 2) };
            let steps: Vec<F> = columns.iter().map(|w| w.pow_vartime([stride])).collect();
            let mut current = [scale * F::from(16); 8];
            for _ in 0..(1 << log_rows) / stride {
                between.push(parcel(prime.words(&current)));
                current.iter_mut().zip(&steps).for_each(|(f, w)| *f *= w);
            }
            if !tabled {
                let steps: Vec<F> = columns.iter().map(|w| *w * F::from(16)).collect();
                between.push(parcel(prime.words(&steps)));
            }
        }
        Self {
            log_rows,
            log_columns,
            by_row: Twiddles::new(prime, squared(log_columns), log_rows),
            by_column: Twiddles::new(prime, squared(log_rows), log_columns),
            between,
            tabled,
        }
    }

    /// Rows, and parcels of one task of the first pass.
    const fn rows(&self) -> usize {
        1 << self.log_rows
    }

    /// Cells of a column.
    pub(crate) const fn cells(&self) -> usize {
        1 << (self.log_rows + self.log_columns)
    }

    /// Cells that one task of the first pass writes: eight rows of the result.
    pub(crate) const fn task_cells(&self) -> usize {
        8 * self.rows()
    }
}

/// Powers of a shift, `s^(r C)` of every row and `s^c` of every column, as factors: `s^j` of all cells in so much less room.
pub(crate) struct Shift {
    rows: Vec<[u64; 5]>,
    /// Those of a task each.
    columns: Vec<Parcel>,
}

impl Shift {
    /// For transforms of `2^log_n`.
    pub(crate) fn new<F: Field>(prime: Prime<F>, log_n: u32, shift: F) -> Self {
        let log_rows = log_n.div_ceil(2);
        let log_columns = log_n - log_rows;
        let columns = powers(shift, 1 << log_columns).into_iter();
        let columns: Vec<F> = columns.map(|power| power * F::from(16)).collect();
        let step = (0..log_columns).fold(shift, |s, _| s.square());
        let rows = powers(step, 1 << log_rows).into_iter();
        Self {
            rows: rows.map(|power| prime.factor(power)).collect(),
            columns: eights(&columns)
                .map(|eight| parcel(prime.words(&eight)))
                .collect(),
        }
    }
}

/// What the cells of a column are multiplied by before its transform.
pub(crate) enum Shifts<'a, F> {
    /// A factor each, or nothing if there are none.
    Cells(&'a [F]),
    /// A factor of their row and one of their column.
    Powers(&'a Shift),
}

impl<F> Clone for Shifts<'_, F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F> Copy for Shifts<'_, F> {}

/// The columns of each task: four, and four of the other half, to which the first layer of the second pass adds them.
fn eights<T: Copy>(columns: &[T]) -> impl Iterator<Item = [T; 8]> {
    let (low, high) = columns.split_at(columns.len() / 2);
    let halves = low.chunks_exact(4).zip(high.chunks_exact(4));
    halves.map(|(low, high)| {
        // Elements in turns of two, as `load_halves` takes them.
        let one = |i: usize| [low, high][i / 2 % 2][i / 4 * 2 + i % 2];
        core::array::from_fn(one)
    })
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

    /// The parcel in place of eight neighbours.
    ///
    /// # Safety
    /// Nobody writes to these cells while the reference is used.
    #[inline(always)]
    unsafe fn parcel(&self, start: usize) -> &Parcel {
        assert!(start + 8 <= self.length);
        // SAFETY: inside the slice that is borrowed for as long as self lives: 32 words as eight cells are, and no more aligned.
        unsafe { &*self.cells.add(start).cast() }
    }

    /// Asks for the lines of eight neighbours.
    #[inline(always)]
    fn fetch(&self, start: usize) {
        assert!(start + 8 <= self.length);
        (0..4).for_each(|line| fetch_at::<NEAR>(self.cells.wrapping_add(start + 2 * line).cast()));
    }

    /// Makes eight neighbours canonical that are nearly so.
    ///
    /// # Safety
    /// No other task writes to these cells.
    #[inline(always)]
    unsafe fn correct(&self, ifma: Ifma, start: usize, k: &Constants) {
        assert!(start + 8 <= self.length);
        // SAFETY: inside the slice that is borrowed for as long as self lives; nobody else has these cells.
        let cells = unsafe { &mut *self.cells.add(start).cast() };
        store_words(cells, corrected(ifma, words_of(ifma, cells), k));
    }

    /// Writes eight neighbours.
    ///
    /// # Safety
    /// No other task writes to these cells.
    #[inline(always)]
    unsafe fn write(&self, start: usize, words: [Vector; 4]) {
        assert!(start + 8 <= self.length);
        // SAFETY: inside the slice that is borrowed for as long as self lives; nobody else has these cells.
        store_words(unsafe { &mut *self.cells.add(start).cast() }, words);
    }
}

/// One task of the first pass: eight columns, each cell times its shift, to the cells of the task as parcels. That of row k1
/// lies where the second pass writes row `k1 mod 8` of the task's eight, eight cells from `k1 - k1 mod 8` on.
pub(crate) fn first_pass<F: Field>(
    prime: Prime<F>,
    plan: &Plan,
    (column, shifts): (&[F], Shifts<'_, F>),
    task: usize,
    cells: &mut [F],
    buffer: &mut Vec<Loose>,
) {
    let column = prime.words(column);
    let words = prime
        .words_mut(cells)
        .as_flattened_mut()
        .as_chunks_mut::<8>()
        .0;
    let parcels = words.as_chunks_mut::<4>().0;
    // SAFETY: `prime` holds an `Ifma`, which proves the features.
    unsafe { first_words(prime, plan, (column, shifts), task, parcels, buffer) }
}

/// The second pass, in place of the parcels of all tasks of the first, on all threads if wanted.
pub(crate) fn second_pass<F: Field>(
    prime: Prime<F>,
    plan: &Plan,
    column: &mut [F],
    (parallel, buffer): (bool, &mut Vec<Loose>),
) {
    let column = Shared::new(prime, column);
    let task = |buffer: &mut Vec<Loose>, task: usize| {
        // SAFETY: `prime` holds an `Ifma`, which proves the features; every task is done once.
        unsafe { second_words(prime, plan, task, &column, buffer) }
    };
    let tasks = 0..1 << (plan.log_rows - 3);
    if parallel {
        parallel::each_with(tasks, Vec::new, task);
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
    (column, shifts): (&[Word], Shifts<'_, F>),
    task: usize,
    parcels: &mut [Parcel],
    buffer: &mut Vec<Loose>,
) {
    let (k, ifma) = (prime.constants(), prime.ifma);
    let rows = plan.rows();
    let own = Rows { plan, column, task };
    let buffer = room(buffer, rows, k);
    let mut factor = None;
    match shifts {
        Shifts::Cells([]) => read(ifma, buffer, &own, &Unshifted, k),
        Shifts::Cells(shifts) => {
            let column = prime.words(shifts);
            let shifts = Rows { plan, column, task };
            read(ifma, buffer, &own, &ByCell { ifma, shifts }, k);
        }
        Shifts::Powers(shift) => {
            factor = Some(open(ifma, &shift.columns[task]));
            read(ifma, buffer, &own, &ByRow { ifma, shift }, k);
        }
    }
    if plan.tabled {
        let mut sink = Tabled {
            ifma,
            parcels,
            between: &plan.between[task * rows..][..rows],
            factor,
        };
        vertical(ifma, buffer, &plan.by_row, &mut sink, k);
    } else {
        let between = &plan.between[5 * task..][..5];
        let begin = unrolled!(4, i => open(ifma, &between[i]));
        let mut sink = Running {
            parcels,
            factors: match &factor {
                Some(factor) => unrolled!(4, i => begin[i].multiply(factor, k)),
                None => begin,
            },
            step: open(ifma, &between[4]),
        };
        vertical(ifma, buffer, &plan.by_row, &mut sink, k);
    }
}

/// A task's columns of cells, row by row.
struct Rows<'a> {
    plan: &'a Plan,
    column: &'a [Word],
    task: usize,
}

impl<'a> Rows<'a> {
    /// The cells of a row: four, and four of the other half.
    #[inline(always)]
    fn cells(&self, row: usize) -> [&'a [Word; 4]; 2] {
        let columns = 1 << self.plan.log_columns;
        let (fours, _) = self.column[row * columns..][..columns].as_chunks::<4>();
        [&fours[self.task], &fours[self.task + columns / 8]]
    }

    /// Asks for the lines of a row.
    #[inline(always)]
    fn fetch<const HINT: i32>(&self, row: usize) {
        for four in self.cells(row) {
            four.iter().step_by(2).for_each(prefetch::<HINT, _>);
            prefetch::<HINT, _>(&four[3]);
        }
    }
}

/// What the cells of a row are multiplied by.
trait RowShift {
    /// The row's cells times that.
    fn shifted(&self, row: usize, cells: Lanes, k: &Constants) -> Lanes;
}

/// Nothing.
struct Unshifted;

impl RowShift for Unshifted {
    #[inline(always)]
    fn shifted(&self, _: usize, cells: Lanes, _: &Constants) -> Lanes {
        cells
    }
}

/// A factor each.
struct ByCell<'a> {
    ifma: Ifma,
    shifts: Rows<'a>,
}

impl RowShift for ByCell<'_> {
    #[inline(always)]
    fn shifted(&self, row: usize, cells: Lanes, k: &Constants) -> Lanes {
        cells.multiply(&load_halves(self.ifma, self.shifts.cells(row)), k)
    }
}

/// The factor of their row.
struct ByRow<'a> {
    ifma: Ifma,
    shift: &'a Shift,
}

impl RowShift for ByRow<'_> {
    #[inline(always)]
    fn shifted(&self, row: usize, cells: Lanes, k: &Constants) -> Lanes {
        cells.multiply(&Lanes::splat(self.ifma, self.shift.rows[row]), k)
    }
}

/// Reads a task's columns, rows in bit-reversed order, with the first layer.
#[inline(always)]
fn read<S: RowShift>(ifma: Ifma, buffer: &mut [Loose], rows: &Rows<'_>, shift: &S, k: &Constants) {
    let log_rows = rows.plan.log_rows;
    let row = |place: usize| place.reverse_bits() >> (usize::BITS - log_rows);
    for pair in 0..buffer.len() / 2 {
        let place = 2 * pair;
        if log_rows >= FAR && place + AHEAD < buffer.len() {
            rows.fetch::<NEAR>(row(place + AHEAD));
            rows.fetch::<NEAR>(row(place + AHEAD + 1));
        }
        let both = unrolled!(2, i => {
            let row = row(place + i);
            Loose::new(shift.shifted(row, load_halves(ifma, rows.cells(row)), k))
        });
        [buffer[place], buffer[place + 1]] = sum_and_difference(both);
    }
}

/// The first layer.
#[inline(always)]
fn sum_and_difference([a, b]: [Loose; 2]) -> [Loose; 2] {
    [a.plus(&b), a.minus(&b)]
}

/// The first layer of the second pass on two columns from one on and those of the other half: words of four values.
#[inline(always)]
fn first_layer(
    ifma: Ifma,
    buffer: &mut [Loose],
    (column, plan): (usize, &Plan),
    words: &[[Vector; 4]; 4],
) {
    for i in 0..2 {
        let place = (column + i).reverse_bits() >> (usize::BITS - plan.log_columns);
        let both = unrolled!(2, half => {
            let own = unrolled!(4, word => words[word][i + 2 * half]);
            Loose::new(Lanes::unpack(ifma, own))
        });
        [buffer[place], buffer[place + 1]] = sum_and_difference(both);
    }
}

/// The first values of a buffer, which is made as long as they are.
#[inline(always)]
fn room<'a>(buffer: &'a mut Vec<Loose>, length: usize, k: &Constants) -> &'a mut [Loose] {
    if buffer.len() < length {
        buffer.resize(length, Loose::new(k.one));
    }
    &mut buffer[..length]
}

/// What becomes of the first pass's results: times factors from a table.
struct Tabled<'a> {
    ifma: Ifma,
    parcels: &'a mut [Parcel],
    between: &'a [Parcel],
    /// One more factor of all.
    factor: Option<Lanes>,
}

impl Sink for Tabled<'_> {
    #[inline(always)]
    fn lift(k: &Constants) -> &[Vector; 5] {
        &k.p32
    }

    #[inline(always)]
    fn put(&mut self, i: usize, j: usize, [a, b]: [Loose; 2], k: &Constants) {
        let rows = rows_of(self.parcels, i, j);
        let [v, w] = [
            open(self.ifma, &self.between[rows[0]]),
            open(self.ifma, &self.between[rows[1]]),
        ];
        let (a, b) = (a.carried(k), b.carried(k));
        let mut products = turns::multiply_uncarried([&a, &b], [&v, &w], k);
        if let Some(own) = &self.factor {
            let [a, b] = products.map(|limbs| Loose(limbs).carried(k));
            products = turns::multiply_uncarried([&a, &b], [own, own], k);
        }
        seal(self.parcels, rows, products);
    }
}

/// As [`Tabled`], times factors that are made on the way, for each quarter of the rows.
struct Running<'a> {
    parcels: &'a mut [Parcel],
    factors: [Lanes; 4],
    step: Lanes,
}

impl Sink for Running<'_> {
    #[inline(always)]
    fn lift(k: &Constants) -> &[Vector; 5] {
        &k.p32
    }

    #[inline(always)]
    fn put(&mut self, i: usize, j: usize, [a, b]: [Loose; 2], k: &Constants) {
        let rows = rows_of(self.parcels, i, j);
        let factors = [self.factors[j], self.factors[j + 2]];
        let (a, b) = (a.carried(k), b.carried(k));
        let products = turns::multiply_uncarried([&a, &b], [&factors[0], &factors[1]], k);
        seal(self.parcels, rows, products);
        let steps = [&self.step, &self.step];
        [self.factors[j], self.factors[j + 2]] =
            turns::multiply([&factors[0], &factors[1]], steps, k);
    }
}

/// Rows `i + j q` and `i + (j + 2) q`, for a quarter q of them.
#[inline(always)]
const fn rows_of(parcels: &[Parcel], i: usize, j: usize) -> [usize; 2] {
    let quarter = parcels.len() / 4;
    [i + j * quarter, i + (j + 2) * quarter]
}

/// Writes two rows to their places in a task's parcels.
#[inline(always)]
fn seal(parcels: &mut [Parcel], rows: [usize; 2], products: [[Vector; 5]; 2]) {
    let eighth = parcels.len() / 8;
    for (row, limbs) in rows.into_iter().zip(products) {
        let parcel = &mut parcels[row % 8 * eighth + row / 8];
        for (to, word) in parcel.iter_mut().zip(pack(limbs)) {
            word.store(to);
        }
    }
}

/// # Safety
/// The machine has the features, and no other call with this task and column runs at the same time.
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
unsafe fn second_words<F: Field>(
    prime: Prime<F>,
    plan: &Plan,
    task: usize,
    column: &Shared<'_, F>,
    buffer: &mut Vec<Loose>,
) {
    let (k, ifma) = (prime.constants(), prime.ifma);
    let (rows, columns) = (plan.rows(), 1 << plan.log_columns);
    let buffer = room(buffer, columns, k);
    for group in 0..columns / 8 {
        let start = |row: usize| (8 * group + row) * rows + 8 * task;
        if plan.log_columns >= FAR && group + 1 < columns / 8 {
            (0..8).for_each(|row| column.fetch(start(8 + row)));
        }
        // SAFETY: columns `8 task ..` are this task's, and written to only after all are read.
        let tile = unsafe { unrolled!(8, row => column.parcel(start(ORDER[row]))) };
        let rows = |i: usize| unrolled!(8, row => Vector::load(ifma, &tile[row][i]));
        // Lanes 0, 2, 1, 3 are neighbours, 4, 6, 5, 7 those of the other half.
        let even = unrolled!(4, i => Vector::transpose_even(rows(i)));
        first_layer(ifma, buffer, (4 * group, plan), &even);
        let odd = unrolled!(4, i => Vector::transpose_odd(rows(i)));
        first_layer(ifma, buffer, (4 * group + 2, plan), &odd);
    }
    let mut sink = Neighbours {
        column,
        start: 8 * task,
        rows,
        quarter: columns / 4,
        above: k.mask.sub(k.mask),
    };
    vertical(ifma, buffer, &plan.by_column, &mut sink, k);
    if sink.above.zeros() != u8::MAX {
        for k2 in 0..columns {
            // SAFETY: columns `8 task ..` are this task's.
            unsafe { column.correct(ifma, k2 * rows + 8 * task, k) };
        }
    }
}

/// What becomes of the second pass's results: nearly canonical, to eight neighbours in every row of the column. Only for a task
/// to which these belong.
struct Neighbours<'a, F> {
    column: &'a Shared<'a, F>,
    start: usize,
    rows: usize,
    quarter: usize,
    /// Zero if all results are canonical.
    above: Vector,
}

impl<F: Field> Sink for Neighbours<'_, F> {
    #[inline(always)]
    fn lift(k: &Constants) -> &[Vector; 5] {
        &k.less_tails
    }

    #[inline(always)]
    fn put(&mut self, i: usize, j: usize, values: [Loose; 2], k: &Constants) {
        let first = i + j * self.quarter;
        for (k2, value) in [first, first + 2 * self.quarter].into_iter().zip(values) {
            let (words, above) = value.nearly_canonical(k);
            self.above = self.above.or(above);
            // SAFETY: one is made for the task these cells belong to, when it has read them.
            unsafe { self.column.write(k2 * self.rows + self.start, words) };
        }
    }
}
