//! The quantized graph: what a network *is* once its numbers are integers.
//!
//! A real number is represented as `scale * (integer - zero_point)`. The graph holds no secret value: weights are
//! named and shaped here, and their integers live in [`WeightValues`]. A verifier lowers this graph to constraints by
//! itself, so everything that decides the constraint system is a field of it.

use std::fmt;

use super::geometry::Geometry;

/// Index into [`Graph::tensors`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TensorId(pub u32);
/// Index into [`Graph::weights`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WeightId(pub u32);
/// Index into [`Graph::tables`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableId(pub u32);

/// Who learns the values of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Visibility {
    /// Nobody but the prover.
    Private,
    /// Everybody: the values are part of the statement (activations) or of the verifying key (weights).
    Public,
    /// Nobody, but the statement holds a commitment to them: other proofs with the same commitment are about the same
    /// values. Inputs and outputs only; weights are always committed to.
    Committed,
}

/// An inclusive interval of integers, `min <= max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Interval {
    /// Smallest value.
    pub min: i64,
    /// Largest value.
    pub max: i64,
}

/// A tensor of activations, or the network's input or output.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Name, from the ONNX graph.
    pub name: String,
    /// Shape, row-major.
    pub shape: Vec<usize>,
    /// Real value of one integer step.
    pub scale: f64,
    /// Integer that stands for zero.
    pub zero_point: i64,
    /// Values this tensor can take, proven by a lookup (inputs, requantized values) or by worst-case bounds (accumulators).
    pub range: Interval,
    /// Who learns the values. Only inputs and outputs can be other than private.
    pub visibility: Visibility,
}

/// The shape and bound of a weight matrix; a bias is a matrix of one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Weight {
    /// Name, from the ONNX graph.
    pub name: String,
    /// Rows: output features.
    pub rows: usize,
    /// Columns: input features.
    pub cols: usize,
    /// Real value of one integer step.
    pub scale: f64,
    /// Every weight w satisfies |w| <= bound.
    pub bound: i64,
    /// Public weights are part of the verifying key.
    pub visibility: Visibility,
}

/// A function of one real variable that can be tabulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Function {
    /// x.
    Identity = 0,
    /// max(x, 0).
    Relu = 1,
    /// 1 / (1 + exp(-x)).
    Sigmoid = 2,
    /// tanh(x).
    Tanh = 3,
    /// x / (1 + exp(-x)).
    Silu = 4,
    /// x (1 + erf(x / sqrt 2)) / 2.
    Gelu = 5,
    /// erf(x).
    Erf = 6,
    /// exp(x).
    Exp = 7,
    /// log(1 + exp(x)).
    Softplus = 8,
    /// |x|.
    Abs = 9,
    /// min(max(x, 0), 6).
    Relu6 = 10,
}

/// Definition of a lookup table `key -> round(function(key * input_scale) / output_scale)`, rounding half up.
///
/// `Identity` with equal scales is a pure range check of the key (no value column).
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// The tabulated function.
    pub function: Function,
    /// Keys covered; a key outside is an error of the prover and cannot be proven.
    pub keys: Interval,
    /// Real value of one step of the key. Irrelevant (1.0) for `Relu` and `Identity` with `output_scale == input_scale`.
    pub input_scale: f64,
    /// Real value of one step of the value.
    pub output_scale: f64,
}

/// What a node computes, on integers.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Accumulators `y[t][i] = sum_j w[i][j] x[t][j] + b[i]`: input `(.., k)`, output `(.., m)`, weight `m x k`, bias `1 x m`.
    Dense {
        /// The `m x k` matrix.
        weights: WeightId,
        /// The `1 x m` bias, at the accumulator's scale.
        bias: Option<WeightId>,
    },
    /// `q = floor((x + 2^(shift-1)) / 2^shift)` (half up; `shift = 0`: q = x), then `table[q]`.
    Requantize {
        /// Bits dropped, 0..=16: the remainder is range-checked in limbs of at most 8 bits, so up to 8 bits cost one lookup.
        shift: u32,
        /// The table applied to q: an activation, or a range check.
        table: TableId,
    },
    /// Accumulators of a convolution over inputs `(n, c, h, w)`, output `(n, m, oh, ow)`:
    /// `y[n][m][o] = b[m] + sum over taps and channels of the group, w[m][tap][channel] x[n][channel][o stride + tap dilation - pad]`.
    /// Rows of the weight are `kernel taps x channels of a group`, taps outermost, row-major.
    Conv {
        /// The `m x (taps * c / groups)` matrix.
        weights: WeightId,
        /// The `1 x m` bias, at the accumulator's scale.
        bias: Option<WeightId>,
        /// Kernel, strides, dilations, padding.
        geometry: Geometry,
        /// Groups of channels that do not mix; `c` groups of one channel make it depthwise.
        groups: usize,
    },
    /// Sums over windows of `(n, c, h, w)`, padding counting as zero: an average pooling at another scale. Costs no cell.
    SumPool {
        /// Kernel, strides, dilations, padding.
        geometry: Geometry,
    },
    /// Maxima over windows of `(n, c, h, w)`, padding never winning; windows may overlap.
    MaxPool {
        /// Kernel, strides, dilations, padding.
        geometry: Geometry,
        /// ReLU at equal scales over all differences of two values: `m_i = m_{i-1} + relu(x_i - m_{i-1})`.
        table: TableId,
    },
    /// `max(0, q over the window)` with q as in [`Op::Requantize`]: requantization, ReLU and max pooling in one running
    /// maximum, one lookup of the table for each input. Windows do not overlap and have no padding.
    RequantizeMax {
        /// Bits dropped.
        shift: u32,
        /// ReLU at equal scales over q and over differences of two q.
        table: TableId,
        /// Kernel and strides, `stride >= kernel`, no dilation, no padding.
        geometry: Geometry,
    },
    /// `y = scales[0] a + scales[1] b`, element by element: a residual addition at a common scale. Costs no cell.
    Add {
        /// Integer factors of the two inputs.
        scales: [i64; 2],
    },
    /// The same values with axes permuted: output axis i is input axis `axes[i]`. Costs no cell.
    Transpose {
        /// Input axis of each output axis.
        axes: Vec<usize>,
    },
    /// Index of the first maximum along the last axis; output shape without that axis (or with it as 1).
    ArgMax,
    /// The same values in the same row-major order under another shape.
    Reshape,
}

/// One node: an op applied to one tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Name, from the ONNX graph; appears in every error.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// Input tensors, in the op's order.
    pub inputs: Vec<TensorId>,
    /// Output tensor; every tensor is written once, before it is read.
    pub output: TensorId,
}

/// A quantized network, without its secret values.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    /// Name of the model.
    pub name: String,
    /// All tensors.
    pub tensors: Vec<Tensor>,
    /// All weights.
    pub weights: Vec<Weight>,
    /// All tables; nodes share them.
    pub tables: Vec<Table>,
    /// Nodes in topological order.
    pub nodes: Vec<Node>,
    /// Inputs of the network.
    pub inputs: Vec<TensorId>,
    /// Outputs of the network.
    pub outputs: Vec<TensorId>,
}

/// The integers of all weights, row-major, in the order of [`Graph::weights`]. Secret unless the weight is public.
#[derive(Clone, PartialEq, Eq)]
pub struct WeightValues(pub Vec<Vec<i64>>);

impl fmt::Debug for WeightValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "WeightValues({} matrices, values withheld)",
            self.0.len()
        )
    }
}

impl Graph {
    /// What a node computes, in a few words.
    #[must_use]
    pub fn describe(&self, node: &Node) -> String {
        let size = |id: &WeightId| {
            let weight = self.weights.get(id.0 as usize);
            weight.map_or_else(String::new, |w| format!("{} x {}", w.rows, w.cols))
        };
        let table = |id: &TableId| {
            let table = self.tables.get(id.0 as usize);
            table.map_or_else(String::new, |t| {
                let Interval { min, max } = t.keys;
                format!("{:?} of keys {min}..={max}", t.function)
            })
        };
        let window = |g: &Geometry| format!("{}x{}", g.kernel[0], g.kernel[1]);
        match &node.op {
            Op::Dense { weights, .. } => format!("dense {}", size(weights)),
            Op::Conv {
                weights,
                geometry,
                groups,
                ..
            } => {
                let window = window(geometry);
                format!(
                    "convolution {window}, weights {}, groups {groups}",
                    size(weights)
                )
            }
            Op::SumPool { geometry } => format!("sums over {}", window(geometry)),
            Op::MaxPool { geometry, table: t } => {
                format!("maxima over {}, {}", window(geometry), table(t))
            }
            Op::RequantizeMax {
                shift,
                table: t,
                geometry,
            } => {
                let window = window(geometry);
                format!("{}, {shift} bits dropped, maxima over {window}", table(t))
            }
            Op::Add { scales } => format!("{} a + {} b", scales[0], scales[1]),
            Op::Transpose { axes } => format!("axes {axes:?}"),
            Op::Requantize { shift, table: t } => format!("{}, {shift} bits dropped", table(t)),
            Op::ArgMax => "argmax".into(),
            Op::Reshape => "reshape".into(),
        }
    }
}

impl Interval {
    /// The interval `min..=max`.
    pub const fn new(min: i64, max: i64) -> Self {
        Self { min, max }
    }

    /// Whether `value` lies inside.
    pub const fn contains(self, value: i64) -> bool {
        self.min <= value && value <= self.max
    }
}
