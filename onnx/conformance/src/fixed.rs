//! Which inputs of a case become constants of the model.
//!
//! The cases hand over everything as inputs, weights and axes too. What the importer needs at the time of import is turned into an
//! initializer with the recorded value: positions in [`POSITIONS`]. What is not listed stays a secret input.

use prost::Message;
use tract_onnx::pb::{GraphProto, TensorProto};

use crate::Case;

/// Operators and their inputs that are constants; `FROM | i` means all inputs from i on.
const POSITIONS: &[(&str, &[usize])] = &[
    // Shapes, axes, counts.
    ("CenterCropPad", &[1]),
    ("ConstantOfShape", &[0]),
    ("CumProd", &[1]),
    ("CumSum", &[1]),
    ("Expand", &[1]),
    ("Pad", &[1, 2, 3]),
    ("Range", &[FROM]),
    ("ReduceL1", &[1]),
    ("ReduceL2", &[1]),
    ("ReduceLogSum", &[1]),
    ("ReduceLogSumExp", &[1]),
    ("ReduceMax", &[1]),
    ("ReduceMean", &[1]),
    ("ReduceMin", &[1]),
    ("ReduceProd", &[1]),
    ("ReduceSum", &[1]),
    ("ReduceSumSquare", &[1]),
    ("Reshape", &[1]),
    ("Resize", &[FROM | 1]),
    ("Slice", &[FROM | 1]),
    ("Split", &[1]),
    ("SplitToSequence", &[1]),
    ("Squeeze", &[1]),
    ("Tile", &[1]),
    ("TopK", &[1]),
    ("Trilu", &[1]),
    ("Unsqueeze", &[1]),
    ("Upsample", &[1]),
    // Positions, and choices that come with the model.
    ("ArrayFeatureExtractor", &[1]),
    ("Compress", &[1]),
    ("Dropout", &[1, 2]),
    ("Gather", &[1]),
    ("GatherElements", &[1]),
    ("GatherND", &[1]),
    ("OneHot", &[1, 2]),
    ("ReverseSequence", &[1]),
    ("Scatter", &[1]),
    ("ScatterElements", &[1]),
    ("ScatterND", &[1]),
    // Weights, bounds and parameters.
    ("BatchNormalization", &[FROM | 1]),
    ("Clip", &[1, 2]),
    ("Conv", &[1, 2]),
    ("ConvInteger", &[1, 2, 3]),
    ("ConvTranspose", &[1, 2]),
    ("DeformConv", &[1, 3]),
    ("DequantizeLinear", &[1, 2]),
    ("GRU", &[FROM | 1]),
    ("GroupNormalization", &[1, 2]),
    ("InstanceNormalization", &[1, 2]),
    ("LSTM", &[FROM | 1]),
    ("LayerNormalization", &[1, 2]),
    ("MatMulInteger", &[2, 3]),
    ("Mod", &[1]),
    ("PRelu", &[1]),
    ("Pow", &[1]),
    ("QLinearConv", &[FROM | 1]),
    ("QLinearMatMul", &[1, 2, 4, 5, 6, 7]),
    ("QuantizeLinear", &[1, 2]),
    ("RMSNormalization", &[1]),
    ("RNN", &[FROM | 1]),
];
/// Marks all inputs from a position on.
const FROM: usize = 1 << 31;

/// Whether an input of an operator becomes a constant.
#[must_use]
pub fn is_fixed(op: &str, position: usize) -> bool {
    let listed = POSITIONS.iter().find(|(name, _)| *name == op);
    listed.is_some_and(|(_, positions)| {
        positions.iter().any(|p| {
            if p & FROM != 0 {
                position >= p & !FROM
            } else {
                position == *p
            }
        })
    })
}

/// Moves inputs that become constants to the initializers; returns the numbers of those that stay, in order.
pub fn fix(graph: &mut GraphProto, case: &Case) -> Vec<usize> {
    let is_read_as_constant = |name: &str| {
        let reads = |node: &tract_onnx::pb::NodeProto| {
            let inputs = node.input.iter().enumerate();
            inputs
                .clone()
                .any(|(i, input)| input == name && is_fixed(&node.op_type, i))
        };
        graph.node.iter().any(reads)
    };
    let names: Vec<String> = graph.input.iter().map(|input| input.name.clone()).collect();
    let mut kept = Vec::new();
    let mut constants = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let tensor = case
            .inputs
            .get(index)
            .and_then(|bytes| TensorProto::decode(&**bytes).ok());
        match tensor.filter(|t| is_read_as_constant(name) && t.data_type != 0) {
            Some(mut tensor) => {
                tensor.name.clone_from(name);
                constants.push(tensor);
            }
            None => kept.push(index),
        }
    }
    let fixed: Vec<String> = constants.iter().map(|t| t.name.clone()).collect();
    graph.input.retain(|input| !fixed.contains(&input.name));
    graph.initializer.extend(constants);
    kept
}
