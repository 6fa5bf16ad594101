//! Linear ops on integers.

use std::borrow::Cow;

use rayon::prelude::*;

use super::contraction::{self, SHARED, Shapes};
use super::{Assign, Owner, Role, RunError, Runner};
use crate::model::geometry::Geometry;
use crate::model::graph::WeightId;
use crate::model::lower::wiring::strides;

/// Vectors from which a matrix is worth packing.
const WORTH_PACKING: usize = 4;

impl<'a, A: Assign> Runner<'a, A> {
    /// The integers of a matrix and of its bias (zeros if there is none).
    fn matrix(
        &self,
        (weights, bias): (WeightId, Option<WeightId>),
    ) -> Result<(&'a [i64], Cow<'a, [i64]>), RunError> {
        let shape = &self.graph.weights[weights.0 as usize];
        let weight = |id: WeightId| -> &'a [i64] { &self.weights.0[id.0 as usize] };
        let matrix = weight(weights);
        let bias: Cow<'a, [i64]> =
            bias.map_or_else(|| vec![0; shape.rows].into(), |id| weight(id).into());
        for (found, expected) in [
            (matrix.len(), shape.rows * shape.cols),
            (bias.len(), shape.rows),
        ] {
            if found != expected {
                return Err(RunError::Length {
                    name: shape.name.clone(),
                    expected,
                    found,
                });
            }
        }
        Ok((matrix, bias))
    }

    pub(super) fn dense(
        &mut self,
        node: usize,
        weights: WeightId,
        bias: Option<WeightId>,
    ) -> Result<Vec<i64>, RunError> {
        let (matrix, bias) = self.matrix((weights, bias))?;
        let cols = self.graph.weights[weights.0 as usize].cols;
        let operand = self.read(node, 0);
        let mut out = Vec::new();
        let largest = largest(&operand);
        let rows: Vec<(&[i64], i64, bool)> = matrix
            .chunks(cols)
            .zip(&*bias)
            .map(|(row, b)| (row, *b, fits(largest, row, *b)))
            .collect();
        let vectors = operand.len() / cols.max(1);
        if vectors >= WORTH_PACKING && rows.iter().all(|(.., fits)| *fits) {
            out = contraction::dense(matrix, &bias, cols, &operand).unwrap_or_default();
        }
        let left = if out.is_empty() { &operand[..] } else { &[] };
        for x in left.chunks(cols) {
            for (row, b, fits) in &rows {
                let products = row.iter().copied().zip(x.iter().copied());
                out.push(if *fits {
                    products.fold(*b, |sum, (w, x)| sum + w * x)
                } else {
                    self.sum(node, *b, products)?
                });
            }
        }
        Ok(self.cells(Owner::Node(node), Role::Accumulator, out))
    }

    /// `start + sum of products`, checked.
    pub(super) fn sum(
        &self,
        node: usize,
        start: i64,
        mut products: impl Iterator<Item = (i64, i64)>,
    ) -> Result<i64, RunError> {
        let sum = products.try_fold(start, |sum, (a, b)| sum.checked_add(a.checked_mul(b)?));
        sum.ok_or_else(|| RunError::Overflow(self.graph.nodes[node].name.clone()))
    }

    pub(super) fn conv(
        &mut self,
        node: usize,
        weights: (WeightId, Option<WeightId>),
        geometry: &Geometry,
        groups: usize,
    ) -> Result<Vec<i64>, RunError> {
        let (matrix, bias) = self.matrix(weights)?;
        let cols = self.graph.weights[weights.0.0 as usize].cols;
        let (input, output) = self.shapes(node);
        let [_, channels, height, width] = input;
        let [batch, m, oh, ow] = output;
        let x = &self.read(node, 0);
        let (of_group, rows) = (channels / groups, m / groups);
        let largest = largest(x);
        let fits = |row: usize| fits(largest, &matrix[row * cols..][..cols], bias[row]);
        if (0..m).all(fits) {
            let shapes = Shapes {
                input,
                output,
                groups,
            };
            if let Some(out) = contraction::conv((matrix, &bias), geometry, &shapes, x) {
                return Ok(self.cells(Owner::Node(node), Role::Accumulator, out));
            }
            let plane = |(index, plane): (usize, &mut [i64])| {
                let (sample, row) = (index / m, index % m);
                plane.fill(bias[row]);
                let first = sample * channels + row / rows * of_group;
                let weights = &matrix[row * cols..][..cols];
                let inputs = x[first * height * width..].chunks_exact(height * width);
                for (channel, input) in inputs.take(of_group).enumerate() {
                    let kernel = weights.iter().skip(channel).step_by(of_group);
                    let kernel: Vec<i64> = kernel.copied().collect();
                    slide(geometry, (&kernel, input, width), (plane, ow));
                }
            };
            let mut out = vec![0; batch * m * oh * ow];
            match matrix.len() * oh * ow < SHARED {
                true => out.chunks_mut(oh * ow).enumerate().for_each(plane),
                false => out.par_chunks_mut(oh * ow).enumerate().for_each(plane),
            }
            return Ok(self.cells(Owner::Node(node), Role::Accumulator, out));
        }
        let mut out = Vec::with_capacity(batch * m * oh * ow);
        for index in 0..batch * m * oh * ow {
            let (sample, row) = (index / (m * oh * ow), index / (oh * ow) % m);
            let at = [index / ow % oh, index % ow];
            let plane = |channel: usize| (sample * channels + channel) * height * width;
            let taps = (0..geometry.taps()).filter_map(|tap| {
                let [i, j] = geometry.tap(tap);
                let i = geometry.read(0, at[0], i, height)?;
                Some((tap, i * width + geometry.read(1, at[1], j, width)?))
            });
            let products = taps.flat_map(|(tap, position)| {
                let weights = &matrix[row * cols + tap * of_group..][..of_group];
                let first = row / rows * of_group;
                let inputs = (first..).map(move |channel| x[plane(channel) + position]);
                weights.iter().copied().zip(inputs)
            });
            out.push(self.sum(node, bias[row], products)?);
        }
        Ok(self.cells(Owner::Node(node), Role::Accumulator, out))
    }

    pub(super) fn sum_pool(&mut self, node: usize, geometry: &Geometry) -> Vec<i64> {
        let ([_, _, height, width], [_, _, oh, ow]) = self.shapes(node);
        let x = self.read(node, 0);
        let planes = x.chunks(height * width);
        let outputs = planes.flat_map(|plane| (0..oh * ow).map(move |o| (plane, o / ow, o % ow)));
        let sum = |(plane, i, j): (&[i64], usize, usize)| {
            let taps = (0..geometry.taps()).filter_map(|tap| {
                let [a, b] = geometry.tap(tap);
                let row = geometry.read(0, i, a, height)?;
                Some(plane[row * width + geometry.read(1, j, b, width)?])
            });
            taps.sum()
        };
        outputs.map(sum).collect()
    }

    pub(super) fn transpose(&self, node: usize, axes: &[usize]) -> Vec<i64> {
        let tensor = |id: super::TensorId| &self.graph.tensors[id.0 as usize].shape;
        let node = &self.graph.nodes[node];
        let from = strides(tensor(node.inputs[0]));
        let shape = tensor(node.output);
        let x = &self.trace.values[node.inputs[0].0 as usize];
        let element = |mut index: usize| {
            let mut position = 0;
            for (axis, len) in axes.iter().zip(shape).rev() {
                position += index % len * from[*axis];
                index /= len;
            }
            x[position]
        };
        (0..x.len()).map(element).collect()
    }

    /// The four axes of a node's first input and of its output; ones where the graph was not validated.
    pub(super) fn shapes(&self, node: usize) -> ([usize; 4], [usize; 4]) {
        let node = &self.graph.nodes[node];
        let four = |id: super::TensorId| {
            let shape = &self.graph.tensors[id.0 as usize].shape;
            shape.as_slice().try_into().unwrap_or([1; 4])
        };
        (four(node.inputs[0]), four(node.output))
    }
}

/// The largest magnitude.
pub(super) fn largest(x: &[i64]) -> u64 {
    x.iter().map(|x| x.unsigned_abs()).max().unwrap_or(0)
}

/// Whether no sum of products of a row with inputs up to that magnitude can overflow, in any order.
fn fits(largest: u64, row: &[i64], start: i64) -> bool {
    // All bits of all magnitudes, by which their sum is bounded: it is made in 64 bits where it fits.
    let bits = row.iter().fold(0, |bits, w| bits | w.unsigned_abs());
    let small = u128::from(bits) * (row.len() as u128) < 1 << 63;
    let weights = match small {
        true => u128::from(row.iter().map(|w| w.unsigned_abs()).sum::<u64>()),
        false => row.iter().map(|w| u128::from(w.unsigned_abs())).sum(),
    };
    let most = u128::from(largest).checked_mul(weights);
    most.is_some_and(|most| most + u128::from(start.unsigned_abs()) < 1 << 63)
}

/// Adds the products of one channel's kernel and plane to a plane of sums, tap by tap and row by row; none may overflow.
fn slide(
    geometry: &Geometry,
    (kernel, input, width): (&[i64], &[i64], usize),
    (sums, ow): (&mut [i64], usize),
) {
    let (height, oh) = (input.len() / width, sums.len() / ow);
    let [down, across] = geometry.stride;
    for (tap, weight) in kernel.iter().enumerate().filter(|(_, w)| **w != 0) {
        let [i, j] = geometry.tap(tap);
        let columns = geometry.valid(1, j, width, ow);
        // A tap may read padding everywhere.
        if columns.is_empty() {
            continue;
        }
        for at in geometry.valid(0, i, height, oh) {
            let row = at * down + i * geometry.dilation[0] - geometry.before[0];
            let Some(first) = geometry.read(1, columns.start, j, width) else {
                continue;
            };
            let inputs = input[row * width + first..].iter().step_by(across);
            let own = &mut sums[at * ow..][columns.clone()];
            own.iter_mut()
                .zip(inputs)
                .for_each(|(sum, x)| *sum += weight * x);
        }
    }
}
