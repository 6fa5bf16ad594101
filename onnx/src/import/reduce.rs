//! Reductions along axes, and positions of extremes.

use zkernel_gadgets::model::{Along, Function, Geometry, Piece};

use super::attributes::{int, ints};
use super::maps::AxisMap;
use super::parts::{Outcome, Parts, reduction};
use super::views::identities;
use crate::Error;
use crate::model::FloatOp;

impl Parts<'_, '_> {
    /// The axes that a reduction goes over.
    pub(super) fn reduced_axes(&self, rank: usize) -> Result<Vec<usize>, Error> {
        let mut axes = ints(self.node, "axes").to_vec();
        if let Some(name) = self.node.input.get(1).filter(|n| !n.is_empty()) {
            axes = self.import.integers(name)?;
        }
        if axes.is_empty() && int(self.node, "noop_with_empty_axes", 0) == 0 {
            axes = (0..rank as i64).collect();
        }
        let positive = axes
            .iter()
            .map(|axis| axis.rem_euclid(rank.max(1) as i64) as usize);
        Ok(positive.collect())
    }

    /// Sums, means, norms and products.
    pub(super) fn reduce(&mut self) -> Result<Outcome, Error> {
        let mut x = self.operand(0)?;
        let shape = self.shape(x);
        let axes = self.reduced_axes(shape.len())?;
        let count: usize = axes.iter().map(|axis| shape[*axis]).product();
        if count == 0 {
            return Ok(Err("nothing is left to reduce".into()));
        }
        let kind = &*self.node.op_type;
        x = match kind {
            "ReduceL1" => self.apply(x, Function::Abs),
            "ReduceL2" | "ReduceSumSquare" => self.part(FloatOp::Product, vec![x, x], shape),
            _ => x,
        };
        let reduced = match kind {
            "ReduceMean" => self.sum_over(x, &axes, 1.0 / count as f64, 0.0),
            "ReduceProd" => self.product_over(x, &axes),
            "ReduceLogSumExp" => self.log_sum_exp(x, &axes),
            _ => self.sum_over(x, &axes, 1.0, 0.0),
        };
        let y = match kind {
            "ReduceL2" => self.apply(reduced, Function::Sqrt),
            "ReduceLogSum" => self.apply(reduced, Function::Log),
            _ => reduced,
        };
        self.finish_as(0, y)
    }

    /// `constant + factor * sum`, axes of length one left.
    pub(super) fn sum_over(
        &mut self,
        x: usize,
        axes: &[usize],
        factor: f64,
        constant: f64,
    ) -> usize {
        let shape = self.shape(x);
        let op = reduction(&shape, axes, factor, true, constant);
        self.part(op, vec![x], kept(&shape, axes))
    }

    /// Halves of an axis times each other, until one position is left.
    fn product_over(&mut self, mut x: usize, axes: &[usize]) -> usize {
        for axis in axes {
            while self.shape(x)[*axis] > 1 {
                let len = self.shape(x)[*axis];
                let half = len / 2;
                let [low, high] = [(0, half), (half, half)].map(|at| self.span(x, *axis, at));
                let shape = self.shape(low);
                let product = self.part(FloatOp::Product, vec![low, high], shape);
                x = match len % 2 {
                    0 => product,
                    _ => {
                        let rest = self.span(x, *axis, (len - 1, 1));
                        self.joined([product, rest], *axis)
                    }
                };
            }
        }
        x
    }

    /// Positions `first..first + len` of an axis.
    pub(super) fn span(&mut self, x: usize, axis: usize, (first, len): (usize, usize)) -> usize {
        let mut shape = self.shape(x);
        let mut maps: Vec<AxisMap> = identities(&shape);
        maps[axis][0].1 = Along {
            source: Some((axis, first, 1)),
            ..Along::repeated(len)
        };
        let axes = maps.iter().map(|map| map[0].1).collect();
        let (input, scale) = (0, 1);
        shape[axis] = len;
        let op = FloatOp::Affine {
            pieces: vec![(1.0, Piece { input, scale, axes })],
            constant: 0.0,
        };
        self.part(op, vec![x], shape)
    }

    /// Two tensors one after the other along an axis.
    fn joined(&mut self, both: [usize; 2], axis: usize) -> usize {
        let shapes = both.map(|id| self.shape(id));
        let mut first = 0;
        let pieces = (0..2).map(|input| {
            let shape = shapes[input].iter().enumerate();
            let mut axes: Vec<Along> = shape.map(|(axis, len)| Along::whole(*len, axis)).collect();
            axes[axis].first = first;
            first += shapes[input][axis];
            let scale = 1;
            (1.0, Piece { input, scale, axes })
        });
        let op = FloatOp::Affine {
            pieces: pieces.collect(),
            constant: 0.0,
        };
        let mut shape = shapes[0].clone();
        shape[axis] += shapes[1][axis];
        self.part(op, both.to_vec(), shape)
    }

    /// `m + log(sum exp(x - m))` with m the maximum: the sum is at least 1, and no exponential overflows.
    pub(super) fn log_sum_exp(&mut self, x: usize, axes: &[usize]) -> usize {
        let shape = self.shape(x);
        let maximum = self.maximum_over(x, axes);
        let below = self.difference([x, maximum], [1.0, -1.0], 0.0, &shape);
        let exponentials = self.apply(below, Function::Exp);
        let sum = self.sum_over(exponentials, axes, 1.0, 0.0);
        let log = self.apply(sum, Function::Log);
        let rows = self.shape(log);
        self.difference([maximum, log], [1.0, 1.0], 0.0, &rows)
    }

    /// A maximum over axes, which stay with length one: they come last and are one row of a pooling.
    pub(super) fn maximum_over(&mut self, x: usize, axes: &[usize]) -> usize {
        let shape = self.shape(x);
        let rest = (0..shape.len()).filter(|axis| !axes.contains(axis));
        let order: Vec<usize> = rest.chain(axes.iter().copied()).collect();
        let moved = self.transpose(x, order);
        let count: usize = axes.iter().map(|axis| shape[*axis]).product();
        let rows = shape.iter().product::<usize>() / count.max(1);
        let plane = self.part(FloatOp::Reshape, vec![moved], vec![1, rows, 1, count]);
        let window = Geometry::window([1, count], [1, count]);
        let y = self.part(FloatOp::MaxPool(window), vec![plane], vec![1, rows, 1, 1]);
        self.part(FloatOp::Reshape, vec![y], kept(&shape, axes))
    }

    pub(super) fn reduce_extreme(&mut self, sign: f64) -> Result<Outcome, Error> {
        let mut x = self.operand(0)?;
        let shape = self.shape(x);
        let axes = self.reduced_axes(shape.len())?;
        if axes.iter().any(|axis| shape[*axis] == 0) {
            return Ok(Err("nothing is left to reduce".into()));
        }
        if sign < 0.0 {
            x = self.scaled(x, -1.0, 0.0);
        }
        let mut y = self.maximum_over(x, &axes);
        if sign < 0.0 {
            y = self.scaled(y, -1.0, 0.0);
        }
        self.finish_as(0, y)
    }

    /// The position of an extreme: the first one, or, the axis read backwards, the last one.
    pub(super) fn arg_extreme(&mut self, sign: f64) -> Result<Outcome, Error> {
        let mut x = self.operand(0)?;
        let shape = self.shape(x);
        let axis = self.axis(0, shape.len());
        let last = int(self.node, "select_last_index", 0) != 0;
        if sign < 0.0 {
            x = self.scaled(x, -1.0, 0.0);
        }
        if last {
            x = self.reversed(x, axis);
        }
        if axis + 1 != shape.len() {
            x = self.transpose(x, Self::to_last(axis, shape.len()));
        }
        if !last {
            return self.finish(FloatOp::ArgMax, vec![x]);
        }
        let index = self.part(FloatOp::ArgMax, vec![x], self.target(0)?);
        let from_front = self.scaled(index, -1.0, shape[axis] as f64 - 1.0);
        self.finish_as(0, from_front)
    }

    fn reversed(&mut self, x: usize, axis: usize) -> usize {
        let shape = self.shape(x);
        let piece = |from: usize| {
            let lengths = shape.iter().enumerate();
            let mut axes: Vec<Along> = lengths
                .map(|(axis, len)| Along::whole(*len, axis))
                .collect();
            axes[axis] = Along {
                first: shape[axis] - 1 - from,
                source: Some((axis, from, 1)),
                ..Along::repeated(1)
            };
            let (input, scale) = (0, 1);
            (1.0, Piece { input, scale, axes })
        };
        let op = FloatOp::Affine {
            pieces: (0..shape[axis]).map(piece).collect(),
            constant: 0.0,
        };
        self.part(op, vec![x], shape.clone())
    }
}

/// The shape with those axes of length one.
fn kept(shape: &[usize], axes: &[usize]) -> Vec<usize> {
    let len = |(axis, len): (usize, &usize)| if axes.contains(&axis) { 1 } else { *len };
    shape.iter().enumerate().map(len).collect()
}
