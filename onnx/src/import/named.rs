//! Errors of the decoder, brought home to the node that they are about.

use tract_onnx::pb;

use super::staged::Gone;
use super::supported::{display_name, refuse};
use crate::Error;

/// What an error of the decoder says of a graph: which node it refuses, if it names one or the graph has but one.
pub(super) fn named(graph: &pb::GraphProto, error: Error) -> Error {
    let Error::Malformed(problem) = &error else {
        return error;
    };
    let is_named = |node: &&pb::NodeProto| {
        let built = format!("Building node {} ({})", node.name, node.op_type);
        let quoted = |name: &str| {
            problem.contains(&format!("\"{name}\"")) || problem.contains(&format!("`{name}`"))
        };
        problem.contains(&built)
            || quoted(&display_name(node))
            || node.output.iter().any(|name| quoted(name))
    };
    let only = match graph.node.as_slice() {
        [only] => Some(only),
        _ => None,
    };
    match graph.node.iter().find(is_named).or(only) {
        Some(node) => Error::Unsupported(vec![refuse(node, problem.clone())]),
        None => error,
    }
}

/// Refusals of nodes that stand in the place of one of the file: that one is named.
pub(super) fn as_in_file(error: Error, gone: &Gone) -> Error {
    let Error::Unsupported(mut nodes) = error else {
        return error;
    };
    for node in &mut nodes {
        if let Some((name, op)) = gone.get(&node.node) {
            (node.node, node.op) = (name.clone(), op.clone());
        }
    }
    Error::Unsupported(nodes)
}
