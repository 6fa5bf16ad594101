//! Sizes, names and where values are kept, before anything is built from a file.

use std::collections::BTreeSet;

use tract_onnx::pb;

use super::external::is_external;
use super::{Limits, cap, malformed};
use crate::Error;

/// Sizes, external data and names, before anything is built from them.
pub(super) fn check(graph: &pb::GraphProto, limits: &Limits) -> Result<(), Error> {
    cap("number of nodes", graph.node.len() as u64, limits.nodes)?;
    tensors(graph, limits)?;
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

/// Sizes of all constants, those of graphs within the graph too.
fn tensors(graph: &pb::GraphProto, limits: &Limits) -> Result<(), Error> {
    if !graph.sparse_initializer.is_empty() {
        return Err(malformed("sparse tensors are not read"));
    }
    let attributes = || graph.node.iter().flat_map(|n| &n.attribute);
    let given = attributes().flat_map(|a| a.t.iter().chain(&a.tensors));
    for tensor in graph.initializer.iter().chain(given) {
        if is_external(tensor) {
            return Err(Error::ExternalData(tensor.name.clone()));
        }
        cap(&tensor.name, product(&tensor.dims)?, limits.tensor_values)?;
    }
    let mut inner = attributes().flat_map(|a| a.g.iter().chain(&a.graphs));
    inner.try_for_each(|graph| tensors(graph, limits))
}

pub(super) fn product(dims: &[i64]) -> Result<u64, Error> {
    dims.iter()
        .try_fold(1u64, |p, &d| {
            u64::try_from(d).ok().and_then(|d| p.checked_mul(d))
        })
        .ok_or_else(|| malformed(format!("impossible shape {dims:?}")))
}
