//! What a row is ranked by: positions of its largest or smallest values are those of anything that increases with them, before roots and
//! without what all values share, where fewer digits are lost.

use zkernel_gadgets::model::{Function, Piece};

use super::Build;
use crate::model::{FloatNode, FloatOp};

/// Most values that the terms of a sum are compared over.
const MOST_READS: usize = 1 << 20;
/// Between the length of a row and half of its weights, as floats go.
const CLOSE: f64 = 1e-3;

impl Build {
    /// Positions of extremes of a single row are found in what the row comes from.
    pub(super) fn rank_by_source(&mut self) {
        let mut index = 0;
        while index < self.nodes.len() {
            if let Some(source) = self.ranked_by(index) {
                let input = self.nodes[index].inputs[0];
                let shape = self.tensors[input].shape.clone();
                let output = &self.tensors[self.nodes[index].output].name;
                let view = self.tensor(&format!("{output} by rank"), shape);
                let node = FloatNode {
                    name: self.nodes[index].name.clone(),
                    op: FloatOp::Reshape,
                    inputs: vec![source],
                    output: view,
                };
                self.nodes[index].inputs[0] = view;
                self.nodes.insert(index, node);
                index += 1;
            }
            index += 1;
        }
    }

    fn ranked_by(&self, index: usize) -> Option<usize> {
        let node = &self.nodes[index];
        let positions = matches!(
            node.op,
            FloatOp::ArgMax | FloatOp::TopK { values: false, .. }
        );
        let input = *node.inputs.first().filter(|_| positions)?;
        let count = self.tensors[input].len();
        if self.tensors[input].shape.last() != Some(&count) {
            return None;
        }
        let (mut source, mut gained) = (input, false);
        while let Some((before, gains)) = self.in_order_before(source, count) {
            (source, gained) = (before, gained || gains);
        }
        gained.then_some(source)
    }

    /// A tensor in the same order as one of a single row of so many values, and whether it is more than a view.
    fn in_order_before(&self, tensor: usize, count: usize) -> Option<(usize, bool)> {
        let node = self.writer(tensor)?;
        let x = *node.inputs.first()?;
        match &node.op {
            FloatOp::Reshape => Some((x, false)),
            // With one axis longer than 1 there is one order.
            FloatOp::Transpose(_) => {
                let long = self.tensors[x].shape.iter().filter(|len| **len > 1);
                (long.count() < 2).then_some((x, false))
            }
            FloatOp::Function(Function::Sqrt, _) => Some((x, true)),
            FloatOp::Function(Function::Relu, _) if self.is_square(x, count) => Some((x, true)),
            FloatOp::Affine { pieces, .. } => {
                let varying = self.varying(node, pieces, count)?;
                Some((node.inputs[varying], pieces.len() > 1))
            }
            _ => None,
        }
    }

    /// The input of a sum that alone differs between its values, if each of those reads its own, times a positive factor.
    fn varying(&self, node: &FloatNode, pieces: &[(f64, Piece)], count: usize) -> Option<usize> {
        let shape = &self.tensors[node.output].shape;
        let mut varying = None;
        for (factor, piece) in pieces {
            let own = &self.tensors[node.inputs[piece.input]].shape;
            if own.iter().product::<usize>().saturating_mul(count) > MOST_READS {
                return None;
            }
            let mut read = vec![Vec::new(); count];
            for (to, from) in piece.reads(shape, own) {
                read[to].push(from);
            }
            if !read[0].is_empty() && read.iter().all(|froms| *froms == read[0]) {
                continue;
            }
            let itself = read.iter().enumerate().all(|(i, froms)| *froms == [i]);
            let fits = itself && *factor > 0.0 && own.iter().product::<usize>() == count;
            if !fits || varying.is_some() {
                return None;
            }
            varying = Some(piece.input);
        }
        varying
    }

    /// Whether a tensor is `|a|^2 + w_i a + |w_i|^2 / 4 = |a + w_i / 2|^2`, which is never negative.
    fn is_square(&self, tensor: usize, count: usize) -> bool {
        let found = || {
            let node = self.writer(tensor)?;
            let FloatOp::Affine { pieces, constant } = &node.op else {
                return None;
            };
            let varying = self.varying(node, pieces, count)?;
            let layer = self.writer(node.inputs[varying])?;
            let FloatOp::Dense {
                cols,
                weights,
                bias,
                ..
            } = &layer.op
            else {
                return None;
            };
            let [(first, _), (second, other)] = pieces.as_slice() else {
                return None;
            };
            let other = match other.input == varying {
                true => &pieces[0].1,
                false => other,
            };
            let (squares, a) = (node.inputs[other.input], layer.inputs[0]);
            let summed = self.is_sum_of_squares(squares, a);
            let length = |(w, b): (&[f32], &f32)| {
                let length: f64 = w.iter().map(|w| f64::from(*w).powi(2)).sum();
                (length / 4.0 - f64::from(*b)).abs() <= CLOSE * f64::from(b.abs()).max(1e-9)
            };
            let bias = bias.as_ref()?;
            let lengths = weights.chunks(*cols).zip(bias).all(length);
            (*constant == 0.0 && *first == 1.0 && *second == 1.0 && summed && lengths).then_some(())
        };
        found().is_some()
    }

    /// Whether a tensor is made of nothing but the squares of another, seen through views and sums.
    fn is_sum_of_squares(&self, tensor: usize, of: usize) -> bool {
        let Some(node) = self.writer(tensor) else {
            return false;
        };
        match &node.op {
            FloatOp::Product => node.inputs == [of, of],
            FloatOp::Reshape => self.is_sum_of_squares(node.inputs[0], of),
            FloatOp::Affine { pieces, constant } => {
                let [(factor, _)] = pieces.as_slice() else {
                    return false;
                };
                *factor == 1.0 && *constant == 0.0 && self.is_sum_of_squares(node.inputs[0], of)
            }
            _ => false,
        }
    }
}
