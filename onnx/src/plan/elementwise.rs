//! Sums of views, products, comparisons and embeddings: their scales and integers.

use std::collections::BTreeSet;

use zkernel_gadgets::model::{Along, Function, Interval, Op, Piece, Table, TensorId};

use super::{MARGIN, MOST_DROPPED, Origin, Plan, ceil_log2};
use crate::Error;
use crate::model::{FloatNode, FloatOp, MASKING};

/// Bits of accuracy of the ratio of two scales that are added.
const RATIO_BITS: i32 = 8;
/// The same, of a sum of the file's integers that is rounded at once.
const EXACT_BITS: i32 = 24;
/// Bits of accuracy of a constant that is added, of the calibrated range; parts of a step that are tried to have it exact.
const CONSTANT_BITS: u32 = 13;
const MOST_PARTS: u32 = 16;
/// Bits of constants that are added.
const CONSTANT_LIMIT: u32 = 40;
/// Bits of the factors that bring terms to one step.
const STEP_BITS: u32 = 40;
/// Distances to a maximum beyond which an exponential is nothing.
pub(super) const MASK_DISTANCE: f64 = 24.0;

impl Plan<'_> {
    /// Values of at most `bits` bits within the calibrated range, with the margin of every table: a tensor whose integers
    /// are larger is requantized.
    pub(super) fn narrow(&mut self, name: &str, float: usize, id: TensorId, bits: u32) -> TensorId {
        if self.is_exact(id) {
            return id;
        }
        let (scale, range) = (self.read(id).scale, self.read(id).range);
        let largest = range.max.unsigned_abs().max(range.min.unsigned_abs());
        if self.origin(id) == Origin::Values && largest < 1 << (bits + MARGIN + 1) {
            return id;
        }
        if let Some(&narrowed) = self.narrowed.get(&(id, bits)) {
            return narrowed;
        }
        let steps = self.ranges.magnitude[float] / scale / f64::from(bits).exp2();
        let shift = ceil_log2(steps).min(MOST_DROPPED);
        let half = 1i64 << (bits + MARGIN);
        let table = self.table(Table {
            function: Function::Identity,
            parameters: [0.0; 2],
            keys: Interval::new(-half, half - 1),
            input_scale: 1.0,
            output_scale: 1.0,
            low: 0,
        });
        let step = scale * f64::from(shift).exp2();
        let name = format!("{name}.requantize");
        let shape = self.read(id).shape.clone();
        let output = self.integers(&name, &shape, step, Interval::new(-half, half - 1));
        self.emit(&name, Op::Requantize { shift, table }, id, output);
        self.narrowed.insert((id, bits), output);
        output
    }

    /// A tensor that stands for no float tensor.
    pub(super) fn integers(
        &mut self,
        name: &str,
        shape: &[usize],
        scale: f64,
        range: Interval,
    ) -> TensorId {
        let output = self.tensor(0, scale, range);
        let tensor = &mut self.graph.tensors[output.0 as usize];
        (tensor.name, tensor.shape) = (name.into(), shape.to_vec());
        output
    }

    /// Bits of operands that are multiplied.
    pub(super) const fn factor_bits(&self) -> u32 {
        self.widths.activation
    }

    /// What a tensor repeats, and how: fewer values to narrow.
    fn repeated(&self, id: TensorId) -> Option<(TensorId, Piece)> {
        let writer = self.graph.nodes.iter().find(|n| n.output == id)?;
        let (Op::Affine { pieces, constant }, &[source]) = (&writer.op, &writer.inputs[..]) else {
            return None;
        };
        let [piece] = &pieces[..] else { return None };
        let len = |id: TensorId| self.read(id).shape.iter().product::<usize>();
        let along = |axis: usize| move |a: &Along| a.source.is_some_and(|(own, ..)| own == axis);
        let mut from = self.read(source).shape.iter().enumerate();
        let summed = from.any(|(axis, len)| *len > 1 && !piece.axes.iter().any(along(axis)));
        let mut to = piece.axes.iter().zip(&self.read(id).shape);
        let whole = to.all(|(along, len)| along.len == *len);
        let same = piece.scale == 1 && *constant == 0 && !summed && whole;
        (same && len(source) < len(id)).then(|| (source, piece.clone()))
    }

    /// The view `piece` of a tensor, in the shape of another.
    fn repeat(&mut self, name: &str, few: TensorId, piece: Piece, like: TensorId) -> TensorId {
        let (scale, range) = (self.read(few).scale, self.read(few).range);
        let (name, shape) = (format!("{name}.repeated"), self.read(like).shape.clone());
        let output = self.integers(&name, &shape, scale, range);
        let op = Op::Affine {
            pieces: vec![piece],
            constant: 0,
        };
        self.emit(&name, op, few, output);
        output
    }

    /// The operand, narrowed; a constant gets the scale that its largest value needs.
    pub(super) fn factor(
        &mut self,
        node: &FloatNode,
        operand: usize,
        bits: u32,
    ) -> Result<TensorId, Error> {
        let float = node.inputs[operand];
        if let Some(&id) = self.placed.get(&float) {
            let name = format!("{}.{operand}", node.name);
            return Ok(match self.repeated(id) {
                Some((source, piece)) => {
                    let few = self.narrow(&name, float, source, bits);
                    self.repeat(&name, few, piece, id)
                }
                None => self.narrow(&name, float, id, bits),
            });
        }
        let scale = self.ranges.magnitude[float] / f64::from(bits).exp2();
        self.constant(float, scale, None)
    }

    /// A constant of the file at that scale; masked entries become `mask`.
    pub(super) fn constant(
        &mut self,
        float: usize,
        scale: f64,
        mask: Option<f64>,
    ) -> Result<TensorId, Error> {
        let values = self.constant_values(float).unwrap_or_default();
        let masked = |v: &f32| mask.filter(|_| *v <= MASKING).map_or(*v, |m| m as f32);
        let values: Vec<f32> = values.iter().map(masked).collect();
        let shape = self.model.tensors[float].shape.clone();
        let name = self.model.tensors[float].name.clone();
        let cols = shape.last().copied().unwrap_or(1).max(1);
        let weights = self.weight(&name, "value", &values, (values.len() / cols, cols), scale);
        let bound = self.graph.weights[weights.0 as usize].bound;
        if bound >= 1 << CONSTANT_LIMIT {
            return Err(Error::Overflow {
                node: name,
                bits: 64 - bound.leading_zeros(),
                most: CONSTANT_LIMIT,
            });
        }
        let output = self.integers(&name, &shape, scale, Interval::new(-bound, bound));
        self.emit_all(&name, Op::Constant { weights }, Vec::new(), output);
        Ok(output)
    }

    pub(super) fn constant_values(&self, float: usize) -> Option<&[f32]> {
        let node = self.model.nodes.iter().find(|n| n.output == float)?;
        match &node.op {
            FloatOp::Constant(values) => Some(values),
            _ => None,
        }
    }

    /// A sum of views. One step size for all: the finest, refined where steps differ by a small ratio; constants adapt.
    pub(super) fn affine(
        &mut self,
        node: &FloatNode,
        pieces: &[(f64, Piece)],
        constant: f64,
    ) -> Result<TensorId, Error> {
        let step_of = |plan: &Self, (factor, piece): &(f64, Piece)| {
            let id = plan.placed.get(&node.inputs[piece.input])?;
            Some(plan.read(*id).scale * factor.abs()).filter(|step| *step > 0.0)
        };
        let steps: Vec<f64> = pieces.iter().filter_map(|p| step_of(self, p)).collect();
        // Nothing may be left of an activation: an empty triangle, say.
        let nothing = pieces.is_empty() && node.inputs.iter().any(|t| self.placed.contains_key(t));
        let step = match constant.abs() {
            0.0 => 1.0,
            constant => constant,
        };
        let largest = self.largest_terms(node, pieces);
        let common = self.common_step(node, &steps, &largest);
        let Some(scale) = common.or(nothing.then_some(step)) else {
            return Err(Error::Plan {
                node: node.name.clone(),
                problem: "sums nothing but constants",
            });
        };
        let scale = self.exact_step(node, scale, constant);
        let scale = self.fine_step(node, scale, pieces, constant);
        let distance = 2.0 * self.ranges.magnitude[node.output] + MASK_DISTANCE;
        let mask = self.model.masks(node).then_some(-distance);
        let mut inputs = Vec::new();
        for (index, &float) in node.inputs.iter().enumerate() {
            let factor = pieces.iter().find(|(_, piece)| piece.input == index);
            let factor = factor.map_or(1.0, |(factor, _)| factor.abs());
            inputs.push(match self.placed.get(&float) {
                Some(id) => *id,
                None => self.constant(float, scale / factor, mask)?,
            });
        }
        let mut whole = Vec::new();
        for (factor, piece) in pieces {
            let ratio = self.read(inputs[piece.input]).scale * factor / scale;
            let piece = Piece {
                scale: (ratio + 0.5).floor() as i64,
                ..piece.clone()
            };
            whole.push(piece);
        }
        let offset = (constant / scale + 0.5).floor();
        let worst = self.worst_sum(&whole, &inputs, offset);
        let bits = 128 - worst.leading_zeros();
        if bits > 60 {
            return Err(Error::Overflow {
                node: node.name.clone(),
                bits,
                most: 60,
            });
        }
        steps_are_near(&node.name, &whole)?;
        let range = Interval::new(-(worst as i64), worst as i64);
        let output = self.tensor(
            node.output,
            scale,
            self.view_range(&whole, &inputs, offset).unwrap_or(range),
        );
        self.note_halves(node, output, &steps);
        let op = Op::Affine {
            pieces: whole,
            constant: offset as i64,
        };
        self.emit_all(&node.name, op, inputs, output);
        Ok(output)
    }

    /// A step for a comparison with constants: finer, if that makes them whole.
    fn exact_step(&self, node: &FloatNode, scale: f64, constant: f64) -> f64 {
        if !self.uses(node.output).compared {
            return scale;
        }
        let constants = node.inputs.iter().filter_map(|&t| self.constant_values(t));
        let all: Vec<f64> = constants
            .flatten()
            .map(|v| f64::from(*v))
            .chain([constant])
            .collect();
        let whole = |step: f64| {
            let near = |v: &f64| ((v / step) - (v / step).round()).abs() < 1e-6;
            all.iter()
                .all(|v| near(v) && (v / step).abs() < f64::from(CONSTANT_LIMIT).exp2())
        };
        let finer = (0..=RATIO_BITS).map(|bits| scale / f64::from(bits).exp2());
        finer.into_iter().find(|step| whole(*step)).unwrap_or(scale)
    }

    /// A step at which constants lie: what is added to integers or bits need not be a multiple of theirs.
    fn fine_step(
        &self,
        node: &FloatNode,
        scale: f64,
        pieces: &[(f64, Piece)],
        constant: f64,
    ) -> f64 {
        let tolerance = self.ranges.magnitude[node.output] / f64::from(CONSTANT_BITS).exp2();
        if scale <= 2.0 * tolerance || self.model.masks(node) {
            return scale;
        }
        let of_piece = |(factor, piece): &(f64, Piece)| -> Vec<f64> {
            let values = self.constant_values(node.inputs[piece.input]);
            let values = values.unwrap_or_default().iter();
            values.map(|v| f64::from(*v) * factor).collect()
        };
        let constants: Vec<f64> = pieces.iter().flat_map(of_piece).chain([constant]).collect();
        let near = |step: &f64| {
            let off = |v: &f64| (v - (v / step).round() * step).abs();
            constants.iter().all(|v| off(v) <= tolerance)
        };
        let finer = (1..=MOST_PARTS).map(|parts| scale / f64::from(parts));
        let halves = ceil_log2(scale / (2.0 * tolerance));
        finer
            .into_iter()
            .find(near)
            .unwrap_or(scale / f64::from(halves).exp2())
    }

    /// The range of views at the same scale: that of their inputs, and zero where they may read nothing.
    fn view_range(&self, pieces: &[Piece], inputs: &[TensorId], offset: f64) -> Option<Interval> {
        let union = |range: Interval, id: &TensorId| {
            let own = self.read(*id).range;
            Interval::new(range.min.min(own.min), range.max.max(own.max))
        };
        self.is_view(pieces, inputs).then(|| {
            let Interval { min, max } = inputs.iter().fold(Interval::new(0, 0), union);
            Interval::new(min + offset as i64, max + offset as i64)
        })
    }

    pub(super) fn worst_sum(&self, pieces: &[Piece], inputs: &[TensorId], offset: f64) -> i128 {
        let of_piece = |piece: &Piece| {
            let tensor = self.read(inputs[piece.input]);
            let read = |axis: usize| {
                piece
                    .axes
                    .iter()
                    .any(|a| a.source.is_some_and(|s| s.0 == axis))
            };
            let summed = (0..tensor.shape.len()).filter(|axis| !read(*axis));
            let count: usize = summed.map(|axis| tensor.shape[axis]).product();
            let largest = tensor
                .range
                .max
                .unsigned_abs()
                .max(tensor.range.min.unsigned_abs());
            i128::from(largest) * i128::from(piece.scale.unsigned_abs()) * count as i128
        };
        pieces
            .iter()
            .map(of_piece)
            .fold(offset.abs() as i128, i128::saturating_add)
    }

    /// The largest values of the terms that are no constants, in their order.
    fn largest_terms(&self, node: &FloatNode, pieces: &[(f64, Piece)]) -> Vec<f64> {
        let largest = |(factor, piece): &(f64, Piece)| {
            let read = self.read(*self.placed.get(&node.inputs[piece.input])?);
            let integer = read
                .range
                .max
                .unsigned_abs()
                .max(read.range.min.unsigned_abs());
            let step = Some(read.scale * factor.abs()).filter(|step| *step > 0.0)?;
            Some(integer as f64 * step)
        };
        pieces.iter().filter_map(largest).collect()
    }

    /// The step of a sum of terms with those steps and largest values.
    fn common_step(&self, node: &FloatNode, steps: &[f64], largest: &[f64]) -> Option<f64> {
        let finest = steps.iter().copied().reduce(f64::min)?;
        let coarsest = steps.iter().copied().reduce(f64::max)?;
        let whole =
            |step: &f64| (step / finest - (step / finest).round()).abs() < 1e-9 * step / finest;
        if steps.iter().all(whole) {
            return Some(finest);
        }
        if let Some(to) = self
            .rounded_to(node.output)
            .filter(|_| self.sums_exact(&node.inputs))
        {
            return Some(to / f64::from(EXACT_BITS).exp2());
        }
        // What adds next to nothing need not be told from nothing: many small parts may add up, though.
        let many = f64::from(ceil_log2(steps.len() as f64)) / 2.0;
        let rough = coarsest / (f64::from(2 * RATIO_BITS) + many).exp2();
        let counts = |(step, largest): (&f64, &f64)| (*largest > rough).then_some(*step);
        let needed = steps.iter().zip(largest).filter_map(counts);
        let finest = finest.max(needed.fold(rough, f64::min));
        let ratio = (coarsest / finest).log2() - many;
        // No finer than what one requantization can drop again.
        let bits = self.key_bits(Function::Relu) + MOST_DROPPED - 8;
        let used = ceil_log2(self.ranges.magnitude[node.output] / finest);
        let room = (bits as i32 - used as i32).max(0);
        let refine = (RATIO_BITS - ratio as i32).clamp(0, room);
        Some(finest / f64::from(refine).exp2())
    }

    pub(super) fn positive(
        &mut self,
        node: &FloatNode,
        input: TensorId,
    ) -> Result<TensorId, Error> {
        let range = self.read(input).range;
        let largest = range.max.unsigned_abs().max(range.min.unsigned_abs()) + 1;
        let bits = 64 - largest.leading_zeros();
        if bits > 60 {
            return Err(Error::Overflow {
                node: node.name.clone(),
                bits,
                most: 60,
            });
        }
        let output = self.tensor(node.output, 1.0, Interval::new(0, 1));
        self.emit(&node.name, Op::Positive { bits }, input, output);
        Ok(output)
    }

    /// Whether a tensor becomes a term of a sum of activations, seen through views and what keeps a step as it is: then its step is a
    /// power of two, so that the terms have a common one without any error.
    pub(super) fn is_term(&self, float: usize) -> bool {
        self.model.readers(float).any(|reader| match reader.op {
            FloatOp::Affine { .. } => {
                let varies = |t: &&usize| self.constant_values(**t).is_none();
                let terms: BTreeSet<&usize> = reader.inputs.iter().filter(varies).collect();
                terms.len() > 1 || self.is_term(reader.output)
            }
            FloatOp::Function(Function::Relu, _)
            | FloatOp::MaxPool(_)
            | FloatOp::Reshape
            | FloatOp::Transpose(_) => self.is_term(reader.output),
            _ => false,
        })
    }

    /// The step of a tensor that [is a term](Self::is_term): the next power of two; of others as it is.
    pub(super) fn term_step(&self, float: usize, step: f64) -> f64 {
        match self.is_term(float) {
            true => step.log2().ceil().exp2(),
            false => step,
        }
    }
}

/// Refuses a sum of terms whose steps lie further apart than a factor can say.
pub(super) fn steps_are_near(node: &str, pieces: &[Piece]) -> Result<(), Error> {
    let largest = pieces.iter().map(|p| p.scale.unsigned_abs()).max();
    let bits = u64::BITS - largest.unwrap_or(0).leading_zeros();
    if bits <= STEP_BITS {
        return Ok(());
    }
    Err(Error::Steps {
        node: node.into(),
        bits,
        most: STEP_BITS,
    })
}
