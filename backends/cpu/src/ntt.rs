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
use crate::packed::{prime::Prime, transform};

/// Rows from which a single column is worth more than one thread.
const PARALLEL_ROWS: usize = 1 << 12;

/// Twiddles of one field by `log_n`, packed or not.
type Cache<F> = BTreeMap<(u32, &'static str), Arc<Twiddles<F>>>;

/// Twiddles of one size.
struct Twiddles<F> {
    /// Powers `1, omega, ..`, half a period of them.
    powers: Vec<F>,
    #[cfg(target_arch = "x86_64")]
    packed: Option<(Prime<F>, transform::Twiddles<F>)>,
}

impl<F: Field> Twiddles<F> {
    fn new(level: Level, log_n: u32) -> Self {
        let omega = F::ROOT_OF_UNITY.pow_vartime([1 << (F::S - log_n)]);
        let powers = powers(omega, (1 << log_n) / 2);
        #[cfg(not(target_arch = "x86_64"))]
        let _ = level;
        Self {
            #[cfg(target_arch = "x86_64")]
            packed: level
                .prime()
                .filter(|_| 1 << log_n >= transform::LEAST_ROWS)
                .map(|prime| (prime, transform::Twiddles::new(prime, &powers))),
            powers,
        }
    }

    /// The transform of a column, times a scale.
    fn transform(&self, column: &mut [F], scale: F) {
        #[cfg(target_arch = "x86_64")]
        if let Some((prime, twiddles)) = &self.packed {
            return transform::transform(*prime, twiddles, column, scale);
        }
        transform_portable(column, &self.powers);
        if scale != F::ONE {
            column.iter_mut().for_each(|c| *c *= scale);
        }
    }
}

/// Caches of all fields of the process: a generic function cannot own a static.
static CACHES: Mutex<BTreeMap<TypeId, Box<dyn Any + Send>>> = Mutex::new(BTreeMap::new());

fn twiddles<F: Field>(level: Level, log_n: u32) -> Arc<Twiddles<F>> {
    let compute = || Arc::new(Twiddles::new(level, log_n));
    let mut caches = CACHES.lock().unwrap_or_else(PoisonError::into_inner);
    let cache = caches
        .entry(TypeId::of::<F>())
        .or_insert_with(|| Box::new(Cache::<F>::new()));
    match cache.downcast_mut::<Cache<F>>() {
        Some(cache) => cache
            .entry((log_n, level.name()))
            .or_insert_with(compute)
            .clone(),
        None => compute(),
    }
}

#[tracing::instrument(skip_all, fields(shape = ?values.shape()))]
pub(crate) fn interpolate<F: Field>(level: Level, values: &Columns<F>) -> Result<Columns<F>> {
    let log_n = shape::transform("interpolate", values.shape())?;
    let scale = F::TWO_INV.pow_vartime([u64::from(log_n)]);
    let (columns, rows) = values.shape();
    let twiddles = twiddles(level, log_n);
    let mut cells = values.full().into_owned();
    cells.par_chunks_mut(rows).for_each(|column| {
        // The inverse transform is the transform with the rows 1.. reversed, over n.
        twiddles.transform(column, scale);
        column[1..].reverse();
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
    let (twiddles, shifts) = (twiddles(level, log_n), powers(shift, rows));
    let mut cells = coefficients.full().into_owned();
    cells.par_chunks_mut(rows).for_each(|column| {
        if shift != F::ONE {
            column.iter_mut().zip(&shifts).for_each(|(c, s)| *c *= s);
        }
        twiddles.transform(column, F::ONE);
    });
    Ok(Columns::new(columns, rows, cells))
}

/// Natural to natural order: decimation in frequency, then bit reversal.
fn transform_portable<F: Field>(column: &mut [F], omegas: &[F]) {
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
