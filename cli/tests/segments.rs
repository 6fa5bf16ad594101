//! Committed ends: two segments of one network proven apart and verified together, what ties them, and batches.

mod common;

use std::path::{Path, PathBuf};

use common::{commit, failure, folder, json, source, text, with, zkernel};

/// The tabular network in two segments, its example proven through both; returns the two base names.
fn segments(name: &str) -> [PathBuf; 2] {
    let base = folder(name).join("m");
    commit("mlp_tab", &base, &["--split", "relu_2"]);
    let parts = ["1", "2"].map(|number| PathBuf::from(with(&base, number)));
    prove(&parts[0], &source("mlp_tab", "input.json"), "a");
    prove(&parts[1], &proven(&parts[0], "a", "output.zko"), "a");
    parts
}

/// PART.RUN.EXTENSION.
fn proven(part: &Path, run: &str, extension: &str) -> String {
    with(part, &format!("{run}.{extension}"))
}

fn prove(part: &Path, input: &str, run: &str) -> serde_json::Value {
    let zkp = proven(part, run, "zkp");
    json(&zkernel(&[
        "prove",
        &with(part, "zkm"),
        input,
        "-o",
        &zkp,
        "--json",
    ]))
}

/// Exit code and messages of verifying a run of both segments.
fn verify_runs(parts: &[PathBuf; 2], runs: [&str; 2], more: &[&str]) -> (Option<i32>, String) {
    let files: Vec<String> = (0..2)
        .flat_map(|i| [with(&parts[i], "zkv"), proven(&parts[i], runs[i], "zkp")])
        .collect();
    let mut arguments = vec!["verify"];
    arguments.extend(files.iter().map(String::as_str));
    arguments.extend(more);
    let output = zkernel(&arguments);
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[test]
fn segments_proven_apart_verify_together() {
    let parts = segments("together");
    let (code, said) = verify_runs(&parts, ["a", "a"], &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("one commitment"), "{said}");
    // What the segments say together is what the whole network says.
    let whole = folder("together").join("whole");
    commit("mlp_tab", &whole, &[]);
    let input = source("mlp_tab", "input.json");
    let of_whole = prove(&whole, &input, "a")["outputs"].clone();
    let together = verify_runs(&parts, ["a", "a"], &["--json"]).1;
    let together: serde_json::Value = serde_json::from_str(&together).unwrap();
    assert_eq!(together["outputs"], of_whole);
    let [first, second] = [0, 1].map(|i| together["proofs"][i]["commitments"][0].clone());
    assert_eq!(first["commitment"], second["commitment"]);
    assert_eq!([&first["end"], &second["end"]], ["output", "input"]);
    // Each is a statement of its own as well.
    for part in &parts {
        let [zkv, zkp] = [with(part, "zkv"), proven(part, "a", "zkp")];
        json(&zkernel(&["verify", &zkv, &zkp, "--json"]));
    }
    // Values to compare with belong to the ends of the chain: its last output, its first input.
    let expected = with(&whole, "json");
    std::fs::write(&expected, format!("{{\"output_data\": [{of_whole}]}}")).unwrap();
    let compared = |option, file| verify_runs(&parts, ["a", "a"], &[option, file]).0;
    assert_eq!(compared("--output", &expected), Some(0));
    assert_eq!(compared("--output", &input), Some(1), "the float output");
    assert_eq!(compared("--input", &input), Some(1), "a hidden input");
}

#[test]
fn another_boundary_is_rejected() {
    let parts = segments("swapped");
    // The same input proven again is behind another commitment; so is another input.
    prove(&parts[0], &source("mlp_tab", "input.json"), "b");
    for (runs, expected) in [(["b", "a"], 1), (["a", "a"], 0)] {
        let (code, said) = verify_runs(&parts, runs, &[]);
        assert_eq!(code, Some(expected), "{said}");
        assert_eq!(said.contains("another commitment"), expected == 1, "{said}");
    }
    prove(&parts[1], &proven(&parts[0], "b", "output.zko"), "b");
    assert_eq!(verify_runs(&parts, ["b", "b"], &[]).0, Some(0));
    assert_eq!(verify_runs(&parts, ["a", "b"], &[]).0, Some(1));
    assert_eq!(verify_runs(&parts, ["a", "b"], &["--apart"]).0, Some(0));
    // In the other order nothing is shared, and that is not taken for granted.
    let swapped = [parts[1].clone(), parts[0].clone()];
    let (code, said) = verify_runs(&swapped, ["a", "a"], &[]);
    assert_eq!(code, Some(1));
    assert!(said.contains("--apart"), "{said}");
    assert_eq!(verify_runs(&swapped, ["a", "a"], &["--apart"]).0, Some(0));
    // The commitment follows magic and digest in a proof without public values: that of b put into the proof of a.
    let (a, b) = (proven(&parts[0], "a", "zkp"), proven(&parts[0], "b", "zkp"));
    let (mut altered, other) = (std::fs::read(&a).unwrap(), std::fs::read(&b).unwrap());
    altered[72..104].copy_from_slice(&other[72..104]);
    std::fs::write(&a, altered).unwrap();
    assert_eq!(verify_runs(&parts, ["a", "b"], &[]).0, Some(1));
    assert_eq!(verify_runs(&parts, ["a", "a"], &[]).0, Some(1));
}

/// A network's input committed to once and given to two models: same commitment, and openings that do not fit say why.
#[test]
fn one_committed_input_for_two_models() {
    let base = folder("input").join("m");
    let other = folder("input").join("other");
    commit("logreg", &base, &["--input", "committed"]);
    commit(
        "logreg",
        &other,
        &["--input", "committed", "--output", "committed"],
    );
    let input = source("logreg", "input.json");
    let report = prove(&base, &input, "a");
    let opening = proven(&base, "a", "input.zko");
    assert_eq!(report["files"][1], opening);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&opening).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let report = prove(&other, &opening, "a");
    assert_eq!(report["files"].as_array().unwrap().len(), 2, "{report}");
    json(&zkernel(&[
        "check",
        &with(&other, "zkm"),
        &opening,
        "--json",
    ]));
    let files = [&base, &other].map(|base| [with(base, "zkv"), proven(base, "a", "zkp")]);
    let [[one, its], [two, theirs]] = &files;
    let report = json(&zkernel(&[
        "verify", one, its, two, theirs, "--apart", "--json",
    ]));
    let commitments = |proof: usize| &report["proofs"][proof]["commitments"];
    assert_eq!(commitments(0)[0], commitments(1)[0]);
    assert_eq!(commitments(1)[1]["end"], "output");
    // An output that is committed to has nothing that it could be compared with.
    let (code, said) = failure(&["verify", two, theirs, "--input", &input]);
    assert_eq!(code, Some(1));
    assert!(said.contains("neither public nor opened"), "{said}");
    let private = folder("input").join("private");
    commit("logreg", &private, &[]);
    let (code, said) = failure(&["prove", &with(&private, "zkm"), &opening]);
    assert_eq!(code, Some(2));
    assert!(said.contains("--input committed"), "{said}");
    let output = proven(&other, "a", "output.zko");
    let (code, said) = failure(&["prove", &with(&base, "zkm"), &output]);
    assert_eq!(code, Some(2));
    assert!(
        said.contains("has 1 values, input `input` has 30"),
        "{said}"
    );
    // A value changed: behind the old blinding factor it is another commitment, and a proof of its own.
    let mut bytes = std::fs::read(&opening).unwrap();
    let name = 8 + bytes[8] as usize;
    bytes[name + 8 + 8 + 8 + 4 + 8] ^= 1;
    std::fs::write(&opening, bytes).unwrap();
    prove(&other, &opening, "b");
    let report = json(&zkernel(&[
        "verify",
        two,
        &proven(&other, "b", "zkp"),
        "--json",
    ]));
    let changed = &report["proofs"][0]["commitments"][0]["commitment"];
    assert_ne!(*changed, commitments(0)[0]["commitment"]);
}

#[test]
fn many_proofs_of_one_key() {
    let base = folder("many").join("m");
    commit("logreg", &base, &["--input", "public"]);
    let input = source("logreg", "input.json");
    let runs = ["a", "b", "c"].map(|run| {
        prove(&base, &input, run);
        proven(&base, run, "zkp")
    });
    let zkv = with(&base, "zkv");
    let arguments = ["verify", &zkv, &runs[0], &runs[1], &runs[2], "--json"];
    let report = json(&zkernel(&arguments));
    assert_eq!(report["proofs"].as_array().unwrap().len(), 3);
    assert_eq!(report["outputs"].as_array().unwrap().len(), 3);
    let (code, said) = failure(&["verify", &zkv, &runs[0], &runs[1], "--input", &input]);
    assert_eq!(code, Some(2), "{said}");
    // A public value changed in one of them: rejected, by its name. Nothing else is said of it.
    let mut altered = std::fs::read(&runs[1]).unwrap();
    altered[72] ^= 1;
    std::fs::write(&runs[1], altered).unwrap();
    let (code, said) = failure(&arguments);
    assert_eq!(code, Some(1));
    assert!(said.contains("b.zkp") && !said.contains("c.zkp"), "{said}");
    for wrong in [
        &[text(Path::new(&runs[0])), &zkv][..],
        &[&zkv, &zkv, &runs[0]],
    ] {
        let (code, said) = failure(&[&["verify"], wrong].concat());
        assert_eq!(code, Some(2), "{said}");
    }
}

#[test]
fn a_tensor_that_does_not_separate_is_refused() {
    let base = folder("no_cut").join("m");
    let (onnx, calib) = (
        source("mlp_tab", "network.onnx"),
        source("mlp_tab", "calib.npz"),
    );
    let commit = ["commit", &onnx, "--calibrate", &calib, "-o", text(&base)];
    let (code, said) = failure(&[&commit[..], &["--split", "output"]].concat());
    assert_eq!(code, Some(2));
    assert!(
        said.contains("relu_2, ") && !said.contains("output,"),
        "{said}"
    );
    assert!(!Path::new(&with(&base, "1.zkm")).exists());
}
