//! Small networks, written node by node, and their circuits.

use pasta_curves::Fp;
use zkernel_engine::mock::{self, Failure};
use zkernel_engine::{Tensors, Witness};
use zkernel_gadgets::model::{
    Assign, Function, Geometry, Graph, Interval, Lowered, Node, Op, RunError, Site, Table, TableId,
    Tensor, TensorId, Trace, Visibility, Weight, WeightId, WeightValues, lower, run,
};
use zkernel_verifier::curve::signed;

/// A range that no accumulator here leaves.
const WIDE: Interval = Interval::new(-1 << 40, 1 << 40);

/// A network under construction: every method appends a node and returns the tensor it writes.
pub struct Sketch {
    graph: Graph,
    values: Vec<Vec<i64>>,
}

impl Sketch {
    /// A network with one input.
    pub fn new(shape: &[usize], range: Interval, visibility: Visibility) -> (Self, TensorId) {
        let graph = Graph {
            name: "sketch".into(),
            limb_bits: 8,
            tensors: Vec::new(),
            weights: Vec::new(),
            tables: Vec::new(),
            nodes: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
        };
        let values = Vec::new();
        let mut sketch = Self { graph, values };
        let x = sketch.tensor("x", shape.to_vec(), range);
        sketch.graph.tensors[0].visibility = visibility;
        sketch.graph.inputs.push(x);
        (sketch, x)
    }

    /// Most bits of a limb from now on.
    pub fn limb_bits(&mut self, bits: u32) {
        self.graph.limb_bits = bits;
    }

    /// `bias.len()` output features; the weights are row-major.
    pub fn dense(&mut self, name: &str, x: TensorId, weights: Vec<i64>, bias: &[i64]) -> TensorId {
        let (mut shape, range) = (self.shape(x), self.range(x));
        let (rows, cols) = (bias.len(), *shape.last().unwrap());
        *shape.last_mut().unwrap() = rows;
        let largest = range.min.abs().max(range.max.abs());
        let bound = |values: &[i64]| values.iter().map(|v| v.abs()).max().unwrap_or(0);
        let worst = bound(&weights) * largest * cols as i64 + bound(bias);
        let matrix = self.weight(&format!("{name}.weight"), rows, cols, weights);
        let bias = self.weight(&format!("{name}.bias"), 1, rows, bias.to_vec());
        let op = Op::Dense {
            weights: matrix,
            bias: Some(bias),
        };
        self.node(name, op, &[x], shape, Interval::new(-worst, worst))
    }

    /// A convolution with `bias.len()` output channels; the weights are row-major, `taps x channels of a group` each.
    pub fn conv(
        &mut self,
        name: &str,
        x: TensorId,
        (geometry, groups): (Geometry, usize),
        weights: Vec<i64>,
        bias: &[i64],
    ) -> TensorId {
        let (rows, cols) = (bias.len(), geometry.taps() * self.shape(x)[1] / groups);
        let mut shape = self.windows(x, &geometry);
        shape[1] = rows;
        let matrix = self.weight(&format!("{name}.weight"), rows, cols, weights);
        let bias = self.weight(&format!("{name}.bias"), 1, rows, bias.to_vec());
        let op = Op::Conv {
            weights: matrix,
            bias: Some(bias),
            geometry,
            groups,
        };
        self.node(name, op, &[x], shape, WIDE)
    }

    /// Sums over windows.
    pub fn sum_pool(&mut self, name: &str, x: TensorId, geometry: Geometry) -> TensorId {
        let shape = self.windows(x, &geometry);
        self.node(name, Op::SumPool { geometry }, &[x], shape, WIDE)
    }

    /// Maxima over windows.
    pub fn max_pool(&mut self, name: &str, x: TensorId, geometry: Geometry) -> TensorId {
        let (shape, range) = (self.windows(x, &geometry), self.range(x));
        let span = range.max - range.min;
        let table = self.table(table(Function::Relu, -span, span, 1.0, 1.0));
        self.node(name, Op::MaxPool { geometry, table }, &[x], shape, range)
    }

    /// Requantization, ReLU over those keys, and maxima over windows, in one.
    pub fn requantize_max(
        &mut self,
        name: &str,
        x: TensorId,
        (shift, keys): (u32, Interval),
        geometry: Geometry,
    ) -> TensorId {
        let shape = self.windows(x, &geometry);
        let table = self.table(table(Function::Relu, keys.min, keys.max, 1.0, 1.0));
        let op = Op::RequantizeMax {
            shift,
            table,
            geometry,
        };
        self.node(name, op, &[x], shape, Interval::new(0, keys.max))
    }

    /// `scales[0] a + scales[1] b`.
    pub fn add(&mut self, name: &str, inputs: [TensorId; 2], scales: [i64; 2]) -> TensorId {
        let shape = self.shape(inputs[0]);
        let op = Op::add([&shape, &shape], scales, &shape);
        self.node(name, op, &inputs, shape, WIDE)
    }

    /// The same values with axes permuted.
    pub fn transpose(&mut self, name: &str, x: TensorId, axes: &[usize]) -> TensorId {
        let (old, range) = (self.shape(x), self.range(x));
        let shape = axes.iter().map(|axis| old[*axis]).collect();
        let axes = axes.to_vec();
        self.node(name, Op::Transpose { axes }, &[x], shape, range)
    }

    /// Drops `shift` bits and applies a table.
    pub fn requantize(&mut self, name: &str, x: TensorId, shift: u32, table: Table) -> TensorId {
        let range = table.values();
        let table = self.table(table);
        let shape = self.shape(x);
        self.node(name, Op::Requantize { shift, table }, &[x], shape, range)
    }

    /// Index of the first maximum of every row.
    pub fn argmax(&mut self, name: &str, x: TensorId) -> TensorId {
        let mut shape = self.shape(x);
        let classes = shape.pop().unwrap() as i64;
        self.node(name, Op::ArgMax, &[x], shape, Interval::new(0, classes - 1))
    }

    /// The same values under another shape.
    pub fn reshape(&mut self, name: &str, x: TensorId, shape: &[usize]) -> TensorId {
        let range = self.range(x);
        self.node(name, Op::Reshape, &[x], shape.to_vec(), range)
    }

    /// Any operator.
    pub fn op(
        &mut self,
        name: &str,
        op: Op,
        inputs: &[TensorId],
        shape: &[usize],
        range: Interval,
    ) -> TensorId {
        self.node(name, op, inputs, shape.to_vec(), range)
    }

    /// A committed tensor.
    pub fn constant(&mut self, name: &str, shape: &[usize], values: Vec<i64>) -> TensorId {
        let (last, largest) = (*shape.last().unwrap(), values.iter().map(|v| v.abs()).max());
        let bound = largest.unwrap_or(0);
        let weights = self.weight(&format!("{name}.value"), values.len() / last, last, values);
        let range = Interval::new(-bound, bound);
        self.node(name, Op::Constant { weights }, &[], shape.to_vec(), range)
    }

    /// The network that ends in `output`.
    pub fn network(mut self, output: TensorId, visibility: Visibility) -> Network {
        self.graph.tensors[output.0 as usize].visibility = visibility;
        self.graph.outputs.push(output);
        self.graph.validate().unwrap();
        Network {
            graph: self.graph,
            weights: WeightValues(self.values),
        }
    }

    /// The circuit of the network that ends in `output`, on columns of `2^log_n` rows.
    pub fn circuit(self, output: TensorId, visibility: Visibility, log_n: u32) -> Circuit {
        let network = self.network(output, visibility);
        let lowered = lower::<Fp>(&network.graph, log_n).unwrap();
        let values = lowered.tensors(&network.graph, &network.weights);
        let tensors = Tensors::blinded(&lowered.system, values).unwrap();
        Circuit {
            network,
            lowered,
            tensors,
        }
    }

    fn shape(&self, id: TensorId) -> Vec<usize> {
        self.graph.tensors[id.0 as usize].shape.clone()
    }

    fn range(&self, id: TensorId) -> Interval {
        self.graph.tensors[id.0 as usize].range
    }

    /// The shape that windows over a tensor give, channel by channel.
    fn windows(&self, x: TensorId, geometry: &Geometry) -> Vec<usize> {
        let mut shape = self.shape(x);
        let outputs = geometry.outputs([shape[2], shape[3]]).unwrap();
        shape[2..].copy_from_slice(&outputs);
        shape
    }

    pub fn table(&mut self, table: Table) -> TableId {
        let known = self.graph.tables.iter().position(|t| *t == table);
        let index = known.unwrap_or(self.graph.tables.len());
        if known.is_none() {
            self.graph.tables.push(table);
        }
        TableId(index as u32)
    }

    fn tensor(&mut self, name: &str, shape: Vec<usize>, range: Interval) -> TensorId {
        self.graph.tensors.push(Tensor {
            name: name.into(),
            shape,
            scale: 1.0,
            zero_point: 0,
            range,
            visibility: Visibility::Private,
        });
        TensorId(self.graph.tensors.len() as u32 - 1)
    }

    fn node(
        &mut self,
        name: &str,
        op: Op,
        inputs: &[TensorId],
        shape: Vec<usize>,
        range: Interval,
    ) -> TensorId {
        let output = self.tensor(&format!("{name}.out"), shape, range);
        self.graph.nodes.push(Node {
            name: name.into(),
            op,
            inputs: inputs.to_vec(),
            output,
        });
        output
    }

    pub fn weight(&mut self, name: &str, rows: usize, cols: usize, values: Vec<i64>) -> WeightId {
        self.graph.weights.push(Weight {
            name: name.into(),
            rows,
            cols,
            scale: 1.0,
            bound: values.iter().map(|v| v.abs()).max().unwrap_or(0),
            visibility: Visibility::Private,
        });
        self.values.push(values);
        WeightId(self.values.len() as u32 - 1)
    }
}

/// A quantized network with its weights.
pub struct Network {
    pub graph: Graph,
    pub weights: WeightValues,
}

impl Network {
    /// The integer run on one input.
    pub fn run(&self, x: &[i64], assign: &mut impl Assign) -> Result<Trace, RunError> {
        run(&self.graph, &self.weights, &[x.to_vec()], assign)
    }

    /// The values of the network's output.
    pub fn output<'a>(&self, trace: &'a Trace) -> &'a [i64] {
        &trace.values[self.graph.outputs[0].0 as usize]
    }
}

/// A network with its circuit and the commitments' secret side.
pub struct Circuit {
    pub network: Network,
    pub lowered: Lowered<Fp>,
    pub tensors: Tensors<Fp>,
}

impl Circuit {
    /// The public vectors that a trace claims.
    pub fn instances(&self, trace: &Trace) -> Vec<Vec<Fp>> {
        let values = |id: &TensorId| &trace.values[id.0 as usize];
        let field = |id| values(id).iter().map(|v| signed(*v)).collect();
        self.lowered.instances.iter().map(field).collect()
    }

    /// The phase-1 cells of a trace.
    pub fn witness(&self, trace: &Trace) -> Witness<Fp> {
        let mut witness = Witness::default();
        for (track, cells) in self.lowered.witness(trace) {
            witness.assign(track, cells);
        }
        witness
    }

    /// What the mock prover has against a trace and its own claims.
    pub fn check(&self, trace: &Trace) -> Vec<Failure> {
        self.check_claims(trace, &self.instances(trace))
    }

    /// What the mock prover has against a trace and other claims.
    pub fn check_claims(&self, trace: &Trace, claims: &[Vec<Fp>]) -> Vec<Failure> {
        let (system, witness) = (&self.lowered.system, self.witness(trace));
        mock::check(system, claims, &witness, &self.tensors).unwrap()
    }
}

/// A cheating prover: adds to the named assignments, and goes on from there as if all were well.
#[derive(Clone, Debug)]
pub struct Forge(pub Vec<(Site, i64)>);

impl Assign for Forge {
    fn assign(&mut self, site: Site, value: i64) -> i64 {
        let here = self.0.iter().filter(|(at, _)| *at == site);
        value + here.map(|(_, delta)| delta).sum::<i64>()
    }

    fn lenient(&self) -> bool {
        true
    }
}

/// A range check.
pub fn range(min: i64, max: i64) -> Table {
    table(Function::Identity, min, max, 1.0, 1.0)
}

/// A table of keys `min..=max`.
pub fn table(function: Function, min: i64, max: i64, input: f64, output: f64) -> Table {
    Table {
        function,
        parameters: parameters(function),
        keys: Interval::new(min, max),
        input_scale: input,
        output_scale: output,
        low: 0,
    }
}

/// Usual parameters of a function.
pub fn parameters(function: Function) -> [f64; 2] {
    match function {
        Function::LeakyRelu => [0.1, 0.0],
        Function::Elu | Function::Celu => [1.0, 0.0],
        Function::Selu => [1.673, 1.05],
        Function::Clip => [-1.5, 2.25],
        Function::HardSigmoid => [0.2, 0.5],
        Function::Pow => [3.0, 0.0],
        Function::Step | Function::Equal | Function::ThresholdedRelu => [0.5, 0.0],
        Function::Mod => [0.75, 0.0],
        Function::Trunc => [0.5, 0.0],
        Function::Shrink => [0.5, 0.25],
        _ => [0.0; 2],
    }
}
