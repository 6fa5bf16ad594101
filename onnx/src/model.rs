//! The float network: our own intermediate representation, and its run through tract, which is the reference.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tract_onnx::prelude::{Tensor as TractTensor, TypedRunnableModel, tvec};

use crate::Error;
use crate::float::View;

mod op;
mod summary;

pub(crate) use op::Values;
pub use op::{Conv, FloatOp, Mode, Rounding};
pub use summary::{Layer, Summary};

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
            Error::Overflow { node, .. }
            | Error::Steps { node, .. }
            | Error::Run(RunError::OutOfRange { node, .. }) => node,
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
