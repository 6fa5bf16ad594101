//! The float network: our own intermediate representation, and its run through tract, which is the reference.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tract_onnx::prelude::{Tensor as TractTensor, TypedRunnableModel, tvec};
use zkernel_gadgets::model::{Function, Geometry, Piece};

use crate::float::View;
use crate::{Error, UnsupportedNode};

/// What minus infinity in a mask is read as.
pub(crate) const MASKED: f32 = -1e9;
/// Constants below this mask what they are added to, where a softmax alone reads the sum.
pub(crate) const MASKING: f32 = -1e3;

/// A tensor of the float network.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FloatTensor {
    /// Name, from the file.
    pub name: String,
    /// Shape, row-major, batch 1.
    pub shape: Vec<usize>,
}

impl FloatTensor {
    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it holds no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

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

/// One node of the float network.
#[derive(Clone, Debug, PartialEq)]
pub struct FloatNode {
    /// Name, from the file.
    pub name: String,
    /// Operator.
    pub op: FloatOp,
    /// Input tensors, indices into [`Model::tensors`].
    pub inputs: Vec<usize>,
    /// Output tensor.
    pub output: usize,
}

/// A float network read from an ONNX file, with its weights.
#[derive(Clone)]
pub struct Model {
    /// Name of the graph.
    pub name: String,
    /// All tensors of activations.
    pub tensors: Vec<FloatTensor>,
    /// Nodes in topological order.
    pub nodes: Vec<FloatNode>,
    /// Inputs, indices into `tensors`.
    pub inputs: Vec<usize>,
    /// Steps of the weights of linear layers whose weights are integers of the file, by the layer's output: one, or one for each row.
    pub(crate) grids: BTreeMap<usize, Vec<f32>>,
    /// Names of the file's nodes and their operators, by the names of nodes and of what they write.
    pub(crate) operators: BTreeMap<String, (String, String)>,
    /// Names of classes in the order of their numbers, by the output that is such a number.
    pub classes: BTreeMap<String, Vec<String>>,
    /// What values each input can have.
    pub(crate) kinds: Vec<Values>,
    /// Outputs, indices into `tensors`.
    pub outputs: Vec<usize>,
    pub(crate) plan: Arc<TypedRunnableModel>,
    /// The tensor that each output of the plan is.
    pub(crate) watched: Vec<usize>,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.summary())
    }
}

impl Model {
    /// The float outputs for one sample, one flat row-major vector per input.
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::NotFinite`] for inputs that do not fit; [`Error::Float`] if tract fails.
    pub fn run(&self, inputs: &[Vec<f32>]) -> Result<Vec<Vec<f32>>, Error> {
        let values = self.run_all(inputs)?;
        Ok(self.outputs.iter().map(|&t| values[t].clone()).collect())
    }

    /// The float values of every tensor, in the order of [`Model::tensors`].
    ///
    /// # Errors
    /// As [`Model::run`].
    pub fn run_all(&self, inputs: &[Vec<f32>]) -> Result<Vec<Vec<f32>>, Error> {
        self.check_inputs(inputs)?;
        let failed = |e: &dyn std::fmt::Display| Error::Float(format!("{e:#}"));
        let mut fed = tvec![];
        for (&t, values) in self.inputs.iter().zip(inputs) {
            let tensor =
                TractTensor::from_shape(&self.tensors[t].shape, values).map_err(|e| failed(&e))?;
            let wanted = self
                .plan
                .model()
                .input_fact(fed.len())
                .map_err(|e| failed(&e))?;
            let tensor = tensor
                .cast_to_dt(wanted.datum_type)
                .map_err(|e| failed(&e))?;
            fed.push(tensor.into_owned().into());
        }
        // Some operators of the reference panic on values that they do not expect.
        let found = catch_unwind(AssertUnwindSafe(|| self.plan.run(fed)))
            .map_err(|_| Error::Float("the reference gave up on these values".into()))?
            .map_err(|e| failed(&e))?;
        let mut values = vec![Vec::new(); self.tensors.len()];
        for (&t, tensor) in self.watched.iter().zip(&found) {
            let float = tensor.cast_to::<f32>().map_err(|e| failed(&e))?;
            let view = float.to_plain_array_view::<f32>().map_err(|e| failed(&e))?;
            values[t] = view.iter().copied().collect();
        }
        for (&t, input) in self.inputs.iter().zip(inputs) {
            values[t].clone_from(input);
        }
        let known: BTreeSet<usize> = self.watched.iter().chain(&self.inputs).copied().collect();
        for node in self
            .nodes
            .iter()
            .filter(|node| !known.contains(&node.output))
        {
            let inputs: Vec<_> = node.inputs.iter().map(|&t| self.view(&values, t)).collect();
            values[node.output] = node.op.evaluate(&inputs, &self.tensors[node.output].shape);
        }
        // Masks are often written as minus infinity.
        for value in values.iter_mut().flatten() {
            *value = if *value == f32::NEG_INFINITY {
                MASKED
            } else {
                *value
            };
        }
        self.check_finite(&values)?;
        Ok(values)
    }

    fn view<'a>(&'a self, values: &'a [Vec<f32>], tensor: usize) -> View<'a> {
        View {
            shape: &self.tensors[tensor].shape,
            values: &values[tensor],
        }
    }

    /// Checks number, lengths and finiteness of one sample.
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::NotFinite`].
    pub fn check_inputs(&self, inputs: &[Vec<f32>]) -> Result<(), Error> {
        if inputs.len() != self.inputs.len() {
            return Err(Error::Samples(format!(
                "{} inputs given, the model has {}",
                inputs.len(),
                self.inputs.len()
            )));
        }
        for (&t, values) in self.inputs.iter().zip(inputs) {
            let tensor = &self.tensors[t];
            if values.len() != tensor.len() {
                return Err(Error::Length {
                    tensor: tensor.name.clone(),
                    found: values.len(),
                    expected: tensor.len(),
                    shape: tensor.shape.clone(),
                    hint: "",
                });
            }
            finite(&tensor.name, values)?;
        }
        Ok(())
    }

    fn check_finite(&self, values: &[Vec<f32>]) -> Result<(), Error> {
        self.tensors
            .iter()
            .zip(values)
            .try_for_each(|(tensor, values)| finite(&tensor.name, values))
    }

    /// The error with the node and its operator, if it is about one whose operator it does not name.
    pub(crate) fn named(&self, error: Error) -> Error {
        use zkernel_gadgets::model::{GraphError, RunError};
        let about = match &error {
            Error::Overflow { node, .. } | Error::Run(RunError::OutOfRange { node, .. }) => node,
            Error::Graph(GraphError::Invalid { name, .. }) => name,
            Error::Plan { node, .. } => node,
            Error::NotFinite { tensor, .. } => tensor,
            // tract quotes the name of the node that it fails at.
            Error::Float(problem) => problem.split('"').nth(1).unwrap_or_default(),
            _ => return error,
        };
        let known = |name: &str| self.operators.get(name).cloned();
        let start = |end: char| about.split_once(end).and_then(|(name, _)| known(name));
        let cut = |end: char| about.rsplit_once(end).and_then(|(name, _)| known(name));
        let found = known(about).or_else(|| start('#')).or_else(|| cut('.'));
        match found {
            Some((node, op)) => Error::Node {
                node,
                op,
                source: Box::new(error),
            },
            None => error,
        }
    }

    /// The integers that a made-up input has, if it has integers.
    pub(crate) fn guessed_range(&self, input: usize, kind: Values) -> Option<[i64; 2]> {
        let rows = self.chosen_rows(input).map(|rows| [0, rows as i64 - 1]);
        match kind {
            Values::Whole(range) => rows.or(range).or(Some([0, 1])),
            Values::Real => rows,
        }
    }

    /// How many rows the smallest matrix has of which a tensor's values choose rows, views seen through.
    fn chosen_rows(&self, tensor: usize) -> Option<usize> {
        let read = |reader: &FloatNode| match &reader.op {
            FloatOp::Gather { rows, .. } => Some(*rows),
            FloatOp::Reshape | FloatOp::Transpose(_) => self.chosen_rows(reader.output),
            FloatOp::Affine { pieces, constant } => {
                let same = pieces.iter().all(|(factor, _)| *factor == 1.0) && *constant == 0.0;
                let rows = || self.chosen_rows(reader.output);
                (same && reader.inputs.len() == 1).then(rows)?
            }
            _ => None,
        };
        self.readers(tensor).filter_map(read).min()
    }

    /// Whether a tensor is one label: the position of a largest value, or a comparison, or what is looked up by it.
    pub(crate) fn is_label(&self, tensor: usize) -> bool {
        let writer = self.nodes.iter().find(|n| n.output == tensor);
        let one = self.tensors[tensor].len() == 1;
        writer.filter(|_| one).is_some_and(|node| match &node.op {
            FloatOp::ArgMax | FloatOp::Positive => true,
            FloatOp::Gather { weights, .. } if weights.iter().any(|w| w.fract() != 0.0) => false,
            FloatOp::Gather { .. } | FloatOp::Reshape | FloatOp::Affine { .. } => {
                matches!(node.inputs[..], [input] if self.is_label(input))
            }
            _ => false,
        })
    }

    /// The nodes that read a tensor.
    pub(crate) fn readers(&self, tensor: usize) -> impl Iterator<Item = &FloatNode> {
        self.nodes
            .iter()
            .filter(move |n| n.inputs.contains(&tensor))
    }

    /// Whether softmaxes alone read a tensor, seen through views.
    fn is_for_softmaxes(&self, tensor: usize) -> bool {
        let read = |reader: &FloatNode| match reader.op {
            FloatOp::Softmax => true,
            FloatOp::Reshape | FloatOp::Transpose(_) => self.is_for_softmaxes(reader.output),
            _ => false,
        };
        !self.outputs.contains(&tensor) && self.readers(tensor).all(read)
    }

    /// Whether a node adds a mask: a constant with very negative entries, to what softmaxes alone read.
    pub(crate) fn masks(&self, node: &FloatNode) -> bool {
        let masking = |t: &usize| {
            let writer = self.nodes.iter().find(|n| n.output == *t);
            matches!(writer.map(|n| &n.op), Some(FloatOp::Constant(values)) if values.iter().any(|v| *v <= MASKING))
        };
        matches!(node.op, FloatOp::Affine { .. })
            && node.inputs.iter().any(masking)
            && self.is_for_softmaxes(node.output)
    }

    /// Whether a tensor has masked entries, seen through views.
    pub(crate) fn is_masked(&self, tensor: usize) -> bool {
        let writer = self.nodes.iter().find(|n| n.output == tensor);
        writer.is_some_and(|node| match node.op {
            FloatOp::Reshape | FloatOp::Transpose(_) => self.is_masked(node.inputs[0]),
            _ => self.masks(node),
        })
    }

    /// Layers, shapes, parameters and multiply-accumulates.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let layers: Vec<Layer> = self.nodes.iter().map(|n| self.layer(n)).collect();
        Summary {
            name: self.name.clone(),
            inputs: self
                .inputs
                .iter()
                .map(|&t| self.tensors[t].clone())
                .collect(),
            outputs: self
                .outputs
                .iter()
                .map(|&t| self.tensors[t].clone())
                .collect(),
            params: layers.iter().map(|l| l.params).sum(),
            macs: layers.iter().map(|l| l.macs).sum(),
            layers,
            unsupported: Vec::new(),
        }
    }

    fn layer(&self, node: &FloatNode) -> Layer {
        let shape = self.tensors[node.output].shape.clone();
        let (params, macs) = match node.op.linear() {
            Some((rows, weights, bias)) => (
                weights.len() + bias.map_or(0, <[f32]>::len),
                self.tensors[node.output].len() * (weights.len() / rows.max(1)),
            ),
            None => (0, 0),
        };
        Layer {
            name: node.name.clone(),
            op: node.op.name(),
            shape,
            params,
            macs,
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

fn finite(tensor: &str, values: &[f32]) -> Result<(), Error> {
    match values.iter().position(|v| !v.is_finite()) {
        Some(index) => Err(Error::NotFinite {
            tensor: tensor.into(),
            index,
            value: values[index],
        }),
        None => Ok(()),
    }
}

/// One layer of a [`Summary`].
#[derive(Clone, Debug, serde::Serialize)]
pub struct Layer {
    /// Node name.
    pub name: String,
    /// Operator and size.
    pub op: String,
    /// Output shape.
    pub shape: Vec<usize>,
    /// Weights and biases.
    pub params: usize,
    /// Multiply-accumulates.
    pub macs: usize,
}

/// What `inspect` prints about an ONNX file.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Summary {
    /// Name of the graph.
    pub name: String,
    /// Inputs.
    pub inputs: Vec<FloatTensor>,
    /// Outputs.
    pub outputs: Vec<FloatTensor>,
    /// Layers in order.
    pub layers: Vec<Layer>,
    /// All parameters.
    pub params: usize,
    /// All multiply-accumulates.
    pub macs: usize,
    /// Nodes that cannot be proven; empty for a loaded model.
    pub unsupported: Vec<UnsupportedNode>,
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "{}: {} parameters, {} multiply-accumulates",
            self.name, self.params, self.macs
        )?;
        for t in &self.inputs {
            writeln!(f, "  input  {:<24} {:?}", t.name, t.shape)?;
        }
        for l in &self.layers {
            writeln!(f, "  {:<31} {:<18} {:?}", l.name, l.op, l.shape)?;
        }
        for t in &self.outputs {
            writeln!(f, "  output {:<24} {:?}", t.name, t.shape)?;
        }
        for n in &self.unsupported {
            writeln!(
                f,
                "  unsupported: node `{}` ({}): {}",
                n.node, n.op, n.problem
            )?;
        }
        Ok(())
    }
}
