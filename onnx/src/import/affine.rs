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
            FloatOp::Scale { scale, shift } => return self.fold_into_scale(scale, shift),
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

    /// Steps of the weights of `rows` rows once the factors are theirs; none if a factor is 0.
    pub(super) fn scaled_steps(&self, steps: &[f32], rows: usize) -> Option<Vec<f32>> {
        let at = |values: &[f32], row: usize| values[row % values.len().max(1)];
        let count = if self.uniform { steps.len() } else { rows };
        let scaled = (0..count).map(|row| at(steps, row) * at(&self.scale, row).abs());
        let scaled: Vec<f32> = scaled.collect();
        scaled.iter().all(|step| *step > 0.0).then_some(scaled)
    }

    fn fold_into_scale(&self, scale: &mut [f32], shift: &mut [f32]) -> bool {
        if !self.uniform && (self.along != Along::Last || self.scale.len() != scale.len()) {
            return false;
        }
        let at = |values: &[f32], i: usize| if self.uniform { values[0] } else { values[i] };
        for (i, (a, b)) in scale.iter_mut().zip(shift).enumerate() {
            (*a, *b) = (
                *a * at(&self.scale, i),
                *b * at(&self.scale, i) + at(&self.shift, i),
            );
        }
        true
    }

    /// A node of its own, for an output of that shape: a view for one factor, a scaling along the last axis, or a
    /// convolution of one tap, channel by channel.
    pub(super) fn layer(&self, shape: &[usize]) -> Option<FloatOp> {
        if self.uniform {
            let (factor, constant) = (f64::from(self.scale[0]), f64::from(self.shift[0]));
            return Some(super::parts::whole(
                &[(factor, 0)],
                constant,
                &[shape],
                shape,
            ));
        }
        if self.along == Along::Last && self.scale.len() == *shape.last()? {
            return Some(FloatOp::Scale {
                scale: self.scale.clone(),
                shift: self.shift.clone(),
            });
        }
        let &[_, channels, ..] = shape else {
            return None;
        };
        if !(3..=4).contains(&shape.len()) || self.along != Along::Channels {
            return None;
        }
        Some(FloatOp::Conv(crate::model::Conv {
            rows: channels,
            groups: channels,
            geometry: Geometry::window([1, 1], [1, 1]),
            weights: self.scale.clone(),
            bias: Some(self.shift.clone()),
        }))
    }
}
