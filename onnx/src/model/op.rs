//! What nodes of the float network compute.

use zkernel_gadgets::model::{Function, Geometry, Piece};

/// What a node computes on real numbers.
#[derive(Clone, Debug, PartialEq)]
pub enum FloatOp {
    /// `y[t][i] = sum_j w[i][j] x[t][j] + b[i]` along the last axis.
    Dense {
        /// Output features.
        rows: usize,
        /// Input features.
        cols: usize,
        /// The `rows x cols` matrix, row-major.
        weights: Vec<f32>,
        /// `rows` values.
        bias: Option<Vec<f32>>,
    },
    /// A convolution.
    Conv(Conv),
    /// Largest value of each window; padding never wins.
    MaxPool(Geometry),
    /// Mean of each window, padding counting as zero.
    AveragePool(Geometry),
    /// A constant plus a sum of views of the inputs, each times a real: sums with broadcasting, slices, concatenations,
    /// padding, sums and means along axes.
    Affine {
        /// Views and their factors.
        pieces: Vec<(f64, Piece)>,
        /// Added to every element.
        constant: f64,
    },
    /// A constant of the file.
    Constant(Vec<f32>),
    /// Products of two tensors of one shape, element by element.
    Product,
    /// `y[..][i][j] = sum_k a[..][i][k] b[..][k][j]` of activations.
    MatMul,
    /// 1 / x of positive values.
    Reciprocal,
    /// 1 where x > 0, else 0.
    Positive,
    /// Whole numbers of steps.
    Round(Rounding),
    /// Softmax along the last axis.
    Softmax,
    /// Rows of a constant matrix by number.
    Gather {
        /// Rows.
        rows: usize,
        /// Columns.
        cols: usize,
        /// The `rows x cols` matrix, row-major.
        weights: Vec<f32>,
    },
    /// `y = scale_c x + shift_c` along the last axis.
    Scale {
        /// Factors.
        scale: Vec<f32>,
        /// Shifts.
        shift: Vec<f32>,
    },
    /// Axes permuted: output axis i is input axis `axes[i]`.
    Transpose(Vec<usize>),
    /// A function of one variable, element by element.
    Function(Function, [f64; 2]),
    /// Index of the first maximum along the last axis.
    ArgMax,
    /// The k largest or smallest values along the last axis, in order, equal ones by position; or their positions.
    TopK {
        /// How many, at most the length of the axis.
        k: usize,
        /// Whether the largest.
        largest: bool,
        /// Whether values, else positions.
        values: bool,
    },
    /// The same values under another shape.
    Reshape,
}

/// What values a tensor can have, by the type that the file gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Values {
    /// Real numbers.
    Real,
    /// Integers, with bounds if the type has few bits; bits are 0 and 1.
    Whole(Option<[i64; 2]>),
}

/// `clamp(round(x / step) + zero)`, steps and zero points the same everywhere or along one axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Rounding {
    /// Real value of one step, one or one for each position of the axis.
    pub steps: Vec<f64>,
    /// What is added to the number of steps, as many as steps.
    pub zeros: Vec<i64>,
    /// The axis along which steps differ.
    pub axis: usize,
    /// Smallest and largest result.
    pub range: Option<[i64; 2]>,
    /// Which way.
    pub mode: Mode,
}

/// Which way numbers between two whole ones are rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// To the nearest, halves to the even one.
    HalfToEven,
    /// To the one below.
    Down,
    /// To the one above.
    Up,
}

impl Rounding {
    /// To whole numbers.
    #[must_use]
    pub fn whole(mode: Mode) -> Self {
        Self {
            steps: vec![1.0],
            zeros: vec![0],
            axis: 0,
            range: None,
            mode,
        }
    }

    /// The value for one real number at a position of the axis.
    #[must_use]
    pub fn value(&self, x: f32, position: usize) -> f32 {
        let at = position % self.steps.len().max(1);
        let steps = f64::from(x / self.steps[at] as f32);
        let whole = match self.mode {
            Mode::HalfToEven => steps.round_ties_even(),
            Mode::Down => steps.floor(),
            Mode::Up => steps.ceil(),
        };
        let moved = whole + self.zeros[at] as f64;
        let [low, high] = self.range.unwrap_or([i64::MIN, i64::MAX]);
        moved.clamp(low as f64, high as f64) as f32
    }
}

/// A convolution over one or two spatial axes (one: a plane of one row).
#[derive(Clone, Debug, PartialEq)]
pub struct Conv {
    /// Output channels.
    pub rows: usize,
    /// Groups of channels.
    pub groups: usize,
    /// Windows.
    pub geometry: Geometry,
    /// Weights by output, tap (row-major), channel of the group.
    pub weights: Vec<f32>,
    /// `rows` values.
    pub bias: Option<Vec<f32>>,
}

/// Rows, weights and bias of a linear layer.
pub type LinearPart<'a> = (usize, &'a [f32], Option<&'a [f32]>);

impl FloatOp {
    /// Rows, weights and bias of a linear layer.
    #[must_use]
    pub fn linear(&self) -> Option<LinearPart<'_>> {
        match self {
            Self::Dense {
                rows,
                weights,
                bias,
                ..
            } => Some((*rows, weights, bias.as_deref())),
            Self::Conv(conv) => Some((conv.rows, &conv.weights, conv.bias.as_deref())),
            _ => None,
        }
    }
}

impl FloatOp {
    /// A short name for reports.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Dense { rows, cols, .. } => format!("Dense {cols} -> {rows}"),
            Self::Conv(conv) => {
                let [h, w] = conv.geometry.kernel;
                let groups = match conv.groups {
                    1 => String::new(),
                    groups => format!(" /{groups}"),
                };
                format!("Conv {h}x{w}{groups} -> {}", conv.rows)
            }
            Self::MaxPool(g) => format!("MaxPool {}x{}", g.kernel[0], g.kernel[1]),
            Self::AveragePool(g) => format!("AveragePool {}x{}", g.kernel[0], g.kernel[1]),
            Self::Affine { pieces, .. } => match pieces.as_slice() {
                [_] => "View".into(),
                all => format!("Sum of {}", all.len()),
            },
            Self::Constant(_) => "Constant".into(),
            Self::Product => "Product".into(),
            Self::MatMul => "MatMul".into(),
            Self::Reciprocal => "Reciprocal".into(),
            Self::Positive => "Positive".into(),
            Self::Round(_) => "Round".into(),
            Self::Softmax => "Softmax".into(),
            Self::Gather { rows, cols, .. } => format!("Gather {rows} x {cols}"),
            Self::Scale { scale, .. } => format!("Scale {}", scale.len()),
            Self::Transpose(axes) => format!("Transpose {axes:?}"),
            Self::Function(f, _) => format!("{f:?}"),
            Self::ArgMax => "ArgMax".into(),
            Self::TopK { k, largest, .. } => {
                format!("TopK {k} {}", if *largest { "largest" } else { "smallest" })
            }
            Self::Reshape => "Reshape".into(),
        }
    }
}
