//! Tables of smooth functions by lines: rows that few cells look up cost more than a few cells for each of their readers.

use zkernel_gadgets::model::{Function, Interval, Table};

/// Most bits that a split table leaves to its lines: one limb.
const MOST_LOW: u32 = 8;
/// Values stay below this magnitude, which a graph allows.
const LARGEST: i64 = 1 << 40;
/// Tables of so many keys are not split.
const FEW_KEYS: i64 = 256;

/// Whether a function jumps, so that lines are far off, or is split without any error where that is cheaper.
pub(super) const fn jumps(function: Function) -> bool {
    matches!(
        function,
        Function::Floor
            | Function::Ceil
            | Function::Round
            | Function::Sign
            | Function::Step
            | Function::Equal
            | Function::ThresholdedRelu
            | Function::Relu
            | Function::Identity
            | Function::Mod
            | Function::Trunc
            | Function::Shrink
    )
}

/// Splits a table of a smooth function as far as its lines stay within `tolerance` of it, relative to its value or, where that is
/// smaller, to `magnitude`. Steps of the values are refined as much as the slopes of the lines need; also returns by how many bits.
pub(super) fn split(table: Table, magnitude: f64, tolerance: f64) -> (Table, u32) {
    let keys = table.keys.max - table.keys.min + 1;
    if jumps(table.function) || keys <= FEW_KEYS || is_exact_in_segments(&table) {
        return (table, 0);
    }
    let bits = 63 - keys.leading_zeros();
    let split = |low: u32, refined: u32| {
        let segment = 1i64 << low;
        let Interval { min, max } = table.keys;
        // Exponentials of distances end at key 0: segments are counted from the end.
        let min = max + 1 - ((max - min) / segment + 1) * segment;
        let lines = Table {
            keys: Interval::new(min, max),
            output_scale: table.output_scale / f64::from(refined).exp2(),
            low,
            ..table.clone()
        };
        (lines, refined)
    };
    let most = bits.saturating_sub(3).min(MOST_LOW);
    let splits = (1..=most)
        .rev()
        .flat_map(|low| [split(low, 0), split(low, low)]);
    let small = |lines: &Table| {
        let Interval { min, max } = lines.values();
        -LARGEST < min && max < LARGEST
    };
    let mut good = splits.filter(|(lines, _)| bend(lines, magnitude) <= tolerance && small(lines));
    good.next().unwrap_or((table, 0))
}

/// Whether a table is a clip whose end lies where segments of [`MOST_LOW`] bits do: the layout splits it without any error if that is
/// cheaper.
fn is_exact_in_segments(table: &Table) -> bool {
    let top = match (table.function, table.parameters) {
        (Function::Relu6, _) => 6.0,
        (Function::Clip, [0.0, top]) => top,
        _ => return false,
    };
    let key = top / table.input_scale;
    let same = table.input_scale.to_bits() == table.output_scale.to_bits();
    same && key.fract() == 0.0 && key as i64 % (1 << MOST_LOW) == 0
}

/// Bits of the keys of a smooth function's table beyond that many, where lines save too few rows: rows cost more than they are
/// worth. Functions that are steep somewhere keep theirs.
pub(super) fn too_fine(split: &Table, whole: &Table, bits: u32) -> u32 {
    let steep = matches!(
        whole.function,
        Function::Log | Function::Reciprocal | Function::Pow | Function::Tan
    );
    if split.row_counts()[0] <= 1 << bits || steep || jumps(whole.function) {
        return 0;
    }
    let keys = whole.keys.max.abs_diff(whole.keys.min) + 1;
    (u64::BITS - (keys - 1).leading_zeros()).saturating_sub(bits)
}

/// The table of keys with that many bits less, rounded half up.
pub(super) fn coarser(table: &Table, dropped: u32) -> Table {
    let half = 1i64 << dropped >> 1;
    let Interval { min, max } = table.keys;
    Table {
        keys: Interval::new((min + half) >> dropped, (max + half) >> dropped),
        input_scale: table.input_scale * f64::from(dropped).exp2(),
        ..table.clone()
    }
}

/// Largest distance of the function to its lines, relative to its value or to `magnitude`.
fn bend(table: &Table, magnitude: f64) -> f64 {
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
            let line = (base as f64 + slope as f64 * rest as f64) * table.output_scale;
            let value = real(start + rest);
            (line - value).abs() / value.abs().max(magnitude)
        };
        (0..=8).map(off).fold(0.0, f64::max)
    };
    (0..table.row_counts()[0])
        .map(of_segment)
        .fold(0.0, f64::max)
}
