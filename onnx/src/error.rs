//! Everything that can go wrong between an ONNX file and a quantized graph.

/// A node whose operator (or use of it) is not built.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct UnsupportedNode {
    /// Name of the node.
    pub node: String,
    /// ONNX operator.
    pub op: String,
    /// What about it is not supported.
    pub problem: String,
}

/// Why an ONNX file, samples or a quantization was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read.
    #[error("cannot read `{path}`: {problem}")]
    File {
        /// Its path.
        path: String,
        /// What the system said.
        problem: String,
    },
    /// Something is larger than the limits of [`crate::Limits`].
    #[error("{what} is {found}, the limit is {limit}: raise the limit if you trust this file")]
    TooLarge {
        /// What is too large.
        what: String,
        /// Its size.
        found: u64,
        /// The limit.
        limit: u64,
    },
    /// Not an ONNX model, or an inconsistent one.
    #[error("not a valid ONNX model: {0}")]
    Malformed(String),
    /// A tensor that keeps its values in another file.
    #[error(
        "tensor `{0}` keeps its values outside the model file: save the model with all weights inside"
    )]
    ExternalData(String),
    /// Operators that are not built, all of the model at once.
    #[error("{}", list(.0))]
    Unsupported(Vec<UnsupportedNode>),
    /// A dimension that is not known.
    #[error("input `{tensor}`: dimension {axis} is not fixed; export the model with fixed shapes")]
    Dynamic {
        /// The input.
        tensor: String,
        /// The axis.
        axis: usize,
    },
    /// Samples in a format that is not read.
    #[error("cannot read samples: {0}")]
    Samples(String),
    /// Samples of another shape than the model's inputs.
    #[error("input `{tensor}`: {found} values, expected {expected} (shape {shape:?}){hint}")]
    Length {
        /// The input tensor.
        tensor: String,
        /// Values found.
        found: usize,
        /// Values expected for one sample.
        expected: usize,
        /// Shape of one sample.
        shape: Vec<usize>,
        /// What would be accepted.
        hint: &'static str,
    },
    /// NaN or infinity.
    #[error("tensor `{tensor}`, element {index}: {value} is not a finite number")]
    NotFinite {
        /// The tensor.
        tensor: String,
        /// The element.
        index: usize,
        /// Its value.
        value: f32,
    },
    /// The float run failed.
    #[error("float run failed: {0}")]
    Float(String),
    /// Accumulators that may exceed 62 bits.
    #[error(
        "node `{node}`: its sums may reach 2^{bits}, at most 2^{most} can be proven; use fewer weight or activation bits"
    )]
    Overflow {
        /// The node.
        node: String,
        /// Bits of the worst case.
        bits: u32,
        /// Bits that it may have.
        most: u32,
    },
    /// A sum of terms of which one has steps so much finer than another's that no integer factor leads from one to the other.
    #[error(
        "node `{node}`: the steps of what it adds are 2^{bits} apart, at most 2^{most} can be proven; give its terms sizes that are nearer to one another"
    )]
    Steps {
        /// The node.
        node: String,
        /// Bits of the largest factor between two steps.
        bits: u32,
        /// Bits that it may have.
        most: u32,
    },
    /// An input value that the calibration does not cover.
    #[error(
        "input `{tensor}`, element {index}: {value} is outside {min}..={max}: calibrate with data that covers it"
    )]
    InputRange {
        /// The input tensor.
        tensor: String,
        /// The element.
        index: usize,
        /// Its value.
        value: f32,
        /// Smallest real value covered.
        min: f64,
        /// Largest real value covered.
        max: f64,
    },
    /// A node that cannot be planned.
    #[error("node `{node}` {problem}")]
    Plan {
        /// The node.
        node: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// Another error, about a node of the file.
    #[error("node `{node}` ({op}): {source}")]
    Node {
        /// Its name.
        node: String,
        /// Its operator.
        op: String,
        /// What is wrong.
        source: Box<Error>,
    },
    /// The quantized graph is not one that can be proven, such as one with two outputs.
    #[error(transparent)]
    Graph(#[from] zkernel_gadgets::model::GraphError),
    /// The integer run failed.
    #[error(transparent)]
    Run(#[from] zkernel_gadgets::model::RunError),
}

fn list(nodes: &[UnsupportedNode]) -> String {
    let lines: Vec<String> = nodes
        .iter()
        .map(|n| format!("node `{}` ({}): {}", n.node, n.op, n.problem))
        .collect();
    format!("unsupported operators: {}", lines.join("; "))
}
