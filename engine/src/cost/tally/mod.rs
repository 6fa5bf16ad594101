//! A backend that computes nothing and counts everything: shapes, widths and bytes, but no cell.

mod operations;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use group::{Curve as _, Group as _};
use zkernel_verifier::curve::{Curve, Point};

use super::Work;
use super::unit::{FULL, HALF, Operation, SMALL, Unit};
use operations::log_of;

/// The counting backend.
#[derive(Clone)]
pub struct Tally {
    threads: usize,
    ledger: Arc<Mutex<Ledger>>,
}

#[derive(Default)]
struct Ledger {
    counts: BTreeMap<Unit, f64>,
    live: usize,
    peak: usize,
}

/// Columns of which only the shape is known.
pub struct Batch {
    columns: usize,
    rows: usize,
    width: u32,
    /// Share of the cells that are not zero: the others are free to commit to.
    density: f64,
    held: Held,
}

/// Bases of which only the number is known.
pub struct TalliedBases {
    len: usize,
    tabled: bool,
    _held: Held,
}

/// Bytes that are in use until this is dropped.
struct Held {
    bytes: usize,
    ledger: Arc<Mutex<Ledger>>,
}

impl Drop for Held {
    fn drop(&mut self) {
        lock(&self.ledger).live -= self.bytes;
    }
}

fn lock(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Above, scalars count as field elements.
const SMALL_BITS: u32 = 62;
const FIELD_BYTES: usize = 32;
const POINT_BYTES: usize = 64;
/// Multiples of a base in its tables: windows of 12 bits.
const MULTIPLES: usize = 22;
/// Signed sums of neighbouring bases in those tables, for each base, and the most bytes of them: 2^10 for groups of eleven.
const SIGNED_SUMS: usize = 94;
const SIGNED_SUMS_BYTES: usize = 24 << 20;

const fn cell_bytes(width: u32) -> usize {
    if width >= HALF { FIELD_BYTES } else { 8 }
}

impl Batch {
    const fn cells(&self) -> usize {
        self.columns * self.rows
    }

    const fn shape(&self) -> (usize, usize) {
        (self.columns, self.rows)
    }
}

impl Tally {
    /// For a device that works on that many columns at once.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        Self {
            threads: threads.max(1),
            ledger: Arc::default(),
        }
    }

    /// What has been asked since the last time, the host having begun at `start`.
    pub(super) fn finish(&self, start: Instant) -> Work {
        let host_seconds = start.elapsed().as_secs_f64();
        let mut ledger = lock(&self.ledger);
        let peak_bytes = ledger.peak;
        ledger.peak = ledger.live;
        Work {
            counts: std::mem::take(&mut ledger.counts),
            host_seconds,
            peak_bytes,
        }
    }

    pub(super) fn add_generators(&self, count: usize) {
        self.add(Unit::plain(Operation::Generator), count as f64);
    }

    fn add(&self, unit: Unit, count: f64) {
        if count > 0.0 {
            *lock(&self.ledger).counts.entry(unit).or_default() += count;
        }
    }

    fn plain(&self, operation: Operation, count: usize) {
        self.add(Unit::plain(operation), count as f64);
    }

    /// Work on `count` cells, or products, of columns of that shape and width.
    fn cells(&self, operation: Operation, count: usize, shape: (usize, usize), width: u32) {
        let (columns, rows) = shape;
        let width = if width < HALF { SMALL } else { FULL };
        self.add(
            Unit::of_cells(operation, rows, columns, width),
            count as f64,
        );
    }

    /// Work that is done column by column on `count` of `of` columns: few columns leave threads idle, and so does the last of
    /// many rounds.
    fn columns(&self, unit: Unit, count: f64, of: usize) {
        let (waves, few) = (of.div_ceil(self.threads), of < self.threads);
        let lanes = if few { of as u32 } else { 0 };
        let together = if few { 1 } else { waves * self.threads };
        let share = count * together as f64 / of.max(1) as f64;
        self.add(Unit { lanes, ..unit }, share);
    }

    /// Work that all threads share evenly on `count` of `of` columns, but that has a price of its own where there are fewer.
    fn shared_columns(&self, unit: Unit, count: f64, of: usize) {
        if of < self.threads {
            self.columns(unit, count, of);
        } else {
            self.add(unit, count);
        }
    }

    fn transform(&self, operation: Operation, batch: &Batch) -> Batch {
        let unit = Unit {
            log_rows: log_of(batch.rows),
            ..Unit::plain(operation)
        };
        self.columns(unit, batch.columns as f64, batch.columns);
        self.transient(batch.cells() * FIELD_BYTES);
        self.batch(batch.columns, batch.rows, FULL)
    }

    fn hold(&self, bytes: usize) -> Held {
        let mut ledger = lock(&self.ledger);
        ledger.live += bytes;
        ledger.peak = ledger.peak.max(ledger.live);
        Held {
            bytes,
            ledger: Arc::clone(&self.ledger),
        }
    }

    /// Memory that an operation needs while it runs.
    fn transient(&self, bytes: usize) {
        drop(self.hold(bytes));
    }

    /// Dense columns.
    fn batch(&self, columns: usize, rows: usize, width: u32) -> Batch {
        Batch {
            columns,
            rows,
            width,
            density: 1.0,
            held: self.hold(columns * rows * cell_bytes(width)),
        }
    }

    /// Small cells that an operation turns into field elements: column by column, then all in one.
    fn widen(&self, batch: &Batch) {
        if batch.width < HALF {
            self.cells(Operation::Widen, batch.cells(), batch.shape(), FULL);
            self.transient(2 * batch.cells() * FIELD_BYTES);
        }
    }

    /// A target written to in some cells, as field elements from now on: all of its cells become such at the first time.
    fn widen_target(&self, batch: &mut Batch, written: usize) {
        if batch.width < HALF {
            let operation = match batch.width {
                0 => Operation::Clear,
                _ => Operation::Widen,
            };
            self.cells(operation, batch.cells(), batch.shape(), FULL);
            self.transient(2 * batch.cells() * FIELD_BYTES);
            batch.held = self.hold(batch.cells() * FIELD_BYTES);
        }
        batch.width = FULL;
        let share = written as f64 / batch.cells().max(1) as f64;
        batch.density = (batch.density + share).min(1.0);
    }

    fn bases(&self, len: usize, tabled: bool) -> TalliedBases {
        let multiples = if tabled { MULTIPLES + 1 } else { 1 };
        let sums = match tabled {
            true => (len * SIGNED_SUMS * POINT_BYTES).min(SIGNED_SUMS_BYTES),
            false => 0,
        };
        TalliedBases {
            len,
            tabled,
            _held: self.hold(len * multiples * POINT_BYTES + sums),
        }
    }

    fn points<C: Curve>(count: usize) -> Vec<C> {
        vec![Point::<C>::generator().to_affine(); count]
    }
}

#[cfg(test)]
mod tests;
