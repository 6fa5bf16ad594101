//! What becomes of a case.

use std::panic::{AssertUnwindSafe, catch_unwind};

use prost::Message;
use tract_onnx::pb::NodeProto;
use zkernel_gadgets::model::{Honest, run};
use zkernel_onnx::{Limits, Model, Options, Quantized, Samples, dequantize, quantize};

use crate::proof::{KnownGenerators, prove_and_verify};
use crate::values::{Values, decode};
use crate::{Case, fixed};

/// Largest error of a float output, relative to the largest expected value of its tensor. Outputs that the file has as integers or
/// bits are exact.
pub const FLOAT_BOUND: f64 = 0.02;

/// How far a case is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// To the integer run and its comparison.
    Run,
    /// To a verified proof.
    Proof,
}

/// What became of a case.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Imported, run, as expected, and (if asked for) proven and verified.
    Proven {
        /// Largest error relative to the largest expected value of its tensor.
        error: f64,
    },
    /// Refused in words that name a node and its operator.
    Refused {
        /// The node's operator.
        op: String,
        /// Why, of the first refused node.
        problem: String,
    },
    /// A wrong output, a panic, or an error that names no operator.
    Failed {
        /// What happened.
        problem: String,
    },
}

/// Runs a case; panics are caught, and are failures.
#[must_use]
pub fn outcome(case: &Case, depth: Depth, known: &mut KnownGenerators) -> Outcome {
    catch_unwind(AssertUnwindSafe(|| attempt(case, depth, known)))
        .unwrap_or_else(|panic| Err(Stop::Failed(format!("panic: {}", message(&*panic)))))
        .map_or_else(Stop::outcome, |error| Outcome::Proven { error })
}

/// Why a case went no further.
enum Stop {
    Refused { op: String, problem: String },
    Failed(String),
}

impl Stop {
    fn outcome(self) -> Outcome {
        match self {
            Self::Refused { op, problem } => Outcome::Refused { op, problem },
            Self::Failed(problem) => Outcome::Failed { problem },
        }
    }

    /// A refusal if the error names a node and its operator.
    fn of(error: &zkernel_onnx::Error, nodes: &[NodeProto]) -> Self {
        let words = error.to_string();
        let named = nodes.iter().filter_map(|node| {
            let own = match node.name.is_empty() {
                true => node.output.first().map_or("", String::as_str),
                false => &node.name,
            };
            let (_, problem) = words.split_once(&format!("node `{own}` ({}): ", node.op_type))?;
            let problem = problem.split("; node `").next().unwrap_or(problem);
            Some((node.op_type.clone(), problem.to_owned()))
        });
        match (named.into_iter().next(), error) {
            (Some((op, problem)), _) => Self::Refused { op, problem },
            // No operator is to blame for what is not a number to begin with: the first that reads it is named.
            (None, zkernel_onnx::Error::NotFinite { tensor, .. }) => {
                let reader = nodes.iter().find(|node| node.input.contains(tensor));
                reader.map_or(Self::Failed(words), |node| Self::Refused {
                    op: node.op_type.clone(),
                    problem: "infinities or numbers that are none, which no integer stands for"
                        .into(),
                })
            }
            (None, _) => Self::Failed(format!("names no operator: {words}")),
        }
    }
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()))
        .unwrap_or_default()
}

fn attempt(case: &Case, depth: Depth, known: &mut KnownGenerators) -> Result<f64, Stop> {
    let failed = |problem: String| Stop::Failed(problem);
    let mut proto = case.proto().map_err(|e| failed(e.to_string()))?;
    let graph = proto
        .graph
        .as_mut()
        .ok_or_else(|| failed("no graph".into()))?;
    let kept = fixed::fix(graph, case);
    let nodes = graph.node.clone();
    let refused = |e: zkernel_onnx::Error| Stop::of(&e, &nodes);
    let model = Model::from_bytes(&proto.encode_to_vec(), &Limits::default()).map_err(refused)?;
    let inputs = kept
        .iter()
        .map(|i| decode(&case.inputs[*i]))
        .collect::<Option<Vec<_>>>();
    let inputs =
        inputs.ok_or_else(|| failed("an input that cannot be decoded was accepted".into()))?;
    let floats = |v: &Values| -> Vec<f32> { v.values.iter().map(|x| *x as f32).collect() };
    let sample: Vec<Vec<f32>> = inputs.iter().map(floats).collect();
    let samples = Samples::new(&model, vec![sample.clone()]).map_err(refused)?;
    let quantized = quantize(&model, &samples, &Options::default()).map_err(refused)?;
    let integers = quantized.quantize_input(&sample).map_err(refused)?;
    let error = compare(case, &quantized, &integers).map_err(failed)?;
    if depth == Depth::Proof {
        prove_and_verify(&quantized, &integers, known).map_err(failed)?;
    }
    Ok(error)
}

/// Largest error of all outputs, relative to the largest value of each, if it is within the bound.
fn compare(case: &Case, quantized: &Quantized, integers: &[Vec<i64>]) -> Result<f64, String> {
    let graph = &quantized.graph;
    let trace = run(graph, &quantized.weights, integers, &mut Honest).map_err(|e| e.to_string())?;
    if graph.outputs.len() != case.outputs.len() {
        return Err(format!(
            "{} outputs, {} expected",
            graph.outputs.len(),
            case.outputs.len()
        ));
    }
    let mut largest = 0f64;
    for (id, expected) in graph.outputs.iter().zip(&case.outputs) {
        let expected = decode(expected).ok_or("an output that cannot be decoded was computed")?;
        let shape = &graph.tensors[id.0 as usize].shape;
        if *shape != expected.shape {
            return Err(format!(
                "an output of shape {shape:?}, expected {:?}",
                expected.shape
            ));
        }
        let found = dequantize(graph, *id, &trace.values[id.0 as usize]).unwrap_or_default();
        largest = largest.max(error(&expected, &found)?);
    }
    Ok(largest)
}

fn error(expected: &Values, found: &[f64]) -> Result<f64, String> {
    let scale = expected.values.iter().fold(0f64, |m, v| m.max(v.abs()));
    let scale = if scale > 0.0 { scale } else { 1.0 };
    let mut largest = 0f64;
    for (index, (e, f)) in expected.values.iter().zip(found).enumerate() {
        let off = if expected.whole {
            (e - f.round()).abs()
        } else {
            (e - f).abs() / scale
        };
        let bound = if expected.whole { 0.0 } else { FLOAT_BOUND };
        if off > bound || off.is_nan() {
            return Err(format!("element {index} is {f}, expected {e}"));
        }
        largest = largest.max((e - f).abs() / scale);
    }
    Ok(largest)
}
