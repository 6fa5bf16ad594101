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

/// Weights that are activations: the node is named.
#[test]
fn parameters_that_are_no_constants() {
    let network = Network::new(&[1, 1, 3, 3]).node("Conv", &["x", "x"], "y", &[]);
    refused(network, "node of y", "Conv", "`x` are not known");
}

/// What is made of what a refused node would write is not refused again.
#[test]
fn what_follows_a_refused_node_is_not_named() {
    let network = start()
        .constant("e", &[2, 3], &[0.5, 1.5, 2.5, 3.5, 4.5, 5.5])
        .node("Mod", &["e", "x"], "m", &[])
        .node("Add", &["m", "x"], "s", &[])
        .node("MatMul", &["s", "w"], "y", &[]);
    refused(network, "node of m", "Mod", "constant second input");
}

#[test]
fn divisions_by_zero() {
    let network = start().constant("z", &[3], &[1.0, 0.0, 1.0]);
    let network = network.node("Div", &["x", "z"], "y", &[]);
    refused(network, "node of y", "Div", "by zero");
}

#[test]
fn uses_of_functions_and_views() {
    let network = start().node("Relu", &["x"], "training", &[]);
    let network = network.node("Dropout", &["x", "", "training"], "y", &[]);
    refused(network, "node of y", "Dropout", "training");
}

/// What depends on the values of activations where a constant is expected, or on more than is built.
#[test]
fn uses_that_are_not_built() {
    let two = || start().constant("e", &[2, 3], &[0.5, 1.5, 2.5, 3.5, 4.5, 5.5]);
    let network = two().node("Mod", &["e", "x"], "y", &[]);
    refused(network, "node of y", "Mod", "constant second input");
    let mut network = two()
        .integers("k", &[4])
        .node("TopK", &["x", "k"], "y", &[]);
    network.0.node[0].output.push("i".into());
    refused(network, "node of y", "TopK", "k is not 1 to 3");
    let scatter = two().integers("at", &[0]).constant("u", &[1, 3], &[1.0; 3]);
    let scatter = scatter.node("Reshape", &["at", "flat"], "row", &[]);
    let network = scatter.integers("flat", &[1, 1]).node(
        "ScatterND",
        &["x", "row", "u"],
        "y",
        &[Attribute::Text("reduction", "mul")],
    );
    refused(network, "node of y", "ScatterND", "reduction");
}
