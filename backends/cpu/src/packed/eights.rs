//! Transforms of eight columns at once, one in every lane.
//!
//! All twiddles are then the same in every lane, and those between the passes of [`super::transform`] fall away. The layers are done in
//! two goes all the same: first all but the last four on parts that stay in the first-level cache, then these. Cells of a
//! column lie as they are in memory, so that tiles of eight by eight words are transposed where they are read and written.

use zkernel_backend::Field;

use super::butterflies::{
    LOG_PARTS, Sink, TOGETHER, Twiddles, last_layers, layers_of_part, vertical,
};
use super::copies::{Ahead, Nothing};
use super::lanes::Lanes;
use super::loose::{Division, Loose, corrected};
use super::prime::{Constants, Prime, limbs};
use super::rows::{Word, store_words, words_of};
use super::transform::Room;
use super::turns;
use super::vector::{Ifma, Vector};

/// Sizes of these transforms. Values and twiddles of a row take 576 bytes, beside 512 of cells: larger ones do not stay in the
/// second-level cache.
pub(crate) const SIZES: core::ops::RangeInclusive<u32> = 6..=10;

/// Columns of a group.
pub(crate) const COLUMNS: usize = 8;

/// Least size (as logarithm) of which there are parts.
const LEAST_OF_PARTS: u32 = LOG_PARTS + 3;

/// What a transform of one size and direction needs.
pub(crate) struct Plan {
    log_n: u32,
    twiddles: Twiddles,
    /// Whether results are divided by the number of rows.
    divided: bool,
}

impl Plan {
    /// For powers of omega, of order `2^log_n`.
    pub(crate) fn new<F: Field>(prime: Prime<F>, log_n: u32, omega: F, divided: bool) -> Self {
        Self {
            log_n,
            twiddles: Twiddles::new(prime, omega, log_n),
            divided,
        }
    }

    /// Cells of a group of columns.
    pub(crate) const fn cells(&self) -> usize {
        COLUMNS << self.log_n
    }
}

/// What a group of columns is read from.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a, F> {
    /// Column by column.
    pub(crate) columns: &'a [F],
    /// What the cells of every column are multiplied by, as factors, or nothing.
    pub(crate) shifts: &'a [F],
    /// The columns of which this thread reads next, which are asked for.
    pub(crate) next: &'a [F],
}

/// Transforms a group of columns.
pub(crate) fn transform<F: Field>(
    prime: Prime<F>,
    plan: &Plan,
    source: Source<'_, F>,
    outputs: &mut [F],
    room: &mut Room,
) {
    let run = match (prime.ifma.few_instructions(), plan.divided) {
        (true, false) => transform_words::<F, true, false>,
        (true, true) => transform_words::<F, true, true>,
        (false, false) => transform_words::<F, false, false>,
        (false, true) => transform_words::<F, false, true>,
    };
    let outputs = prime.words_mut(outputs);
    // SAFETY: `prime` holds an `Ifma`, which proves the features.
    unsafe { run(prime, plan, source, outputs, room) }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn transform_words<F: Field, const FEW: bool, const DIVIDED: bool>(
    prime: Prime<F>,
    plan: &Plan,
    source: Source<'_, F>,
    outputs: &mut [Word],
    room: &mut Room,
) {
    let (k, ifma) = (prime.constants(), prime.ifma);
    let rows = 1 << plan.log_n;
    let [columns, shifts, next] = [source.columns, source.shifts, source.next];
    let cells = (prime.words(columns), prime.words(shifts));
    let mut writes = Ahead::new(outputs);
    let mut sink = Tiles::<DIVIDED>::new(ifma, (outputs, rows), k);
    if plan.log_n < LEAST_OF_PARTS {
        let (buffer, _) = room.of([rows, 0], k);
        let (low, high) = buffer.split_at_mut(rows / 2);
        read::<FEW>(ifma, [low, high], cells, 0, k);
        vertical(ifma, buffer, &plan.twiddles, (&mut sink, &mut Nothing), k);
    } else {
        let part = rows >> LOG_PARTS;
        let (buffer, _) = room.of([rows + (TOGETHER << LOG_PARTS), 0], k);
        let (buffer, between) = buffer.split_at_mut(rows);
        for residue in (0..1 << LOG_PARTS).step_by(2) {
            let place = usize::reverse_bits(residue) >> (usize::BITS - LOG_PARTS);
            let (low, high) = buffer.split_at_mut(rows / 2);
            let mut both = [low, high].map(|half| &mut half[place * part..][..part]);
            let parts = both.each_mut().map(|part| &mut **part);
            read::<FEW>(ifma, parts, cells, residue, k);
            for part in both {
                layers_of_part(ifma, part, &plan.twiddles, &mut writes, k);
            }
        }
        let mut reads = Ahead::new(prime.words(next));
        let after = (&mut between.as_chunks_mut().0[0], &mut sink, &mut reads);
        last_layers(ifma, buffer, &plan.twiddles, after, k);
    }
    sink.finish(k);
}

/// Words of two neighbouring rows of all columns, those of the first row first.
#[inline(always)]
fn two_rows(ifma: Ifma, columns: &[Word], row: usize) -> [Vector; 8] {
    let rows = columns.len() / COLUMNS;
    Vector::transpose(unrolled!(8, column => {
        let words = columns[column * rows + row..][..2].as_flattened();
        Vector::load(ifma, &words.as_chunks().0[0])
    }))
}

/// Reads rows of all columns, with the first layer: those of an even residue modulo the number of parts into one of them in
/// bit-reversed order, those of the next residue into another.
#[inline(always)]
fn read<const FEW: bool>(
    ifma: Ifma,
    mut parts: [&mut [Loose]; 2],
    (columns, shifts): (&[Word], &[Word]),
    residue: usize,
    k: &Constants,
) {
    let (rows, length) = (columns.len() / COLUMNS, parts[0].len());
    for index in 0..length / 2 {
        let first = index * (rows / length) + residue;
        let place = index.reverse_bits() >> (usize::BITS - length.ilog2());
        let low = two_rows(ifma, columns, first);
        let high = two_rows(ifma, columns, first + rows / 2);
        for i in 0..2 {
            let mut both = [
                Lanes::unpack(ifma, unrolled!(4, word => low[4 * i + word])),
                Lanes::unpack(ifma, unrolled!(4, word => high[4 * i + word])),
            ];
            if !shifts.is_empty() {
                let shifts = [shifts[first + i], shifts[first + i + rows / 2]];
                both = shifted::<FEW>(ifma, &both, shifts, k);
            }
            let [a, b] = [Loose::new(both[0]), Loose::new(both[1])];
            let part = &mut parts[i];
            [part[place], part[place + 1]] = [a.plus(&b), a.minus(&b)];
        }
    }
}

/// Two rows times a factor each: below 1.02 p, limbs below 2^57, sixteen of which are below 2^61 before they meet a product.
#[inline(always)]
fn shifted<const FEW: bool>(
    ifma: Ifma,
    rows: &[Lanes; 2],
    shifts: [Word; 2],
    k: &Constants,
) -> [Lanes; 2] {
    let factors = unrolled!(2, i => Lanes::splat(ifma, limbs(shifts[i])));
    let ([a, b], [v, w]) = (rows, &factors);
    let products = turns::multiply_uncarried::<FEW, false>([a, b], [v, w], k);
    [Lanes(products[0]), Lanes(products[1])]
}

/// What becomes of the results: nearly canonical, some rows of every column together.
struct Tiles<'a, const DIVIDED: bool> {
    ifma: Ifma,
    outputs: &'a mut [Word],
    rows: usize,
    /// Words of the results of each quarter that are not written yet.
    staged: [[[Vector; 4]; TOGETHER]; 4],
    /// Zero if all results are canonical.
    above: Vector,
    division: Division,
}

impl<'a, const DIVIDED: bool> Tiles<'a, DIVIDED> {
    /// Results of so many rows.
    #[inline(always)]
    fn new(ifma: Ifma, (outputs, rows): (&'a mut [Word], usize), k: &Constants) -> Self {
        let zero = k.mask.sub(k.mask);
        Self {
            ifma,
            outputs,
            rows,
            staged: [[[zero; 4]; TOGETHER]; 4],
            above: zero,
            division: Division::new(ifma, rows.ilog2()),
        }
    }

    /// Writes the staged rows from one on.
    #[inline(always)]
    fn write(&mut self, first: usize) {
        for (quarter, staged) in self.staged.iter().enumerate() {
            for (pair, words) in staged.as_flattened().as_chunks().0.iter().enumerate() {
                let row = first + quarter * (self.rows / 4) + 2 * pair;
                for (column, cells) in Vector::transpose(*words).into_iter().enumerate() {
                    let two = &mut self.outputs[column * self.rows + row..][..2];
                    cells.store(&mut two.as_flattened_mut().as_chunks_mut().0[0]);
                }
            }
        }
    }

    /// Makes all results canonical, if some are not.
    #[inline(always)]
    fn finish(self, k: &Constants) {
        if self.above.zeros() == u8::MAX {
            return;
        }
        for cells in self.outputs.as_chunks_mut().0 {
            store_words(cells, corrected(self.ifma, words_of(self.ifma, cells), k));
        }
    }
}

impl<const DIVIDED: bool> Sink for Tiles<'_, DIVIDED> {
    #[inline(always)]
    fn lift(k: &Constants) -> &[Vector; 5] {
        &k.less_tails
    }

    #[inline(always)]
    fn put(&mut self, i: usize, j: usize, values: [Loose; 2], k: &Constants) {
        for (half, value) in values.into_iter().enumerate() {
            let (words, above) = if DIVIDED {
                value.nearly_canonical_over(&self.division, k)
            } else {
                value.nearly_canonical(k)
            };
            self.above = self.above.or(above);
            self.staged[j + 2 * half][i % TOGETHER] = words;
        }
        if j == 1 && i % TOGETHER == TOGETHER - 1 {
            self.write(i + 1 - TOGETHER);
        }
    }
}
