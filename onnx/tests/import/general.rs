//! Operators on several activations and those that are taken apart: the integer run follows the float run and the circuit
//! accepts it, with private and public ends.

use zkernel_gadgets::model::{Function, Table, Visibility};
use zkernel_onnx::Options;

use crate::network::{Attribute, Network};
use crate::visibility::proven;

/// Two activations a and b of shape 2 x 4 made of the input by layers of their own.
fn two() -> Network {
    let w: Vec<f32> = (0..16).map(|i| (i * 7 % 11) as f32 / 11.0 - 0.4).collect();
    let v: Vec<f32> = (0..16).map(|i| (i * 5 % 13) as f32 / 13.0 - 0.4).collect();
    Network::new(&[2, 4])
        .constant("w", &[4, 4], &w)
        .constant("v", &[4, 4], &v)
        .node("MatMul", &["x", "w"], "a", &[])
        .node("MatMul", &["x", "v"], "b", &[])
}

fn check(network: Network) {
    let model = network.output("y").read().unwrap();
    proven(&model, Options::default());
    let private = Options {
        output: Visibility::Private,
        input: Visibility::Public,
        ..Options::default()
    };
    proven(&model, private);
}

/// A bit where the operator of that name holds, times a: bits alone decide nothing near a threshold.
fn chosen(network: Network, bit: &str) -> Network {
    network.node("Where", &[bit, "a", "b"], "y", &[])
}

#[test]
fn arithmetic() {
    for op in ["Add", "Sub", "Mul", "Max", "Min", "Sum", "Mean"] {
        check(two().node(op, &["a", "b"], "y", &[]));
        let row = [0.5, -0.25, 1.0, 0.75];
        check(
            two()
                .constant("c", &[4], &row)
                .node(op, &["a", "c"], "y", &[]),
        );
        let all: Vec<f32> = (0..8).map(|i| (i * 3 % 7) as f32 / 7.0 - 0.3).collect();
        check(
            two()
                .constant("c", &[2, 4], &all)
                .node(op, &["c", "a"], "y", &[]),
        );
        check(
            two()
                .constant("c", &[1], &[0.5])
                .node(op, &["a", "c"], "y", &[]),
        );
    }
    check(two().node("Neg", &["a"], "y", &[]));
    check(
        two()
            .constant("c", &[2, 1], &[0.5, 2.0])
            .node("Div", &["a", "c"], "y", &[]),
    );
}

#[test]
fn powers() {
    for exponent in [1.0, 2.0, 3.0] {
        check(
            two()
                .constant("e", &[1], &[exponent])
                .node("Pow", &["a", "e"], "y", &[]),
        );
    }
    let squares = || two().node("Mul", &["a", "a"], "s", &[]);
    check(squares().node("Sqrt", &["s"], "y", &[]));
    let above = squares()
        .constant("one", &[1], &[1.0])
        .node("Add", &["s", "one"], "t", &[]);
    check(above.node("Div", &["b", "t"], "y", &[]));
}

#[test]
fn matrices() {
    let right = || two().node("Transpose", &["b"], "c", &[]);
    check(right().node("MatMul", &["a", "c"], "y", &[]));
    check(two().node(
        "Gemm",
        &["a", "b"],
        "y",
        &[Attribute::Int("transB", 1), Attribute::Float("alpha", 0.5)],
    ));
    let left: Vec<f32> = (0..6).map(|i| i as f32 / 6.0 - 0.4).collect();
    check(
        two()
            .constant("c", &[3, 2], &left)
            .node("MatMul", &["c", "a"], "y", &[]),
    );
}

#[test]
fn comparisons() {
    let half = || two().constant("h", &[1], &[0.1]);
    for op in ["Greater", "Less", "GreaterOrEqual", "LessOrEqual"] {
        let bits = Network::new(&[6])
            .constant("h", &[1], &[0.125])
            .node(op, &["x", "h"], "y", &[]);
        check(bits);
    }
    for op in ["And", "Or", "Xor"] {
        let bits = Network::new(&[6])
            .constant("h", &[1], &[0.125])
            .constant("g", &[1], &[-0.25]);
        let bits = bits
            .node("Greater", &["x", "h"], "c", &[])
            .node("Less", &["x", "g"], "d", &[]);
        check(bits.node(op, &["c", "d"], "y", &[]));
    }
    let bits =
        Network::new(&[6])
            .constant("h", &[1], &[0.125])
            .node("Greater", &["x", "h"], "c", &[]);
    check(bits.node("Not", &["c"], "y", &[]));
    let of_input = Network::new(&[6])
        .constant("h", &[1], &[0.125])
        .constant("z", &[1], &[0.5]);
    check(of_input.node("Greater", &["x", "h"], "c", &[]).node(
        "Where",
        &["c", "x", "z"],
        "y",
        &[],
    ));
    let choice = half().constant("c", &[2, 4], &[1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0]);
    let choice = choice.node("Cast", &["c"], "bits", &[Attribute::Int("to", 9)]);
    check(chosen(choice, "bits"));
}

#[test]
fn reductions() {
    for op in ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin"] {
        for axis in [0, 1] {
            for keep in [0, 1] {
                let axes = two().integers("axes", &[axis]);
                let keep = Attribute::Int("keepdims", keep);
                check(axes.node(op, &["a", "axes"], "y", &[keep]));
            }
        }
    }
    for op in ["ArgMax", "ArgMin"] {
        for axis in [0, 1] {
            check(two().node(op, &["a"], "y", &[Attribute::Int("axis", axis)]));
        }
    }
}

#[test]
fn normalisations() {
    check(two().node("Softmax", &["a"], "y", &[Attribute::Int("axis", -1)]));
    check(two().node("Softmax", &["a"], "y", &[Attribute::Int("axis", 0)]));
    let masks = two().constant(
        "m",
        &[2, 4],
        &[0.0, -1e9, 0.0, 0.0, 0.0, 0.0, f32::NEG_INFINITY, 0.0],
    );
    let masked = masks.node("Add", &["a", "m"], "c", &[]);
    check(masked.node("Softmax", &["c"], "y", &[Attribute::Int("axis", -1)]));
    let scale = [1.0, 0.5, 2.0, -1.0];
    let shift = [0.5, 0.0, -0.25, 1.0];
    let layer = two()
        .constant("s", &[4], &scale)
        .constant("t", &[4], &shift);
    check(layer.node("LayerNormalization", &["a", "s", "t"], "y", &[]));
}

/// Logits that span hundreds: their keys stay within a table.
#[test]
fn wide_softmax() {
    let wide = two()
        .constant("by", &[1], &[300.0])
        .node("Mul", &["a", "by"], "l", &[])
        .node("Softmax", &["l"], "y", &[Attribute::Int("axis", -1)]);
    let model = wide.output("y").read().unwrap();
    let logits = model.nodes.last().unwrap().inputs[0];
    let samples = crate::visibility::samples(&model, 24);
    let span = |sample: &Vec<Vec<f32>>| {
        let values = &model.run_all(sample).unwrap()[logits];
        let ends = [f32::max, f32::min].map(|pick| values.iter().copied().reduce(pick).unwrap());
        ends[0] - ends[1]
    };
    assert!(samples.as_slice().iter().map(span).fold(0.0, f32::max) >= 128.0);
    proven(&model, Options::default());
}

/// An exponential over many orders of magnitude, and a sine over many periods, which no lines follow: few keys in the table.
#[test]
fn steep_functions() {
    for (op, factor) in [("Exp", 20.0), ("Sin", 300.0)] {
        let wide = two()
            .constant("by", &[1], &[factor])
            .node("Mul", &["x", "by"], "l", &[])
            .node(op, &["l"], "y", &[]);
        let model = wide.output("y").read().unwrap();
        let samples = crate::visibility::samples(&model, 24);
        let quantized = zkernel_onnx::quantize(&model, &samples, &Options::default()).unwrap();
        let named = |t: &&Table| matches!(t.function, Function::Exp | Function::Sin);
        let rows = quantized
            .graph
            .tables
            .iter()
            .find(named)
            .unwrap()
            .row_counts()[0];
        // Lines follow the exponential, beyond the calibrated range too.
        if op == "Exp" {
            assert!(
                rows < 1 << 13 && quantized.report.relative_error < 0.01,
                "{rows} rows, {:?}",
                (quantized.report.relative_error, quantized.report.widths)
            );
        }
        let bits = quantized.report.widths.activation.max(9) + 3;
        assert!(rows <= (1 << bits) + 1, "{rows} rows of {op}");
    }
}

/// Very negative constants mask only what a softmax reads.
#[test]
fn large_constants_are_no_masks() {
    let large = two().constant(
        "c",
        &[2, 4],
        &[-5000.0, 1.0, 2.0, -3000.0, 0.0, 1.0, 2.0, 3.0],
    );
    let model = large
        .node("Add", &["a", "c"], "y", &[])
        .output("y")
        .read()
        .unwrap();
    let quantized = proven(&model, Options::default());
    let report = quantized
        .evaluate(&model, &crate::visibility::samples(&model, 8))
        .unwrap();
    assert!(report.max_abs_error < 1.0, "{report}");
}

#[test]
fn views() {
    let parts = |n: Network| {
        n.integers("from", &[1])
            .integers("to", &[4])
            .integers("axis", &[1])
            .integers("by", &[2])
    };
    check(parts(two()).node("Slice", &["a", "from", "to", "axis", "by"], "y", &[]));
    for axis in [0, 1] {
        check(two().node(
            "Concat",
            &["a", "b", "a"],
            "y",
            &[Attribute::Int("axis", axis)],
        ));
    }
    check(
        two()
            .integers("pads", &[1, 0, 0, 2])
            .node("Pad", &["a", "pads"], "y", &[]),
    );
    let value = two()
        .constant("v0", &[], &[0.75])
        .integers("pads", &[0, 1, 2, 0]);
    check(value.node("Pad", &["a", "pads", "v0"], "y", &[]));
    check(
        two()
            .integers("shape", &[3, 2, 4])
            .node("Expand", &["a", "shape"], "y", &[]),
    );
    check(
        two()
            .integers("times", &[2, 3])
            .node("Tile", &["a", "times"], "y", &[]),
    );
    check(two().integers("rows", &[1, 0, 1]).node(
        "Gather",
        &["a", "rows"],
        "y",
        &[Attribute::Int("axis", 0)],
    ));
    check(two().integers("cols", &[3, -3]).node(
        "Gather",
        &["a", "cols"],
        "y",
        &[Attribute::Int("axis", 1)],
    ));
    let split = two().integers("sizes", &[1, 3]);
    let mut split = split.node("Split", &["a", "sizes"], "p", &[Attribute::Int("axis", 1)]);
    split.0.node.last_mut().unwrap().output.push("q".into());
    check(split.node("Concat", &["q", "p"], "y", &[Attribute::Int("axis", 1)]));
}

#[test]
fn functions() {
    for op in [
        "LeakyRelu",
        "Elu",
        "Selu",
        "Celu",
        "HardSigmoid",
        "HardSwish",
        "Softsign",
        "Mish",
        "ThresholdedRelu",
        "Sin",
        "Cos",
        "Atan",
    ] {
        check(two().node(op, &["a"], "y", &[]));
    }
    let bounds = two()
        .constant("low", &[], &[-0.25])
        .constant("high", &[], &[0.5]);
    check(bounds.node("Clip", &["a", "low", "high"], "y", &[]));
}

/// Gelu and SiLU as exporters take them apart become one table.
#[test]
fn activations_in_parts() {
    let root = std::f32::consts::SQRT_2;
    let gelu = two()
        .constant("r", &[1], &[root])
        .constant("one", &[1], &[1.0])
        .constant("half", &[1], &[0.5]);
    let gelu = gelu
        .node("Div", &["a", "r"], "d", &[])
        .node("Erf", &["d"], "e", &[]);
    let gelu = gelu
        .node("Add", &["e", "one"], "f", &[])
        .node("Mul", &["a", "f"], "g", &[]);
    let model = gelu
        .node("Mul", &["g", "half"], "y", &[])
        .output("y")
        .read()
        .unwrap();
    assert_eq!(model.nodes.len(), 2, "{model:?}");
    proven(&model, Options::default());
    let silu = two()
        .node("Sigmoid", &["a"], "s", &[])
        .node("Mul", &["a", "s"], "y", &[]);
    let model = silu.output("y").read().unwrap();
    assert_eq!(model.nodes.len(), 2, "{model:?}");
    proven(&model, Options::default());
}

/// Uses that the layer before cannot absorb: biases of many rows, or under another reader, or of another rank.
#[test]
fn sums_and_products_that_stay() {
    let start = || {
        let table: Vec<f32> = (0..8).map(|i| i as f32 / 8.0 - 0.5).collect();
        two()
            .constant("t", &[2, 4], &table)
            .constant("r", &[4], &table[..4])
    };
    for op in ["Add", "Mul"] {
        check(start().node(op, &["a", "t"], "y", &[]));
        check(start().node(op, &["x", "r"], "y", &[]));
        check(
            start()
                .node("Relu", &["a"], "h", &[])
                .node(op, &["h", "r"], "y", &[]),
        );
        let other = start()
            .node("Relu", &["a"], "h", &[])
            .node(op, &["a", "r"], "z", &[]);
        check(other.node("Concat", &["h", "z"], "y", &[Attribute::Int("axis", 0)]));
    }
    let gemm = start().node("Gemm", &["x", "w", "t"], "y", &[]);
    check(gemm);
    check(start().node(
        "Gemm",
        &["x", "w", "t"],
        "y",
        &[Attribute::Float("beta", 2.0)],
    ));
    let ranks = start().constant("one", &[1, 1, 1], &[0.5]);
    check(ranks.node("Add", &["a", "one"], "y", &[]));
    let turned = two().node("Gemm", &["a", "v"], "y", &[Attribute::Int("transA", 0)]);
    check(turned);
    check(two().node(
        "Gelu",
        &["a"],
        "y",
        &[Attribute::Text("approximate", "tanh")],
    ));
}
