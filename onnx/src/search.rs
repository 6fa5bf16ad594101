//! The search for bit widths: of those that keep what a goal asks for on the calibration samples, the cheapest.

mod cells;

use std::borrow::Cow;

use rayon::prelude::*;

use cells::cells;

use crate::plan::{Planned, Ranges, Widths, build};
use crate::quantize::{Options, Quantized, check_error};
use crate::report::measure;
use crate::{Error, FloatNode, FloatOp, Model, Report, Samples};

/// What quantization must keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Goal {
    /// Every decision on the calibration samples, and outputs within 0.3 % of the largest.
    #[default]
    Accuracy,
    /// 99 % of the decisions, and outputs within 1 % of the largest.
    Fast,
}

impl Goal {
    /// Least share of samples that keep their decision.
    #[must_use]
    pub const fn least_agreement(self) -> f64 {
        match self {
            Self::Accuracy => 1.0,
            Self::Fast => 0.99,
        }
    }

    /// Largest error of an output, relative to the largest output.
    #[must_use]
    pub const fn most_error(self) -> f64 {
        match self {
            Self::Accuracy => 0.003,
            Self::Fast => 0.01,
        }
    }

    /// Whether decisions and outputs are kept as well as the goal asks.
    #[must_use]
    pub fn is_met(self, report: &Report) -> bool {
        self.keeps_decisions(report) && report.relative_error <= self.most_error()
    }

    /// Whether as many decisions are kept as the goal asks. Where no widths bring the error below the bound, as for outputs
    /// that are all but zero, the widths with the least error are chosen, and this alone remains of the goal.
    #[must_use]
    pub fn keeps_decisions(self, report: &Report) -> bool {
        report.top1_agreement >= self.least_agreement()
    }
}

/// Bits dropped after a linear layer, by the limbs that they take: one, two, two and three.
const SHIFTS: [u32; 4] = [8, 12, 16, 20];
/// Bits of activations.
const ACTIVATIONS: std::ops::RangeInclusive<u32> = 7..=13;
/// More bits of activations, where none of these meet the goal; for models of at most so many values, whose cells do not count.
const FINER: std::ops::RangeInclusive<u32> = 14..=17;
const FINER_VALUES: usize = 1 << 14;
/// What they must err less than fewer bits.
const WORTH: f64 = 0.7;
/// What widths may err more than the best, where none meet the goal.
const NEAR_BEST: f64 = 1.1;
/// How many times the fewest cells are no more to speak of: cells are an estimate.
const NEAR_FEWEST: f64 = 1.08;
/// The share of the bound below which errors are all the same.
const MOST_PRECISE: f64 = 0.25;
/// Samples on which widths are compared, by the work of all together: at most so many and, however large the model, so many at
/// least. The widths chosen are checked on all samples.
const SEARCH_SAMPLES: usize = 64;
const SEARCH_WORK: u64 = 1 << 32;
pub(crate) const FEWEST_SAMPLES: usize = 4;
/// Bytes of float values that are kept; those of further samples are made again where they are asked for.
const KEPT_BYTES: usize = 1 << 31;

/// Quantizes a model as precisely as the goal asks, with the fewest cells that a layout can be expected to have.
///
/// For each number of bits dropped the least bits of activations that meet the goal are found by bisection, and the cells of these networks
/// are compared. If no widths meet the goal, those are taken that err the least, or hardly more with fewer bits: see [`Goal::is_met`].
///
/// # Errors
/// [`Error::Node`] names the node and its operator where one is at fault: of [`Error::Plan`] if no width keeps what it computes, of
/// [`Error::Overflow`] if accumulators may exceed 62 bits; [`Error::Float`] if the reference fails; [`Error::Graph`] if
/// the network is no valid graph.
pub fn quantize_for(
    model: &Model,
    samples: &Samples,
    options: &Options,
    goal: Goal,
) -> Result<Quantized, Error> {
    searched(model, samples, options, goal).map_err(|error| model.named(error))
}

fn searched(
    model: &Model,
    samples: &Samples,
    options: &Options,
    goal: Goal,
) -> Result<Quantized, Error> {
    let all = samples.as_slice();
    let kept = kept_samples(model, all.len());
    let floats = kept.par_iter().map(|index| model.run_all(&all[*index]));
    let floats = floats.collect::<Result<Vec<_>, _>>()?;
    let work = model.work().max(1);
    let few = usize::try_from(SEARCH_WORK / work).unwrap_or(usize::MAX);
    let mut search = Search {
        model,
        options,
        goal,
        ranges: Ranges::new(model, &floats),
        samples: all,
        few: few.clamp(FEWEST_SAMPLES, SEARCH_SAMPLES).min(kept.len()),
        largest: largest_output(model, &floats),
        kept,
        floats,
        tried: Vec::new(),
    };
    let quantized = search.best()?;
    check_error(model, &search.ranges, &quantized.report)?;
    Ok(quantized)
}

/// Largest magnitude of an output that is no label beside others.
fn largest_output(model: &Model, floats: &[Vec<Vec<f32>>]) -> f64 {
    let scores = |t: &&usize| model.outputs.len() == 1 || !model.is_label(**t);
    let outputs = model.outputs.iter().filter(scores);
    let values = outputs.flat_map(|t| floats.iter().flat_map(|sample| &sample[*t]));
    values.fold(0.0, |most, value| most.max(f64::from(value.abs())))
}

/// Which of so many samples have their float values kept: all if there is room, else as many as there is room for, spread evenly.
fn kept_samples(model: &Model, count: usize) -> Vec<usize> {
    let each = size_of::<f32>() * calibrated_values(model).max(1);
    let kept = (KEPT_BYTES / each).clamp(FEWEST_SAMPLES, count.max(FEWEST_SAMPLES));
    let kept = kept.min(count);
    (0..kept).map(|index| index * count / kept).collect()
}

/// Bytes that a calibration takes at once: the float values of all samples, and the weights and values of the integer networks compared.
#[must_use]
pub fn calibration_bytes(model: &Model, samples: &Samples) -> u64 {
    let values = calibrated_values(model);
    let weights: usize = model.nodes.iter().map(weights_of).sum();
    let floats = kept_samples(model, samples.as_slice().len()).len() * values * size_of::<f32>();
    let integers = (2 * weights + 4 * values) * size_of::<i64>();
    (floats + integers) as u64
}

fn calibrated_values(model: &Model) -> usize {
    model.tensors.iter().map(|t| t.len()).sum()
}

fn weights_of(node: &FloatNode) -> usize {
    match &node.op {
        FloatOp::Gather { weights, .. } | FloatOp::Constant(weights) => weights.len(),
        op => op.linear().map_or(0, |(_, weights, bias)| {
            weights.len() + bias.map_or(0, <[f32]>::len)
        }),
    }
}

struct Search<'a> {
    model: &'a Model,
    options: &'a Options,
    goal: Goal,
    ranges: Ranges,
    /// All samples.
    samples: &'a [Vec<Vec<f32>>],
    /// The samples whose float values are kept, and these: of all tensors.
    kept: Vec<usize>,
    floats: Vec<Vec<Vec<f32>>>,
    /// On how many of these widths are compared.
    few: usize,
    /// Largest magnitude of an output on all of these, which errors are relative to however few they are measured on.
    largest: f64,
    /// Widths that run.
    tried: Vec<Tried>,
}

/// How widths do on the samples that they are compared on.
struct Tried {
    widths: Widths,
    /// Of the outputs, one more if decisions change.
    error: f64,
    /// Whether the goal is met.
    met: bool,
    report: Report,
}

impl Search<'_> {
    /// The cheapest that meets the goal on all samples, or the nearest to it.
    fn best(&mut self) -> Result<Quantized, Error> {
        for widths in self.ranked()? {
            let quantized = self.quantized(widths)?;
            if self.goal.is_met(&quantized.report) {
                return Ok(quantized);
            }
        }
        // Products of products and other small models that lose much: more bits, though tables grow with them.
        let shift = SHIFTS[SHIFTS.len() - 1];
        let mut best: Option<Quantized> = None;
        for activation in FINER.filter(|_| calibrated_values(self.model) <= FINER_VALUES) {
            let Ok(finer) = self.quantized(Widths { shift, activation }) else {
                continue;
            };
            if self.goal.is_met(&finer.report) {
                return Ok(finer);
            }
            let better =
                |best: &Quantized| finer.report.relative_error < best.report.relative_error;
            if best.as_ref().is_none_or(better) {
                best = Some(finer);
            }
        }
        let nearest = self.nearest();
        let Ok(known) = &nearest else {
            return best.map_or(nearest, Ok);
        };
        let kept = |quantized: &Quantized| self.goal.keeps_decisions(&quantized.report);
        let worth = |best: &Quantized| {
            let less = best.report.relative_error < WORTH * known.report.relative_error;
            less && (kept(best) || !kept(known))
        };
        best.filter(worth).map_or(nearest, Ok)
    }

    fn plan(&self, widths: Widths) -> Result<Planned, Error> {
        build(self.model, &self.ranges, widths, self.options)
    }

    /// Whether widths meet the goal on the search's samples. Integers or tables that are too large do not, nor a run that leaves its
    /// tables.
    fn meets(&mut self, widths: Widths) -> bool {
        if let Some(tried) = self.tried(widths) {
            return tried.met;
        }
        let planned = self.plan(widths).ok();
        let Some(planned) = planned.filter(|planned| planned.graph.validate().is_ok()) else {
            return false;
        };
        let few = |index: usize| Ok(Cow::Borrowed(&self.floats[index][..]));
        let Ok(mut report) = measure(self.model, &planned, widths, self.few, few) else {
            return false;
        };
        if self.largest > 0.0 {
            report.relative_error = report.max_abs_error / self.largest;
        }
        let changed = if self.goal.keeps_decisions(&report) {
            0.0
        } else {
            1.0
        };
        let met = self.goal.is_met(&report);
        self.tried.push(Tried {
            widths,
            error: report.relative_error + changed,
            met,
            report,
        });
        met
    }

    fn tried(&self, widths: Widths) -> Option<&Tried> {
        self.tried.iter().find(|tried| tried.widths == widths)
    }

    /// Widths that meet the goal, those with the fewest cells first; but of those with hardly more than the fewest, the ones whose error
    /// is half or a quarter of the bound.
    fn ranked(&mut self) -> Result<Vec<Widths>, Error> {
        let mut counted = Vec::new();
        for widths in self.qualified() {
            let error = self.tried(widths).map_or(0.0, |tried| tried.error);
            let share = (error / self.goal.most_error()).max(MOST_PRECISE);
            counted.push((
                cells(&self.plan(widths)?.graph),
                share.log2() as i32,
                widths,
            ));
        }
        let fewest = counted.iter().map(|(cells, ..)| *cells).min().unwrap_or(0);
        let near = |cells: usize| cells as f64 <= fewest as f64 * NEAR_FEWEST;
        counted.sort_by_key(|(cells, error, _)| match near(*cells) {
            true => (0, *error, *cells),
            false => (1, 0, *cells),
        });
        Ok(counted.into_iter().map(|(.., widths)| widths).collect())
    }

    /// Widths that are worth a comparison, fewer bits dropped first.
    fn qualified(&mut self) -> Vec<Widths> {
        let mut all = Vec::new();
        // More bits dropped cost more: only for no more bits of activations.
        let mut least = *ACTIVATIONS.end();
        for shift in SHIFTS {
            if let Some(activation) = self.least_activation(shift, least) {
                least = activation;
                all.push(Widths { shift, activation });
            }
        }
        all
    }

    /// The least bits of activations that meet the goal, of so many at most, by bisection: more bits err less, but for chance.
    fn least_activation(&mut self, shift: u32, most: u32) -> Option<u32> {
        let widths = |activation| Widths { shift, activation };
        let (mut low, mut high) = (*ACTIVATIONS.start(), most);
        // Accumulators or constants of many bits may be too large.
        while high > low && self.plan(widths(high)).is_err() {
            high -= 1;
        }
        if !self.meets(widths(high)) {
            return None;
        }
        while low < high {
            let middle = (low + high) / 2;
            if self.meets(widths(middle)) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Some(high)
    }

    /// The widths with the fewest bits of those that err hardly more than the best; others if these do not keep the decisions on all
    /// samples, and others do.
    fn nearest(&mut self) -> Result<Quantized, Error> {
        let fewest = Widths {
            shift: SHIFTS[0],
            activation: *ACTIVATIONS.start(),
        };
        let least = self.tried.iter().map(|tried| tried.error);
        let near = least.fold(f64::INFINITY, f64::min) * NEAR_BEST;
        let order = |Tried { widths, error, .. }: &Tried| {
            let bits = f64::from(widths.shift + widths.activation);
            if *error <= near { bits } else { 100.0 + error }
        };
        self.tried.sort_by(|a, b| order(a).total_cmp(&order(b)));
        for tried in &self.tried {
            let quantized = self.quantized(tried.widths)?;
            if self.goal.keeps_decisions(&quantized.report) {
                return Ok(quantized);
            }
        }
        self.quantized(self.tried.first().map_or(fewest, |tried| tried.widths))
    }

    /// The network with those widths, checked on all samples.
    fn quantized(&self, widths: Widths) -> Result<Quantized, Error> {
        let planned = self.plan(widths)?;
        planned.graph.validate()?;
        let known = self
            .tried(widths)
            .filter(|_| self.few == self.samples.len());
        let report = match known {
            Some(tried) => tried.report.clone(),
            None => {
                let floats = |index| self.floats(index);
                measure(self.model, &planned, widths, self.samples.len(), floats)?
            }
        };
        Ok(Quantized {
            graph: planned.graph.clone(),
            weights: planned.weights.clone(),
            report,
            planned,
        })
    }
    /// The float values of a sample, kept or made again.
    fn floats(&self, index: usize) -> Result<Cow<'_, [Vec<f32>]>, Error> {
        match self.kept.binary_search(&index) {
            Ok(kept) => Ok(Cow::Borrowed(&self.floats[kept])),
            Err(_) => self.model.run_all(&self.samples[index]).map(Cow::Owned),
        }
    }
}
