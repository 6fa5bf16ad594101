//! `CumSum` as the reference runs it: integers that it keeps as lengths of axes, which it cannot add up, are added as integers.

use tract_onnx::pb::NodeProto;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::array::CumSum;
use tract_onnx::tract_core::ops::cast::cast;
use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::ops::expandable::{Expansion, expand};

use super::attributes::int;

/// The operator before its axis is known.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
struct Running {
    exclusive: bool,
    reverse: bool,
}

/// Puts the operator into a decoder.
pub(super) fn register(decoder: &mut tract_onnx::Onnx) {
    decoder
        .op_register
        .insert("CumSum", |_, node| Ok((read(node), vec![])));
}

fn read(node: &NodeProto) -> Box<dyn InferenceOp> {
    expand(Running {
        exclusive: int(node, "exclusive", 0) != 0,
        reverse: int(node, "reverse", 0) != 0,
    })
}

impl Expansion for Running {
    fn name(&self) -> StaticName {
        "CumSum".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 2)?;
        check_output_arity(outputs, 1)?;
        solver.equals(&inputs[0].datum_type, &outputs[0].datum_type)?;
        solver.equals(&inputs[0].shape, &outputs[0].shape)
    }

    fn wire(
        &self,
        prefix: &str,
        model: &mut TypedModel,
        inputs: &[OutletId],
    ) -> TractResult<TVec<OutletId>> {
        let axis = model.outlet_fact(inputs[1])?.konst.clone();
        let axis = axis.context("an axis that is no constant")?;
        let axis = axis.cast_to::<i64>()?;
        let first = axis.to_plain_array_view::<i64>()?.first().copied();
        let fact = model.outlet_fact(inputs[0])?;
        let (rank, lengths) = (
            fact.rank().max(1) as i64,
            fact.datum_type == TDim::datum_type(),
        );
        let sum = CumSum {
            axis: first.context("no axis")?.rem_euclid(rank) as usize,
            exclusive: self.exclusive,
            reverse: self.reverse,
        };
        if !lengths {
            return model.wire_node(prefix, sum, &inputs[..1]);
        }
        let numbers = cast(i64::datum_type());
        let wire = model.wire_node(format!("{prefix}.integers"), numbers, &inputs[..1])?;
        let wire = model.wire_node(format!("{prefix}.sums"), sum, &wire)?;
        model.wire_node(prefix, cast(TDim::datum_type()), &wire)
    }
}
