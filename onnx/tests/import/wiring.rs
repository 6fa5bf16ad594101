//! Operators in unusual places: right behind the input, behind each other, shared, and shown while others read them.

use zkernel_gadgets::model::Visibility;
use zkernel_onnx::{Options, quantize};

use crate::network::{Attribute, Network};
use crate::visibility::{proven, samples};

/// A `1 x 3` input and a `3 x 3` matrix.
fn start() -> Network {
    let w = [0.5, -0.25, 1.0, 0.75, 0.5, -1.0, -0.5, 0.3, 0.2];
    Network::new(&[1, 3]).constant("w", &[3, 3], &w)
}

/// The network that ends in `y` is proven, whoever sees what.
#[track_caller]
fn proven_anyhow(network: Network) {
    let model = network.output("y").read().unwrap();
    for input in [Visibility::Private, Visibility::Public] {
        for output in [Visibility::Private, Visibility::Public] {
            let options = Options {
                input,
                output,
                ..Options::default()
            };
            proven(&model, options);
        }
    }
}

#[test]
fn functions_of_the_input() {
    for op in ["Relu", "Sigmoid", "Tanh", "Abs", "Identity"] {
        proven_anyhow(start().node(op, &["x"], "y", &[]));
    }
}

#[test]
fn functions_of_functions() {
    let network = start()
        .node("MatMul", &["x", "w"], "a", &[])
        .node("Relu", &["a"], "b", &[])
        .node("Tanh", &["b"], "c", &[])
        .node("Abs", &["c"], "y", &[]);
    proven_anyhow(network);
}

#[test]
fn layers_of_layers() {
    let network = start()
        .node("MatMul", &["x", "w"], "a", &[])
        .node("MatMul", &["a", "w"], "b", &[])
        .node("MatMul", &["b", "w"], "y", &[]);
    proven_anyhow(network);
}

#[test]
fn the_largest_of_an_input_and_of_a_function() {
    let last = || [Attribute::Int("axis", 1)];
    proven_anyhow(start().node("ArgMax", &["x"], "y", &last()));
    let network = start()
        .node("MatMul", &["x", "w"], "a", &[])
        .node("Sigmoid", &["a"], "b", &[])
        .node("ArgMax", &["b"], "y", &last());
    proven_anyhow(network);
}

/// One layer read by two functions, of which only one leads to the output; and shown while a function reads it.
#[test]
fn layers_read_twice() {
    let network = start()
        .node("MatMul", &["x", "w"], "a", &[])
        .node("Sigmoid", &["a"], "unread", &[])
        .node("Relu", &["a"], "y", &[]);
    proven_anyhow(network);
    let network = start()
        .node("MatMul", &["x", "w"], "y", &[])
        .node("Relu", &["y"], "unread", &[]);
    proven_anyhow(network);
}

#[test]
fn one_matrix_in_two_layers_and_one_table_for_both() {
    let network = start()
        .node("MatMul", &["x", "w"], "a", &[])
        .node("Relu", &["a"], "b", &[])
        .node("MatMul", &["b", "w"], "c", &[])
        .node("Relu", &["c"], "y", &[]);
    proven_anyhow(network.clone());
    let model = network.output("y").read().unwrap();
    let quantized = quantize(&model, &samples(&model, 8), &Options::default()).unwrap();
    assert_eq!(
        quantized.graph.tables.len(),
        1,
        "tables of a ReLU are shared whatever the scales"
    );
}

/// A network may have several outputs, and inputs that nobody reads.
#[test]
fn several_outputs_and_an_input_that_nobody_reads() {
    let network = start().node("Relu", &["x"], "y", &[]).output("y");
    let network = network.node("Abs", &["x"], "z", &[]).output("z");
    proven(&network.read().unwrap(), Options::default());
    let mut network = start().node("Relu", &["x"], "y", &[]).output("y");
    let unread = crate::network::value("unread", &[1, 2]);
    network.0.input.push(unread);
    let model = network.read().unwrap();
    let lens = model
        .inputs
        .iter()
        .map(|t| vec![0.5; model.tensors[*t].len()]);
    let samples = zkernel_onnx::Samples::new(&model, vec![lens.collect()]).unwrap();
    let quantized = quantize(&model, &samples, &Options::default()).unwrap();
    assert_eq!(quantized.graph.inputs.len(), 2);
}
