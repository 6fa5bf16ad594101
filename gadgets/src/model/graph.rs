//! The quantized graph: what a network *is* once its numbers are integers.
//!
//! A real number is represented as `scale * (integer - zero_point)`. The graph holds no secret value: weights are
//! named and shaped here, and their integers live in [`WeightValues`]. A verifier lowers this graph to constraints by
//! itself, so everything that decides the constraint system is a field of it.

use std::fmt;

use super::geometry::Geometry;
pub use super::pieces::{Along, Piece};

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
    /// sqrt(max(x, 0)).
    Sqrt = 11,
    /// 1 / x, and 0 at 0.
    Reciprocal = 12,
    /// log(x), of the smallest positive key where x <= 0.
    Log = 13,
    /// x for x >= 0, else a x.
    LeakyRelu = 14,
    /// x for x >= 0, else a (exp(x) - 1).
    Elu = 15,
    /// b x for x >= 0, else a b (exp(x) - 1).
    Selu = 16,
    /// min(max(x, a), b).
    Clip = 17,
    /// min(max(a x + b, 0), 1).
    HardSigmoid = 18,
    /// x min(max(x / 6 + 1 / 2, 0), 1).
    HardSwish = 19,
    /// x / (1 + |x|).
    Softsign = 20,
    /// x tanh(log(1 + exp(x))).
    Mish = 21,
    /// x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2.
    GeluTanh = 22,
    /// |x|^a, with the sign of x where a is an odd integer.
    Pow = 23,
    /// sin(x).
    Sin = 24,
    /// cos(x).
    Cos = 25,
    /// The largest integer not above x.
    Floor = 26,
    /// The smallest integer not below x.
    Ceil = 27,
    /// The nearest integer, halves to even.
    Round = 28,
    /// -1, 0 or 1.
    Sign = 29,
    /// 1 where x > a, else 0.
    Step = 30,
    /// 1 where x = a, else 0.
    Equal = 31,
    /// x where x > a, else 0.
    ThresholdedRelu = 32,
    /// max(x, 0) + min(0, a (exp(x / a) - 1)).
    Celu = 33,
    /// atan(x).
    Atan = 34,
    /// 1 / sqrt(x) for x > 0, else 0.
    Rsqrt = 35,
    /// x - a floor(x / a), of the sign of a; where b is 1, of the sign of x.
    Mod = 36,
    /// x / a rounded towards zero.
    Trunc = 37,
    /// x - b for x > a, x + b for x < -a, else 0.
    Shrink = 38,
    /// tan(x).
    Tan = 39,
    /// asin(min(max(x, -1), 1)).
    Asin = 40,
    /// acos(min(max(x, -1), 1)).
    Acos = 41,
    /// sinh(x).
    Sinh = 42,
    /// cosh(x).
    Cosh = 43,
    /// asinh(x).
    Asinh = 44,
    /// acosh(max(x, 1)).
    Acosh = 45,
    /// atanh(x); 0 where |x| >= 1.
    Atanh = 46,
}

/// Definition of a lookup table `key -> round(function(key * input_scale) / output_scale)`, rounding half up.
///
/// `Identity` with equal scales is a pure range check of the key (no value column).
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// The tabulated function.
    pub function: Function,
    /// Its parameters a and b; zero where it has none.
    pub parameters: [f64; 2],
    /// Keys covered; a key outside is an error of the prover and cannot be proven.
    pub keys: Interval,
    /// Real value of one step of the key. Irrelevant (1.0) for `Relu` and `Identity` with `output_scale == input_scale`.
    pub input_scale: f64,
    /// Real value of one step of the value.
    pub output_scale: f64,
    /// Bits of the key that are not looked up, 0..=12. With some, the key is `min + 2^low high + rest`; the table has one row for each
    /// `high`, the function is taken as linear in `rest`, and `low` divides the keys into whole segments. ReLU stays exact where a
    /// segment starts at key 0. A range with some has no table: `key - min` is put together from limbs, and spans a power of two.
    pub low: u32,
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
        /// Bits dropped, 0..=40: the remainder is range-checked in limbs, one lookup each.
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
    /// `y = constant + sum of pieces`, each a strided view of an input times an integer: additions with broadcasting, slices,
    /// concatenations, padding, sums along axes. Costs no cell.
    Affine {
        /// What is added up.
        pieces: Vec<Piece>,
        /// Added to every element.
        constant: i64,
    },
    /// The integers of a weight, row-major, as a tensor. Costs no cell.
    Constant {
        /// The weight, of as many cells as the output has elements.
        weights: WeightId,
    },
    /// Products of two tensors of one shape, element by element.
    Product,
    /// `y[..][i][j] = sum_k a[..][i][k] b[..][k][j]` of two tensors of activations with the same leading axes.
    MatMul,
    /// `y = floor(numerator / x)` for x > 0.
    Reciprocal {
        /// At most 2^40.
        numerator: i64,
    },
    /// `y = floor(sqrt(x))` for x >= 0.
    Root,
    /// 1 where x > 0, else 0, for `-2^bits < x <= 2^bits`. With an output range of [`ASSERTED`](super::statement::ASSERTED) it says that
    /// `0 < x <= 2^bits`, and nothing else can be proven.
    Positive {
        /// At most 60.
        bits: u32,
    },
    /// `table[x - max x]`, the maximum along the last axis: the exponentials of a softmax.
    MaxTable {
        /// A table whose last key is 0.
        table: TableId,
    },
    /// Rows of a weight by number: an embedding. Input `(..)` of row numbers, output `(.., cols)`.
    Gather {
        /// The `rows x cols` matrix.
        weights: WeightId,
    },
    /// The same values with axes permuted: output axis i is input axis `axes[i]`. Costs no cell.
    Transpose {
        /// Input axis of each output axis.
        axes: Vec<usize>,
    },
    /// Index of the first maximum along the last axis; output shape without that axis (or with it as 1).
    ArgMax,
    /// The k largest or smallest values of every row of `(.., n)`, in order, equal ones by position: output `(2, .., k)`, values
    /// first, then their positions.
    TopK {
        /// How many, 1..=n.
        k: usize,
        /// Whether the largest, else the smallest.
        largest: bool,
    },
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
    /// Most bits of a limb, 1..=12: remainders, margins and wide inputs are range-checked limb by limb.
    pub limb_bits: u32,
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

impl Op {
    /// `scales[0] a + scales[1] b` of two tensors of those shapes, broadcast to `shape`.
    #[must_use]
    pub fn add(inputs: [&[usize]; 2], scales: [i64; 2], shape: &[usize]) -> Self {
        let piece = |i: usize| Piece::broadcast(i, scales[i], inputs[i], shape);
        Self::Affine {
            pieces: vec![piece(0), piece(1)],
            constant: 0,
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
