//! Convolutions over three axes, and by kernels that are computed: the integer run follows the reference's.

use proptest::prelude::*;
use zkernel_onnx::Options;

use crate::network::{Attribute, Network};
use crate::visibility::proven;

fn values(len: i64) -> Vec<f32> {
    let value = |i| ((i * 37 + 11) % 29) as f32 / 14.0 - 1.0;
    (0..len).map(value).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn volumes(
        groups in 1i64..3,
        kernel in prop::sample::select(vec![&[1, 2, 2][..], &[2, 1, 3], &[3, 2, 1]]),
        strides in prop::sample::select(vec![&[1, 1, 1][..], &[2, 1, 1], &[2, 2, 1]]),
        dilations in prop::sample::select(vec![&[1, 1, 1][..], &[2, 1, 1]]),
        pads in prop::sample::select(vec![&[0; 6][..], &[1, 0, 0, 2, 1, 0], &[2, 0, 1, 0, 1, 1]]),
        normalized in any::<bool>(),
    ) {
        let shape = [&[2 * groups, 2][..], kernel].concat();
        let with = [
            Attribute::Int("group", groups),
            Attribute::Ints("strides", strides),
            Attribute::Ints("dilations", dilations),
            Attribute::Ints("pads", pads),
        ];
        let rows = 2 * groups;
        let mut network = Network::new(&[1, 2 * groups, 5, 3, 3])
            .constant("w", &shape, &values(shape.iter().product()))
            .constant("b", &[rows], &values(rows))
            .node("Conv", &["x", "w", "b"], "c", &with);
        if normalized {
            let ones = vec![1.5; rows as usize];
            network = network
                .constant("ones", &[rows], &ones)
                .node("BatchNormalization", &["c", "b", "b", "b", "ones"], "n", &[]);
        }
        let last = if normalized { "n" } else { "c" };
        let model = network.node("Relu", &[last], "y", &[]).output("y").read().unwrap();
        let layers = model.nodes.iter().filter(|node| node.op.linear().is_some()).count();
        prop_assert_eq!(layers, 1, "the normalisation is part of the layer");
        proven(&model, Options::default());
    }

    /// A kernel that the network computes, in one to three dimensions.
    #[test]
    fn computed_kernels(axes in 1usize..4, groups in 1i64..3, biased in any::<bool>(), pad in 0i64..2) {
        let image = [&[1, 2 * groups][..], &vec![3; axes]].concat();
        let kernel = [&[2 * groups, 2][..], &vec![2; axes]].concat();
        let len: i64 = kernel.iter().product();
        let all: i64 = image.iter().product();
        let rows = 2 * groups;
        let pads: &'static [i64] = match (axes, pad) {
            (_, 0) => &[],
            (1, _) => &[1, 0],
            (2, _) => &[1, 0, 0, 1],
            _ => &[1, 0, 0, 0, 0, 1],
        };
        let network = Network::new(&image)
            .integers("flat", &[1, all])
            .integers("kernel", &kernel)
            .integers("rows", &[rows])
            .constant("w", &[all, len], &values(all * len).iter().map(|v| v / 4.0).collect::<Vec<_>>())
            .constant("v", &[all, rows], &values(all * rows))
            .node("Reshape", &["x", "flat"], "f", &[])
            .node("MatMul", &["f", "w"], "m", &[])
            .node("Reshape", &["m", "kernel"], "k", &[])
            .node("MatMul", &["f", "v"], "n", &[])
            .node("Reshape", &["n", "rows"], "b", &[]);
        let inputs: &[&str] = if biased { &["x", "k", "b"] } else { &["x", "k"] };
        let twos: &'static [i64] = &[2i64; 3][..axes];
        let with = [
            Attribute::Int("group", groups),
            Attribute::Ints("pads", pads),
            Attribute::Ints("kernel_shape", twos),
        ];
        let model = network.node("Conv", inputs, "y", &with).output("y").read().unwrap();
        proven(&model, Options::default());
    }
}
