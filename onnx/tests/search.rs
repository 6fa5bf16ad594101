//! What calibration keeps, and what it costs to keep it.

use std::path::PathBuf;

use zkernel_onnx::{
    Goal, HISTOGRAM_BINS, Model, Options, Quantized, Samples, calibration_bytes, quantize_for,
};

fn load(name: &str) -> (Model, Samples) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../models");
    let folder = folder.join(name);
    let model = Model::load(folder.join("network.onnx")).unwrap();
    let samples = Samples::read(&model, &folder.join("calib.npz")).unwrap();
    (model, samples)
}

fn searched(model: &Model, samples: &Samples, goal: Goal) -> Quantized {
    quantize_for(model, samples, &Options::default(), goal).unwrap()
}

#[test]
fn goals_are_met_and_the_fast_one_takes_no_more_bits() {
    for name in ["logreg", "mlp_tab", "mlp_digits"] {
        let (model, samples) = load(name);
        let bits = [Goal::Accuracy, Goal::Fast].map(|goal| {
            let report = searched(&model, &samples, goal).report;
            assert!(goal.is_met(&report), "{name}: {report}");
            report.widths.shift + report.widths.activation
        });
        assert!(bits[1] <= bits[0], "{name}: {bits:?}");
    }
    let (model, samples) = load("mlp_digits");
    let exact = searched(&model, &samples, Goal::Accuracy).report;
    let fast = searched(&model, &samples, Goal::Fast).report;
    assert!(fast.relative_error > exact.relative_error);
    assert!(!Goal::Accuracy.is_met(&fast), "{fast}");
}

/// Two samples on either side of a decision, as near to it as floats go: integers take them for one.
fn undecidable(model: &Model, samples: &Samples) -> Samples {
    let score = |x: &[f32]| f64::from(model.run(&[x.to_vec()]).unwrap()[0][0]) - 0.5;
    let all = samples.as_slice();
    let found = |sign: f64| all.iter().find(|s| score(&s[0]) * sign > 0.0).unwrap();
    let (mut no, mut yes) = (found(-1.0)[0].clone(), found(1.0)[0].clone());
    for _ in 0..64 {
        let middle: Vec<f32> = no.iter().zip(&yes).map(|(a, b)| (a + b) / 2.0).collect();
        if score(&middle) > 0.0 {
            yes = middle;
        } else {
            no = middle;
        }
    }
    Samples::new(model, vec![vec![no], vec![yes]]).unwrap()
}

#[test]
fn decisions_that_change_are_told() {
    let (model, samples) = load("logreg");
    let near = undecidable(&model, &samples);
    for goal in [Goal::Accuracy, Goal::Fast] {
        let report = searched(&model, &near, goal).report;
        assert_eq!(report.top1_agreement, 0.5, "{report}");
        assert!(!goal.keeps_decisions(&report) && !goal.is_met(&report));
    }
}

#[test]
fn layers_count_the_keys_of_their_tables() {
    let (model, samples) = load("mlp_digits");
    let report = searched(&model, &samples, Goal::Accuracy).report;
    let count = samples.as_slice().len() as u64;
    let mut tables = 0;
    for (layer, node) in report.layers.iter().zip(&model.nodes) {
        let (Some(table), Some(seen)) = (layer.table, layer.seen) else {
            assert!(layer.histogram.is_empty());
            continue;
        };
        tables += 1;
        assert_eq!(layer.histogram.len(), HISTOGRAM_BINS);
        let values = model.tensors[node.output].len() as u64;
        assert_eq!(layer.histogram.iter().sum::<u64>(), count * values);
        // The first and the last part with keys hold the smallest and the largest.
        let part = |key: i64| (key - table[0]) * HISTOGRAM_BINS as i64 / (table[1] - table[0] + 1);
        let filled = |bin: &usize| layer.histogram[*bin] > 0;
        assert_eq!(
            (0..HISTOGRAM_BINS).find(filled),
            Some(part(seen[0]) as usize)
        );
        assert_eq!(
            (0..HISTOGRAM_BINS).rfind(filled),
            Some(part(seen[1]) as usize)
        );
    }
    assert!(tables > 0);
}

#[test]
fn calibration_takes_memory_by_the_sample() {
    let (model, samples) = load("mlp_digits");
    let all = samples.as_slice();
    let first = Samples::new(&model, all[..1].to_vec()).unwrap();
    let values: usize = model.tensors.iter().map(|t| t.len()).sum();
    let more = calibration_bytes(&model, &samples) - calibration_bytes(&model, &first);
    assert_eq!(more, ((all.len() - 1) * values * size_of::<f32>()) as u64);
}
