//! Accuracy: the integer run against the float run, layer by layer.

use std::borrow::Cow;
use std::fmt;

use rayon::prelude::*;
use zkernel_gadgets::model::{Honest, Interval, Op, Owner, Role, Trace, run};

use crate::model::FloatOp;
use crate::plan::{Planned, Widths};
use crate::{Error, Model, Quantized, Samples, dequantize, quantize_input};

/// One layer.
#[derive(Clone, Debug, serde::Serialize)]
pub struct LayerReport {
    /// Node name.
    pub name: String,
    /// Operator.
    pub op: String,
    /// Largest absolute error against float, in real units.
    pub max_abs_error: f64,
    /// Mean absolute error.
    pub mean_abs_error: f64,
    /// Table keys covered, if the layer ends in a table.
    pub table: Option<[i64; 2]>,
    /// Smallest and largest key seen.
    pub seen: Option<[i64; 2]>,
    /// How many times the seen range fits into the table: below 1 cannot be proven, 1 is saturation.
    pub headroom: Option<f64>,
    /// Keys seen at the very edge of the table.
    pub saturated: usize,
    /// How many keys were seen in each of [`HISTOGRAM_BINS`] equal parts of the table, from its first key on; empty without a table.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub histogram: Vec<u64>,
}

/// Parts of a table that keys are counted in.
pub const HISTOGRAM_BINS: usize = 32;

/// The whole network on a set of samples.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Report {
    /// Number of samples.
    pub samples: usize,
    /// Bits chosen.
    pub widths: Widths,
    /// Share of samples with the same decision: largest output, or output over one half for a single probability.
    pub top1_agreement: f64,
    /// Largest absolute error of an output.
    pub max_abs_error: f64,
    /// That error, divided by the largest output.
    pub relative_error: f64,
    /// By layer.
    pub layers: Vec<LayerReport>,
}

/// Accuracy of a quantized model on samples.
///
/// # Errors
/// [`Error::InputRange`] or [`Error::Run`] for a sample that leaves the calibrated range.
pub fn evaluate(model: &Model, quantized: &Quantized, samples: &Samples) -> Result<Report, Error> {
    let samples = samples.as_slice();
    let floats = |index: usize| model.run_all(&samples[index]).map(Cow::Owned);
    let widths = quantized.report.widths;
    measure(model, &quantized.planned, widths, samples.len(), floats)
}

/// As [`evaluate`] for so many samples, by the float values of all tensors of each. Threads share the samples; what is found does
/// not depend on how.
pub(crate) fn measure<'a>(
    model: &Model,
    planned: &Planned,
    widths: Widths,
    count: usize,
    floats: impl Fn(usize) -> Result<Cow<'a, [Vec<f32>]>, Error> + Sync,
) -> Result<Report, Error> {
    let samples = (0..count).into_par_iter();
    let one = |index: usize| Measured::of(model, planned, &floats(index)?);
    let samples: Vec<Measured> = samples.map(one).collect::<Result<_, Error>>()?;
    let mut all = Measured::new(model, planned);
    samples.iter().for_each(|sample| all.add(sample));
    let layers = model.nodes.iter().zip(&all.layers);
    Ok(Report {
        samples: count,
        widths,
        top1_agreement: all.agree as f64 / count.max(1) as f64,
        max_abs_error: all.whole.max,
        relative_error: if all.largest > 0.0 {
            all.whole.max / all.largest
        } else {
            all.whole.max
        },
        layers: layers.map(|(node, errors)| errors.report(node)).collect(),
    })
}

/// What some samples say.
struct Measured {
    /// By layer.
    layers: Vec<Errors>,
    /// Of the outputs.
    whole: Errors,
    /// Samples with the same decision.
    agree: usize,
    /// Largest magnitude of an output.
    largest: f64,
}

impl Measured {
    /// Of no sample.
    fn new(model: &Model, planned: &Planned) -> Self {
        let keys_of = |node: &crate::FloatNode| Errors {
            keys: table_of(planned, node).map(Keys::new),
            ..Errors::default()
        };
        Self {
            layers: model.nodes.iter().map(keys_of).collect(),
            whole: Errors::default(),
            agree: 0,
            largest: 0.0,
        }
    }

    /// Of one.
    fn of(model: &Model, planned: &Planned, sample: &[Vec<f32>]) -> Result<Self, Error> {
        let mut measured = Self::new(model, planned);
        let inputs: Vec<Vec<f32>> = model.inputs.iter().map(|&t| sample[t].clone()).collect();
        let integers = quantize_input(&planned.graph, &inputs)?;
        let trace = run(&planned.graph, &planned.weights, &integers, &mut Honest)?;
        let own = |node: &crate::FloatNode| {
            planned.placed.contains_key(&node.output) && !planned.fused.contains(&node.output)
        };
        let nodes = model.nodes.iter().zip(&mut measured.layers);
        for (node, errors) in nodes.filter(|(node, _)| own(node)) {
            errors.measure(&sample[node.output], &reals(planned, &trace, node.output));
            if let Some(known) = &mut errors.keys {
                known.count(&keys(planned, &trace, node.output));
            }
        }
        let mut same = true;
        for &t in &model.outputs {
            let (float, found) = (widen(&sample[t]), reals(planned, &trace, t));
            same &= decision(model, t, &found) == decision(model, t, &float);
            // Labels are right or wrong: beside scores they say nothing of how far these are off.
            if model.outputs.len() > 1 && model.is_label(t) {
                continue;
            }
            measured.whole.measure(&sample[t], &found);
            let largest = float.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
            measured.largest = measured.largest.max(largest);
        }
        measured.agree = usize::from(same);
        Ok(measured)
    }

    fn add(&mut self, other: &Self) {
        for (own, other) in self.layers.iter_mut().zip(&other.layers) {
            own.add(other);
        }
        self.whole.add(&other.whole);
        self.agree += other.agree;
        self.largest = self.largest.max(other.largest);
    }
}

fn widen(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

fn reals(planned: &Planned, trace: &Trace, float: usize) -> Vec<f64> {
    let id = planned.placed[&float];
    dequantize(&planned.graph, id, &trace.values[id.0 as usize]).unwrap_or_default()
}

/// Position of the node that writes a float tensor.
fn writer(planned: &Planned, float: usize) -> Option<usize> {
    let id = *planned.placed.get(&float)?;
    planned.graph.nodes.iter().position(|n| n.output == id)
}

fn keys(planned: &Planned, trace: &Trace, float: usize) -> Vec<i64> {
    writer(planned, float)
        .map(|n| {
            let key = |role: &Role| matches!(role, Role::Quotient | Role::Key(_));
            let cells = trace.cells.iter();
            let of_node = cells.filter(|((owner, role), _)| *owner == Owner::Node(n) && key(role));
            of_node.flat_map(|(_, values)| values).copied().collect()
        })
        .unwrap_or_default()
}

/// The class: for one value, whether a probability exceeds 1/2 (a logit 0); else the first maximum.
fn decision(model: &Model, tensor: usize, values: &[f64]) -> usize {
    let threshold = match model
        .nodes
        .iter()
        .find(|n| n.output == tensor)
        .map(|n| &n.op)
    {
        Some(FloatOp::ArgMax) => return values.first().map_or(0, |&v| v as usize),
        Some(_) if model.is_label(tensor) => {
            // A number of a class, or another whole label of one.
            return values.first().map_or(0, |&v| v.round() as i64 as usize);
        }
        Some(FloatOp::Dense { .. }) => 0.0,
        _ => 0.5,
    };
    if let [one] = values {
        return usize::from(*one > threshold);
    }
    let start = (0, f64::NEG_INFINITY);
    let pick = |best: (usize, f64), (i, &v): (usize, &f64)| if v > best.1 { (i, v) } else { best };
    values.iter().enumerate().fold(start, pick).0
}

/// The keys of the table that a layer ends in.
fn table_of(planned: &Planned, node: &crate::FloatNode) -> Option<Interval> {
    let op = writer(planned, node.output).map(|n| &planned.graph.nodes[n].op);
    match op {
        Some(
            Op::Requantize { table, .. }
            | Op::RequantizeMax { table, .. }
            | Op::MaxPool { table, .. },
        ) => Some(planned.graph.tables[table.0 as usize].keys),
        _ => None,
    }
}

#[derive(Clone, Default)]
struct Errors {
    max: f64,
    sum: f64,
    count: usize,
    keys: Option<Keys>,
}

/// Keys of a table that were seen.
#[derive(Clone)]
struct Keys {
    table: Interval,
    seen: Option<Interval>,
    edge: usize,
    bins: Vec<u64>,
}

impl Keys {
    fn new(table: Interval) -> Self {
        Self {
            table,
            seen: None,
            edge: 0,
            bins: vec![0; HISTOGRAM_BINS],
        }
    }

    fn see(&mut self, key: Interval) {
        let seen = self.seen.unwrap_or(key);
        self.seen = Some(Interval::new(seen.min.min(key.min), seen.max.max(key.max)));
    }

    fn count(&mut self, keys: &[i64]) {
        let Interval { min, max } = self.table;
        let rows = max.abs_diff(min) as f64 + 1.0;
        for &key in keys {
            self.see(Interval::new(key, key));
            self.edge += usize::from(key == min || key == max);
            // Keys of a table lie in it: an honest run has no others.
            let bin = key.abs_diff(min) as f64 * HISTOGRAM_BINS as f64 / rows;
            if let Some(count) = self.bins.get_mut(bin as usize) {
                *count += 1;
            }
        }
    }

    fn add(&mut self, other: &Self) {
        if let Some(seen) = other.seen {
            self.see(seen);
        }
        self.edge += other.edge;
        let bins = self.bins.iter_mut().zip(&other.bins);
        bins.for_each(|(own, other)| *own += other);
    }

    /// How many times the seen range fits into the table.
    fn headroom(&self) -> Option<f64> {
        let (table, seen) = (self.table, self.seen?);
        let side = |fits: bool, end: i64, own: i64| {
            if fits {
                end as f64 / own as f64
            } else {
                f64::INFINITY
            }
        };
        let low = side(seen.min < 0, table.min, seen.min);
        let high = side(seen.max > 0, table.max, seen.max);
        Some(low.min(high).min(1e9))
    }
}

impl Errors {
    fn add(&mut self, other: &Self) {
        self.max = self.max.max(other.max);
        self.sum += other.sum;
        self.count += other.count;
        if let (Some(own), Some(other)) = (&mut self.keys, &other.keys) {
            own.add(other);
        }
    }

    fn measure(&mut self, float: &[f32], integer: &[f64]) {
        for (&f, &q) in float.iter().zip(integer) {
            let error = (f64::from(f) - q).abs();
            self.max = self.max.max(error);
            self.sum += error;
            self.count += 1;
        }
    }

    fn report(&self, node: &crate::FloatNode) -> LayerReport {
        let keys = self.keys.as_ref();
        LayerReport {
            name: node.name.clone(),
            op: node.op.name(),
            max_abs_error: self.max,
            mean_abs_error: self.sum / self.count.max(1) as f64,
            table: keys.map(|k| [k.table.min, k.table.max]),
            seen: keys.and_then(|k| k.seen).map(|seen| [seen.min, seen.max]),
            headroom: keys.and_then(Keys::headroom),
            saturated: keys.map_or(0, |k| k.edge),
            histogram: keys.map_or_else(Vec::new, |k| k.bins.clone()),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} samples: same decision {:.2} %, largest output error {:.3e} ({:.3} %); {} bits dropped, {} bits of activations",
            self.samples,
            100.0 * self.top1_agreement,
            self.max_abs_error,
            100.0 * self.relative_error,
            self.widths.shift,
            self.widths.activation
        )?;
        writeln!(
            f,
            "{:<28} {:<16} {:>10} {:>10} {:>9} {:>6}",
            "layer", "op", "max error", "mean", "headroom", "edge"
        )?;
        for l in &self.layers {
            let headroom = l.headroom.map_or(String::from("-"), |h| format!("{h:.1}x"));
            writeln!(
                f,
                "{:<28} {:<16} {:>10.2e} {:>10.2e} {headroom:>9} {:>6}",
                l.name, l.op, l.max_abs_error, l.mean_abs_error, l.saturated
            )?;
        }
        Ok(())
    }
}
