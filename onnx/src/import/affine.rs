//! Constants added or multiplied channel by channel: biases, batch normalisation, scalings.

use crate::model::FloatOp;
use zkernel_gadgets::model::Geometry;

/// Along which axis a constant varies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Along {
    /// The last axis, or none.
    Last,
    /// Axis 1, that of channels.
    Channels,
}

/// `y = scale_i x + shift_i`, i along one axis.
#[derive(Clone, Debug)]
pub(super) struct Affine {
    pub(super) along: Along,
    /// Whether all entries are equal, so that the axis does not matter.
    pub(super) uniform: bool,
    pub(super) scale: Vec<f32>,
    pub(super) shift: Vec<f32>,
}

impl Affine {
    /// Folds this into a linear layer that comes before it; false if it does not fit.
    pub(super) fn fold_into(&self, op: &mut FloatOp) -> bool {
        let (rows, weights, bias, along) = match op {
            FloatOp::Dense {
                rows,
                weights,
                bias,
                ..
            } => (*rows, weights, bias, Along::Last),
            FloatOp::Conv(conv) => (
                conv.rows,
                &mut conv.weights,
                &mut conv.bias,
                Along::Channels,
            ),
            _ => return false,
        };
        let (scale, shift) = if self.uniform {
            (vec![self.scale[0]; rows], vec![self.shift[0]; rows])
        } else {
            (self.scale.clone(), self.shift.clone())
        };
        if (self.along != along && !self.uniform) || scale.len() != rows {
            return false;
        }
        let cols = weights.len() / rows.max(1);
        for (row, scale) in weights.chunks_mut(cols).zip(&scale) {
            row.iter_mut().for_each(|w| *w *= scale);
        }
        let old = bias.take().unwrap_or_else(|| vec![0.0; rows]);
        let shifted = old.iter().zip(scale.iter().zip(&shift));
        *bias = Some(
            shifted
                .map(|(b, (scale, shift))| b * scale + shift)
                .collect(),
        );
        true
    }

    /// A layer of its own, for an output of that shape: a convolution of one tap, channel by channel.
    pub(super) fn layer(&self, shape: &[usize]) -> Option<FloatOp> {
        let &[_, channels, ..] = shape else {
            return None;
        };
        if !(3..=4).contains(&shape.len()) || (self.along != Along::Channels && !self.uniform) {
            return None;
        }
        let spread = |values: &[f32]| match self.uniform {
            true => vec![values[0]; channels],
            false => values.to_vec(),
        };
        Some(FloatOp::Conv(crate::model::Conv {
            rows: channels,
            groups: channels,
            geometry: Geometry::window([1, 1], [1, 1]),
            weights: spread(&self.scale),
            bias: Some(spread(&self.shift)),
        }))
    }
}
