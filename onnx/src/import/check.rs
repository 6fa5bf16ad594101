//! What a file says before anything is built from it: sizes, names, and every operator that is not translated.

use std::collections::BTreeSet;

use tract_onnx::pb;
use zkernel_gadgets::model::Function;

use super::{Limits, cap, malformed};
use crate::{Error, UnsupportedNode};

/// Operators whose result is a constant when their inputs are; none of them makes a larger tensor.
const FOLDED: [&str; 8] = [
    "Constant",
    "Identity",
    "Transpose",
    "Reshape",
    "Squeeze",
    "Unsqueeze",
    "Flatten",
    "Cast",
];

/// Sizes, external data and names, before anything is built from them.
pub(super) fn check(graph: &pb::GraphProto, limits: &Limits) -> Result<(), Error> {
    cap("number of nodes", graph.node.len() as u64, limits.nodes)?;
    let attributes = graph.node.iter().flat_map(|n| &n.attribute);
    let nested = |a: &pb::AttributeProto| {
        a.g.is_some()
            || a.sparse_tensor.is_some()
            || !(a.graphs.is_empty() && a.tensors.is_empty() && a.sparse_tensors.is_empty())
    };
    if attributes.clone().any(nested) || !graph.sparse_initializer.is_empty() {
        return Err(malformed("subgraphs and sparse tensors are not read"));
    }
    for tensor in graph
        .initializer
        .iter()
        .chain(attributes.filter_map(|a| a.t.as_ref()))
    {
        if tensor.data_location.unwrap_or(0) != 0 || !tensor.external_data.is_empty() {
            return Err(Error::ExternalData(tensor.name.clone()));
        }
        cap(&tensor.name, product(&tensor.dims)?, limits.tensor_values)?;
    }
    let mut known: BTreeSet<&str> = graph.initializer.iter().map(|t| &*t.name).collect();
    known.extend(graph.input.iter().map(|i| &*i.name));
    for node in &graph.node {
        if let Some(name) = node
            .input
            .iter()
            .find(|n| !n.is_empty() && !known.contains(&***n))
        {
            return Err(malformed(format!(
                "tensor `{name}` is read before it is written"
            )));
        }
        for name in node.output.iter().filter(|n| !n.is_empty()) {
            if !known.insert(name) {
                return Err(malformed(format!("tensor `{name}` is written twice")));
            }
        }
    }
    if graph.output.is_empty() || graph.output.iter().any(|o| !known.contains(&*o.name)) {
        return Err(malformed("an output is missing"));
    }
    Ok(())
}

pub(super) fn product(dims: &[i64]) -> Result<u64, Error> {
    dims.iter()
        .try_fold(1u64, |p, &d| {
            u64::try_from(d).ok().and_then(|d| p.checked_mul(d))
        })
        .ok_or_else(|| malformed(format!("impossible shape {dims:?}")))
}

pub(super) fn function(op: &str) -> Option<Function> {
    Some(match op {
        "Relu" => Function::Relu,
        "Sigmoid" => Function::Sigmoid,
        "Tanh" => Function::Tanh,
        "Erf" => Function::Erf,
        "Exp" => Function::Exp,
        "Softplus" => Function::Softplus,
        "Abs" => Function::Abs,
        "Gelu" => Function::Gelu,
        _ => return None,
    })
}

pub(super) fn display_name(node: &pb::NodeProto) -> String {
    if node.name.is_empty() {
        node.output.first().cloned().unwrap_or_default()
    } else {
        node.name.clone()
    }
}

pub(super) fn refuse(node: &pb::NodeProto, problem: impl Into<String>) -> UnsupportedNode {
    UnsupportedNode {
        node: display_name(node),
        op: node.op_type.clone(),
        problem: problem.into(),
    }
}

/// Every node that the importer cannot translate, found without running anything.
pub(super) fn unsupported(graph: &pb::GraphProto) -> Vec<UnsupportedNode> {
    let mut constant: BTreeSet<&str> = graph.initializer.iter().map(|t| &*t.name).collect();
    constant.insert("");
    let mut found = Vec::new();
    for node in &graph.node {
        let fixed: Vec<bool> = node.input.iter().map(|n| constant.contains(&**n)).collect();
        if FOLDED.contains(&&*node.op_type) && fixed.iter().all(|&f| f) {
            constant.extend(node.output.iter().map(|n| &**n));
        } else if let Some(problem) = problem(node, &fixed) {
            found.push(refuse(node, problem));
        }
    }
    found
}

/// Whether a domain is that of ONNX's own operators.
pub(super) fn is_onnx(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

/// Why a node cannot be translated, given which of its inputs are constants.
fn problem(node: &pb::NodeProto, fixed: &[bool]) -> Option<&'static str> {
    if !is_onnx(&node.domain) {
        return Some("operator of another domain");
    }
    let activations = fixed.iter().filter(|f| !**f).count();
    let (first, second) = (fixed.first() == Some(&false), fixed.get(1) == Some(&true));
    match &*node.op_type {
        "Gemm" if int(node, "transA", 0) != 0 => Some("transA is not built"),
        "Gemm" | "MatMul" if !(first && second && activations == 1) => {
            Some("only an activation times a constant matrix is built")
        }
        "Add" if activations != 1 || fixed.len() != 2 => Some("only a constant bias is built"),
        "Gelu" if attribute(node, "approximate").is_some_and(|a| a.s == b"tanh") => {
            Some("the tanh approximation is not built")
        }
        "Dropout" if fixed.get(2) == Some(&false) => Some("training mode is not built"),
        "ArgMax" if int(node, "select_last_index", 0) != 0 => {
            Some("select_last_index is not built")
        }
        "Gemm" | "MatMul" | "Add" | "ArgMax" | "Flatten" | "Reshape" | "Squeeze" | "Unsqueeze"
        | "Identity" | "Dropout" | "Cast" => None,
        op if function(op).is_some() => None,
        _ => Some("operator not built"),
    }
}

fn attribute<'a>(node: &'a pb::NodeProto, name: &str) -> Option<&'a pb::AttributeProto> {
    node.attribute.iter().find(|a| a.name == name)
}

pub(super) fn int(node: &pb::NodeProto, name: &str, default: i64) -> i64 {
    attribute(node, name).map_or(default, |a| a.i)
}

pub(super) fn float(node: &pb::NodeProto, name: &str) -> f32 {
    attribute(node, name).map_or(1.0, |a| a.f)
}
