//! Fixed linear maps: the integer run follows the float run over random shapes, the circuit accepts it, and nothing but what
//! reads the result has cells.

use proptest::prelude::*;
use zkernel_gadgets::model::{Op, lower};
use zkernel_onnx::{Model, Options};

use crate::network::{Attribute, Network};
use crate::visibility::proven;

/// The model that ends in `y` is proven; every node of it is a view or a sum of views, which have no cell.
fn costs_nothing(network: Network) {
    let model = network.output("y").read().unwrap();
    let quantized = proven(&model, Options::default());
    for node in &quantized.graph.nodes {
        let free = matches!(
            node.op,
            Op::Affine { .. }
                | Op::Reshape
                | Op::Transpose { .. }
                | Op::Constant { .. }
                | Op::SumPool { .. }
        );
        assert!(free, "{}: {:?}", node.name, node.op);
    }
    let lowered = lower::<pasta_curves::Fp>(&quantized.graph, 8).unwrap();
    let inputs = |owner| matches!(owner, zkernel_gadgets::model::Owner::Input(_));
    let own = lowered
        .regions
        .iter()
        .filter(|((owner, _), _)| !inputs(*owner));
    assert_eq!(own.count(), 0, "{model:?}");
}

fn checked(network: Network) -> Model {
    let model = network.output("y").read().unwrap();
    proven(&model, Options::default());
    model
}

fn shape() -> impl Strategy<Value = Vec<i64>> {
    prop::collection::vec(1i64..5, 2..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn slices((shape, axis, start, end, step) in (shape(), 0usize..2, -6i64..6, -6i64..6, -3i64..4)) {
        let len = shape[axis];
        let step = if step == 0 { -1 } else { step };
        let front = |v: i64| if v < 0 { v + len } else { v };
        let (from, to) = match step > 0 {
            true => (front(start).clamp(0, len), front(end).clamp(0, len)),
            false => (front(start).clamp(-1, len - 1), front(end).clamp(-1, len - 1)),
        };
        prop_assume!(if step > 0 { from < to } else { from > to });
        let network = Network::new(&shape)
            .integers("start", &[start])
            .integers("end", &[end])
            .integers("axis", &[axis as i64])
            .integers("step", &[step]);
        costs_nothing(network.node("Slice", &["x", "start", "end", "axis", "step"], "y", &[]));
    }

    #[test]
    fn paddings((shape, pads, mode) in (shape(), prop::collection::vec(0i64..3, 6), 0usize..3)) {
        let rank = shape.len();
        let inside = |i: usize| pads[i].min(shape[i % rank] - 1);
        let pads: Vec<i64> = (0..2 * rank).map(inside).collect();
        let mode = Attribute::Text("mode", ["constant", "edge", "reflect"][mode]);
        costs_nothing(Network::new(&shape).integers("pads", &pads).node("Pad", &["x", "pads"], "y", &[mode]));
    }

    #[test]
    fn triangles((shape, k, upper) in (shape(), -3i64..3, 0i64..2)) {
        let upper = Attribute::Int("upper", upper);
        costs_nothing(Network::new(&shape).positions("k", &[], &[k]).node("Trilu", &["x", "k"], "y", &[upper]));
    }

    #[test]
    fn cumulative_sums((shape, axis, exclusive, reverse) in (shape(), 0i64..2, 0i64..2, 0i64..2)) {
        let with = [Attribute::Int("exclusive", exclusive), Attribute::Int("reverse", reverse)];
        costs_nothing(Network::new(&shape).positions("axis", &[], &[axis]).node("CumSum", &["x", "axis"], "y", &with));
    }

    #[test]
    fn gathers((shape, axis, at) in (shape(), 0usize..2, prop::collection::vec(0i64..60, 6))) {
        let len = shape[axis];
        let at: Vec<i64> = at.iter().map(|i| i % (2 * len) - len).collect();
        let network = Network::new(&shape).positions("at", &[2, 3], &at);
        costs_nothing(network.node("Gather", &["x", "at"], "y", &[Attribute::Int("axis", axis as i64)]));
        let mut indices = shape.clone();
        indices[axis] = 6;
        let count: i64 = indices.iter().product();
        let all: Vec<i64> = (0..count).map(|i| at[(i * 5 % 6) as usize]).collect();
        let network = Network::new(&shape).positions("at", &indices, &all);
        costs_nothing(network.node("GatherElements", &["x", "at"], "y", &[Attribute::Int("axis", axis as i64)]));
        let tuples = Network::new(&shape).positions("at", &[3, 2], &at.iter().enumerate().map(|(i, v)| v.rem_euclid(shape[i % 2].min(len))).map(|v| v.min(shape[0].min(shape[1]) - 1)).collect::<Vec<_>>());
        costs_nothing(tuples.node("GatherND", &["x", "at"], "y", &[]));
    }

    #[test]
    fn resizings((h, w, up, down, mode, place) in (2i64..5, 2i64..5, 1i64..4, 1i64..3, 0usize..3, 0usize..3)) {
        let mode = ["nearest", "linear", "cubic"][mode];
        let place = ["half_pixel", "align_corners", "asymmetric"][place];
        let network = Network::new(&[1, 2, h, w]).integers("sizes", &[1, 2, h * up, (w * 2 / down).max(1)]);
        let with = [Attribute::Text("mode", mode), Attribute::Text("coordinate_transformation_mode", place)];
        costs_nothing(network.node("Resize", &["x", "", "", "sizes"], "y", &with));
    }

    #[test]
    fn averages(
        (h, w, kernel, stride, pad) in (3i64..7, 3i64..7, 1i64..4, 1i64..3, 0i64..2), (padding, ceil) in (0i64..2, 0i64..2),
    ) {
        prop_assume!(pad < kernel);
        let kernels: &'static [i64] = [&[1, 1], &[2, 2], &[3, 3]][kernel as usize - 1];
        let strides: &'static [i64] = [&[1, 1], &[2, 2]][stride as usize - 1];
        let pads: &'static [i64] = [&[0, 0, 0, 0], &[1, 1, 1, 1]][pad as usize];
        let with = [
            Attribute::Ints("kernel_shape", kernels),
            Attribute::Ints("strides", strides),
            Attribute::Ints("pads", pads),
            Attribute::Int("count_include_pad", padding),
            Attribute::Int("ceil_mode", ceil),
        ];
        costs_nothing(Network::new(&[1, 2, h, w]).node("AveragePool", &["x"], "y", &with));
    }
}

#[test]
fn scatters() {
    let start = || Network::new(&[3, 4]).constant("u", &[1, 2], &[0.5, -0.75]);
    for reduction in ["none", "add"] {
        let with = || {
            [
                Attribute::Text("reduction", reduction),
                Attribute::Int("axis", 1),
            ]
        };
        let network = start().positions("at", &[1, 2], &[2, -1]);
        checked(network.node("ScatterElements", &["x", "at", "u"], "y", &with()));
        let network =
            start()
                .positions("at", &[2, 2], &[1, 0, 2, 3])
                .constant("v", &[2], &[1.0, -1.0]);
        checked(network.node("ScatterND", &["x", "at", "v"], "y", &with()[..1]));
    }
    // Updates that are activations into a constant.
    let network = Network::new(&[2, 4])
        .constant("zeros", &[3, 4], &[0.0; 12])
        .positions("at", &[2, 1], &[2, 0]);
    checked(network.node("ScatterND", &["zeros", "at", "x"], "y", &[]));
}

#[test]
fn blocks() {
    for mode in ["DCR", "CRD"] {
        let with = [
            Attribute::Int("blocksize", 2),
            Attribute::Text("mode", mode),
        ];
        costs_nothing(Network::new(&[1, 8, 2, 3]).node("DepthToSpace", &["x"], "y", &with));
    }
    costs_nothing(Network::new(&[2, 2, 4, 6]).node(
        "SpaceToDepth",
        &["x"],
        "y",
        &[Attribute::Int("blocksize", 2)],
    ));
}

#[test]
fn transposed_convolutions() {
    let weights: Vec<f32> = (0..4 * 3 * 9)
        .map(|i| (i * 7 % 11) as f32 / 11.0 - 0.4)
        .collect();
    let start = |each: i64| {
        let count = (4 * each * 9) as usize;
        Network::new(&[1, 4, 3, 2])
            .constant("w", &[4, each, 3, 3], &weights[..count])
            .constant("b", &[each], &weights[..each as usize])
    };
    let plain: [&[Attribute]; 4] = [
        &[],
        &[Attribute::Ints("strides", &[2, 3])],
        &[
            Attribute::Ints("strides", &[2, 2]),
            Attribute::Ints("pads", &[1, 0, 1, 2]),
            Attribute::Ints("output_padding", &[1, 1]),
        ],
        &[
            Attribute::Ints("dilations", &[2, 1]),
            Attribute::Ints("pads", &[1, 1, 1, 1]),
        ],
    ];
    for with in plain {
        checked(start(2).node("ConvTranspose", &["x", "w", "b"], "y", with));
    }
    let grouped = [
        Attribute::Int("group", 2),
        Attribute::Ints("strides", &[2, 2]),
    ];
    checked(start(3).node("ConvTranspose", &["x", "w"], "y", &grouped));
    let line = Network::new(&[1, 2, 4]).constant("w", &[2, 3, 3], &weights[..18]);
    checked(line.node(
        "ConvTranspose",
        &["x", "w"],
        "y",
        &[Attribute::Ints("strides", &[2])],
    ));
}
