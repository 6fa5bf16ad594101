//! Number-theoretic transforms, natural to natural order, in two passes of whole vectors.
//!
//! With n = R C, row r, column c and `j = r C + c`, `k = k1 + R k2`:
//! `X[k] = sum_c w^(R c k2) (w^(c k1) sum_r w^(C r k1) x[r C + c])`. The first pass transforms over r, eight columns in
//! lanes (four, and four half of C further on), and multiplies by `w^(c k1)`; the second over c, eight k1 in lanes, and its
//! outputs are eight neighbours again.
//! Between them tiles of eight by eight are transposed. In both, all lanes have the same twiddle.

mod plan;
mod room;

use core::ops::Range;

use zkernel_backend::Field;

pub(crate) use self::plan::{Plan, SIZES, Shift, Shifts};
pub(crate) use self::room::{OwnRoom, Room};
use super::butterflies::vertical;
use super::copies::{Beside, Copied, TOGETHER};
use super::loose::Loose;
use super::prime::Prime;
use super::reading::{ByCell, ByRow, Rows, Unshifted, first_layer, read};
use super::rows::{ORDER, Word};
use super::sinks::{Neighbours, Parcel, Places, Running, Shared, Tabled, open};
use super::vector::Vector;
use crate::parallel;

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
