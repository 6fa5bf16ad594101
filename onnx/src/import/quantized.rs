//! Operators on integers of few bits: they are taken apart into differences to zero points, the operator itself on real numbers, and a
//! rounding that saturates. The plan keeps the file's integers.

use tract_onnx::pb;
use tract_onnx::prelude::DatumType;
use tract_onnx::tract_hir::infer::Factoid as _;

use super::attributes::{attribute, int};
use super::parts::{Outcome, Parts};
use super::{Constant, Import, malformed};
use crate::Error;
use crate::model::{FloatOp, Mode, Rounding};

/// Whether an operator is one of these.
pub(super) fn is_quantized(op: &str) -> bool {
    READ.contains(&op)
}

/// The operators of this file.
pub(super) const READ: [&str; 9] = [
    "Ceil",
    "ConvInteger",
    "DequantizeLinear",
    "Floor",
    "MatMulInteger",
    "QLinearConv",
    "QLinearMatMul",
    "QuantizeLinear",
    "Round",
];

/// Steps and zero points along an axis; one of each for all.
struct Steps {
    steps: Vec<f64>,
    zeros: Vec<i64>,
    axis: usize,
}

impl Parts<'_, '_> {
    pub(super) fn quantized(&mut self) -> Result<Outcome, Error> {
        if int(self.node, "block_size", 0) != 0 {
            return Ok(Err("steps by blocks are not built".into()));
        }
        match &*self.node.op_type {
            "Round" => self.whole(Mode::HalfToEven),
            "Floor" => self.whole(Mode::Down),
            "Ceil" => self.whole(Mode::Up),
            "QuantizeLinear" => {
                let x = self.operand(0)?;
                let rank = self.shape(x).len();
                match self.steps(1, Some(2), 1, rank)? {
                    Ok(steps) => self.round_to(x, steps),
                    Err(problem) => Ok(Err(problem)),
                }
            }
            "DequantizeLinear" => self.dequantize(),
            "QLinearConv" => self.conv_of_integers([1, 4, 5], Some([6, 7]), 3, 8),
            "ConvInteger" => self.conv_of_integers([NONE, NONE, 3], None, 1, NONE),
            "QLinearMatMul" => self.matmul_of_integers([1, 2, 4, 5], 3, Some([6, 7])),
            _ => self.matmul_of_integers([NONE, 2, NONE, 3], 1, None),
        }
    }

    /// Rounded to integers.
    fn whole(&mut self, mode: Mode) -> Result<Outcome, Error> {
        let x = self.operand(0)?;
        self.finish(FloatOp::Round(Rounding::whole(mode)), vec![x])
    }

    /// The last step: rounded, and saturated at the ends of the output's type.
    fn round_to(&mut self, x: usize, steps: Steps) -> Result<Outcome, Error> {
        let Some(range) = self.import.type_range(&self.node.output[0])? else {
            return Ok(Err("its output is of a type that is not built".into()));
        };
        let Steps { steps, zeros, axis } = steps;
        let rounding = Rounding {
            steps,
            zeros,
            axis,
            range: Some(range),
            mode: Mode::HalfToEven,
        };
        self.finish(FloatOp::Round(rounding), vec![x])
    }

    /// Steps and zero points from the inputs of those numbers.
    fn steps(
        &self,
        scale: usize,
        zero: Option<usize>,
        axis: i64,
        rank: usize,
    ) -> Result<Result<Steps, String>, Error> {
        let axis = self.axis(axis, rank);
        let steps = match self.node.input.get(scale) {
            Some(name) => self.import.constant(name)?.values,
            None => vec![1.0],
        };
        let zero = zero
            .and_then(|zero| self.node.input.get(zero))
            .filter(|n| !n.is_empty());
        let zeros = match zero {
            Some(name) => self.import.integers(name)?,
            None => vec![0],
        };
        let count = steps.len().max(zeros.len());
        let along = |len: usize| len == 1 || len == count;
        if !along(steps.len()) || !along(zeros.len()) || count == 0 {
            return Ok(Err("steps and zero points of other numbers".into()));
        }
        if steps.iter().any(|step| *step <= 0.0) {
            return Ok(Err("a step that is not positive".into()));
        }
        let steps: Vec<f64> = steps.into_iter().map(f64::from).collect();
        let spread = |values: Vec<i64>| {
            if values.len() == count {
                values
            } else {
                vec![values[0]; count]
            }
        };
        let steps = if steps.len() == count {
            steps
        } else {
            vec![steps[0]; count]
        };
        Ok(Ok(Steps {
            steps,
            zeros: spread(zeros),
            axis,
        }))
    }

    fn dequantize(&mut self) -> Result<Outcome, Error> {
        let x = self.operand(0)?;
        let shape = self.shape(x);
        let Steps { steps, zeros, axis } = match self.steps(1, Some(2), 1, shape.len())? {
            Ok(steps) => steps,
            Err(problem) => return Ok(Err(problem)),
        };
        if let ([step], [zero]) = (steps.as_slice(), zeros.as_slice()) {
            let op = super::parts::whole(&[(*step, 0)], -step * *zero as f64, &[&shape], &shape);
            return self.finish(op, vec![x]);
        }
        let along: Vec<usize> = (0..shape.len())
            .map(|a| if a == axis { steps.len() } else { 1 })
            .collect();
        let less = match zeros.iter().all(|z| *z == 0) {
            true => x,
            false => {
                let zeros = self.constant(along, zeros.iter().map(|z| *z as f32).collect());
                self.difference([x, zeros], [1.0, -1.0], 0.0, &shape)
            }
        };
        let pieces = super::views::slices(&shape, axis, &steps);
        self.finish(
            FloatOp::Affine {
                pieces,
                constant: 0.0,
            },
            vec![less],
        )
    }

    /// A tensor less its zero point, times its step; the zero point may differ row by row.
    fn real(
        &mut self,
        x: usize,
        scale: usize,
        zero: usize,
    ) -> Result<Result<usize, String>, Error> {
        let shape = self.shape(x);
        let zero = (zero != NONE).then_some(zero);
        let Steps { steps, zeros, .. } = match self.steps(scale, zero, 0, shape.len())? {
            Ok(steps) => steps,
            Err(problem) => return Ok(Err(problem)),
        };
        let uniform = |values: &[i64]| values.iter().all(|v| *v == values[0]);
        if steps.iter().any(|s| s.to_bits() != steps[0].to_bits()) {
            return Ok(Err("activations with several steps are not built".into()));
        }
        if uniform(&zeros) {
            return Ok(Ok(match (steps[0], zeros[0]) {
                (1.0, 0) => x,
                (step, zero) => self.scaled(x, step, -step * zero as f64),
            }));
        }
        if shape.len() < 2 || zeros.len() != shape[shape.len() - 2] {
            return Ok(Err(
                "zero points that differ along another axis than that of rows".into(),
            ));
        }
        let column = [zeros.len(), 1].to_vec();
        let zeros = self.constant(column, zeros.iter().map(|z| *z as f32).collect());
        let less = self.difference([x, zeros], [1.0, -1.0], 0.0, &shape);
        Ok(Ok(self.scaled(less, steps[0], 0.0)))
    }

    /// A constant of integers as the real numbers it stands for, and its steps along an axis.
    fn real_constant(
        &self,
        input: usize,
        [scale, zero]: [usize; 2],
        axis: usize,
    ) -> Result<Result<(Constant, Vec<f32>), String>, Error> {
        let Constant { shape, values } = self.import.constant(&self.node.input[input])?;
        let zero = (zero != NONE).then_some(zero);
        let Steps { steps, zeros, .. } = match self.steps(scale, zero, 0, 1)? {
            Ok(steps) => steps,
            Err(problem) => return Ok(Err(problem)),
        };
        let count = shape.get(axis).copied().unwrap_or(1).max(1);
        if steps.len() > 1 && steps.len() != count {
            return Ok(Err("steps of its weights along another axis".into()));
        }
        let after: usize = shape.iter().skip(axis + 1).product::<usize>().max(1);
        let at = |i: usize| i / after % count % steps.len();
        let real =
            |(i, v): (usize, &f32)| ((f64::from(*v) - zeros[at(i)] as f64) * steps[at(i)]) as f32;
        let values = values.iter().enumerate().map(real).collect();
        let steps = steps.iter().map(|s| *s as f32).collect();
        Ok(Ok((Constant { shape, values }, steps)))
    }

    /// A convolution: `[step of x, step of w, zero point of w]`, those of y, where w is, where the bias is.
    fn conv_of_integers(
        &mut self,
        [of_x, of_w, zero_w]: [usize; 3],
        rounding: Option<[usize; 2]>,
        w: usize,
        bias: usize,
    ) -> Result<Outcome, Error> {
        if !self.import.is_known(&self.node.input[w]) {
            return Ok(Err("weights that are no constant are not built".into()));
        }
        let x = self.operand(0)?;
        let (weights, steps) = match self.real_constant(w, [of_w, zero_w], 0)? {
            Ok(found) => found,
            Err(problem) => return Ok(Err(problem)),
        };
        let x = match self.real(x, of_x, 2)? {
            Ok(x) => x,
            Err(problem) => return Ok(Err(problem)),
        };
        let rows = weights.shape.first().copied().unwrap_or(1);
        let bias = match self.node.input.get(bias).filter(|n| !n.is_empty()) {
            Some(name) => {
                let step = self.import.constant(&self.node.input[of_x])?.values[0];
                let of = |row: usize| f64::from(step) * f64::from(steps[row % steps.len()]);
                let integers = self.import.integers(name)?;
                let real = integers
                    .iter()
                    .enumerate()
                    .map(|(row, b)| (*b as f64 * of(row)) as f32);
                Some(real.collect())
            }
            None => None,
        };
        let shape = self.shape(x);
        let conv = match super::windows::conv_of(self.node, &shape, &weights, bias) {
            Ok(conv) => conv,
            Err(problem) => return Ok(Err(problem)),
        };
        debug_assert!(rows > 0);
        self.then_round(conv, vec![x], Some(steps), rounding)
    }

    /// A matrix product: `[step of a, zero of a, step of b, zero of b]`, where b is, those of y.
    fn matmul_of_integers(
        &mut self,
        [of_a, zero_a, of_b, zero_b]: [usize; 4],
        b: usize,
        rounding: Option<[usize; 2]>,
    ) -> Result<Outcome, Error> {
        if self.import.is_known(&self.node.input[0]) {
            return Ok(Err("a constant on the left is not built".into()));
        }
        let a = self.operand(0)?;
        let a = match self.real(a, of_a, zero_a)? {
            Ok(a) => a,
            Err(problem) => return Ok(Err(problem)),
        };
        let known = self.import.is_known(&self.node.input[b]);
        if known && self.import.constant(&self.node.input[b])?.shape.len() == 2 {
            let (weights, steps) = match self.real_constant(b, [of_b, zero_b], 1)? {
                Ok(found) => found,
                Err(problem) => return Ok(Err(problem)),
            };
            let dense = match super::operators::dense(&weights, false, 1.0, None) {
                Ok(dense) => dense,
                Err(problem) => return Ok(Err(problem)),
            };
            return self.then_round(dense, vec![a], Some(steps), rounding);
        }
        if known {
            return Ok(Err("a constant of more than two axes is not built".into()));
        }
        let b = self.operand(b)?;
        let b = match self.real(b, of_b, zero_b)? {
            Ok(b) => b,
            Err(problem) => return Ok(Err(problem)),
        };
        let (left, right, shape) = (self.shape(a), self.shape(b), self.target(0)?);
        let ([.., i, k], [.., _, j]) = (left.as_slice(), right.as_slice()) else {
            return Ok(Err("a product with a vector is not built".into()));
        };
        let lead = &shape[..shape.len().saturating_sub(2)];
        let a = self.broadcast(a, &[lead, &[*i, *k]].concat());
        let b = self.broadcast(b, &[lead, &[*k, *j]].concat());
        self.then_round(FloatOp::MatMul, vec![a, b], None, rounding)
    }

    /// The last linear part, and the rounding if there is one; `steps` are those of the weights.
    fn then_round(
        &mut self,
        op: FloatOp,
        inputs: Vec<usize>,
        steps: Option<Vec<f32>>,
        rounding: Option<[usize; 2]>,
    ) -> Result<Outcome, Error> {
        let Some([scale, zero]) = rounding else {
            let done = self.finish(op, inputs)?;
            if let (Some(steps), Some(id)) = (steps, self.build.ids.get(&self.node.output[0])) {
                self.build.grids.insert(*id, steps);
            }
            return Ok(done);
        };
        let shape = self.target(0)?;
        let rank = shape.len();
        let to = match self.steps(scale, Some(zero), 0, rank)? {
            Ok(to) if to.steps.len() == 1 => to,
            Ok(_) => return Ok(Err("an output with several steps is not built".into())),
            Err(problem) => return Ok(Err(problem)),
        };
        let sums = self.part(op, inputs, shape);
        if let Some(steps) = steps {
            self.build.grids.insert(sums, steps);
        }
        self.round_to(sums, to)
    }
}

/// An input that an operator does not have.
const NONE: usize = usize::MAX;

impl Import<'_> {
    /// Smallest and largest value of a tensor's type, if that has few bits.
    fn type_range(&self, tensor: &str) -> Result<Option<[i64; 2]>, Error> {
        let fact = self
            .inference
            .outlet_fact(self.names[tensor])
            .map_err(malformed)?;
        Ok(
            match fact.datum_type.concretize().map(|kind| kind.unquantized()) {
                Some(DatumType::U8) => Some([0, 255]),
                Some(DatumType::I8) => Some([-128, 127]),
                Some(DatumType::U16) => Some([0, 65_535]),
                Some(DatumType::I16) => Some([-32_768, 32_767]),
                _ => None,
            },
        )
    }

    /// The steps of the weights of a linear layer, if they are integers that the file dequantizes, one or one for each row.
    pub(super) fn weight_steps(&self, node: &pb::NodeProto, rows: usize) -> Option<Vec<f32>> {
        let name = node.input.get(1)?;
        let writer = self
            .graph
            .node
            .iter()
            .find(|n| n.output.first() == Some(name))?;
        if writer.op_type != "DequantizeLinear" || int(writer, "block_size", 0) != 0 {
            return None;
        }
        let steps = self.constant(writer.input.get(1)?).ok()?.values;
        let rank = self.shape(name).ok()?.len().max(1) as i64;
        let axis = int(writer, "axis", 1).rem_euclid(rank);
        let transposed = attribute(node, "transB").is_some_and(|a| a.i != 0);
        let of_rows = i64::from(!(node.op_type == "Conv" || transposed)) * (rank - 1);
        let fits = steps.len() == 1 || steps.len() == rows && axis == of_rows;
        let scaled = attribute(node, "alpha").is_some_and(|a| a.f.to_bits() != 1f32.to_bits());
        (fits && !scaled).then_some(steps)
    }
}
