//! Comparisons, bits and choices.

use zkernel_gadgets::model::Function;

use super::operators::Cast;
use super::parts::{Outcome, Parts, whole};
use crate::Error;
use crate::model::FloatOp;

impl Parts<'_, '_> {
    /// Whether `factors[0] a + factors[1] b + constant > 0`, or not.
    pub(super) fn compare(
        &mut self,
        factors: [f64; 2],
        constant: f64,
        not: bool,
    ) -> Result<Outcome, Error> {
        let (a, b, shape) = (self.operand(0)?, self.operand(1)?, self.target(0)?);
        let zero = self
            .constant_of(b)
            .is_some_and(|all| all.iter().all(|v| *v == 0.0));
        // Compared with zero, the first alone says it.
        let difference =
            match zero && factors[0] == 1.0 && constant == 0.0 && self.shape(a) == shape {
                true => a,
                false => self.difference([a, b], factors, constant, &shape),
            };
        if !not {
            return self.finish(FloatOp::Positive, vec![difference]);
        }
        let less = self.part(FloatOp::Positive, vec![difference], shape.clone());
        self.finish(whole(&[(-1.0, 0)], 1.0, &[&shape], &shape), vec![less])
    }

    /// `1 - [a > b] - [b > a]`.
    pub(super) fn equal(&mut self) -> Result<Outcome, Error> {
        let (a, b, shape) = (self.operand(0)?, self.operand(1)?, self.target(0)?);
        let sides = [[1.0, -1.0], [-1.0, 1.0]].map(|factors| {
            let difference = self.difference([a, b], factors, 0.0, &shape);
            self.part(FloatOp::Positive, vec![difference], shape.clone())
        });
        let op = whole(&[(-1.0, 0), (-1.0, 1)], 1.0, &[&shape, &shape], &shape);
        self.finish(op, sides.to_vec())
    }

    /// A cast to integers rounds towards zero; one to bits says what is not zero.
    pub(super) fn cast(&mut self) -> Result<Outcome, Error> {
        let x = self.operand(0)?;
        let shape = self.shape(x);
        match self.import.cast_kind(self.node)? {
            Cast::Same => self.finish(FloatOp::Reshape, vec![x]),
            Cast::Whole if self.build.is_whole(x) => self.finish(FloatOp::Reshape, vec![x]),
            Cast::Whole => self.finish(FloatOp::Function(Function::Trunc, [1.0, 0.0]), vec![x]),
            Cast::Bit => {
                let sides = [1.0, -1.0].map(|sign| {
                    let x = self.scaled(x, sign, 0.0);
                    self.part(FloatOp::Positive, vec![x], shape.clone())
                });
                let y = self.difference(sides, [1.0, 1.0], 0.0, &shape);
                self.finish_as(0, y)
            }
        }
    }

    /// `a + b + factor a b` of bits: or with -1, exclusive or with -2.
    pub(super) fn logic(&mut self, factor: f64) -> Result<Outcome, Error> {
        let (a, b, shape) = (self.operand(0)?, self.operand(1)?, self.target(0)?);
        let (a, b) = (self.broadcast(a, &shape), self.broadcast(b, &shape));
        let both = self.part(FloatOp::Product, vec![a, b], shape.clone());
        let op = whole(
            &[(1.0, 0), (1.0, 1), (factor, 2)],
            0.0,
            &[shape.as_slice(); 3],
            &shape,
        );
        self.finish(op, vec![a, b, both])
    }

    /// `b + c (a - b)`; a constant choice of very negative values is a mask, and added.
    pub(super) fn choose(&mut self) -> Result<Outcome, Error> {
        let operands = self.operands()?;
        let &[choice, a, b] = operands.as_slice() else {
            return Ok(Err("three inputs are expected".into()));
        };
        let shape = self.target(0)?;
        if let Some(outcome) = self.mask(choice, a, b, &shape)? {
            return Ok(outcome);
        }
        if let (Some([a]), Some([b])) = (
            self.constant_of(a).as_deref(),
            self.constant_of(b).as_deref(),
        ) {
            let (a, b, own) = (f64::from(*a), f64::from(*b), self.shape(choice));
            let op = whole(&[(a - b, 0)], b, &[&own], &shape);
            return self.finish(op, vec![choice]);
        }
        let difference = self.difference([a, b], [1.0, -1.0], 0.0, &shape);
        let choice = self.broadcast(choice, &shape);
        let gain = self.part(FloatOp::Product, vec![choice, difference], shape.clone());
        let shapes = [self.shape(b), shape.clone()];
        let op = whole(
            &[(1.0, 0), (1.0, 1)],
            0.0,
            &[&shapes[0], &shapes[1]],
            &shape,
        );
        self.finish(op, vec![b, gain])
    }

    pub(super) fn mask(
        &mut self,
        choice: usize,
        a: usize,
        b: usize,
        shape: &[usize],
    ) -> Result<Option<Outcome>, Error> {
        let Some(bits) = self.constant_of(choice) else {
            return Ok(None);
        };
        let masking = |values: &Option<Vec<f32>>| {
            let all = values.as_ref().is_some_and(|v| !v.is_empty());
            all && values.iter().flatten().all(|v| *v <= crate::model::MASKING)
        };
        let (kept, shown_where) =
            match (masking(&self.constant_of(a)), masking(&self.constant_of(b))) {
                (true, false) => (b, 0.0),
                (false, true) => (a, 1.0),
                _ => return Ok(None),
            };
        let entry = |bit: &f32| {
            if *bit == shown_where {
                0.0
            } else {
                crate::model::MASKED
            }
        };
        let values = bits.iter().map(entry).collect();
        let mask_shape = self.shape(choice);
        let mask = self.constant(mask_shape.clone(), values);
        let own = self.shape(kept);
        let op = whole(&[(1.0, 0), (1.0, 1)], 0.0, &[&own, &mask_shape], shape);
        self.finish(op, vec![kept, mask]).map(Some)
    }
}
