//! Softmaxes and normalisations.

use zkernel_gadgets::model::Function;

use super::attributes::attribute;
use super::parts::{Outcome, Parts, reduction};
use crate::Error;
use crate::model::FloatOp;

impl Parts<'_, '_> {
    pub(super) fn softmax(&mut self) -> Result<Outcome, Error> {
        let x = self.operand(0)?;
        let shape = self.shape(x);
        let rank = shape.len();
        let axis = self.axis(if self.import.opset < 13 { 1 } else { -1 }, rank);
        if self.import.opset < 13
            && axis + 1 != rank
            && shape[axis..].iter().filter(|d| **d > 1).count() > 1
        {
            return Ok(Err("a softmax over several axes is not built".into()));
        }
        let log = self.node.op_type == "LogSoftmax";
        if axis + 1 == rank && !log {
            return self.finish(FloatOp::Softmax, vec![x]);
        }
        let last = Self::to_last(axis, rank);
        let mut y = self.transpose(x, last.clone());
        let moved = self.shape(y);
        y = self.part(FloatOp::Softmax, vec![y], moved);
        if log {
            y = self.apply(y, Function::Log);
        }
        let mut back = vec![0; rank];
        last.iter()
            .enumerate()
            .for_each(|(to, from)| back[*from] = to);
        self.finish(FloatOp::Transpose(back), vec![y])
    }

    /// `(x - mean) / sqrt(mean of squares + epsilon) * scale + shift` over the last axes.
    pub(super) fn layer_normalization(&mut self) -> Result<Outcome, Error> {
        let x = self.operand(0)?;
        let shape = self.shape(x);
        let rank = shape.len();
        if self.axis(-1, rank) + 1 != rank || self.node.output.len() > 1 {
            return Ok(Err(
                "only the last axis, and only one output, is built".into()
            ));
        }
        let epsilon = attribute(self.node, "epsilon").map_or(1e-5, |a| f64::from(a.f));
        let rows = [&shape[..rank - 1], &[1]].concat();
        let mean_of = |parts: &mut Self, x: usize, constant: f64| {
            let op = reduction(
                &shape,
                &[rank - 1],
                1.0 / shape[rank - 1] as f64,
                true,
                constant,
            );
            parts.part(op, vec![x], rows.clone())
        };
        let mean = mean_of(self, x, 0.0);
        let centred = self.difference([x, mean], [1.0, -1.0], 0.0, &shape);
        let squares = self.part(FloatOp::Product, vec![centred, centred], shape.clone());
        let variance = mean_of(self, squares, epsilon);
        let inverse = self.part(
            FloatOp::Function(Function::Rsqrt, [0.0; 2]),
            vec![variance],
            rows.clone(),
        );
        let inverse = self.broadcast(inverse, &shape);
        let unit = self.part(FloatOp::Product, vec![centred, inverse], shape.clone());
        let vector = |parts: &Self, index: usize, fill: f32| -> Result<Vec<f32>, Error> {
            match parts.node.input.get(index).filter(|n| !n.is_empty()) {
                Some(name) => Ok(parts.import.constant(name)?.values),
                None => Ok(vec![fill; shape[rank - 1]]),
            }
        };
        let (scale, shift) = (vector(self, 1, 1.0)?, vector(self, 2, 0.0)?);
        self.finish(FloatOp::Scale { scale, shift }, vec![unit])
    }
}
