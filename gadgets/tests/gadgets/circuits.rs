//! One circuit for every way that gadgets meet: what reads accumulators, cells and inputs, and what is public.

use zkernel_gadgets::model::{Function, Interval, TensorId, Visibility};

use crate::sketch::{Circuit, Sketch, range, table};

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
    vec![tables(), classes(), cells(), shared(), input(), columns()]
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
fn weights(len: usize, span: i64) -> Vec<i64> {
    let mixed = (1..=len as u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33);
    mixed.map(|v| v as i64 % (2 * span + 1) - span).collect()
}
