//! Which nodes can be translated, found without running anything, so that all of them are named at once.

use std::collections::BTreeSet;

use tract_onnx::pb;
use zkernel_gadgets::model::Function;

use super::quantized::is_quantized;
use crate::UnsupportedNode;

/// Operators that are read beside the one-input functions; whether a node of theirs is built shows when it is translated.
const READ: [&str; 92] = [
    "Add",
    "And",
    "ArgMax",
    "ArgMin",
    "AveragePool",
    "BatchNormalization",
    "Cast",
    "CastLike",
    "Clip",
    "Concat",
    "Constant",
    "ConstantOfShape",
    "Conv",
    "ConvTranspose",
    "CumSum",
    "DepthToSpace",
    "Div",
    "Dropout",
    "Einsum",
    "Equal",
    "Expand",
    "Flatten",
    "Gather",
    "GatherElements",
    "GatherND",
    "Gemm",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "Greater",
    "GreaterOrEqual",
    "GroupNormalization",
    "Hardmax",
    "Identity",
    "InstanceNormalization",
    "IsInf",
    "IsNaN",
    "LRN",
    "LayerNormalization",
    "Less",
    "LessOrEqual",
    "LogSoftmax",
    "LpNormalization",
    "MatMul",
    "Max",
    "MaxPool",
    "Mean",
    "MeanVarianceNormalization",
    "Min",
    "Mod",
    "Mul",
    "Neg",
    "Not",
    "OneHot",
    "Or",
    "PRelu",
    "Pad",
    "Pow",
    "RMSNormalization",
    "Range",
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSum",
    "ReduceSumSquare",
    "Reshape",
    "Resize",
    "Scatter",
    "ScatterElements",
    "ScatterND",
    "Shape",
    "SimplifiedLayerNormalization",
    "Size",
    "Slice",
    "Softmax",
    "SpaceToDepth",
    "Split",
    "Squeeze",
    "Sub",
    "Sum",
    "Tile",
    "TopK",
    "Transpose",
    "Trilu",
    "Unsqueeze",
    "Upsample",
    "Where",
    "Xor",
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
        "Sqrt" => Function::Sqrt,
        "Log" => Function::Log,
        "Reciprocal" => Function::Reciprocal,
        "LeakyRelu" => Function::LeakyRelu,
        "Elu" => Function::Elu,
        "Selu" => Function::Selu,
        "Celu" => Function::Celu,
        "HardSigmoid" => Function::HardSigmoid,
        "HardSwish" => Function::HardSwish,
        "Softsign" => Function::Softsign,
        "Mish" => Function::Mish,
        "ThresholdedRelu" => Function::ThresholdedRelu,
        "Sin" => Function::Sin,
        "Cos" => Function::Cos,
        "Atan" => Function::Atan,
        "Floor" => Function::Floor,
        "Ceil" => Function::Ceil,
        "Round" => Function::Round,
        "Sign" => Function::Sign,
        "Shrink" => Function::Shrink,
        "Tan" => Function::Tan,
        "Asin" => Function::Asin,
        "Acos" => Function::Acos,
        "Sinh" => Function::Sinh,
        "Cosh" => Function::Cosh,
        "Asinh" => Function::Asinh,
        "Acosh" => Function::Acosh,
        "Atanh" => Function::Atanh,
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

/// Every node of an operator that is not read, found without running anything; `folds` says which operators the decoder evaluates on
/// constants.
pub(super) fn unsupported(
    graph: &pb::GraphProto,
    folds: impl Fn(&str) -> bool,
) -> Vec<UnsupportedNode> {
    let mut dependent: BTreeSet<&str> = super::inputs::real(graph)
        .iter()
        .map(|i| &*i.name)
        .collect();
    let mut problems = Vec::new();
    for node in &graph.node {
        let reads = node.input.iter().any(|name| dependent.contains(&**name));
        let constant = !reads && is_onnx(&node.domain) && !node.attribute.iter().any(is_nested);
        // Shapes are constants.
        if reads && !matches!(&*node.op_type, "Shape" | "Size") {
            dependent.extend(node.output.iter().map(|name| &**name));
        }
        if constant && !node.input.is_empty() && !is_random(&node.op_type) && folds(&node.op_type) {
            continue;
        }
        problems.extend(problem(node).map(|problem| refuse(node, problem)));
    }
    problems
}

/// Whether an operator gives something else every time.
fn is_random(op: &str) -> bool {
    op.starts_with("Random") || matches!(op, "Bernoulli" | "Multinomial")
}

/// Whether a domain is that of ONNX's own operators.
pub(super) fn is_onnx(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

/// Whether an attribute is a subgraph, a sparse tensor or a list of tensors.
fn is_nested(attribute: &pb::AttributeProto) -> bool {
    let sparse = attribute.sparse_tensor.is_some() || !attribute.sparse_tensors.is_empty();
    sparse || attribute.g.is_some() || !attribute.graphs.is_empty() || !attribute.tensors.is_empty()
}

/// Why a node cannot be translated, whatever its inputs are.
fn problem(node: &pb::NodeProto) -> Option<&'static str> {
    if node.attribute.iter().any(is_nested) {
        return Some(match &*node.op_type {
            "If" => "a condition that depends on the input is not built",
            _ => "operator not built: subgraphs and sparse tensors are not read",
        });
    }
    // Those of its operators that are built are gone, and why the others are not is known.
    if node.domain == super::ml::DOMAIN {
        return None;
    }
    if !is_onnx(&node.domain) {
        return Some("operator of another domain");
    }
    match &*node.op_type {
        "MaxPool" if node.output.len() > 1 => Some("indices are not built"),
        "LSTM" | "GRU" | "RNN" => Some("a recurrence over an input whose shape is not known"),
        "Attention" | "RotaryEmbedding" => Some("this use of it is not built"),
        op if READ.contains(&op) || function(op).is_some() || is_quantized(op) => None,
        _ => Some("operator not built"),
    }
}
