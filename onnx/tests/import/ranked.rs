//! Rewrites that keep digits: what a row is ranked by, logistic functions that are written out, made-up samples that a network takes.

use zkernel_gadgets::model::Function;
use zkernel_onnx::{FloatOp, Model, Options, Samples};

use crate::network::{Attribute, Network};
use crate::visibility::proven;

fn functions(model: &Model) -> Vec<Function> {
    let of = |op: &FloatOp| match op {
        FloatOp::Function(function, _) => Some(*function),
        _ => None,
    };
    model.nodes.iter().filter_map(|n| of(&n.op)).collect()
}

/// The nearest by a root of a sum of which a part is the same for all: neither the root nor that part is computed.
#[test]
fn positions_before_roots() {
    let network = Network::new(&[1, 6])
        .integers("two", &[2])
        .integers("last", &[1])
        .node("Mul", &["x", "x"], "squares", &[])
        .node("ReduceSum", &["squares", "last"], "all", &[])
        .node("Add", &["squares", "all"], "sums", &[])
        .node("Sqrt", &["sums"], "roots", &[])
        .node("TopK", &["roots", "two"], "values", &[])
        .and("y");
    let model = network.output("y").read().unwrap();
    assert!(functions(&model).is_empty(), "{model:?}");
    proven(&model, Options::default());
}

/// Maxima of what is cut off at 0 are not those of what it comes from: the first of equal zeros counts.
#[test]
fn positions_behind_a_relu_stay() {
    let network = Network::new(&[1, 6])
        .constant("low", &[1], &[-0.9])
        .node("Add", &["x", "low"], "a", &[])
        .node("Relu", &["a"], "r", &[])
        .node("ArgMax", &["r"], "y", &[Attribute::Int("axis", 1)]);
    let model = network.output("y").read().unwrap();
    assert_eq!(functions(&model), [Function::Relu]);
    proven(&model, Options::default());
}

/// A table that is turned and then laid out in a row has another order.
#[test]
fn positions_behind_turned_tables_stay() {
    let network = Network::new(&[2, 3])
        .integers("row", &[1, 6])
        .node("Abs", &["x"], "a", &[])
        .node(
            "Transpose",
            &["a"],
            "t",
            &[Attribute::Ints("perm", &[1, 0])],
        )
        .node("Reshape", &["t", "row"], "r", &[])
        .node("Sqrt", &["r"], "roots", &[])
        .node("ArgMax", &["roots"], "y", &[Attribute::Int("axis", 1)]);
    let model = network.output("y").read().unwrap();
    assert_eq!(functions(&model), [Function::Abs]);
    proven(&model, Options::default());
}

#[test]
fn logistic_functions_written_out() {
    let network = Network::new(&[1, 6])
        .constant("one", &[1], &[1.0])
        .constant("steep", &[1], &[-20.0])
        .node("Mul", &["x", "steep"], "a", &[])
        .node("Exp", &["a"], "e", &[])
        .node("Add", &["one", "e"], "d", &[])
        .node("Div", &["one", "d"], "y", &[]);
    let model = network.output("y").read().unwrap();
    assert_eq!(functions(&model), [Function::Sigmoid]);
    proven(&model, Options::default());
}

/// Sums over integers, as positions of words are counted.
#[test]
fn running_sums_of_integers() {
    let network = Network::new(&[1, 6])
        .constant("zero", &[1], &[0.0])
        .integers("axis", &[1])
        .node("Greater", &["x", "zero"], "bits", &[])
        .node("Cast", &["bits"], "integers", &[Attribute::Int("to", 7)])
        .node("CumSum", &["integers", "axis"], "sums", &[])
        .node("Cast", &["sums"], "real", &[Attribute::Int("to", 1)])
        .node("Mul", &["real", "x"], "y", &[]);
    proven(&network.output("y").read().unwrap(), Options::default());
}

/// Half of what is made up is negative somewhere: only what the network takes is kept.
#[test]
fn made_up_samples_that_a_network_takes() {
    let network = Network::new(&[1, 4]).node("Sqrt", &["x"], "y", &[]);
    let model = network.output("y").read().unwrap();
    let samples = Samples::guessed(&model);
    assert!(samples.as_slice().len() >= 32);
    assert!(samples.as_slice().iter().all(|s| model.run(s).is_ok()));
}
