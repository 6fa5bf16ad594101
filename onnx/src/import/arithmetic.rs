//! Sums, products, quotients, powers, matrix products and extremes.

use zkernel_gadgets::model::Function;

use super::attributes::{attribute, int};
use super::maps::Entry;
use super::parts::{Outcome, Parts, whole};
use crate::Error;
use crate::model::FloatOp;

/// Most different exponents of one power.
const MAX_EXPONENTS: usize = 16;

impl Parts<'_, '_> {
    /// `first x_0 + other (x_1 + x_2 + ..)`, or the mean for a negative count.
    pub(super) fn sum(&mut self, first: f64, other: f64) -> Result<Outcome, Error> {
        let inputs = self.operands()?;
        if matches!(inputs.as_slice(), [a, b] if a == b) && first + other == 0.0 {
            return self.finish_with(0.0, inputs[0]);
        }
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

    pub(super) fn products(&mut self, operands: &[usize]) -> Result<Outcome, Error> {
        let &[a, b] = operands else {
            return Ok(Err("two inputs are expected".into()));
        };
        for (zeros, other) in [(a, b), (b, a)] {
            let values = self.constant_of(zeros);
            if values.is_some_and(|values| values.iter().all(|v| *v == 0.0)) {
                return self.finish_with(0.0, other);
            }
        }
        let shape = self.target(0)?;
        let (a, b) = (self.broadcast(a, &shape), self.broadcast(b, &shape));
        self.finish(FloatOp::Product, vec![a, b])
    }

    /// The same value everywhere, whatever is read.
    pub(super) fn finish_with(&mut self, constant: f64, x: usize) -> Result<Outcome, Error> {
        let pieces = Vec::new();
        self.finish(FloatOp::Affine { pieces, constant }, vec![x])
    }

    /// The product of two tensors, both broadcast to a shape.
    pub(super) fn times(&mut self, a: usize, b: usize, shape: &[usize]) -> usize {
        let (a, b) = (self.broadcast(a, shape), self.broadcast(b, shape));
        self.part(FloatOp::Product, vec![a, b], shape.to_vec())
    }

    /// A quotient of reals; that of integers is rounded towards zero, and built for a constant divisor.
    pub(super) fn quotient(&mut self) -> Result<Outcome, Error> {
        let (a, b) = (self.operand(0)?, self.operand(1)?);
        if a == b {
            return self.finish_with(1.0, a);
        }
        let divisor = self.constant_of(b);
        if divisor.iter().flatten().any(|v| *v == 0.0) {
            return Ok(Err("a division by zero".into()));
        }
        if !self.import.is_float(&self.node.output[0])? {
            return self.by_parameter(a, divisor, |divisor| (Function::Trunc, [divisor, 0.0]));
        }
        if let Some(values) = divisor {
            let inverse: Vec<f32> = values.iter().map(|v| 1.0 / v).collect();
            if inverse.iter().any(|v| !v.is_finite()) {
                return Ok(Err("a division by zero".into()));
            }
            let shape = self.shape(b);
            let b = self.constant(shape, inverse);
            return self.products(&[a, b]);
        }
        let shape = self.shape(b);
        let inverse = self.part(FloatOp::Reciprocal, vec![b], shape);
        if let Some([one]) = self.constant_of(a).as_deref() {
            let (factor, shape) = (f64::from(*one), self.shape(inverse));
            let op = whole(&[(factor, 0)], 0.0, &[&shape], &self.target(0)?);
            return self.finish(op, vec![inverse]);
        }
        self.products(&[a, inverse])
    }

    /// The remainder by a constant, of the sign of the divisor or, with `fmod`, of the dividend.
    pub(super) fn modulo(&mut self) -> Result<Outcome, Error> {
        let (a, b) = (self.operand(0)?, self.operand(1)?);
        let divisor = self.constant_of(b);
        if divisor.iter().flatten().any(|v| *v == 0.0) {
            return Ok(Err("a division by zero".into()));
        }
        let of_dividend = f64::from(u8::from(int(self.node, "fmod", 0) != 0));
        self.by_parameter(a, divisor, |divisor| {
            (Function::Mod, [divisor, of_dividend])
        })
    }

    /// A function of x whose first parameter is a constant input: one table for each of its values.
    fn by_parameter(
        &mut self,
        x: usize,
        values: Option<Vec<f32>>,
        function: impl Fn(f64) -> (Function, [f64; 2]),
    ) -> Result<Outcome, Error> {
        let Some(values) = values else {
            return Ok(Err("only a constant second input is built".into()));
        };
        let mut different: Vec<f32> = values.clone();
        different.sort_by(f32::total_cmp);
        different.dedup();
        if different.len() > MAX_EXPONENTS {
            return Ok(Err(format!(
                "more than {MAX_EXPONENTS} different values of its second input"
            )));
        }
        let shape = self.target(0)?;
        let x = self.broadcast(x, &shape);
        let tables = different.iter().map(|value| {
            let (function, parameters) = function(f64::from(*value));
            self.part(
                FloatOp::Function(function, parameters),
                vec![x],
                shape.clone(),
            )
        });
        let tables: Vec<usize> = tables.collect();
        if let [only] = tables.as_slice() {
            return self.finish_as(0, *only);
        }
        let values = self.constant(self.shape_of_input(1)?, values);
        let spread = self.broadcast(values, &shape);
        let chosen = self.constant_of(spread).unwrap_or_default();
        let entry = |(at, value): (usize, &f32)| Entry {
            to: at,
            input: different.iter().position(|v| v == value).unwrap_or(0),
            from: at,
            factor: 1.0,
        };
        let entries: Vec<Entry> = chosen.iter().enumerate().map(entry).collect();
        match self.linear_map(&tables, &shape, &entries, 0.0) {
            Ok(mapped) => self.finish_as(0, mapped),
            Err(problem) => Ok(Err(problem)),
        }
    }

    fn shape_of_input(&self, index: usize) -> Result<Vec<usize>, Error> {
        self.import.shape(&self.node.input[index])
    }

    /// A power by its constant exponent, or of a constant base, or of a positive base: `exp(y log x)`.
    pub(super) fn power(&mut self) -> Result<Outcome, Error> {
        let (x, y) = (self.operand(0)?, self.operand(1)?);
        let exponents = self.constant_of(y);
        if let Some([exponent]) = exponents.as_deref() {
            return self.power_of(x, f64::from(*exponent));
        }
        if exponents.is_some() {
            return self.by_parameter(x, exponents, |exponent| (Function::Pow, [exponent, 0.0]));
        }
        let shape = self.target(0)?;
        let logarithms = match self.constant_of(x) {
            Some(bases) if bases.iter().all(|base| *base > 0.0) => {
                let own = self.shape(x);
                self.constant(own, bases.iter().map(|base| base.ln()).collect())
            }
            Some(_) => return Ok(Err("a base that is not positive".into())),
            None => self.apply(x, Function::Log),
        };
        let products = self.times(logarithms, y, &shape);
        let function = FloatOp::Function(Function::Exp, [0.0; 2]);
        self.finish(function, vec![products])
    }

    fn power_of(&mut self, x: usize, exponent: f64) -> Result<Outcome, Error> {
        let shape = self.target(0)?;
        let x = self.broadcast(x, &shape);
        let function = |f, a: f64| FloatOp::Function(f, [a, 0.0]);
        if exponent == 2.0 {
            return self.finish(FloatOp::Product, vec![x, x]);
        }
        if exponent == 1.0 || exponent == 0.0 {
            let op = whole(&[(exponent, 0)], 1.0 - exponent, &[&shape], &shape);
            return self.finish(op, vec![x]);
        }
        let op = match exponent {
            0.5 => function(Function::Sqrt, 0.0),
            -0.5 => function(Function::Rsqrt, 0.0),
            exponent => function(Function::Pow, exponent),
        };
        self.finish(op, vec![x])
    }

    /// Leading axes broadcast to each other; a vector is a matrix of one row on the left, of one column on the right.
    pub(super) fn matmul(&mut self) -> Result<Outcome, Error> {
        let (mut a, mut b) = (self.operand(0)?, self.operand(1)?);
        if let &[k] = self.shape(a).as_slice() {
            a = self.part(FloatOp::Reshape, vec![a], vec![1, k]);
        }
        if let &[k] = self.shape(b).as_slice() {
            b = self.part(FloatOp::Reshape, vec![b], vec![k, 1]);
        }
        let y = self.matrix_product(a, b);
        if self.shape(y) == self.target(0)? {
            return self.finish_as(0, y);
        }
        self.finish(FloatOp::Reshape, vec![y])
    }

    /// `(.., i, k)` times `(.., k, j)`, leading axes broadcast; a constant right side is a layer.
    pub(super) fn matrix_product(&mut self, a: usize, b: usize) -> usize {
        let (left, right) = (self.shape(a), self.shape(b));
        let (leads, [i, k], j) = (
            [&left[..left.len() - 2], &right[..right.len() - 2]],
            [left[left.len() - 2], left[left.len() - 1]],
            right[right.len() - 1],
        );
        let weights = self
            .constant_of(b)
            .filter(|_| leads[1].iter().product::<usize>() == 1);
        let lead = broadcast_shape(leads);
        let shape = [&lead[..], &[i, j]].concat();
        if let Some(weights) = weights {
            let matrix = super::Constant {
                shape: vec![k, j],
                values: weights,
            };
            if let Ok(op) = super::operators::dense(&matrix, false, 1.0, None) {
                let a = self.broadcast(a, &[&lead[..], &[i, k]].concat());
                return self.part(op, vec![a], shape);
            }
        }
        let a = self.broadcast(a, &[&lead[..], &[i, k]].concat());
        let b = self.broadcast(b, &[&lead[..], &[k, j]].concat());
        self.part(FloatOp::MatMul, vec![a, b], shape)
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

    /// `max(a, b) = b + relu(a - b)`; with sign -1 the minimum, `b - relu(b - a)`; of several, one after the other.
    pub(super) fn extreme(&mut self, sign: f64) -> Result<Outcome, Error> {
        let operands = self.operands()?;
        let shape = self.target(0)?;
        let mut best = self.broadcast(operands[0], &shape);
        for other in &operands[1..] {
            let difference = self.difference([best, *other], [sign, -sign], 0.0, &shape);
            let gain = self.apply(difference, Function::Relu);
            best = self.difference([*other, gain], [1.0, sign], 0.0, &shape);
        }
        self.finish_as(0, best)
    }

    /// `relu(x) + slope (x - relu(x))`.
    pub(super) fn parametric_relu(&mut self) -> Result<Outcome, Error> {
        let (x, slope) = (self.operand(0)?, self.operand(1)?);
        let shape = self.target(0)?;
        let above = self.apply(x, Function::Relu);
        let below = self.difference([x, above], [1.0, -1.0], 0.0, &shape);
        let sloped = self.times(below, slope, &shape);
        let y = self.difference([above, sloped], [1.0, 1.0], 0.0, &shape);
        self.finish_as(0, y)
    }
}

/// The shape that two shapes broadcast to.
fn broadcast_shape([a, b]: [&[usize]; 2]) -> Vec<usize> {
    let rank = a.len().max(b.len());
    let at = |shape: &[usize], axis: usize| match (axis + shape.len()).checked_sub(rank) {
        Some(own) => shape[own],
        None => 1,
    };
    let len = |axis: usize| match at(a, axis) {
        1 => at(b, axis),
        len => len,
    };
    (0..rank).map(len).collect()
}
