//! Linear layers: scales of their weights, integers, worst-case bounds.

use zkernel_gadgets::model::{Function, Interval, Op, TensorId, Visibility, Weight, WeightId};

use super::ranges::ceil_log2;
use super::{ARGMAX_WEIGHT_BITS, BIAS_BITS, BIT_WEIGHT_BITS, MOST_DROPPED, Plan, RAW_WEIGHT_BITS};
use crate::Error;
use crate::model::{FloatNode, FloatOp, Values};

impl Plan<'_> {
    /// A linear layer, requantized if its reader needs values.
    pub(super) fn linear(&mut self, node: &FloatNode, input: TensorId) -> Result<TensorId, Error> {
        let uses = self.uses(node.output);
        if !(uses.output && self.options.output == Visibility::Private)
            && let Some(exact) = self.exact_linear(node, input)?
        {
            return Ok(exact);
        }
        let private = uses.output && self.options.output == Visibility::Private;
        let through =
            uses.linear || uses.factor || private || (uses.pool && uses.function.is_none());
        let (_, weights, _) = node.op.linear().unwrap_or_default();
        let largest = weights.iter().fold(0f64, |m, &w| m.max(f64::from(w.abs())));
        let function = uses.function.or(through.then_some(Function::Identity));
        let s_x = self.read(input).scale;
        let whole = |w: &f32| w.fract() == 0.0 && w.abs() < 256.0;
        if uses.compared && weights.iter().all(whole) {
            let biases = self.thresholds(node, input);
            let integers: Vec<i64> = weights.iter().map(|w| *w as i64).collect();
            return self.accumulate_integers(node, input, (integers, biases), 1.0);
        }
        let s_w = if let Some(function) = function.or(uses.added.then_some(Function::Identity)) {
            let step =
                self.ranges.magnitude[node.output] / f64::from(self.key_bits(function)).exp2();
            let step = self.term_step(node.output, self.clipped_step(node.output, step));
            let shift = (self.widths.shift + self.excess_bits(input)).min(MOST_DROPPED);
            self.scaled.insert(node.output, shift);
            step / (s_x * f64::from(shift).exp2())
        } else {
            let bits = match self.read(input).range {
                // Bits: what few weights add up to decides.
                Interval { min: 0, max: 1 } => BIT_WEIGHT_BITS,
                _ if uses.argmax => ARGMAX_WEIGHT_BITS,
                _ => RAW_WEIGHT_BITS,
            };
            let (_, _, bias) = node.op.linear().unwrap_or_default();
            let bias = bias
                .unwrap_or_default()
                .iter()
                .fold(0f64, |m, &b| m.max(f64::from(b.abs())));
            let least = (bias / s_x / f64::from(BIAS_BITS).exp2()).max(f64::MIN_POSITIVE.sqrt());
            largest.max(least) / ((1i64 << bits) - 1) as f64
        };
        let accumulator = self.accumulate(node, input, s_w)?;
        self.layers.push((accumulator, node.output));
        if uses.function.is_none() && through {
            let identity = (Function::Identity, [0.0; 2]);
            return Ok(self.requantize(node, identity, accumulator, 1.0));
        }
        Ok(accumulator)
    }

    /// The biases of comparisons `w x + b > 0` with whole weights. Of whole numbers, exactly: `w X > -b` for the whole number next above
    /// b. Of others, a threshold is rounded as values are, so that what equals it still does: `x > t` as `X > T`.
    fn thresholds(&self, node: &FloatNode, input: TensorId) -> Option<Vec<i64>> {
        let (rows, weights, bias) = node.op.linear()?;
        let (scale, whole) = (self.read(input).scale, self.is_of_whole(input));
        let cols = weights.len() / rows.max(1);
        let integer = |(row, b): (&[f32], &f32)| {
            let steps = f64::from(*b) / scale;
            let above = row.iter().sum::<f32>() > 0.0;
            match (whole, above) {
                (true, _) => steps.ceil() as i64,
                (false, true) => (steps - 0.5).ceil() as i64,
                (false, false) => (steps + 0.5).floor() as i64,
            }
        };
        let rows = weights.chunks(cols.max(1)).zip(bias?);
        Some(rows.map(integer).collect())
    }

    /// Whether a tensor holds whole numbers of the network's inputs, or bits.
    fn is_of_whole(&self, id: TensorId) -> bool {
        if self.read(id).scale.to_bits() != 1f64.to_bits() {
            return false;
        }
        let Some(node) = self.graph.nodes.iter().find(|n| n.output == id) else {
            let input = self.graph.inputs.iter().position(|input| *input == id);
            return input.is_some_and(|i| matches!(self.model.kinds[i], Values::Whole(_)));
        };
        match &node.op {
            Op::Positive { .. } | Op::ArgMax => true,
            Op::Affine { .. } | Op::Reshape | Op::Transpose { .. } => {
                node.inputs.iter().all(|id| self.is_of_whole(*id))
            }
            _ => false,
        }
    }

    /// A step of which the end of a clip is a power of two, so that a segment of its table ends there.
    fn clipped_step(&self, float: usize, step: f64) -> f64 {
        let mut readers = self.model.readers(float);
        let top = readers.find_map(|reader| match reader.op {
            FloatOp::Function(Function::Relu6, _) => Some(6.0),
            FloatOp::Function(Function::Clip, [0.0, top]) => Some(top),
            _ => None,
        });
        let whole = |top: f64| top / f64::from(ceil_log2(top / step)).exp2();
        top.filter(|top| *top > step && top.is_finite())
            .map_or(step, whole)
    }

    /// Bits that a tensor has beyond those of activations, seen through views.
    fn excess_bits(&self, id: TensorId) -> u32 {
        let writer = self.graph.nodes.iter().find(|n| n.output == id);
        match writer.map(|n| (&n.op, n.inputs.first())) {
            Some((Op::Reshape | Op::Transpose { .. }, Some(input))) => self.excess_bits(*input),
            Some((Op::Affine { .. }, Some(_)))
                if writer.is_some_and(|n| self.is_view_of_values(n)) =>
            {
                let inputs = writer.iter().flat_map(|n| &n.inputs);
                inputs.map(|id| self.excess_bits(*id)).max().unwrap_or(0)
            }
            _ => self.refined.get(&id).copied().unwrap_or(0),
        }
    }

    pub(super) fn accumulate(
        &mut self,
        node: &FloatNode,
        input: TensorId,
        s_w: f64,
    ) -> Result<TensorId, Error> {
        let Some((_, weights, bias)) = node.op.linear() else {
            return Ok(input);
        };
        let scale = self.read(input).scale * s_w;
        let nearest = |real: &[f32], step: f64| -> Vec<i64> {
            let whole = |w: &f32| (f64::from(*w) / step + 0.5).floor() as i64;
            real.iter().map(whole).collect()
        };
        let integers = (nearest(weights, s_w), bias.map(|b| nearest(b, scale)));
        self.accumulate_integers(node, input, integers, s_w)
    }

    /// Accumulators with the weights and the bias as integers, at that step of the weights.
    pub(super) fn accumulate_integers(
        &mut self,
        node: &FloatNode,
        input: TensorId,
        (weights, bias): (Vec<i64>, Option<Vec<i64>>),
        s_w: f64,
    ) -> Result<TensorId, Error> {
        let rows = node.op.linear().map_or(1, |(rows, ..)| rows);
        let cols = weights.len() / rows.max(1);
        let (scale, range) = (self.read(input).scale * s_w, self.read(input).range);
        let matrix = self.weight_integers(&node.name, "weight", weights, (rows, cols), s_w);
        let bias = bias.map(|b| self.weight_integers(&node.name, "bias", b, (1, rows), scale));
        let bound = |id: WeightId| i128::from(self.graph.weights[id.0 as usize].bound);
        let largest = i128::from(range.min.unsigned_abs().max(range.max.unsigned_abs()));
        let worst = bound(matrix)
            .saturating_mul(largest)
            .saturating_mul(cols as i128)
            .saturating_add(bias.map_or(0, bound));
        let bits = 128 - worst.leading_zeros();
        if bits > 62 {
            return Err(Error::Overflow {
                node: node.name.clone(),
                bits,
                most: 62,
            });
        }
        let worst = worst as i64;
        let output = self.tensor(node.output, scale, Interval::new(-worst, worst));
        let op = match &node.op {
            FloatOp::Conv(conv) => self.conv_op(conv, (matrix, bias), input, output),
            _ => Op::Dense {
                weights: matrix,
                bias,
            },
        };
        self.emit(&node.name, op, input, output);
        Ok(output)
    }

    /// Rounds to integers. The public bound is a power of two, less one, so that it says little about the weights.
    pub(super) fn weight(
        &mut self,
        node: &str,
        part: &str,
        real: &[f32],
        (rows, cols): (usize, usize),
        scale: f64,
    ) -> WeightId {
        let whole = |w: &f32| (f64::from(*w) / scale + 0.5).floor() as i64;
        let integers = real.iter().map(whole).collect();
        self.weight_integers(node, part, integers, (rows, cols), scale)
    }

    /// Weights as integers; those that are the same are committed to once.
    pub(super) fn weight_integers(
        &mut self,
        node: &str,
        part: &str,
        integers: Vec<i64>,
        (rows, cols): (usize, usize),
        scale: f64,
    ) -> WeightId {
        let largest = integers.iter().map(|w| w.unsigned_abs()).max().unwrap_or(0);
        let bits = 64 - largest.max(1).leading_zeros();
        let same = |(weight, values): (&Weight, &Vec<i64>)| {
            let size = (weight.rows, weight.cols) == (rows, cols);
            size && weight.scale.to_bits() == scale.to_bits() && *values == integers
        };
        let mut known = self.graph.weights.iter().zip(&self.values);
        if let Some(index) = known.position(same) {
            return WeightId(index as u32);
        }
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
}
