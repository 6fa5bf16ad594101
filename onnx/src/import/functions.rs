//! Functions of a model's own, as exporters write modules and operators that ONNX does not have: every call becomes the nodes of the
//! body.

use std::collections::BTreeMap;

use tract_onnx::pb::{FunctionProto, ModelProto, NodeProto};

use super::staged::rename_nodes;
use super::{Limits, cap, malformed};
use crate::Error;

/// Most calls within calls.
const MAX_DEPTH: usize = 32;

/// Writes the bodies of functions in the place of their calls.
///
/// # Errors
/// [`Error::Malformed`] for functions that call one another without end, [`Error::TooLarge`].
pub(super) fn inline(proto: &mut ModelProto, limits: &Limits) -> Result<(), Error> {
    let functions = std::mem::take(&mut proto.functions);
    let Some(graph) = proto.graph.as_mut().filter(|_| !functions.is_empty()) else {
        return Ok(());
    };
    for _ in 0..MAX_DEPTH {
        if !graph
            .node
            .iter()
            .any(|node| called(&functions, node).is_some())
        {
            for function in &functions {
                let known = |domain: &str| proto.opset_import.iter().any(|s| s.domain == domain);
                let new = function
                    .opset_import
                    .iter()
                    .filter(|set| !known(&set.domain));
                let new: Vec<_> = new.cloned().collect();
                proto.opset_import.extend(new);
            }
            return Ok(());
        }
        let mut nodes = Vec::with_capacity(graph.node.len());
        for (number, node) in std::mem::take(&mut graph.node).into_iter().enumerate() {
            match called(&functions, &node) {
                Some(function) => nodes.extend(body(function, &node, number)),
                None => nodes.push(node),
            }
            cap("number of nodes", nodes.len() as u64, limits.nodes)?;
        }
        graph.node = nodes;
    }
    Err(malformed("its functions call one another without end"))
}

fn called<'a>(functions: &'a [FunctionProto], node: &NodeProto) -> Option<&'a FunctionProto> {
    let same = |function: &&FunctionProto| {
        let domain = function.domain.as_deref().unwrap_or_default();
        function.name.as_deref() == Some(&*node.op_type) && domain == node.domain
    };
    functions.iter().find(same)
}

/// The body of a function for one call: its tensors take names of the call's, its attributes the call's values.
fn body(function: &FunctionProto, call: &NodeProto, number: usize) -> Vec<NodeProto> {
    let mut names = BTreeMap::new();
    let inner = function.node.iter().flat_map(|node| &node.output);
    for name in inner.filter(|name| !name.is_empty()) {
        names.insert(name.clone(), format!("{}/{number}/{name}", call.op_type));
    }
    let given = function.output.iter().zip(&call.output);
    names.extend(
        given
            .clone()
            .filter(|(_, to)| !to.is_empty())
            .map(|(a, b)| (a.clone(), b.clone())),
    );
    for (slot, name) in function.input.iter().enumerate() {
        names.insert(
            name.clone(),
            call.input.get(slot).cloned().unwrap_or_default(),
        );
    }
    let mut nodes = function.node.clone();
    for node in &mut nodes {
        let owner = match call.name.is_empty() {
            true => format!("{}/{number}", call.op_type),
            false => call.name.clone(),
        };
        node.name = format!("{owner}/{}", node.name);
        for attribute in &mut node.attribute {
            if attribute.ref_attr_name.is_empty() {
                continue;
            }
            let value = call
                .attribute
                .iter()
                .find(|a| a.name == attribute.ref_attr_name);
            let name = std::mem::take(&mut attribute.name);
            *attribute = value.cloned().unwrap_or_default();
            attribute.name = if value.is_some() { name } else { String::new() };
        }
        node.attribute
            .retain(|attribute| !attribute.name.is_empty());
    }
    // An output that is an input of the function is passed on.
    let through = function
        .output
        .iter()
        .zip(&call.output)
        .filter(|(name, to)| function.input.contains(name) && !to.is_empty());
    let passed: Vec<NodeProto> = through
        .map(|(name, to)| NodeProto {
            name: to.clone(),
            op_type: "Identity".into(),
            input: vec![names[name].clone()],
            output: vec![to.clone()],
            ..NodeProto::default()
        })
        .collect();
    rename_nodes(&mut nodes, &names);
    nodes.extend(passed);
    nodes
}
