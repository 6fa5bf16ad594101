//! Scores of classes, and the label of the class that they choose.

use tract_onnx::pb::tensor_proto::DataType;

use super::super::attributes::{ints, strings};
use super::text;
use super::writer::{With, Writer};

/// The labels of a classifier, strings by their numbers.
pub(super) fn labels(w: &Writer<'_>, integers: &str) -> Result<Vec<i64>, String> {
    let names = strings(w.node, "classlabels_strings");
    let labels: Vec<i64> = match names.is_empty() {
        true => ints(w.node, integers).to_vec(),
        false => names.iter().map(|name| w.strings.number(name)).collect(),
    };
    match labels.len() {
        0 => Err("it has no labels of classes".into()),
        _ => Ok(labels),
    }
}

/// The label of the first largest score.
pub(super) fn of_largest(w: &mut Writer<'_>, scores: &str, labels: &[i64]) {
    let index = w.op(
        "ArgMax",
        &[scores],
        &[With::Int("axis", 1), With::Int("keepdims", 0)],
    );
    named(w, &index, labels);
}

/// The second of two labels where a score, one for each row, is positive, else the first.
pub(super) fn of_sign(w: &mut Writer<'_>, score: &str, labels: &[i64]) {
    let zero = w.constant(&[1], &[0.0]);
    let bit = w.op("Greater", &[score, &zero], &[]);
    let flat = w.reshaped(&bit, &[-1]);
    let index = w.cast(&flat, DataType::Int64);
    named(w, &index, labels);
}

/// The labels of class numbers, as the node's first output: `first + step index` where they are evenly spaced.
fn named(w: &mut Writer<'_>, index: &str, labels: &[i64]) {
    let first = labels.first().copied().unwrap_or(0);
    let step = labels
        .get(1)
        .map_or(1, |second| second.saturating_sub(first));
    let even =
        |(i, label): (usize, &i64)| step.saturating_mul(i as i64).saturating_add(first) == *label;
    let label = if !labels.iter().enumerate().all(even) {
        let labels = w.integers(&[labels.len()], labels);
        w.op("Gather", &[&labels, index], &[With::Int("axis", 0)])
    } else if (first, step) == (0, 1) {
        index.to_owned()
    } else {
        let (step, first) = (w.integers(&[1], &[step]), w.integers(&[1], &[first]));
        let steps = w.op("Mul", &[index, &step], &[]);
        w.op("Add", &[&steps, &first], &[])
    };
    w.finish(0, &label);
}

/// What is made of several scores.
pub(super) fn transformed(w: &mut Writer<'_>, scores: &str) -> Result<String, String> {
    Ok(match text(w.node, "post_transform").as_deref() {
        None | Some("NONE") => scores.to_owned(),
        Some("LOGISTIC") => w.op("Sigmoid", &[scores], &[]),
        Some("SOFTMAX") => w.op("Softmax", &[scores], &[With::Int("axis", -1)]),
        Some("SOFTMAX_ZERO") => softmax_of_others_than_zero(w, scores),
        Some(other) => return Err(format!("post_transform {other} is not built")),
    })
}

/// Scores of exactly zero stay zero, and have no part in the sum.
fn softmax_of_others_than_zero(w: &mut Writer<'_>, scores: &str) -> String {
    let most = w.largest(scores);
    let below = w.op("Sub", &[scores, &most], &[]);
    let exponentials = w.op("Exp", &[&below], &[]);
    let bits = w.cast(scores, DataType::Bool);
    let bits = w.cast(&bits, DataType::Float);
    let parts = w.op("Mul", &[&exponentials, &bits], &[]);
    let sum = w.reduce("ReduceSum", &parts, &[-1], true);
    w.op("Div", &[&parts, &sum], &[])
}

/// The scores of two classes by that of the second: the logistic function and its complement, or the score and `other` minus it.
pub(super) fn both(w: &mut Writer<'_>, score: &str, other: f32) -> Result<String, String> {
    let (score, other) = match text(w.node, "post_transform").as_deref() {
        Some("LOGISTIC") => (w.op("Sigmoid", &[score], &[]), 1.0),
        Some("PROBIT") => return Err("post_transform PROBIT is not built".into()),
        _ => (score.to_owned(), other),
    };
    let minus = w.with_row("Mul", &score, &[-1.0]);
    let first = match other == 0.0 {
        true => minus,
        false => w.with_row("Add", &minus, &[other]),
    };
    Ok(w.beside(&[&first, &score]))
}
