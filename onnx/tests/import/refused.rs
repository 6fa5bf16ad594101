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
    for op in ["Det", "Loop", "NonMaxSuppression", "NoSuchOperator"] {
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
        .node("Det", &["x"], "a", &[])
        .node("Relu", &["a"], "h", &[])
        .node("NonZero", &["h"], "y", &[]);
    network.0.node[2].name.clear();
    let found = refusals(network.clone());
    let names: Vec<&str> = found.iter().map(|n| n.node.as_str()).collect();
    assert_eq!(
        names,
        ["node of a", "y"],
        "a node without a name goes by its output"
    );
    let message = network.output("y").read().unwrap_err().to_string();
    for part in ["`node of a` (Det)", "`y` (NonZero)"] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn products_with_vectors() {
    let network = Network::new(&[2, 3]).constant("w", &[3], &[0.5; 3]);
    let network = network.node("MatMul", &["x", "w"], "y", &[]);
    refused(network, "node of y", "MatMul", "vector");
}

/// Weights that are activations: the node is named.
#[test]
fn parameters_that_are_no_constants() {
    let network = Network::new(&[1, 1, 3, 3]).node("Conv", &["x", "x"], "y", &[]);
    refused(network, "node of y", "Conv", "`x` are not known");
}

#[test]
fn divisions_by_zero() {
    let network = start().constant("z", &[3], &[1.0, 0.0, 1.0]);
    let network = network.node("Div", &["x", "z"], "y", &[]);
    refused(network, "node of y", "Div", "by zero");
}

#[test]
fn uses_of_argmax() {
    let last = [
        Attribute::Int("axis", 1),
        Attribute::Int("select_last_index", 1),
    ];
    let network = start().node("ArgMax", &["x"], "y", &last);
    refused(network, "node of y", "ArgMax", "select_last_index");
}

#[test]
fn uses_of_functions_and_views() {
    let network = start().node("Cast", &["x"], "y", &[Attribute::Int("to", 7)]);
    refused(network, "node of y", "Cast", "rounds");
    let network = start().node("Relu", &["x"], "training", &[]);
    let network = network.node("Dropout", &["x", "", "training"], "y", &[]);
    refused(network, "node of y", "Dropout", "training");
}
