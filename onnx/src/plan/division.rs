//! Quotients, square roots and softmaxes: their scales and integers.

use zkernel_gadgets::model::{Along, Function, Interval, Op, Piece, Table, TensorId};

use super::elementwise::MASK_DISTANCE;
use super::rounding::identity;
use super::{MARGIN, MOST_DROPPED, Origin, Plan, ceil_log2, lines};
use crate::Error;
use crate::model::FloatNode;

/// Finest step of the keys of an exponential, and how many of them span its range, as powers of two: the range of what is
/// exponentiated has up to three times as many keys (both signs, and steps rounded down), and a table at most 2^20.
const EXP_STEP: i32 = -12;
const EXP_ROWS: i32 = 18;
/// Error of an exponential by lines.
const EXP_TOLERANCE: f64 = 0.000_2;
/// Bits of the exponentials of a softmax, of the inverse of their sum, and of other inverses.
const EXP_BITS: u32 = 12;
const INVERSE_BITS: u32 = 14;
/// Most bits of what is divided by, and bits of a square root at the calibrated range.
/// How much less than the values the differences within a row are, where they count for its exponentials.
const NARROW_ROWS: f64 = 16.0;
const DIVISOR_BITS: u32 = 22;
const ROOT_BITS: u32 = 16;
impl Plan<'_> {
    /// 1 / x: `floor(K / X)` with K for as many bits as [`INVERSE_BITS`] at the largest x.
    pub(super) fn reciprocal(&mut self, node: &FloatNode, input: TensorId) -> TensorId {
        let small = self.read(input).range.max < 1 << DIVISOR_BITS;
        let x = match self.origin(input) {
            Origin::Values if small => input,
            _ => self.narrow(&node.name, node.inputs[0], input, EXP_BITS),
        };
        let largest = self.ranges.magnitude[node.inputs[0]] / self.read(x).scale;
        self.inverse(node, x, largest)
    }

    fn inverse(&mut self, node: &FloatNode, x: TensorId, largest: f64) -> TensorId {
        let step = self.read(x).scale;
        let bits = (ceil_log2(largest) + INVERSE_BITS).min(40);
        let numerator = 1i64 << bits;
        let max = self.read(x).range.max.max(1);
        self.graph.tensors[x.0 as usize].range.max = max;
        let scale = 1.0 / (numerator as f64 * step);
        let output = self.tensor(node.output, scale, Interval::new(0, numerator));
        self.emit(&node.name, Op::Reciprocal { numerator }, x, output);
        output
    }

    /// `floor(sqrt(X))` of a multiple of the input that gives it [`ROOT_BITS`] bits, and its inverse for `1 / sqrt(x)`.
    pub(super) fn root(
        &mut self,
        node: &FloatNode,
        function: Function,
        input: TensorId,
    ) -> Result<TensorId, Error> {
        let (scale, shape) = (self.read(input).scale, self.read(input).shape.clone());
        let largest = self.ranges.magnitude[node.inputs[0]] / scale;
        let missing = (2 * ROOT_BITS).saturating_sub(ceil_log2(largest));
        let factor = 1i64 << (2 * missing.div_ceil(2)).min(38);
        let step = scale / factor as f64;
        let most = largest * factor as f64 * f64::from(2 * MARGIN).exp2();
        let range = Interval::new(0, most.min(60f64.exp2()) as i64);
        let x = self.integers(&format!("{}.square", node.name), &shape, step, range);
        let piece = Piece::broadcast(0, factor, &shape, &shape);
        let op = Op::Affine {
            pieces: vec![piece],
            constant: 0,
        };
        self.emit(&format!("{}.square", node.name), op, input, x);
        let bits = 64 - range.max.unsigned_abs().isqrt().leading_zeros();
        let range = Interval::new(0, (1 << bits) - 1);
        if function == Function::Sqrt {
            let output = self.tensor(node.output, step.sqrt(), range);
            self.emit(&node.name, Op::Root, x, output);
            return Ok(output);
        }
        let name = format!("{}.root", node.name);
        let root = self.integers(&name, &shape, step.sqrt(), range);
        self.emit(&name, Op::Root, x, root);
        let largest = largest.sqrt() * (factor as f64).sqrt();
        Ok(self.inverse(node, root, largest))
    }

    /// `e = exp(x - max x)`, `y = e * floor(K / sum e)`, at scale 1 / K.
    pub(super) fn softmax(&mut self, node: &FloatNode, input: TensorId) -> TensorId {
        let name = &node.name;
        let shape = self.read(input).shape.clone();
        let span = self.softmax_span(node.inputs[0]);
        let finest = f64::from(EXP_STEP)
            .exp2()
            .max(span / f64::from(EXP_ROWS).exp2());
        let shift = ceil_log2(finest / self.read(input).scale / 1.5).min(MOST_DROPPED);
        let keys = self.shifted(&format!("{name}.logits"), input, shift, span);
        let step = self.read(keys).scale;
        let table = Table {
            function: Function::Exp,
            parameters: [0.0; 2],
            keys: Interval::new(
                -((self.row_span(node.inputs[0], span) / step).ceil() as i64).max(1),
                0,
            ),
            input_scale: step,
            output_scale: 1.0 / f64::from(EXP_BITS).exp2(),
            low: 0,
        };
        let (table, refined) = lines::split(table, 1.0, EXP_TOLERANCE);
        let bits = EXP_BITS + refined;
        let most = 1i64 << bits;
        let table = self.table(table);
        let exp = format!("{name}.exp");
        let e = self.integers(&exp, &shape, 1.0 / most as f64, Interval::new(0, most));
        self.emit(&exp, Op::MaxTable { table }, keys, e);
        let classes = shape.last().copied().unwrap_or(1);
        let rows = [&shape[..shape.len().saturating_sub(1)], &[1]].concat();
        let total = format!("{name}.sum");
        let sum = self.integers(
            &total,
            &rows,
            1.0 / most as f64,
            // Lines err: a sum may stay below the one exponential of 0, by what they miss.
            Interval::new(most - (most >> 6), (most + (most >> 6)) * classes as i64),
        );
        let axes = rows.iter().enumerate().map(|(axis, len)| {
            let last = axis + 1 == rows.len();
            if last {
                Along::repeated(1)
            } else {
                Along::whole(*len, axis)
            }
        });
        let all = Piece {
            input: 0,
            scale: 1,
            axes: axes.collect(),
        };
        self.emit(
            &total,
            Op::Affine {
                pieces: vec![all],
                constant: 0,
            },
            e,
            sum,
        );
        let bits = (bits + INVERSE_BITS + ceil_log2(classes as f64)).min(40);
        let numerator = 1i64 << bits;
        let inverse = format!("{name}.inverse");
        let y = self.integers(&inverse, &rows, 1.0, Interval::new(0, numerator / most));
        self.emit(&inverse, Op::Reciprocal { numerator }, sum, y);
        let repeated = format!("{name}.repeated");
        let piece = Piece::broadcast(0, 1, &rows, &shape);
        let spread = self.integers(&repeated, &shape, 1.0, Interval::new(0, numerator / most));
        self.emit(
            &repeated,
            Op::Affine {
                pieces: vec![piece],
                constant: 0,
            },
            y,
            spread,
        );
        let output = self.tensor(
            node.output,
            1.0 / numerator as f64,
            Interval::new(0, numerator),
        );
        self.emit_all(name, Op::Product, vec![e, spread], output);
        output
    }

    /// Largest distance to a maximum that the table of a softmax covers.
    fn softmax_span(&self, float: usize) -> f64 {
        let margin = f64::from(MARGIN).exp2();
        let masks = self.model.is_masked(float);
        let distance = if masks {
            2.0 * self.ranges.magnitude[float] + MASK_DISTANCE
        } else {
            0.0
        };
        (2.0 * margin * self.ranges.magnitude[float] + distance).max(1.0)
    }

    /// That of one softmax, with the margin of magnitudes; where rows differ by far less than their values are large, differences count.
    fn row_span(&self, float: usize, span: f64) -> f64 {
        let seen = self.ranges.spread.get(&float).map(|spread| {
            let margin = f64::from(MARGIN + 1).exp2();
            (margin * spread).max(1.0)
        });
        seen.filter(|rows| rows * NARROW_ROWS < span)
            .unwrap_or(span)
    }

    /// Drops bits without a change of what is covered.
    fn shifted(&mut self, name: &str, id: TensorId, shift: u32, span: f64) -> TensorId {
        if shift == 0 {
            return id;
        }
        let scale = self.read(id).scale * f64::from(shift).exp2();
        let half = (span / scale).ceil() as i64 + 1;
        let keys = Interval::new(-half, half);
        let table = self.table(identity(keys));
        let shape = self.read(id).shape.clone();
        let output = self.integers(name, &shape, scale, keys);
        self.emit(name, Op::Requantize { shift, table }, id, output);
        output
    }
}
