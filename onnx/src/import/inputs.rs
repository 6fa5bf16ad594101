//! Inputs of the network: their types and shapes.

use std::collections::BTreeSet;

use tract_onnx::pb;
use tract_onnx::pb::tensor_proto::DataType as DataKind;
use tract_onnx::prelude::{DatumType, InferenceFact};
use tract_onnx::tract_hir::infer::InferenceModel;

use super::check::product;
use super::supported::refuse;
use super::{Limits, cap, malformed};
use crate::model::Values;
use crate::{Error, UnsupportedNode};

/// The inputs of a graph that are no constants.
pub(super) fn real(graph: &pb::GraphProto) -> Vec<&pb::ValueInfoProto> {
    let initial: BTreeSet<&str> = graph.initializer.iter().map(|t| &*t.name).collect();
    let inputs = graph.input.iter();
    inputs.filter(|i| !initial.contains(&*i.name)).collect()
}

/// The number of the element type of a tensor in the ONNX specification; `None` for what is no tensor.
pub(super) fn element_type(value: &pb::ValueInfoProto) -> Option<i32> {
    tensor(value).ok().map(|tensor| tensor.elem_type)
}

/// Declares another element type.
pub(super) fn set_element_type(value: &mut pb::ValueInfoProto, kind: DataKind) {
    let declared = value.r#type.as_mut().and_then(|t| t.value.as_mut());
    if let Some(pb::type_proto::Value::TensorType(tensor)) = declared {
        tensor.elem_type = kind as i32;
    }
}

/// The dimensions that a file gives a tensor, -1 where it does not.
pub(super) fn declared_shape(value: &pb::ValueInfoProto) -> Vec<i64> {
    use pb::tensor_shape_proto::dimension::Value;
    let shape = tensor(value).ok().and_then(|tensor| tensor.shape.as_ref());
    let dims = shape.iter().flat_map(|shape| &shape.dim);
    let size = |dim: &pb::tensor_shape_proto::Dimension| match dim.value {
        Some(Value::DimValue(size)) => size,
        _ => -1,
    };
    dims.map(size).collect()
}

/// Nodes that read inputs of a type or shape that is not read.
pub(super) fn refused(graph: &pb::GraphProto) -> Vec<UnsupportedNode> {
    let mut refused = Vec::new();
    for input in real(graph) {
        let Some(problem) = problem(input) else {
            continue;
        };
        let reads = |node: &&pb::NodeProto| node.input.contains(&input.name);
        let readers: Vec<_> = graph.node.iter().filter(reads).collect();
        // What nobody reads is the model's: its first node stands for it.
        let named = match readers.is_empty() {
            true => graph.node.iter().take(1).collect(),
            false => readers,
        };
        refused.extend(named.into_iter().map(|node| refuse(node, problem.clone())));
    }
    refused
}

fn problem(input: &pb::ValueInfoProto) -> Option<String> {
    use pb::tensor_shape_proto::dimension::Value;
    let name = &input.name;
    let kind = input.r#type.as_ref()?;
    let Some(pb::type_proto::Value::TensorType(tensor)) = &kind.value else {
        return Some(format!("input `{name}` is no tensor"));
    };
    if tensor.elem_type == DataKind::String as i32 {
        return Some(format!(
            "input `{name}` is of strings: give their numbers instead, an encoder before the model (OrdinalEncoder, OneHotEncoder) makes them"
        ));
    }
    if element(tensor.elem_type).is_none() {
        return Some(format!("input `{name}` is of a type that is not read"));
    }
    let dims = tensor.shape.iter().flat_map(|shape| &shape.dim);
    let empty = dims
        .into_iter()
        .any(|dim| dim.value == Some(Value::DimValue(0)));
    empty.then(|| format!("input `{name}` is empty"))
}

/// The numbers of elements in the ONNX specification, and what values they can have.
fn element(number: i32) -> Option<(DatumType, Values)> {
    let whole = |min: i64, max: i64| Values::Whole(Some([min, max]));
    Some(match number {
        1 => (DatumType::F32, Values::Real),
        2 => (DatumType::U8, whole(0, 255)),
        3 => (DatumType::I8, whole(-128, 127)),
        4 => (DatumType::U16, whole(0, 65_535)),
        5 => (DatumType::I16, whole(-32_768, 32_767)),
        6 => (DatumType::I32, Values::Whole(None)),
        7 => (DatumType::I64, Values::Whole(None)),
        9 => (DatumType::Bool, whole(0, 1)),
        10 => (DatumType::F16, Values::Real),
        11 => (DatumType::F64, Values::Real),
        12 => (DatumType::U32, Values::Whole(None)),
        13 => (DatumType::U64, Values::Whole(None)),
        _ => return None,
    })
}

/// Batch 1, every other dimension known. What values each input can have, in order.
pub(super) fn fix(
    inference: &mut InferenceModel,
    graph: &pb::GraphProto,
    limits: &Limits,
) -> Result<Vec<Values>, Error> {
    let mut kinds = Vec::new();
    for (index, input) in real(graph).into_iter().enumerate() {
        let shape = shape(input)?;
        let dims: Vec<i64> = shape.iter().map(|&d| d as i64).collect();
        cap(&input.name, product(&dims)?, limits.tensor_values)?;
        let tensor = tensor(input)?;
        let unread = || {
            malformed(format!(
                "input `{}` is of a type that is not read",
                input.name
            ))
        };
        let (datum, values) = element(tensor.elem_type).ok_or_else(unread)?;
        let fact = InferenceFact::dt_shape(datum, &*shape);
        inference.set_input_fact(index, fact).map_err(malformed)?;
        kinds.push(values);
    }
    Ok(kinds)
}

fn tensor(input: &pb::ValueInfoProto) -> Result<&pb::type_proto::Tensor, Error> {
    match input.r#type.as_ref().and_then(|t| t.value.as_ref()) {
        Some(pb::type_proto::Value::TensorType(tensor)) => Ok(tensor),
        _ => Err(malformed(format!(
            "input `{}` has no tensor type",
            input.name
        ))),
    }
}

fn shape(input: &pb::ValueInfoProto) -> Result<Vec<usize>, Error> {
    use pb::tensor_shape_proto::dimension::Value;
    let tensor = tensor(input)?;
    let dims = tensor.shape.iter().flat_map(|shape| &shape.dim);
    dims.enumerate()
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
