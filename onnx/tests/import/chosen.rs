//! Gathers whose positions the network itself finds: against tract, and proven.

use zkernel_onnx::Options;

use crate::network::{Attribute, Network};
use crate::visibility::proven;

/// Weights without a pattern.
fn values(len: usize) -> Vec<f32> {
    (0..len)
        .map(|i| ((i * 37 + 5) % 31) as f32 / 21.0 - 0.7)
        .collect()
}

/// A `2 x 3 x 4` input, a layer `a` of it, positions `p` of the two largest of each row (`2 x 3 x 2`), and the same from the end, `n`.
fn start() -> Network {
    Network::new(&[2, 3, 4])
        .constant("w", &[4, 4], &values(16))
        .node("MatMul", &["x", "w"], "a", &[])
        .integers("two", &[2])
        .integers("four", &[4])
        .node("TopK", &["x", "two"], "largest", &[])
        .and("p")
        .node("Sub", &["p", "four"], "n", &[])
}

#[track_caller]
fn follows(network: Network) {
    proven(&network.output("y").read().unwrap(), Options::default());
}

/// Positions below the length of every axis that is gathered along.
fn below(network: Network, len: i64) -> Network {
    let network = network.integers("last", &[len - 1]);
    network.node("Min", &["p", "last"], "q", &[])
}

#[test]
fn slices_of_activations_along_any_axis() {
    for (axis, len) in [(0, 2), (1, 3), (2, 4), (-1, 4)] {
        let network = below(start(), len);
        follows(network.node("Gather", &["a", "q"], "y", &[Attribute::Int("axis", axis)]));
    }
    let network = start().node("Gather", &["a", "n"], "y", &[Attribute::Int("axis", 2)]);
    follows(network);
}

/// One position, without axes of its own: the token at which a sentence ends.
#[test]
fn one_slice_at_the_largest() {
    let network = Network::new(&[1, 5])
        .constant("w", &[1, 5, 3], &values(15))
        .integers("column", &[1, 5, 1])
        .node("Reshape", &["x", "column"], "c", &[])
        .node("Mul", &["c", "w"], "a", &[])
        .node(
            "ArgMax",
            &["x"],
            "p",
            &[Attribute::Int("axis", 1), Attribute::Int("keepdims", 0)],
        )
        .node("Gather", &["a", "p"], "y", &[Attribute::Int("axis", 1)]);
    follows(network);
}

#[test]
fn elements_of_activations_along_any_axis() {
    for (axis, len) in [(0, 2), (1, 3), (2, 4)] {
        let network = below(start(), len);
        let with = [Attribute::Int("axis", axis)];
        follows(network.node("GatherElements", &["a", "q"], "y", &with));
    }
    let with = [Attribute::Int("axis", -1)];
    follows(start().node("GatherElements", &["a", "n"], "y", &with));
}

#[test]
fn elements_of_constants() {
    let table = || start().constant("table", &[2, 3, 4], &values(24));
    for (axis, len) in [(0, 2), (1, 3), (2, 4)] {
        let with = [Attribute::Int("axis", axis)];
        let network = below(table(), len);
        follows(network.node("GatherElements", &["table", "q"], "y", &with));
    }
    let with = [Attribute::Int("axis", 2)];
    let network = table().node("GatherElements", &["table", "n"], "z", &with);
    follows(network.node("Mul", &["z", "largest"], "y", &[]));
    // Types of tokens that are all the same: nothing is chosen.
    let network = start().constant("same", &[2, 3, 4], &[0.5; 24]);
    let network = network.node("GatherElements", &["same", "p"], "z", &with);
    follows(network.node("Add", &["z", "largest"], "y", &[]));
}

/// Tuples over the first two axes, over two behind a batch, over one behind two.
#[test]
fn slices_by_tuples() {
    let batch = |count| [Attribute::Int("batch_dims", count)];
    let pairs = |network: Network| below(network, 2).node("GatherND", &["a", "q"], "y", &batch(0));
    follows(pairs(start()));
    let network = below(start(), 3).node("GatherND", &["a", "q"], "y", &batch(1));
    follows(network);
    let network = start()
        .integers("column", &[2, 3, 2, 1])
        .node("Reshape", &["p", "column"], "tuples", &[])
        .node("GatherND", &["a", "tuples"], "y", &batch(2));
    follows(network);
    let network = start().constant("table", &[2, 3, 4], &values(24));
    let network = below(network, 2).node("GatherND", &["table", "q"], "z", &batch(0));
    follows(network.node("ReduceSum", &["z"], "y", &[]));
}
