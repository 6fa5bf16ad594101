//! Real models: the quantized network answers as float does.

use std::path::{Path, PathBuf};

use zkernel_onnx::calibrate::measure;
use zkernel_onnx::report::Report;
use zkernel_onnx::{Model, ModelError, Options, Samples, quantize};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../models")
        .join(name)
}

/// Calibrates on one file, measures on the test samples.
fn accuracy(name: &str, calibration: &str) -> Report {
    let folder = folder(name);
    let model = Model::load(&folder.join("network.onnx")).unwrap();
    let load = |file: &str| Samples::load(&folder.join(file), model.input_len()).unwrap();
    let quantized = quantize(&model, &load(calibration), &Options::default()).unwrap();
    let report = measure(
        &model,
        &quantized.graph,
        &quantized.weights,
        &load("test.npz"),
    )
    .unwrap();
    println!("{name}, calibrated on {calibration}\n{report}");
    report
}

#[test]
fn tabular_models_agree_on_every_sample() {
    for name in ["logreg", "mlp_tab"] {
        let report = accuracy(name, "calib.npz");
        assert_eq!(
            (report.top1_agreement, report.samples),
            (171, 171),
            "{name}"
        );
    }
}

#[test]
fn digits_agree_on_99_5_percent() {
    let report = accuracy("mlp_digits", "calib.npz");
    assert_eq!(report.samples, 450);
    assert!(
        report.top1_agreement * 1000 >= 995 * report.samples,
        "{report}"
    );
}

#[test]
fn our_float_run_equals_tract() {
    for name in ["logreg", "mlp_tab", "mlp_digits"] {
        let model = Model::load(&folder(name).join("network.onnx")).unwrap();
        let samples = Samples::load(&folder(name).join("calib.npz"), model.input_len()).unwrap();
        for sample in &samples.0 {
            let (ours, tract) = (model.run_layers(sample), model.run(sample).unwrap());
            let worst = ours
                .last()
                .unwrap()
                .iter()
                .zip(&tract)
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max);
            assert!(worst < 1e-4, "{name}: {worst}");
        }
    }
}

#[test]
fn damaged_files_are_errors() {
    let bytes = std::fs::read(folder("logreg").join("network.onnx")).unwrap();
    for len in 0..bytes.len() {
        // A prefix may be a model with fewer fields, never a panic.
        let _ = Model::parse(&bytes[..len], "cut");
    }
    for bit in (0..bytes.len() * 8).step_by(5) {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let _ = Model::parse(&changed, "flipped");
    }
    assert!(matches!(
        Model::parse(b"not a model", "x"),
        Err(ModelError::Parse(_))
    ));
}
