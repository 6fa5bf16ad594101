//! Sums, products, quotients, powers, matrix products and extremes of two.

use zkernel_gadgets::model::Function;

use super::attributes::{attribute, int};
use super::parts::{Outcome, Parts, whole};
use crate::Error;
use crate::model::FloatOp;

impl Parts<'_, '_> {
    /// `first x_0 + other (x_1 + x_2 + ..)`, or the mean for a negative count.
    pub(super) fn sum(&mut self, first: f64, other: f64) -> Result<Outcome, Error> {
        let inputs = self.operands()?;
        let shapes: Vec<Vec<usize>> = inputs.iter().map(|id| self.shape(*id)).collect();
        let mean = self.node.op_type == "Mean";
        let factor = |i: usize| match (mean, i) {
            (true, _) => 1.0 / other,
            (false, 0) => first,
            _ => other,
        };
        let factors: Vec<(f64, usize)> = (0..inputs.len()).map(|i| (factor(i), i)).collect();
        let shapes: Vec<&[usize]> = shapes.iter().map(Vec::as_slice).collect();
        let op = whole(&factors, 0.0, &shapes, &self.target(0)?);
        self.finish(op, inputs)
    }

    pub(super) fn products(&mut self, operands: &[usize]) -> Outcome {
        let &[a, b] = operands else {
            return Err("two inputs are expected".into());
        };
        let shape = self.target(0).map_err(|e| e.to_string())?;
        let (a, b) = (self.broadcast(a, &shape), self.broadcast(b, &shape));
        self.finish(FloatOp::Product, vec![a, b])
            .map_err(|e| e.to_string())?
    }

    pub(super) fn quotient(&mut self) -> Result<Outcome, Error> {
        if !self.import.is_float(&self.node.output[0])? {
            return Ok(Err("a division of integers is not built".into()));
        }
        let (a, b) = (self.operand(0)?, self.operand(1)?);
        if let Some(values) = self.constant_of(b) {
            let inverse: Vec<f32> = values.iter().map(|v| 1.0 / v).collect();
            if inverse.iter().any(|v| !v.is_finite()) {
                return Ok(Err("a division by zero".into()));
            }
            let shape = self.shape(b);
            let b = self.constant(shape, inverse);
            return Ok(self.products(&[a, b]));
        }
        let shape = self.shape(b);
        let inverse = self.part(FloatOp::Reciprocal, vec![b], shape);
        if let Some([one]) = self.constant_of(a).as_deref() {
            let (factor, shape) = (f64::from(*one), self.shape(inverse));
            let op = whole(&[(factor, 0)], 0.0, &[&shape], &self.target(0)?);
            return self.finish(op, vec![inverse]);
        }
        Ok(self.products(&[a, inverse]))
    }

    pub(super) fn power(&mut self) -> Result<Outcome, Error> {
        let exponent = self.import.constant(&self.node.input[1]).ok();
        let Some([exponent]) = exponent.as_ref().map(|c| c.values.as_slice()) else {
            return Ok(Err("only one constant exponent is built".into()));
        };
        let x = self.operand(0)?;
        let function = |f, a: f64| FloatOp::Function(f, [a, 0.0]);
        match *exponent {
            2.0 => self.finish(FloatOp::Product, vec![x, x]),
            1.0 => self.view_of(1.0, 0.0),
            0.5 => self.finish(function(Function::Sqrt, 0.0), vec![x]),
            -0.5 => self.finish(function(Function::Rsqrt, 0.0), vec![x]),
            exponent => self.finish(function(Function::Pow, f64::from(exponent)), vec![x]),
        }
    }

    /// Leading axes broadcast to each other.
    pub(super) fn matmul(&mut self) -> Result<Outcome, Error> {
        let (a, b) = (self.operand(0)?, self.operand(1)?);
        let (left, right, shape) = (self.shape(a), self.shape(b), self.target(0)?);
        let ([.., i, k], [.., _, j]) = (left.as_slice(), right.as_slice()) else {
            return Ok(Err("a product with a vector is not built".into()));
        };
        let lead = &shape[..shape.len() - 2];
        let a = self.broadcast(a, &[lead, &[*i, *k]].concat());
        let b = self.broadcast(b, &[lead, &[*k, *j]].concat());
        self.finish(FloatOp::MatMul, vec![a, b])
    }

    pub(super) fn gemm_of_activations(&mut self) -> Result<Outcome, Error> {
        let (mut a, mut b) = (self.operand(0)?, self.operand(1)?);
        if int(self.node, "transA", 0) != 0 {
            a = self.transpose(a, vec![1, 0]);
        }
        if int(self.node, "transB", 0) != 0 {
            b = self.transpose(b, vec![1, 0]);
        }
        let shape = self.target(0)?;
        let product = self.part(FloatOp::MatMul, vec![a, b], shape.clone());
        let factor = |name| attribute(self.node, name).map_or(1.0, |a| f64::from(a.f));
        let (alpha, beta) = (factor("alpha"), factor("beta"));
        let biased = self.node.input.get(2).is_some_and(|n| !n.is_empty());
        let mut inputs = vec![product];
        let mut factors = vec![(alpha, 0)];
        if biased {
            inputs.push(self.operand(2)?);
            factors.push((beta, 1));
        }
        let shapes: Vec<Vec<usize>> = inputs.iter().map(|id| self.shape(*id)).collect();
        let shapes: Vec<&[usize]> = shapes.iter().map(Vec::as_slice).collect();
        self.finish(whole(&factors, 0.0, &shapes, &shape), inputs)
    }

    /// `max(a, b) = b + relu(a - b)`; with sign -1 the minimum, `b - relu(b - a)`.
    pub(super) fn extreme(&mut self, sign: f64) -> Result<Outcome, Error> {
        let operands = self.operands()?;
        let &[a, b] = operands.as_slice() else {
            return Ok(Err("two inputs are built".into()));
        };
        let shape = self.target(0)?;
        let difference = self.difference([a, b], [sign, -sign], 0.0, &shape);
        let gain = self.apply(difference, Function::Relu);
        let shapes = [&*self.shape(b), &shape].map(<[usize]>::to_vec);
        let shapes: Vec<&[usize]> = shapes.iter().map(Vec::as_slice).collect();
        self.finish(
            whole(&[(1.0, 0), (sign, 1)], 0.0, &shapes, &shape),
            vec![b, gain],
        )
    }
}
