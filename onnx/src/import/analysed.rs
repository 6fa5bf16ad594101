//! What the decoder infers of a graph before it is read: shapes, types, and the values of constants.

use tract_onnx::pb;
use tract_onnx::prelude::{DatumType, InferenceFact, InferenceModelExt};
use tract_onnx::tract_hir::infer::Factoid;

use super::{Analysed, Limits, folding, inputs, malformed};
use crate::Error;

/// Shapes, types and constants of a graph, in spite of nodes that do not fit if `obstinate`.
pub(super) fn analysed(
    onnx: &tract_onnx::Onnx,
    proto: &pb::ModelProto,
    graph: &pb::GraphProto,
    limits: &Limits,
    obstinate: bool,
) -> Result<Analysed, Error> {
    let parsed = onnx.parse(proto, None).map_err(malformed)?;
    if !parsed.unresolved_inputs.is_empty() {
        return Err(malformed(format!(
            "undefined tensors {:?}",
            parsed.unresolved_inputs
        )));
    }
    let mut inference = parsed.model;
    let kinds = inputs::fix(&mut inference, graph, limits)?;
    match inference.analyse(obstinate) {
        Err(_) if obstinate => {}
        outcome => {
            outcome.map_err(malformed)?;
        }
    }
    folding::fold(&mut inference, limits);
    Ok(Analysed {
        inference,
        names: parsed.outlets_by_name.into_iter().collect(),
        kinds,
    })
}

impl Analysed {
    pub(super) fn fact(&self, tensor: &str) -> Option<&InferenceFact> {
        self.inference.outlet_fact(*self.names.get(tensor)?).ok()
    }

    pub(super) fn shape(&self, tensor: &str) -> Option<Vec<usize>> {
        let shape = self.fact(tensor)?.shape.as_concrete_finite().ok()??;
        Some(shape.to_vec())
    }

    pub(super) fn integers(&self, tensor: &str) -> Option<Vec<i64>> {
        let value = self.fact(tensor)?.value.concretize()?;
        let cast = value.cast_to::<i64>().ok()?;
        Some(
            cast.to_plain_array_view::<i64>()
                .ok()?
                .iter()
                .copied()
                .collect(),
        )
    }

    pub(super) fn is_bool(&self, tensor: &str) -> Option<bool> {
        let kind = self.fact(tensor)?.datum_type.concretize()?;
        Some(kind == DatumType::Bool)
    }
}
