//! Softmaxes and normalisations.

use zkernel_gadgets::model::{Along, Function, Piece};

use super::attributes::{attribute, int};
use super::parts::{Outcome, Parts};
use crate::Error;
use crate::model::FloatOp;

impl Parts<'_, '_> {
    fn number(&self, name: &str, default: f64) -> f64 {
        attribute(self.node, name).map_or(default, |a| f64::from(a.f))
    }

    /// Before version 13 all axes from the given one on are one row.
    pub(super) fn softmax(&mut self) -> Result<Outcome, Error> {
        let x = self.operand(0)?;
        let shape = self.shape(x);
        let old = self.import.opset < 13;
        let axis = self.axis(if old { 1 } else { -1 }, shape.len());
        let log = self.node.op_type == "LogSoftmax";
        if old && axis + 1 < shape.len() {
            let row: usize = shape[axis..].iter().product();
            let rows = shape.iter().product::<usize>() / row.max(1);
            let flat = self.part(FloatOp::Reshape, vec![x], vec![rows, row]);
            let y = self.softmax_along(flat, 1, log);
            return self.finish_as(0, y);
        }
        if axis + 1 == shape.len() && !log {
            return self.finish(FloatOp::Softmax, vec![x]);
        }
        let y = self.softmax_along(x, axis, log);
        self.finish_as(0, y)
    }

    /// A softmax along an axis, or its logarithm `x - log(sum exp x)`.
    pub(super) fn softmax_along(&mut self, x: usize, axis: usize, log: bool) -> usize {
        let shape = self.shape(x);
        let rank = shape.len();
        if log {
            let total = self.log_sum_exp(x, &[axis]);
            return self.difference([x, total], [1.0, -1.0], 0.0, &shape);
        }
        if axis + 1 == rank {
            return self.part(FloatOp::Softmax, vec![x], shape);
        }
        let last = Self::to_last(axis, rank);
        let moved = self.transpose(x, last.clone());
        let shape = self.shape(moved);
        let y = self.part(FloatOp::Softmax, vec![moved], shape);
        let mut back = vec![0; rank];
        last.iter()
            .enumerate()
            .for_each(|(to, from)| back[*from] = to);
        self.transpose(y, back)
    }

    /// 1 at the first maximum along an axis, else 0; before version 13 all axes from the given one on are one row.
    pub(super) fn hardmax(&mut self) -> Result<Outcome, Error> {
        let x = self.operand(0)?;
        let shape = self.shape(x);
        let old = self.import.opset < 13;
        let axis = self.axis(if old { 1 } else { -1 }, shape.len());
        let (rows, order) = match old {
            true => (vec![x], None),
            false => {
                let order = Self::to_last(axis, shape.len());
                (vec![self.transpose(x, order.clone())], Some(order))
            }
        };
        let moved = self.shape(rows[0]);
        let classes: usize = match old {
            true => shape[axis..].iter().product(),
            false => shape[axis],
        };
        let count = shape.iter().product::<usize>() / classes.max(1);
        let flat = self.part(FloatOp::Reshape, rows, vec![count, classes]);
        let index = self.part(FloatOp::ArgMax, vec![flat], vec![count]);
        let bits = self.one_hot_of(index, classes);
        let mut y = self.part(FloatOp::Reshape, vec![bits], moved);
        if let Some(order) = order {
            let mut back = vec![0; order.len()];
            order
                .iter()
                .enumerate()
                .for_each(|(to, from)| back[*from] = to);
            y = self.transpose(y, back);
        }
        self.finish_as(0, y)
    }

    /// `x - mean` and `1 / sqrt(mean of squares + epsilon)` over axes, which stay with length one.
    fn standardized(&mut self, x: usize, axes: &[usize], epsilon: f64, centre: bool) -> [usize; 3] {
        let shape = self.shape(x);
        let count: usize = axes.iter().map(|axis| shape[*axis]).product();
        let share = 1.0 / count.max(1) as f64;
        let mean = self.sum_over(x, axes, share, 0.0);
        let centred = match centre {
            true => self.difference([x, mean], [1.0, -1.0], 0.0, &shape),
            false => x,
        };
        let squares = self.part(FloatOp::Product, vec![centred, centred], shape);
        let variance = self.sum_over(squares, axes, share, epsilon);
        let inverse = self.apply(variance, Function::Rsqrt);
        [centred, inverse, mean]
    }

    /// An input broadcast to a shape; `None` if it is absent.
    fn given(&mut self, index: usize) -> Result<Option<usize>, Error> {
        match self.node.input.get(index).filter(|name| !name.is_empty()) {
            Some(_) => self.operand(index).map(Some),
            None => Ok(None),
        }
    }

    /// Layer and root-mean-square normalisation: the axes from the given one on are one row, with a scale and a shift for each of
    /// its positions.
    pub(super) fn layer_normalization(&mut self) -> Result<Outcome, Error> {
        let x = self.operand(0)?;
        let shape = self.shape(x);
        let axis = self.axis(-1, shape.len());
        let axes: Vec<usize> = (axis..shape.len()).collect();
        let centre = self.node.op_type == "LayerNormalization";
        let epsilon = self.number("epsilon", 1e-5);
        let [centred, inverse, mean] = self.standardized(x, &axes, epsilon, centre);
        for (output, id) in [(1, mean), (2, inverse)] {
            if self.node.output.get(output).is_some_and(|n| !n.is_empty()) {
                self.finish_output(output, FloatOp::Reshape, vec![id])?.ok();
            }
        }
        let unit = self.times(centred, inverse, &shape);
        let (scale, shift) = (self.given(1)?, self.given(2)?);
        let last = shape[shape.len() - 1];
        let vector = |parts: &Self, id: Option<usize>, fill: f32| match id {
            Some(id) => parts
                .constant_of(id)
                .filter(|v| v.len() == last || v.len() == 1),
            None => Some(vec![fill]),
        };
        let spread = |v: Vec<f32>| if v.len() == last { v } else { vec![v[0]; last] };
        if let (1, Some(scale), Some(shift)) = (
            axes.len(),
            vector(self, scale, 1.0),
            vector(self, shift, 0.0),
        ) {
            let (scale, shift) = (spread(scale), spread(shift));
            return self.finish(FloatOp::Scale { scale, shift }, vec![unit]);
        }
        let mut y = unit;
        if let Some(scale) = scale {
            y = self.times(y, scale, &shape);
        }
        if let Some(shift) = shift {
            y = self.difference([y, shift], [1.0, 1.0], 0.0, &shape);
        }
        self.finish_as(0, y)
    }

    /// Instance and group normalisation: a mean and a variance for each group of channels, a scale and a shift for each channel.
    /// The scale multiplies the inverse deviation, of which there are few.
    pub(super) fn group_normalization(&mut self) -> Result<Outcome, Error> {
        let x = self.operand(0)?;
        let shape = self.shape(x);
        let &[n, channels, ..] = shape.as_slice() else {
            return Ok(Err("its input has fewer than two axes".into()));
        };
        let groups = match &*self.node.op_type {
            "InstanceNormalization" => channels,
            _ => int(self.node, "num_groups", 1).max(1) as usize,
        };
        if channels % groups != 0 {
            return Ok(Err("its groups do not fit its channels".into()));
        }
        let of_group = channels / groups;
        let rest: usize = shape[2..].iter().product();
        let split = vec![n, groups, of_group, rest];
        let x = self.part(FloatOp::Reshape, vec![x], split.clone());
        let epsilon = self.number("epsilon", 1e-5);
        let [centred, inverse, _] = self.standardized(x, &[2, 3], epsilon, true);
        let (Some(scale), Some(shift)) = (self.given(1)?, self.given(2)?) else {
            return Ok(Err("it has no scale or no shift".into()));
        };
        // Until version 21 a group has one scale, later each channel has.
        let [scale, shift] = [scale, shift].map(|id| {
            let each = self.shape(id).iter().product::<usize>() / groups;
            self.part(FloatOp::Reshape, vec![id], vec![groups, each, 1])
        });
        let factors = self.times(inverse, scale, &[n, groups, of_group, 1]);
        let scaled = self.times(centred, factors, &split);
        let y = self.difference([scaled, shift], [1.0, 1.0], 0.0, &split);
        let y = self.part(FloatOp::Reshape, vec![y], shape);
        self.finish_as(0, y)
    }

    /// `(x - mean) / (deviation + 1e-9)` over axes.
    pub(super) fn mean_variance_normalization(&mut self) -> Result<Outcome, Error> {
        let x = self.operand(0)?;
        let shape = self.shape(x);
        let given = super::attributes::ints(self.node, "axes");
        let axes: Vec<usize> = match given {
            [] => vec![0, 2, 3],
            axes => {
                let rank = shape.len().max(1) as i64;
                axes.iter().map(|a| a.rem_euclid(rank) as usize).collect()
            }
        };
        if axes.iter().any(|axis| *axis >= shape.len()) {
            return Ok(Err("its axes do not fit its input".into()));
        }
        let [centred, inverse, _] = self.standardized(x, &axes, 1e-18, true);
        let y = self.times(centred, inverse, &shape);
        self.finish_as(0, y)
    }

    /// `x / |x|` along an axis, by the sum of magnitudes or the root of the sum of squares.
    pub(super) fn lp_normalization(&mut self) -> Result<Outcome, Error> {
        let x = self.operand(0)?;
        let shape = self.shape(x);
        let axis = [self.axis(-1, shape.len())];
        let inverse = match int(self.node, "p", 2) {
            1 => {
                let magnitudes = self.apply(x, Function::Abs);
                let sum = self.sum_over(magnitudes, &axis, 1.0, 0.0);
                let rows = self.shape(sum);
                self.part(FloatOp::Reciprocal, vec![sum], rows)
            }
            2 => {
                let squares = self.part(FloatOp::Product, vec![x, x], shape.clone());
                let sum = self.sum_over(squares, &axis, 1.0, 0.0);
                self.apply(sum, Function::Rsqrt)
            }
            _ => return Ok(Err("only norms of order 1 and 2 are built".into())),
        };
        let y = self.times(x, inverse, &shape);
        self.finish_as(0, y)
    }

    /// `x (bias + alpha / size * sum of squares of neighbouring channels)^-beta`.
    pub(super) fn local_response(&mut self) -> Result<Outcome, Error> {
        let x = self.operand(0)?;
        let shape = self.shape(x);
        let size = int(self.node, "size", 1).max(1) as usize;
        if shape.len() < 2 || size > 1 << 10 {
            return Ok(Err(
                "its input has fewer than two axes, or its size is absurd".into(),
            ));
        }
        let squares = self.part(FloatOp::Product, vec![x, x], shape.clone());
        let (channels, before) = (shape[1], (size - 1) / 2);
        let piece = |offset: usize| {
            // Output c reads channel c + offset - before.
            let (first, from) = (before.saturating_sub(offset), offset.saturating_sub(before));
            let len = channels.checked_sub(first + from).filter(|len| *len > 0)?;
            let lengths = shape.iter().enumerate();
            let mut axes: Vec<Along> = lengths
                .map(|(axis, len)| Along::whole(*len, axis))
                .collect();
            axes[1] = Along {
                first,
                source: Some((1, from, 1)),
                ..Along::repeated(len)
            };
            let (input, scale) = (0, 1);
            let share = self.number("alpha", 1e-4) / size as f64;
            Some((share, Piece { input, scale, axes }))
        };
        let op = FloatOp::Affine {
            pieces: (0..size).filter_map(piece).collect(),
            constant: self.number("bias", 1.0),
        };
        let sums = self.part(op, vec![squares], shape.clone());
        let power = FloatOp::Function(Function::Pow, [-self.number("beta", 0.75), 0.0]);
        let factors = self.part(power, vec![sums], shape.clone());
        let y = self.times(x, factors, &shape);
        self.finish_as(0, y)
    }
}
