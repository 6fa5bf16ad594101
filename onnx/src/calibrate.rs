//! Calibration: scales from float runs, integers from scales.
//!
//! real = scale * integer. A layer's requantization drops s bits, `s_y = 2^s s_x s_w`: the weights' scale is chosen as
//! `s_w = s_y / (2^s s_x)`, so no multiplier is left. Tables cover four times the calibrated range.

use zkernel_gadgets::model::{
    Function, Graph, Honest, Interval, Node, Op, RunError, Table, TableId, Tensor, TensorId,
    Visibility, Weight, WeightId, WeightValues, run,
};
use zkernel_gadgets::table::round_half_up;

use crate::model::{Layer, Model, ModelError};
use crate::report::{LayerReport, Report, class};
use crate::samples::Samples;

/// Largest magnitude of an accumulator: far from overflow and from the field's size.
const MAX_ACCUMULATOR: i128 = 1 << 61;
/// Bits of weights whose accumulators are read exactly.
const EXACT_BITS: i32 = 15;

/// Who learns what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Visibility of the input.
    pub input: Visibility,
    /// Visibility of the output.
    pub output: Visibility,
    /// Visibility of the weights.
    pub weights: Visibility,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            input: Visibility::Private,
            output: Visibility::Public,
            weights: Visibility::Private,
        }
    }
}

/// A quantized model and what it cost.
#[derive(Clone, Debug)]
pub struct Quantized {
    /// The graph.
    pub graph: Graph,
    /// The weights.
    pub weights: WeightValues,
    /// Accuracy on the calibration samples.
    pub report: Report,
}

/// Why a model was not quantized.
#[derive(Debug, thiserror::Error)]
pub enum QuantizeError {
    /// The float run failed.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The integer run failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The worst case leaves what integers can hold.
    #[error(
        "node `{node}`: accumulators can reach 2^{bits:.0}, beyond 2^61; the weights are too large for their inputs"
    )]
    Bound {
        /// The node.
        node: String,
        /// Bits of the worst case.
        bits: f64,
    },
    /// An input value outside the calibrated range.
    #[error(
        "input `{tensor}`, element {index}: value {value} is outside {min}..={max}; calibrate with data that covers it (--calibrate)"
    )]
    Input {
        /// The tensor.
        tensor: String,
        /// The element.
        index: usize,
        /// The value.
        value: f32,
        /// Smallest value covered.
        min: f64,
        /// Largest value covered.
        max: f64,
    },
}

/// Precision of a candidate: bits of a calibrated activation, and bits that a requantization drops.
#[derive(Clone, Copy, Debug)]
struct Precision {
    activation: i32,
    shift: u32,
}

/// Cheapest first: a shift beyond 8 bits costs a second lookup per activation.
const CANDIDATES: [Precision; 5] = [
    Precision {
        activation: 8,
        shift: 8,
    },
    Precision {
        activation: 8,
        shift: 12,
    },
    Precision {
        activation: 9,
        shift: 12,
    },
    Precision {
        activation: 10,
        shift: 12,
    },
    Precision {
        activation: 10,
        shift: 16,
    },
];

/// Quantizes a model by calibration on samples: the cheapest precision that changes no class and keeps the worst output
/// error below a three-hundredth of the largest output, else the most exact one.
///
/// # Errors
/// [`QuantizeError`] names the node.
pub fn quantize(
    model: &Model,
    samples: &Samples,
    options: &Options,
) -> Result<Quantized, QuantizeError> {
    let floats: Vec<Vec<Vec<f32>>> = samples
        .0
        .iter()
        .map(|sample| model.run_layers(sample))
        .collect();
    let largest = |tensor: usize| {
        floats
            .iter()
            .flat_map(|run| &run[tensor])
            .fold(0f64, |m, v| m.max(f64::from(v.abs())))
    };
    let ranges: Vec<f64> = (0..=model.layers.len()).map(largest).collect();
    let mut best: Option<Quantized> = None;
    for precision in CANDIDATES {
        let (graph, weights) = Builder::new(model, samples, &ranges, options, precision).build()?;
        let report = measure(model, &graph, &weights, samples)?;
        let limit = ranges.last().copied().unwrap_or(1.0) / 300.0;
        let good = report.top1_agreement == report.samples && report.max_abs_error <= limit;
        let better = best
            .as_ref()
            .is_none_or(|b| report.max_abs_error < b.report.max_abs_error);
        if good {
            return Ok(Quantized {
                graph,
                weights,
                report,
            });
        }
        if better {
            best = Some(Quantized {
                graph,
                weights,
                report,
            });
        }
    }
    best.ok_or_else(|| ModelError::Parse("no precision to try".into()).into())
}

/// Runs samples in integers and compares with float.
///
/// # Errors
/// [`QuantizeError`] if a sample leaves the tables.
pub fn measure(
    model: &Model,
    graph: &Graph,
    weights: &WeightValues,
    samples: &Samples,
) -> Result<Report, QuantizeError> {
    let count = samples.0.len();
    let mut report = Report {
        samples: count,
        top1_agreement: 0,
        max_abs_error: 0.0,
        layers: Vec::new(),
    };
    let mut sums = vec![(0f64, 0f64, 0usize, 0f64, 0f64); graph.tensors.len()];
    for sample in &samples.0 {
        let inputs = quantize_input(graph, sample)?;
        let trace = run(graph, weights, &[inputs], &mut Honest)?;
        let floats = model.run_layers(sample);
        for (layer, tensor) in float_tensors(model, graph).into_iter().enumerate() {
            let reals = dequantize(&graph.tensors[tensor], &trace.values[tensor]);
            let range = graph.tensors[tensor].range;
            let span = range.max.max(-range.min).max(1) as f64;
            let entry = &mut sums[tensor];
            for ((real, float), integer) in
                reals.iter().zip(&floats[layer]).zip(&trace.values[tensor])
            {
                let error = (real - f64::from(*float)).abs();
                *entry = (
                    entry.0.max(error),
                    entry.1 + error,
                    entry.2 + 1,
                    entry.3.max(f64::from(float.abs())),
                    entry.4.max(integer.abs() as f64 / span),
                );
            }
        }
        let output = graph.outputs[0].0 as usize;
        let quantized = dequantize(&graph.tensors[output], &trace.values[output]);
        let reference: Vec<f64> = model.run(sample)?.into_iter().map(f64::from).collect();
        report.top1_agreement += usize::from(class(&quantized) == class(&reference));
        let error = quantized
            .iter()
            .zip(&reference)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f64::max);
        report.max_abs_error = report.max_abs_error.max(error);
    }
    for (layer, tensor) in float_tensors(model, graph).into_iter().enumerate() {
        let (max_abs_error, sum, n, max_abs_value, range_used) = sums[tensor];
        let node = if layer == 0 {
            model.input_name.clone()
        } else {
            model.layers[layer - 1].name.clone()
        };
        let mean_abs_error = sum / n.max(1) as f64;
        report.layers.push(LayerReport {
            node,
            max_abs_error,
            mean_abs_error,
            max_abs_value,
            range_used,
        });
    }
    Ok(report)
}

/// The graph tensor of each float tensor: names are the same.
fn float_tensors(model: &Model, graph: &Graph) -> Vec<usize> {
    let names =
        std::iter::once(&model.input_name).chain(model.layers.iter().map(|layer| &layer.name));
    names
        .filter_map(|name| graph.tensors.iter().position(|t| t.name == *name))
        .collect()
}

/// The integers of an input, rounded half up.
///
/// # Errors
/// [`QuantizeError::Input`] for a value outside the calibrated range.
pub fn quantize_input(graph: &Graph, sample: &[f32]) -> Result<Vec<i64>, QuantizeError> {
    let tensor = &graph.tensors[graph.inputs[0].0 as usize];
    let expected: usize = tensor.shape.iter().product();
    if sample.len() != expected {
        let name = tensor.name.clone();
        return Err(RunError::Length {
            name,
            expected,
            found: sample.len(),
        }
        .into());
    }
    let quantize = |(index, value): (usize, &f32)| {
        let integer = round_half_up(f64::from(*value) / tensor.scale);
        if tensor.range.contains(integer) {
            return Ok(integer);
        }
        Err(QuantizeError::Input {
            tensor: tensor.name.clone(),
            index,
            value: *value,
            min: tensor.range.min as f64 * tensor.scale,
            max: tensor.range.max as f64 * tensor.scale,
        })
    };
    sample.iter().enumerate().map(quantize).collect()
}

/// The reals that integers of a tensor stand for.
#[must_use]
pub fn dequantize(tensor: &Tensor, values: &[i64]) -> Vec<f64> {
    values
        .iter()
        .map(|v| (v - tensor.zero_point) as f64 * tensor.scale)
        .collect()
}

struct Builder<'a> {
    model: &'a Model,
    samples: &'a Samples,
    ranges: &'a [f64],
    options: &'a Options,
    precision: Precision,
    graph: Graph,
    values: Vec<Vec<i64>>,
    /// Graph tensor of each float tensor.
    tensors: Vec<TensorId>,
}

impl<'a> Builder<'a> {
    fn new(
        model: &'a Model,
        samples: &'a Samples,
        ranges: &'a [f64],
        options: &'a Options,
        precision: Precision,
    ) -> Self {
        let graph = Graph {
            name: model.name.clone(),
            tensors: Vec::new(),
            weights: Vec::new(),
            tables: Vec::new(),
            nodes: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
        };
        Self {
            model,
            samples,
            ranges,
            options,
            precision,
            graph,
            values: Vec::new(),
            tensors: Vec::new(),
        }
    }

    fn build(mut self) -> Result<(Graph, WeightValues), QuantizeError> {
        self.input();
        for index in 0..self.model.layers.len() {
            let layer = &self.model.layers[index];
            let input = self.tensors[layer.input];
            let output = match &layer.layer {
                Layer::Dense { .. } => self.dense(index, input)?,
                Layer::Activation(function) => self.activation(index, input, *function),
                Layer::ArgMax => self.argmax(index, input),
                Layer::Reshape => {
                    let Tensor { scale, range, .. } = self.graph.tensors[input.0 as usize];
                    self.node(index, Op::Reshape, input, scale, range)
                }
            };
            self.tensors.push(output);
        }
        let last = *self.tensors.last().unwrap_or(&TensorId(0));
        let last = if self.options.output == Visibility::Private {
            self.ranged(last)
        } else {
            last
        };
        self.graph.tensors[last.0 as usize].visibility = self.options.output;
        self.graph.outputs.push(last);
        Ok((self.graph, WeightValues(self.values)))
    }

    fn tensor(&mut self, name: String, shape: Vec<usize>, scale: f64, range: Interval) -> TensorId {
        let visibility = Visibility::Private;
        self.graph.tensors.push(Tensor {
            name,
            shape,
            scale,
            zero_point: 0,
            range,
            visibility,
        });
        TensorId(self.graph.tensors.len() as u32 - 1)
    }

    fn node(
        &mut self,
        index: usize,
        op: Op,
        input: TensorId,
        scale: f64,
        range: Interval,
    ) -> TensorId {
        let layer = &self.model.layers[index];
        let output = self.tensor(layer.name.clone(), layer.shape.clone(), scale, range);
        self.graph.nodes.push(Node {
            name: layer.name.clone(),
            op,
            inputs: vec![input],
            output,
        });
        output
    }

    /// The input: a power-of-two grid if the samples lie on one, else seven bits and a sign for the calibrated range.
    fn input(&mut self) {
        let largest = nonzero(self.ranges[0]);
        let all = || self.samples.0.iter().flatten().map(|v| f64::from(*v));
        let fits = |g: &i32| {
            let step = f64::from(2f32.powi(-g));
            largest / step <= 256.0 && all().all(|v| (v / step).fract() == 0.0)
        };
        let scale = (0..=8)
            .find(fits)
            .map_or(largest / 256.0, |g| f64::from(2f32.powi(-g)));
        let bound = (4.0 * largest / scale).ceil() as i64;
        let bound = (bound.max(1) as u64).next_power_of_two() as i64;
        let min = if all().all(|v| v >= 0.0) { 0 } else { -bound };
        let (name, shape) = (
            self.model.input_name.clone(),
            self.model.input_shape.clone(),
        );
        let id = self.tensor(name, shape, scale, Interval::new(min, bound - 1));
        self.graph.tensors[id.0 as usize].visibility = self.options.input;
        self.graph.inputs.push(id);
        self.tensors.push(id);
    }

    /// What reads the output of a layer decides the scale of its weights.
    fn reader(&self, index: usize) -> Option<&'a Layer> {
        let mut tensor = index + 1;
        loop {
            let reader = self
                .model
                .layers
                .iter()
                .position(|layer| layer.input == tensor)?;
            match &self.model.layers[reader].layer {
                Layer::Reshape => tensor = reader + 1,
                other => return Some(other),
            }
        }
    }

    fn dense(&mut self, index: usize, input: TensorId) -> Result<TensorId, QuantizeError> {
        let input = self.ranged_if_accumulator(input);
        let Layer::Dense {
            rows,
            cols,
            weights,
            bias,
        } = &self.model.layers[index].layer
        else {
            return Ok(input);
        };
        let x = self.graph.tensors[input.0 as usize].clone();
        let largest = nonzero(weights.iter().fold(0f64, |m, w| m.max(f64::from(w.abs()))));
        let exact = largest / f64::from(2f32.powi(EXACT_BITS));
        let scale = match self.reader(index) {
            None if self.options.output == Visibility::Public => exact,
            Some(Layer::ArgMax) => exact,
            Some(Layer::Activation(function)) => {
                self.key_scale(self.ranges[index + 1], *function)
                    / f64::from(1u32 << self.precision.shift)
                    / x.scale
            }
            _ => {
                self.key_scale(self.ranges[index + 1], Function::Relu)
                    / f64::from(1u32 << self.precision.shift)
                    / x.scale
            }
        };
        let integers: Vec<i64> = weights
            .iter()
            .map(|w| round_half_up(f64::from(*w) / scale))
            .collect();
        let zeros = vec![0f32; *rows];
        let bias = bias.as_ref().unwrap_or(&zeros);
        let biases: Vec<i64> = bias
            .iter()
            .map(|b| round_half_up(f64::from(*b) / (scale * x.scale)))
            .collect();
        let range = self.bound(index, &integers, &biases, *cols, x.range)?;
        let name = self.model.layers[index].name.clone();
        let bias = (!biases.iter().all(|b| *b == 0))
            .then(|| self.weight(format!("{name}/bias"), 1, *rows, scale * x.scale, biases));
        let weights = self.weight(format!("{name}/weights"), *rows, *cols, scale, integers);
        Ok(self.node(
            index,
            Op::Dense { weights, bias },
            input,
            scale * x.scale,
            range,
        ))
    }

    fn weight(
        &mut self,
        name: String,
        rows: usize,
        cols: usize,
        scale: f64,
        values: Vec<i64>,
    ) -> WeightId {
        let bound = values.iter().map(|v| v.abs()).max().unwrap_or(0);
        // The bound is public: only its number of bits is shown.
        let bound = (bound.unsigned_abs() + 1).next_power_of_two() as i64;
        let visibility = self.options.weights;
        self.graph.weights.push(Weight {
            name,
            rows,
            cols,
            scale,
            bound,
            visibility,
        });
        self.values.push(values);
        WeightId(self.graph.weights.len() as u32 - 1)
    }

    /// Worst case over all inputs in range, from public bounds alone: `cols * max|w| * max|x| + max|b|`.
    fn bound(
        &self,
        index: usize,
        weights: &[i64],
        biases: &[i64],
        cols: usize,
        x: Interval,
    ) -> Result<Interval, QuantizeError> {
        let bits = |values: &[i64]| {
            values
                .iter()
                .map(|v| v.unsigned_abs() + 1)
                .max()
                .unwrap_or(1)
                .next_power_of_two()
        };
        let x = i128::from(x.max.unsigned_abs().max(x.min.unsigned_abs()));
        let worst = i128::from(bits(weights)) * x * cols as i128 + i128::from(bits(biases));
        if worst >= MAX_ACCUMULATOR {
            let node = self.model.layers[index].name.clone();
            return Err(QuantizeError::Bound {
                node,
                bits: (worst as f64).log2(),
            });
        }
        Ok(Interval::new(-(worst as i64), worst as i64))
    }

    /// Real value of one step of a table's key.
    fn key_scale(&self, range: f64, function: Function) -> f64 {
        let extra = 2 * i32::from(function != Function::Relu);
        nonzero(range) / f64::from(2f32.powi(self.precision.activation + extra))
    }

    fn activation(&mut self, index: usize, input: TensorId, function: Function) -> TensorId {
        let is_accumulator = self.is_accumulator(input);
        let from = self.graph.tensors[input.0 as usize].clone();
        let shift = if is_accumulator {
            self.precision.shift
        } else {
            0
        };
        let key_scale = from.scale * f64::from(1u32 << shift);
        let keys = if is_accumulator {
            let extra = 2 * i32::from(function != Function::Relu);
            let bound = 1i64 << (self.precision.activation + extra + 2);
            Interval::new(-bound, bound - 1)
        } else {
            from.range
        };
        let (input_scale, output_scale, scale) = match function {
            Function::Relu | Function::Abs => (1.0, 1.0, key_scale),
            _ => (key_scale, 1.0 / 65536.0, 1.0 / 65536.0),
        };
        let table = Table {
            function,
            keys,
            input_scale,
            output_scale,
        };
        let range = table.values();
        let table = self.table(table);
        self.node(index, Op::Requantize { shift, table }, input, scale, range)
    }

    fn table(&mut self, table: Table) -> TableId {
        let tables = &mut self.graph.tables;
        let index = tables.iter().position(|t| *t == table).unwrap_or_else(|| {
            tables.push(table);
            tables.len() - 1
        });
        TableId(index as u32)
    }

    fn argmax(&mut self, index: usize, input: TensorId) -> TensorId {
        let classes = self.graph.tensors[input.0 as usize]
            .shape
            .last()
            .copied()
            .unwrap_or(1);
        self.node(
            index,
            Op::ArgMax,
            input,
            1.0,
            Interval::new(0, classes as i64 - 1),
        )
    }

    fn is_accumulator(&self, tensor: TensorId) -> bool {
        let writer = self.graph.nodes.iter().find(|node| node.output == tensor);
        match writer.map(|node| (&node.op, node.inputs[0])) {
            Some((Op::Dense { .. }, _)) => true,
            Some((Op::Reshape, input)) => self.is_accumulator(input),
            _ => false,
        }
    }

    fn ranged_if_accumulator(&mut self, tensor: TensorId) -> TensorId {
        if self.is_accumulator(tensor) {
            self.ranged(tensor)
        } else {
            tensor
        }
    }

    /// A requantized copy of an accumulator, in a proven range.
    fn ranged(&mut self, tensor: TensorId) -> TensorId {
        if !self.is_accumulator(tensor) {
            return tensor;
        }
        let from = self.graph.tensors[tensor.0 as usize].clone();
        let bound = 1i64 << (self.precision.activation + 2);
        let table = Table {
            function: Function::Identity,
            keys: Interval::new(-bound, bound - 1),
            input_scale: 1.0,
            output_scale: 1.0,
        };
        let table = self.table(table);
        let shift = self.precision.shift;
        let scale = from.scale * f64::from(1u32 << shift);
        let name = format!("{}/requantized", from.name);
        let output = self.tensor(
            name.clone(),
            from.shape,
            scale,
            Interval::new(-bound, bound - 1),
        );
        self.graph.nodes.push(Node {
            name,
            op: Op::Requantize { shift, table },
            inputs: vec![tensor],
            output,
        });
        output
    }
}

fn nonzero(x: f64) -> f64 {
    if x > 0.0 { x } else { 1.0 }
}
