//! Bounds: every value of a run lies inside them, and a graph whose declared ranges do not follow from them is refused
//! where soundness rests on them.

use crate::common::Net;
use proptest::prelude::*;
use zkernel_gadgets::model::{Geometry, GraphError, Honest, Interval, Op, Visibility, run};

const INPUT: Interval = Interval::new(-8, 7);

fn network(channels: usize, seed: u64) -> Net {
    let window = Geometry::window([2, 2], [2, 2]);
    let net = Net::new(&[1, 1, 8, 8], INPUT, Visibility::Private, seed)
        .conv(channels, Geometry::window([3, 3], [1, 1]), 1)
        .relu(4, 9)
        .max_pool(window)
        .sum_pool(Geometry::window([3, 3], [1, 1]));
    net.flatten().dense(4).argmax().done()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn values_lie_inside(channels in 1usize..4, seed: u64) {
        let net = network(channels, seed);
        let bounds = net.graph.bounds().unwrap();
        let Ok(trace) = run(&net.graph, &net.weights, &net.input(seed), &mut Honest) else { return Ok(()) };
        for (values, bounds) in trace.values.iter().zip(bounds) {
            for value in values.iter().map(|v| i128::from(*v)) {
                prop_assert!(bounds.min <= value && value <= bounds.max, "{value} in {bounds:?}");
            }
        }
    }
}

/// A running maximum starts at the declared minimum of its input, so a false one would hide smaller values.
#[test]
fn a_maximum_over_a_range_that_does_not_follow_is_refused() {
    let net = network(2, 1);
    net.graph.validate().unwrap();
    let mut graph = net.graph;
    let pool = graph
        .nodes
        .iter()
        .find(|n| matches!(n.op, Op::MaxPool { .. }));
    let input = pool.unwrap().inputs[0].0 as usize;
    graph.tensors[input].range.min += 1;
    assert!(matches!(graph.validate(), Err(GraphError::Invalid { .. })));
}

/// Layer after layer without a table: the field would wrap around.
#[test]
fn accumulators_that_could_wrap_around_are_refused() {
    let deep = |layers: usize| {
        let net = Net::new(&[1, 4], INPUT, Visibility::Private, 1);
        let mut net = (0..layers).fold(net, |net, _| net.dense(4)).done();
        net.graph
            .weights
            .iter_mut()
            .for_each(|w| w.bound = (1 << 30) - 1);
        net.graph.tensors.iter_mut().for_each(|t| t.range = INPUT);
        net.graph.validate()
    };
    deep(3).unwrap();
    assert!(matches!(deep(4), Err(GraphError::Invalid { .. })));
}
