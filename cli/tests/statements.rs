//! What is said in place of an output, and what a third party can do with it: the two worked examples of the book, batches,
//! certificates and the bound on memory.

mod common;

use std::path::{Path, PathBuf};

use common::{commit, failure, folder, json, source, text, with, zkernel};

/// The values of a model's example input.
fn example(model: &str) -> Vec<f64> {
    let text = std::fs::read(source(model, "input.json")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let values = json["input_data"][0].as_array().unwrap();
    values.iter().map(|v| v.as_f64().unwrap()).collect()
}

/// A file with an input of those values.
fn input(base: &Path, name: &str, values: &[f64]) -> String {
    let path = with(base, &format!("{name}.json"));
    std::fs::write(&path, format!("{{\"input_data\": [{values:?}]}}")).unwrap();
    path
}

fn prove(base: &Path, input: &str, run: &str) -> serde_json::Value {
    let zkp = with(base, &format!("{run}.zkp"));
    json(&zkernel(&[
        "prove",
        &with(base, "zkm"),
        input,
        "-o",
        &zkp,
        "--json",
    ]))
}

/// Standard output of a run that succeeds.
fn said(arguments: &[&str]) -> String {
    let output = zkernel(arguments);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Worked example: a score that reaches a threshold, and stays secret. Who does not reach it has nothing to show.
#[test]
fn credit_score_threshold() {
    let base = folder("credit").join("scorecard");
    commit("logreg", &base, &["--output", "ge:0.7"]);
    let applicant = example("logreg");
    let good = input(&base, "good", &applicant);
    let report = prove(&base, &good, "good");
    assert!(report.get("outputs").is_none(), "{report}");
    let (zkv, zkp) = (with(&base, "zkv"), with(&base, "good.zkp"));
    let statement = said(&["verify", &zkv, &zkp]);
    let bound = statement.split(">= ").nth(1).unwrap();
    let bound: f64 = bound.split_whitespace().next().unwrap().parse().unwrap();
    assert!((0.7..0.7001).contains(&bound), "{statement}");
    assert!(statement.contains("stays hidden") && !statement.contains("outputs"));
    // Another applicant who passes, with another score: proofs of one length, nothing public in either.
    let other: Vec<f64> = applicant.iter().map(|v| v * 1.2).collect();
    prove(&base, &input(&base, "other", &other), "other");
    let [one, two] = ["good.zkp", "other.zkp"].map(|e| std::fs::read(with(&base, e)).unwrap());
    let of_proof = report["proof_bytes"].as_u64().unwrap() as usize;
    assert_eq!(
        [one.len(), two.len()],
        [of_proof + 72; 2],
        "magic, digest and the proof"
    );
    // One who fails.
    let bad: Vec<f64> = applicant.iter().map(|v| -v).collect();
    let (zkm, bad) = (with(&base, "zkm"), input(&base, "bad", &bad));
    let zkp = with(&base, "bad.zkp");
    let (code, error) = failure(&["prove", &zkm, &bad, "-o", &zkp]);
    assert_eq!(code, Some(2));
    assert!(
        error.contains("`output >= 0.7` is not true of this input"),
        "{error}"
    );
    assert!(!Path::new(&zkp).exists());
    // The same scorecard with another threshold is another statement: its proofs do not pass for this one.
    let lower = folder("credit").join("lower");
    commit("logreg", &lower, &["--output", "ge:0.1"]);
    prove(&lower, &good, "good");
    let (code, _) = failure(&["verify", &zkv, &with(&lower, "good.zkp")]);
    assert_eq!(code, Some(1));
}

/// Worked example: a clinic's classifier with records behind commitments. An auditor verifies all proofs at once, has some
/// records opened, and files a certificate.
#[test]
fn medical_classifier_audited() {
    let base = folder("clinic").join("classifier");
    commit("mlp_tab", &base, &["--input", "committed"]);
    let record = example("mlp_tab");
    let patients = ["p1", "p2", "p3"];
    for (patient, factor) in patients.iter().zip([1.0, -1.0, 0.5]) {
        let values: Vec<f64> = record.iter().map(|v| v * factor).collect();
        prove(&base, &input(&base, patient, &values), patient);
    }
    let zkv = with(&base, "zkv");
    let proofs = patients.map(|patient| with(&base, &format!("{patient}.zkp")));
    let all = [
        &["verify", zkv.as_str()][..],
        &proofs.each_ref().map(String::as_str),
    ]
    .concat();
    let report = json(&zkernel(&[&all[..], &["--json"]].concat()));
    let outputs = report["outputs"].as_array().unwrap();
    assert_eq!(outputs.len(), 3);
    assert!(outputs[0].as_f64().unwrap() > 0.5 && outputs[1].as_f64().unwrap() < 0.5);
    // The auditor picks the second and compares it with the record; the opening of another does not open it.
    let opening = |patient: &str| with(&base, &format!("{patient}.input.zko"));
    let second = ["verify", &zkv, &proofs[1], "--opening", &opening("p2")];
    let opened = said(&[&second[..], &["--input", &with(&base, "p2.json")]].concat());
    assert!(opened.contains("opened: input of"), "{opened}");
    let (code, _) = failure(&[&second[..], &["--input", &with(&base, "p1.json")]].concat());
    assert_eq!(code, Some(1), "another record");
    let (code, error) = failure(&["verify", &zkv, &proofs[1], "--opening", &opening("p1")]);
    assert_eq!(code, Some(1));
    assert!(error.contains("opens no commitment"), "{error}");
    // Nothing is certified that is not valid.
    let name = folder("clinic").join("audit");
    let certify = [&["certificate"][..], &all[1..], &["-o", text(&name)]].concat();
    let readable = said(&certify);
    assert_eq!(
        std::fs::read_to_string(with(&name, "txt")).unwrap().trim(),
        readable.split("\n\ntimes").next().unwrap().trim()
    );
    let certificate = std::fs::read(with(&name, "json")).unwrap();
    let certificate: serde_json::Value = serde_json::from_slice(&certificate).unwrap();
    assert!(
        certificate["verified_by"]
            .as_str()
            .unwrap()
            .starts_with("zkernel ")
    );
    let date = certificate["verified_at"].as_str().unwrap();
    assert!(
        date.starts_with("20") && date.ends_with('Z') && date.len() == 20,
        "{date}"
    );
    let certified = certificate["proofs"].as_array().unwrap();
    assert_eq!(certified.len(), 3);
    for (index, proof) in certified.iter().enumerate() {
        assert_eq!(proof["outputs"][0], outputs[index]);
        assert_eq!(proof["commitments"], report["proofs"][index]["commitments"]);
        assert_eq!(proof["model"], certified[0]["model"], "one model for all");
    }
    let hex = |field: &str| certified[0]["model"][field].as_str().unwrap().to_owned();
    assert!(readable.contains(&hex("commitment")) && readable.contains(&hex("key_digest")));
    let mut altered = std::fs::read(&proofs[2]).unwrap();
    *altered.last_mut().unwrap() ^= 1;
    std::fs::write(&proofs[2], altered).unwrap();
    for extension in ["json", "txt"] {
        std::fs::remove_file(with(&name, extension)).unwrap();
    }
    assert_eq!(failure(&certify).0, Some(1));
    assert!(!Path::new(&with(&name, "json")).exists());
}

#[test]
fn the_class_alone_is_public() {
    let base = folder("class").join("m");
    commit("mlp_digits", &base, &["--output", "class"]);
    let report = prove(&base, &source("mlp_digits", "input.json"), "a");
    assert_eq!(report["outputs"], serde_json::json!([1.0]));
    let [zkv, zkp] = [with(&base, "zkv"), with(&base, "a.zkp")];
    let statement = said(&["verify", &zkv, &zkp]);
    assert!(
        statement.contains("class of output (the index of its largest value) = [1.0]"),
        "{statement}"
    );
    let mut altered = std::fs::read(&zkp).unwrap();
    altered[72] ^= 1;
    std::fs::write(&zkp, altered).unwrap();
    assert_eq!(failure(&["verify", &zkv, &zkp]).0, Some(1));
    // One of ten scores held to a bound, in one go.
    let (onnx, example) = (
        source("mlp_digits", "network.onnx"),
        source("mlp_digits", "input.json"),
    );
    let bounded = ["prove", &onnx, &example, "--output", "gt:0@1"];
    assert!(said(&bounded).contains("output[1] >= "));
}

#[test]
fn what_cannot_be_stated_says_why() {
    let base = folder("unstated").join("m");
    let logreg = source("logreg", "network.onnx");
    let digits = source("mlp_digits", "network.onnx");
    for (onnx, statement, why) in [
        (&logreg, "class", "single value"),
        (&logreg, "ge:1e6", "says nothing"),
        (&digits, "ge:3", "@ELEMENT, 0 to 9"),
        (&digits, "ge:3@probabilities:1", "its outputs are output"),
        (&digits, "eq:3", "ge:0.7@1"),
    ] {
        let (code, said) = failure(&["commit", onnx, "--output", statement, "-o", text(&base)]);
        assert_eq!(code, Some(2), "{statement}");
        assert!(said.contains(why), "{statement}: {said}");
    }
    assert!(!Path::new(&with(&base, "zkm")).exists());
}

/// Several inputs under one proof: the outputs are those of each alone, for less than each alone.
#[test]
fn batches_of_inputs() {
    let names = ["one", "three"].map(|name| folder("batch").join(name));
    let [one, three] = &names;
    commit("logreg", one, &[]);
    let report = commit("logreg", three, &["--batch", "3"]);
    assert!(report["accuracy"]["samples"].as_u64().unwrap() > 0);
    let values = example("logreg");
    let samples: Vec<Vec<f64>> = (0..3)
        .map(|i| values.iter().map(|v| v * f64::from(i - 1)).collect())
        .collect();
    let mut alone = Vec::new();
    let mut bytes = 0;
    for (index, sample) in samples.iter().enumerate() {
        let report = prove(one, &input(one, &index.to_string(), sample), "a");
        alone.push(report["outputs"][0].clone());
        bytes += report["proof_bytes"].as_u64().unwrap();
    }
    let all = input(three, "all", &samples.concat());
    let report = prove(three, &all, "all");
    assert_eq!(report["outputs"], serde_json::Value::from(alone));
    assert!(report["proof_bytes"].as_u64().unwrap() < bytes / 2);
    let [zkv, zkp] = [with(three, "zkv"), with(three, "all.zkp")];
    let outputs: PathBuf = with(three, "outputs.json").into();
    std::fs::write(
        &outputs,
        format!("{{\"output_data\": [{}]}}", report["outputs"]),
    )
    .unwrap();
    said(&["verify", &zkv, &zkp, "--output", text(&outputs)]);
    let (code, error) = failure(&[
        "prove",
        &with(three, "zkm"),
        &input(three, "two", &samples[..2].concat()),
    ]);
    assert_eq!(code, Some(2));
    assert!(
        error.contains("2 samples given, the model runs on 3 at once"),
        "{error}"
    );
}

#[test]
fn memory_is_bounded_before_the_start() {
    let base = folder("memory").join("m");
    commit("logreg", &base, &["--memory", "4GiB"]);
    let (zkm, sample) = (with(&base, "zkm"), source("logreg", "input.json"));
    let prove = ["prove", &zkm, &sample];
    // An earlier run of this test may have left one.
    let proof = with(&base, "zkp");
    drop(std::fs::remove_file(&proof));
    let (code, said) = failure(&[&prove[..], &["--memory", "2MiB"]].concat());
    assert_eq!(code, Some(2));
    assert!(
        said.contains("predicted peak") && said.contains("allows 2.0 MiB"),
        "{said}"
    );
    assert!(!Path::new(&proof).exists());
    let report = json(&zkernel(
        &[&prove[..], &["--memory", "1GiB", "--json"]].concat(),
    ));
    assert!(report["peak_rss_bytes"].as_u64().unwrap() < 1 << 30);
    let (onnx, other) = (
        source("logreg", "network.onnx"),
        folder("memory").join("none"),
    );
    for command in [
        &["commit", &onnx, "-o", text(&other)][..],
        &["prove", &onnx, &sample],
    ] {
        let (code, said) = failure(&[command, &["--memory", "1MiB"]].concat());
        assert_eq!(code, Some(2));
        assert!(said.contains("predicted peak"), "{said}");
    }
    assert!(!Path::new(&with(&other, "zkm")).exists());
    let (code, said) = failure(&[&prove[..], &["--memory", "lots"]].concat());
    assert_eq!(code, Some(2));
    assert!(said.contains("as in 4GiB"), "{said}");
}
