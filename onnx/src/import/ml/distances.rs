//! Distances from a row to the rows of a matrix.

use tract_onnx::pb::GraphProto;

use super::super::attributes::{attribute, int, ints};
use super::writer::{With, Writer};

/// `factor |x - v|^2` for every row v, by `|x - v|^2 = |x - c|^2 - 2 (x - c)(v - c) + |v - c|^2` about the centre c of the rows, where
/// the least is lost between large terms.
pub(super) fn squared(
    w: &mut Writer<'_>,
    x: &str,
    rows: &[f32],
    cols: usize,
    factor: f32,
) -> String {
    let count = rows.len() / cols;
    let mean = |column: usize| {
        let values = rows.iter().skip(column).step_by(cols);
        (values.map(|v| f64::from(*v)).sum::<f64>() / count as f64) as f32
    };
    let centre: Vec<f32> = (0..cols).map(mean).collect();
    let near: Vec<f32> = rows
        .iter()
        .enumerate()
        .map(|(p, v)| v - centre[p % cols])
        .collect();
    let x = w.with_row("Sub", x, &centre);
    let squares = w.op("Mul", &[&x, &x], &[]);
    let square = w.reduce("ReduceSum", &squares, &[-1], true);
    let square = w.with_row("Mul", &square, &[factor]);
    let products: Vec<f32> = near.iter().map(|v| -2.0 * factor * v).collect();
    let lengths = near
        .chunks(cols)
        .map(|v| factor * v.iter().map(|v| v * v).sum::<f32>());
    let lengths: Vec<f32> = lengths.collect();
    let products = w.layer(&x, &products, cols, &lengths);
    w.op("Add", &[&products, &square], &[])
}

/// `Scan` over the rows of a constant, of the squared distances to each: how exporters write the distances of neighbours. False for
/// any other.
pub(super) fn scan(w: &mut Writer<'_>) -> bool {
    let body = attribute(w.node, "body").and_then(|a| a.g.as_ref());
    let plain = [
        "scan_input_axes",
        "scan_input_directions",
        "scan_output_axes",
        "scan_output_directions",
    ];
    let plain = plain
        .iter()
        .all(|name| ints(w.node, name).iter().all(|v| *v == 0));
    let [x, rows] = w.node.input.as_slice() else {
        return false;
    };
    let (Some(values), Some(&[_, cols])) = (w.values(rows), w.shape(rows)) else {
        return false;
    };
    let one = plain && int(w.node, "num_scan_inputs", 0) == 1 && w.node.output.len() == 2;
    let Some(cols) = usize::try_from(cols).ok().filter(|cols| *cols > 0) else {
        return false;
    };
    if !one || !body.is_some_and(is_square_of_difference) {
        return false;
    }
    let (x, rows): (String, Vec<f32>) = (x.clone(), values.iter().map(|v| *v as f32).collect());
    w.finish(0, &x);
    let distances = squared(w, &x, &rows, cols, 1.0);
    // A row that is its own neighbour may be at less than nothing, by what floats lose.
    let distances = w.op("Relu", &[&distances], &[]);
    let turned = w.op("Transpose", &[&distances], &[With::Ints("perm", &[1, 0])]);
    w.finish(1, &turned);
    true
}

/// Whether a body keeps its state and gives the sum of squares of its difference to a row.
fn is_square_of_difference(body: &GraphProto) -> bool {
    let named = |tensor: &str| {
        let mut tensor = tensor.to_owned();
        while let Some(node) = body
            .node
            .iter()
            .find(|n| n.op_type == "Identity" && n.output[0] == tensor)
        {
            tensor.clone_from(&node.input[0]);
        }
        tensor
    };
    let writer = |tensor: &str, op: &str| {
        let tensor = named(tensor);
        body.node
            .iter()
            .find(|n| n.op_type == op && n.output[0] == tensor)
    };
    let (inputs, outputs) = (&body.input, &body.output);
    let ([state, row], [kept, square]) = (inputs.as_slice(), outputs.as_slice()) else {
        return false;
    };
    if body.node.len() > body.initializer.len() + 8 || named(&kept.name) != state.name {
        return false;
    }
    let Some(sum) = writer(&square.name, "ReduceSumSquare").filter(|n| int(n, "keepdims", 1) == 0)
    else {
        return false;
    };
    let Some(difference) = writer(&sum.input[0], "Sub") else {
        return false;
    };
    let sides: Vec<String> = difference.input.iter().map(|name| named(name)).collect();
    sides == [state.name.clone(), row.name.clone()]
        || sides == [row.name.clone(), state.name.clone()]
}
