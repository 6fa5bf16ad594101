//! A class alone: which final functions are left out, and that the decision stays what it was.

use proptest::prelude::*;
use zkernel_onnx::{FloatOp, Model};

use crate::network::{Attribute, Network};

/// Scores of three classes from four values, and what the closure makes of them.
fn scores(finish: impl FnOnce(Network) -> Network) -> Model {
    let weights = [
        0.5, -1.0, 0.25, 0.75, 1.5, -0.5, -0.25, 1.0, 0.125, -0.75, 0.5, -1.25,
    ];
    let network = Network::new(&[1, 4]).constant("w", &[4, 3], &weights).node(
        "MatMul",
        &["x", "w"],
        "scores",
        &[],
    );
    finish(network).output("y").read().unwrap()
}

fn is_last(model: &Model, name: &str) -> bool {
    let [output] = model.outputs[..] else {
        return false;
    };
    let last = model.nodes.last().map(|n| n.output);
    model.tensors[output].name == name && last == Some(output)
}

fn first_maximum(values: &[f32]) -> usize {
    (1..values.len()).fold(0, |best, i| if values[i] > values[best] { i } else { best })
}

#[test]
fn what_keeps_the_order_is_left_out() {
    let axis = |axis| [Attribute::Int("axis", axis)];
    for op in ["Softmax", "LogSoftmax"] {
        let model = scores(|n| n.node(op, &["scores"], "y", &axis(-1)));
        let decided = model.deciding(Some("y")).unwrap();
        let kept = decided.nodes.iter();
        let views = |op: &FloatOp| matches!(op, FloatOp::Dense { .. } | FloatOp::Transpose(_));
        assert!(kept.clone().all(|n| views(&n.op)), "{op}: {decided:?}");
    }
    for op in ["Sigmoid", "Tanh", "Softplus"] {
        let model = scores(|n| {
            n.node(op, &["scores"], "p", &[])
                .node("Softmax", &["p"], "s", &axis(1))
                .node("Flatten", &["s"], "y", &[])
        });
        let decided = model.deciding(None).unwrap();
        assert!(is_last(&decided, "scores"), "{op}: {decided:?}");
        assert_eq!(decided.nodes.len(), 1);
    }
    // An argmax of its own stays, and reads the scores.
    let model = scores(|n| {
        n.node("Softmax", &["scores"], "p", &axis(-1))
            .node("ArgMax", &["p"], "y", &axis(-1))
    });
    let decided = model.deciding(None).unwrap();
    assert!(is_last(&decided, "y") || decided.nodes.iter().any(|n| n.op == FloatOp::ArgMax));
    assert!(decided.nodes.iter().all(|n| n.op != FloatOp::Softmax));
}

#[test]
fn what_changes_the_order_stays() {
    let nothing = |model: &Model| assert!(model.deciding(None).is_none(), "{model:?}");
    nothing(&scores(|n| n.node("Relu", &["scores"], "y", &[])));
    nothing(&scores(|n| n.node("Neg", &["scores"], "y", &[])));
    // Probabilities over another axis than classes are chosen along.
    let across = [Attribute::Int("axis", 0)];
    nothing(&scores(|n| n.node("Softmax", &["scores"], "y", &across)));
    let model = scores(|n| n.node("Softmax", &["scores"], "y", &[]));
    assert!(model.deciding(Some("z")).is_none(), "no such output");
    // A function that is read by more than the output stays for the other output.
    let both = scores(|n| {
        n.node("Sigmoid", &["scores"], "p", &[])
            .node("Softmax", &["p"], "y", &[])
            .output("p")
    });
    assert!(both.deciding(None).is_none(), "two outputs, none named");
    assert!(is_last(&both.deciding(Some("y")).unwrap(), "scores"));
}

proptest! {
    /// The first maximum of the scores is that of the probabilities, unless floats round these to a tie.
    #[test]
    fn decisions_stay(x in prop::collection::vec(-4f32..4.0, 4)) {
        let model = scores(|n| {
            n.node("Tanh", &["scores"], "t", &[])
                .node("Softmax", &["t"], "y", &[])
        });
        let decided = model.deciding(None).unwrap();
        let input = [x];
        let (whole, short) = (&model.run(&input).unwrap()[0], &decided.run(&input).unwrap()[0]);
        let class = first_maximum(short);
        prop_assert!(whole.iter().all(|p| *p <= whole[class]));
    }
}
