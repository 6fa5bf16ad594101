//! Copies of what the next tasks of a transform read.
//!
//! A task reads 128 bytes at a time, and what lies beside them is for the next ones. From far, wider pieces come twice as fast, and
//! the rows of a column are a power of two apart: few lines at such addresses stay in the second-level cache until the next task.

use super::rows::Word;
use super::sinks::Parcel;
use super::vector::{Ifma, Vector};

/// Rows (as logarithm) from which tasks read copies.
pub(super) const LOG_ROWS: u32 = 10;

/// Tasks whose cells are copied together.
pub(crate) const TOGETHER: usize = 4;

/// The cells of a row that a task reads: twice four, or a parcel.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct Copied([[Word; 4]; 2]);

impl Copied {
    /// Not yet.
    pub(super) const NOTHING: Self = Self([[[0; 4]; 4]; 2]);

    /// Copies twice four cells.
    #[inline(always)]
    pub(super) fn take(&mut self, ifma: Ifma, cells: [&[Word; 4]; 2]) {
        for (to, cells) in self.0.iter_mut().zip(cells) {
            let to = to.as_flattened_mut().as_chunks_mut().0;
            for (to, words) in to.iter_mut().zip(cells.as_flattened().as_chunks().0) {
                Vector::load(ifma, words).store(to);
            }
        }
    }

    /// Copies a parcel.
    #[inline(always)]
    pub(super) fn take_parcel(&mut self, ifma: Ifma, parcel: &Parcel) {
        let cells = parcel.as_flattened().as_chunks().0.as_chunks().0;
        self.take(ifma, [&cells[0], &cells[1]]);
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
