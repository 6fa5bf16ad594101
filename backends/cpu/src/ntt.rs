//! Number-theoretic transforms: packed, or radix 2 in place; twiddles cached by size.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;
use zkernel_backend::{Field, Result, shape};
use zkernel_verifier::curve::powers;

use crate::columns::Columns;
use crate::level::Level;
#[cfg(target_arch = "x86_64")]
use crate::packed::eights::{self, Source};
#[cfg(target_arch = "x86_64")]
use crate::packed::prime::Prime;
#[cfg(target_arch = "x86_64")]
use crate::packed::transform::{self as packed, OwnRoom, Plan, Room, SIZES, Shift, Shifts};
#[cfg(target_arch = "x86_64")]
use crate::parallel;
#[cfg(target_arch = "x86_64")]
use crate::room;

/// Rows from which a single column is worth more than one thread.
const PARALLEL_ROWS: usize = 1 << 12;

/// Cells of all columns below which one thread is enough.
#[cfg(target_arch = "x86_64")]
const PARALLEL_CELLS: usize = 1 << 11;

/// Most shifts whose powers are kept.
const SHIFTS: usize = 64;

/// What is kept of a field, by size and kind.
type Cache = BTreeMap<(TypeId, u32, Kind), Arc<dyn Any + Send + Sync>>;

/// What is kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// Half a period of powers of omega.
    Powers,
    /// A packed plan, or that of the inverse.
    #[cfg(target_arch = "x86_64")]
    Plan(bool),
    /// That of eight columns at once.
    #[cfg(target_arch = "x86_64")]
    Eights(bool),
    /// Powers of a shift, as factors of packed products or as they are.
    Shifts([u8; 32], bool),
    /// Those of rows and of columns.
    #[cfg(target_arch = "x86_64")]
    Shift([u8; 32]),
}

/// What is made once and does not depend on columns: a generic function cannot own a static.
static CACHE: Mutex<Cache> = Mutex::new(Cache::new());

/// The value of that kind, made if it is not there.
fn cached<F: 'static, T: Any + Send + Sync>(
    log_n: u32,
    kind: Kind,
    make: impl Fn() -> T,
) -> Arc<T> {
    let key = (TypeId::of::<F>(), log_n, kind);
    let lock = || CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    let known = lock().get(&key).cloned();
    if let Some(known) = known.and_then(|known| known.downcast().ok()) {
        return known;
    }
    let made = Arc::new(make());
    let mut cache = lock();
    let is_shift = |key: &(TypeId, u32, Kind)| match key.2 {
        Kind::Powers => false,
        Kind::Shifts(..) => true,
        #[cfg(target_arch = "x86_64")]
        Kind::Plan(_) | Kind::Eights(_) => false,
        #[cfg(target_arch = "x86_64")]
        Kind::Shift(_) => true,
    };
    if !is_shift(&key) || cache.keys().filter(|key| is_shift(key)).count() < SHIFTS {
        cache.insert(key, made.clone());
    }
    made
}

/// The generator of the rows' subgroup.
fn omega<F: Field>(log_n: u32) -> F {
    (log_n..F::S).fold(F::ROOT_OF_UNITY, |w, _| w.square())
}

/// `first, first shift, first shift^2, ..`, kept unless they are many; none for a shift of one.
fn shifts<F: Field>(log_n: u32, shift: F, first: F) -> Arc<Vec<F>> {
    if shift == F::ONE {
        return Arc::new(Vec::new());
    }
    let make = || -> Vec<F> {
        let next = |power: &F| Some(*power * shift);
        core::iter::successors(Some(first), next)
            .take(1 << log_n)
            .collect()
    };
    if 1 << log_n > PARALLEL_ROWS {
        return Arc::new(make());
    }
    let kind = Kind::Shifts(shift.to_repr(), first == F::ONE);
    cached::<F, _>(log_n, kind, make)
}

#[tracing::instrument(skip_all, fields(shape = ?values.shape()))]
pub(crate) fn interpolate<F: Field>(level: Level, values: &Columns<F>) -> Result<Columns<F>> {
    let log_n = shape::transform("interpolate", values.shape())?;
    let (columns, rows) = values.shape();
    let scale = F::TWO_INV.pow_vartime([u64::from(log_n)]);
    #[cfg(target_arch = "x86_64")]
    if let Some(prime) = level.prime().filter(|_| SIZES.contains(&log_n)) {
        let root = || omega::<F>(log_n).invert().unwrap_or(F::ONE);
        let make = || Plan::new(prime, log_n, root(), scale);
        let plan = cached::<F, _>(log_n, Kind::Plan(true), make);
        let none = Shifts::Cells(&[]);
        let make = || eights::Plan::new(prime, log_n, root(), true);
        let eights = || cached::<F, _>(log_n, Kind::Eights(true), make);
        let cells = transform_packed(prime, (&plan, &eights), &values.full(level), none);
        return Ok(Columns::new(columns, rows, cells));
    }
    let powers = half_period(log_n);
    let mut cells = values.copied(level);
    cells.par_chunks_mut(rows).for_each(|column| {
        transform(column, &powers);
        // The inverse transform is the transform with the rows 1.. reversed, over n.
        column[1..].reverse();
        column.iter_mut().for_each(|c| *c *= scale);
    });
    Ok(Columns::new(columns, rows, cells))
}

#[tracing::instrument(skip_all, fields(shape = ?coefficients.shape()))]
pub(crate) fn coset_evaluate<F: Field>(
    level: Level,
    coefficients: &Columns<F>,
    shift: F,
) -> Result<Columns<F>> {
    let log_n = shape::transform("coset_evaluate", coefficients.shape())?;
    let (columns, rows) = coefficients.shape();
    #[cfg(target_arch = "x86_64")]
    if let Some(prime) = level.prime().filter(|_| SIZES.contains(&log_n)) {
        let make = || Plan::new(prime, log_n, omega(log_n), F::ONE);
        let plan = cached::<F, _>(log_n, Kind::Plan(false), make);
        let (cells, powers);
        let shifts = if shift == F::ONE || 1 << log_n <= PARALLEL_ROWS {
            cells = shifts(log_n, shift, F::from(16));
            Shifts::Cells(&cells)
        } else {
            let kind = Kind::Shift(shift.to_repr());
            powers = cached::<F, _>(log_n, kind, || Shift::new(prime, log_n, shift));
            Shifts::Powers(&powers)
        };
        let make = || eights::Plan::new(prime, log_n, omega(log_n), false);
        let eights = || cached::<F, _>(log_n, Kind::Eights(false), make);
        let cells = transform_packed(prime, (&plan, &eights), &coefficients.full(level), shifts);
        return Ok(Columns::new(columns, rows, cells));
    }
    let (powers, shifts) = (half_period(log_n), shifts(log_n, shift, F::ONE));
    let mut cells = coefficients.copied(level);
    cells.par_chunks_mut(rows).for_each(|column| {
        let shifted = column.iter_mut().zip(&*shifts);
        shifted.for_each(|(cell, shift)| *cell *= shift);
        transform(column, &powers);
    });
    Ok(Columns::new(columns, rows, cells))
}

/// Cells whose transforms take so long that they are done by threads of the pool alone.
#[cfg(target_arch = "x86_64")]
const LONG: usize = 1 << 18;

/// Transforms of all columns.
#[cfg(target_arch = "x86_64")]
fn transform_packed<F: Field>(
    prime: Prime<F>,
    plans: (&Plan, &(dyn Fn() -> Arc<eights::Plan> + Sync)),
    cells: &[F],
    shifts: Shifts<'_, F>,
) -> Vec<F> {
    let work = || transform_columns(prime, plans, cells, shifts);
    if cells.len() < LONG {
        return work();
    }
    parallel::inside(work)
}

/// Transforms of many columns at a time, or of one by several threads.
#[cfg(target_arch = "x86_64")]
fn transform_columns<F: Field>(
    prime: Prime<F>,
    (plan, eights): (&Plan, &(dyn Fn() -> Arc<eights::Plan> + Sync)),
    cells: &[F],
    shifts: Shifts<'_, F>,
) -> Vec<F> {
    let mut all = room::take(cells.len());
    let rows = plan.cells();
    let groups = groups(plan, shifts, cells.len());
    let (grouped, cells) = cells.split_at(groups * eights::COLUMNS * rows);
    let (results, outputs) = all.split_at_mut(grouped.len());
    if let (Shifts::Cells(shifts), 1..) = (shifts, groups) {
        transform_groups(prime, &eights(), (grouped, shifts), results);
    }
    let first = |column: &[F], (start, cells): (usize, &mut [F]), room: &mut Room| {
        packed::first_pass(prime, plan, (column, shifts), start, cells, room);
    };
    let alone = |room: &mut OwnRoom, (column, output): (&[F], &mut [F])| {
        first(column, (0, output), room.get());
        packed::second_pass(prime, plan, output, Some(room.get()));
    };
    if cells.len() < PARALLEL_CELLS {
        let mut room = OwnRoom::new();
        let columns = cells.chunks(rows).zip(outputs.chunks_mut(rows));
        columns.for_each(|both| alone(&mut room, both));
    } else if cells.len() / rows >= rayon::current_num_threads() || rows < PARALLEL_ROWS {
        let columns = cells.chunks(rows).zip(outputs.chunks_mut(rows));
        parallel::each_with(columns, OwnRoom::new, alone);
    } else {
        let together = plan.together(plan.tasks(), rayon::current_num_threads());
        for (column, output) in cells.chunks(rows).zip(outputs.chunks_mut(rows)) {
            let tasks = output.chunks_mut(together * plan.task_cells()).enumerate();
            let work = |room: &mut OwnRoom, (index, cells): (usize, &mut [F])| {
                first(column, (index * together, cells), room.get());
            };
            parallel::each_with(tasks, OwnRoom::new, work);
            packed::second_pass(prime, plan, output, None);
        }
    }
    all
}

/// Groups of columns that are transformed at once: as many for each thread.
#[cfg(target_arch = "x86_64")]
fn groups<F>(plan: &Plan, shifts: Shifts<'_, F>, cells: usize) -> usize {
    let fits = eights::SIZES.contains(&plan.cells().ilog2());
    if !fits || matches!(shifts, Shifts::Powers(_)) {
        return 0;
    }
    let threads = rayon::current_num_threads();
    cells / (eights::COLUMNS * plan.cells()) / threads * threads
}

/// Transforms of groups of columns.
#[cfg(target_arch = "x86_64")]
fn transform_groups<F: Field>(
    prime: Prime<F>,
    plan: &eights::Plan,
    (cells, shifts): (&[F], &[F]),
    outputs: &mut [F],
) {
    let threads = rayon::current_num_threads();
    let groups = cells.chunks(plan.cells()).enumerate();
    let work = |room: &mut OwnRoom, ((index, columns), outputs): ((usize, &[F]), &mut [F])| {
        // Threads take groups in turns, more or less.
        let next = cells.chunks(plan.cells()).nth(index + threads);
        let source = Source {
            columns,
            shifts,
            next: next.unwrap_or_default(),
        };
        eights::transform(prime, plan, source, outputs, room.get());
    };
    let groups = groups.zip(outputs.chunks_mut(plan.cells()));
    if cells.len() < PARALLEL_CELLS {
        let mut room = OwnRoom::new();
        groups.for_each(|group| work(&mut room, group));
    } else {
        parallel::each_with(groups, OwnRoom::new, work);
    }
}

/// Powers `1, omega, ..`, half a period of them.
fn half_period<F: Field>(log_n: u32) -> Arc<Vec<F>> {
    cached::<F, _>(log_n, Kind::Powers, || {
        powers(omega(log_n), (1 << log_n) / 2)
    })
}

/// Natural to natural order: decimation in frequency, then bit reversal.
fn transform<F: Field>(column: &mut [F], omegas: &[F]) {
    if column.len() < 2 {
        return;
    }
    butterflies(column, omegas, 1);
    let shift = usize::BITS - column.len().ilog2();
    for i in 0..column.len() {
        let j = i.reverse_bits() >> shift;
        if i < j {
            column.swap(i, j);
        }
    }
}

fn butterflies<F: Field>(column: &mut [F], omegas: &[F], stride: usize) {
    let half = column.len() / 2;
    let (low, high) = column.split_at_mut(half);
    let twiddles = omegas.iter().step_by(stride);
    for ((a, b), w) in low.iter_mut().zip(high.iter_mut()).zip(twiddles) {
        let difference = *a - *b;
        *a += *b;
        *b = difference * w;
    }
    if half < 2 {
        return;
    }
    if half >= PARALLEL_ROWS {
        rayon::join(
            || butterflies(low, omegas, 2 * stride),
            || butterflies(high, omegas, 2 * stride),
        );
    } else {
        butterflies(low, omegas, 2 * stride);
        butterflies(high, omegas, 2 * stride);
    }
}
