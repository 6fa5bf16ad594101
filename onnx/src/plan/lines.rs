//! Tables of smooth functions by lines: rows that few cells look up cost more than a few cells for each of their readers.

use zkernel_gadgets::model::{Function, Interval, Table};

/// Most bits that a split table leaves to its lines, and fewest that it looks up.
const MOST_LOW: u32 = 10;

/// Splits a table of a smooth function as far as its lines stay within `tolerance` of it, in real units, and refines its steps as
/// much as the slopes of the lines need.
pub(super) fn split(table: Table, tolerance: f64) -> Table {
    let jumps = matches!(
        table.function,
        Function::Floor
            | Function::Ceil
            | Function::Round
            | Function::Sign
            | Function::Step
            | Function::Equal
            | Function::ThresholdedRelu
            | Function::Relu
            | Function::Identity
    );
    let keys = table.keys.max - table.keys.min + 1;
    if jumps || keys <= 256 {
        return table;
    }
    let bits = 63 - keys.leading_zeros();
    let split = |low: u32| {
        let segment = 1i64 << low;
        let Interval { min, max } = table.keys;
        // Exponentials of distances end at key 0: segments are counted from the end.
        let min = max + 1 - ((max - min) / segment + 1) * segment;
        Table {
            keys: Interval::new(min, max),
            output_scale: table.output_scale / segment as f64,
            low,
            ..table.clone()
        }
    };
    let splits = (1..=bits.saturating_sub(3).min(MOST_LOW)).rev().map(split);
    let mut good = splits.filter(|table| bend(table) <= tolerance);
    good.next().unwrap_or(table)
}

/// Largest distance of the function to its lines, in real units.
fn bend(table: &Table) -> f64 {
    let width = 1i64 << table.low;
    let real = |key: i64| {
        table
            .function
            .float(key as f64 * table.input_scale, table.parameters)
    };
    let of_segment = |high: i64| {
        let start = table.keys.min + high * width;
        let [base, slope] = table.segment(high);
        let off = |eighth: i64| {
            let rest = eighth * (width - 1) / 8;
            let line = (base + slope * rest) as f64 * table.output_scale;
            (line - real(start + rest)).abs()
        };
        (0..=8).map(off).fold(0.0, f64::max)
    };
    (0..table.row_counts()[0])
        .map(of_segment)
        .fold(0.0, f64::max)
}
