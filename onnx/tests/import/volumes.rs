//! Convolutions over three axes: the integer run follows the reference's.

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
}
