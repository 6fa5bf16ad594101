//! Floats of 16 bits, written as floats of 32: exporters store weights so, and the reference runs few operators on them.

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::type_proto::Value;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};
use tract_onnx::prelude::f16;

/// The number of brain floats in the ONNX specification, which the decoder does not have.
const BRAIN: i32 = 16;
/// That of float 16.
const HALF: i32 = DataType::Float16 as i32;

/// Makes all constants, inputs and casts of 16-bit floats those of 32-bit ones; the values are the same.
pub(super) fn widen(proto: &mut ModelProto) {
    if let Some(graph) = &mut proto.graph {
        widen_graph(graph);
    }
    proto
        .functions
        .iter_mut()
        .for_each(|function| widen_nodes(&mut function.node));
}

fn widen_graph(graph: &mut GraphProto) {
    graph.initializer.iter_mut().for_each(widen_tensor);
    graph.input.iter_mut().for_each(widen_input);
    widen_nodes(&mut graph.node);
}

fn widen_nodes(nodes: &mut [NodeProto]) {
    for node in nodes {
        let casts = matches!(&*node.op_type, "Cast" | "EyeLike" | "RandomNormal");
        for attribute in &mut node.attribute {
            let kind = matches!(&*attribute.name, "to" | "dtype");
            if casts && kind && is_short(attribute.i as i32) {
                attribute.i = DataType::Float as i64;
            }
            let tensors = attribute.t.iter_mut().chain(&mut attribute.tensors);
            tensors.for_each(widen_tensor);
            let graphs = attribute.g.iter_mut().chain(&mut attribute.graphs);
            graphs.for_each(widen_graph);
        }
    }
}

fn widen_input(input: &mut ValueInfoProto) {
    let kind = input.r#type.as_mut().and_then(|kind| kind.value.as_mut());
    if let Some(Value::TensorType(tensor)) = kind
        && is_short(tensor.elem_type)
    {
        tensor.elem_type = DataType::Float as i32;
    }
}

const fn is_short(kind: i32) -> bool {
    kind == HALF || kind == BRAIN
}

fn widen_tensor(tensor: &mut TensorProto) {
    let brain = tensor.data_type == BRAIN;
    if !is_short(tensor.data_type) || super::external::is_external(tensor) {
        return;
    }
    let wide = |bits: u16| match brain {
        true => f32::from_bits(u32::from(bits) << 16),
        false => f16::from_bits(bits).to_f32(),
    };
    let pairs = tensor.raw_data.chunks_exact(2);
    let raw = pairs.map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    // Without raw bytes, the bits of each value are an integer of their own.
    let listed = tensor.int32_data.iter().map(|bits| *bits as u16);
    tensor.float_data = raw.chain(listed).map(wide).collect();
    tensor.raw_data.clear();
    tensor.int32_data.clear();
    tensor.data_type = DataType::Float as i32;
}
