//! Building small graphs, proving their runs, and injecting faults.

use pasta_curves::{EqAffine, Fp};
use zkernel_backend_cpu::Cpu;
use zkernel_engine::mock::check;
use zkernel_engine::{Error, ProvingKey, Tensors, Witness, prove};
use zkernel_gadgets::model::{
    Assign, Function, Geometry, Graph, Interval, Lowered, Node, Op, Site, Table, TableId, Tensor,
    TensorId, Trace, Visibility, Weight, WeightId, WeightValues, lower,
};
use zkernel_verifier::curve::{Generators, signed};

/// A value in -span..=span.
pub fn value(i: usize, span: i64, seed: u64) -> i64 {
    let mixed = (i as u64 + 1)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add(seed.wrapping_mul(0xbf58_476d_1ce4_e5b9));
    ((mixed >> 33) as i64).rem_euclid(2 * span + 1) - span
}

/// A graph under construction; every op is applied to the last tensor.
pub struct Net {
    pub graph: Graph,
    pub weights: WeightValues,
    pub last: TensorId,
    seed: u64,
}

/// Bound of accumulators, generous.
const BIG: i64 = 1 << 24;

impl Net {
    /// A network with an input of that shape and range.
    pub fn new(shape: &[usize], range: Interval, visibility: Visibility, seed: u64) -> Self {
        let mut net = Self {
            graph: Graph {
                name: "test".into(),
                limb_bits: 8,
                tensors: Vec::new(),
                weights: Vec::new(),
                tables: Vec::new(),
                nodes: Vec::new(),
                inputs: vec![TensorId(0)],
                outputs: Vec::new(),
            },
            weights: WeightValues(Vec::new()),
            last: TensorId(0),
            seed,
        };
        net.last = net.tensor("x", shape, range);
        net.graph.tensors[0].visibility = visibility;
        net
    }

    fn tensor(&mut self, name: &str, shape: &[usize], range: Interval) -> TensorId {
        self.graph.tensors.push(Tensor {
            name: name.into(),
            shape: shape.to_vec(),
            scale: 1.0,
            zero_point: 0,
            range,
            visibility: Visibility::Private,
        });
        TensorId(self.graph.tensors.len() as u32 - 1)
    }

    fn shape(&self) -> Vec<usize> {
        self.graph.tensors[self.last.0 as usize].shape.clone()
    }

    fn range(&self) -> Interval {
        self.graph.tensors[self.last.0 as usize].range
    }

    fn push(&mut self, op: Op, inputs: Vec<TensorId>, shape: &[usize], range: Interval) {
        let name = format!("node {}", self.graph.nodes.len());
        let output = self.tensor(&format!("{name} out"), shape, range);
        self.graph.nodes.push(Node {
            name,
            op,
            inputs,
            output,
        });
        self.last = output;
    }

    fn weight(&mut self, rows: usize, cols: usize, bound: i64) -> WeightId {
        let index = self.graph.weights.len();
        self.graph.weights.push(Weight {
            name: format!("weight {index}"),
            rows,
            cols,
            scale: 1.0,
            bound,
            visibility: Visibility::Private,
        });
        let seed = self.seed + index as u64;
        let values = (0..rows * cols).map(|i| value(i, bound, seed));
        self.weights.0.push(values.collect());
        WeightId(index as u32)
    }

    fn table(&mut self, function: Function, keys: Interval, steps: [f64; 2]) -> TableId {
        let table = Table {
            function,
            parameters: [0.0; 2],
            keys,
            input_scale: steps[0],
            output_scale: steps[1],
            low: 0,
        };
        let known = self.graph.tables.iter().position(|t| *t == table);
        let index = known.unwrap_or(self.graph.tables.len());
        if known.is_none() {
            self.graph.tables.push(table);
        }
        TableId(index as u32)
    }

    pub fn dense(mut self, m: usize) -> Self {
        let mut shape = self.shape();
        let k = shape.pop().unwrap_or(1);
        shape.push(m);
        let (weights, bias) = (self.weight(m, k, 7), Some(self.weight(1, m, 30)));
        let input = vec![self.last];
        self.push(
            Op::Dense { weights, bias },
            input,
            &shape,
            Interval::new(-BIG, BIG),
        );
        self
    }

    pub fn conv(mut self, m: usize, geometry: Geometry, groups: usize) -> Self {
        let [n, c, h, w] = self.shape().try_into().unwrap();
        let [oh, ow] = geometry.outputs([h, w]).unwrap();
        let weights = self.weight(m, geometry.taps() * c / groups, 7);
        let bias = Some(self.weight(1, m, 30));
        let op = Op::Conv {
            weights,
            bias,
            geometry,
            groups,
        };
        let input = vec![self.last];
        self.push(op, input, &[n, m, oh, ow], Interval::new(-BIG, BIG));
        self
    }

    /// Requantization by a function; Identity is a range check.
    pub fn requantize(
        mut self,
        shift: u32,
        function: Function,
        bits: u32,
        steps: [f64; 2],
    ) -> Self {
        let keys = Interval::new(-(1 << bits), (1 << bits) - 1);
        let table = self.table(function, keys, steps);
        let range = self.graph.tables[table.0 as usize].values();
        let (shape, input) = (self.shape(), vec![self.last]);
        self.push(Op::Requantize { shift, table }, input, &shape, range);
        self
    }

    pub fn relu(self, shift: u32, bits: u32) -> Self {
        self.requantize(shift, Function::Relu, bits, [1.0, 1.0])
    }

    pub fn pooled(&self, geometry: &Geometry) -> Vec<usize> {
        let [n, c, h, w] = self.shape().try_into().unwrap();
        let [oh, ow] = geometry.outputs([h, w]).unwrap();
        vec![n, c, oh, ow]
    }

    pub fn requantize_max(mut self, shift: u32, bits: u32, geometry: Geometry) -> Self {
        let keys = Interval::new(-(1 << bits), (1 << bits) - 1);
        let table = self.table(Function::Relu, keys, [1.0, 1.0]);
        let (shape, input) = (self.pooled(&geometry), vec![self.last]);
        let op = Op::RequantizeMax {
            shift,
            table,
            geometry,
        };
        self.push(op, input, &shape, Interval::new(0, (1 << bits) - 1));
        self
    }

    pub fn max_pool(mut self, geometry: Geometry) -> Self {
        let (range, shape) = (self.range(), self.pooled(&geometry));
        let span = range.max - range.min;
        let table = self.table(Function::Relu, Interval::new(-span, span), [1.0, 1.0]);
        let input = vec![self.last];
        self.push(Op::MaxPool { geometry, table }, input, &shape, range);
        self
    }

    pub fn sum_pool(mut self, geometry: Geometry) -> Self {
        let (shape, input) = (self.pooled(&geometry), vec![self.last]);
        self.push(
            Op::SumPool { geometry },
            input,
            &shape,
            Interval::new(-BIG, BIG),
        );
        self
    }

    pub fn add(mut self, other: TensorId, scales: [i64; 2]) -> Self {
        let (shape, inputs) = (self.shape(), vec![self.last, other]);
        let op = Op::add([&shape, &shape], scales, &shape);
        self.push(op, inputs, &shape, Interval::new(-BIG, BIG));
        self
    }

    pub fn transpose(mut self, axes: &[usize]) -> Self {
        let old = self.shape();
        let shape: Vec<usize> = axes.iter().map(|axis| old[*axis]).collect();
        let (range, input) = (self.range(), vec![self.last]);
        let axes = axes.to_vec();
        self.push(Op::Transpose { axes }, input, &shape, range);
        self
    }

    pub fn reshape(mut self, shape: &[usize]) -> Self {
        let (range, input) = (self.range(), vec![self.last]);
        self.push(Op::Reshape, input, shape, range);
        self
    }

    pub fn flatten(self) -> Self {
        let shape = self.shape();
        let rest = shape[1..].iter().product();
        self.reshape(&[shape[0], rest])
    }

    pub fn argmax(mut self) -> Self {
        let mut shape = self.shape();
        let classes = shape.pop().unwrap_or(1) as i64;
        let input = vec![self.last];
        self.push(Op::ArgMax, input, &shape, Interval::new(0, classes - 1));
        self
    }

    /// Bounds the range of the last tensor, which argmax relies on.
    pub fn within(mut self, bound: i64) -> Self {
        self.graph.tensors[self.last.0 as usize].range = Interval::new(-bound, bound);
        self
    }

    /// Makes the last tensor the public output.
    pub fn done(mut self) -> Self {
        self.graph.outputs = vec![self.last];
        self.graph.tensors[self.last.0 as usize].visibility = Visibility::Public;
        self.graph.validate().unwrap();
        self
    }

    /// An input within the input's range.
    pub fn input(&self, seed: u64) -> Vec<Vec<i64>> {
        let tensor = &self.graph.tensors[0];
        let span = tensor.range.max.min(-tensor.range.min);
        let len = tensor.shape.iter().product();
        vec![(0..len).map(|i| value(i, span, seed ^ 77)).collect()]
    }
}

/// A key for a graph and its weights.
pub struct Prover {
    pub lowered: Lowered<Fp>,
    pub tensors: Tensors<Fp>,
    pub key: ProvingKey<EqAffine, Cpu>,
}

impl Prover {
    pub fn new(net: &Net, log_n: u32) -> Self {
        let lowered = lower::<Fp>(&net.graph, log_n).unwrap();
        let values = lowered.tensors(&net.graph, &net.weights);
        let tensors = Tensors::blinded(&lowered.system, values).unwrap();
        let system = lowered.system.clone();
        let generators = Generators::derive(log_n);
        let key = ProvingKey::new(&Cpu::new(), system, generators, &tensors, b"");
        Self {
            lowered,
            tensors,
            key: key.unwrap(),
        }
    }

    pub fn prove(&self, trace: &Trace, instances: &[Vec<Fp>]) -> Result<(), Error> {
        let witness = witness(&self.lowered, trace);
        prove(&Cpu::new(), &self.key, instances, &witness).map(|_| ())
    }

    /// Whether all constraints hold, by the mock prover.
    pub fn accepts(&self, trace: &Trace, instances: &[Vec<Fp>]) -> bool {
        let witness = witness(&self.lowered, trace);
        let failures = check(&self.lowered.system, instances, &witness, &self.tensors);
        failures.unwrap().is_empty()
    }
}

pub fn instances(lowered: &Lowered<Fp>, trace: &Trace) -> Vec<Vec<Fp>> {
    let tensor = |id: &TensorId| {
        let values = trace.values[id.0 as usize].iter();
        values.map(|v| signed(*v)).collect()
    };
    lowered.instances.iter().map(tensor).collect()
}

pub fn witness(lowered: &Lowered<Fp>, trace: &Trace) -> Witness<Fp> {
    let mut witness = Witness::default();
    for (track, cells) in lowered.witness(trace) {
        witness.assign(track, cells);
    }
    witness
}

/// Changes assignments (by their number) and lets the changes propagate.
#[derive(Default)]
pub struct Inject {
    pub faults: Vec<(usize, i64)>,
    pub seen: usize,
    pub sites: Vec<Site>,
}

impl Inject {
    pub fn new(faults: &[(usize, i64)]) -> Self {
        Self {
            faults: faults.to_vec(),
            ..Self::default()
        }
    }
}

impl Assign for Inject {
    fn assign(&mut self, site: Site, value: i64) -> i64 {
        self.seen += 1;
        let fault = self.faults.iter().find(|(at, _)| *at == self.seen - 1);
        if fault.is_some() {
            self.sites.push(site);
        }
        value + fault.map_or(0, |(_, delta)| *delta)
    }

    fn lenient(&self) -> bool {
        true
    }
}
