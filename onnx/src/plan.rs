//! One quantized graph for given bit widths.
//!
//! A real number is `scale * integer`, one scale per tensor, zero point 0. Accumulators have scale `s_x s_w`; a
//! requantization drops `s` bits, so `s_y = 2^s s_x s_w`: the multiplier is absorbed in `s_w = s_y / (2^s s_x)`.
//!
//! Error bound of a dense layer, in real units: with `|x - s_x X| <= e`, each output is off by at most
//! `e sum|w| + s_w/2 sum|s_x X| + s_x s_w / 2`, from the input, the weights' rounding and the bias's.

use std::collections::BTreeMap;

use zkernel_gadgets::model::{
    Function, Graph, Interval, Node, Op, Table, TableId, Tensor, TensorId, Visibility, Weight,
    WeightId, WeightValues,
};

use crate::model::{FloatNode, FloatOp};
use crate::{Error, Model, Options};

mod ranges;

pub(crate) use ranges::Ranges;
use ranges::ceil_log2;

/// Margin of every table over the calibrated range, as a shift: four times.
const MARGIN: u32 = 2;
/// Bits of the keys of one-input functions within the calibrated range.
const FUNCTION_BITS: u32 = 9;
/// Weight bits of accumulators that are shown as they are, and of those compared by argmax.
const RAW_WEIGHT_BITS: u32 = 15;
const ARGMAX_WEIGHT_BITS: u32 = 11;
/// Values of a table whose result is not multiplied by weights: steps in the calibrated range.
const VALUE_BITS: i32 = 16;

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
            tensors: Vec::new(),
            weights: Vec::new(),
            tables: Vec::new(),
            nodes: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
        },
        values: Vec::new(),
        placed: BTreeMap::new(),
    };
    plan.inputs();
    model.nodes.iter().try_for_each(|n| plan.node(n))?;
    plan.outputs();
    Ok(Planned {
        graph: plan.graph,
        weights: WeightValues(plan.values),
        placed: plan.placed,
    })
}

/// A graph, its weights, and which tensor stands for which float tensor.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    pub(crate) graph: Graph,
    pub(crate) weights: WeightValues,
    pub(crate) placed: BTreeMap<usize, TensorId>,
}

struct Plan<'a> {
    model: &'a Model,
    ranges: &'a Ranges,
    widths: Widths,
    options: &'a Options,
    graph: Graph,
    values: Vec<Vec<i64>>,
    placed: BTreeMap<usize, TensorId>,
}

/// Who reads a tensor in the end, reshapes seen through.
#[derive(Clone, Copy, Default)]
struct Uses {
    dense: bool,
    function: Option<Function>,
    argmax: bool,
    output: bool,
}

impl Plan<'_> {
    fn uses(&self, tensor: usize) -> Uses {
        let mut uses = Uses {
            output: self.model.outputs.contains(&tensor),
            ..Uses::default()
        };
        for reader in self.model.readers(tensor) {
            match reader.op {
                FloatOp::Dense { .. } => uses.dense = true,
                FloatOp::Function(f) => uses.function = Some(f),
                FloatOp::ArgMax => uses.argmax = true,
                FloatOp::Reshape => {
                    let next = self.uses(reader.output);
                    uses.dense |= next.dense;
                    uses.argmax |= next.argmax;
                    uses.output |= next.output;
                    uses.function = uses.function.or(next.function);
                }
            }
        }
        uses
    }

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
        self.graph.nodes.push(Node {
            name: name.into(),
            op,
            inputs: vec![input],
            output,
        });
    }

    fn read(&self, id: TensorId) -> &Tensor {
        &self.graph.tensors[id.0 as usize]
    }

    fn inputs(&mut self) {
        for (&t, &(scale, range)) in self.model.inputs.iter().zip(&self.ranges.inputs) {
            let id = self.tensor(t, scale, range);
            self.graph.tensors[id.0 as usize].visibility = self.options.input;
            self.graph.inputs.push(id);
            self.placed.insert(t, id);
        }
    }

    fn outputs(&mut self) {
        for t in &self.model.outputs {
            let id = self.placed[t];
            self.graph.tensors[id.0 as usize].visibility = self.options.output;
            self.graph.outputs.push(id);
        }
    }

    fn node(&mut self, node: &FloatNode) -> Result<(), Error> {
        let input = self.placed[&node.inputs[0]];
        let output = match &node.op {
            FloatOp::Dense { .. } => self.dense(node, input)?,
            FloatOp::Function(f) => self.function(node, *f, input),
            FloatOp::ArgMax => {
                let classes = self.read(input).shape.last().copied().unwrap_or(1);
                let output = self.tensor(node.output, 1.0, Interval::new(0, classes as i64 - 1));
                self.emit(&node.name, Op::ArgMax, input, output);
                output
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

    fn key_bits(&self, function: Function) -> u32 {
        match function {
            Function::Relu => self.widths.activation,
            _ => FUNCTION_BITS.max(self.widths.activation),
        }
    }

    fn dense(&mut self, node: &FloatNode, input: TensorId) -> Result<TensorId, Error> {
        let uses = self.uses(node.output);
        let private = uses.output && self.options.output == Visibility::Private;
        let through = uses.dense || private;
        let largest = match &node.op {
            FloatOp::Dense { weights, .. } => {
                weights.iter().fold(0f64, |m, &w| m.max(f64::from(w.abs())))
            }
            _ => 0.0,
        };
        let function = uses.function.or(through.then_some(Function::Identity));
        let s_x = self.read(input).scale;
        let s_w = if let Some(function) = function {
            let step =
                self.ranges.magnitude[node.output] / f64::from(self.key_bits(function)).exp2();
            step / (s_x * f64::from(self.widths.shift).exp2())
        } else {
            let bits = if uses.argmax {
                ARGMAX_WEIGHT_BITS
            } else {
                RAW_WEIGHT_BITS
            };
            largest.max(f64::MIN_POSITIVE.sqrt()) / ((1i64 << bits) - 1) as f64
        };
        let accumulator = self.accumulate(node, input, s_w)?;
        if uses.function.is_none() && through {
            return Ok(self.requantize(node, Function::Identity, accumulator, 1.0));
        }
        Ok(accumulator)
    }

    fn accumulate(
        &mut self,
        node: &FloatNode,
        input: TensorId,
        s_w: f64,
    ) -> Result<TensorId, Error> {
        let FloatOp::Dense {
            rows,
            cols,
            weights,
            bias,
        } = &node.op
        else {
            return Ok(input);
        };
        let (scale, range) = (self.read(input).scale * s_w, self.read(input).range);
        let matrix = self.weight(&node.name, "weight", weights, (*rows, *cols), s_w);
        let bias = bias
            .as_ref()
            .map(|b| self.weight(&node.name, "bias", b, (1, *rows), scale));
        let bound = |id: WeightId| i128::from(self.graph.weights[id.0 as usize].bound);
        let largest = i128::from(range.min.unsigned_abs().max(range.max.unsigned_abs()));
        let worst = bound(matrix)
            .saturating_mul(largest)
            .saturating_mul(*cols as i128)
            .saturating_add(bias.map_or(0, bound));
        let bits = 128 - worst.leading_zeros();
        if bits > 62 {
            return Err(Error::Overflow {
                node: node.name.clone(),
                bits,
            });
        }
        let worst = worst as i64;
        let output = self.tensor(node.output, scale, Interval::new(-worst, worst));
        self.emit(
            &node.name,
            Op::Dense {
                weights: matrix,
                bias,
            },
            input,
            output,
        );
        Ok(output)
    }

    /// Rounds to integers. The public bound is a power of two, less one, so that it says little about the weights.
    fn weight(
        &mut self,
        node: &str,
        part: &str,
        real: &[f32],
        (rows, cols): (usize, usize),
        scale: f64,
    ) -> WeightId {
        let integers: Vec<i64> = real
            .iter()
            .map(|&w| (f64::from(w) / scale + 0.5).floor() as i64)
            .collect();
        let largest = integers.iter().map(|w| w.unsigned_abs()).max().unwrap_or(0);
        let bits = 64 - largest.max(1).leading_zeros();
        self.graph.weights.push(Weight {
            name: format!("{node}.{part}"),
            rows,
            cols,
            scale,
            bound: (u64::MAX >> (64 - bits)).min(i64::MAX as u64) as i64,
            visibility: self.options.weights,
        });
        self.values.push(integers);
        WeightId((self.values.len() - 1) as u32)
    }

    fn function(&mut self, node: &FloatNode, function: Function, input: TensorId) -> TensorId {
        let key_scale = self.key_scale(input).0;
        let output_scale = match function {
            Function::Relu | Function::Identity => key_scale,
            _ => self.value_scale(node, function, input),
        };
        self.requantize(node, function, input, output_scale)
    }

    /// Scale of the keys, and the bits dropped to reach it: none for values that are no accumulators.
    fn key_scale(&self, input: TensorId) -> (f64, u32) {
        let tensor = self.read(input);
        let drops = self.is_accumulator(input);
        let shift = if drops { self.widths.shift } else { 0 };
        (tensor.scale * f64::from(shift).exp2(), shift)
    }

    fn is_accumulator(&self, id: TensorId) -> bool {
        let writer = self.graph.nodes.iter().find(|n| n.output == id);
        writer.is_some_and(|n| match n.op {
            Op::Dense { .. } => true,
            Op::Reshape => self.is_accumulator(n.inputs[0]),
            _ => false,
        })
    }

    fn keys(&self, function: Function, input: TensorId) -> Interval {
        if !self.is_accumulator(input) {
            return self.read(input).range;
        }
        let half = 1i64 << (self.key_bits(function) + MARGIN);
        Interval::new(-half, half - 1)
    }

    /// As fine as the next layer's weights allow where there is one, else 16 bits.
    fn value_scale(&self, node: &FloatNode, function: Function, input: TensorId) -> f64 {
        let (magnitude, uses) = (self.ranges.magnitude[node.output], self.uses(node.output));
        let bits = if uses.dense || uses.function.is_some() {
            self.widths.activation as i32
        } else {
            VALUE_BITS
        };
        let top = f64::from(ceil_log2(magnitude)) - f64::from(bits);
        // Exp grows beyond the calibrated range: its values stay below 2^40 all the same.
        let (keys, step) = (self.keys(function, input), self.key_scale(input).0);
        let worst = function.float(keys.max as f64 * step).abs();
        top.exp2().max(worst.min(f64::MAX) / 40f64.exp2())
    }

    fn requantize(
        &mut self,
        node: &FloatNode,
        function: Function,
        input: TensorId,
        output_scale: f64,
    ) -> TensorId {
        let (key_scale, shift) = self.key_scale(input);
        // Relu and Identity are homogeneous: layers share one table whatever their scales.
        let homogeneous = matches!(function, Function::Relu | Function::Identity);
        let table = Table {
            function,
            keys: self.keys(function, input),
            input_scale: if homogeneous { 1.0 } else { key_scale },
            output_scale: if homogeneous { 1.0 } else { output_scale },
        };
        let range = table.values();
        let scale = if homogeneous { key_scale } else { output_scale };
        let table = self.table(table);
        let output = self.tensor(node.output, scale, range);
        let name = match function {
            Function::Identity => format!("{}.requantize", node.name),
            _ => node.name.clone(),
        };
        self.emit(&name, Op::Requantize { shift, table }, input, output);
        output
    }

    fn table(&mut self, table: Table) -> TableId {
        let known = self.graph.tables.iter().position(|t| *t == table);
        let index = known.unwrap_or_else(|| {
            self.graph.tables.push(table);
            self.graph.tables.len() - 1
        });
        TableId(index as u32)
    }
}
