//! Sums that leave the range of floats on their way.

use super::super::attributes::{int, ints};
use super::writer::Writer;

/// `log(sum exp x) = m + log(sum exp(x - m))` with the largest value m, along known axes. False where they are not known.
pub(super) fn log_sum_exp(w: &mut Writer<'_>) -> bool {
    let given = w.node.input.get(1).filter(|name| !name.is_empty());
    let axes: Vec<i64> = match given {
        Some(name) => match w.values(name) {
            Some(values) => values.iter().map(|v| *v as i64).collect(),
            None => return false,
        },
        None => ints(w.node, "axes").to_vec(),
    };
    if axes.is_empty() {
        return false;
    }
    let x = w.node.input[0].clone();
    let most = w.reduce("ReduceMax", &x, &axes, true);
    let below = w.op("Sub", &[&x, &most], &[]);
    let exponentials = w.op("Exp", &[&below], &[]);
    let sum = w.reduce("ReduceSum", &exponentials, &axes, true);
    let log = w.op("Log", &[&sum], &[]);
    let mut y = w.op("Add", &[&log, &most], &[]);
    if int(w.node, "keepdims", 1) == 0 {
        y = w.squeezed(&y, &axes);
    }
    w.finish(0, &y);
    true
}
