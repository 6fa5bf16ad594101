//! Operators that ONNX Runtime puts in the place of several, one by one: against what they stand for.

use tract_onnx::pb::tensor_proto::DataType;

use crate::fused::{of_runtime, same, start, values};
use crate::network::{Attribute, Network};

const BYTE: DataType = DataType::Uint8;

/// A step and a zero point, `NAME_s` and `NAME_z`.
fn steps(network: Network, name: &str, step: f32, zero: i32) -> Network {
    network.constant(&format!("{name}_s"), &[], &[step]).small(
        &format!("{name}_z"),
        &[],
        BYTE,
        &[zero],
    )
}

/// `a` and `d` in integers, `i` and `j`, and the steps of what comes out.
fn integers(start: Network) -> Network {
    let network = start.node("Tanh", &["a"], "d", &[]);
    let network = steps(
        steps(steps(network, "i", 0.02, 100), "j", 0.009, 128),
        "o",
        0.011,
        90,
    );
    network
        .node("QuantizeLinear", &["a", "i_s", "i_z"], "i", &[])
        .node("QuantizeLinear", &["d", "j_s", "j_z"], "j", &[])
}

/// Both again as real numbers, `e` and `f`.
fn real(start: Network) -> Network {
    integers(start)
        .node("DequantizeLinear", &["i", "i_s", "i_z"], "e", &[])
        .node("DequantizeLinear", &["j", "j_s", "j_z"], "f", &[])
}

/// The output `o` of integers, dequantized.
fn shown(network: Network) -> Network {
    network.node("DequantizeLinear", &["o", "o_s", "o_z"], "y", &[])
}

fn rounded(network: Network, from: &str) -> Network {
    shown(network.node("QuantizeLinear", &[from, "o_s", "o_z"], "o", &[]))
}

#[test]
fn sums_and_products_of_integers() {
    let names = ["i", "i_s", "i_z", "j", "j_s", "j_z", "o_s", "o_z"];
    for (op, plain) in [("QLinearAdd", "Add"), ("QLinearMul", "Mul")] {
        let fused = of_runtime(integers(start()).node(op, &names, "o", &[]));
        let plain = real(start()).node(plain, &["e", "f"], "h", &[]);
        same(shown(fused), rounded(plain, "h"));
    }
}

#[test]
fn integers_side_by_side() {
    let names = ["o_s", "o_z", "i", "i_s", "i_z", "j", "j_s", "j_z"];
    for axis in [1, 2] {
        let with = || [Attribute::Int("axis", axis)];
        let fused = of_runtime(integers(start()).node("QLinearConcat", &names, "o", &with()));
        let plain = real(start()).node("Concat", &["e", "f"], "h", &with());
        same(shown(fused), rounded(plain, "h"));
    }
}

#[test]
fn functions_of_integers() {
    let names = ["i", "i_s", "i_z", "o_s", "o_z"];
    let alpha = || [Attribute::Float("alpha", 0.3)];
    for (op, plain) in [
        ("QLinearSigmoid", "Sigmoid"),
        ("QLinearLeakyRelu", "LeakyRelu"),
    ] {
        let with = if plain == "Sigmoid" {
            Vec::new()
        } else {
            alpha().into()
        };
        let fused = of_runtime(integers(start()).node(op, &names, "o", &with));
        let plain = real(start()).node(plain, &["e"], "h", &with);
        same(shown(fused), rounded(plain, "h"));
    }
    let with = [Attribute::Int("axis", -1), Attribute::Int("opset", 13)];
    let fused = of_runtime(integers(start()).node("QLinearSoftmax", &names, "o", &with));
    let plain = real(start()).node("Softmax", &["e"], "h", &[Attribute::Int("axis", -1)]);
    same(shown(fused), rounded(plain, "h"));
}

#[test]
fn pools_of_integers() {
    let image = || {
        Network::new(&[1, 2, 4, 5])
            .constant("far", &[1], &[2.5])
            .node("Mul", &["x", "far"], "a", &[])
    };
    let names = ["i", "i_s", "i_z", "o_s", "o_z"];
    let with = || {
        [
            Attribute::Ints("kernel_shape", &[2, 3]),
            Attribute::Ints("strides", &[2, 1]),
        ]
    };
    let fused = of_runtime(integers(image()).node("QLinearAveragePool", &names, "o", &with()));
    let plain = real(image()).node("AveragePool", &["e"], "h", &with());
    same(shown(fused), rounded(plain, "h"));
    let fused = integers(image()).node("QLinearGlobalAveragePool", &names, "o", &[]);
    let plain = real(image()).node("GlobalAveragePool", &["e"], "h", &[]);
    same(shown(of_runtime(fused)), rounded(plain, "h"));
}

/// A layer of integers with a bias in steps of both; real numbers come out where the file names no steps for them.
#[test]
fn layers_of_integers() {
    let start = || {
        let network = Network::new(&[1, 4]).node("Tanh", &["x"], "a", &[]);
        let w: Vec<i32> = (0..12).map(|i| (i * 37 + 11) % 253).collect();
        steps(integers(network), "w", 0.011, 120)
            .small("w", &[3, 4], BYTE, &w)
            .small("b", &[3], DataType::Int32, &[500, -700, 20])
    };
    let with = || [Attribute::Int("transB", 1), Attribute::Float("alpha", 0.5)];
    let plain = || {
        let bias = [500.0, -700.0, 20.0].map(|b| b * 0.02 * 0.011);
        start()
            .node("DequantizeLinear", &["i", "i_s", "i_z"], "e", &[])
            .node("DequantizeLinear", &["w", "w_s", "w_z"], "r", &[])
            .constant("c", &[3], &bias)
    };
    let names = ["i", "i_s", "i_z", "w", "w_s", "w_z", "b", "o_s", "o_z"];
    let fused = of_runtime(start().node("QGemm", &names, "o", &with()));
    same(
        shown(fused),
        rounded(plain().node("Gemm", &["e", "r", "c"], "h", &with()), "h"),
    );
    let fused = of_runtime(start().node("QGemm", &names[..7], "y", &with()));
    same(fused, plain().node("Gemm", &["e", "r", "c"], "y", &with()));
}

#[test]
fn layers_with_a_function() {
    let matrix = || {
        Network::new(&[2, 4])
            .constant("w", &[4, 4], &values(16, 1))
            .constant("b", &[4], &values(4, 2))
    };
    let own = || vec![Attribute::Int("transB", 1), Attribute::Float("beta", 0.5)];
    for (op, alpha) in [
        ("Relu", None),
        ("Tanh", None),
        ("LeakyRelu", Some(0.2)),
        ("Elu", Some(0.7)),
    ] {
        let mut with = own();
        with.push(Attribute::Text("activation", op));
        with.extend(alpha.map(|alpha| Attribute::Float("activation_alpha", alpha)));
        let fused = of_runtime(matrix().node("FusedGemm", &["x", "w", "b"], "y", &with));
        let given: Vec<Attribute> = alpha
            .map(|a| Attribute::Float("alpha", a))
            .into_iter()
            .collect();
        let plain = matrix().node("Gemm", &["x", "w", "b"], "h", &own());
        same(fused, plain.node(op, &["h"], "y", &given));
    }
}

#[test]
fn a_bias_and_a_residual() {
    let fused = of_runtime(start().node("BiasAdd", &["a", "b", "x"], "y", &[]));
    same(fused, start().node("Sum", &["a", "b", "x"], "y", &[]));
}

/// Words, segments and positions, normalised; the words are numbers that the network finds.
#[test]
fn embeddings_of_words() {
    let words = || {
        Network::new(&[1, 3, 5])
            .constant("words", &[5, 4], &values(20, 1))
            .constant("places", &[6, 4], &values(24, 2))
            .constant("kinds", &[2, 4], &values(8, 3))
            .constant("g", &[4], &values(4, 4))
            .constant("b", &[4], &values(4, 5))
            .positions("segments", &[1, 3], &[0, 1, 1])
            .positions("at", &[1, 3], &[0, 1, 2])
            .node(
                "ArgMax",
                &["x"],
                "ids",
                &[Attribute::Int("axis", 2), Attribute::Int("keepdims", 0)],
            )
    };
    let names = ["ids", "segments", "words", "places", "kinds", "g", "b"];
    let with = [Attribute::Float("epsilon", 1e-3)];
    let fused = of_runtime(words().node("EmbedLayerNormalization", &names, "y", &with));
    let plain = words()
        .node("Gather", &["words", "ids"], "u", &[])
        .node("Gather", &["places", "at"], "v", &[])
        .node("Gather", &["kinds", "segments"], "w", &[])
        .node("Sum", &["u", "v", "w"], "s", &[]);
    same(
        fused,
        plain.node("LayerNormalization", &["s", "g", "b"], "y", &with),
    );
}

/// Masks of keys, one for each, and scores that are added.
#[test]
fn attention_with_masks() {
    let heads = || {
        [
            Attribute::Int("num_heads", 2),
            Attribute::Float("mask_filter_value", -1e4),
        ]
    };
    let split = |network: Network, from: &str, to: &str| {
        network
            .node("Reshape", &[from, "heads"], &format!("{to}_s"), &[])
            .node(
                "Transpose",
                &[&format!("{to}_s")],
                to,
                &[Attribute::Ints("perm", &[0, 2, 1, 3])],
            )
    };
    let plain = |mask: &[f32]| {
        let network = start()
            .integers("heads", &[1, 3, 2, 2])
            .integers("flat", &[1, 3, 4])
            .constant("root", &[1], &[std::f32::consts::FRAC_1_SQRT_2])
            .constant("added", &[1, 1, mask.len() as i64 / 3, 3], mask);
        let network = split(split(split(network, "a", "q"), "x", "k"), "x", "v");
        network
            .node(
                "Transpose",
                &["k"],
                "kt",
                &[Attribute::Ints("perm", &[0, 1, 3, 2])],
            )
            .node("MatMul", &["q", "kt"], "raw", &[])
            .node("Mul", &["raw", "root"], "scores", &[])
            .node("Add", &["scores", "added"], "masked", &[])
            .node("Softmax", &["masked"], "p", &[])
            .node("MatMul", &["p", "v"], "o", &[])
            .node(
                "Transpose",
                &["o"],
                "t",
                &[Attribute::Ints("perm", &[0, 2, 1, 3])],
            )
            .node("Reshape", &["t", "flat"], "y", &[])
    };
    let fused = start().small("mask", &[1, 3], DataType::Int32, &[1, 1, 0]);
    let names = ["a", "x", "x", "", "mask"];
    let fused = fused.node("MultiHeadAttention", &names, "y", &heads());
    same(
        of_runtime(fused),
        plain(&[0.0, 0.0, -1e4, 0.0, 0.0, -1e4, 0.0, 0.0, -1e4]),
    );
    let scores = values(9, 6);
    let fused = start().constant("scores", &[1, 1, 3, 3], &scores);
    let names = ["a", "x", "x", "", "", "scores"];
    let fused = fused.node("MultiHeadAttention", &names, "y", &heads());
    same(of_runtime(fused), plain(&scores));
}
