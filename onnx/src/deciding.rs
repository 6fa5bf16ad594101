//! The network that decides as another does: for a class alone, final functions that keep the order of scores need no proof.

use zkernel_gadgets::model::{Along, Function, Piece};

use crate::Model;
use crate::model::{FloatNode, FloatOp};

impl Model {
    /// The network with that output (the only one, if not named) as its only output, and without the final functions that keep the order
    /// along its last axis: softmax, log-softmax, sigmoid and others that increase strictly. `y_i < y_j` exactly if `x_i < x_j` for
    /// their inputs x, so the index of the first maximum is that of the scores x, as real numbers; floats may round probabilities to
    /// ties that their scores do not have. `None` if there is nothing to leave out, or no such output.
    #[must_use]
    pub fn deciding(&self, output: Option<&str>) -> Option<Self> {
        let named = |t: &&usize| output.is_none_or(|name| self.tensors[**t].name == name);
        let mut found = self.outputs.iter().filter(named);
        let (Some(&output), None) = (found.next(), found.next()) else {
            return None;
        };
        let mut model = self.clone();
        let writer = model.nodes.iter_mut().find(|n| n.output == output);
        match writer {
            Some(node) if node.op == FloatOp::ArgMax => {
                node.inputs = vec![self.scores(node.inputs[0])?];
                model.outputs = vec![output];
            }
            _ => model.outputs = vec![self.scores(output)?],
        }
        model.keep_needed();
        Some(model)
    }

    /// What a tensor has the order of along the last axis: the input of the first of the strictly increasing functions it ends in.
    fn scores(&self, tensor: usize) -> Option<usize> {
        let (mut here, mut scores) = (tensor, None);
        while let Some(node) = self.nodes.iter().find(|n| n.output == here) {
            let increases = match node.op {
                FloatOp::Softmax => true,
                FloatOp::Affine { .. } => self.shifts_rows(node),
                FloatOp::Function(f, _) => self.increases(f, node),
                _ => false,
            };
            if !increases && !self.keeps_rows(node) {
                break;
            }
            here = node.inputs[0];
            if increases {
                scores = Some(here);
            }
        }
        scores
    }

    /// Whether a function increases strictly wherever it is applied: a logarithm, of probabilities.
    fn increases(&self, function: Function, node: &FloatNode) -> bool {
        let mut writers = self.nodes.iter();
        let writer = writers.find(|n| n.output == node.inputs[0]);
        match function {
            Function::Sigmoid
            | Function::Tanh
            | Function::Exp
            | Function::Softplus
            | Function::Softsign
            | Function::Erf
            | Function::Atan => true,
            Function::Log => writer.is_some_and(|n| n.op == FloatOp::Softmax),
            _ => false,
        }
    }

    /// Whether to every row something is added that is the same for all of it: a log-softmax is `x - log(sum exp x)`.
    fn shifts_rows(&self, node: &FloatNode) -> bool {
        let FloatOp::Affine { pieces, .. } = &node.op else {
            return false;
        };
        let [(factor, own), others @ ..] = pieces.as_slice() else {
            return false;
        };
        let shape = &self.tensors[node.output].shape;
        let input = node.inputs.first().map(|id| &self.tensors[*id].shape);
        let whole = input == Some(shape) && *own == Piece::broadcast(0, 1, shape, shape);
        let length = shape.last().copied().unwrap_or(1);
        let same = |along: &Along| (along.source, along.first, along.len) == (None, 0, length);
        let added = |(_, piece): &(f64, Piece)| piece.axes.last().is_some_and(same);
        *factor > 0.0 && whole && !others.is_empty() && others.iter().all(added)
    }

    /// Whether the rows along the last axis stay what they are.
    fn keeps_rows(&self, node: &FloatNode) -> bool {
        let last = |t: usize| self.tensors[t].shape.last();
        match &node.op {
            FloatOp::Reshape => last(node.inputs[0]) == last(node.output),
            FloatOp::Transpose(axes) => axes.iter().copied().eq(0..axes.len()),
            _ => false,
        }
    }

    /// Drops the nodes that no output needs.
    fn keep_needed(&mut self) {
        let mut needed = self.outputs.clone();
        let mut kept: Vec<FloatNode> = Vec::new();
        for node in std::mem::take(&mut self.nodes).into_iter().rev() {
            if needed.contains(&node.output) {
                needed.extend(&node.inputs);
                kept.push(node);
            }
        }
        kept.reverse();
        self.nodes = kept;
    }
}
