//! Number-theoretic transforms, natural to natural order, in two passes of whole vectors.
//!
//! With n = R C, row r, column c and `j = r C + c`, `k = k1 + R k2`:
//! `X[k] = sum_c w^(R c k2) (w^(c k1) sum_r w^(C r k1) x[r C + c])`. The first pass transforms over r, eight columns in
//! lanes (four, and four half of C further on), and multiplies by `w^(c k1)`; the second over c, eight k1 in lanes, and its
//! outputs are eight neighbours again.
//! Between them tiles of eight by eight are transposed. In both, all lanes have the same twiddle.

use core::cell::Cell;
use core::ops::Range;

use zkernel_backend::Field;
use zkernel_verifier::curve::powers;

use super::butterflies::{LAYERS, Twiddles, vertical};
use super::copies::{Beside, Copied, LOG_ROWS, PARTS, TOGETHER};
use super::loose::Loose;
use super::prime::{Constants, Prime};
use super::reading::{ByCell, ByRow, Rows, Unshifted, first_layer, read};
use super::rows::{ORDER, Word};
use super::sinks::{Neighbours, Parcel, Places, Running, Shared, Tabled, open};
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

    /// Whether tasks read copies of their rows.
    const fn copies(&self) -> bool {
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

/// What a thread works in.
#[derive(Default)]
pub(crate) struct Room {
    values: Vec<Loose>,
    copies: Vec<Copied>,
}

/// Most bytes that a thread keeps: what transforms of 2^20 take.
const KEPT: usize = 3 << 19;

thread_local! {
    /// What this thread has worked in: fresh memory costs two threads 7 % of a transform of 2^14.
    static ROOM: Cell<Room> = const { Cell::new(Room::EMPTY) };
}

/// The room of a thread, as it was left by the transform before.
pub(crate) struct OwnRoom(Room);

impl OwnRoom {
    /// This thread's, or an empty one while it is used.
    pub(crate) fn new() -> Self {
        Self(ROOM.replace(Room::EMPTY))
    }

    /// To work in.
    pub(crate) const fn get(&mut self) -> &mut Room {
        &mut self.0
    }
}

impl Drop for OwnRoom {
    fn drop(&mut self) {
        let room = core::mem::take(&mut self.0);
        if room.bytes() <= KEPT {
            // A thread that ends keeps nothing.
            let _ = ROOM.try_with(|own| own.set(room));
        }
    }
}

impl Room {
    /// Nothing.
    const EMPTY: Self = Self {
        values: Vec::new(),
        copies: Vec::new(),
    };

    /// What it occupies.
    const fn bytes(&self) -> usize {
        self.values.capacity() * size_of::<Loose>() + self.copies.capacity() * size_of::<Copied>()
    }

    /// So many values, and so many copies.
    #[inline(always)]
    pub(super) fn of(
        &mut self,
        [values, copies]: [usize; 2],
        k: &Constants,
    ) -> (&mut [Loose], &mut [Copied]) {
        if self.values.len() < values {
            self.values.resize(values, Loose::new(k.one));
        }
        if self.copies.len() < copies {
            self.copies.resize(copies, Copied::NOTHING);
        }
        (&mut self.values[..values], &mut self.copies[..copies])
    }
}

/// Tasks of the first pass from one on: eight columns each, every cell times its shift, to the cells of the tasks as parcels. That of
/// row k1 lies where the second pass writes row `k1 mod 8` of the task's eight, eight cells from `k1 - k1 mod 8` on.
pub(crate) fn first_pass<F: Field>(
    prime: Prime<F>,
    plan: &Plan,
    (column, shifts): (&[F], Shifts<'_, F>),
    start: usize,
    cells: &mut [F],
    room: &mut Room,
) {
    let column = prime.words(column);
    let words = prime
        .words_mut(cells)
        .as_flattened_mut()
        .as_chunks_mut::<8>()
        .0;
    let parcels = words.as_chunks_mut::<4>().0;
    let first_words = if prime.ifma.few_instructions() {
        first_words::<F, true>
    } else {
        first_words::<F, false>
    };
    // SAFETY: `prime` holds an `Ifma`, which proves the features.
    unsafe { first_words(prime, plan, (column, shifts), start, parcels, room) }
}

/// The second pass, in place of the parcels of all tasks of the first, in a room or on all threads.
pub(crate) fn second_pass<F: Field>(
    prime: Prime<F>,
    plan: &Plan,
    column: &mut [F],
    room: Option<&mut Room>,
) {
    let column = Shared::new(prime, column);
    let alone = room.is_some();
    let run = |room: &mut Room, tasks: Range<usize>| {
        // SAFETY: `prime` holds an `Ifma`, which proves the features; every task is done once.
        unsafe { second_words(prime, plan, (tasks, alone), &column, room) }
    };
    let tasks = 1 << (plan.log_rows - 3);
    if let Some(room) = room {
        run(room, 0..tasks);
    } else {
        let together = plan.together(tasks, rayon::current_num_threads());
        let starts = (0..tasks).step_by(together);
        let work = |room: &mut OwnRoom, start: usize| {
            run(room.get(), start..tasks.min(start + together));
        };
        parallel::each_with(starts, OwnRoom::new, work);
    }
}

/// The tasks of [`first_pass`].
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn first_words<F: Field, const FEW: bool>(
    prime: Prime<F>,
    plan: &Plan,
    (column, shifts): (&[Word], Shifts<'_, F>),
    start: usize,
    parcels: &mut [Parcel],
    room: &mut Room,
) {
    let k = prime.constants();
    let rows = plan.rows();
    debug_assert!(!plan.copies() || parcels.len().is_multiple_of(TOGETHER * rows));
    let copied = if plan.copies() { TOGETHER * rows } else { 0 };
    let (buffer, copies) = room.of([rows, 2 * copied], k);
    let (mut own, mut next) = copies.split_at_mut(copied);
    let end = start + parcels.len() / rows;
    Beside::new(
        prime.ifma,
        Rows {
            plan,
            column,
            task: start,
        },
        own,
    )
    .finish();
    for (group, parcels) in parcels.chunks_mut(TOGETHER * rows).enumerate() {
        let task = start + group * TOGETHER;
        let after = task + TOGETHER;
        let room = if after >= end { &mut [] } else { &mut *next };
        let mut beside = Beside::new(
            prime.ifma,
            Rows {
                plan,
                column,
                task: after,
            },
            room,
        );
        for (i, parcels) in parcels.chunks_exact_mut(rows).enumerate() {
            let source = Rows {
                plan,
                column,
                task: task + i,
            };
            let own = own.get(i * rows..).unwrap_or_default();
            first_task::<F, FEW>(prime, (&source, own, &mut beside), shifts, parcels, buffer);
        }
        beside.finish();
        core::mem::swap(&mut own, &mut next);
    }
}

/// One task, by copies of its rows if there are any.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn first_task<F: Field, const FEW: bool>(
    prime: Prime<F>,
    (source, copies, beside): (&Rows<'_>, &[Copied], &mut Beside<'_, Rows<'_>>),
    shifts: Shifts<'_, F>,
    parcels: &mut [Parcel],
    buffer: &mut [Loose],
) {
    let (k, ifma) = (prime.constants(), prime.ifma);
    let (plan, task, rows) = (source.plan, source.task, buffer.len());
    let own = (source, copies);
    let mut factor = None;
    match shifts {
        Shifts::Cells([]) => read(ifma, buffer, own, &Unshifted, k),
        Shifts::Cells(shifts) => {
            let column = prime.words(shifts);
            let shifts = Rows { plan, column, task };
            read(ifma, buffer, own, &ByCell { ifma, shifts }, k);
        }
        Shifts::Powers(shift) => {
            factor = Some(open(ifma, &shift.columns[task]));
            read(ifma, buffer, own, &ByRow { ifma, shift }, k);
        }
    }
    if plan.tabled {
        let mut sink = Tabled::<FEW> {
            ifma,
            parcels,
            between: &plan.between[task * rows..][..rows],
            factor,
        };
        vertical(ifma, buffer, &plan.by_row, (&mut sink, beside), k);
    } else {
        let between = &plan.between[5 * task..][..5];
        let begin = unrolled!(4, i => open(ifma, &between[i]));
        let mut sink = Running::<FEW> {
            parcels,
            factors: match &factor {
                Some(factor) => unrolled!(4, i => begin[i].multiply(factor, k)),
                None => begin,
            },
            step: open(ifma, &between[4]),
        };
        vertical(ifma, buffer, &plan.by_row, (&mut sink, beside), k);
    }
}

/// # Safety
/// The machine has the features, and no other call with one of these tasks and this column runs at the same time.
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
unsafe fn second_words<F: Field>(
    prime: Prime<F>,
    plan: &Plan,
    (tasks, alone): (Range<usize>, bool),
    column: &Shared<'_, F>,
    room: &mut Room,
) {
    let (rows, columns) = (plan.rows(), 1 << plan.log_columns);
    let copied = if plan.copies() { TOGETHER * columns } else { 0 };
    let (buffer, copies) = room.of([columns, 2 * copied], prime.constants());
    let (mut own, mut next) = copies.split_at_mut(copied);
    assert!(!plan.copies() || tasks.len().is_multiple_of(TOGETHER));
    // SAFETY: columns from `8 task` on are those of the first two tasks, and written to only by them.
    let places = unsafe { Places::new(column, 8 * tasks.start, rows) };
    Beside::new(prime.ifma, places, own).finish();
    for first in tasks.clone().step_by(TOGETHER) {
        let after = first + TOGETHER;
        let room = if after >= tasks.end {
            &mut []
        } else {
            &mut *next
        };
        // SAFETY: as above, of the next two tasks, which are among these if there is room for copies.
        let places = unsafe { Places::new(column, 8 * after, rows) };
        let mut beside = Beside::new(prime.ifma, places, room);
        for task in first..after.min(tasks.end) {
            let own = own.get((task - first) * columns..).unwrap_or_default();
            if !alone && !plan.copies() && task + 1 < tasks.end {
                beside.claim(column.address(8 * (task + 1)), (rows, columns));
            }
            // SAFETY: as the caller says.
            unsafe { second_task(prime, plan, task, (column, own, &mut beside), buffer) };
        }
        beside.finish();
        core::mem::swap(&mut own, &mut next);
    }
}

/// # Safety
/// As for [`second_words`], of the task.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
unsafe fn second_task<F: Field>(
    prime: Prime<F>,
    plan: &Plan,
    task: usize,
    (column, copies, beside): (
        &Shared<'_, F>,
        &[Copied],
        &mut Beside<'_, Places<'_, '_, F>>,
    ),
    buffer: &mut [Loose],
) {
    let (k, ifma) = (prime.constants(), prime.ifma);
    let (rows, columns) = (plan.rows(), buffer.len());
    for group in 0..columns / 8 {
        let start = |row: usize| (8 * group + row) * rows + 8 * task;
        let tile = unrolled!(8, row => match copies.get(8 * group + ORDER[row]) {
            Some(copied) => copied.parcel(),
            // SAFETY: columns `8 task ..` are this task's, and written to only after all are read.
            None => unsafe { column.parcel(start(ORDER[row])) },
        });
        let rows = |i: usize| unrolled!(8, row => Vector::load(ifma, &tile[row][i]));
        // Lanes 0, 2, 1, 3 are neighbours, 4, 6, 5, 7 those of the other half.
        let even = unrolled!(4, i => Vector::transpose_even(rows(i)));
        first_layer(ifma, buffer, (4 * group, plan), &even);
        let odd = unrolled!(4, i => Vector::transpose_odd(rows(i)));
        first_layer(ifma, buffer, (4 * group + 2, plan), &odd);
    }
    // SAFETY: columns `8 task ..` are this task's, and all that they held is read.
    let mut sink = unsafe { Neighbours::new(column, (8 * task, rows, columns), k) };
    vertical(ifma, buffer, &plan.by_column, (&mut sink, beside), k);
    sink.finish(ifma, k);
}
