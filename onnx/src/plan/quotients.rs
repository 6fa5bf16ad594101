//! Roundings as lookups and gates: floors of quotients, halves to even, moved and saturated integers.

use zkernel_gadgets::model::{Function, Interval, Op, Piece, Table, TensorId};

use super::rounding::{CLIP_ROWS, identity, whole};
use super::{Plan, ceil_log2};
use crate::Error;
use crate::model::{FloatNode, Rounding};

impl Plan<'_> {
    /// `floor((x + half) / 2^shift)`, proven to be one of the keys.
    pub(super) fn quotient(
        &mut self,
        name: &str,
        input: TensorId,
        shift: u32,
        keys: Interval,
    ) -> TensorId {
        let table = self.table(identity(keys));
        let shape = self.read(input).shape.clone();
        let output = self.integers(name, &shape, 1.0, keys);
        self.emit(name, Op::Requantize { shift, table }, input, output);
        output
    }

    /// `u - [u is odd] [sums + half = 2^shift u]`.
    pub(super) fn even(
        &mut self,
        node: &FloatNode,
        sums: TensorId,
        u: TensorId,
        (shift, keys): (u32, Interval),
    ) -> TensorId {
        let shape = self.read(u).shape.clone();
        let named = |part: &str| format!("{}.{part}", node.name);
        let view = |input: usize, scale: i64| whole(&shape, input, scale);
        let affine = |plan: &mut Self, part: &str, range, inputs, pieces, constant| {
            let output = plan.integers(&named(part), &shape, 1.0, range);
            plan.emit_all(
                &named(part),
                Op::Affine { pieces, constant },
                inputs,
                output,
            );
            output
        };
        let bit = Interval::new(0, 1);
        let half = 1i64 << (shift - 1);
        let rest = Interval::new(0, (1 << shift) - 1);
        let pieces = vec![view(0, 1), view(1, -(1 << shift))];
        let rest = affine(self, "rest", rest, vec![sums, u], pieces, half);
        let above = self.integers(&named("above"), &shape, 1.0, bit);
        self.emit(&named("above"), Op::Positive { bits: shift }, rest, above);
        let halves = Interval::new(keys.min >> 1, (keys.max >> 1) + 1);
        let pairs = self.quotient(&named("pairs"), u, 1, halves);
        let odd = affine(
            self,
            "odd",
            bit,
            vec![pairs, u],
            vec![view(0, 2), view(1, -1)],
            0,
        );
        let kept = self.integers(&named("kept"), &shape, 1.0, bit);
        self.emit_all(&named("kept"), Op::Product, vec![odd, above], kept);
        let pieces = vec![view(0, 1), view(1, -1), view(2, 1)];
        affine(
            self,
            "even",
            Interval::new(keys.min - 1, keys.max),
            vec![u, odd, kept],
            pieces,
            0,
        )
    }

    /// `sign u + zero`.
    pub(super) fn moved(
        &mut self,
        node: &FloatNode,
        u: TensorId,
        sign: i64,
        rounding: &Rounding,
    ) -> Result<TensorId, Error> {
        let shape = self.read(u).shape.clone();
        let (mut inputs, mut pieces) = (vec![u], vec![whole(&shape, 0, sign)]);
        let constant = match rounding.zeros.as_slice() {
            [one] => *one,
            all if all.iter().all(|z| *z == 0) => 0,
            _ => {
                inputs.push(self.zeros(node, rounding, &shape));
                let own = self.read(inputs[1]).shape.clone();
                pieces.push(Piece::broadcast(1, 1, &own, &shape));
                0
            }
        };
        if sign == 1 && constant == 0 && inputs.len() == 1 {
            return Ok(u);
        }
        self.sum_of(
            &format!("{}.moved", node.name),
            &shape,
            (inputs, pieces, constant),
        )
    }

    /// The node's output: the values between those bounds.
    pub(super) fn saturated(
        &mut self,
        node: &FloatNode,
        value: TensorId,
        range: Option<[i64; 2]>,
    ) -> TensorId {
        let own = self.read(value).range;
        let shape = self.read(value).shape.clone();
        let Some([low, high]) = range.filter(|[low, high]| own.min < *low || own.max > *high)
        else {
            let output = self.tensor(node.output, 1.0, own);
            let pieces = vec![whole(&shape, 0, 1)];
            self.emit(
                &node.name,
                Op::Affine {
                    pieces,
                    constant: 0,
                },
                value,
                output,
            );
            return output;
        };
        let output = self.tensor(node.output, 1.0, Interval::new(low, high));
        if own.max - own.min < CLIP_ROWS {
            let table = self.table(clip(own, [low, high]));
            self.emit(
                &node.name,
                Op::Requantize { shift: 0, table },
                value,
                output,
            );
            return output;
        }
        let span = own.max.abs().max(own.min.abs()) + high.abs().max(low.abs()) + 1;
        let half = 1i64 << ceil_log2(span as f64);
        let relu = self.table(Table {
            function: Function::Relu,
            ..identity(Interval::new(-half, half - 1))
        });
        // low + relu(x - low) - relu(x - high).
        let above = [("low", low), ("high", high)].map(|(part, bound)| {
            let name = format!("{}.{part}", node.name);
            let range = Interval::new(own.min - bound, own.max - bound);
            let less = self.integers(&name, &shape, 1.0, range);
            let pieces = vec![whole(&shape, 0, 1)];
            self.emit(
                &name,
                Op::Affine {
                    pieces,
                    constant: -bound,
                },
                value,
                less,
            );
            let name = format!("{name}.relu");
            let kept = self.integers(&name, &shape, 1.0, Interval::new(0, half - 1));
            self.emit(
                &name,
                Op::Requantize {
                    shift: 0,
                    table: relu,
                },
                less,
                kept,
            );
            kept
        });
        let pieces = vec![whole(&shape, 0, 1), whole(&shape, 1, -1)];
        self.emit_all(
            &node.name,
            Op::Affine {
                pieces,
                constant: low,
            },
            above.to_vec(),
            output,
        );
        output
    }
}

pub(super) fn clip(keys: Interval, [low, high]: [i64; 2]) -> Table {
    Table {
        function: Function::Clip,
        parameters: [low as f64, high as f64],
        ..identity(keys)
    }
}
