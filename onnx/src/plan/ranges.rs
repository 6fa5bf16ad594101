//! What the calibration samples say about magnitudes.

use std::collections::BTreeMap;

use zkernel_gadgets::model::{Function, Interval};

use super::MARGIN;
use super::columns::{self, Column};
use super::lines::jumps;
use crate::Model;
use crate::model::{FloatNode, FloatOp, MASKING, Values};

/// How far the ranges of layers of the same weights may be apart to be the same.
const TIED: f64 = 8.0;

/// What calibration found out.
#[derive(Clone, Debug)]
pub(crate) struct Ranges {
    /// Largest magnitude of every tensor, with the floor that tiny calibration sets need.
    pub(crate) magnitude: Vec<f64>,
    /// Largest difference within a row, of tensors whose rows a softmax reads; nothing where values are masked.
    pub(crate) spread: BTreeMap<usize, f64>,
    /// Integers of every network input.
    pub(crate) inputs: Vec<InputGrid>,
    /// Columns of tables that weights multiply.
    pub(crate) columns: BTreeMap<usize, Vec<Column>>,
}

impl Ranges {
    pub(crate) fn new(model: &Model, floats: &[Vec<Vec<f32>>]) -> Self {
        let mut magnitude: Vec<f64> = (0..model.tensors.len())
            .map(|t| {
                let masked = model.is_masked(t);
                let shown = all(floats, t).filter(|v| !masked || *v > f64::from(MASKING));
                shown.fold(0.0, |m, v| v.abs().max(m))
            })
            .collect();
        let columns = columns::columns(model, floats);
        for node in &model.nodes {
            if let Some((rows, weights, bias)) = node.op.linear() {
                let cols = weights.len() / rows.max(1);
                if let Some(floor) = columns
                    .get(&node.inputs[0])
                    .and_then(|c| columns::floor(c, weights, bias))
                {
                    magnitude[node.output] = magnitude[node.output].max(floor);
                    continue;
                }
                let chunk = match node.op {
                    FloatOp::Dense { .. } => cols,
                    _ => model.tensors[node.inputs[0]].len(),
                };
                let energy = row_energy(floats, node.inputs[0], chunk);
                let floor = energy_floor(weights, cols, bias.unwrap_or_default(), energy);
                magnitude[node.output] = magnitude[node.output].max(floor);
            }
            if let (FloatOp::Affine { pieces, .. }, [a, b]) = (&node.op, &node.inputs[..])
                && let [(x, _), (y, _)] = pieces.as_slice()
                && !model.is_masked(node.output)
                && !is_maximum(model, *b, *a)
            {
                let floor = (magnitude[*a] * x).hypot(magnitude[*b] * y);
                magnitude[node.output] = magnitude[node.output].max(floor);
            }
        }
        for m in &mut magnitude {
            *m = if *m > 0.0 { *m } else { 1.0 };
        }
        tie(model, &mut magnitude);
        let kinds = model.inputs.iter().zip(&model.kinds);
        let several = model.inputs.len() > 1;
        let inputs = kinds
            .map(|(&t, kind)| {
                let own = columns.get(&t).map_or(&[][..], |c| c);
                let gap = gap(model, floats, t);
                InputGrid::new(floats, (t, several, gap), Need::of(model, t), *kind, own)
            })
            .collect();
        let softmaxes = model.nodes.iter().filter(|n| n.op == FloatOp::Softmax);
        let rows_of = softmaxes
            .map(|n| n.inputs[0])
            .filter(|t| !model.is_masked(*t));
        let spread = |t: usize| (t, spread(floats, t, model.tensors[t].shape.last().copied()));
        Self {
            magnitude,
            spread: rows_of.map(spread).collect(),
            inputs,
            columns,
        }
    }
}

/// Layers of the same weights, as the steps of a recurrence are, get the same ranges where theirs are close: their weights are then the
/// same integers, which are committed to once.
fn tie(model: &Model, magnitude: &mut [f64]) {
    let mut groups: BTreeMap<Vec<u32>, Vec<&FloatNode>> = BTreeMap::new();
    for node in &model.nodes {
        if let (FloatOp::Dense { .. }, Some((rows, weights, _))) = (&node.op, node.op.linear()) {
            let bits = weights.iter().map(|w| w.to_bits());
            let key = [rows as u32].into_iter().chain(bits).collect();
            groups.entry(key).or_default().push(node);
        }
    }
    let sides: [fn(&FloatNode) -> usize; 2] = [|node| node.inputs[0], |node| node.output];
    for (group, side) in groups
        .values()
        .flat_map(|group| sides.map(|side| (group, side)))
    {
        let own = || group.iter().map(|node| magnitude[side(node)]);
        let (least, most) = (
            own().fold(f64::INFINITY, f64::min),
            own().fold(0.0, f64::max),
        );
        if most <= TIED * least {
            group.iter().for_each(|node| magnitude[side(node)] = most);
        }
    }
}

fn all(floats: &[Vec<Vec<f32>>], tensor: usize) -> impl Iterator<Item = f64> + Clone {
    floats
        .iter()
        .flat_map(move |s| s[tensor].iter().map(|&v| f64::from(v)))
}

/// Whether a tensor is a maximum of another, seen through views: what is below it says how far values differ.
fn is_maximum(model: &Model, tensor: usize, of: usize) -> bool {
    let view = |node: &FloatNode| match &node.op {
        FloatOp::Reshape | FloatOp::Transpose(_) => true,
        FloatOp::Affine { pieces, .. } => pieces.len() == 1,
        _ => false,
    };
    let (mut at, mut maximum) = (tensor, false);
    while let Some(node) = model.nodes.iter().find(|n| n.output == at) {
        maximum |= matches!(node.op, FloatOp::MaxPool(_));
        if !view(node) && !matches!(node.op, FloatOp::MaxPool(_)) {
            return false;
        }
        at = node.inputs[0];
        if maximum && at == of {
            return true;
        }
    }
    false
}

/// Largest difference of two values of a row.
fn spread(floats: &[Vec<Vec<f32>>], tensor: usize, cols: Option<usize>) -> f64 {
    let rows = floats
        .iter()
        .flat_map(|s| s[tensor].chunks(cols.unwrap_or(1).max(1)));
    let of_row = |row: &[f32]| {
        let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let least = row.iter().copied().fold(f32::INFINITY, f32::min);
        f64::from(most - least)
    };
    rows.map(of_row).fold(0.0, f64::max)
}

/// Largest norm of an input row divided by the square root of its length.
fn row_energy(floats: &[Vec<Vec<f32>>], tensor: usize, cols: usize) -> f64 {
    floats
        .iter()
        .flat_map(|s| s[tensor].chunks(cols))
        .map(|row| row.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / cols as f64)
        .fold(0.0, f64::max)
        .sqrt()
}

/// What a random input of the calibrated energy gives: one sample near a decision boundary says little about the range.
fn energy_floor(weights: &[f32], cols: usize, bias: &[f32], energy: f64) -> f64 {
    weights
        .chunks(cols)
        .enumerate()
        .map(|(i, row)| {
            let norm = row
                .iter()
                .map(|&w| f64::from(w).powi(2))
                .sum::<f64>()
                .sqrt();
            norm * energy + bias.get(i).map_or(0.0, |b| f64::from(b.abs()))
        })
        .fold(0.0, f64::max)
}

/// How an input is used.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    /// Multiplied by weights: few bits are enough.
    Values,
    /// Compared with thresholds: as exact as the floats are.
    Comparisons,
    /// Exponentiated, or the exponent of something: differences matter, not sizes.
    Distances,
    /// Row numbers of a matrix of so many rows.
    Numbers(usize),
    /// Rounded, or put through another function that jumps: whole numbers and halves must be what they are.
    Jumps,
}

impl Need {
    /// By the readers, seen through views and sums.
    fn of(model: &Model, tensor: usize) -> Self {
        let readers = model.readers(tensor).map(|node| match &node.op {
            FloatOp::Gather { rows, .. } => Self::Numbers(*rows),
            FloatOp::Positive | FloatOp::Round(_) | FloatOp::TopK { .. } => Self::Comparisons,
            FloatOp::Softmax | FloatOp::Function(Function::Exp, _) => Self::Distances,
            FloatOp::Function(Function::Relu | Function::Identity, _) => Self::Values,
            FloatOp::Function(function, _) if jumps(*function) => Self::Jumps,
            FloatOp::Affine { .. }
            | FloatOp::Dense { .. }
            | FloatOp::Reshape
            | FloatOp::Transpose(_) => match Self::of(model, node.output) {
                Self::Numbers(_) => Self::Values,
                need => need,
            },
            _ => Self::Values,
        });
        readers.fold(Self::Values, |so_far, need| match need {
            Self::Values => so_far,
            Self::Distances if so_far != Self::Values => so_far,
            _ => need,
        })
    }
}

/// The least distance of a value of an input from a threshold that it is compared with, of those that are not zero.
fn gap(model: &Model, floats: &[Vec<Vec<f32>>], tensor: usize) -> f64 {
    let of = |node: &FloatNode| match &node.op {
        FloatOp::Positive => {
            let distances = all(floats, tensor).map(f64::abs).filter(|d| *d > 0.0);
            distances.fold(f64::INFINITY, f64::min)
        }
        FloatOp::Affine { .. }
        | FloatOp::Dense { .. }
        | FloatOp::Reshape
        | FloatOp::Transpose(_) => gap(model, floats, node.output),
        _ => f64::INFINITY,
    };
    model.readers(tensor).map(of).fold(f64::INFINITY, f64::min)
}

/// Finest exact grid, in bits of the calibrated range; bits of an input that lies on none, and of one that is compared.
const GRID_BITS: i32 = 9;
const INPUT_BITS: i32 = 13;
const COMPARED_BITS: i32 = 26;
/// Bits of what a column spans that is compared.
const COLUMN_COMPARED_BITS: i32 = 24;
/// Bits of the least distance to a threshold.
const GAP_BITS: f64 = 3.0;
/// Bits of an input that is exponentiated, if it lies on an exact grid.
const DISTANCE_BITS: i32 = 20;
/// Bits of integers that are kept as they are.
const WHOLE_BITS: i32 = 31;
/// Steps from 0 to 1 of images of bytes.
const BYTE_STEPS: f64 = 255.0;

/// A network input's integers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InputGrid {
    /// Real value of one step.
    pub(crate) scale: f64,
    /// Integers covered.
    pub(crate) range: Interval,
    /// Bits beyond those that layers reckon with.
    pub(crate) excess: u32,
}

impl InputGrid {
    /// An exact grid where all samples lie on one, by powers of two or of bytes; else as many bits as needed.
    /// Inputs that are tables get a step fine enough for each column; several inputs get powers of two, which have a common multiple.
    fn new(
        floats: &[Vec<Vec<f32>>],
        (tensor, several, gap): (usize, bool, f64),
        need: Need,
        kind: Values,
        columns: &[Column],
    ) -> Self {
        let exact = |scale, range| Self {
            scale,
            range,
            excess: 0,
        };
        if let Need::Numbers(rows) = need {
            return exact(1.0, Interval::new(0, rows as i64 - 1));
        }
        let max = all(floats, tensor).fold(0.0, |m: f64, v| m.max(v.abs()));
        let max = if max > 0.0 { max } else { 1.0 };
        let negative = all(floats, tensor).any(|v| v < 0.0);
        let covered = |scale: f64| {
            let bits = ceil_log2(max / scale) + MARGIN;
            Interval::new(if negative { -(1 << bits) } else { 0 }, (1 << bits) - 1)
        };
        match kind {
            Values::Whole(Some([min, max])) => return exact(1.0, Interval::new(min, max)),
            Values::Whole(None) if max < f64::from(WHOLE_BITS).exp2() => {
                return exact(1.0, covered(1.0));
            }
            Values::Whole(None) | Values::Real => {}
        }
        if need == Need::Comparisons {
            let scale = 0.5f64.powi(COMPARED_BITS - ceil_log2(max) as i32);
            let scale =
                columns::step(columns, COLUMN_COMPARED_BITS).map_or(scale, |s| s.min(scale));
            // Fine enough for what was seen to lie next to a threshold, within what integers hold.
            let near = 0.5f64.powi(columns::MOST_BITS - ceil_log2(max) as i32);
            let gap = (gap.log2().floor() - GAP_BITS).exp2();
            let scale = scale.min(gap.max(near));
            return exact(scale, covered(scale));
        }
        let most = if need == Need::Distances {
            DISTANCE_BITS
        } else {
            INPUT_BITS
        };
        let mut steps = (0..=GRID_BITS).map(|bits| 0.5f64.powi(bits));
        let on_grid = |step: &f64| all(floats, tensor).all(|v| (v / step).fract() == 0.0);
        let step = steps.find(on_grid);
        if let Some(step) = step.filter(|step| max / step <= f64::from(most).exp2()) {
            return Self {
                excess: ceil_log2(max / step).saturating_sub(GRID_BITS.unsigned_abs()),
                ..exact(step, covered(step))
            };
        }
        let near = |v: f64| (v * BYTE_STEPS - (v * BYTE_STEPS).round()).abs() < 1e-3;
        if max <= 1.0 && all(floats, tensor).all(near) {
            let range = Interval::new(if negative { -256 } else { 0 }, 255);
            return exact(1.0 / BYTE_STEPS, range);
        }
        if let Some(scale) = columns::step(columns, columns::COLUMN_BITS) {
            return exact(scale, covered(scale));
        }
        let mut scale = max * 0.5f64.powi(INPUT_BITS);
        if need == Need::Jumps || several {
            scale = 0.5f64.powi(INPUT_BITS - ceil_log2(max) as i32);
        }
        Self {
            excess: (INPUT_BITS - GRID_BITS).unsigned_abs(),
            ..exact(scale, covered(scale))
        }
    }
}

pub(super) fn ceil_log2(x: f64) -> u32 {
    (0..60).find(|&b| f64::from(b).exp2() >= x).unwrap_or(60)
}
