//! Steps that are found from the values: the network is that of real numbers with the weights' integers.

use tract_onnx::pb::tensor_proto::DataType;
use zkernel_onnx::Error;

use crate::fused::{of_runtime, same, start, values};
use crate::network::{Attribute, Network};

const SIGNED: DataType = DataType::Int8;
const BYTE: DataType = DataType::Uint8;

/// Integers of bytes without a pattern, and the real numbers they stand for: `step (w - zero)`, by the last axis.
fn weights(len: usize, steps: &[f32], zeros: &[i32]) -> (Vec<i32>, Vec<f32>) {
    let integers: Vec<i32> = (0..len).map(|i| ((i * 37 + 11) % 253) as i32).collect();
    let real = |(i, w): (usize, &i32)| (w - zeros[i % zeros.len()]) as f32 * steps[i % steps.len()];
    let real = integers.iter().enumerate().map(real).collect();
    (integers, real)
}

/// `a` in integers `q` with its scale `s` and zero point `z`.
fn found(network: Network) -> Network {
    network
        .node("DynamicQuantizeLinear", &["a"], "q", &[])
        .and("s")
        .and("z")
}

/// What follows a product of integers: a cast, and both scales.
fn scaled(network: Network, product: &str) -> Network {
    network
        .node("Cast", &[product], "real", &[Attribute::Int("to", 1)])
        .node("Mul", &["s", "u_s"], "both", &[])
        .node("Mul", &["real", "both"], "y", &[])
}

#[test]
fn products_with_integers() {
    for count in [1, 5] {
        let (steps, zeros) = (
            &[0.011, 0.02, 0.004, 0.03, 0.007][..count],
            &[120, 99, 130, 128, 3][..count],
        );
        let (integers, real) = weights(20, steps, zeros);
        let shape: &[i64] = if count == 1 { &[] } else { &[5] };
        let network = start()
            .small("u", &[4, 5], BYTE, &integers)
            .small("u_z", shape, BYTE, zeros)
            .constant("u_s", shape, steps);
        let network = found(network).node("MatMulInteger", &["q", "u", "z", "u_z"], "p", &[]);
        let plain = start().constant("r", &[4, 5], &real);
        same(
            scaled(network, "p"),
            plain.node("MatMul", &["a", "r"], "y", &[]),
        );
    }
}

/// Heads of attention: both sides are found, one through views; and integers that are dequantized at once.
#[test]
fn products_of_what_is_found() {
    let turned = || [Attribute::Ints("perm", &[0, 2, 1])];
    let network = found(start())
        .node("Transpose", &["q"], "t", &turned())
        .node("MatMulInteger", &["q", "t", "z", "z"], "p", &[])
        .node("Cast", &["p"], "real", &[Attribute::Int("to", 1)])
        .node("Mul", &["s", "s"], "both", &[])
        .node("Mul", &["real", "both"], "y", &[]);
    let plain =
        start()
            .node("Transpose", &["a"], "t", &turned())
            .node("MatMul", &["a", "t"], "y", &[]);
    same(network, plain);
    let network = found(start()).node("DequantizeLinear", &["q", "s", "z"], "d", &[]);
    let plain = start().node("Relu", &["a"], "y", &[]);
    same(network.node("Relu", &["d"], "y", &[]), plain);
}

#[test]
fn convolutions_with_integers() {
    let (integers, real) = weights(2 * 2 * 4, &[0.013], &[110]);
    let image = || Network::new(&[1, 2, 3, 3]).node("Tanh", &["x"], "a", &[]);
    let with = || [Attribute::Ints("pads", &[1, 1, 0, 0])];
    let network = image()
        .small("u", &[2, 2, 2, 2], BYTE, &integers)
        .small("u_z", &[], BYTE, &[110])
        .constant("u_s", &[], &[0.013]);
    let network = found(network).node("ConvInteger", &["q", "u", "z", "u_z"], "p", &with());
    let plain = image().constant("r", &[2, 2, 2, 2], &real);
    same(
        scaled(network, "p"),
        plain.node("Conv", &["a", "r"], "y", &with()),
    );
}

#[test]
fn products_of_the_runtime() {
    let (integers, real) = weights(20, &[0.011], &[120]);
    let network = || {
        start()
            .small("u", &[4, 5], BYTE, &integers)
            .small("u_z", &[], BYTE, &[120])
            .constant("u_s", &[], &[0.011])
            .constant("c", &[5], &values(5, 8))
    };
    let plain = start()
        .constant("r", &[4, 5], &real)
        .constant("c", &[5], &values(5, 8))
        .node("MatMul", &["a", "r"], "p", &[])
        .node("Add", &["p", "c"], "y", &[]);
    let names = ["a", "u", "u_s", "u_z", "c"];
    let fused = network().node("DynamicQuantizeMatMul", &names, "y", &[]);
    same(of_runtime(fused), plain.clone());
    let names = ["q", "u", "s", "u_s", "z", "u_z", "c"];
    let fused = found(network()).node("MatMulIntegerToFloat", &names, "y", &[]);
    same(of_runtime(fused), plain);
}

/// Weights by gate of each direction, transposed, against the recurrence with their real numbers.
#[test]
fn recurrences_with_integers() {
    let (hidden, gates) = (2, 8);
    let steps: Vec<f32> = (0..gates).map(|g| 0.004 + 0.001 * g as f32).collect();
    let zeros = vec![120; gates];
    let (w, real_w) = weights(4 * gates, &steps, &zeros);
    let (r, real_r) = weights(hidden * gates, &[0.005], &[128]);
    let turned = |x: &[f32]| -> Vec<f32> {
        let rows = x.len() / gates;
        (0..x.len())
            .map(|i| x[i % rows * gates + i / rows])
            .collect()
    };
    let size = || [Attribute::Int("hidden_size", hidden as i64)];
    let start = || {
        let bias = values(2 * gates, 3);
        Network::new(&[3, 1, 4]).constant("b", &[1, 2 * gates as i64], &bias)
    };
    let fused = start()
        .small("w", &[1, 4, 8], BYTE, &w)
        .small("w_z", &[1, 8], BYTE, &zeros)
        .constant("w_s", &[1, 8], &steps)
        .small("r", &[1, 2, 8], BYTE, &r)
        .small("r_z", &[1], BYTE, &[128])
        .constant("r_s", &[1], &[0.005]);
    let names = [
        "x", "w", "r", "b", "", "", "", "", "w_s", "w_z", "r_s", "r_z",
    ];
    let fused = of_runtime(fused.node("DynamicQuantizeLSTM", &names, "y", &size()));
    let plain = start()
        .constant("w", &[1, 8, 4], &turned(&real_w))
        .constant("r", &[1, 8, 2], &turned(&real_r));
    same(
        fused,
        plain.node("LSTM", &["x", "w", "r", "b"], "y", &size()),
    );
}

/// Integers that are shown, or that something else computes with, are not real numbers.
#[test]
fn integers_that_go_elsewhere_are_refused() {
    for network in [
        found(start()).output("q"),
        found(start())
            .node("Cast", &["z"], "y", &[Attribute::Int("to", 1)])
            .output("y"),
        found(start())
            .small("k", &[], SIGNED, &[1])
            .node("Add", &["q", "k"], "y", &[])
            .output("y"),
    ] {
        match network.read() {
            Err(Error::Unsupported(nodes)) => assert_eq!(nodes[0].op, "DynamicQuantizeLinear"),
            other => panic!("{other:?}"),
        }
    }
}

/// A layer whose weights share steps by blocks, and one of 16 bits with a step for each column.
#[test]
fn steps_of_weights() {
    let (integers, _) = weights(20, &[1.0], &[0]);
    let signed: Vec<i32> = integers.iter().map(|w| w - 120).collect();
    let steps = values(10, 6).into_iter().map(|s| 0.01 + s.abs() / 50.0);
    let steps: Vec<f32> = steps.collect();
    let of = |p: usize| steps[p / 5 / 2 * 5 + p % 5];
    let real: Vec<f32> = (0..20).map(|p| signed[p] as f32 * of(p)).collect();
    let with = [Attribute::Int("axis", 0), Attribute::Int("block_size", 2)];
    let blocked = start()
        .small("u", &[4, 5], SIGNED, &signed)
        .constant("s", &[2, 5], &steps)
        .node("DequantizeLinear", &["u", "s"], "r", &with)
        .node("MatMul", &["a", "r"], "y", &[]);
    let plain = start().constant("r", &[4, 5], &real);
    same(blocked, plain.node("MatMul", &["a", "r"], "y", &[]));
    let (steps, zeros) = (
        [1e-4, 2e-4, 5e-5, 1e-4, 3e-4],
        [32_000, 30_000, 33_000, 32_768, 32_760],
    );
    let wide: Vec<i32> = integers.iter().map(|w| 32_000 + 40 * (w - 120)).collect();
    let real: Vec<f32> = (0..20)
        .map(|p| (wide[p] - zeros[p % 5]) as f32 * steps[p % 5])
        .collect();
    let network = start()
        .small("u", &[4, 5], DataType::Uint16, &wide)
        .small("z", &[5], DataType::Uint16, &zeros)
        .constant("s", &[5], &steps)
        .node(
            "DequantizeLinear",
            &["u", "s", "z"],
            "r",
            &[Attribute::Int("axis", 1)],
        )
        .node("MatMul", &["a", "r"], "y", &[]);
    let plain = start().constant("r", &[4, 5], &real);
    same(network, plain.node("MatMul", &["a", "r"], "y", &[]));
}

/// Activations in 16 bits pass, and stay above 0 where the least integer stands for it.
#[test]
fn activations_of_16_bits() {
    let pair = |zero: i32| {
        start()
            .constant("s", &[], &[1e-4])
            .small("z", &[], DataType::Uint16, &[zero])
            .node("QuantizeLinear", &["a", "s", "z"], "i", &[])
            .node("DequantizeLinear", &["i", "s", "z"], "r", &[])
            .node("MatMul", &["r", "w"], "y", &[])
    };
    same(pair(32_768), start().node("MatMul", &["a", "w"], "y", &[]));
    let plain = start().node("Relu", &["a"], "r", &[]);
    same(pair(0), plain.node("MatMul", &["r", "w"], "y", &[]));
}
