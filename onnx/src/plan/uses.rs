//! Who reads a tensor, and so what its integers must be good for.

use zkernel_gadgets::model::Function;

use super::Plan;
use crate::model::FloatOp;

/// Who reads a tensor in the end, reshapes seen through.
#[derive(Clone, Copy, Default)]
pub(super) struct Uses {
    /// Multiplied by weights.
    pub(super) linear: bool,
    pub(super) function: Option<Function>,
    /// Max pooling with a table.
    pub(super) pool: bool,
    /// Part of a sum.
    pub(super) added: bool,
    /// Multiplied by activations.
    pub(super) factor: bool,
    /// Compared.
    pub(super) compared: bool,
    pub(super) argmax: bool,
    pub(super) output: bool,
}

impl Plan<'_> {
    pub(super) fn uses(&self, tensor: usize) -> Uses {
        let mut uses = Uses {
            output: self.model.outputs.contains(&tensor),
            ..Uses::default()
        };
        for reader in self.model.readers(tensor) {
            match reader.op {
                FloatOp::Dense { .. } | FloatOp::Conv(_) => uses.linear = true,
                FloatOp::Function(f, _) => uses.function = Some(f),
                FloatOp::MatMul
                | FloatOp::Product
                | FloatOp::Scale { .. }
                | FloatOp::Reciprocal
                | FloatOp::Softmax => uses.factor = true,
                FloatOp::Positive => uses.compared = true,
                FloatOp::Constant(_) | FloatOp::Gather { .. } | FloatOp::Round(_) => {}
                FloatOp::ArgMax | FloatOp::TopK { .. } => uses.argmax = true,
                FloatOp::MaxPool(_) => uses.pool = true,
                FloatOp::Affine { .. } => {
                    let next = self.uses(reader.output);
                    uses.compared |= next.compared;
                    uses.added = true;
                }
                FloatOp::Reshape | FloatOp::Transpose(_) | FloatOp::AveragePool(_) => {
                    let next = self.uses(reader.output);
                    uses.linear |= next.linear;
                    uses.argmax |= next.argmax;
                    uses.output |= next.output;
                    uses.pool |= next.pool;
                    uses.added |= next.added;
                    uses.factor |= next.factor;
                    uses.compared |= next.compared;
                    uses.function = uses.function.or(next.function);
                }
            }
        }
        uses
    }

    /// Whether a tensor chooses rows of a matrix, seen through views.
    pub(super) fn numbers_rows(&self, tensor: usize) -> bool {
        self.model.readers(tensor).any(|reader| match reader.op {
            FloatOp::Gather { .. } => true,
            FloatOp::Affine { .. } | FloatOp::Reshape | FloatOp::Transpose(_) => {
                self.numbers_rows(reader.output)
            }
            _ => false,
        })
    }
}
