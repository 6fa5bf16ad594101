//! Several inputs under one proof: the values of each are those of the network alone, and no input can be given another's output.

use std::collections::BTreeSet;

use crate::common::{Net, Prover, instances};
use pasta_curves::Fp;
use proptest::prelude::*;
use zkernel_gadgets::model::{GraphError, Honest, Interval, Visibility, run};

const INPUT: Interval = Interval::new(-8, 7);

fn network(seed: u64) -> Net {
    let net = Net::new(&[1, 4], INPUT, Visibility::Private, seed);
    net.dense(5).relu(3, 9).dense(3).done()
}

fn batch_of(net: &Net, count: usize) -> Net {
    let mut batch = network(0);
    batch.graph = net.graph.batch(count).unwrap();
    batch.weights = net.weights.clone();
    batch
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn every_input_gets_its_own_output(seed in any::<u64>(), count in 1usize..6) {
        let net = network(seed);
        let batch = batch_of(&net, count);
        let inputs: Vec<Vec<i64>> = (0..count as u64).map(|i| net.input(seed ^ i).remove(0)).collect();
        let together = run(&batch.graph, &net.weights, &inputs, &mut Honest).unwrap();
        for (input, output) in inputs.iter().zip(&batch.graph.outputs) {
            let alone = run(&net.graph, &net.weights, std::slice::from_ref(input), &mut Honest).unwrap();
            let expected = &alone.values[net.graph.outputs[0].0 as usize];
            prop_assert_eq!(&together.values[output.0 as usize], expected);
        }
        let names: BTreeSet<&String> = batch.graph.tensors.iter().map(|t| &t.name).collect();
        prop_assert_eq!(names.len(), count * net.graph.tensors.len());
        prop_assert_eq!(batch.graph.weights, net.graph.weights);
        prop_assert_eq!(batch.graph.tables, net.graph.tables);
    }
}

#[test]
fn outputs_cannot_change_places() {
    let net = network(5);
    let batch = batch_of(&net, 2);
    let inputs: Vec<Vec<i64>> = (0..2).map(|i| net.input(i).remove(0)).collect();
    let trace = run(&batch.graph, &batch.weights, &inputs, &mut Honest).unwrap();
    let prover = Prover::new(&batch, 6);
    let mut public: Vec<Vec<Fp>> = instances(&prover.lowered, &trace);
    assert!(prover.prove(&trace, &public).is_ok());
    assert_ne!(public[0], public[1]);
    public.swap(0, 1);
    assert!(!prover.accepts(&trace, &public));
    assert!(prover.prove(&trace, &public).is_err());
}

#[test]
fn a_batch_that_is_too_large_is_refused() {
    let error = network(1).graph.batch(1 << 13).unwrap_err();
    assert!(matches!(error, GraphError::Invalid { .. }), "{error}");
    assert!(network(1).graph.batch(0).is_err());
}
