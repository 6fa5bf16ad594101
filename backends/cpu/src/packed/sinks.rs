//! What becomes of the results of the passes of a transform: parcels between them, then cells.

use core::marker::PhantomData;

use zkernel_backend::Field;

use super::butterflies::Sink;
use super::copies::Pieces;
use super::lanes::{Lanes, digits};
use super::loose::{Loose, corrected, pack};
use super::prime::{Constants, Prime};
use super::rows::{Word, store_words, words_of};
use super::turns;
use super::vector::{Ifma, Vector};

/// Eight elements between the passes: four words, lanes in [`super::rows::ORDER`].
pub(crate) type Parcel = [[u64; 8]; 4];

/// The elements of a parcel as factors.
#[inline(always)]
pub(super) fn open(ifma: Ifma, parcel: &Parcel) -> Lanes {
    let [a, b, c, d] = unrolled!(4, i => Vector::load(ifma, &parcel[i]));
    // Products read the low 52 bits.
    Lanes([
        a,
        a.funnel::<52>(b),
        b.funnel::<40>(c),
        c.funnel::<28>(d),
        d.shr::<16>(),
    ])
}

/// What becomes of the first pass's results: times factors from a table.
pub(super) struct Tabled<'a, const FEW: bool> {
    pub(super) ifma: Ifma,
    pub(super) parcels: &'a mut [Parcel],
    pub(super) between: &'a [Parcel],
    /// One more factor of all.
    pub(super) factor: Option<Lanes>,
}

impl<const FEW: bool> Sink for Tabled<'_, FEW> {
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
        let (a, b) = (a.factor(), b.factor());
        let mut products = turns::multiply_uncarried::<FEW, false>([&a, &b], [&v, &w], k);
        if let Some(own) = &self.factor {
            let (a, b) = (digits(products[0]), digits(products[1]));
            products = turns::multiply_uncarried::<FEW, true>([&a, &b], [own, own], k);
        }
        seal(self.parcels, rows, products);
    }
}

/// As [`Tabled`], times factors that are made on the way, for each quarter of the rows.
pub(super) struct Running<'a, const FEW: bool> {
    pub(super) parcels: &'a mut [Parcel],
    pub(super) factors: [Lanes; 4],
    pub(super) step: Lanes,
}

impl<const FEW: bool> Sink for Running<'_, FEW> {
    #[inline(always)]
    fn lift(k: &Constants) -> &[Vector; 5] {
        &k.p32
    }

    #[inline(always)]
    fn put(&mut self, i: usize, j: usize, [a, b]: [Loose; 2], k: &Constants) {
        let rows = rows_of(self.parcels, i, j);
        let factors = [self.factors[j], self.factors[j + 2]];
        let (a, b) = (a.factor(), b.factor());
        let products =
            turns::multiply_uncarried::<FEW, false>([&a, &b], [&factors[0], &factors[1]], k);
        seal(self.parcels, rows, products);
        let steps = [&self.step, &self.step];
        [self.factors[j], self.factors[j + 2]] =
            turns::multiply::<FEW, true>([&factors[0], &factors[1]], steps, k);
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

/// What becomes of the second pass's results: nearly canonical, to eight neighbours in every row of the column.
pub(super) struct Neighbours<'a, F> {
    column: &'a Shared<'a, F>,
    /// The first of the neighbours.
    start: usize,
    /// From these to those in the next row.
    stride: usize,
    /// A quarter of the rows.
    quarter: usize,
    /// Zero if all results are canonical.
    above: Vector,
}

impl<'a, F: Field> Neighbours<'a, F> {
    /// Those from start on, in every row of so many.
    ///
    /// # Safety
    /// No other task reads or writes these cells, and nobody reads them while results are put there.
    #[inline(always)]
    pub(super) unsafe fn new(
        column: &'a Shared<'a, F>,
        (start, stride, rows): (usize, usize, usize),
        k: &Constants,
    ) -> Self {
        Self {
            column,
            start,
            stride,
            quarter: rows / 4,
            above: k.mask.sub(k.mask),
        }
    }

    /// Makes all results canonical, if some are not.
    #[inline(always)]
    pub(super) fn finish(self, ifma: Ifma, k: &Constants) {
        if self.above.zeros() == u8::MAX {
            return;
        }
        for row in 0..4 * self.quarter {
            // SAFETY: the cells are this task's, as `new` asks for.
            unsafe { self.column.correct(ifma, row * self.stride + self.start, k) };
        }
    }
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
            // SAFETY: the cells are this task's, as `new` asks for.
            unsafe { self.column.write(k2 * self.stride + self.start, words) };
        }
    }
}

/// The parcels of tasks in places of eight neighbours in every row.
pub(super) struct Places<'a, 'b, F> {
    column: &'b Shared<'a, F>,
    start: usize,
    stride: usize,
}

impl<'a, 'b, F: Field> Places<'a, 'b, F> {
    /// Those from start on, of the first task.
    ///
    /// # Safety
    /// Nobody writes to cells of tasks that are asked for while this is used.
    #[inline(always)]
    pub(super) const unsafe fn new(column: &'b Shared<'a, F>, start: usize, stride: usize) -> Self {
        Self {
            column,
            start,
            stride,
        }
    }
}

impl<F: Field> Pieces for Places<'_, '_, F> {
    #[inline(always)]
    fn cells(&self, row: usize, task: usize) -> [&[Word; 4]; 2] {
        // SAFETY: as `new` asks for.
        let parcel = unsafe {
            self.column
                .parcel(row * self.stride + self.start + 8 * task)
        };
        let cells = parcel.as_flattened().as_chunks().0.as_chunks().0;
        [&cells[0], &cells[1]]
    }
}

/// A column that several tasks write to, each its own cells.
pub(super) struct Shared<'a, F> {
    cells: *mut [u64; 4],
    length: usize,
    column: PhantomData<&'a mut [F]>,
}

// SAFETY: it stands for a mutable slice of words; tasks write to different cells.
unsafe impl<F> Sync for Shared<'_, F> {}

impl<'a, F: Field> Shared<'a, F> {
    /// A column as cells to be written by tasks.
    pub(super) fn new(prime: Prime<F>, column: &'a mut [F]) -> Self {
        let cells = prime.words_mut(column);
        Self {
            length: cells.len(),
            cells: cells.as_mut_ptr(),
            column: PhantomData,
        }
    }

    /// Where a cell is, or would be, of which nothing may be read.
    #[inline(always)]
    pub(super) const fn address(&self, cell: usize) -> *const Word {
        self.cells.wrapping_add(cell)
    }

    /// The parcel in place of eight neighbours.
    ///
    /// # Safety
    /// Nobody writes to these cells while the reference is used.
    #[inline(always)]
    pub(super) unsafe fn parcel(&self, start: usize) -> &Parcel {
        assert!(start + 8 <= self.length);
        // SAFETY: inside the slice that is borrowed for as long as self lives: 32 words as eight cells are, and no more aligned.
        unsafe { &*self.cells.add(start).cast() }
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
