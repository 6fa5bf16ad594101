//! What is searched for: widths that keep decisions, layouts for an objective and within memory; and the report of the layers.

mod common;

use std::path::Path;

use common::{commit, failure, folder, json, source, text, with, zkernel};
use zkernel_onnx::Model;

/// The report of `inspect` on a model with its samples and more options.
fn inspect(model: &str, options: &[&str]) -> serde_json::Value {
    let (onnx, samples) = (source(model, "network.onnx"), source(model, "calib.npz"));
    let inspect = ["inspect", &onnx, "--calibrate", &samples, "--json"];
    json(&zkernel(&[&inspect[..], options].concat()))
}

#[test]
fn fast_takes_no_more_than_accuracy() {
    let exact = inspect("mlp_digits", &["--accuracy"]);
    let fast = inspect("mlp_digits", &["--fast"]);
    assert_eq!(exact["accuracy"]["top1_agreement"], 1.0);
    assert!(exact["accuracy"]["relative_error"].as_f64().unwrap() <= 0.003);
    assert!(fast["accuracy"]["relative_error"].as_f64().unwrap() <= 0.01);
    let bits = |report: &serde_json::Value, which: &str| {
        report["accuracy"]["widths"][which].as_u64().unwrap()
    };
    for which in ["shift", "activation"] {
        assert!(bits(&fast, which) <= bits(&exact, which));
    }
    let (code, said) = failure(&["inspect", "x.onnx", "--accuracy", "--fast"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("cannot be used with"), "{said}");
}

/// Samples between which the scorecard's decision lies, as near as floats go.
fn undecidable() -> String {
    let model = Model::load(source("logreg", "network.onnx")).unwrap();
    let file = std::fs::read(source("logreg", "input.json")).unwrap();
    let example: serde_json::Value = serde_json::from_slice(&file).unwrap();
    let values = example["input_data"][0].as_array().unwrap();
    let yes = values.iter().map(|v| v.as_f64().unwrap() as f32);
    let mut yes: Vec<f32> = yes.collect();
    let mut no: Vec<f32> = yes.iter().map(|v| -v).collect();
    let passes = |x: &[f32]| model.run(&[x.to_vec()]).unwrap()[0][0] > 0.5;
    assert!(passes(&yes) && !passes(&no));
    for _ in 0..64 {
        let middle: Vec<f32> = no.iter().zip(&yes).map(|(a, b)| (a + b) / 2.0).collect();
        if passes(&middle) {
            yes = middle;
        } else {
            no = middle;
        }
    }
    let path = folder("undecidable").join("samples.json");
    let both = [no, yes].concat();
    std::fs::write(&path, format!("{{\"input_data\": [{both:?}]}}")).unwrap();
    text(&path).to_owned()
}

#[test]
fn accuracy_fails_where_a_decision_changes() {
    let (onnx, samples) = (source("logreg", "network.onnx"), undecidable());
    let base = folder("undecidable").join("m");
    let commit = ["commit", &onnx, "--calibrate", &samples, "-o", text(&base)];
    // An earlier run of this test may have left one.
    drop(std::fs::remove_file(with(&base, "zkm")));
    let (code, said) = failure(&[&commit[..], &["--accuracy"]].concat());
    assert_eq!(code, Some(2));
    assert!(
        said.contains("only 50.00 % of 2 calibration samples"),
        "{said}"
    );
    assert!(!Path::new(&with(&base, "zkm")).exists());
    for goal in [&[][..], &["--fast"]] {
        let report = json(&zkernel(&[&commit[..], goal, &["--json"]].concat()));
        let warning = report["warnings"][0].as_str().unwrap();
        assert!(warning.contains("keep their decision"), "{warning}");
    }
}

#[test]
fn objectives_get_what_they_ask_for() {
    let predicted = |objective: &str| {
        let report = inspect("mlp_digits", &["--objective", objective]);
        let predicted = &report["predicted"];
        let bytes = predicted["proof_bytes"].as_u64().unwrap();
        (bytes, predicted["prove_seconds"].as_f64().unwrap())
    };
    let (time, size) = (predicted("time"), predicted("size"));
    assert!(size.0 <= time.0, "{size:?} {time:?}");
    let base = folder("objective").join("m");
    commit("mlp_digits", &base, &["--objective", "size"]);
    let (zkm, sample) = (with(&base, "zkm"), source("mlp_digits", "input.json"));
    let report = json(&zkernel(&["prove", &zkm, &sample, "--json"]));
    assert_eq!(report["proof_bytes"].as_u64().unwrap(), size.0);
    let quick = folder("objective").join("quick");
    commit("mlp_digits", &quick, &["--objective", "verify"]);
    let prove = ["prove", &with(&quick, "zkm"), &sample, "--json"];
    json(&zkernel(&prove));
    let verify = ["verify", &with(&quick, "zkv"), &with(&quick, "zkp")];
    assert!(zkernel(&verify).status.success());
}

/// Same samples, same files; structure, not pixels.
#[test]
fn layers_are_reported_as_json_plots_and_a_page() {
    let folders = ["one", "two"].map(|name| folder("layers").join(name));
    for folder in &folders {
        drop(std::fs::remove_dir_all(folder));
    }
    let reports = folders.each_ref().map(|folder| {
        let report = inspect("mlp_digits", &["--report", text(folder)]);
        let files = report["files"].as_array().unwrap().clone();
        let names = files.iter().map(|file| {
            let path = Path::new(file.as_str().unwrap());
            let name = path.file_name().unwrap().to_str().unwrap();
            (name.to_owned(), std::fs::read_to_string(path).unwrap())
        });
        (report, names.collect::<Vec<_>>())
    });
    let [(report, files), (_, again)] = &reports;
    assert_eq!(files, again, "the same twice");
    let named = |name: &str| {
        let mut all = files.iter();
        &all.find(|(own, _)| own == name)
            .unwrap_or_else(|| panic!("no {name}"))
            .1
    };
    let written: serde_json::Value = serde_json::from_str(named("report.json")).unwrap();
    assert_eq!(written["accuracy"], report["accuracy"]);
    let layers = written["accuracy"]["layers"].as_array().unwrap();
    let (page, errors) = (named("index.html"), named("error.svg"));
    assert!(errors.starts_with("<svg") && errors.trim_end().ends_with("</svg>"));
    assert!(errors.matches("<rect").count() >= 2 * layers.len());
    let mut plots = 0;
    for (index, layer) in layers.iter().enumerate() {
        assert!(page.contains(&format!("<td>{}</td>", layer["name"].as_str().unwrap())));
        let name = format!("keys-{}.svg", index + 1);
        let Some(histogram) = layer["histogram"].as_array() else {
            assert!(!page.contains(&name));
            continue;
        };
        plots += 1;
        assert!(page.contains(&name));
        assert!(named(&name).matches("<rect").count() >= histogram.len());
    }
    assert!(plots > 0);
    assert_eq!(files.len(), plots + 3);
    let (code, said) = failure(&["inspect", "x.onnx", "--report", "y"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("--calibrate"), "{said}");
}

/// The bound holds for `commit` itself: its process stays below it, or does not start.
#[test]
fn commit_stays_within_its_memory() {
    let base = folder("bounded").join("m");
    let report = commit("mlp_digits", &base, &["--memory", "256MiB"]);
    assert!(report["peak_rss_bytes"].as_u64().unwrap() <= 256 << 20);
    // So many samples that their values alone are beyond the bound.
    let model = Model::load(source("mlp_digits", "network.onnx")).unwrap();
    let values: usize = model.tensors.iter().map(|t| t.len()).sum();
    let count = (64 << 20) / (4 * values) + 1;
    let many = folder("bounded").join("many.json");
    let zeros = vec![0u8; 64 * count];
    std::fs::write(&many, format!("{{\"input_data\": [{zeros:?}]}}")).unwrap();
    let (onnx, other) = (
        source("mlp_digits", "network.onnx"),
        folder("bounded").join("none"),
    );
    let (code, said) = failure(&[
        "commit",
        &onnx,
        "--calibrate",
        text(&many),
        "-o",
        text(&other),
        "--memory",
        "64MiB",
    ]);
    assert_eq!(code, Some(2));
    assert!(
        said.contains("predicted peak") && said.contains("fewer samples"),
        "{said}"
    );
    assert!(!Path::new(&with(&other, "zkm")).exists());
}
