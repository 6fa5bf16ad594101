//! What transforms of one size need: twiddles, factors between the passes, and how tasks are shared out.

use zkernel_backend::Field;
use zkernel_verifier::curve::powers;

use crate::packed::butterflies::{LAYERS, Twiddles};
use crate::packed::copies::{LOG_ROWS, PARTS, TOGETHER};
use crate::packed::prime::Prime;
use crate::packed::rows::{ORDER, Word};
use crate::packed::sinks::Parcel;

/// Sizes of packed transforms: whole tiles, and passes of at most [`LAYERS`] layers.
pub(crate) const SIZES: core::ops::RangeInclusive<u32> = 6..=2 * LAYERS;

/// Sizes up to which the twiddles between the passes are tabled.
const TABLED: u32 = 16;

/// What a transform of one size and direction needs.
pub(crate) struct Plan {
    pub(in crate::packed) log_rows: u32,
    pub(in crate::packed) log_columns: u32,
    /// Of the roots `w^C` and `w^R`.
    pub(super) by_row: Twiddles,
    pub(super) by_column: Twiddles,
    /// For each eight columns, as factors in words: `scale w^(c k1)` for all k1, or for those that begin quarters, and `w^c`, if
    /// not tabled.
    pub(super) between: Vec<Parcel>,
    pub(super) tabled: bool,
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
    pub(super) const fn rows(&self) -> usize {
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

    /// Whether tasks read copies of their rows.
    pub(super) const fn copies(&self) -> bool {
        self.log_rows >= LOG_ROWS
    }

    /// How many of the tasks of a pass a thread takes at a time: all whose cells are copied together among them, or its whole share.
    ///
    /// Neighbours without copies are one thread's, so that it claims what comes next, and its processor still holds what it worked on in the transform
    /// before.
    pub(crate) fn together(&self, tasks: usize, threads: usize) -> usize {
        if self.copies() {
            (tasks / (PARTS * threads))
                .next_multiple_of(TOGETHER)
                .max(TOGETHER)
        } else {
            tasks.div_ceil(threads)
        }
    }

    /// Tasks of the first pass.
    pub(crate) const fn tasks(&self) -> usize {
        1 << (self.log_columns - 3)
    }
}

/// Powers of a shift, `s^(r C)` of every row and `s^c` of every column, as factors: `s^j` of all cells in so much less room.
pub(crate) struct Shift {
    pub(in crate::packed) rows: Vec<[u64; 5]>,
    /// Those of a task each.
    pub(super) columns: Vec<Parcel>,
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
