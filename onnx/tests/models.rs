//! The shipped models: the integer network decides as the float network does, within its tables.

use std::path::PathBuf;

use zkernel_onnx::{Error, Limits, Model, Options, Quantized, Samples, array, quantize};

fn path(model: &str, file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../models")
        .join(model)
        .join(file)
}

fn load(name: &str, calibration: &str) -> (Model, Quantized, Samples) {
    let model = Model::load(path(name, "network.onnx")).unwrap();
    let samples = Samples::read(&model, &path(name, calibration)).unwrap();
    let quantized = quantize(&model, &samples, &Options::default()).unwrap();
    let test = Samples::read(&model, &path(name, "test.npz")).unwrap();
    (model, quantized, test)
}

/// Every test sample runs within the tables, and enough of them keep their class.
fn agrees(name: &str, calibration: &str, least: f64) {
    let (model, quantized, test) = load(name, calibration);
    let report = quantized.evaluate(&model, &test).unwrap();
    println!("{name} calibrated on {calibration}\n{report}");
    assert!(report.top1_agreement >= least, "{report}");
    assert!(report.relative_error < 0.05, "{report}");
    assert!(report.layers.iter().all(|l| l.saturated == 0), "{report}");
}

#[test]
fn logreg_decides_as_float() {
    agrees("logreg", "calib.npz", 1.0);
}

#[test]
fn mlp_tab_decides_as_float() {
    agrees("mlp_tab", "calib.npz", 1.0);
}

#[test]
fn mlp_digits_decides_as_float() {
    agrees("mlp_digits", "calib.npz", 0.995);
}

#[test]
fn one_sample_calibrates_the_digits() {
    agrees("mlp_digits", "input.json", 0.99);
}

#[test]
fn one_sample_calibrates_and_is_proven_itself() {
    for name in ["logreg", "mlp_tab", "mlp_digits"] {
        let (model, quantized, _) = load(name, "input.json");
        let input = Samples::read(&model, &path(name, "input.json")).unwrap();
        let report = quantized.evaluate(&model, &input).unwrap();
        assert_eq!(report.top1_agreement, 1.0, "{report}");
    }
}

#[test]
fn float_run_gives_the_recorded_outputs() {
    for name in ["logreg", "mlp_tab", "mlp_digits"] {
        let model = Model::load(path(name, "network.onnx")).unwrap();
        let test = Samples::read(&model, &path(name, "test.npz")).unwrap();
        let recorded = array(&std::fs::read(path(name, "test.npz")).unwrap(), "out").unwrap();
        let outputs = model.tensors[model.outputs[0]].len();
        assert_eq!(recorded.len(), test.as_slice().len() * outputs);
        for (sample, expected) in test.as_slice().iter().zip(recorded.chunks(outputs)) {
            for (a, b) in model.run(sample).unwrap()[0].iter().zip(expected) {
                assert!((a - b).abs() < 1e-3, "{name}: {a} against {b}");
            }
        }
    }
}

#[test]
fn summary_counts_parameters() {
    for (name, params, macs) in [
        ("logreg", 31, 30),
        ("mlp_tab", 4097, 4000),
        ("mlp_digits", 17226, 17024),
    ] {
        let summary = Model::load(path(name, "network.onnx")).unwrap().summary();
        assert_eq!((summary.params, summary.macs), (params, macs));
    }
}

#[test]
fn an_uncovered_input_names_what_is_wrong() {
    let (_, quantized, _) = load("mlp_digits", "calib.npz");
    let mut input = vec![0.0; 64];
    input[7] = 1000.0;
    match quantized.quantize_input(&[input]) {
        Err(Error::InputRange {
            index: 7, value, ..
        }) => assert_eq!(value, 1000.0),
        other => panic!("{other:?}"),
    }
}

#[test]
fn broken_files_are_errors() {
    let bytes = std::fs::read(path("logreg", "network.onnx")).unwrap();
    for end in 0..bytes.len() {
        let _ = Model::from_bytes(&bytes[..end], &Limits::default());
    }
    for at in 0..bytes.len() {
        let mut broken = bytes.clone();
        broken[at] ^= 0xff;
        let _ = Model::from_bytes(&broken, &Limits::default());
    }
    assert!(matches!(
        Model::from_bytes(b"", &Limits::default()),
        Err(Error::Malformed(_))
    ));
    assert!(matches!(
        Model::from_bytes(b"not onnx", &Limits::default()),
        Err(Error::Malformed(_))
    ));
    let limits = Limits {
        tensor_values: 3,
        ..Limits::default()
    };
    assert!(matches!(
        Model::from_bytes(&bytes, &limits),
        Err(Error::TooLarge { .. })
    ));
}
