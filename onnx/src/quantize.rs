//! Quantized networks and their inputs.

use zkernel_gadgets::model::{Function, Graph, TensorId, Visibility, WeightValues};

use crate::model::FloatOp;
use crate::plan::{Planned, Ranges};
use crate::search::{Goal, quantize_for};
use crate::{Error, Model, Report, Samples};

/// What is secret. The default: private input and weights, public output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Who learns the input.
    pub input: Visibility,
    /// Who learns the output.
    pub output: Visibility,
    /// Who learns the weights.
    pub weights: Visibility,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            input: Visibility::Private,
            output: Visibility::Public,
            weights: Visibility::Private,
        }
    }
}

/// A network on integers, its weights, and how it does on the calibration samples.
#[derive(Clone, Debug)]
pub struct Quantized {
    /// The graph, without secret values.
    pub graph: Graph,
    /// Its weights.
    pub weights: WeightValues,
    /// Accuracy on the calibration samples.
    pub report: Report,
    pub(crate) planned: Planned,
}

/// Error of the output, and of a function's values, relative to the largest: beyond it nothing is left of them.
const HOPELESS: f64 = 0.5;
/// The same of logarithms, of what no width tells from zero.
const LOST_LOGARITHM: f64 = 0.05;
/// The same of powers, roots being steep there.
const LOST_ROOT: f64 = 0.02;

/// Quantizes a model as precisely as [`Goal::Accuracy`] asks; see [`quantize_for`].
///
/// # Errors
/// As [`quantize_for`].
pub fn quantize(model: &Model, samples: &Samples, options: &Options) -> Result<Quantized, Error> {
    quantize_for(model, samples, options, Goal::Accuracy)
}

/// Refuses a function whose values are lost at every width: of sums of exponentials of large numbers, say.
pub(crate) fn check_error(model: &Model, ranges: &Ranges, report: &Report) -> Result<(), Error> {
    let mut layers = model.nodes.iter().zip(&report.layers);
    let lost = layers.find(|(node, layer)| {
        // A probability of a millionth is as good as none, as is a logarithm of what is all but one.
        let (limit, least) = match node.op {
            FloatOp::Function(Function::Log, _) => (LOST_LOGARITHM, 1.0),
            FloatOp::Function(Function::Pow, _) => (LOST_ROOT, 0.0),
            FloatOp::Function(Function::Sigmoid, _) => (HOPELESS, 1.0),
            FloatOp::Function(..) => (HOPELESS, 0.0),
            _ => return false,
        };
        let of_layer = layer.max_abs_error / ranges.magnitude[node.output].max(least);
        of_layer.min(report.relative_error) > limit
    });
    match lost {
        Some((node, _)) => Err(Error::Plan {
            node: node.name.clone(),
            problem: "spans too many orders of magnitude for integers: no width keeps its values",
        }),
        None => Ok(()),
    }
}

impl Quantized {
    /// See [`quantize_input`].
    ///
    /// # Errors
    /// As [`quantize_input`].
    pub fn quantize_input(&self, inputs: &[Vec<f32>]) -> Result<Vec<Vec<i64>>, Error> {
        quantize_input(&self.graph, inputs)
    }

    /// Accuracy on other samples.
    ///
    /// # Errors
    /// [`Error::InputRange`] or [`Error::Run`] for a sample that leaves the calibrated range.
    pub fn evaluate(&self, model: &Model, samples: &Samples) -> Result<Report, Error> {
        crate::evaluate(model, self, samples)
    }
}

/// The integers of one sample, rounded half up.
///
/// # Errors
/// [`Error::InputRange`] for a value that the calibration does not cover, [`Error::NotFinite`], [`Error::Length`].
pub fn quantize_input(graph: &Graph, inputs: &[Vec<f32>]) -> Result<Vec<Vec<i64>>, Error> {
    if inputs.len() != graph.inputs.len() {
        let (found, expected) = (inputs.len(), graph.inputs.len());
        return Err(Error::Samples(format!(
            "{found} inputs given, the model has {expected}"
        )));
    }
    graph
        .inputs
        .iter()
        .zip(inputs)
        .map(|(&id, values)| integers(graph, id, values))
        .collect()
}

fn integers(graph: &Graph, id: TensorId, values: &[f32]) -> Result<Vec<i64>, Error> {
    let tensor = &graph.tensors[id.0 as usize];
    let expected: usize = tensor.shape.iter().product();
    if values.len() != expected {
        return Err(Error::Length {
            tensor: tensor.name.clone(),
            found: values.len(),
            expected,
            shape: tensor.shape.clone(),
            hint: "",
        });
    }
    let convert = |(index, &value): (usize, &f32)| {
        if !value.is_finite() {
            return Err(Error::NotFinite {
                tensor: tensor.name.clone(),
                index,
                value,
            });
        }
        let q = (f64::from(value) / tensor.scale + 0.5).floor() as i64;
        let q = q.saturating_add(tensor.zero_point);
        if tensor.range.contains(q) {
            return Ok(q);
        }
        let real = |q: i64| (q - tensor.zero_point) as f64 * tensor.scale;
        Err(Error::InputRange {
            tensor: tensor.name.clone(),
            index,
            value,
            min: real(tensor.range.min),
            max: real(tensor.range.max),
        })
    };
    values.iter().enumerate().map(convert).collect()
}

/// The real values of a tensor's integers, `scale * (q - zero_point)`; `None` if the graph has no such tensor.
///
/// ```
/// use zkernel_onnx::{Limits, Model, Options, Samples, dequantize, quantize, quantize_input};
///
/// let bytes = include_bytes!("../../models/logreg/network.onnx");
/// let model = Model::from_bytes(bytes, &Limits::default())?;
/// let graph = quantize(&model, &Samples::guessed(&model), &Options::default())?.graph;
/// let input = [vec![0.5; 30]];
/// let integers = quantize_input(&graph, &input)?;
/// let again = dequantize(&graph, graph.inputs[0], &integers[0]).expect("an input");
/// let step = graph.tensors[graph.inputs[0].0 as usize].scale;
/// assert!(again.iter().all(|value| (value - 0.5).abs() <= 0.5 * step));
/// # Ok::<(), zkernel_onnx::Error>(())
/// ```
#[must_use]
pub fn dequantize(graph: &Graph, tensor: TensorId, integers: &[i64]) -> Option<Vec<f64>> {
    let tensor = graph.tensors.get(tensor.0 as usize)?;
    let real = |&q: &i64| (q as f64 - tensor.zero_point as f64) * tensor.scale;
    Some(integers.iter().map(real).collect())
}
