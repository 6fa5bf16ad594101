//! Products of activations, rows that are chosen, and values at other scales.

use zkernel_gadgets::model::{Interval, Op, TensorId, WeightId};

use super::Plan;
use crate::Error;
use crate::model::{FloatNode, FloatOp};

/// Rows of whole numbers below this are kept exactly.
const WHOLE_ROWS: f32 = 16_777_216.0;

impl Plan<'_> {
    pub(super) fn product(&mut self, node: &FloatNode) -> Result<TensorId, Error> {
        let bits = self.factor_bits();
        let (a, b) = (self.factor(node, 0, bits)?, self.factor(node, 1, bits)?);
        let range = |id: TensorId| {
            let range = self.read(id).range;
            range.max.unsigned_abs().max(range.min.unsigned_abs()) as i64
        };
        let worst = range(a) * range(b);
        let scale = self.read(a).scale * self.read(b).scale;
        let output = self.tensor(node.output, scale, Interval::new(-worst, worst));
        self.emit_all(&node.name, Op::Product, vec![a, b], output);
        Ok(output)
    }

    pub(super) fn matmul(&mut self, node: &FloatNode) -> Result<TensorId, Error> {
        let bits = self.factor_bits();
        let (a, b) = (self.factor(node, 0, bits)?, self.factor(node, 1, bits)?);
        let largest = |id: TensorId| {
            let range = self.read(id).range;
            i128::from(range.max.unsigned_abs().max(range.min.unsigned_abs()))
        };
        let inner = self.read(a).shape.last().copied().unwrap_or(1);
        let worst = largest(a) * largest(b) * inner as i128;
        let bits = 128 - worst.leading_zeros();
        if bits > 60 {
            return Err(Error::Overflow {
                node: node.name.clone(),
                bits,
                most: 60,
            });
        }
        let scale = self.read(a).scale * self.read(b).scale;
        let worst = worst as i64;
        let output = self.tensor(node.output, scale, Interval::new(-worst, worst));
        if self.is_exact(a) && self.is_exact(b) {
            self.exact.insert(output);
        }
        self.emit_all(&node.name, Op::MatMul, vec![a, b], output);
        Ok(output)
    }

    /// Rows of a matrix at the scale of an activation.
    pub(super) fn gather(
        &mut self,
        node: &FloatNode,
        (rows, cols): (usize, usize),
        weights: &[f32],
        input: TensorId,
    ) -> TensorId {
        let largest = weights.iter().fold(0f32, |m, w| m.max(w.abs()));
        let scale = f64::from(largest.max(f32::MIN_POSITIVE))
            / f64::from(self.widths.activation + 1).exp2();
        // Numbers of classes and other whole numbers stay what they are.
        let whole = weights.iter().all(|w| w.fract() == 0.0) && largest < WHOLE_ROWS;
        let scale = if whole {
            1.0
        } else {
            self.term_step(node.output, scale)
        };
        let weights: WeightId = self.weight(&node.name, "weight", weights, (rows, cols), scale);
        let bound = self.graph.weights[weights.0 as usize].bound;
        let output = self.tensor(node.output, scale, Interval::new(-bound, bound));
        self.emit(&node.name, Op::Gather { weights }, input, output);
        output
    }

    /// `scale_c x + shift_c` along the last axis: a convolution of one tap, channel by channel, between two views.
    pub(super) fn scaled(
        &mut self,
        node: &FloatNode,
        (scale, shift): (&[f32], &[f32]),
        input: TensorId,
    ) -> Result<TensorId, Error> {
        let bits = self.factor_bits();
        let x = self.narrow(&node.name, node.inputs[0], input, bits);
        self.scaled_values(node, (scale, shift), x)
    }

    /// The same of columns that have been made of one size, with factors to fit.
    pub(super) fn scaled_even(
        &mut self,
        node: &FloatNode,
        input: TensorId,
    ) -> Result<TensorId, Error> {
        match &node.op {
            FloatOp::Scale { scale, shift } => self.scaled_values(node, (scale, shift), input),
            _ => Ok(input),
        }
    }

    fn scaled_values(
        &mut self,
        node: &FloatNode,
        (scale, shift): (&[f32], &[f32]),
        x: TensorId,
    ) -> Result<TensorId, Error> {
        let bits = self.factor_bits();
        let shape = self.read(x).shape.clone();
        let channels = scale.len();
        let rows = shape.iter().product::<usize>() / channels.max(1);
        let rows_first = self.reshaped(
            &format!("{}.rows", node.name),
            x,
            vec![1, rows, channels, 1],
        );
        let channels_first = self.transposed(&format!("{}.channels", node.name), rows_first);
        let conv = crate::model::Conv {
            rows: channels,
            groups: channels,
            geometry: zkernel_gadgets::model::Geometry::window([1, 1], [1, 1]),
            weights: scale.to_vec(),
            bias: Some(shift.to_vec()),
        };
        let largest = scale.iter().fold(f32::MIN_POSITIVE, |m, w| m.max(w.abs()));
        let step = f64::from(largest) / f64::from(bits).exp2();
        let layer = FloatNode {
            op: FloatOp::Conv(conv),
            ..node.clone()
        };
        let y = self.accumulate(&layer, channels_first, step)?;
        let y = self.transposed(&format!("{}.back", node.name), y);
        Ok(self.reshaped(&format!("{}.shape", node.name), y, shape))
    }

    /// Axes 1 and 2 of four swapped.
    fn transposed(&mut self, name: &str, input: TensorId) -> TensorId {
        let (scale, range) = (self.read(input).scale, self.read(input).range);
        let shape = self.read(input).shape.clone();
        let shape = [shape[0], shape[2], shape[1], shape[3]];
        let output = self.integers(name, &shape, scale, range);
        self.emit(
            name,
            Op::Transpose {
                axes: vec![0, 2, 1, 3],
            },
            input,
            output,
        );
        output
    }
}
