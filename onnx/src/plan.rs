//! One quantized graph for given bit widths.
//!
//! A real number is `scale * integer`, one scale per tensor, zero point 0. Accumulators have scale `s_x s_w`; a
//! requantization drops `s` bits, so `s_y = 2^s s_x s_w`: the multiplier is absorbed in `s_w = s_y / (2^s s_x)`.
//!
//! Error bound of a dense layer, in real units: with `|x - s_x X| <= e`, each output is off by at most
//! `e sum|w| + s_w/2 sum|s_x X| + s_x s_w / 2`, from the input, the weights' rounding and the bias's.

use std::collections::{BTreeMap, BTreeSet};

use zkernel_gadgets::model::{
    Graph, Interval, Node, Op, Tensor, TensorId, Visibility, WeightValues,
};

use crate::model::{Conv, FloatNode, FloatOp};
use crate::{Error, Model, Options};

mod columns;
mod division;
mod elementwise;
mod functions;
mod linear;
mod lines;
mod products;
mod quotients;
mod ranges;
mod rounding;
mod selection;
mod uses;
mod windows;

pub(crate) use ranges::Ranges;
use ranges::ceil_log2;

/// Margin of every table over the calibrated range, as a shift: four times.
const MARGIN: u32 = 2;
/// Weight bits of accumulators that are shown as they are, and of those compared by argmax.
const RAW_WEIGHT_BITS: u32 = 15;
const ARGMAX_WEIGHT_BITS: u32 = 11;
/// The same of weights that bits choose: leaves of trees.
const BIT_WEIGHT_BITS: u32 = 22;
/// Bits that a bias may have beyond the largest weight.
const BIAS_BITS: u32 = 24;

/// Most bytes of the names of classes that stand beside an output's name.
const MOST_NAMES: usize = 400;
/// Most bits of a limb.
const LIMB_BITS: u32 = 8;
/// Most bits dropped by a requantization.
const MOST_DROPPED: u32 = 40;

/// The bit widths that a search chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Widths {
    /// Bits dropped after a dense layer.
    pub shift: u32,
    /// Bits of the calibrated range of activations.
    pub activation: u32,
}

/// Builds the graph for given widths.
pub(crate) fn build(
    model: &Model,
    ranges: &Ranges,
    widths: Widths,
    options: &Options,
) -> Result<Planned, Error> {
    let mut plan = Plan {
        model,
        ranges,
        widths,
        options,
        graph: Graph {
            name: model.name.clone(),
            limb_bits: LIMB_BITS,
            tensors: Vec::new(),
            weights: Vec::new(),
            tables: Vec::new(),
            nodes: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
        },
        values: Vec::new(),
        placed: BTreeMap::new(),
        fused: Vec::new(),
        layers: Vec::new(),
        scaled: BTreeMap::new(),
        refined: BTreeMap::new(),
        narrowed: BTreeMap::new(),
        evened: BTreeMap::new(),
        exact: BTreeSet::new(),
        halves: BTreeMap::new(),
        chosen: BTreeMap::new(),
    };
    plan.inputs();
    model.nodes.iter().try_for_each(|n| plan.node(n))?;
    plan.outputs();
    Ok(Planned {
        graph: plan.graph,
        weights: WeightValues(plan.values),
        placed: plan.placed,
        fused: plan.fused,
    })
}

/// A graph, its weights, and which tensor stands for which float tensor.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    pub(crate) graph: Graph,
    pub(crate) weights: WeightValues,
    pub(crate) placed: BTreeMap<usize, TensorId>,
    /// Float tensors that have no integers of their own.
    pub(crate) fused: Vec<usize>,
}

struct Plan<'a> {
    model: &'a Model,
    ranges: &'a Ranges,
    widths: Widths,
    options: &'a Options,
    graph: Graph,
    values: Vec<Vec<i64>>,
    placed: BTreeMap<usize, TensorId>,
    /// Float tensors that have no integers of their own: ReLUs fused into the pooling that reads them.
    fused: Vec<usize>,
    /// Accumulators of linear layers, with the float tensor that each stands for.
    layers: Vec<(TensorId, usize)>,
    /// Layers whose weights were scaled so that a chosen number of bits is dropped, and that number.
    scaled: BTreeMap<usize, u32>,
    /// The largest or smallest values of a tensor, by what they were asked for.
    chosen: BTreeMap<(TensorId, usize, bool), TensorId>,
    /// Bits that values have beyond those of activations, because lines need them.
    refined: BTreeMap<TensorId, u32>,
    /// Tensors that have been requantized to so many bits, and the result: several readers share it.
    narrowed: BTreeMap<(TensorId, u32), TensorId>,
    /// Tables whose columns differ in size, and the same with columns that do not.
    evened: BTreeMap<TensorId, TensorId>,
    /// Integers that the file means, and sums of them.
    exact: BTreeSet<TensorId>,
    /// Sums of which it is known whether they can lie half a step beyond a whole one.
    halves: BTreeMap<TensorId, bool>,
}

/// What kind of integers a tensor holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// Values that a table bounds.
    Values,
    /// Accumulators of the linear layer with that float output.
    Layer(usize),
    /// Other sums.
    Sums,
}

impl Plan<'_> {
    fn tensor(&mut self, float: usize, scale: f64, range: Interval) -> TensorId {
        let source = &self.model.tensors[float];
        self.graph.tensors.push(Tensor {
            name: source.name.clone(),
            shape: source.shape.clone(),
            scale,
            zero_point: 0,
            range,
            visibility: Visibility::Private,
        });
        TensorId((self.graph.tensors.len() - 1) as u32)
    }

    fn emit(&mut self, name: &str, op: Op, input: TensorId, output: TensorId) {
        self.emit_all(name, op, vec![input], output);
    }

    fn emit_all(&mut self, name: &str, op: Op, inputs: Vec<TensorId>, output: TensorId) {
        self.graph.nodes.push(Node {
            name: name.into(),
            op,
            inputs,
            output,
        });
    }

    fn read(&self, id: TensorId) -> &Tensor {
        &self.graph.tensors[id.0 as usize]
    }

    fn inputs(&mut self) {
        for (&t, grid) in self.model.inputs.iter().zip(&self.ranges.inputs) {
            let id = self.tensor(t, grid.scale, grid.range);
            self.refined.insert(id, grid.excess);
            self.graph.tensors[id.0 as usize].visibility = self.options.input;
            self.graph.inputs.push(id);
            self.placed.insert(t, id);
        }
    }

    fn outputs(&mut self) {
        for t in &self.model.outputs {
            let id = self.placed[t];
            let tensor = &mut self.graph.tensors[id.0 as usize];
            tensor.visibility = self.options.output;
            if let Some(classes) = self.model.classes.get(&self.model.tensors[*t].name) {
                let named: Vec<String> = classes
                    .iter()
                    .enumerate()
                    .map(|(i, c)| format!("{i}: {c}"))
                    .collect();
                let named = named.join(", ");
                if named.len() <= MOST_NAMES {
                    tensor.name = format!("{} ({named})", self.model.tensors[*t].name);
                }
            }
            self.graph.outputs.push(id);
        }
    }

    fn node(&mut self, node: &FloatNode) -> Result<(), Error> {
        // Constants get their integers from who reads them.
        if matches!(node.op, FloatOp::Constant(_)) {
            return Ok(());
        }
        let first = node.inputs.iter().find_map(|t| self.placed.get(t).copied());
        let input = first.ok_or_else(|| Error::Plan {
            node: node.name.clone(),
            problem: "reads nothing but constants",
        })?;
        let output = match &node.op {
            FloatOp::Affine { pieces, constant } => self.affine(node, pieces, *constant)?,
            FloatOp::Constant(_) => return Ok(()),
            FloatOp::Product => self.product(node)?,
            FloatOp::MatMul => self.matmul(node)?,
            FloatOp::Reciprocal => self.reciprocal(node, input),
            FloatOp::Positive => self.positive(node, input)?,
            FloatOp::Round(rounding) => self.rounded(node, rounding, input)?,
            FloatOp::Softmax => self.softmax(node, input),
            FloatOp::Gather {
                rows,
                cols,
                weights,
            } => self.gather(node, (*rows, *cols), weights, input),
            FloatOp::Scale { scale, shift } => match self.evened(node, input) {
                Some((node, input)) => self.scaled_even(&node, input)?,
                None => self.scaled(node, (scale, shift), input)?,
            },
            FloatOp::Dense { weights, .. }
                if !self.uses(node.output).compared || weights.iter().any(|w| w.fract() != 0.0) =>
            {
                match self.evened(node, input) {
                    Some((node, input)) => self.linear(&node, input)?,
                    None => {
                        let input = self.layer_input(node, input);
                        self.linear(node, input)?
                    }
                }
            }
            FloatOp::Dense { .. } => {
                let input = self.layer_input(node, input);
                self.linear(node, input)?
            }
            FloatOp::Conv(conv) => {
                let input = self.layer_input(node, input);
                let input = self.in_plane(node, input);
                let output = self.linear(node, input)?;
                debug_assert!(conv.rows > 0);
                self.in_shape(node, output)
            }
            FloatOp::MaxPool(geometry) => {
                let input = match self.fused.contains(&node.inputs[0]) {
                    true => input,
                    false => self.layer_input(node, input),
                };
                let input = self.in_plane(node, input);
                let output = self.max_pool(node, *geometry, input);
                self.in_shape(node, output)
            }
            FloatOp::AveragePool(geometry) => {
                let input = self.in_plane(node, input);
                let output = self.average_pool(node, *geometry, input)?;
                self.in_shape(node, output)
            }
            FloatOp::Transpose(axes) => {
                let (scale, range) = (self.read(input).scale, self.read(input).range);
                let output = self.tensor(node.output, scale, range);
                let axes = axes.clone();
                self.emit(&node.name, Op::Transpose { axes }, input, output);
                output
            }
            FloatOp::Function(f, _) if self.fuses_into_pool(node, *f, input) => {
                self.placed.insert(node.output, input);
                self.fused.push(node.output);
                return Ok(());
            }
            FloatOp::Function(f, parameters) => self.function(node, *f, *parameters, input)?,
            FloatOp::ArgMax => {
                let classes = self.read(input).shape.last().copied().unwrap_or(1);
                let output = self.tensor(node.output, 1.0, Interval::new(0, classes as i64 - 1));
                self.emit(&node.name, Op::ArgMax, input, output);
                output
            }
            FloatOp::TopK { k, largest, values } => {
                self.top_k(node, (*k, *largest, *values), input)?
            }
            FloatOp::Reshape => {
                let (scale, range) = (self.read(input).scale, self.read(input).range);
                let output = self.tensor(node.output, scale, range);
                self.emit(&node.name, Op::Reshape, input, output);
                output
            }
        };
        self.placed.insert(node.output, output);
        Ok(())
    }

    /// What a layer multiplies by weights: values of few bits, or what a comparison needs exactly.
    fn layer_input(&mut self, node: &FloatNode, input: TensorId) -> TensorId {
        let exact = self.uses(node.output).compared && matches!(node.op, FloatOp::Dense { .. });
        let sums = self.origin(input) != Origin::Values;
        if self.is_exact(input) || exact || !sums && !self.is_wide(input) {
            return input;
        }
        let bits = self.widths.activation;
        self.narrow(&format!("{}.input", node.name), node.inputs[0], input, bits)
    }

    fn is_wide(&self, id: TensorId) -> bool {
        let range = self.read(id).range;
        range.max.abs_diff(range.min) >= 1 << 20
    }
}
