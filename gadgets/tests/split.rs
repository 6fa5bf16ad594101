//! Networks cut in two: every cut gives the whole network's integers, and what cannot be cut is refused.

use crate::common::Net;
use proptest::prelude::*;
use zkernel_gadgets::model::{
    Graph, Honest, Interval, Node, Op, SplitError, TensorId, Visibility, run,
};

const INPUT: Interval = Interval::new(-8, 7);

/// Dense and ReLU layers of those widths, and an argmax.
fn network(widths: &[usize], seed: u64) -> Net {
    let mut net = Net::new(&[2, widths[0]], INPUT, Visibility::Private, seed);
    for width in &widths[1..] {
        net = net.dense(*width).relu(3, 9);
    }
    let mut net = net.dense(4).within(1 << 20).argmax().done();
    for (index, tensor) in net.graph.tensors.iter_mut().enumerate() {
        tensor.name = format!("t{index}");
    }
    net
}

fn outputs(graph: &Graph, values: &[Vec<i64>]) -> Vec<Vec<i64>> {
    let of = |id: &TensorId| values[id.0 as usize].clone();
    graph.outputs.iter().map(of).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn segments_compute_what_the_network_does(
        widths in prop::collection::vec(1usize..6, 1..4),
        seed in any::<u64>(),
        pick in any::<prop::sample::Index>(),
    ) {
        let net = network(&widths, seed);
        let input = net.input(seed).remove(0);
        let whole = run(&net.graph, &net.weights, std::slice::from_ref(&input), &mut Honest).unwrap();
        let cuts = net.graph.cuts();
        // Everything but the output: dense accumulators, ReLUs, and the logits.
        prop_assert_eq!(cuts.len(), net.graph.nodes.len() - 1);
        let at = cuts[pick.index(cuts.len())];
        let name = &net.graph.tensors[at.0 as usize].name;
        let [(first, its), (second, theirs)] = net.graph.split(&net.weights, name).unwrap();
        prop_assert_eq!(first.nodes.len() + second.nodes.len(), net.graph.nodes.len());
        prop_assert_eq!(its.0.len() + theirs.0.len(), net.weights.0.len());
        let trace = run(&first, &its, &[input], &mut Honest).unwrap();
        let between = outputs(&first, &trace.values);
        prop_assert_eq!(&between, &[whole.values[at.0 as usize].clone()]);
        let trace = run(&second, &theirs, &between, &mut Honest).unwrap();
        prop_assert_eq!(outputs(&second, &trace.values), outputs(&net.graph, &whole.values));
        for (graph, id) in [(&first, first.outputs[0]), (&second, second.inputs[0])] {
            prop_assert_eq!(graph.tensors[id.0 as usize].visibility, Visibility::Committed);
        }
    }
}

/// A tensor that something after it goes around is no cut, and the error lists those that are.
#[test]
fn a_connection_around_a_tensor_is_no_cut() {
    let mut net = network(&[3, 5], 1);
    let graph = &mut net.graph;
    // The ReLU's values added to themselves through a view: both are read after the view.
    let relu = graph.nodes[1].output;
    let tensor = graph.tensors[relu.0 as usize].clone();
    let ids = [0, 1].map(|i| TensorId(graph.tensors.len() as u32 + i));
    for name in ["view", "sum"] {
        let mut tensor = tensor.clone();
        tensor.name = name.into();
        graph.tensors.push(tensor);
    }
    let shape = &tensor.shape[..];
    let nodes = [
        (Op::Reshape, vec![relu], ids[0]),
        (
            Op::add([shape, shape], [1, 1], shape),
            vec![relu, ids[0]],
            ids[1],
        ),
    ];
    for (index, (op, inputs, output)) in nodes.into_iter().enumerate() {
        let name = format!("around {index}");
        graph.nodes.insert(
            2 + index,
            Node {
                name,
                op,
                inputs,
                output,
            },
        );
    }
    graph.nodes[4].inputs[0] = ids[1];
    graph.validate().unwrap();
    let relu = graph.tensors[relu.0 as usize].name.clone();
    assert!(net.graph.split(&net.weights, &relu).is_ok());
    assert!(net.graph.split(&net.weights, "sum").is_ok());
    let output = net.graph.tensors[net.graph.outputs[0].0 as usize]
        .name
        .clone();
    for name in ["view", "x", "nowhere", &output] {
        let error = net.graph.split(&net.weights, name).unwrap_err();
        let SplitError::Name { cuts, .. } = error else {
            panic!("{name}: {error}");
        };
        assert!(cuts.contains(&relu) && cuts.contains(&"sum".to_owned()));
        assert!(!cuts.iter().any(|cut| cut == name), "{name}");
    }
}
