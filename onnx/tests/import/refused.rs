//! Operators, and uses of them, that are not built: refused by name, all of a file at once.

use zkernel_onnx::{Error, UnsupportedNode};

use crate::network::{Attribute, Network};

/// A `2 x 3` input, a `3 x 4` matrix, and biases of several shapes.
fn start() -> Network {
    Network::new(&[2, 3])
        .constant("w", &[3, 4], &[0.5; 12])
        .constant("b", &[4], &[0.5; 4])
        .constant("table", &[2, 4], &[0.5; 8])
}

/// The refusals of a file that ends in `y`.
#[track_caller]
fn refusals(network: Network) -> Vec<UnsupportedNode> {
    match network.output("y").read() {
        Err(Error::Unsupported(nodes)) => nodes,
        other => panic!("{other:?}"),
    }
}

/// The file is refused for this node alone, with these words.
#[track_caller]
fn refused(network: Network, name: &str, op: &str, problem: &str) {
    let found = refusals(network);
    let [only] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!((only.node.as_str(), only.op.as_str()), (name, op));
    assert!(only.problem.contains(problem), "{}", only.problem);
}

#[test]
fn operators_that_are_not_built() {
    for op in ["Sin", "Loop", "NonMaxSuppression", "NoSuchOperator"] {
        let network = start().node(op, &["x"], "y", &[]);
        refused(network, "node of y", op, "not built");
    }
    let mut network = start().node("Relu", &["x"], "y", &[]);
    network.0.node[0].domain = "com.example".into();
    refused(network, "node of y", "Relu", "another domain");
}

#[test]
fn all_refusals_of_a_file_are_listed_with_what_to_call_them() {
    let mut network = start()
        .node("Sin", &["x"], "a", &[])
        .node("Relu", &["a"], "h", &[])
        .node("Cos", &["h"], "y", &[]);
    network.0.node[2].name.clear();
    let found = refusals(network.clone());
    let names: Vec<&str> = found.iter().map(|n| n.node.as_str()).collect();
    assert_eq!(
        names,
        ["node of a", "y"],
        "a node without a name goes by its output"
    );
    let message = network.output("y").read().unwrap_err().to_string();
    for part in ["`node of a` (Sin)", "`y` (Cos)"] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn uses_of_gemm_and_matmul() {
    let turned = [Attribute::Int("transA", 1)];
    let network = Network::new(&[3, 2]).constant("w", &[3, 4], &[0.5; 12]);
    let network = network.node("Gemm", &["x", "w"], "y", &turned);
    refused(network, "node of y", "Gemm", "transA");
    for op in ["Gemm", "MatMul"] {
        let network = Network::new(&[3, 3]).node(op, &["x", "x"], "y", &[]);
        refused(network, "node of y", op, "constant weights");
        let network = Network::new(&[3, 3]).constant("w", &[3, 3], &[0.5; 9]);
        refused(
            network.node(op, &["w", "x"], "y", &[]),
            "node of y",
            op,
            "constant weights",
        );
    }
    let network = Network::new(&[4, 4]).constant("w", &[4, 4], &[0.5; 16]);
    let network = network.node("Gemm", &["x", "w", "x"], "y", &[]);
    refused(network, "node of y", "Gemm", "constant weights");
    let network = start().node("Gemm", &["x", "w", "table"], "y", &[]);
    refused(network, "node of y", "Gemm", "more than the last axis");
    let network = Network::new(&[2, 3]).constant("w", &[3], &[0.5; 3]);
    refused(
        network.node("MatMul", &["x", "w"], "y", &[]),
        "node of y",
        "MatMul",
        "[3]",
    );
    let network = Network::new(&[2, 2, 3]).constant("w", &[2, 3, 4], &[0.5; 24]);
    refused(
        network.node("MatMul", &["x", "w"], "y", &[]),
        "node of y",
        "MatMul",
        "[2, 3, 4]",
    );
}

#[test]
fn sums_that_are_no_bias() {
    let product = || start().node("MatMul", &["x", "w"], "a", &[]);
    let network = product().node("Add", &["a", "table"], "y", &[]);
    refused(network, "node of y", "Add", "more than one axis");
    let network = Network::new(&[2, 4]).constant("b", &[4], &[0.5; 4]);
    refused(
        network.node("Add", &["x", "b"], "y", &[]),
        "node of y",
        "Add",
        "no layer has",
    );
    let network = product().node("Relu", &["a"], "h", &[]);
    refused(
        network.node("Add", &["h", "b"], "y", &[]),
        "node of y",
        "Add",
        "no layer has",
    );
}

/// Fusing would change what the other reader, or the world, sees.
#[test]
fn a_bias_is_not_fused_under_another_reader() {
    let product = || start().node("MatMul", &["x", "w"], "a", &[]);
    let network = product().node("Relu", &["a"], "other", &[]);
    refused(
        network.node("Add", &["a", "b"], "y", &[]),
        "node of y",
        "Add",
        "no layer has",
    );
    let network = product().node("Add", &["a", "b"], "y", &[]).output("a");
    refused(network, "node of y", "Add", "no layer has");
}

/// A bias may not turn one row into several.
#[test]
fn a_bias_is_not_broadcast_into_more_rows() {
    let network = Network::new(&[3])
        .constant("w", &[3, 4], &[0.5; 12])
        .constant("b", &[1, 1, 4], &[0.5; 4])
        .node("MatMul", &["x", "w"], "a", &[])
        .node("Add", &["a", "b"], "y", &[]);
    refused(network, "node of y", "Add", "no layer has");
    let network = Network::new(&[3, 4]).constant("b", &[1, 1, 1], &[0.5]);
    let network = network.node("Add", &["x", "b"], "y", &[]);
    refused(network, "node of y", "Add", "no layer has");
}

#[test]
fn uses_of_argmax() {
    for axis in [0, -2] {
        let network = start().node("ArgMax", &["x"], "y", &[Attribute::Int("axis", axis)]);
        refused(network, "node of y", "ArgMax", "last axis");
    }
    refused(
        start().node("ArgMax", &["x"], "y", &[]),
        "node of y",
        "ArgMax",
        "last axis",
    );
    let last = [
        Attribute::Int("axis", 1),
        Attribute::Int("select_last_index", 1),
    ];
    let network = start().node("ArgMax", &["x"], "y", &last);
    refused(network, "node of y", "ArgMax", "select_last_index");
}

#[test]
fn uses_of_functions_and_views() {
    let network = start().node(
        "Gelu",
        &["x"],
        "y",
        &[Attribute::Text("approximate", "tanh")],
    );
    refused(network, "node of y", "Gelu", "tanh");
    let network = start().node("Cast", &["x"], "y", &[Attribute::Int("to", 7)]);
    refused(network, "node of y", "Cast", "float to float");
    let network = start().node("Relu", &["x"], "training", &[]);
    let network = network.node("Dropout", &["x", "", "training"], "y", &[]);
    refused(network, "node of y", "Dropout", "training");
}
