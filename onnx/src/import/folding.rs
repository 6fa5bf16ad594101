//! Constants that constants make, of any size. The decoder folds those of few megabytes on its own: weights that a file transposes,
//! casts, dequantizes or fills are often larger.

use tract_onnx::prelude::{
    InferenceModelExt as _, IntoArcTensor as _, IntoTValue as _, OutletId, TValue, TVec,
};
use tract_onnx::tract_hir::infer::{Factoid as _, InferenceFact, InferenceModel};

use super::Limits;

/// Evaluates every node that reads constants alone, within the limits on a tensor and, for all of them, on the file.
pub(super) fn fold(inference: &mut InferenceModel, limits: &Limits) {
    let mut bytes = 0;
    let mut found = false;
    for node in inference.eval_order().unwrap_or_default() {
        let Some(values) = values(inference, node, limits) else {
            continue;
        };
        let sizes = values
            .iter()
            .map(|v| (v.len() * v.datum_type().size_of()) as u64);
        bytes += sizes.sum::<u64>();
        if bytes > limits.file_bytes {
            return;
        }
        for (slot, value) in values.into_iter().enumerate() {
            let Ok(fact) = InferenceFact::try_from(value.into_arc_tensor()) else {
                return;
            };
            found |= inference
                .set_outlet_fact(OutletId::new(node, slot), fact)
                .is_ok();
        }
    }
    if found {
        // What follows from the new constants; what does not is found missing where it is read.
        let _ = inference.analyse(true);
    }
}

/// The values of a node's outputs, if they are not known and those of its inputs are.
fn values(inference: &InferenceModel, node: usize, limits: &Limits) -> Option<TVec<TValue>> {
    let node = inference.nodes().get(node)?;
    let known = node
        .outputs
        .iter()
        .all(|out| out.fact.value.concretize().is_some());
    if known || node.inputs.is_empty() {
        return None;
    }
    let sizes = node.outputs.iter().map(|out| {
        let shape = out.fact.shape.as_concrete_finite().ok()??;
        let len = shape
            .iter()
            .try_fold(1u64, |n, d| n.checked_mul(*d as u64))?;
        Some(len <= limits.tensor_values)
    });
    if !sizes.into_iter().all(|fits| fits == Some(true)) {
        return None;
    }
    let input = |outlet: &OutletId| {
        let fact = inference.outlet_fact(*outlet).ok()?;
        Some(fact.value.concretize()?.into_tvalue())
    };
    let inputs: Option<TVec<TValue>> = node.inputs.iter().map(input).collect();
    node.op.eval_out_of_plan(inputs?).ok()?
}
