//! Functions of one variable: their keys, the scales of their values, and their tables.

use zkernel_gadgets::model::{Function, Interval, Op, Table, TableId, TensorId};

use super::{MARGIN, MOST_DROPPED, Origin, Plan, ceil_log2, lines};
use crate::Error;
use crate::model::FloatNode;

/// Bits of the keys of one-input functions within the calibrated range: of those that jump, and of those that lines approximate.
const FUNCTION_BITS: u32 = 9;
const SMOOTH_BITS: u32 = 12;
/// Bits that the values of an exponential have beyond the calibrated ones.
const EXP_MARGIN: f64 = 8.0;
/// Bits of the keys of functions that are steep somewhere.
const STEEP_BITS: u32 = 12;
/// Values of a table whose result is not multiplied by weights: steps in the calibrated range.
const VALUE_BITS: i32 = 16;
/// Bits of what is divided by beyond which a quotient costs less than a table.
const WIDE_BITS: u32 = 14;

impl Plan<'_> {
    pub(super) fn key_bits(&self, function: Function) -> u32 {
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

    pub(super) fn function(
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
    pub(super) fn key_scale(&self, float: usize, input: TensorId, bits: u32) -> (f64, u32) {
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
    pub(super) fn origin(&self, id: TensorId) -> Origin {
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
    pub(super) fn keys(&self, node: &FloatNode, function: Function, input: TensorId) -> Interval {
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
    pub(super) fn value_scale(
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

    pub(super) fn requantize(
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

    pub(super) fn table(&mut self, table: Table) -> TableId {
        let known = self.graph.tables.iter().position(|t| *t == table);
        let index = known.unwrap_or_else(|| {
            self.graph.tables.push(table);
            self.graph.tables.len() - 1
        });
        TableId(index as u32)
    }
}
