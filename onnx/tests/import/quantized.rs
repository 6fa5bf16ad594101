//! Operators on integers of few bits: the integer network has the very integers that ONNX defines, halves and saturation included.

use proptest::prelude::*;
use tract_onnx::pb::tensor_proto::DataType;
use zkernel_gadgets::model::{Honest, Op, run};
use zkernel_onnx::{Model, Options, Quantized, Samples, quantize};

use crate::network::{Attribute, Network};
use crate::visibility::{proven, samples};

const BYTE: DataType = DataType::Uint8;
const SIGNED: DataType = DataType::Int8;

/// The integers of the output on one sample.
fn integers(model: &Model, quantized: &Quantized, sample: &[Vec<f32>]) -> Vec<i64> {
    let inputs = quantized.quantize_input(sample).unwrap();
    let graph = &quantized.graph;
    let trace = run(graph, &quantized.weights, &inputs, &mut Honest).unwrap();
    let output = graph.outputs[0].0 as usize;
    assert_eq!((graph.tensors[output].scale, model.outputs.len()), (1.0, 1));
    trace.values[output].clone()
}

/// `clamp(round(x) + zero)`, halves to even.
fn saturated(x: f64, zero: i64, [low, high]: [i64; 2]) -> i64 {
    (x.round_ties_even() as i64 + zero).clamp(low, high)
}

/// Numbers without a pattern, in `low..=high`.
fn numbers(count: usize, low: i32, high: i32) -> Vec<i32> {
    let mut state = 7u64;
    let mut next = || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        low + ((state >> 33) % u64::from((high - low + 1).unsigned_abs())) as i32
    };
    (0..count).map(|_| next()).collect()
}

/// The parameters of a layer: a step and a zero point for each tensor.
fn with_steps(network: Network, name: &str, kind: DataType, step: f32, zero: i32) -> Network {
    let (scale, zero_point) = (format!("{name}_s"), format!("{name}_z"));
    network
        .constant(&scale, &[], &[step])
        .small(&zero_point, &[], kind, &[zero])
}

fn quantized(network: Network, from: &str, steps: &str, to: &str) -> Network {
    let (scale, zero) = (format!("{steps}_s"), format!("{steps}_z"));
    network.node("QuantizeLinear", &[from, &scale, &zero], to, &[])
}

fn dequantized(network: Network, from: &str, steps: &str, to: &str) -> Network {
    let (scale, zero) = (format!("{steps}_s"), format!("{steps}_z"));
    network.node("DequantizeLinear", &[from, &scale, &zero], to, &[])
}

const STEP_X: f32 = 1.0 / 128.0;
// Steps without a common measure: sums that end in a half to within a float's accuracy could go either way.
const STEP_H: f32 = 0.021_347;
const STEP_Y: f32 = 0.051_23;
const BYTES: [i64; 2] = [0, 255];

/// Two layers as exporters write them: integers with a step for each row of the weights between dequantized tensors.
fn two_layers(weights: [&[i32]; 2], steps: &[f32; 4]) -> Network {
    let mut network = Network::new(&[1, 6]);
    network = with_steps(network, "x", BYTE, STEP_X, 128);
    network = with_steps(network, "h", BYTE, STEP_H, 0);
    network = with_steps(network, "y", BYTE, STEP_Y, 100);
    network = network
        .small("w", &[6, 4], SIGNED, weights[0])
        .constant("w_s", &[4], steps)
        .small("w_z", &[4], SIGNED, &[0; 4])
        .small("v", &[3, 4], SIGNED, weights[1])
        .constant("v_s", &[], &[0.01])
        .small("v_z", &[], SIGNED, &[0])
        .small("b", &[4], DataType::Int32, &[50, -700, 0, 12])
        .constant("b_s", &[4], &steps.map(|s| s * STEP_X))
        .small("b_z", &[4], DataType::Int32, &[0; 4]);
    network = dequantized(quantized(network, "x", "x", "xq"), "xq", "x", "xr");
    network = network
        .node(
            "DequantizeLinear",
            &["w", "w_s", "w_z"],
            "wr",
            &[Attribute::Int("axis", 1)],
        )
        .node(
            "DequantizeLinear",
            &["b", "b_s", "b_z"],
            "br",
            &[Attribute::Int("axis", 0)],
        )
        .node("DequantizeLinear", &["v", "v_s", "v_z"], "vr", &[])
        .node("MatMul", &["xr", "wr"], "a", &[])
        .node("Add", &["a", "br"], "c", &[])
        .node("Relu", &["c"], "r", &[]);
    network = dequantized(quantized(network, "r", "h", "hq"), "hq", "h", "hr");
    network = network.node("Gemm", &["hr", "vr"], "o", &[Attribute::Int("transB", 1)]);
    quantized(network, "o", "y", "y").output("y")
}

#[test]
fn layers_between_dequantized_tensors_keep_their_integers() {
    let (w, v) = (numbers(24, -128, 127), numbers(12, -90, 90));
    let steps = [0.004, 0.0071, 0.002, 0.0123];
    let model = two_layers([&w, &v], &steps).read().unwrap();
    let network = proven(&model, Options::default());
    // Steps of powers of two have halves, which take a quotient, a parity and a clip; other steps take one clip.
    let tables = |op: &Op| matches!(op, Op::Requantize { .. });
    assert_eq!(
        network.graph.nodes.iter().filter(|n| tables(&n.op)).count(),
        5
    );
    let bias = [50i64, -700, 0, 12];
    for sample in samples(&model, 40).as_slice() {
        let of = |x: &f32| saturated(f64::from(x / STEP_X), 128, BYTES) - 128;
        let x: Vec<i64> = sample[0].iter().map(of).collect();
        let hidden = |i: usize| {
            let sum: i64 = (0..6).map(|j| x[j] * i64::from(w[j * 4 + i])).sum::<i64>() + bias[i];
            let real = sum as f64 * f64::from(STEP_X) * f64::from(steps[i]);
            saturated((real / f64::from(STEP_H)).max(0.0), 0, BYTES)
        };
        let h: Vec<i64> = (0..4).map(hidden).collect();
        let output = |i: usize| {
            let sum: i64 = (0..4).map(|j| h[j] * i64::from(v[i * 4 + j])).sum();
            saturated(
                sum as f64 * f64::from(STEP_H) * f64::from(0.01f32) / f64::from(STEP_Y),
                100,
                BYTES,
            )
        };
        let expected: Vec<i64> = (0..3).map(output).collect();
        assert_eq!(integers(&model, &network, sample), expected);
    }
}

/// A step of a power of two: halves happen, and go to the even neighbour.
#[test]
fn halves_go_to_even() {
    let halves = with_steps(Network::new(&[8]), "y", SIGNED, 2.0, 3);
    let model = quantized(halves, "x", "y", "y").output("y").read().unwrap();
    let sample = vec![vec![1.0, 3.0, -1.0, -3.0, 5.0, 0.5, 249.0, -300.0]];
    let samples = Samples::new(&model, vec![sample.clone()]).unwrap();
    let network = quantize(&model, &samples, &Options::default()).unwrap();
    let expected = sample[0]
        .iter()
        .map(|x| saturated(f64::from(*x) / 2.0, 3, [-128, 127]));
    assert_eq!(
        integers(&model, &network, &sample),
        expected.collect::<Vec<_>>()
    );
}

/// Sums of tensors with other steps, and products of two activations.
#[test]
fn sums_and_products_of_integers() {
    let mut network = Network::new(&[2, 4]);
    for (name, step, zero) in [("p", 0.013, 100), ("q", 0.0077, 128), ("y", 0.019, 90)] {
        network = with_steps(network, name, BYTE, step, zero);
    }
    network = dequantized(quantized(network, "x", "p", "xp"), "xp", "p", "a");
    network = dequantized(quantized(network, "x", "q", "xq"), "xq", "q", "b");
    let sum = network.clone().node("Add", &["a", "b"], "c", &[]);
    let product = network
        .node("Transpose", &["b"], "t", &[])
        .node("MatMul", &["a", "t"], "c", &[]);
    for (network, is_sum) in [(sum, true), (product, false)] {
        let model = quantized(network, "c", "y", "y")
            .output("y")
            .read()
            .unwrap();
        let network = proven(&model, Options::default());
        for sample in samples(&model, 20).as_slice() {
            let of = |step: f32, zero: i64| -> Vec<f64> {
                let value = |x: &f32| {
                    (saturated(f64::from(x / step), zero, BYTES) - zero) as f64 * f64::from(step)
                };
                sample[0].iter().map(value).collect()
            };
            let (a, b) = (of(0.013, 100), of(0.0077, 128));
            let real: Vec<f64> = match is_sum {
                true => a.iter().zip(&b).map(|(a, b)| a + b).collect(),
                false => {
                    let dot =
                        |i: usize, j: usize| (0..4).map(|k| a[i * 4 + k] * b[j * 4 + k]).sum();
                    [(0, 0), (0, 1), (1, 0), (1, 1)]
                        .map(|(i, j)| dot(i, j))
                        .to_vec()
                }
            };
            let expected = real
                .iter()
                .map(|v| saturated(v / f64::from(0.019f32), 90, BYTES));
            assert_eq!(
                integers(&model, &network, sample),
                expected.collect::<Vec<_>>()
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Any integers, steps and zero points: a convolution with a step for each channel.
    #[test]
    fn convolutions_of_integers(
        x in proptest::collection::vec(0i64..=255, 2 * 9),
        w in proptest::collection::vec(-128i32..=127, 3 * 2 * 4),
        steps in proptest::collection::vec(0.001f32..0.1, 3),
        (step_x, step_y) in (0.001f32..0.1, 0.1f32..2.0),
        (zero_x, zero_y) in (0i32..=255, 0i32..=255),
        bias in proptest::collection::vec(-1000i32..=1000, 3),
    ) {
        let network = Network::new(&[1, 2, 3, 3]);
        let network = with_steps(with_steps(network, "x", BYTE, step_x, zero_x), "y", BYTE, step_y, zero_y)
            .small("w", &[3, 2, 2, 2], SIGNED, &w)
            .constant("w_s", &[3], &steps)
            .small("w_z", &[3], SIGNED, &[0; 3])
            .small("b", &[3], DataType::Int32, &bias);
        let names = ["x", "x_s", "x_z", "w", "w_s", "w_z", "y_s", "y_z", "b"];
        let model = network.node("QLinearConv", &names, "y", &[]).with_bytes("x").output("y").read().unwrap();
        let sample = vec![x.iter().map(|v| *v as f32).collect::<Vec<_>>()];
        let samples = Samples::new(&model, vec![sample.clone()]).unwrap();
        let network = quantize(&model, &samples, &Options::default()).unwrap();
        let mut expected = Vec::new();
        for row in 0..3 {
            for at in 0..4 {
                let (i, j) = (at / 2, at % 2);
                let mut sum = i64::from(bias[row]);
                for tap in 0..8 {
                    let (c, di, dj) = (tap / 4, tap / 2 % 2, tap % 2);
                    let pixel = x[c * 9 + (i + di) * 3 + j + dj] - i64::from(zero_x);
                    sum += pixel * i64::from(w[row * 8 + tap]);
                }
                let real = sum as f64 * f64::from(step_x) * f64::from(steps[row]) / f64::from(step_y);
                // Ratios of steps are exact to 2^-24 only.
                let near = (real.abs().fract() - 0.5).abs() < 1e-4 * real.abs();
                expected.push((saturated(real, zero_y.into(), BYTES), near));
            }
        }
        for (found, (expected, near)) in integers(&model, &network, &sample).iter().zip(expected) {
            prop_assert!(*found == expected || near && (found - expected).abs() == 1);
        }
    }
}
