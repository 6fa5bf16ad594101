//! Sums that leave the range of floats on their way.

use std::collections::BTreeMap;

use tract_onnx::pb::{GraphProto, NodeProto};

use super::super::attributes::{int, ints};
use super::writer::{With, Writer};

/// Nodes by what they write, of those that probabilities are made by: operator, inputs, axes.
pub(super) type Writers = BTreeMap<String, (String, Vec<String>, Vec<i64>)>;

/// The nodes of a graph by what they write.
pub(super) fn writers(graph: &GraphProto) -> Writers {
    let of = |node: &NodeProto| {
        let known =
            VIEWS.contains(&&*node.op_type) || matches!(&*node.op_type, "Sub" | "ReduceLogSumExp");
        let output = node.output.first().filter(|_| known)?;
        let axes = ints(node, "axes").to_vec();
        Some((
            output.clone(),
            (node.op_type.clone(), node.input.clone(), axes),
        ))
    };
    graph.node.iter().filter_map(of).collect()
}

/// Operators that keep values as they are.
const VIEWS: [&str; 5] = ["Reshape", "Cast", "Identity", "Squeeze", "Unsqueeze"];

/// `exp(x - log(sum exp x))` is the softmax of x: how naive Bayes and mixtures are exported. False for any other exponential.
pub(super) fn softmax(w: &mut Writer<'_>) -> bool {
    let writers = w.writers();
    let Some(("Sub", [x, sum], _)) = found(writers, &w.node.input[0]) else {
        return false;
    };
    let mut at = sum;
    while let Some((op, [from, ..], _)) = found(writers, at) {
        if VIEWS.contains(&op) {
            at = from;
            continue;
        }
        let given = found(writers, at).and_then(|(_, inputs, _)| inputs.get(1));
        let by_input = given
            .and_then(|axes| w.values(axes))
            .map(|axes| axes.iter().map(|a| *a as i64).collect());
        let axes: Vec<i64> = by_input
            .unwrap_or_else(|| found(writers, at).map_or(Vec::new(), |(.., axes)| axes.to_vec()));
        if op != "ReduceLogSumExp" || from != x || !matches!(axes[..], [1 | -1]) || !w.has_axes() {
            return false;
        }
        let y = w.op("Softmax", &[x], &[With::Int("axis", axes[0])]);
        w.finish(0, &y);
        return true;
    }
    false
}

fn found<'a>(writers: &'a Writers, tensor: &str) -> Option<(&'a str, &'a [String], &'a [i64])> {
    let (op, inputs, axes) = writers.get(tensor)?;
    Some((op, inputs, axes))
}

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
