//! The command line's contract: commit, prove, verify on a real model, and rejections with exit code 1.

mod common;

use common::{commit_and_prove, folder, json, models, text, verify, zkernel};

#[test]
fn real_models_verify_and_others_do_not() {
    let digits = commit_and_prove("mlp_digits", "digits", &[]);
    let tabular = commit_and_prove("mlp_tab", "tabular", &["--input", "public"]);
    let again = commit_and_prove("mlp_tab", "again", &["--input", "public"]);
    let input = models().join("mlp_tab/input.json");
    assert_eq!(verify(&digits, &digits, &[]), Some(0));
    assert_eq!(
        verify(&tabular, &tabular, &["--input", text(&input)]),
        Some(0)
    );
    assert_eq!(verify(&tabular, &digits, &[]), Some(1), "another model");
    assert_eq!(
        verify(&tabular, &again, &[]),
        Some(1),
        "another commitment to the same model"
    );
    let bytes = std::fs::read(tabular.with_extension("zkp")).unwrap();
    let altered = tabular.with_file_name("altered");
    // Behind magic and digest come the public values: the first is an input, the last an output.
    for position in [72, 72 + 8 * 30, bytes.len() - 1, bytes.len() / 2] {
        let mut changed = bytes.clone();
        changed[position] ^= 1;
        std::fs::write(altered.with_extension("zkp"), changed).unwrap();
        assert_eq!(
            verify(&tabular, &altered, &[]),
            Some(1),
            "byte {position} changed"
        );
    }
}

#[test]
fn public_weights_are_checked() {
    let base = commit_and_prove("logreg", "public_weights", &["--weights", "public"]);
    assert_eq!(verify(&base, &base, &[]), Some(0));
    let zkv = base.with_extension("zkv");
    let bytes = std::fs::read(&zkv).unwrap();
    let inspected = zkernel(&["inspect", text(&zkv), "--json"]);
    let columns = json(&inspected)["columns"].as_u64().unwrap();
    assert!(columns > 0);
    // The last commitment replaced by the first: the weights no longer match.
    let mut changed = bytes.clone();
    let end = changed.len();
    changed.copy_within(end - 64..end - 32, end - 32);
    std::fs::write(&zkv, changed).unwrap();
    assert_eq!(verify(&base, &base, &[]), Some(2));
}

/// `inspect` predicts the proof's size exactly and counts its soundness, for a network and for its keys alike.
#[test]
fn inspect_predicts() {
    let base = commit_and_prove("logreg", "predicted", &[]);
    let proven = std::fs::read(base.with_extension("zkp")).unwrap();
    for extension in ["zkm", "zkv"] {
        let file = base.with_extension(extension);
        let report = json(&zkernel(&["inspect", text(&file), "--json"]));
        let predicted = &report["predicted"];
        assert_eq!(predicted["proof_bytes"], report["proof_bytes"]);
        let bytes = predicted["proof_bytes"].as_u64().unwrap() as usize;
        assert!(bytes < proven.len() && proven.len() < bytes + 1024);
        for field in ["commit_seconds", "prove_seconds", "verify_seconds"] {
            assert!(predicted[field].as_f64().unwrap() > 0.0, "{field}");
        }
        assert!(predicted["counts"]["Interpolate"].as_f64().unwrap() > 0.0);
        let soundness = &report["soundness"];
        let total = soundness["bits"].as_f64().unwrap();
        let of = |argument: &serde_json::Value| argument["bits"].as_f64().unwrap();
        let arguments = soundness["arguments"].as_array().unwrap();
        let sum: f64 = arguments.iter().map(|a| (-of(a)).exp2()).sum();
        assert!((total + sum.log2()).abs() < 1e-6, "{total} {sum}");
        assert!((220.0..254.0).contains(&total), "{total}");
    }
    let onnx = models().join("logreg/network.onnx");
    let report = json(&zkernel(&["inspect", text(&onnx), "--json"]));
    assert!(report["predicted"]["proof_bytes"].as_u64().unwrap() > 0);
}

#[test]
fn range_proofs_of_weights_are_checked() {
    let base = commit_and_prove("logreg", "range_proof", &[]);
    assert_eq!(verify(&base, &base, &[]), Some(0));
    let zkv = base.with_extension("zkv");
    let bytes = std::fs::read(&zkv).unwrap();
    // The range proof ends the file: its last scalar changed, and all of it cut off.
    let mut changed = bytes.clone();
    let end = changed.len();
    changed[end - 32] ^= 1;
    for hostile in [&changed[..], &bytes[..end - 32]] {
        std::fs::write(&zkv, hostile).unwrap();
        assert_eq!(verify(&base, &base, &[]), Some(2));
        let output = zkernel(&["verify", text(&zkv), text(&base.with_extension("zkp"))]);
        assert!(String::from_utf8_lossy(&output.stderr).contains("range proof"));
    }
}

#[test]
fn errors_have_exit_code_two() {
    for arguments in [
        &["verify", "/nowhere.zkv", "/nowhere.zkp"][..],
        &["prove", "/nowhere.onnx", "/nowhere.json"],
        &["inspect", "Cargo.toml"],
        &["nonsense"],
    ] {
        assert_eq!(zkernel(arguments).status.code(), Some(2), "{arguments:?}");
    }
}

/// Without samples the ranges are guessed, said so, and still prove an ordinary input.
#[test]
fn commit_without_samples() {
    let base = folder("guessed").join("m");
    let source = models().join("logreg");
    let (onnx, input) = (source.join("network.onnx"), source.join("input.json"));
    let report = json(&zkernel(&[
        "commit",
        text(&onnx),
        "-o",
        text(&base),
        "--json",
    ]));
    assert_eq!(report["warnings"].as_array().unwrap().len(), 1, "{report}");
    let (zkm, zkp) = (base.with_extension("zkm"), base.with_extension("zkp"));
    json(&zkernel(&[
        "prove",
        text(&zkm),
        text(&input),
        "-o",
        text(&zkp),
        "--json",
    ]));
    assert_eq!(verify(&base, &base, &[]), Some(0));
}

/// One measurement a size and number of threads, in order, of the operation asked for; the smallest sizes.
#[test]
fn bench_measures_what_it_is_asked_to() {
    for operation in ["msm", "ntt", "prove"] {
        let options = ["--sizes", "7,8", "--threads", "1,2", "--json"];
        let report = json(&zkernel(&[&["bench", operation][..], &options].concat()));
        let measurements = report["measurements"].as_array().unwrap();
        let what = measurements.iter().map(|m| {
            assert_eq!(m["operation"], operation);
            let (median, each) = (m["median_ns"].as_f64().unwrap(), m["ns_each"].as_f64());
            let size = m["size"].as_u64().unwrap();
            assert_eq!(each, Some(median / (1u64 << size) as f64), "{m}");
            assert!(
                0.0 < median && m["min_ns"].as_f64().unwrap() <= median,
                "{m}"
            );
            assert!(m["runs"].as_u64().unwrap() >= 5, "{m}");
            assert_eq!(m["verify_ns"].is_u64(), operation == "prove", "{m}");
            (size, m["threads"].as_u64().unwrap())
        });
        let what: Vec<(u64, u64)> = what.collect();
        assert_eq!(what, [(7, 1), (7, 2), (8, 1), (8, 2)]);
    }
    for arguments in [["msm", "6"], ["ntt", "23"], ["prove", "x"], ["other", "7"]] {
        let [operation, size] = arguments;
        let output = zkernel(&["bench", operation, "--sizes", size]);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
    let none = zkernel(&["bench", "msm", "--sizes", "7", "--threads", "0"]);
    assert_eq!(none.status.code(), Some(2));
}
