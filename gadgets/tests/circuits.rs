//! The circuit equals the integer run exactly, on networks of every gadget and shape; faults that propagate are rejected.

use crate::common::{Inject, Net, Prover, instances, value};
use proptest::prelude::*;
use zkernel_gadgets::model::{
    Function, Geometry, Honest, Interval, Owner, Site, Visibility, WeightValues, run,
};

const INPUT: Interval = Interval::new(-8, 7);

/// What ends a dense network.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Accumulators,
    Sigmoid,
    ArgMax,
    ArgMaxOfCells,
}

const ENDS: [End; 4] = [
    End::Accumulators,
    End::Sigmoid,
    End::ArgMax,
    End::ArgMaxOfCells,
];

/// `batch` rows through dense, requantized relu, dense, and an end.
fn dense(sizes: [usize; 4], shift: u32, end: End, input: Visibility, seed: u64) -> Net {
    let [batch, k, hidden, out] = sizes;
    let net = Net::new(&[batch, k], INPUT, input, seed)
        .dense(hidden)
        .relu(shift, 9);
    let net = net
        .reshape(&[batch * hidden])
        .reshape(&[batch, hidden])
        .dense(out);
    match end {
        End::Accumulators => net.done(),
        End::Sigmoid => {
            let steps = [1.0 / 64.0, 1.0 / 4096.0];
            net.requantize(6, Function::Sigmoid, 11, steps).done()
        }
        End::ArgMax => net.within(1 << 20).argmax().done(),
        End::ArgMaxOfCells => {
            let net = net.requantize(6, Function::Identity, 12, [1.0, 1.0]);
            net.argmax().done()
        }
    }
}

/// Runs a network and proves the run; a run that leaves the tables is no failure of the circuit.
fn proven(net: &Net, log_n: u32, seed: u64) -> Result<(), TestCaseError> {
    let Ok(trace) = run(&net.graph, &net.weights, &net.input(seed), &mut Honest) else {
        return Ok(());
    };
    let prover = Prover::new(net, log_n);
    let public = instances(&prover.lowered, &trace);
    let proof = prover.prove(&trace, &public);
    prop_assert!(proof.is_ok(), "{:?}", proof);
    Ok(())
}

fn visibility(public: bool) -> Visibility {
    if public {
        Visibility::Public
    } else {
        Visibility::Private
    }
}

prop_compose! {
    fn geometries()(
        kernel in [1usize..4, 1usize..4], stride in [1usize..3, 1usize..3], dilation in [1usize..3, 1usize..3],
        before in [0usize..3, 0usize..3], after in [0usize..3, 0usize..3],
    ) -> Geometry {
        Geometry { kernel, stride, dilation, before, after }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    /// Dense networks: tracks of several lanes, tensors over several columns, long rows.
    #[test]
    fn dense_networks_are_proven(
        batch in 1usize..3, k in 1usize..20, hidden in 1usize..40, out in 1usize..12,
        shift in 0u32..13, end in 0usize..4, log_n in 4u32..8, public in any::<bool>(), seed in any::<u64>(),
    ) {
        proven(&dense([batch, k, hidden, out], shift, ENDS[end], visibility(public), seed), log_n, seed)?;
    }

    /// Convolutions of any geometry and grouping, read by every kind of reader.
    #[test]
    fn convolutions_are_proven(
        batch in 1usize..3, groups in 1usize..4, channels in 1usize..3, rows in 1usize..3,
        size in [3usize..8, 3usize..8], geometry in geometries(), reader in 0usize..4,
        log_n in 4u32..7, public in any::<bool>(), seed in any::<u64>(),
    ) {
        let shape = [batch, groups * channels, size[0], size[1]];
        prop_assume!(geometry.outputs(size).is_some());
        let net = Net::new(&shape, INPUT, visibility(public), seed).conv(groups * rows, geometry, groups);
        let net = match reader {
            0 => net.done(),
            1 => net.relu(2, 9).flatten().dense(3).done(),
            2 => net.relu(3, 9).transpose(&[0, 2, 3, 1]).dense(2).done(),
            _ => net.transpose(&[0, 3, 1, 2]).requantize(2, Function::Identity, 9, [1.0, 1.0]).done(),
        };
        proven(&net, log_n, seed)?;
    }

    /// Max pooling with padding and overlap, after a ReLU and over negative values, read by a convolution.
    #[test]
    fn max_pools_are_proven(
        size in [3usize..8, 3usize..8], geometry in geometries(), relu in any::<bool>(),
        log_n in 5u32..7, seed in any::<u64>(),
    ) {
        let fits = (0..2).all(|a| geometry.before[a] < geometry.kernel[a] && geometry.after[a] < geometry.kernel[a]);
        prop_assume!(fits && geometry.outputs(size).is_some());
        let net = Net::new(&[1, 2, size[0], size[1]], INPUT, Visibility::Private, seed);
        let net = if relu { net.relu(0, 4) } else { net.requantize(0, Function::Identity, 4, [1.0, 1.0]) };
        let net = net.max_pool(geometry).conv(2, Geometry::window([1, 1], [1, 1]), 1).done();
        proven(&net, log_n, seed)?;
    }

    /// Requantization, ReLU and max pooling in one; windows that leave gaps and a rest.
    #[test]
    fn fused_max_pools_are_proven(
        size in [2usize..9, 2usize..9], kernel in [1usize..4, 1usize..4], gap in [0usize..2, 0usize..2],
        shift in 0u32..12, log_n in 5u32..7, seed in any::<u64>(),
    ) {
        let geometry = Geometry::window(kernel, [kernel[0] + gap[0], kernel[1] + gap[1]]);
        prop_assume!(geometry.outputs(size).is_some());
        let net = Net::new(&[1, 1, size[0], size[1]], INPUT, Visibility::Private, seed)
            .conv(2, Geometry::window([1, 1], [1, 1]), 1)
            .requantize_max(shift, 9, geometry)
            .flatten()
            .dense(2)
            .done();
        proven(&net, log_n, seed)?;
    }

    /// Average pooling with padding, residual addition of two scales, wiring in between.
    #[test]
    fn linear_wiring_is_proven(
        size in [3usize..7, 3usize..7], geometry in geometries(), scales in [-3i64..4, 1i64..4],
        log_n in 4u32..7, seed in any::<u64>(),
    ) {
        prop_assume!(geometry.outputs(size).is_some());
        let net = Net::new(&[1, 2, size[0], size[1]], INPUT, Visibility::Private, seed);
        let input = net.last;
        let net = net.conv(2, Geometry::window([1, 1], [1, 1]), 1).relu(1, 8).add(input, scales);
        let net = net.requantize(1, Function::Identity, 9, [1.0, 1.0]).sum_pool(geometry);
        let net = net.requantize(2, Function::Relu, 9, [1.0, 1.0]).flatten().dense(2).done();
        proven(&net, log_n, seed)?;
    }
}

/// A fault at any assignment, propagated through everything after it, is rejected.
#[test]
fn propagated_faults_are_rejected() {
    let one = Geometry::window([1, 1], [1, 1]);
    let small = || Net::new(&[1, 1, 3, 3], INPUT, Visibility::Public, 4);
    let mut nets: Vec<Net> = ENDS
        .iter()
        .map(|end| dense([1, 3, 4, 3], 4, *end, Visibility::Public, 5))
        .collect();
    let padded = Geometry {
        kernel: [2, 2],
        stride: [2, 1],
        dilation: [1, 1],
        before: [1, 0],
        after: [0, 1],
    };
    nets.push(small().conv(2, padded, 1).relu(2, 8).done());
    nets.push(
        small()
            .relu(0, 4)
            .max_pool(padded)
            .flatten()
            .dense(2)
            .done(),
    );
    let window = Geometry::window([2, 2], [2, 2]);
    nets.push(small().conv(1, one, 1).requantize_max(1, 7, window).done());
    nets.push(
        small()
            .sum_pool(padded)
            .requantize(1, Function::Identity, 8, [1.0, 1.0])
            .done(),
    );
    for net in &nets {
        let x = net.input(5);
        let prover = Prover::new(net, 6);
        let honest = run(&net.graph, &net.weights, &x, &mut Honest).unwrap();
        let claimed = instances(&prover.lowered, &honest);
        assert!(prover.accepts(&honest, &claimed));
        let mut counter = Inject::default();
        run(&net.graph, &net.weights, &x, &mut counter).unwrap();
        for target in 0..counter.seen {
            for delta in [1, -1] {
                let mut inject = Inject::new(&[(target, delta)]);
                let trace = run(&net.graph, &net.weights, &x, &mut inject).unwrap();
                // Another public input is another statement, and a true one.
                let input = matches!(
                    inject.sites[..],
                    [Site {
                        owner: Owner::Input(_),
                        ..
                    }]
                );
                let follow = !input && prover.accepts(&trace, &instances(&prover.lowered, &trace));
                // An accumulator without a cell is no part of the witness.
                let same = prover.lowered.witness(&trace) == prover.lowered.witness(&honest);
                let accepted = follow || (!same && prover.accepts(&trace, &claimed));
                assert!(
                    !accepted,
                    "a fault of {delta} at {:?} was accepted",
                    inject.sites
                );
            }
        }
    }
}

/// Ties go to the first maximum: all vectors over three values.
#[test]
fn argmax_ties() {
    let net = dense([1, 1, 1, 5], 4, End::ArgMax, Visibility::Private, 1);
    for code in 0..3usize.pow(5) {
        let bias: Vec<i64> = (0..5).map(|i| (code / 3usize.pow(i)) as i64 % 3).collect();
        let weights = WeightValues(vec![vec![0], vec![0], vec![0; 5], bias.clone()]);
        let trace = run(&net.graph, &weights, &[vec![1]], &mut Honest).unwrap();
        let first = (0..5).rev().max_by_key(|i| bias[*i]).unwrap() as i64;
        assert_eq!(trace.values.last().unwrap(), &vec![first], "{bias:?}");
    }
}

/// Max pooling against its definition, ties and all; the fused op against requantize, ReLU and the definition.
#[test]
fn pools_are_what_they_are_called() {
    let geometry = Geometry {
        kernel: [3, 2],
        stride: [2, 2],
        dilation: [1, 2],
        before: [1, 1],
        after: [1, 0],
    };
    let net = Net::new(&[2, 2, 5, 6], INPUT, Visibility::Private, 3)
        .requantize(0, Function::Identity, 4, [1.0, 1.0])
        .max_pool(geometry)
        .done();
    let x: Vec<i64> = (0..120).map(|i| value(i, 3, 9)).collect();
    let trace = run(
        &net.graph,
        &net.weights,
        std::slice::from_ref(&x),
        &mut Honest,
    )
    .unwrap();
    let [oh, ow] = geometry.outputs([5, 6]).unwrap();
    let maximum = |index: usize| {
        let (plane, i, j) = (index / (oh * ow), index / ow % oh, index % ow);
        let taps = (0..geometry.taps()).filter_map(|tap| {
            let [a, b] = geometry.tap(tap);
            let row = geometry.read(0, i, a, 5)?;
            Some(x[plane * 30 + row * 6 + geometry.read(1, j, b, 6)?])
        });
        taps.max().unwrap()
    };
    let expected: Vec<i64> = (0..4 * oh * ow).map(maximum).collect();
    assert_eq!(trace.values.last(), Some(&expected));

    let window = Geometry::window([2, 2], [2, 2]);
    let conv = |net: Net| net.conv(2, Geometry::window([1, 1], [1, 1]), 1);
    let start = || conv(Net::new(&[1, 1, 5, 4], INPUT, Visibility::Private, 3));
    let fused = start().requantize_max(2, 9, window).done();
    let apart = start().relu(2, 9).max_pool(window).done();
    for seed in 0..50 {
        let x = fused.input(seed);
        let out = |net: &Net| run(&net.graph, &net.weights, &x, &mut Honest).unwrap();
        assert_eq!(out(&fused).values.last(), out(&apart).values.last());
    }
}
