//! One quantized graph for given bit widths.
//!
//! A real number is `scale * integer`, one scale per tensor, zero point 0. Accumulators have scale `s_x s_w`; a
//! requantization drops `s` bits, so `s_y = 2^s s_x s_w`: the multiplier is absorbed in `s_w = s_y / (2^s s_x)`.
//!
//! Error bound of a dense layer, in real units: with `|x - s_x X| <= e`, each output is off by at most
//! `e sum|w| + s_w/2 sum|s_x X| + s_x s_w / 2`, from the input, the weights' rounding and the bias's.

use std::collections::{BTreeMap, BTreeSet};

use zkernel_gadgets::model::{
    Function, Graph, Interval, Node, Op, Table, TableId, Tensor, TensorId, Visibility, WeightValues,
};

use crate::model::{Conv, FloatNode, FloatOp};
use crate::{Error, Model, Options};

mod columns;
mod division;
mod elementwise;
mod linear;
mod lines;
mod ranges;
mod rounding;
mod selection;
mod windows;

pub(crate) use ranges::Ranges;
use ranges::ceil_log2;

/// Margin of every table over the calibrated range, as a shift: four times.
const MARGIN: u32 = 2;
/// Bits of the keys of one-input functions within the calibrated range: of those that jump, and of those that lines approximate.
const FUNCTION_BITS: u32 = 9;
const SMOOTH_BITS: u32 = 12;
/// Bits that the values of an exponential have beyond the calibrated ones.
const EXP_MARGIN: f64 = 8.0;
/// Bits of the keys of functions that are steep somewhere.
const STEEP_BITS: u32 = 12;
/// Weight bits of accumulators that are shown as they are, and of those compared by argmax.
const RAW_WEIGHT_BITS: u32 = 15;
const ARGMAX_WEIGHT_BITS: u32 = 11;
/// The same of weights that bits choose: leaves of trees.
const BIT_WEIGHT_BITS: u32 = 22;
/// Bits that a bias may have beyond the largest weight.
const BIAS_BITS: u32 = 24;
/// Values of a table whose result is not multiplied by weights: steps in the calibrated range.
const VALUE_BITS: i32 = 16;

/// Bits of what is divided by beyond which a quotient costs less than a table.
const WIDE_BITS: u32 = 14;
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

/// Who reads a tensor in the end, reshapes seen through.
#[derive(Clone, Copy, Default)]
struct Uses {
    /// Multiplied by weights.
    linear: bool,
    function: Option<Function>,
    /// Max pooling with a table.
    pool: bool,
    /// Part of a sum.
    added: bool,
    /// Multiplied by activations.
    factor: bool,
    /// Compared.
    compared: bool,
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
                FloatOp::Dense { .. } | FloatOp::Conv(_) => uses.linear = true,
                FloatOp::Function(f, _) => uses.function = Some(f),
                FloatOp::MatMul
                | FloatOp::Product
                | FloatOp::Scale { .. }
                | FloatOp::Reciprocal
                | FloatOp::Softmax => uses.factor = true,
                FloatOp::Positive => uses.compared = true,
                FloatOp::Constant(_) | FloatOp::Gather { .. } | FloatOp::Round(_) => {}
                FloatOp::ArgMax | FloatOp::TopK { .. } => uses.argmax = true,
                FloatOp::MaxPool(_) => uses.pool = true,
                FloatOp::Affine { .. } => {
                    let next = self.uses(reader.output);
                    uses.compared |= next.compared;
                    uses.added = true;
                }
                FloatOp::Reshape | FloatOp::Transpose(_) | FloatOp::AveragePool(_) => {
                    let next = self.uses(reader.output);
                    uses.linear |= next.linear;
                    uses.argmax |= next.argmax;
                    uses.output |= next.output;
                    uses.pool |= next.pool;
                    uses.added |= next.added;
                    uses.factor |= next.factor;
                    uses.compared |= next.compared;
                    uses.function = uses.function.or(next.function);
                }
            }
        }
        uses
    }

    /// Whether a tensor chooses rows of a matrix, seen through views.
    fn numbers_rows(&self, tensor: usize) -> bool {
        self.model.readers(tensor).any(|reader| match reader.op {
            FloatOp::Gather { .. } => true,
            FloatOp::Affine { .. } | FloatOp::Reshape | FloatOp::Transpose(_) => {
                self.numbers_rows(reader.output)
            }
            _ => false,
        })
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

    fn key_bits(&self, function: Function) -> u32 {
        match function {
            Function::Relu => self.widths.activation,
            Function::Log | Function::Reciprocal | Function::Pow | Function::Tan => {
                STEEP_BITS.max(self.widths.activation.saturating_sub(1))
            }
            Function::Clip | Function::Relu6 => FUNCTION_BITS.max(self.widths.activation),
            _ if lines::jumps(function) => FUNCTION_BITS.max(self.widths.activation),
            _ => SMOOTH_BITS.max(self.widths.activation),
        }
    }

    fn function(
        &mut self,
        node: &FloatNode,
        function: Function,
        parameters: [f64; 2],
        input: TensorId,
    ) -> Result<TensorId, Error> {
        if matches!(function, Function::Sqrt | Function::Rsqrt) {
            return self.root(node, function, input);
        }
        let range = self.read(input).range;
        if function == Function::Reciprocal && range.min >= 0 && range.max >= 1 << WIDE_BITS {
            return Ok(self.reciprocal(node, input));
        }
        let input = if self.is_wide(input) && self.origin(input) == Origin::Values {
            let bits = self.key_bits(function);
            self.narrow(&format!("{}.input", node.name), node.inputs[0], input, bits)
        } else {
            input
        };
        let key_scale = self
            .key_scale(node.inputs[0], input, self.key_bits(function))
            .0;
        let output_scale = match function {
            Function::Relu | Function::Identity | Function::Clip | Function::Relu6 => key_scale,
            // Numbers of rows are what they are.
            f if lines::jumps(f) && self.numbers_rows(node.output) => 1.0,
            _ => self.value_scale(node, (function, parameters), input),
        };
        Ok(self.requantize(node, (function, parameters), input, output_scale))
    }

    /// Scale of the keys, and the bits dropped to reach it: none for values that are no accumulators; those of a linear
    /// layer whose weights were scaled for it; else as many as leave `bits` of the calibrated range.
    fn key_scale(&self, float: usize, input: TensorId, bits: u32) -> (f64, u32) {
        let scale = self.read(input).scale;
        let shift = match self.origin(input) {
            Origin::Values => 0,
            Origin::Layer(float) if self.scaled.contains_key(&float) => self.scaled[&float],
            Origin::Layer(_) | Origin::Sums => {
                let steps = self.ranges.magnitude[float] / scale / f64::from(bits).exp2();
                ceil_log2(steps).min(MOST_DROPPED)
            }
        };
        (scale * f64::from(shift).exp2(), shift)
    }

    /// What kind of integers a tensor holds, seen through views.
    fn origin(&self, id: TensorId) -> Origin {
        let Some(n) = self.graph.nodes.iter().find(|n| n.output == id) else {
            return Origin::Values;
        };
        match n.op {
            Op::Dense { .. } | Op::Conv { .. } => {
                let float = self.layers.iter().find(|(tensor, _)| *tensor == id);
                float.map_or(Origin::Sums, |(_, float)| Origin::Layer(*float))
            }
            Op::Affine { .. } if self.is_view_of_values(n) => Origin::Values,
            Op::SumPool { .. } | Op::Affine { .. } | Op::Product | Op::MatMul => Origin::Sums,
            Op::Reshape | Op::Transpose { .. } => self.origin(n.inputs[0]),
            _ => Origin::Values,
        }
    }

    /// Keys of a table: the calibrated range with a margin. That of exponentials ends where their values have one, of
    /// [`EXP_MARGIN`] bits.
    fn keys(&self, node: &FloatNode, function: Function, input: TensorId) -> Interval {
        let half = 1i64 << (self.key_bits(function) + MARGIN);
        let min = if function == Function::Log { 0 } else { -half };
        let mut keys = match self.origin(input) {
            Origin::Values => self.read(input).range,
            _ => Interval::new(min, half - 1),
        };
        let grows = matches!(function, Function::Exp | Function::Sinh | Function::Cosh);
        if grows {
            let bits = self.key_bits(function);
            let step = self.key_scale(node.inputs[0], input, bits).0;
            let top = self.ranges.magnitude[node.output].ln() + EXP_MARGIN * std::f64::consts::LN_2;
            keys.max = keys.max.min((top / step) as i64).max(keys.min);
            if function != Function::Exp {
                keys.min = keys.min.max(-keys.max);
            }
        }
        keys
    }

    /// As fine as the next layer's weights allow where there is one, else 16 bits.
    fn value_scale(
        &self,
        node: &FloatNode,
        (function, parameters): (Function, [f64; 2]),
        input: TensorId,
    ) -> f64 {
        let (magnitude, uses) = (self.ranges.magnitude[node.output], self.uses(node.output));
        let bits =
            if uses.linear || uses.added || uses.pool || uses.factor || uses.function.is_some() {
                self.widths.activation as i32
            } else {
                VALUE_BITS
            };
        let top = f64::from(ceil_log2(magnitude)) - f64::from(bits);
        // Some functions grow beyond the calibrated range: their values stay below 2^40 all the same, with room for rounding.
        let keys = self.keys(node, function, input);
        let step = self
            .key_scale(node.inputs[0], input, self.key_bits(function))
            .0;
        let worst = function.float(keys.max as f64 * step, parameters).abs();
        let worst = if worst.is_nan() {
            0.0
        } else {
            worst.min(f64::MAX)
        };
        let whole = |x: f64| x.fract() == 0.0;
        let power = function == Function::Pow && parameters[0] >= 0.0 && whole(parameters[0]);
        if power && whole(step) && worst < 39f64.exp2() {
            // Powers of integers are integers.
            return step.powf(parameters[0]);
        }
        top.exp2().max(worst / 39f64.exp2())
    }

    fn requantize(
        &mut self,
        node: &FloatNode,
        (function, parameters): (Function, [f64; 2]),
        input: TensorId,
        output_scale: f64,
    ) -> TensorId {
        let float = match function {
            Function::Identity => node.output,
            _ => node.inputs[0],
        };
        let (key_scale, shift) = self.key_scale(float, input, self.key_bits(function));
        // Relu and Identity are homogeneous: layers share one table whatever their scales.
        let homogeneous = matches!(function, Function::Relu | Function::Identity);
        let table = Table {
            function,
            parameters,
            keys: self.keys(node, function, input),
            input_scale: if homogeneous { 1.0 } else { key_scale },
            output_scale: if homogeneous { 1.0 } else { output_scale },
            low: 0,
        };
        let bits = self.widths.activation.max(FUNCTION_BITS);
        let magnitude = self.ranges.magnitude[node.output];
        let (table, refined, dropped) = {
            let (split, refined) =
                lines::split(table.clone(), magnitude, 1.0 / f64::from(bits + 1).exp2());
            let dropped =
                lines::too_fine(&split, &table, bits + MARGIN + 1).min(MOST_DROPPED - shift);
            match dropped {
                0 => (split, refined, 0),
                dropped => (lines::coarser(&table, dropped), 0, dropped),
            }
        };
        let shift = shift + dropped;
        let range = table.values();
        let scale = if homogeneous {
            key_scale
        } else {
            table.output_scale
        };
        let table = self.table(table);
        let output = self.tensor(node.output, scale, range);
        self.refined.insert(output, refined);
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
