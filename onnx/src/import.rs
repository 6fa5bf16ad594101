//! From an ONNX file to the float network.
//!
//! tract decodes the file, infers shapes and folds constants, before any optimisation, so that node names survive; the
//! operators are read from the file's own nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use tract_onnx::pb;
use tract_onnx::prelude::{Datum, Framework, InferenceFact, InferenceModelExt, OutletId};
use tract_onnx::tract_hir::infer::InferenceModel;

use crate::Error;
use crate::model::Model;
use crate::samples::read_capped;

mod build;
mod check;

use build::Import;
use check::{check, is_onnx, product, unsupported};

/// Bounds on what is read from a file that nobody vouches for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Values of one tensor.
    pub tensor_values: u64,
    /// Nodes of the graph.
    pub nodes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file_bytes: 1 << 30,
            tensor_values: 1 << 27,
            nodes: 100_000,
        }
    }
}

impl Model {
    /// Reads an ONNX file with the default [`Limits`].
    ///
    /// # Errors
    /// [`Error::File`], and as [`Model::from_bytes`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        let limits = Limits::default();
        Self::from_bytes(&read_capped(path.as_ref(), limits.file_bytes)?, &limits)
    }

    /// Reads an ONNX model from memory. The first dimension of an input counts samples: where it is symbolic, it is 1.
    ///
    /// # Errors
    /// [`Error::Unsupported`] lists every operator that is not built; [`Error::Malformed`], [`Error::TooLarge`],
    /// [`Error::ExternalData`], [`Error::Dynamic`] otherwise. Bytes that make tract panic are [`Error::Malformed`].
    pub fn from_bytes(bytes: &[u8], limits: &Limits) -> Result<Self, Error> {
        cap("model (bytes)", bytes.len() as u64, limits.file_bytes)?;
        catch_unwind(AssertUnwindSafe(|| read(bytes, limits)))
            .unwrap_or_else(|_| Err(Error::Malformed("the decoder gave up on it".into())))
    }
}

fn malformed(problem: impl std::fmt::Display) -> Error {
    Error::Malformed(format!("{problem:#}"))
}

fn cap(what: &str, found: u64, limit: u64) -> Result<(), Error> {
    if found <= limit {
        return Ok(());
    }
    Err(Error::TooLarge {
        what: what.into(),
        found,
        limit,
    })
}

fn read(bytes: &[u8], limits: &Limits) -> Result<Model, Error> {
    let onnx = tract_onnx::onnx()
        .with_ignore_output_shapes(true)
        .with_ignore_output_types(true)
        .with_ignore_value_info(true);
    let mut reader = bytes;
    let proto = onnx.proto_model_for_read(&mut reader).map_err(malformed)?;
    let graph = proto.graph.as_ref().ok_or_else(|| malformed("no graph"))?;
    if !proto.opset_import.iter().any(|set| is_onnx(&set.domain)) {
        return Err(malformed(
            "it does not say which version of the operators it means",
        ));
    }
    check(graph, limits)?;
    let unsupported = unsupported(graph);
    if !unsupported.is_empty() {
        return Err(Error::Unsupported(unsupported));
    }
    let parsed = onnx.parse(&proto, None).map_err(malformed)?;
    if !parsed.unresolved_inputs.is_empty() {
        return Err(malformed(format!(
            "undefined tensors {:?}",
            parsed.unresolved_inputs
        )));
    }
    let mut inference = parsed.model;
    fix_inputs(&mut inference, graph, limits)?;
    inference.analyse(false).map_err(malformed)?;
    let names: BTreeMap<String, OutletId> = parsed.outlets_by_name.into_iter().collect();
    Import {
        graph,
        inference,
        names,
    }
    .model()
}

/// Batch 1, `f32`, every other dimension known.
fn fix_inputs(
    inference: &mut InferenceModel,
    graph: &pb::GraphProto,
    limits: &Limits,
) -> Result<(), Error> {
    let initial: BTreeSet<&str> = graph.initializer.iter().map(|t| &*t.name).collect();
    let real = graph.input.iter().filter(|i| !initial.contains(&*i.name));
    for (index, input) in real.enumerate() {
        let shape = input_shape(input)?;
        let dims: Vec<i64> = shape.iter().map(|&d| d as i64).collect();
        cap(&input.name, product(&dims)?, limits.tensor_values)?;
        let fact = InferenceFact::dt_shape(f32::datum_type(), &*shape);
        inference.set_input_fact(index, fact).map_err(malformed)?;
    }
    Ok(())
}

fn input_shape(input: &pb::ValueInfoProto) -> Result<Vec<usize>, Error> {
    use pb::tensor_shape_proto::dimension::Value;
    let kind = input.r#type.as_ref().and_then(|t| t.value.as_ref());
    let Some(pb::type_proto::Value::TensorType(kind)) = kind else {
        return Err(malformed(format!(
            "input `{}` has no tensor type",
            input.name
        )));
    };
    // 1 is FLOAT in the ONNX specification.
    if kind.elem_type != 1 {
        return Err(malformed(format!("input `{}` is not float32", input.name)));
    }
    let dims = kind
        .shape
        .as_ref()
        .map(|s| s.dim.as_slice())
        .unwrap_or_default();
    dims.iter()
        .enumerate()
        .map(|(axis, dim)| match dim.value {
            Some(Value::DimValue(d)) if d > 0 => Ok(d as usize),
            _ if axis == 0 => Ok(1),
            _ => Err(Error::Dynamic {
                tensor: input.name.clone(),
                axis,
            }),
        })
        .collect()
}
