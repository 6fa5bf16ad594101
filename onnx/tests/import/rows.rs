//! Operators over rows and labels: the integer run follows the float run and the circuit accepts it.

use proptest::prelude::*;
use zkernel_gadgets::model::Op;
use zkernel_onnx::{Options, Quantized};

use crate::network::{Attribute, Network};
use crate::visibility::proven;

fn checked(network: Network) -> Quantized {
    let model = network.output("y").read().unwrap();
    proven(&model, Options::default())
}

fn values(len: i64) -> Vec<f32> {
    (0..len)
        .map(|i| ((i * 37 + 11) % 29) as f32 / 14.0 - 1.0)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    /// Both outputs come from one choice.
    #[test]
    fn largest((shape, axis, k, largest) in (prop::collection::vec(2i64..5, 1..4), 0usize..3, 1i64..5, 0i64..2)) {
        let axis = axis % shape.len();
        let k = k.min(shape[axis]);
        let with = [Attribute::Int("axis", axis as i64), Attribute::Int("largest", largest)];
        let network = Network::new(&shape).integers("k", &[k]).node("TopK", &["x", "k"], "y", &with).and("i");
        let quantized = checked(network.output("i"));
        let choices = quantized.graph.nodes.iter().filter(|n| matches!(n.op, Op::TopK { .. }));
        prop_assert_eq!(choices.count(), 1);
    }

    #[test]
    fn reductions((shape, op, axis, keep) in (prop::collection::vec(1i64..5, 2..4), 0usize..5, -2i64..2, 0i64..2)) {
        let op = ["ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSumExp", "ReduceProd"][op];
        let keep = Attribute::Int("keepdims", keep);
        let network = Network::new(&shape).integers("axes", &[axis]);
        checked(network.node(op, &["x", "axes"], "y", &[keep]));
    }

    #[test]
    fn extremes_of_several((a, b) in (1i64..4, 1i64..4)) {
        for op in ["Max", "Min", "Mean", "Sum"] {
            let network = Network::new(&[a, b])
                .constant("row", &[b], &values(b))
                .constant("column", &[a, 1], &values(a));
            checked(network.node(op, &["x", "row", "column"], "y", &[]));
        }
    }
}

#[test]
fn einstein_sums() {
    let weights = |network: Network| {
        network
            .constant("w", &[3, 4], &values(12))
            .constant("v", &[2, 3, 4], &values(24))
    };
    let start = || weights(Network::new(&[2, 3, 3]));
    for equation in ["bij,jk->bik", "bij,jk->kb", "bii,ik->bk", "bij,jk->"] {
        checked(start().node(
            "Einsum",
            &["x", "w"],
            "y",
            &[Attribute::Text("equation", equation)],
        ));
    }
    for equation in [
        "bij,bjk->bik",
        "bij,bjk->ikb",
        "aij,bjk->abik",
        "bij,bik->bk",
    ] {
        checked(start().node(
            "Einsum",
            &["x", "v"],
            "y",
            &[Attribute::Text("equation", equation)],
        ));
    }
    for equation in ["bij->ij", "bij->jib", "...ii->...i", "bij", "bij->"] {
        checked(start().node(
            "Einsum",
            &["x"],
            "y",
            &[Attribute::Text("equation", equation)],
        ));
    }
    for equation in [
        "bij,bjk->bik",
        "bij,bij->bij",
        "bij,cij->bc",
        "b...,b...->...",
    ] {
        checked(start().node(
            "Einsum",
            &["x", "x"],
            "y",
            &[Attribute::Text("equation", equation)],
        ));
    }
    checked(start().node(
        "Einsum",
        &["v", "x", "w"],
        "y",
        &[Attribute::Text("equation", "bjk,bij,jk->bik")],
    ));
}

#[test]
fn vectors() {
    let start = || {
        Network::new(&[2, 3])
            .constant("v", &[3], &values(3))
            .constant("u", &[2], &values(2))
    };
    checked(start().node("MatMul", &["x", "v"], "y", &[]));
    checked(start().node("MatMul", &["u", "x"], "y", &[]));
}

#[test]
fn positions_and_bits() {
    for op in ["ArgMax", "ArgMin"] {
        for (axis, keep) in [(0, 0), (1, 1)] {
            let with = [
                Attribute::Int("axis", axis),
                Attribute::Int("keepdims", keep),
                Attribute::Int("select_last_index", 1),
            ];
            checked(Network::new(&[3, 4]).node(op, &["x"], "y", &with));
        }
    }
    for axis in [0, 1] {
        checked(Network::new(&[3, 4]).node(
            "Hardmax",
            &["x"],
            "y",
            &[Attribute::Int("axis", axis)],
        ));
    }
    // Known positions, and any numbers.
    for depth in [4, 6] {
        let network = Network::new(&[3, 4])
            .integers("depth", &[depth])
            .constant("values", &[2], &[2.0, 5.0])
            .node(
                "ArgMax",
                &["x"],
                "i",
                &[Attribute::Int("axis", 1), Attribute::Int("keepdims", 0)],
            );
        checked(network.node(
            "OneHot",
            &["i", "depth", "values"],
            "y",
            &[Attribute::Int("axis", 0)],
        ));
    }
    let any = Network::new(&[3])
        .constant("by", &[1], &[4.0])
        .integers("depth", &[4])
        .constant("values", &[2], &[0.0, 1.0]);
    let any = any
        .node("Mul", &["x", "by"], "z", &[])
        .node("Floor", &["z"], "f", &[]);
    let any = any.node("Cast", &["f"], "i", &[Attribute::Int("to", 7)]);
    checked(any.node("OneHot", &["i", "depth", "values"], "y", &[]));
}

#[test]
fn remainders_and_quotients() {
    let start = || {
        Network::new(&[6]).constant("by", &[1], &[0.75]).constant(
            "each",
            &[6],
            &[0.5, 0.25, -0.5, 0.75, 0.25, 0.5],
        )
    };
    for divisor in ["by", "each"] {
        for fmod in [0, 1] {
            let network =
                start()
                    .constant("step", &[1], &[64.0])
                    .node("Mul", &["x", "step"], "z", &[]);
            let network = network.node("Round", &["z"], "w", &[]);
            checked(network.node("Mod", &["w", divisor], "y", &[Attribute::Int("fmod", fmod)]));
        }
    }
}

#[test]
fn normalisations() {
    let vector =
        |name: &'static str, len: i64| move |n: Network| n.constant(name, &[len], &values(len));
    let network = vector("s", 4)(vector("t", 4)(Network::new(&[1, 4, 2, 3])));
    checked(
        network
            .clone()
            .node("InstanceNormalization", &["x", "s", "t"], "y", &[]),
    );
    checked(network.node(
        "LRN",
        &["x"],
        "y",
        &[Attribute::Int("size", 3), Attribute::Float("alpha", 0.5)],
    ));
    for axis in [1, 2] {
        let rest: &[i64] = [&[3, 4][..], &[4]][axis as usize - 1];
        let network = Network::new(&[2, 3, 4])
            .constant("s", rest, &values(rest.iter().product()))
            .constant("t", rest, &values(rest.iter().product()));
        for op in ["LayerNormalization", "RMSNormalization"] {
            let inputs: &[&str] = if op == "LayerNormalization" {
                &["x", "s", "t"]
            } else {
                &["x", "s"]
            };
            checked(
                network
                    .clone()
                    .node(op, inputs, "y", &[Attribute::Int("axis", axis)]),
            );
        }
    }
    for p in [1, 2] {
        checked(Network::new(&[2, 3]).node(
            "LpNormalization",
            &["x"],
            "y",
            &[Attribute::Int("p", p)],
        ));
    }
    checked(Network::new(&[2, 3, 2]).node("LogSoftmax", &["x"], "y", &[Attribute::Int("axis", 1)]));
}

#[test]
fn slopes_and_powers() {
    let start = || Network::new(&[2, 3]).constant("s", &[3], &[0.25, 1.5, -0.5]);
    checked(start().node("PRelu", &["x", "s"], "y", &[]));
    let above = start()
        .constant("two", &[1], &[2.0])
        .node("Add", &["x", "two"], "z", &[]);
    checked(above.clone().node("Pow", &["z", "s"], "y", &[]));
    checked(above.clone().node("Pow", &["two", "x"], "y", &[]));
    checked(above.node("Pow", &["z", "x"], "y", &[]));
    for op in ["Tan", "Sinh", "Cosh", "Asinh", "Asin", "Acos", "Shrink"] {
        checked(Network::new(&[8]).node(op, &["x"], "y", &[]));
    }
}

/// What the reference does not know is written in what it does.
#[test]
fn rewritten() {
    checked(Network::new(&[2, 3]).node("Swish", &["x"], "y", &[Attribute::Float("alpha", 1.5)]));
    for p in [1, 2] {
        let with = [
            Attribute::Ints("kernel_shape", &[2, 2]),
            Attribute::Ints("strides", &[1, 2]),
            Attribute::Ints("pads", &[0, 1, 1, 0]),
            Attribute::Int("p", p),
        ];
        checked(Network::new(&[1, 2, 3, 4]).node("LpPool", &["x"], "y", &with));
    }
    let scales = Network::new(&[1, 2, 2, 3]).constant("s", &[4], &[1.0, 1.0, 2.0, 3.0]);
    checked(scales.node(
        "Upsample",
        &["x", "s"],
        "y",
        &[Attribute::Text("mode", "nearest")],
    ));
    let weights = Network::new(&[2, 3]).constant("w", &[3, 2], &values(6));
    let equation = Attribute::Text("equation", "bj, ja");
    let model = weights
        .node("Einsum", &["x", "w"], "y", &[equation])
        .output("y")
        .read()
        .unwrap();
    // Without an output the labels that come once are in the order of the alphabet: a, b.
    assert_eq!(model.tensors[model.outputs[0]].shape, [2, 2]);
    proven(&model, Options::default());
}

#[test]
fn maxima_of_windows() {
    let with = [
        Attribute::Ints("kernel_shape", &[2, 2]),
        Attribute::Ints("strides", &[2, 2]),
        Attribute::Int("ceil_mode", 1),
    ];
    checked(Network::new(&[1, 2, 3, 5]).node("MaxPool", &["x"], "y", &with));
    let with = [Attribute::Ints("kernel_shape", &[2, 2, 2])];
    checked(Network::new(&[1, 2, 3, 2, 3]).node("MaxPool", &["x"], "y", &with));
    for op in ["GlobalAveragePool", "GlobalMaxPool"] {
        checked(Network::new(&[1, 2, 2, 3, 2]).node(op, &["x"], "y", &[]));
    }
}
