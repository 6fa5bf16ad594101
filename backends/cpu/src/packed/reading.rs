//! What the first pass of a transform reads, with its shifts, and the first layer of both passes.

use super::copies::{Copied, Pieces};
use super::lanes::Lanes;
use super::loose::Loose;
use super::prime::Constants;
use super::rows::{Word, load_halves};
use super::transform::{Plan, Shift};
use super::vector::{Ifma, Vector};

/// A task's columns of cells, row by row.
pub(super) struct Rows<'a> {
    pub(super) plan: &'a Plan,
    pub(super) column: &'a [Word],
    pub(super) task: usize,
}

impl Pieces for Rows<'_> {
    /// Four, and four of the other half.
    #[inline(always)]
    fn cells(&self, row: usize, task: usize) -> [&[Word; 4]; 2] {
        let columns = 1 << self.plan.log_columns;
        let (fours, _) = self.column[row * columns..][..columns].as_chunks::<4>();
        [
            &fours[self.task + task],
            &fours[self.task + task + columns / 8],
        ]
    }
}

/// What the cells of a row are multiplied by.
pub(super) trait RowShift {
    /// The row's cells times that.
    fn shifted(&self, row: usize, cells: Lanes, k: &Constants) -> Lanes;
}

/// Nothing.
pub(super) struct Unshifted;

impl RowShift for Unshifted {
    #[inline(always)]
    fn shifted(&self, _: usize, cells: Lanes, _: &Constants) -> Lanes {
        cells
    }
}

/// A factor each.
pub(super) struct ByCell<'a> {
    pub(super) ifma: Ifma,
    pub(super) shifts: Rows<'a>,
}

impl RowShift for ByCell<'_> {
    #[inline(always)]
    fn shifted(&self, row: usize, cells: Lanes, k: &Constants) -> Lanes {
        cells.multiply(&load_halves(self.ifma, self.shifts.cells(row, 0)), k)
    }
}

/// The factor of their row.
pub(super) struct ByRow<'a> {
    pub(super) ifma: Ifma,
    pub(super) shift: &'a Shift,
}

impl RowShift for ByRow<'_> {
    #[inline(always)]
    fn shifted(&self, row: usize, cells: Lanes, k: &Constants) -> Lanes {
        cells.multiply(&Lanes::splat(self.ifma, self.shift.rows[row]), k)
    }
}

/// Reads a task's columns, or their copies, rows in bit-reversed order, with the first layer.
#[inline(always)]
pub(super) fn read<S: RowShift>(
    ifma: Ifma,
    buffer: &mut [Loose],
    (rows, copies): (&Rows<'_>, &[Copied]),
    shift: &S,
    k: &Constants,
) {
    let log_rows = rows.plan.log_rows;
    let half = buffer.len() / 2;
    for first in 0..half {
        let place = first.reverse_bits() >> (usize::BITS - log_rows);
        let both = unrolled!(2, i => {
            let row = first + i * half;
            let cells = copies.get(row);
            let cells = cells.map_or_else(|| rows.cells(row, 0), Copied::cells);
            Loose::new(shift.shifted(row, load_halves(ifma, cells), k))
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
pub(super) fn first_layer(
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
