//! Running the program on the models of this repository.
#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The folder of the models.
pub fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models")
}

/// Runs the program.
pub fn zkernel(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_zkernel"))
        .args(arguments)
        .env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"))
        .output()
        .unwrap()
}

/// The report of a run that succeeded.
pub fn json(output: &Output) -> serde_json::Value {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A folder of its own for each test.
pub fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Commits a model and proves its example input; returns the base name.
pub fn commit_and_prove(model: &str, name: &str, options: &[&str]) -> PathBuf {
    let base = folder(name).join("m");
    let source = models().join(model);
    let (onnx, calib, input) = (
        source.join("network.onnx"),
        source.join("calib.npz"),
        source.join("input.json"),
    );
    let commit = [
        "commit",
        text(&onnx),
        "--calibrate",
        text(&calib),
        "-o",
        text(&base),
        "--json",
    ];
    json(&zkernel(&[&commit[..], options].concat()));
    let (zkm, zkp) = (base.with_extension("zkm"), base.with_extension("zkp"));
    let report = json(&zkernel(&[
        "prove",
        text(&zkm),
        text(&input),
        "-o",
        text(&zkp),
        "--json",
    ]));
    assert!(report["proof_bytes"].as_u64().unwrap() <= 8192, "{report}");
    json(&zkernel(&["check", text(&zkm), text(&input), "--json"]));
    base
}

/// The exit code of verifying one proof.
pub fn verify(key: &Path, proof: &Path, more: &[&str]) -> Option<i32> {
    zkernel(
        &[
            &[
                "verify",
                text(&key.with_extension("zkv")),
                text(&proof.with_extension("zkp")),
            ][..],
            more,
        ]
        .concat(),
    )
    .status
    .code()
}

/// The exit code of a run that fails, and what it says.
pub fn failure(arguments: &[&str]) -> (Option<i32>, String) {
    let output = zkernel(arguments);
    assert!(!output.status.success(), "{arguments:?} succeeds");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

/// One of a model's files.
pub fn source(model: &str, file: &str) -> String {
    let path = models().join(model).join(file);
    text(&path).to_owned()
}

/// Commits a model with its calibration samples and more options; returns the report.
pub fn commit(model: &str, base: &Path, options: &[&str]) -> serde_json::Value {
    let (onnx, samples) = (source(model, "network.onnx"), source(model, "calib.npz"));
    let commit = [
        "commit",
        &onnx,
        "--calibrate",
        &samples,
        "-o",
        text(base),
        "--json",
    ];
    json(&zkernel(&[&commit[..], options].concat()))
}

/// NAME.EXTENSION of a base name that may have dots.
pub fn with(base: &Path, extension: &str) -> String {
    format!("{}.{extension}", text(base))
}
