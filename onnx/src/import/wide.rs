//! Activations rounded to 16 bits and read back at once: their steps are finer than those that calibration finds, so they pass as the real
//! numbers they stand for.

use std::collections::{BTreeMap, BTreeSet};

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, NodeProto};

/// Takes such pairs of operators out of a graph. What is rounded to 16 bits and read by anything else stays.
pub(super) fn rewrite(graph: &mut GraphProto) {
    let wide = |kind: i32| kind == DataType::Uint16 as i32 || kind == DataType::Int16 as i32;
    let zeros = graph.initializer.iter().filter(|t| wide(t.data_type));
    let zeros: BTreeSet<String> = zeros.map(|t| t.name.clone()).collect();
    let rounds = |node: &&NodeProto| {
        let zero = node.input.get(2).is_some_and(|zero| zeros.contains(zero));
        node.op_type == "QuantizeLinear" && zero
    };
    let mut pairs: BTreeMap<String, NodeProto> = BTreeMap::new();
    for node in graph.node.iter().filter(rounds) {
        pairs.insert(node.output[0].clone(), node.clone());
    }
    for node in &graph.node {
        for (index, name) in node.input.iter().enumerate() {
            let back = |from: &NodeProto| {
                node.op_type == "DequantizeLinear"
                    && index == 0
                    && node.input[1..] == from.input[1..]
            };
            if pairs.get(name).is_some_and(|from| !back(from)) {
                pairs.remove(name);
            }
        }
    }
    for output in &graph.output {
        pairs.remove(&output.name);
    }
    if pairs.is_empty() {
        return;
    }
    graph
        .node
        .retain(|node| node.output.first().is_none_or(|o| !pairs.contains_key(o)));
    for node in &mut graph.node {
        if let Some(from) = node.input.first().and_then(|name| pairs.get(name)) {
            node.op_type = "Identity".into();
            node.attribute.clear();
            node.input = vec![from.input[0].clone()];
        }
    }
}
