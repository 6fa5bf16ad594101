//! Copies of what the next tasks of a transform read, made while these are worked on.
//!
//! A task reads 128 bytes at a time, and what lies beside them is for the next one. From far that takes as long as lines are waited
//! for, few at a time. The rows of a column are a power of two apart, so that few lines at such addresses would stay in
//! the second-level cache until the next task: what is asked for is copied soon after, row by row between the layers.

use super::rows::Word;
use super::sinks::Parcel;
use super::vector::{FAR, Ifma, Vector, claim_at, fetch_at};

/// Rows (as logarithm) from which tasks read copies: from 2^17 cells on. Smaller columns may lie near, and copies then cost more than what is waited for.
pub(super) const LOG_ROWS: u32 = 9;

/// Tasks whose cells are copied together.
pub(super) const TOGETHER: usize = 2;

/// Parts of all tasks for each thread: the first copies of each are waited for.
pub(super) const PARTS: usize = 2;

/// Rows between the one that is asked for and the one that is copied.
const AHEAD: usize = 4;

/// Where the cells of some tasks are.
pub(super) trait Pieces {
    /// Twice four cells of a row that one of these tasks reads.
    fn cells(&self, row: usize, task: usize) -> [&[Word; 4]; 2];
}

/// What is done beside the layers, step by step.
pub(super) trait Aside {
    /// Takes some steps, if as many are left.
    fn step(&mut self, steps: usize);
}

/// Nothing.
pub(super) struct Nothing;

impl Aside for Nothing {
    #[inline(always)]
    fn step(&mut self, _: usize) {}
}

/// Cells that will be read or written soon are asked for.
pub(super) struct Ahead {
    next: *const i8,
    /// Lines that are left.
    lines: usize,
}

/// Lines in a step: four for every value of a pass, with as many steps as [`super::butterflies`] takes.
const LINES: usize = 8;

impl Ahead {
    /// All of these.
    pub(super) const fn new(cells: &[Word]) -> Self {
        Self {
            next: cells.as_ptr().cast(),
            lines: cells.len() / 2,
        }
    }
}

impl Aside for Ahead {
    #[inline(always)]
    fn step(&mut self, steps: usize) {
        for _ in 0..steps {
            if self.lines < LINES {
                return;
            }
            for line in 0..LINES {
                fetch_at::<FAR>(self.next.wrapping_add(64 * line));
            }
            self.next = self.next.wrapping_add(64 * LINES);
            self.lines -= LINES;
        }
    }
}

/// What is copied beside the work on other tasks, row by row.
pub(super) struct Beside<'a, P> {
    ifma: Ifma,
    pieces: P,
    /// Of one task after the other.
    copies: &'a mut [Copied],
    /// How many of these steps are taken: the last of a row makes its copies.
    steps: usize,
    /// All steps: of copies, or one for each of so many parcels that are claimed.
    all: usize,
    /// The next of these.
    parcel: *const Word,
    /// Cells from one to the next.
    stride: usize,
}

impl<'a, P: Pieces> Beside<'a, P> {
    /// Copies of all rows of [`TOGETHER`] tasks, or nothing if there is no room.
    #[inline(always)]
    pub(super) const fn new(ifma: Ifma, pieces: P, copies: &'a mut [Copied]) -> Self {
        Self {
            ifma,
            pieces,
            all: copies.len(),
            copies,
            steps: 0,
            parcel: core::ptr::null(),
            stride: 0,
        }
    }

    /// Claims the parcels that are read next, and written, where no copies are made: those in so many rows from one on. Lines that another thread has
    /// written last come as this one's own, each of which a read would wait for, and a write once more.
    #[inline(always)]
    pub(super) fn claim(&mut self, first: *const Word, (stride, rows): (usize, usize)) {
        debug_assert!(self.copies.is_empty());
        (self.parcel, self.stride) = (first, stride);
        (self.steps, self.all) = (0, rows);
    }

    /// Claims one.
    #[inline(always)]
    fn claim_next(&mut self) {
        for line in 0..size_of::<Parcel>() / 64 {
            claim_at(self.parcel.wrapping_add(2 * line));
        }
        self.parcel = self.parcel.wrapping_add(self.stride);
    }

    /// Copies the cells of a row and asks for those of a later one.
    #[inline(always)]
    fn copy(&mut self, row: usize) {
        let rows = self.copies.len() / TOGETHER;
        if row + AHEAD < rows {
            for task in 0..TOGETHER {
                for cells in self.pieces.cells(row + AHEAD, task) {
                    let start = cells.as_ptr().cast::<i8>();
                    fetch_at::<FAR>(start);
                    fetch_at::<FAR>(start.wrapping_add(64));
                    // Where the next task's begin, which are asked for, unless there is none.
                    if task + 1 == TOGETHER {
                        fetch_at::<FAR>(start.wrapping_add(127));
                    }
                }
            }
        }
        for task in 0..TOGETHER {
            let cells = self.pieces.cells(row, task);
            self.copies[row + task * rows].take(self.ifma, cells);
        }
    }

    /// Takes all steps that are left.
    #[inline(always)]
    pub(super) fn finish(&mut self) {
        self.step(self.all - self.steps);
    }
}

impl<P: Pieces> Aside for Beside<'_, P> {
    #[inline(always)]
    fn step(&mut self, steps: usize) {
        for _ in 0..steps {
            if self.steps >= self.all {
                return;
            }
            self.steps += 1;
            if self.copies.is_empty() {
                self.claim_next();
            } else if self.steps.is_multiple_of(TOGETHER) {
                self.copy(self.steps / TOGETHER - 1);
            }
        }
    }
}

/// The cells of a row that a task reads: twice four, or a parcel.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct Copied([[Word; 4]; 2]);

impl Copied {
    /// Not yet.
    pub(super) const NOTHING: Self = Self([[[0; 4]; 4]; 2]);

    /// Copies twice four cells.
    #[inline(always)]
    fn take(&mut self, ifma: Ifma, cells: [&[Word; 4]; 2]) {
        for (to, cells) in self.0.iter_mut().zip(cells) {
            let to = to.as_flattened_mut().as_chunks_mut().0;
            for (to, words) in to.iter_mut().zip(cells.as_flattened().as_chunks().0) {
                Vector::load(ifma, words).store(to);
            }
        }
    }

    /// The cells.
    #[inline(always)]
    pub(super) const fn cells(&self) -> [&[Word; 4]; 2] {
        [&self.0[0], &self.0[1]]
    }

    /// The same as a parcel.
    #[inline(always)]
    pub(super) fn parcel(&self) -> &Parcel {
        let words = self.0.as_flattened().as_flattened();
        &words.as_chunks().0.as_chunks().0[0]
    }
}

#[cfg(test)]
mod tests {
    use pasta_curves::Fp;

    use super::*;
    use crate::packed::sinks::{Places, Shared};
    use crate::packed::tests::packed;

    #[test]
    fn parcels_are_claimed_where_they_are_read_and_no_more() {
        let Some(prime) = packed::<Fp>() else { return };
        let (rows, stride) = (6, 32);
        let mut column: Vec<Fp> = (0..rows * stride).map(|i| Fp::from(i as u64)).collect();
        let before = column.clone();
        let shared = Shared::new(prime, &mut column);
        // SAFETY: nobody writes.
        let places = unsafe { Places::new(&shared, 8, stride) };
        let mut beside = Beside::new(prime.ifma, places, &mut []);
        beside.step(3);
        assert!(beside.parcel.is_null());
        beside.claim(shared.address(8), (stride, rows));
        for row in 0..rows {
            let [cells, _] = beside.pieces.cells(row, 0);
            assert_eq!(beside.parcel, cells.as_ptr());
            beside.step(1);
        }
        let end = shared.address(8 + rows * stride);
        beside.step(3);
        beside.finish();
        assert_eq!((beside.parcel, beside.steps), (end, rows));
        assert_eq!(column, before);
    }
}
