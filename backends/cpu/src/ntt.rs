//! Number-theoretic transforms: radix 2 in place, twiddles cached by size.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;
use zkernel_backend::{Field, Result, shape};
use zkernel_verifier::curve::powers;

use crate::columns::Columns;
use crate::kernels;
use crate::level::Level;
#[cfg(target_arch = "x86_64")]
use crate::packed::transform::{self as packed, Plan, SIZES};

/// Rows from which a single column is worth more than one thread.
const PARALLEL_ROWS: usize = 1 << 12;

/// Twiddles of one field by `log_n`.
type Cache<F> = BTreeMap<u32, Arc<Vec<F>>>;

/// Caches of all fields of the process: a generic function cannot own a static.
static CACHES: Mutex<BTreeMap<TypeId, Box<dyn Any + Send>>> = Mutex::new(BTreeMap::new());

/// Powers `1, omega, ..`, half a period of them.
fn twiddles<F: Field>(log_n: u32) -> Arc<Vec<F>> {
    let compute = || {
        let omega = F::ROOT_OF_UNITY.pow_vartime([1 << (F::S - log_n)]);
        Arc::new(powers(omega, (1 << log_n) / 2))
    };
    let mut caches = CACHES.lock().unwrap_or_else(PoisonError::into_inner);
    let cache = caches
        .entry(TypeId::of::<F>())
        .or_insert_with(|| Box::new(Cache::<F>::new()));
    match cache.downcast_mut::<Cache<F>>() {
        Some(cache) => cache.entry(log_n).or_insert_with(compute).clone(),
        None => compute(),
    }
}

#[tracing::instrument(skip_all, fields(shape = ?values.shape()))]
pub(crate) fn interpolate<F: Field>(level: Level, values: &Columns<F>) -> Result<Columns<F>> {
    let log_n = shape::transform("interpolate", values.shape())?;
    let (columns, rows) = values.shape();
    let mut cells = values.full().into_owned();
    let scale = F::TWO_INV.pow_vartime([u64::from(log_n)]);
    #[cfg(target_arch = "x86_64")]
    if let Some(prime) = level.prime().filter(|_| SIZES.contains(&log_n)) {
        let plan = Plan::cached(prime, log_n, true);
        let each = |buffer: &mut Vec<_>, column: &mut [F]| {
            packed::transform(prime, &plan, column, scale, buffer);
        };
        cells.par_chunks_mut(rows).for_each_init(Vec::new, each);
        return Ok(Columns::new(columns, rows, cells));
    }
    let _ = level;
    let powers = twiddles(log_n);
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
    let shifts = if shift == F::ONE {
        Vec::new()
    } else {
        powers(shift, rows)
    };
    let mut cells = coefficients.full().into_owned();
    #[cfg(target_arch = "x86_64")]
    if let Some(prime) = level.prime().filter(|_| SIZES.contains(&log_n)) {
        let plan = Plan::cached(prime, log_n, false);
        let each = |buffer: &mut Vec<_>, column: &mut [F]| {
            let shifted = shifts.len().min(column.len());
            kernels::multiply(level, &mut column[..shifted], &shifts);
            packed::transform(prime, &plan, column, F::ONE, buffer);
        };
        cells.par_chunks_mut(rows).for_each_init(Vec::new, each);
        return Ok(Columns::new(columns, rows, cells));
    }
    let omegas = twiddles(log_n);
    cells.par_chunks_mut(rows).for_each(|column| {
        let shifted = shifts.len().min(column.len());
        kernels::multiply(level, &mut column[..shifted], &shifts);
        transform(column, &omegas);
    });
    Ok(Columns::new(columns, rows, cells))
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
