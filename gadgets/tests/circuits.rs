//! The circuit equals the integer run exactly, on networks of every gadget; and faults that propagate are rejected.

use pasta_curves::{EqAffine, Fp};
use proptest::prelude::*;
use zkernel_backend_cpu::Cpu;
use zkernel_engine::{Error, ProvingKey, Tensors, Witness, prove};
use zkernel_gadgets::model::{
    Assign, Function, Graph, Honest, Interval, Lowered, Node, Op, Owner, Site, Table, TableId,
    Tensor, TensorId, Trace, Visibility, Weight, WeightId, WeightValues, lower, run,
};
use zkernel_verifier::curve::{Generators, signed};

/// What ends the network.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Accumulators,
    Sigmoid,
    ArgMax,
    ArgMaxOfCells,
}

struct Built {
    graph: Graph,
    weights: WeightValues,
}

fn value(i: usize, span: i64, seed: u64) -> i64 {
    let mixed = (i as u64 + 1)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add(seed.wrapping_mul(0xbf58_476d_1ce4_e5b9));
    ((mixed >> 33) as i64).rem_euclid(2 * span + 1) - span
}

/// `batch` rows through dense, requantized relu, dense, and an end.
fn network(sizes: [usize; 4], shift: u32, end: End, input: Visibility, seed: u64) -> Built {
    let [batch, k, hidden, out] = sizes;
    let tensor = |name: &str, shape: &[usize], min, max, visibility| Tensor {
        name: name.into(),
        shape: shape.to_vec(),
        scale: 1.0,
        zero_point: 0,
        range: Interval::new(min, max),
        visibility,
    };
    let big = 1 << 20;
    let (private, public) = (Visibility::Private, Visibility::Public);
    let mut tensors = vec![
        tensor("x", &[batch, k], -8, 7, input),
        tensor("a", &[batch, hidden], -big, big, private),
        tensor("h", &[batch, hidden], 0, 511, private),
        tensor("flat", &[batch * hidden], 0, 511, private),
        tensor("again", &[batch, hidden], 0, 511, private),
        tensor(
            "y",
            &[batch, out],
            -big,
            big,
            if end == End::Accumulators {
                public
            } else {
                private
            },
        ),
    ];
    let table = |function, keys, input_scale, output_scale| Table {
        function,
        keys,
        input_scale,
        output_scale,
    };
    let tables = vec![
        table(Function::Relu, Interval::new(-512, 511), 1.0, 1.0),
        table(
            Function::Sigmoid,
            Interval::new(-2048, 2047),
            1.0 / 64.0,
            1.0 / 4096.0,
        ),
        table(Function::Identity, Interval::new(-4096, 4095), 1.0, 1.0),
    ];
    let node = |name: &str, op, input, output| Node {
        name: name.into(),
        op,
        inputs: vec![TensorId(input)],
        output: TensorId(output),
    };
    let dense = |w, b| Op::Dense {
        weights: WeightId(w),
        bias: Some(WeightId(b)),
    };
    let mut nodes = vec![
        node("fc1", dense(0, 1), 0, 1),
        node(
            "relu",
            Op::Requantize {
                shift,
                table: TableId(0),
            },
            1,
            2,
        ),
        node("flatten", Op::Reshape, 2, 3),
        node("unflatten", Op::Reshape, 3, 4),
        node("fc2", dense(2, 3), 4, 5),
    ];
    match end {
        End::Accumulators => {}
        End::Sigmoid => {
            tensors.push(tensor("p", &[batch, out], 0, 4096, public));
            nodes.push(node(
                "sigmoid",
                Op::Requantize {
                    shift: 10,
                    table: TableId(1),
                },
                5,
                6,
            ));
        }
        End::ArgMax => {
            tensors.push(tensor("class", &[batch], 0, out as i64 - 1, public));
            nodes.push(node("argmax", Op::ArgMax, 5, 6));
        }
        End::ArgMaxOfCells => {
            tensors.push(tensor("q", &[batch, out], -4096, 4095, private));
            tensors.push(tensor("class", &[batch], 0, out as i64 - 1, public));
            nodes.push(node(
                "requantize",
                Op::Requantize {
                    shift: 9,
                    table: TableId(2),
                },
                5,
                6,
            ));
            nodes.push(node("argmax", Op::ArgMax, 6, 7));
        }
    }
    let weight = |name: &str, rows, cols| Weight {
        name: name.into(),
        rows,
        cols,
        scale: 1.0,
        bound: 64,
        visibility: Visibility::Private,
    };
    let weights = vec![
        weight("w1", hidden, k),
        weight("b1", 1, hidden),
        weight("w2", out, hidden),
        weight("b2", 1, out),
    ];
    let values = weights.iter().zip(0u64..).map(|(w, i)| {
        (0..w.rows * w.cols)
            .map(|j| value(j, 30, seed + i))
            .collect()
    });
    let outputs = vec![TensorId(tensors.len() as u32 - 1)];
    let values = WeightValues(values.collect());
    let inputs = vec![TensorId(0)];
    let graph = Graph {
        name: "test".into(),
        tensors,
        weights,
        tables,
        nodes,
        inputs,
        outputs,
    };
    Built {
        graph,
        weights: values,
    }
}

struct Prover {
    lowered: Lowered<Fp>,
    key: ProvingKey<EqAffine, Cpu>,
}

impl Prover {
    fn new(built: &Built, log_n: u32) -> Self {
        let lowered = lower::<Fp>(&built.graph, log_n).unwrap();
        let values = lowered.tensors(&built.graph, &built.weights);
        let tensors = Tensors::blinded(&lowered.system, values).unwrap();
        let generators = Generators::derive(log_n);
        let key = ProvingKey::new(
            &Cpu::new(),
            lowered.system.clone(),
            generators,
            &tensors,
            b"",
        )
        .unwrap();
        Self { lowered, key }
    }

    fn instances(&self, trace: &Trace) -> Vec<Vec<Fp>> {
        let tensor = |id: &TensorId| {
            trace.values[id.0 as usize]
                .iter()
                .map(|v| signed(*v))
                .collect()
        };
        self.lowered.instances.iter().map(tensor).collect()
    }

    fn prove(&self, trace: &Trace, instances: &[Vec<Fp>]) -> Result<(), Error> {
        let mut witness = Witness::default();
        for (track, cells) in self.lowered.witness(trace) {
            witness.assign(track, cells);
        }
        prove(&Cpu::new(), &self.key, instances, &witness).map(|_| ())
    }
}

fn input(sizes: [usize; 4], seed: u64) -> Vec<Vec<i64>> {
    vec![
        (0..sizes[0] * sizes[1])
            .map(|i| value(i, 7, seed ^ 77))
            .collect(),
    ]
}

const ENDS: [End; 4] = [
    End::Accumulators,
    End::Sigmoid,
    End::ArgMax,
    End::ArgMaxOfCells,
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Honest runs are proven whatever the shapes: tracks of several lanes, tensors over several columns, long rows.
    #[test]
    fn honest_runs_are_proven(
        batch in 1usize..3, k in 1usize..20, hidden in 1usize..40, out in 1usize..12,
        shift in 4u32..13, end in 0usize..4, log_n in 4u32..8, public in any::<bool>(), seed in any::<u64>(),
    ) {
        let sizes = [batch, k, hidden, out];
        let visibility = if public { Visibility::Public } else { Visibility::Private };
        let built = network(sizes, shift, ENDS[end], visibility, seed);
        let Ok(trace) = run(&built.graph, &built.weights, &input(sizes, seed), &mut Honest) else {
            return Ok(()); // the random weights left the tables
        };
        let prover = Prover::new(&built, log_n);
        let instances = prover.instances(&trace);
        let proof = prover.prove(&trace, &instances);
        prop_assert!(proof.is_ok(), "{:?}", proof);
    }
}

/// Changes one assignment and lets it propagate.
struct Inject {
    target: usize,
    delta: i64,
    seen: usize,
    site: Option<Site>,
}

impl Assign for Inject {
    fn assign(&mut self, site: Site, value: i64) -> i64 {
        self.seen += 1;
        if self.seen - 1 == self.target {
            self.site = Some(site);
            return value + self.delta;
        }
        value
    }

    fn lenient(&self) -> bool {
        true
    }
}

/// A fault at any assignment, propagated through everything after it, is rejected.
#[test]
fn propagated_faults_are_rejected() {
    let sizes = [1, 3, 4, 3];
    for end in ENDS {
        let built = network(sizes, 9, end, Visibility::Public, 5);
        let x = input(sizes, 5);
        let prover = Prover::new(&built, 6);
        let honest = run(&built.graph, &built.weights, &x, &mut Honest).unwrap();
        let claimed = prover.instances(&honest);
        assert!(prover.prove(&honest, &claimed).is_ok());
        let mut counter = Inject {
            target: usize::MAX,
            delta: 0,
            seen: 0,
            site: None,
        };
        run(&built.graph, &built.weights, &x, &mut counter).unwrap();
        for target in 0..counter.seen {
            for delta in [1, -1] {
                let mut inject = Inject {
                    target,
                    delta,
                    seen: 0,
                    site: None,
                };
                let trace = run(&built.graph, &built.weights, &x, &mut inject).unwrap();
                // Another public input is another statement, and a true one.
                let input = matches!(
                    inject.site,
                    Some(Site {
                        owner: Owner::Input(_),
                        ..
                    })
                );
                let follow = !input && prover.prove(&trace, &prover.instances(&trace)).is_ok();
                // An accumulator without a cell is no part of the witness.
                let same = prover.lowered.witness(&trace) == prover.lowered.witness(&honest);
                let accepted = follow || (!same && prover.prove(&trace, &claimed).is_ok());
                assert!(
                    !accepted,
                    "{end:?}: a fault of {delta} at {:?} was accepted",
                    inject.site
                );
            }
        }
    }
}

/// Ties go to the first maximum: all vectors over three values.
#[test]
fn argmax_ties() {
    let built = network([1, 1, 1, 5], 4, End::ArgMax, Visibility::Private, 1);
    for code in 0..3usize.pow(5) {
        let bias: Vec<i64> = (0..5).map(|i| (code / 3usize.pow(i)) as i64 % 3).collect();
        let weights = WeightValues(vec![vec![0], vec![0], vec![0; 5], bias.clone()]);
        let trace = run(&built.graph, &weights, &[vec![1]], &mut Honest).unwrap();
        let first = (0..5).rev().max_by_key(|i| bias[*i]).unwrap() as i64;
        assert_eq!(trace.values.last().unwrap(), &vec![first], "{bias:?}");
    }
}
