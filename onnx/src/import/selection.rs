//! Bits that say which: one-hot encodings; the largest values of a row.

use zkernel_gadgets::model::{Along, Function, Piece};

use super::attributes::int;
use super::parts::{Outcome, Parts, whole};
use crate::Error;
use crate::model::FloatOp;

/// Most positions of a one-hot encoding: each is a few views of one sum.
pub(super) const MAX_DEPTH: usize = 1 << 11;

impl Parts<'_, '_> {
    /// `off + (on - off) [x = d]` along a new axis; a negative x counts from the end, and one beyond either end has no bit.
    pub(super) fn one_hot(&mut self) -> Result<Outcome, Error> {
        let mut numbers = self.operand(0)?;
        let depth = self.import.integers(&self.node.input[1])?;
        let values = self.import.constant(&self.node.input[2])?.values;
        let (&[depth], &[off, on]) = (depth.as_slice(), values.as_slice()) else {
            return Ok(Err("its depth or its values are not constants".into()));
        };
        let Some(depth) = usize::try_from(depth)
            .ok()
            .filter(|d| (1..=MAX_DEPTH).contains(d))
        else {
            return Ok(Err(format!("its depth is not 1 to {MAX_DEPTH}")));
        };
        let positions = self.positions_below(numbers);
        if positions.is_none() && self.import.is_float(&self.node.input[0])? {
            let shape = self.shape(numbers);
            let whole = FloatOp::Function(Function::Trunc, [1.0, 0.0]);
            numbers = self.part(whole, vec![numbers], shape);
        }
        let bits = match positions {
            Some(count) if count <= depth => self.one_hot_of(numbers, depth),
            Some(_) => self.bits(numbers, (0, depth as i64), depth),
            None => self.bits(numbers, (-1 - depth as i64, depth as i64), depth),
        };
        let (off, on) = (f64::from(off), f64::from(on));
        let chosen = self.scaled(bits, on - off, off);
        let rank = self.shape(chosen).len();
        let axis = self.axis(-1, rank);
        let mut order: Vec<usize> = (0..rank - 1).collect();
        order.insert(axis, rank - 1);
        let y = self.transpose(chosen, order);
        self.finish_as(0, y)
    }

    /// So many positions, if the tensor holds positions of maxima or of largest values.
    pub(super) fn positions_below(&self, id: usize) -> Option<usize> {
        let node = self.build.nodes.iter().find(|node| node.output == id)?;
        let last = || self.shape(node.inputs[0]).last().copied();
        match &node.op {
            FloatOp::ArgMax | FloatOp::TopK { values: false, .. } => last(),
            FloatOp::Reshape | FloatOp::Transpose(_) => self.positions_below(node.inputs[0]),
            _ => None,
        }
    }

    /// One-hot encodings of known positions `0..depth`, along a new last axis; one comparison for each position but the last.
    pub(super) fn one_hot_of(&mut self, numbers: usize, depth: usize) -> usize {
        self.bits(numbers, (0, depth as i64 - 1), depth)
    }

    /// Bits `[x = d]` along a new last axis, by the steps `[x > d]`: each is the step before it less its own. What lies below the
    /// first counts as the first and what lies above the last as the last; bits beyond `-depth..depth` are dropped.
    fn bits(&mut self, numbers: usize, (first, last): (i64, i64), depth: usize) -> usize {
        let own = self.shape(numbers);
        let rank = own.len();
        let shape = [&own[..], &[depth]].concat();
        let numbers = self.part(FloatOp::Reshape, vec![numbers], [&own[..], &[1]].concat());
        if last == first {
            let ones = whole(&[(0.0, 0)], 1.0, &[&shape], &shape);
            return self.part(ones, vec![numbers], shape);
        }
        let thresholds: Vec<f32> = (first..last).map(|d| d as f32).collect();
        let count = thresholds.len();
        let thresholds = self.constant(vec![count], thresholds);
        let steps = [&own[..], &[count]].concat();
        let above = self.difference([numbers, thresholds], [1.0, -1.0], 0.0, &steps);
        let above = self.part(FloatOp::Positive, vec![above], steps);
        let below = self.span(above, rank, (0, 1));
        let below = self.scaled(below, -1.0, 1.0);
        let place = |d: i64| match d {
            d if d >= 0 => usize::try_from(d).ok().filter(|d| *d < depth),
            d => usize::try_from(d + depth as i64).ok(),
        };
        let lead = own
            .iter()
            .enumerate()
            .map(|(axis, len)| Along::whole(*len, axis));
        let lead: Vec<Along> = lead.collect();
        let piece = |input: usize, from: i64, to: i64, factor: f64| {
            let at = Along {
                first: place(to)?,
                source: Some((rank, from as usize, 1)),
                ..Along::repeated(1)
            };
            let axes = [&lead[..], &[at]].concat();
            let scale = 1;
            Some((factor, Piece { input, scale, axes }))
        };
        let before = (first + 1..=last).map(|d| piece(0, d - 1 - first, d, 1.0));
        let own_step = (first + 1..last).map(|d| piece(0, d - first, d, -1.0));
        let pieces = before.chain(own_step).chain([piece(1, 0, first, 1.0)]);
        let op = FloatOp::Affine {
            pieces: pieces.flatten().collect(),
            constant: 0.0,
        };
        self.part(op, vec![above, below], shape)
    }

    /// The k largest or smallest along an axis, and where they are, in order, equal ones by position.
    pub(super) fn top_k(&mut self) -> Result<Outcome, Error> {
        let x = self.operand(0)?;
        let shape = self.shape(x);
        let axis = self.axis(-1, shape.len());
        let k = match self.numbers(1, "k")?.as_deref() {
            Some([k]) => *k,
            _ => int(self.node, "k", 0),
        };
        let Some(k) = usize::try_from(k)
            .ok()
            .filter(|k| (1..=shape[axis]).contains(k))
        else {
            return Ok(Err(format!(
                "k is not 1 to {}, what its axis has",
                shape[axis]
            )));
        };
        let largest = int(self.node, "largest", 1) != 0;
        let order = Self::to_last(axis, shape.len());
        let mut back = vec![0; shape.len()];
        for (to, from) in order.iter().enumerate() {
            back[*from] = to;
        }
        let last = axis + 1 == shape.len();
        let x = if last { x } else { self.transpose(x, order) };
        for (output, values) in [(0, true), (1, false)] {
            if self.node.output.get(output).is_none_or(String::is_empty) {
                continue;
            }
            let mut chosen = self.shape(x);
            chosen[shape.len() - 1] = k;
            let op = FloatOp::TopK { k, largest, values };
            let mut y = self.part(op, vec![x], chosen);
            if !last {
                y = self.transpose(y, back.clone());
            }
            if let Err(problem) = self.finish_as(output, y)? {
                return Ok(Err(problem));
            }
        }
        Ok(Ok(()))
    }
}
