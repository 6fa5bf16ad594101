//! Reductions along axes.

use super::attributes::int;
use super::parts::{Outcome, Parts, reduction};
use crate::Error;
use crate::model::FloatOp;

impl Parts<'_, '_> {
    /// The axes that a reduction goes over.
    pub(super) fn reduced_axes(&self, rank: usize) -> Result<Vec<usize>, Error> {
        let mut axes = super::attributes::ints(self.node, "axes").to_vec();
        if let Some(name) = self.node.input.get(1).filter(|n| !n.is_empty()) {
            axes = self
                .import
                .constant(name)?
                .values
                .iter()
                .map(|v| *v as i64)
                .collect();
        }
        if axes.is_empty() && int(self.node, "noop_with_empty_axes", 0) == 0 {
            axes = (0..rank as i64).collect();
        }
        let positive = axes
            .iter()
            .map(|axis| axis.rem_euclid(rank.max(1) as i64) as usize);
        Ok(positive.collect())
    }

    pub(super) fn reduce(&mut self) -> Result<Outcome, Error> {
        let x = self.operand(0)?;
        let shape = self.shape(x);
        let axes = self.reduced_axes(shape.len())?;
        let count: usize = axes.iter().map(|axis| shape[*axis]).product();
        let factor = if self.node.op_type == "ReduceMean" {
            1.0 / count as f64
        } else {
            1.0
        };
        let keep = int(self.node, "keepdims", 1) != 0;
        self.finish(reduction(&shape, &axes, factor, keep, 0.0), vec![x])
    }

    /// A maximum over axes: they come last and are one row of a pooling.
    pub(super) fn reduce_extreme(&mut self, sign: f64) -> Result<Outcome, Error> {
        let x = self.operand(0)?;
        let shape = self.shape(x);
        let axes = self.reduced_axes(shape.len())?;
        let kept = (0..shape.len()).filter(|axis| !axes.contains(axis));
        let order: Vec<usize> = kept.chain(axes.iter().copied()).collect();
        let x = if sign < 0.0 {
            self.scaled(x, -1.0, 0.0)
        } else {
            x
        };
        let moved = self.transpose(x, order);
        let count: usize = axes.iter().map(|axis| shape[*axis]).product();
        let rows = shape.iter().product::<usize>() / count.max(1);
        let plane = self.part(FloatOp::Reshape, vec![moved], vec![1, rows, 1, count]);
        let window = zkernel_gadgets::model::Geometry::window([1, count], [1, count]);
        let mut y = self.part(FloatOp::MaxPool(window), vec![plane], vec![1, rows, 1, 1]);
        if sign < 0.0 {
            y = self.scaled(y, -1.0, 0.0);
        }
        self.finish(FloatOp::Reshape, vec![y])
    }

    pub(super) fn arg_extreme(&mut self, sign: f64) -> Result<Outcome, Error> {
        let mut x = self.operand(0)?;
        let rank = self.shape(x).len();
        let axis = self.axis(0, rank);
        if sign < 0.0 {
            x = self.scaled(x, -1.0, 0.0);
        }
        if axis + 1 != rank {
            x = self.transpose(x, Self::to_last(axis, rank));
        }
        self.finish(FloatOp::ArgMax, vec![x])
    }
}
