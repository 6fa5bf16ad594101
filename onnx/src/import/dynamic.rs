//! Scales that the file finds from the values themselves (`DynamicQuantizeLinear`, the default of `quantize_dynamic`): read as what they
//! stand for. Activations stay real numbers, for which calibration finds the steps; the weights keep the integers of the file.

use std::collections::{BTreeMap, BTreeSet};

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, NodeProto};

use super::attributes::int;
use super::emit::{Emit, int as number};
use super::rewrite::record;
use super::staged::Gone;
use super::supported::is_onnx;

const SOURCE: &str = "DynamicQuantizeLinear";

/// Operators that move values and keep them.
const VIEWS: [&str; 8] = [
    "Flatten",
    "Gather",
    "Identity",
    "Reshape",
    "Slice",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
];

/// Writes the products of such integers as products of real numbers: `q = x`, scale 1 and zero point 0 satisfy `x = scale (q - zero)`
/// without a rounding. Whose integers go elsewhere stays as it is.
pub(super) fn rewrite(graph: &mut GraphProto, gone: &mut Gone) {
    if !graph.node.iter().any(is_source) {
        return;
    }
    let real = real_numbers(graph);
    let kept = casts(graph, &real);
    let mut nodes = Vec::with_capacity(graph.node.len());
    for mut node in std::mem::take(&mut graph.node) {
        if node.op_type == "Cast" && kept.contains_key(&node.input[0]) {
            continue;
        }
        let reads = |index: usize| node.input.get(index).is_some_and(|n| real.contains(n));
        let emit = match &*node.op_type {
            SOURCE if real.contains(&node.output[0]) => Some(source(&node)),
            "MatMulInteger" | "ConvInteger" if reads(0) || reads(1) => {
                if let Some(to) = node.output.first().and_then(|name| kept.get(name)) {
                    node.output[0].clone_from(to);
                }
                Some(product(&node, [reads(0), reads(1)]))
            }
            "DequantizeLinear" if reads(0) => Some(copy(&node)),
            _ => None,
        };
        match emit {
            Some(emit) => {
                record(gone, &node, &emit.nodes);
                graph.initializer.extend(emit.constants);
                nodes.extend(emit.nodes);
            }
            None => nodes.push(node),
        }
    }
    graph.node = nodes;
}

fn is_source(node: &NodeProto) -> bool {
    is_onnx(&node.domain) && node.op_type == SOURCE && node.output.len() == 3
}

/// The tensors of such integers that products alone read, views of them included.
fn real_numbers(graph: &GraphProto) -> BTreeSet<String> {
    let mut origin: BTreeMap<&str, &str> = BTreeMap::new();
    let mut zeros: BTreeMap<&str, &str> = BTreeMap::new();
    for node in graph.node.iter().filter(|node| is_source(node)) {
        origin.insert(&node.output[0], &node.output[0]);
        zeros.insert(&node.output[2], &node.output[0]);
    }
    let mut lost: BTreeSet<&str> = BTreeSet::new();
    for node in &graph.node {
        let view = VIEWS.contains(&&*node.op_type);
        for (index, name) in node.input.iter().enumerate() {
            let product = matches!(&*node.op_type, "MatMulInteger" | "ConvInteger");
            let dequantized = node.op_type == "DequantizeLinear";
            if let Some(&from) = origin.get(&**name) {
                match (
                    view && index == 0,
                    product && index < 2 || dequantized && index == 0,
                ) {
                    (true, _) => {
                        origin.extend(node.output.iter().map(|output| (&**output, from)));
                    }
                    (false, true) => {}
                    (false, false) => {
                        lost.insert(from);
                    }
                }
            }
            if let Some(&from) = zeros.get(&**name)
                && !(product && index >= 2 || dequantized && index == 2)
            {
                lost.insert(from);
            }
        }
    }
    for output in &graph.output {
        let found = origin.get(&*output.name).or(zeros.get(&*output.name));
        lost.extend(found.copied());
    }
    let kept = origin.iter().filter(|(_, from)| !lost.contains(**from));
    kept.map(|(name, _)| (*name).to_owned()).collect()
}

/// Products that a cast alone reads, and what it writes: they write that themselves.
fn casts(graph: &GraphProto, real: &BTreeSet<String>) -> BTreeMap<String, String> {
    let mut readers: BTreeMap<&str, usize> = BTreeMap::new();
    for name in graph.node.iter().flat_map(|node| &node.input) {
        *readers.entry(name).or_default() += 1;
    }
    let shown: BTreeSet<&str> = graph.output.iter().map(|o| &*o.name).collect();
    let products = graph.node.iter().filter(|node| {
        let product = matches!(&*node.op_type, "MatMulInteger" | "ConvInteger");
        product && node.input.iter().take(2).any(|name| real.contains(name))
    });
    let products: BTreeSet<&str> = products
        .flat_map(|n| n.output.first())
        .map(|n| &**n)
        .collect();
    let cast = |node: &&NodeProto| {
        let from = node.input.first().map_or("", |name| &**name);
        node.op_type == "Cast"
            && int(node, "to", 0) == DataType::Float as i64
            && products.contains(from)
            && readers.get(from) == Some(&1)
            && !shown.contains(from)
    };
    let casts = graph.node.iter().filter(cast);
    casts
        .map(|node| (node.input[0].clone(), node.output[0].clone()))
        .collect()
}

/// The values themselves, scale 1 and zero point 0.
fn source(node: &NodeProto) -> Emit {
    let mut emit = copy(node);
    for (output, value) in node.output[1..].iter().zip([1.0, 0.0]) {
        if !output.is_empty() {
            let constant = emit.float(value);
            emit.give(Some(output), &constant);
        }
    }
    emit
}

fn copy(node: &NodeProto) -> Emit {
    let mut emit = Emit::new(node);
    emit.give(node.output.first(), &node.input[0]);
    emit
}

/// A product of real numbers; an operand that is of integers less its zero point.
fn product(node: &NodeProto, real: [bool; 2]) -> Emit {
    let mut emit = Emit::new(node);
    let conv = node.op_type == "ConvInteger";
    let one = emit.float(1.0);
    let operands = [0, 1].map(|side| {
        let name = node.input.get(side).cloned().unwrap_or_default();
        let zero = node.input.get(side + 2).cloned().unwrap_or_default();
        match real[side] {
            true => name,
            false => {
                // Zero points by rows of the left side, by columns of the right one, by channels of a kernel.
                let axis = match (conv, side) {
                    (true, side) => 1 - side as i64,
                    (false, 0) => -2,
                    (false, _) => -1,
                };
                let with = vec![number("axis", axis)];
                emit.op("DequantizeLinear", &[&name, &one, &zero], with)
            }
        }
    });
    let op = if conv { "Conv" } else { "MatMul" };
    let given = node.attribute.iter().filter(|_| conv).cloned().collect();
    let y = emit.op(op, &operands.each_ref().map(|name| &**name), given);
    emit.give(node.output.first(), &y);
    emit
}
