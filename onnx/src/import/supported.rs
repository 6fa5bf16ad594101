//! Which nodes can be translated, found without running anything, so that all of them are named at once.

use std::collections::BTreeSet;

use tract_onnx::pb;
use zkernel_gadgets::model::Function;

use super::attributes::{attribute, int};
use crate::UnsupportedNode;

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
        "Gemm" | "MatMul" | "Conv" if !(first && second && activations == 1) => {
            Some("only an activation times constant weights is built")
        }
        "BatchNormalization" if activations != 1 || fixed.len() != 5 => {
            Some("only constant statistics are built")
        }
        "Mul" | "Sub" | "Div" if activations != 1 || fixed.len() != 2 || !first => {
            Some("only an activation and a constant after it are built")
        }
        "Add" if fixed.len() != 2 => Some("two inputs are expected"),
        "Clip" | "ReduceMean" if activations != 1 => Some("its parameters must be constant"),
        "MaxPool" if node.output.len() > 1 => Some("indices are not built"),
        "Gelu" if attribute(node, "approximate").is_some_and(|a| a.s == b"tanh") => {
            Some("the tanh approximation is not built")
        }
        "Dropout" if fixed.get(2) == Some(&false) => Some("training mode is not built"),
        "ArgMax" if int(node, "select_last_index", 0) != 0 => {
            Some("select_last_index is not built")
        }
        "Gemm" | "MatMul" | "Conv" | "BatchNormalization" | "Add" | "Sub" | "Mul" | "Div"
        | "Clip" | "ArgMax" | "Flatten" | "Reshape" | "Squeeze" | "Unsqueeze" | "Identity"
        | "Dropout" | "Cast" | "Transpose" | "MaxPool" | "AveragePool" | "GlobalAveragePool"
        | "GlobalMaxPool" | "ReduceMean" => None,
        op if function(op).is_some() => None,
        _ => Some("operator not built"),
    }
}
