//! Layouts: whatever is split, and however n is chosen, no value changes.

use crate::common::Net;
use pasta_curves::Fp;
use proptest::prelude::*;
use zkernel_gadgets::model::{
    Function, Graph, Honest, Interval, LowerError, Visibility, choose_layout, run,
};

/// A layer and a clip at 6 that many steps above 0, then a range.
fn clipped(steps: f64, seed: u64) -> Net {
    let net = Net::new(&[2, 4], Interval::new(-8, 7), Visibility::Private, seed);
    let step = 6.0 / steps;
    net.dense(5)
        .requantize(0, Function::Relu6, 10, [step, step])
        .within(1 << 12)
        .requantize(2, Function::Identity, 10, [1.0, 1.0])
        .done()
}

/// The layout with the most tables split, or the fewest.
fn layout(graph: &Graph, split: bool) -> (Graph, u32) {
    choose_layout::<Fp, LowerError>(graph, |graph, system| {
        let whole = graph.tables.iter().filter(|t| t.low == 0).count();
        let tables = if split {
            whole
        } else {
            graph.tables.len() - whole
        };
        Ok((tables * 100) as f64 + f64::from(system.log_n))
    })
    .unwrap()
}

fn lows(graph: &Graph, function: Function) -> Vec<u32> {
    let of = graph.tables.iter().filter(|t| t.function == function);
    of.map(|t| t.low).collect()
}

/// Walks down to the shortest columns as long as that is cheaper.
#[test]
fn the_column_length_follows_the_cost() {
    let graph = clipped(512.0, 1).graph;
    let longest = choose_layout::<Fp, LowerError>(&graph, |_, s| Ok(-f64::from(s.log_n)));
    assert_eq!(longest.unwrap().1, 16);
    assert_eq!(layout(&graph, false).1, 6);
}

#[test]
fn only_clips_that_end_with_a_segment_are_split() {
    let ends = layout(&clipped(512.0, 1).graph, true).0;
    assert!(lows(&ends, Function::Relu6)[0] > 0);
    let between = layout(&clipped(500.0, 1).graph, true).0;
    assert_eq!(lows(&between, Function::Relu6), [0]);
    assert!(lows(&between, Function::Identity)[0] > 0, "a range is");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn no_layout_changes_a_value(seed in 0u64..1000, ends in any::<bool>()) {
        let net = clipped(if ends { 512.0 } else { 500.0 }, seed);
        let input = net.input(seed);
        let outputs = |graph: &Graph| {
            let trace = run(graph, &net.weights, &input, &mut Honest).unwrap();
            trace.values[graph.outputs[0].0 as usize].clone()
        };
        let plain = outputs(&net.graph);
        for split in [false, true] {
            let chosen = layout(&net.graph, split).0;
            chosen.validate().unwrap();
            prop_assert_eq!(&outputs(&chosen), &plain);
        }
    }
}
