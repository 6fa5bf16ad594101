//! One circuit for every way that gadgets meet: what reads accumulators, cells and inputs, and what is public.

use zkernel_gadgets::model::{Function, Geometry, Interval, TensorId, Visibility};

use super::chosen;
use super::operators::{
    asserted, attention, comparison, distances, embedding, limbs, lines, roots, shown,
};
use super::sketch::{Circuit, Sketch, range, table};

const PRIVATE: Visibility = Visibility::Private;
const PUBLIC: Visibility = Visibility::Public;

/// A circuit and an input that its tables cover, and for which no value that a weight multiplies is zero.
pub struct Sample {
    pub name: &'static str,
    pub circuit: Circuit,
    pub x: Vec<i64>,
}

/// All of them.
pub fn samples() -> Vec<Sample> {
    vec![
        tables(),
        classes(),
        cells(),
        shared(),
        input(),
        columns(),
        convolution(),
        groups(),
        maxima(),
        fused(),
        residual(),
        attention(),
        comparison(),
        asserted(),
        embedding(),
        shown(),
        lines(),
        distances(),
        limbs(),
        roots(),
        chosen::largest(),
        chosen::sorted(),
    ]
}

/// Dense, ReLU, reshape, dense, sigmoid; public input and output.
fn tables() -> Sample {
    let x = vec![3, -2, 5];
    let (mut sketch, id) = Sketch::new(&[1, 3], Interval::new(-8, 7), PUBLIC);
    let acc = sketch.dense("fc1", id, weights(12, 30), &[400, 500, 410, 450]);
    let relu = table(Function::Relu, -32, 31, 1.0, 1.0);
    let hidden = sketch.requantize("relu", acc, 5, relu);
    let flat = sketch.reshape("flatten", hidden, &[4]);
    let again = sketch.reshape("unflatten", flat, &[1, 4]);
    let acc = sketch.dense("fc2", again, weights(8, 25), &[100, -100]);
    let sigmoid = table(Function::Sigmoid, -64, 63, 1.0 / 16.0, 1.0 / 256.0);
    let y = sketch.requantize("sigmoid", acc, 6, sigmoid);
    let circuit = sketch.circuit(y, PUBLIC, 5);
    let name = "tables";
    Sample { name, circuit, x }
}

/// The largest accumulator, ahead of the second by one.
fn classes() -> Sample {
    let x = vec![1, 2, 3];
    let (mut sketch, id) = Sketch::new(&[1, 3], Interval::new(-8, 7), PRIVATE);
    let acc = dense_to("fc", &mut sketch, id, &x, 20, &[41, 40, 7, -30]);
    let y = sketch.argmax("argmax", acc);
    let circuit = sketch.circuit(y, PUBLIC, 5);
    let name = "classes";
    Sample { name, circuit, x }
}

/// The largest of requantized cells, remainders of two equal limbs; two rows.
fn cells() -> Sample {
    let x = vec![1, 2, 3, -1, 2, 1];
    let (mut sketch, id) = Sketch::new(&[2, 3], Interval::new(-8, 7), PRIVATE);
    let targets = [3 << 12, 2 << 12, -3 << 12, 100];
    let acc = dense_to("fc", &mut sketch, id, &x[..3], 1500, &targets);
    let q = sketch.requantize("requantize", acc, 12, range(-8, 7));
    let y = sketch.argmax("argmax", q);
    let circuit = sketch.circuit(y, PUBLIC, 5);
    let name = "cells";
    Sample { name, circuit, x }
}

/// Accumulators read twice, remainders of two different limbs; accumulators read by a dense layer, and public ones.
fn shared() -> Sample {
    let x = vec![3, -2, 5];
    let (mut sketch, id) = Sketch::new(&[1, 3], Interval::new(-8, 7), PRIVATE);
    let acc = sketch.dense("fc1", id, weights(9, 150), &[2000, 2500, 3000]);
    let relu = table(Function::Relu, -16, 15, 1.0, 1.0);
    let hidden = sketch.requantize("relu", acc, 9, relu);
    sketch.requantize("abs", acc, 9, table(Function::Abs, -16, 15, 1.0, 1.0));
    let acc = sketch.dense("fc2", hidden, weights(6, 9), &[5, 6]);
    let y = sketch.dense("fc3", acc, weights(4, 7), &[1, -1]);
    let circuit = sketch.circuit(y, PUBLIC, 5);
    let name = "shared";
    Sample { name, circuit, x }
}

/// Tables and argmax right behind the input.
fn input() -> Sample {
    let x = vec![3, 2, -2, -7, 1, -1, 2, -6];
    let (mut sketch, id) = Sketch::new(&[2, 4], Interval::new(-8, 7), PUBLIC);
    sketch.requantize("coarse", id, 3, range(-1, 0));
    let tanh = table(Function::Tanh, -9, 8, 1.0 / 4.0, 1.0 / 4.0);
    let y = sketch.requantize("tanh", id, 0, tanh);
    sketch.argmax("of tanh", y);
    let y = sketch.argmax("of x", id);
    let circuit = sketch.circuit(y, PUBLIC, 5);
    let name = "input";
    Sample { name, circuit, x }
}

/// Matrix rows longer than a column and layers of many columns; nothing public.
fn columns() -> Sample {
    let x = (0..40).map(|i| (i * 5) % 7 + 1).collect();
    let (mut sketch, id) = Sketch::new(&[2, 20], Interval::new(-8, 7), PRIVATE);
    let acc = sketch.dense(
        "fc1",
        id,
        weights(20 * 6, 20),
        &[2000, 2100, 1900, 1800, 2001, 2002],
    );
    let relu = table(Function::Relu, -16, 15, 1.0, 1.0);
    let hidden = sketch.requantize("relu", acc, 8, relu);
    let y = sketch.dense("fc2", hidden, weights(6 * 9, 9), &[3; 9]);
    let circuit = sketch.circuit(y, PRIVATE, 4);
    let name = "columns";
    Sample { name, circuit, x }
}

/// A convolution with everything that a window can have, ReLU, and a convolution by 1 x 1; public input and output.
fn convolution() -> Sample {
    let x: Vec<i64> = (0..24).map(|i| (i * 5) % 7 - 8).collect();
    let (mut sketch, id) = Sketch::new(&[1, 2, 4, 3], Interval::new(-8, 7), PUBLIC);
    let acc = sketch.conv("conv", id, (WINDOW, 1), weights(16, 9), &[300, 290]);
    let relu = table(Function::Relu, -64, 63, 1.0, 1.0);
    let hidden = sketch.requantize("relu", acc, 4, relu);
    let point = Geometry::window([1, 1], [1, 1]);
    let y = sketch.conv("point", hidden, (point, 1), weights(6, 9), &[1, 2, 3]);
    let circuit = sketch.circuit(y, PUBLIC, 5);
    let name = "convolution";
    Sample { name, circuit, x }
}

/// Two groups of two channels each, then every channel for itself.
fn groups() -> Sample {
    let x: Vec<i64> = (0..36).map(|i| (i * 5) % 7 + 1).collect();
    let (mut sketch, id) = Sketch::new(&[1, 4, 3, 3], Interval::new(-8, 7), PRIVATE);
    let window = Geometry::window([2, 2], [1, 1]);
    let acc = sketch.conv("grouped", id, (window, 2), weights(32, 9), &[300; 4]);
    let hidden = sketch.requantize("range", acc, 5, range(-16, 15));
    let acc = sketch.conv("depthwise", hidden, (window, 4), weights(16, 9), &[5; 4]);
    let y = sketch.requantize("end", acc, 3, range(-24, 23));
    let circuit = sketch.circuit(y, PUBLIC, 5);
    let name = "groups";
    Sample { name, circuit, x }
}

/// Maxima over windows that overlap and reach into the padding; flattened, which wiring cannot do there.
fn maxima() -> Sample {
    let x = vec![3, -2, 5, -7, 4, 1, -1, 2, -6];
    let (mut sketch, id) = Sketch::new(&[1, 1, 3, 3], Interval::new(-8, 7), PUBLIC);
    let window = Geometry {
        before: [1, 0],
        ..Geometry::window([2, 2], [2, 1])
    };
    let pooled = sketch.max_pool("pool", id, window);
    let flat = sketch.reshape("flatten", pooled, &[1, 4]);
    let y = sketch.dense("fc", flat, weights(8, 9), &[1, 2]);
    let circuit = sketch.circuit(y, PUBLIC, 5);
    let name = "maxima";
    Sample { name, circuit, x }
}

/// Requantization, ReLU and maxima in one, over windows that leave some accumulators out.
fn fused() -> Sample {
    let x: Vec<i64> = (0..15).map(|i| (i * 5) % 7 - 3 + i % 2).collect();
    let (mut sketch, id) = Sketch::new(&[1, 1, 3, 5], Interval::new(-8, 7), PRIVATE);
    let point = Geometry::window([1, 1], [1, 1]);
    let acc = sketch.conv("conv", id, (point, 1), vec![19], &[45]);
    let window = Geometry::window([2, 1], [2, 2]);
    let keys = Interval::new(-64, 63);
    let y = sketch.requantize_max("fused", acc, (3, keys), window);
    let circuit = sketch.circuit(y, PUBLIC, 5);
    let name = "fused";
    Sample { name, circuit, x }
}

/// A residual addition, averages, and axes permuted before a dense layer.
fn residual() -> Sample {
    let x: Vec<i64> = (0..18).map(|i| (i * 5) % 7 + 1).collect();
    let (mut sketch, id) = Sketch::new(&[1, 2, 3, 3], Interval::new(-8, 7), PRIVATE);
    let point = Geometry::window([1, 1], [1, 1]);
    let acc = sketch.conv("conv", id, (point, 1), weights(4, 9), &[50, 60]);
    let relu = table(Function::Relu, -16, 15, 1.0, 1.0);
    let hidden = sketch.requantize("relu", acc, 3, relu);
    let sum = sketch.add("add", [hidden, id], [2, -3]);
    let sum = sketch.requantize("sum", sum, 1, range(-16, 15));
    let window = Geometry::window([2, 2], [1, 1]);
    let average = sketch.sum_pool("average", sum, window);
    let average = sketch.requantize("rounded", average, 2, range(-16, 15));
    let last = sketch.transpose("last", average, &[0, 2, 3, 1]);
    let y = sketch.dense("fc", last, weights(4, 9), &[1, 2]);
    let circuit = sketch.circuit(y, PUBLIC, 5);
    let name = "residual";
    Sample { name, circuit, x }
}

/// Padding on one side, another stride and dilation along each axis.
const WINDOW: Geometry = Geometry {
    kernel: [2, 2],
    stride: [2, 1],
    dilation: [1, 2],
    before: [0, 1],
    after: [0, 1],
};

/// A dense layer whose accumulators at `x` are `targets`.
fn dense_to(
    name: &str,
    sketch: &mut Sketch,
    id: TensorId,
    x: &[i64],
    span: i64,
    targets: &[i64],
) -> TensorId {
    let matrix = weights(x.len() * targets.len(), span);
    let products = matrix.chunks(x.len());
    let products = products.map(|row| row.iter().zip(x).map(|(w, x)| w * x).sum::<i64>());
    let bias: Vec<i64> = targets.iter().zip(products).map(|(t, p)| t - p).collect();
    sketch.dense(name, id, matrix, &bias)
}

/// Weights in `-span..=span` without a pattern.
pub fn weights(len: usize, span: i64) -> Vec<i64> {
    let mixed = (1..=len as u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33);
    mixed.map(|v| v as i64 % (2 * span + 1) - span).collect()
}
