//! Sums of strided views, and weights as tensors: representations change, no cell is added.

use ff::PrimeField;
use zkernel_verifier::form::Source;

use super::wiring::{Representation, Span, Term, strides};
use super::{LowerError, Lowering, MAX_SCALE};
use crate::model::graph::{Along, Piece, WeightId};

impl<F: PrimeField> Lowering<'_, F> {
    pub(super) fn affine(
        &mut self,
        node: usize,
        pieces: &[Piece],
        constant: i64,
    ) -> Result<(), LowerError> {
        let shape = self.output_shape(node);
        let mut sum = Representation::constant(constant, &shape);
        for piece in pieces {
            let input = self.graph.nodes[node].inputs[piece.input];
            let viewed = self.materialized(input)?.viewed(piece, &shape);
            self.spend(node, viewed.terms.len())?;
            let scaled = viewed.scaled(piece.scale, MAX_SCALE);
            let large = || self.unsupported(node, "its factors reach beyond 60 bits");
            sum = sum.plus(scaled.ok_or_else(large)?);
        }
        self.represent(self.graph.nodes[node].output, &sum)
    }

    pub(super) fn constant(&mut self, node: usize, weights: WeightId) -> Result<(), LowerError> {
        let no_place = || self.unsupported(node, "its weights have no place");
        let place = self.place(weights).ok_or_else(no_place)?;
        let weight = &self.graph.weights[weights.0 as usize];
        let rows = [weight.rows, weight.cols];
        let mut cells = Representation::of(Source::Track(place.track), place.start, &rows);
        for term in &mut cells.terms {
            let along = strides(&[weight.rows, place.stride.max(1)]);
            let spans = term.spans.iter_mut().zip(along);
            spans.for_each(|(span, stride)| span.stride = stride);
        }
        let shape = self.output_shape(node);
        let known = cells.reshaped(&shape);
        let known = match known {
            Some(known) => known,
            None => self.copied(node, &cells, &shape)?,
        };
        self.represent(self.graph.nodes[node].output, &known)
    }
}

impl Representation {
    /// The values that a piece reads of this tensor, zero where it reads nothing.
    pub(super) fn viewed(&self, piece: &Piece, shape: &[usize]) -> Self {
        let terms = self.terms.iter().filter_map(|term| view(term, piece));
        Self {
            shape: shape.to_vec(),
            terms: terms.collect(),
        }
    }
}

/// What a piece reads of a term; `None` if nothing.
fn view(term: &Term, piece: &Piece) -> Option<Term> {
    let mut out = Term {
        spans: Vec::with_capacity(piece.axes.len()),
        ..term.clone()
    };
    let mut read = vec![false; term.spans.len()];
    for along in &piece.axes {
        let Some((axis, from, stride)) = along.source else {
            out.spans.push(span(along, 0, 1, along.len, 0));
            continue;
        };
        read[axis] = true;
        let (seen, start) = meet(along, &term.spans[axis], from, stride)?;
        out.start += start;
        out.spans.push(seen);
    }
    for (span, _) in term.spans.iter().zip(read).filter(|(_, read)| !read) {
        out.sums.push((span.len, span.stride));
    }
    Some(out)
}

/// Output elements `first + j step` for j = `begin`, `begin + period`, .., `len` of them.
const fn span(along: &Along, begin: usize, period: usize, len: usize, stride: usize) -> Span {
    Span {
        first: along.first + begin * along.step,
        len,
        step: if len == 1 { 1 } else { along.step * period },
        stride,
    }
}

/// The outputs along an axis whose input `from + j stride` is an element of the term's span, and the position of the first.
fn meet(along: &Along, term: &Span, from: usize, stride: usize) -> Option<(Span, usize)> {
    let element = |j: usize| {
        let ahead = (from + j * stride).checked_sub(term.first)?;
        let index = ahead / term.step;
        (ahead % term.step == 0 && index < term.len).then_some(index)
    };
    let mut hits = (0..along.len).filter_map(|j| Some((j, element(j)?)));
    let ((begin, index), second) = (hits.next()?, hits.next());
    let (period, distance) = second.map_or((1, 0), |(next, other)| (next - begin, other - index));
    let len = 1 + usize::from(second.is_some()) + hits.count();
    let seen = span(along, begin, period, len, distance * term.stride);
    Some((seen, index * term.stride))
}
