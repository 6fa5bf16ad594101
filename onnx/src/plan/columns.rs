//! Columns of a table that differ in size: an income beside a ratio.
//!
//! A network's input has one step, fine enough for its finest column; of the others' integers the last bits say nothing. Before such a
//! row is multiplied by weights, each column drops the bits that it can do without, `x_j = s 2^(e_j) X_j`, and the weights take up the
//! powers, `sum w_j x_j = s sum (w_j 2^(e_j)) X_j`: integers of about the same size, whatever the units of the columns are. The error
//! of `x_j` is half of `s 2^(e_j)`, at most `2^-13` of what the column spans in the calibration samples. Cost: a range check for each
//! value that drops bits.

use std::collections::BTreeMap;

use zkernel_gadgets::model::{Along, Function, Interval, Op, Piece, Table, TensorId};

use super::{MARGIN, Plan, ceil_log2};
use crate::Model;
use crate::model::{FloatNode, FloatOp};

/// Bits of what a column spans.
pub(super) const COLUMN_BITS: i32 = 13;
/// Columns drop multiples of so many bits: fewer kinds of them.
const STEP_BITS: u32 = 3;
/// Bits of room beyond the largest calibrated value, more than that of tables: columns are seen less often.
const ROOM: u32 = MARGIN + 1;
/// Most bits of a column's largest calibrated value, with room and sign as many as a range check may have.
const KEPT_BITS: u32 = 16;
/// Most columns of a table, and most bits of its integers.
const MOST_COLUMNS: usize = 512;
pub(super) const MOST_BITS: i32 = 39;

/// What the calibration samples say of one column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    /// Largest magnitude.
    largest: f64,
    /// Largest less smallest value; the largest magnitude of a column that does not vary.
    span: f64,
    /// Halfway between them.
    middle: f64,
}

/// The columns of the tensors that weights multiply, along their last axis; those of a network's inputs too.
pub(super) fn columns(model: &Model, floats: &[Vec<Vec<f32>>]) -> BTreeMap<usize, Vec<Column>> {
    let read = model
        .nodes
        .iter()
        .filter(|node| matches!(node.op, FloatOp::Dense { .. } | FloatOp::Scale { .. }));
    let tensors = read
        .map(|node| node.inputs[0])
        .chain(model.inputs.iter().copied());
    let table = |t: &usize| {
        let shape = &model.tensors[*t].shape;
        shape.len() <= 2 && (2..=MOST_COLUMNS).contains(&shape.last().copied().unwrap_or(1))
    };
    tensors
        .filter(table)
        .map(|t| (t, of_tensor(model, floats, t)))
        .collect()
}

fn of_tensor(model: &Model, floats: &[Vec<Vec<f32>>], tensor: usize) -> Vec<Column> {
    let count = model.tensors[tensor]
        .shape
        .last()
        .copied()
        .unwrap_or(1)
        .max(1);
    let column = |j: usize| {
        let values = floats
            .iter()
            .flat_map(|s| s[tensor].iter().skip(j).step_by(count));
        let values = values.map(|v| f64::from(*v));
        let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
        values.for_each(|v| (least, most) = (least.min(v), most.max(v)));
        let largest = least.abs().max(most.abs());
        let span = if most > least { most - least } else { largest };
        let middle = (least + most) / 2.0;
        Column {
            largest,
            span,
            middle,
        }
    };
    (0..count).map(column).collect()
}

/// The step that gives every column so many bits, if that is finer than one that gives them to the largest column; a power of two.
pub(super) fn step(columns: &[Column], bits: i32) -> Option<f64> {
    let largest = columns.iter().fold(0f64, |m, c| m.max(c.largest));
    let spans = columns.iter().map(|c| c.span).filter(|span| *span > 0.0);
    let finest = spans.reduce(f64::min).filter(|_| largest > 0.0)?;
    let power = |x: f64, bits: i32| x.log2().floor() as i32 - bits;
    let step = power(finest, bits).max(power(largest, MOST_BITS));
    (step < power(largest, bits + STEP_BITS as i32)).then(|| 2f64.powi(step))
}

/// What a dense layer gives for a row that is not among the samples: about its value in the middle, as far as columns of independent
/// size take it. `None` for columns that do not differ, which other bounds fit.
pub(super) fn floor(columns: &[Column], weights: &[f32], bias: Option<&[f32]>) -> Option<f64> {
    step(columns, COLUMN_BITS)?;
    let of_row = |(i, row): (usize, &[f32])| {
        let terms = || {
            row.iter()
                .zip(columns)
                .map(|(w, column)| (f64::from(*w), column))
        };
        let middle: f64 = terms().map(|(w, column)| w * column.middle).sum();
        let reach = terms()
            .map(|(w, column)| (w * column.span / 2.0).powi(2))
            .sum::<f64>()
            .sqrt();
        let bias = bias.map_or(0.0, |bias| f64::from(bias[i]));
        (middle + bias).abs() + reach
    };
    let rows = weights.chunks(columns.len().max(1)).enumerate();
    Some(rows.map(of_row).fold(0.0, f64::max))
}

impl Plan<'_> {
    /// Whether a tensor is one of the network's inputs or puts others side by side, seen through views.
    fn is_mixed(&self, id: TensorId) -> bool {
        match self.graph.nodes.iter().find(|n| n.output == id) {
            None => true,
            Some(node) => match node.op {
                Op::Affine { .. } if node.inputs.len() > 1 => true,
                Op::Affine { .. } | Op::Reshape | Op::Transpose { .. } => {
                    self.is_mixed(node.inputs[0])
                }
                _ => false,
            },
        }
    }

    /// The bits that each column of a layer's input drops; `None` where they do not differ.
    fn dropped(&self, float: usize, input: TensorId) -> Option<Vec<u32>> {
        let columns = self.ranges.columns.get(&float)?;
        let scale = self.read(input).scale;
        if !self.is_wide(input) || self.is_exact(input) || !self.is_mixed(input) {
            return None;
        }
        let bits = |column: &Column| {
            let steps = column.span / scale / f64::from(COLUMN_BITS).exp2();
            let fine = steps.max(1.0).log2().floor() as u32 / STEP_BITS * STEP_BITS;
            let kept = ceil_log2(column.largest / scale);
            fine.max(kept.saturating_sub(KEPT_BITS).next_multiple_of(STEP_BITS))
        };
        let bits: Vec<u32> = columns.iter().map(bits).collect();
        bits.iter().any(|b| *b > 0).then_some(bits)
    }

    /// The input of a dense layer or of a scaling of columns, and the node with weights to fit: where columns differ in size, integers
    /// that do not.
    pub(super) fn evened(
        &mut self,
        node: &FloatNode,
        input: TensorId,
    ) -> Option<(FloatNode, TensorId)> {
        let float = node.inputs[0];
        let dropped = self.dropped(float, input)?;
        let powers: Vec<f32> = dropped
            .iter()
            .map(|bits| f64::from(*bits).exp2() as f32)
            .collect();
        let mut node = node.clone();
        match &mut node.op {
            FloatOp::Dense { cols, weights, .. } if *cols == powers.len() => {
                let rows = weights.chunks_mut(*cols);
                rows.for_each(|row| {
                    row.iter_mut()
                        .zip(&powers)
                        .for_each(|(w, power)| *w *= power);
                });
            }
            FloatOp::Scale { scale, .. } if scale.len() == powers.len() => {
                scale
                    .iter_mut()
                    .zip(&powers)
                    .for_each(|(a, power)| *a *= power);
            }
            _ => return None,
        }
        if let Some(&known) = self.evened.get(&input) {
            return Some((node, known));
        }
        let even = self.dropping(float, input, &dropped);
        self.evened.insert(input, even);
        Some((node, even))
    }

    /// Each column with its last bits dropped.
    fn dropping(&mut self, float: usize, input: TensorId, dropped: &[u32]) -> TensorId {
        let scale = self.read(input).scale;
        let columns = self.ranges.columns.get(&float).map_or(&[][..], |c| c);
        let kept = |(column, bits): (&Column, &u32)| {
            ceil_log2(column.largest / scale / f64::from(*bits).exp2())
        };
        let bits = columns.iter().zip(dropped).map(kept).max().unwrap_or(0) + ROOM;
        let half = 1i64 << bits.min(MOST_BITS.unsigned_abs());
        let range = Interval::new(-half, half - 1);
        let table = self.table(Table {
            function: Function::Identity,
            parameters: [0.0; 2],
            keys: range,
            input_scale: 1.0,
            output_scale: 1.0,
            low: 0,
        });
        let name = format!("{}.columns", self.read(input).name);
        let shape = self.read(input).shape.clone();
        let lead = shape[..shape.len() - 1].to_vec();
        let mut kinds: Vec<u32> = dropped.to_vec();
        kinds.sort_unstable();
        kinds.dedup();
        let (mut parts, mut pieces) = (Vec::new(), Vec::new());
        for shift in kinds {
            let runs = runs(dropped, shift);
            let count: usize = runs.iter().map(|(_, len)| len).sum();
            let part_shape = [&lead[..], &[count]].concat();
            let part_name = format!("{name}.{shift}");
            let range_of_input = self.read(input).range;
            let chosen = self.integers(&part_name, &part_shape, scale, range_of_input);
            let places = runs.iter().scan(0, |at, (first, len)| {
                let here = *at;
                *at += len;
                Some((here, *first, *len))
            });
            let places: Vec<(usize, usize, usize)> = places.collect();
            let view = |to: usize, from: usize, len: usize, input: usize| {
                piece(&lead, to, from, len, input)
            };
            let reads = places
                .iter()
                .map(|(here, first, len)| view(*here, *first, *len, 0))
                .collect();
            let op = Op::Affine {
                pieces: reads,
                constant: 0,
            };
            self.emit(&part_name, op, input, chosen);
            let step = scale * f64::from(shift).exp2();
            let part_name = format!("{part_name}.requantize");
            let part = self.integers(&part_name, &part_shape, step, range);
            self.emit(&part_name, Op::Requantize { shift, table }, chosen, part);
            let number = parts.len();
            pieces.extend(
                places
                    .iter()
                    .map(|(here, first, len)| view(*first, *here, *len, number)),
            );
            parts.push(part);
        }
        let even = self.integers(&name, &shape, scale, range);
        self.refined
            .insert(even, bits.saturating_sub(ROOM).saturating_sub(9));
        self.emit_all(
            &name,
            Op::Affine {
                pieces,
                constant: 0,
            },
            parts,
            even,
        );
        even
    }
}

/// Where columns that drop so many bits follow one another: the first, and how many.
fn runs(dropped: &[u32], shift: u32) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (j, _) in dropped
        .iter()
        .enumerate()
        .filter(|(_, bits)| **bits == shift)
    {
        match runs.last_mut().filter(|(first, len)| first + len == j) {
            Some((_, len)) => *len += 1,
            None => runs.push((j, 1)),
        }
    }
    runs
}

/// Columns `from ..` of an input as columns `to ..`.
fn piece(lead: &[usize], to: usize, from: usize, len: usize, input: usize) -> Piece {
    let whole = lead
        .iter()
        .enumerate()
        .map(|(axis, len)| Along::whole(*len, axis));
    let along = Along {
        first: to,
        len,
        step: 1,
        source: Some((lead.len(), from, 1)),
    };
    Piece {
        input,
        scale: 1,
        axes: whole.chain([along]).collect(),
    }
}
