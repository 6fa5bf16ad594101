//! Pipelines as scikit-learn exports them, with what ONNX Runtime gives for them: columns in units of their own, several inputs, names
//! of classes, maps of probabilities. Integers choose the same classes.

use std::path::PathBuf;

use zkernel_gadgets::model::{Honest, run};
use zkernel_onnx::{Model, Options, Samples, dequantize, quantize};

/// Inputs one after the other, and what the runtime gives.
#[derive(serde::Deserialize)]
struct Fixture {
    calibration: Vec<Vec<f32>>,
    test: Vec<Vec<f32>>,
    labels: Vec<f64>,
    probabilities: Vec<Vec<f64>>,
}

fn path(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(file)
}

fn samples(model: &Model, inputs: &[Vec<f32>]) -> Samples {
    let json = serde_json::json!({ "input_data": inputs });
    Samples::from_bytes(model, json.to_string().as_bytes()).unwrap()
}

#[track_caller]
fn chooses_as_the_runtime(name: &str) -> Model {
    let model = Model::load(path(&format!("{name}.onnx"))).unwrap();
    let fixture = std::fs::read(path(&format!("{name}.json"))).unwrap();
    let fixture: Fixture = serde_json::from_slice(&fixture).unwrap();
    let calibration = samples(&model, &fixture.calibration);
    let quantized = quantize(&model, &calibration, &Options::default()).unwrap();
    let test = samples(&model, &fixture.test);
    assert_eq!(test.as_slice().len(), fixture.labels.len());
    for (i, sample) in test.as_slice().iter().enumerate() {
        let integers = quantized.quantize_input(sample).unwrap();
        let graph = &quantized.graph;
        let trace = run(graph, &quantized.weights, &integers, &mut Honest).unwrap();
        let real = |position: usize| {
            let id = graph.outputs[position];
            dequantize(graph, id, &trace.values[id.0 as usize]).unwrap()
        };
        assert_eq!(real(0), [fixture.labels[i]], "label of sample {i}");
        let pairs = real(1).into_iter().zip(fixture.probabilities[i].clone());
        let error = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(error < 0.01, "{error} in sample {i}");
    }
    model
}

/// An income, an age, ratios and a number of late payments: six inputs, scaled or one-hot, then a logistic regression.
#[test]
fn a_credit_score_of_several_inputs() {
    let model = chooses_as_the_runtime("credit");
    assert_eq!(model.inputs.len(), 6);
}

/// Thirty measurements from thousands to thousandths, scaled; two classes with names.
#[test]
fn a_tumour_with_names_of_classes() {
    let model = chooses_as_the_runtime("tumour");
    let names: Vec<&Vec<String>> = model.classes.values().collect();
    assert_eq!(names, [&["bad", "good"]]);
}
