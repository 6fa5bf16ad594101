//! Activations rounded to 16 bits and read back at once: their steps are finer than those that calibration finds, so they pass as the real
//! numbers they stand for. Where the least integer stands for 0, what is negative saturates there: a ReLU, which quantizers leave out.
//! Ends beyond which nothing was seen when the file was made are not kept.

use std::collections::BTreeMap;

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, NodeProto, TensorProto};

/// Takes such pairs of operators out of a graph. What is rounded to 16 bits and read by anything else stays.
pub(super) fn rewrite(graph: &mut GraphProto) {
    let zeros = graph
        .initializer
        .iter()
        .filter_map(|t| Some((t.name.clone(), ends_at_zero(t)?)));
    let zeros: BTreeMap<String, bool> = zeros.collect();
    let rounds = |node: &&NodeProto| {
        let zero = node
            .input
            .get(2)
            .is_some_and(|zero| zeros.contains_key(zero));
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
            let saturates = zeros.get(&from.input[2]).copied().unwrap_or(false);
            node.op_type = if saturates { "Relu" } else { "Identity" }.into();
            node.attribute.clear();
            node.input = vec![from.input[0].clone()];
        }
    }
}

/// Whether the one zero point of 16 bits that a tensor holds is the least integer of its type; none if it holds something else.
fn ends_at_zero(tensor: &TensorProto) -> Option<bool> {
    let signed = match tensor.data_type {
        kind if kind == DataType::Int16 as i32 => true,
        kind if kind == DataType::Uint16 as i32 => false,
        _ => return None,
    };
    let value = match (tensor.raw_data.as_slice(), tensor.int32_data.as_slice()) {
        (&[low, high], _) if signed => i32::from(i16::from_le_bytes([low, high])),
        (&[low, high], _) => i32::from(u16::from_le_bytes([low, high])),
        ([], &[value]) => value,
        _ => return None,
    };
    Some(value == if signed { i32::from(i16::MIN) } else { 0 })
}
