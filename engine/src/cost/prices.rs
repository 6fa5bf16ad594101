//! Seconds for one of each unit, as measured, and their text.

use std::collections::BTreeMap;

use zkernel_backend::Backend;
use zkernel_verifier::curve::Curve;

use super::Work;
use super::bench::Bench;
use super::unit::{Operation, Unit};
use crate::error::Result;
use crate::workers::awake;

/// Prices of a machine: seconds of each unit measured so far. Only good for the backend and the number of threads that
/// they were measured with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prices(BTreeMap<Unit, f64>);

impl Prices {
    /// The price of a unit, if it has been measured.
    #[must_use]
    pub fn of(&self, unit: &Unit) -> Option<f64> {
        self.0.get(unit).copied()
    }

    /// Sets a price.
    pub fn set(&mut self, unit: Unit, seconds: f64) {
        self.0.insert(unit, seconds);
    }

    /// Whether some of these need a price that is not known.
    #[must_use]
    pub fn lack(&self, works: &[&Work]) -> bool {
        let mut units = works.iter().flat_map(|work| work.counts.keys());
        units.any(|unit| !self.0.contains_key(unit))
    }

    /// Measures whatever some work needs and has no price yet; whether there was any.
    ///
    /// # Errors
    /// [`crate::Error`] if the device fails.
    pub fn measure<C: Curve, B: Backend<C>>(&mut self, backend: &B, work: &Work) -> Result<bool> {
        let missing = work.counts.keys().filter(|unit| !self.0.contains_key(unit));
        let missing: Vec<Unit> = missing.copied().collect();
        if missing.is_empty() {
            return Ok(false);
        }
        // As the prover has them.
        awake(|| {
            let mut bench = Bench::new(backend);
            // All of them, and all of them again: what else the machine does lasts longer than one measurement.
            for unit in missing.iter().chain(&missing) {
                let price = bench.price(unit)?;
                let shortest = self.of(unit).unwrap_or(f64::INFINITY);
                self.set(*unit, price.min(shortest));
            }
            Ok(true)
        })
    }

    /// One line a price: operation, log2 of the rows, width, lanes, seconds.
    #[must_use]
    pub fn encode(&self) -> String {
        let line = |(unit, seconds): (&Unit, &f64)| {
            let Unit {
                operation,
                log_rows,
                width,
                lanes,
            } = unit;
            format!("{operation} {log_rows} {width} {lanes} {seconds:e}\n")
        };
        self.0.iter().map(line).collect()
    }

    /// The prices of such a text; `None` if any line is not one, or not a time.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        let price = |line: &str| {
            let words: Vec<&str> = line.split(' ').collect();
            let [name, log_rows, width, lanes, seconds] = words.as_slice() else {
                return None;
            };
            let mut operations = Operation::ALL.into_iter();
            let unit = Unit {
                operation: operations.find(|o| o.to_string() == *name)?,
                log_rows: log_rows.parse().ok()?,
                width: width.parse().ok()?,
                lanes: lanes.parse().ok()?,
            };
            let seconds: f64 = seconds.parse().ok()?;
            (seconds.is_finite() && seconds >= 0.0).then_some((unit, seconds))
        };
        text.lines().map(price).collect::<Option<_>>().map(Self)
    }
}
