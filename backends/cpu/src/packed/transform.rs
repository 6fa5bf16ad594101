//! Number-theoretic transforms, natural to natural order, in two passes of whole vectors.
//!
//! With n = R C, row r, column c and `j = r C + c`, `k = k1 + R k2`:
//! `X[k] = sum_c w^(R c k2) (w^(c k1) sum_r w^(C r k1) x[r C + c])`. The first pass transforms over r, eight columns in
//! lanes (four, and four half of C further on), and multiplies by `w^(c k1)`; the second over c, eight k1 in lanes, and its
//! outputs are eight neighbours again.
//! Between them tiles of eight by eight are transposed. In both, all lanes have the same twiddle.

use zkernel_backend::Field;
use zkernel_verifier::curve::powers;

use super::butterflies::{LAYERS, Twiddles, vertical};
use super::loose::Loose;
use super::prime::{Constants, Prime};
use super::reading::{ByCell, ByRow, FAR, Rows, Unshifted, first_layer, read};
use super::rows::{ORDER, Word};
use super::sinks::{Neighbours, Parcel, Running, Shared, Tabled, open};
use super::vector::Vector;
use crate::parallel;

/// Sizes of packed transforms: whole tiles, and passes of at most [`LAYERS`] layers.
pub(crate) const SIZES: core::ops::RangeInclusive<u32> = 6..=2 * LAYERS;

/// Sizes up to which the twiddles between the passes are tabled.
const TABLED: u32 = 16;

/// What a transform of one size and direction needs.
pub(crate) struct Plan {
    pub(super) log_rows: u32,
    pub(super) log_columns: u32,
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
    pub(super) rows: Vec<[u64; 5]>,
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

/// The first values of a buffer, which is made as long as they are.
#[inline(always)]
fn room<'a>(buffer: &'a mut Vec<Loose>, length: usize, k: &Constants) -> &'a mut [Loose] {
    if buffer.len() < length {
        buffer.resize(length, Loose::new(k.one));
    }
    &mut buffer[..length]
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
    // SAFETY: columns `8 task ..` are this task's, and all that they held is read.
    let mut sink = unsafe { Neighbours::new(column, (8 * task, rows, columns), k) };
    vertical(ifma, buffer, &plan.by_column, &mut sink, k);
    sink.finish(ifma, k);
}
