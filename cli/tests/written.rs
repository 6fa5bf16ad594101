//! Networks written node by node, through the whole program: a class without its softmax, and several committed inputs.

mod common;
#[allow(dead_code)]
#[path = "../../onnx/tests/import/network.rs"]
mod network;

use std::path::{Path, PathBuf};

use common::{failure, folder, json, text, with, zkernel};
use network::{Network, value};

/// Writes a network and samples for it, one array of eight rows for each input; returns both paths.
fn files(base: &Path, network: &Network, inputs: usize) -> [String; 2] {
    let [onnx, samples] = ["onnx", "samples.json"].map(|extension| with(base, extension));
    std::fs::write(&onnx, network.bytes()).unwrap();
    let row = |input: usize| -> Vec<f64> {
        let value = |i: usize| ((i * 37 + input * 11 + 5) % 64) as f64 / 32.0 - 1.0;
        (0..32).map(value).collect()
    };
    let rows: Vec<Vec<f64>> = (0..inputs).map(row).collect();
    std::fs::write(&samples, format!("{{\"input_data\": {rows:?}}}")).unwrap();
    [onnx, samples]
}

fn commit(base: &Path, network: &Network, inputs: usize, options: &[&str]) -> serde_json::Value {
    let [onnx, samples] = files(base, network, inputs);
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

fn sample(base: &Path, name: &str, values: &[[f64; 4]]) -> String {
    let path = with(base, &format!("{name}.json"));
    std::fs::write(&path, format!("{{\"input_data\": {values:?}}}")).unwrap();
    path
}

/// Three classes of four values; the last node reads `scores` and writes `y`.
fn classifier(last: &str) -> Network {
    let weights = [
        0.5, -1.0, 0.25, 0.75, 1.5, -0.5, -0.25, 1.0, 0.125, -0.75, 0.5, -1.25,
    ];
    Network::new(&[1, 4])
        .constant("w", &[4, 3], &weights)
        .node("MatMul", &["x", "w"], "scores", &[])
        .node(last, &["scores"], "y", &[])
        .output("y")
}

#[test]
fn a_class_needs_no_softmax() {
    let base = |name: &str| folder("no_softmax").join(name);
    let (plain, soft, bound) = (base("plain"), base("soft"), base("bound"));
    let cells = |report: &serde_json::Value| report["cells"].as_u64().unwrap();
    let without = commit(&plain, &classifier("Identity"), 1, &["--output", "class"]);
    let with_it = commit(&soft, &classifier("Softmax"), 1, &["--output", "class@y"]);
    // No exponential is proven; layouts, chosen by prices, may differ by a few cells.
    let layers = zkernel(&["inspect", &with(&soft, "zkv")]).stdout;
    let layers = String::from_utf8_lossy(&layers).into_owned();
    assert!(
        layers.contains("argmax") && !layers.contains("Exp"),
        "{layers}"
    );
    assert!(cells(&with_it) < cells(&without) * 5 / 4);
    // A threshold is one of probabilities: they are proven.
    let stated = commit(&bound, &classifier("Softmax"), 1, &["--output", "ge:0.4@1"]);
    assert!(cells(&stated) > 0);
    let layers = zkernel(&["inspect", &with(&bound, "zkv")]).stdout;
    assert!(String::from_utf8_lossy(&layers).contains("Exp"));
    let x = [0.5, 1.0, -0.25, 0.75];
    let input = sample(&soft, "x", &[x]);
    let scores = [
        0.5 * x[0] + 0.75 * x[1] - 0.25 * x[2] - 0.75 * x[3],
        -x[0] + 1.5 * x[1] + x[2] + 0.5 * x[3],
        0.25 * x[0] - 0.5 * x[1] + 0.125 * x[2] - 1.25 * x[3],
    ];
    let class = (0..3)
        .max_by(|a, b| f64::total_cmp(&scores[*a], &scores[*b]))
        .unwrap();
    let proven = json(&zkernel(&["prove", &with(&soft, "zkm"), &input, "--json"]));
    assert_eq!(proven["outputs"], serde_json::json!([class as f64]));
    let verified = zkernel(&["verify", &with(&soft, "zkv"), &with(&soft, "zkp")]);
    let said = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert!(
        verified.status.success() && said.contains("class of scores"),
        "{said}"
    );
    let (code, said) = failure(&["commit", &with(&soft, "onnx"), "--output", "class@z"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("its outputs are y"), "{said}");
}

/// `a w - b` of two inputs of those names.
fn two_inputs(names: [&str; 2]) -> Network {
    let weights: Vec<f32> = (0..16).map(|i| (i % 5) as f32 / 4.0 - 0.5).collect();
    let mut network = Network::default();
    network.0.name = "two".into();
    network.0.input = names.iter().map(|name| value(name, &[1, 4])).collect();
    network
        .constant("w", &[4, 4], &weights)
        .node("MatMul", &[names[0], "w"], "aw", &[])
        .node("Sub", &["aw", names[1]], "y", &[])
        .output("y")
}

fn prove(base: &Path, inputs: &[&str], run: &str) -> serde_json::Value {
    let (zkm, zkp) = (with(base, "zkm"), with(base, &format!("{run}.zkp")));
    json(&zkernel(
        &[&["prove", &zkm][..], inputs, &["-o", &zkp, "--json"]].concat(),
    ))
}

#[test]
fn several_openings_for_several_inputs() {
    let base = |name: &str| -> PathBuf { folder("openings").join(name) };
    let (first, second) = (base("first"), base("second"));
    commit(
        &first,
        &two_inputs(["a", "b"]),
        2,
        &["--input", "committed"],
    );
    commit(
        &second,
        &two_inputs(["c", "d"]),
        2,
        &["--input", "committed"],
    );
    let (a, b) = ([0.5, -0.25, 0.75, 0.0], [-0.5, 0.25, 0.125, 1.0 / 32.0]);
    let report = prove(&first, &[&sample(&first, "ab", &[a, b])], "one");
    let [zko_a, zko_b] = [1, 2].map(|i| report["files"][i].as_str().unwrap().to_owned());
    let outputs = |report: &serde_json::Value| report["outputs"].clone();
    let expected = outputs(&report);
    // By name in any order, with a sample for the rest, and in order where no name fits.
    assert_eq!(outputs(&prove(&first, &[&zko_b, &zko_a], "two")), expected);
    let rest = sample(&first, "a", &[a]);
    assert_eq!(outputs(&prove(&first, &[&rest, &zko_b], "three")), expected);
    let check = ["check", &with(&first, "zkm"), &zko_b, &rest, "--json"];
    json(&zkernel(&check));
    assert_eq!(
        outputs(&prove(&second, &[&zko_a, &zko_b], "four")),
        expected
    );
    let committed = |base: &Path, run: &str| {
        let (zkv, zkp) = (with(base, "zkv"), with(base, &format!("{run}.zkp")));
        let report = json(&zkernel(&["verify", &zkv, &zkp, "--json"]));
        let ends = report["proofs"][0]["commitments"]
            .as_array()
            .unwrap()
            .clone();
        ends.iter()
            .map(|end| end["commitment"].clone())
            .collect::<Vec<_>>()
    };
    let shared = committed(&first, "one");
    assert_eq!(committed(&first, "two"), shared);
    assert_eq!(committed(&second, "four"), shared);
    assert_eq!(committed(&first, "three")[1], shared[1], "the opened one");
    assert_ne!(committed(&first, "three")[0], shared[0], "blinded anew");
    // The verifier compares all inputs once both are opened.
    let both = with(&first, "ab.json");
    let (zkv, zkp) = (with(&first, "zkv"), with(&first, "two.zkp"));
    let verify = ["verify", &zkv, &zkp, "--input", &both, "--opening", &zko_a];
    assert_eq!(failure(&verify).0, Some(1), "one is still hidden");
    assert!(
        zkernel(&[&verify[..], &["--opening", &zko_b]].concat())
            .status
            .success()
    );
    for (inputs, why) in [
        (
            &[&zko_a][..],
            "input `b` has neither an opening nor a sample",
        ),
        (
            &[&zko_a, &zko_b, &zko_b],
            "one more than the model has inputs",
        ),
        (&[&zko_a, &zko_b, &rest], "one sample at most"),
        (&[&rest, &rest], "one sample at most"),
    ] {
        let inputs: Vec<&str> = inputs.iter().map(|path| path.as_str()).collect();
        let (code, said) = failure(&[&["prove", &with(&first, "zkm")][..], &inputs].concat());
        assert_eq!(code, Some(2));
        assert!(said.contains(why), "{said}");
    }
}
