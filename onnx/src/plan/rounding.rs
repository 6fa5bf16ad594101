//! Rounding to whole steps, exactly: floors, halves to even, saturation, and the integers that a file brings along.
//!
//! With `x = s X` and a step `t`, `x / t = X m / 2^k` for whole m and k: exactly where `s / t` is such a fraction (steps of a power of
//! two, and whatever a network's input lies on), else with an error of `2^-24` relative to `x / t`. The quotient and remainder of `X m`
//! by `2^k` are an [`Op::Requantize`]; it rounds halves up. To even: a half has the remainder 0 there, and one is taken off where the
//! quotient is odd too. Cost: the limbs of the remainder and one range lookup; where halves can happen, a comparison of k bits, a
//! parity and a product more; saturation costs one lookup of a clip, or two of a ReLU where few values of many are kept.

use zkernel_gadgets::model::{Along, Function, Interval, Op, Piece, Table, TensorId};

use super::elementwise::steps_are_near;
use super::quotients::clip;
use super::{MARGIN, Origin, Plan, ceil_log2};
use crate::Error;
use crate::model::{FloatNode, FloatOp, Mode, Rounding, Values};

/// Most bits dropped, and bits of the factors of steps that are no simple fraction.
const MOST_DROPPED: u32 = 39;
const FACTOR_BITS: u32 = 24;
/// Most bits of what is rounded.
const SUM_BITS: u32 = 60;
/// Most rows of a table that clips; more are two ReLUs.
pub(super) const CLIP_ROWS: i64 = 1 << 13;
/// Most bits of rounded values to one side of zero.
const KEY_BITS: u32 = 18;

/// `x / t` as `X m / 2^shift`.
#[derive(Clone, Debug)]
struct Fraction {
    factors: Vec<i64>,
    shift: u32,
    exact: bool,
}

impl Fraction {
    /// Of ratios `s / t`, for integers up to `largest`.
    fn new(ratios: &[f64], largest: u64) -> Self {
        let top = ratios.iter().fold(0f64, |m, r| m.max(*r));
        let room = SUM_BITS.saturating_sub(64 - largest.leading_zeros());
        let at = |shift: u32| ratios.iter().map(move |r| r * f64::from(shift).exp2());
        let most = f64::from(FACTOR_BITS.min(room)).exp2();
        let fits = |shift: &u32| top * f64::from(*shift).exp2() < most;
        let whole = |r: f64| (r - r.round()).abs() <= 1e-12 * r && r.round() >= 1.0;
        let shifts = (0..=MOST_DROPPED).filter(fits);
        let exact = shifts.clone().find(|shift| at(*shift).all(whole));
        let shift = exact.or(shifts.max()).unwrap_or(0);
        Self {
            factors: at(shift).map(|r| r.round() as i64).collect(),
            shift,
            exact: exact.is_some(),
        }
    }

    /// Whether a multiple of these factors of an integer up to `largest` can be half a step beyond a whole one.
    fn has_halves(&self, largest: u64) -> bool {
        let reaches = |factor: &i64| {
            let below = (self.shift - 1).saturating_sub(factor.trailing_zeros());
            factor.trailing_zeros() < self.shift && largest >> below > 0
        };
        self.exact && self.shift > 0 && self.factors.iter().any(reaches)
    }
}

impl Plan<'_> {
    /// Whether a tensor's integers are those that the file means: never rounded again before they are multiplied.
    pub(super) fn is_exact(&self, id: TensorId) -> bool {
        let Some(n) = self.graph.nodes.iter().find(|n| n.output == id) else {
            let input = self.graph.inputs.iter().position(|input| *input == id);
            return input.is_some_and(|i| matches!(self.model.kinds[i], Values::Whole(Some(_))));
        };
        match &n.op {
            Op::Reshape | Op::Transpose { .. } | Op::MaxPool { .. } => self.is_exact(n.inputs[0]),
            Op::Affine { pieces, .. } => {
                let one = matches!(pieces.as_slice(), [piece] if piece.scale == 1);
                self.exact.contains(&id) || one && self.is_exact(n.inputs[0])
            }
            _ => self.exact.contains(&id),
        }
    }

    /// A linear layer of a tensor and weights that both are the file's integers: its accumulators are too, at the product of their
    /// steps. Where each row has a step of its own, all are multiplied to a fraction of the step that the sums are rounded to.
    pub(super) fn exact_linear(
        &mut self,
        node: &FloatNode,
        input: TensorId,
    ) -> Result<Option<TensorId>, Error> {
        let Some((rows, weights, bias)) = node.op.linear() else {
            return Ok(None);
        };
        let Some(steps) = self
            .model
            .grids
            .get(&node.output)
            .filter(|_| self.is_exact(input))
        else {
            return Ok(None);
        };
        let cols = weights.len() / rows.max(1);
        let step = |row: usize| f64::from(steps[row % steps.len()]);
        let whole = |v: f64| ((v - v.round()).abs() < 1e-3).then_some(v.round() as i64);
        let integers = weights.iter().enumerate();
        let integers: Option<Vec<i64>> = integers
            .map(|(i, w)| whole(f64::from(*w) / step(i / cols)))
            .collect();
        let (Some(mut integers), s_x) = (integers, self.read(input).scale) else {
            return Ok(None);
        };
        let biases = bias.unwrap_or_default().iter().enumerate();
        let mut biases: Vec<i64> = biases
            .map(|(i, b)| (f64::from(*b) / (s_x * step(i))).round() as i64)
            .collect();
        let mut s_w = step(0);
        let mut halves = true;
        if steps.len() > 1 && steps.iter().any(|s| s.to_bits() != steps[0].to_bits()) {
            let Some(to) = self.rounded_to(node.output) else {
                return Ok(None);
            };
            let range = self.read(input).range;
            let sum = integers.iter().fold(1, |m: u64, w| m.max(w.unsigned_abs()));
            let largest = range.max.unsigned_abs().max(range.min.unsigned_abs());
            let largest = largest.saturating_mul(sum).saturating_mul(cols as u64);
            let ratios: Vec<f64> = (0..rows).map(|row| s_x * step(row) / to).collect();
            let fraction = Fraction::new(&ratios, largest);
            halves = fraction.has_halves(largest);
            for (row, factor) in integers.chunks_mut(cols).zip(&fraction.factors) {
                row.iter_mut().for_each(|w| *w *= factor);
            }
            biases
                .iter_mut()
                .zip(&fraction.factors)
                .for_each(|(b, factor)| *b *= factor);
            s_w = to / (s_x * f64::from(fraction.shift).exp2());
        }
        let biases = bias.map(|_| biases);
        let output = self.accumulate_integers(node, input, (integers, biases), s_w)?;
        self.exact.insert(output);
        self.halves.insert(output, halves);
        Ok(Some(output))
    }

    /// The one step that a tensor is rounded to, if nothing else reads it.
    pub(super) fn rounded_to(&self, float: usize) -> Option<f64> {
        let mut readers = self.model.readers(float);
        match (readers.next().map(|reader| &reader.op), readers.next()) {
            (Some(FloatOp::Round(rounding)), None) => match rounding.steps.as_slice() {
                [step] => Some(*step),
                _ => None,
            },
            (Some(FloatOp::Reshape | FloatOp::Transpose(_)), None) => {
                self.rounded_to(self.model.readers(float).next()?.output)
            }
            _ => None,
        }
    }

    /// Rounds, moves to the zero point and saturates.
    pub(super) fn rounded(
        &mut self,
        node: &FloatNode,
        rounding: &Rounding,
        input: TensorId,
    ) -> Result<TensorId, Error> {
        let range = self.read(input).range;
        let largest = range
            .max
            .unsigned_abs()
            .max(range.min.unsigned_abs())
            .max(1);
        let scale = self.read(input).scale;
        let ratios: Vec<f64> = rounding.steps.iter().map(|step| scale / step).collect();
        let fraction = Fraction::new(&ratios, largest);
        let halves = rounding.mode == Mode::HalfToEven
            && fraction.has_halves(largest)
            && self.halves.get(&self.source(input)) != Some(&false);
        let keys = self.rounded_keys(node, rounding, &ratios, range);
        let simple = !halves && rounding.mode != Mode::Up;
        let zeros = if simple {
            rounding.zeros.as_slice()
        } else {
            &[]
        };
        let sums = self.multiplied(node, rounding, &fraction, (input, zeros))?;
        let keys = match rounding.zeros.iter().fold(0, |m: i64, z| m.max(z.abs())) {
            zero if simple => Interval::new(keys.min - zero, keys.max + zero),
            _ => keys,
        };
        let clipped = keys.max - keys.min < CLIP_ROWS;
        if let (true, Some([low, high]), true) = (simple, rounding.range, clipped) {
            let table = self.table(clip(keys, [low, high]));
            let output = self.tensor(node.output, 1.0, Interval::new(low, high));
            let op = Op::Requantize {
                shift: fraction.shift,
                table,
            };
            self.emit(&node.name, op, sums, output);
            self.exact.insert(output);
            return Ok(output);
        }
        let mut value = self.quotient(
            &format!("{}.quotient", node.name),
            sums,
            fraction.shift,
            keys,
        );
        if halves {
            value = self.even(node, sums, value, (fraction.shift, keys));
        }
        let sign = if rounding.mode == Mode::Up { -1 } else { 1 };
        if !simple {
            value = self.moved(node, value, sign, rounding)?;
        }
        let output = self.saturated(node, value, rounding.range);
        self.exact.insert(output);
        Ok(output)
    }

    /// The tensor that views lead back to.
    fn source(&self, id: TensorId) -> TensorId {
        let writer = self.graph.nodes.iter().find(|n| n.output == id);
        match writer.map(|n| (&n.op, n.inputs.first())) {
            Some((Op::Reshape | Op::Transpose { .. }, Some(input))) => self.source(*input),
            _ => id,
        }
    }

    /// Whole steps that are covered: all that can be, or four times what calibration has seen and twice what saturates.
    fn rounded_keys(
        &self,
        node: &FloatNode,
        rounding: &Rounding,
        ratios: &[f64],
        range: Interval,
    ) -> Interval {
        let finest = rounding.steps.iter().fold(f64::INFINITY, |m, s| m.min(*s));
        let top = ratios.iter().fold(0f64, |m, r| m.max(*r));
        let largest = range.max.unsigned_abs().max(range.min.unsigned_abs()) as f64;
        let seen = self.ranges.magnitude[node.inputs[0]] / finest * f64::from(MARGIN).exp2();
        let saturating = rounding.range.map_or(0, |[low, high]| 2 * (high - low)) as f64;
        let most = (largest * top + 1.0).min(seen.max(saturating).max(1.0));
        let bits = ceil_log2(most + 1.0).min(KEY_BITS);
        let signed = range.min < 0 || rounding.mode == Mode::Up;
        Interval::new(if signed { -(1 << bits) } else { 0 }, (1 << bits) - 1)
    }

    /// `m X`, with what makes halves up of the mode, and zero points of steps that are not moved later.
    fn multiplied(
        &mut self,
        node: &FloatNode,
        rounding: &Rounding,
        fraction: &Fraction,
        (input, zeros): (TensorId, &[i64]),
    ) -> Result<TensorId, Error> {
        let half = if fraction.shift > 0 {
            1i64 << (fraction.shift - 1)
        } else {
            0
        };
        let (sign, offset) = match rounding.mode {
            Mode::HalfToEven => (1, 0),
            Mode::Down => (1, -half),
            Mode::Up => (-1, -half),
        };
        let shape = self.read(input).shape.clone();
        let mut pieces = match fraction.factors.as_slice() {
            [one] => vec![whole(&shape, 0, sign * one)],
            all => slices(&shape, rounding.axis, sign, all),
        };
        let uniform = if let [one] = zeros { *one } else { 0 };
        let offset = offset + (uniform << fraction.shift);
        let mut inputs = vec![input];
        if zeros.len() > 1 && zeros.iter().any(|z| *z != 0) {
            inputs.push(self.zeros(node, rounding, &shape));
            let mut piece =
                Piece::broadcast(1, 1 << fraction.shift, &self.read(inputs[1]).shape, &shape);
            piece.input = 1;
            pieces.push(piece);
        }
        if matches!(fraction.factors.as_slice(), [1])
            && sign == 1
            && offset == 0
            && inputs.len() == 1
        {
            return Ok(input);
        }
        self.sum_of(
            &format!("{}.steps", node.name),
            &shape,
            (inputs, pieces, offset),
        )
    }

    /// A sum of views at scale 1, by its worst case.
    pub(super) fn sum_of(
        &mut self,
        name: &str,
        shape: &[usize],
        (inputs, pieces, constant): (Vec<TensorId>, Vec<Piece>, i64),
    ) -> Result<TensorId, Error> {
        let worst = self.worst_sum(&pieces, &inputs, constant as f64);
        let bits = 128 - worst.leading_zeros();
        if bits > 61 {
            return Err(Error::Overflow {
                node: name.into(),
                bits,
                most: 61,
            });
        }
        steps_are_near(name, &pieces)?;
        let worst = worst as i64;
        let output = self.integers(name, shape, 1.0, Interval::new(-worst, worst));
        self.emit_all(name, Op::Affine { pieces, constant }, inputs, output);
        Ok(output)
    }

    /// The zero points as a constant that broadcasts along the axis.
    pub(super) fn zeros(
        &mut self,
        node: &FloatNode,
        rounding: &Rounding,
        shape: &[usize],
    ) -> TensorId {
        let count = rounding.zeros.len();
        let along = |axis: usize| if axis == rounding.axis { count } else { 1 };
        let shape: Vec<usize> = (0..shape.len()).map(along).collect();
        let name = format!("{}.zero", node.name);
        let weights = self.weight_integers(&name, "value", rounding.zeros.clone(), (1, count), 1.0);
        let bound = self.graph.weights[weights.0 as usize].bound;
        let output = self.integers(&name, &shape, 1.0, Interval::new(-bound, bound));
        self.emit_all(&name, Op::Constant { weights }, Vec::new(), output);
        output
    }

    /// Notes of a sum of the file's integers that is rounded at once whether it can lie half a step beyond a whole one.
    pub(super) fn note_halves(&mut self, node: &FloatNode, sum: TensorId, steps: &[f64]) {
        let Some(to) = self
            .rounded_to(node.output)
            .filter(|_| self.sums_exact(&node.inputs))
        else {
            return;
        };
        let ratios: Vec<f64> = steps.iter().map(|step| step / to).collect();
        self.halves
            .insert(sum, Fraction::new(&ratios, 1 << (SUM_BITS / 2)).exact);
    }

    /// Whether all inputs of a sum are integers of the file, or sums of such.
    pub(super) fn sums_exact(&self, inputs: &[usize]) -> bool {
        let exact = |float: &usize| match self.placed.get(float) {
            Some(id) => {
                self.is_exact(*id) || self.origin(*id) == Origin::Sums && self.exact.contains(id)
            }
            None => false,
        };
        inputs.iter().all(exact)
    }
}

/// Integers as they are.
pub(super) fn identity(keys: Interval) -> Table {
    Table {
        function: Function::Identity,
        parameters: [0.0; 2],
        keys,
        input_scale: 1.0,
        output_scale: 1.0,
        low: 0,
    }
}

pub(super) fn whole(shape: &[usize], input: usize, scale: i64) -> Piece {
    let axes = shape.iter().enumerate();
    Piece {
        input,
        scale,
        axes: axes.map(|(axis, len)| Along::whole(*len, axis)).collect(),
    }
}

/// One view for each position of an axis, with its factor.
fn slices(shape: &[usize], axis: usize, sign: i64, factors: &[i64]) -> Vec<Piece> {
    let slice = |(position, factor): (usize, &i64)| {
        let mut piece = whole(shape, 0, sign * factor);
        piece.axes[axis] = Along {
            first: position,
            len: 1,
            step: 1,
            source: Some((axis, position, 1)),
        };
        piece
    };
    factors.iter().enumerate().map(slice).collect()
}
