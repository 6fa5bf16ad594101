//! Tables whose columns have units of their own: an income beside a ratio. Nothing of the small ones is lost.

use zkernel_onnx::{Model, Options, Samples, quantize};

use crate::classic::values;
use crate::network::{Attribute, Network};

/// Columns of about 100 000, 40, 0.5 and 0.003, the first and the last far from zero for what they vary.
fn table(count: usize) -> Vec<Vec<f32>> {
    let row = |v: &[f32]| {
        vec![
            1e5 + 2e4 * v[0],
            40.0 * v[1],
            0.5 * v[2],
            0.003 + 0.001 * v[3],
        ]
    };
    values(21, 4 * count).chunks(4).map(row).collect()
}

const CENTRE: [f32; 4] = [1e5, 0.0, 0.0, 0.003];
const SIZE: [f32; 4] = [2e4, 40.0, 0.5, 0.001];

fn samples(model: &Model, count: usize) -> Samples {
    Samples::new(
        model,
        table(count).into_iter().map(|row| vec![row]).collect(),
    )
    .unwrap()
}

fn scaled(network: Network) -> Network {
    let scale = SIZE.map(|s| 1.0 / s).to_vec();
    let with = [
        Attribute::Floats("offset", CENTRE.to_vec()),
        Attribute::Floats("scale", scale),
    ];
    network.classic("Scaler", &["x"], &["s"], &with)
}

/// The error of integers on other samples than those of the calibration, and the share of decisions kept.
fn measured(network: &Network) -> (f64, f64) {
    let model = network.read().unwrap();
    let all = samples(&model, 120);
    let calibration = Samples::new(&model, all.as_slice()[..60].to_vec()).unwrap();
    let others = Samples::new(&model, all.as_slice()[60..].to_vec()).unwrap();
    let quantized = quantize(&model, &calibration, &Options::default()).unwrap();
    quantized.graph.validate().unwrap();
    let report = quantized.evaluate(&model, &others).unwrap();
    (report.relative_error, report.top1_agreement)
}

#[test]
fn every_column_counts_in_a_linear_model() {
    let weights: Vec<f32> = [1.0, -1.0, 0.5, 1.0, -0.5, 1.0, 1.0, -1.0].to_vec();
    let by_scaler = scaled(Network::new(&[1, 4])).constant("w", &[4, 2], &weights);
    let (error, kept) = measured(&by_scaler.node("MatMul", &["s", "w"], "y", &[]).output("y"));
    assert!(error < 0.003 && kept == 1.0, "{error} {kept}");
    // The same with raw columns: weights that differ as their units do.
    let raw = weights.iter().enumerate().map(|(p, w)| w / SIZE[p / 2]);
    let raw = Network::new(&[1, 4]).constant("w", &[4, 2], &raw.collect::<Vec<f32>>());
    let (error, _) = measured(&raw.node("MatMul", &["x", "w"], "y", &[]).output("y"));
    assert!(error < 0.003, "{error}");
}

#[test]
fn columns_are_scaled_before_other_operators_read_them() {
    let (error, _) = measured(
        &scaled(Network::new(&[1, 4]))
            .node("Tanh", &["s"], "y", &[])
            .output("y"),
    );
    assert!(error < 0.01, "{error}");
}

/// Comparisons with thresholds in the units of their columns, of columns as they are and scaled: every one is exact.
#[test]
fn every_column_counts_in_a_comparison() {
    let thresholds = [1.02e5, -3.5, 0.11, 0.0031];
    let raw = Network::new(&[1, 4]).constant("t", &[4], &thresholds).node(
        "Greater",
        &["x", "t"],
        "y",
        &[],
    );
    assert_eq!(measured(&raw.output("y")), (0.0, 1.0));
}

/// Scores that decide too, in the units of the columns: a sum that is compared keeps what each column adds.
#[test]
fn every_column_counts_in_scores_that_are_compared() {
    let weights = [1.0, -1.0, 0.5, 1.0, -0.5, 1.0, 1.0, -1.0];
    let raw: Vec<f32> = (0..8).map(|p| weights[p] / SIZE[p / 2]).collect();
    let middle = |j: usize| (0..4).map(|i| raw[2 * i + j] * CENTRE[i]).sum::<f32>();
    let network = Network::new(&[1, 4])
        .constant("w", &[4, 2], &raw)
        .constant("b", &[2], &[-middle(0), -middle(1)])
        .constant("zero", &[1], &[0.0])
        .node("Gemm", &["x", "w", "b"], "scores", &[])
        .node("Greater", &["scores", "zero"], "bits", &[])
        .node("Cast", &["bits"], "chosen", &[Attribute::Int("to", 1)])
        .node("Mul", &["scores", "chosen"], "y", &[]);
    let (error, _) = measured(&network.output("y"));
    assert!(error < 0.003, "{error}");
}
