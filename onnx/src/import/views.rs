//! Slices, concatenations, padding, repetition, triangles and sums along an axis.

use zkernel_gadgets::model::{Along, Piece};

use super::attributes::{attribute, int, ints, string};
use super::maps::{AxisMap, axis_map, identity, separable};
use super::parts::{Outcome, Parts};
use crate::Error;
use crate::model::FloatOp;

/// Most views of one sum.
pub(super) const MAX_PIECES: usize = 1 << 12;

/// One view for each position of an axis, each with a factor of its own.
pub(super) fn slices(shape: &[usize], axis: usize, factors: &[f64]) -> Vec<(f64, Piece)> {
    let slice = |(position, factor): (usize, &f64)| {
        let whole = shape.iter().enumerate();
        let mut axes: Vec<Along> = whole.map(|(a, len)| Along::whole(*len, a)).collect();
        axes[axis] = Along {
            first: position,
            source: Some((axis, position, 1)),
            ..Along::repeated(1)
        };
        (
            *factor,
            Piece {
                input: 0,
                scale: 1,
                axes,
            },
        )
    };
    factors.iter().enumerate().map(slice).collect()
}

impl Parts<'_, '_> {
    pub(super) fn views(&mut self) -> Result<Option<Outcome>, Error> {
        Ok(Some(match &*self.node.op_type {
            "Slice" => self.slice()?,
            "Concat" => self.concat()?,
            "Split" => self.split()?,
            "Pad" => self.pad()?,
            "Expand" => {
                let (x, shape) = (self.operand(0)?, self.target(0)?);
                let own = self.shape(x);
                self.finish(
                    super::parts::whole(&[(1.0, 0)], 0.0, &[&own], &shape),
                    vec![x],
                )?
            }
            "Tile" => self.tile()?,
            "Trilu" => self.triangle()?,
            "CumSum" => self.cumulative_sum()?,
            "Gather" => self.gather()?,
            "GatherElements" => self.gather_elements()?,
            "GatherND" => self.gather_nd()?,
            "ScatterElements" | "Scatter" => self.scatter_elements()?,
            "ScatterND" => self.scatter_nd()?,
            "DepthToSpace" => self.depth_to_space()?,
            "SpaceToDepth" => self.space_to_depth()?,
            "Resize" | "Upsample" => self.resize()?,
            _ => return Ok(None),
        }))
    }

    /// Integers of a constant input, or of an attribute of older versions.
    pub(super) fn numbers(&self, input: usize, name: &str) -> Result<Option<Vec<i64>>, Error> {
        if let Some(tensor) = self.node.input.get(input).filter(|n| !n.is_empty()) {
            let values = self.import.integers(tensor)?;
            return Ok(Some(values));
        }
        let given = ints(self.node, name);
        Ok((!given.is_empty()).then(|| given.to_vec()))
    }

    fn slice(&mut self) -> Result<Outcome, Error> {
        let x = self.operand(0)?;
        let shape = self.shape(x);
        let (Some(starts), Some(ends)) = (self.numbers(1, "starts")?, self.numbers(2, "ends")?)
        else {
            return Ok(Err("it has no starts or ends".into()));
        };
        let axes = self
            .numbers(3, "axes")?
            .unwrap_or_else(|| (0..starts.len() as i64).collect());
        let steps = self
            .numbers(4, "steps")?
            .unwrap_or_else(|| vec![1; starts.len()]);
        let mut maps: Vec<AxisMap> = identities(&shape);
        for (((axis, start), end), step) in axes.iter().zip(&starts).zip(&ends).zip(&steps) {
            let axis = axis.rem_euclid(shape.len().max(1) as i64) as usize;
            if *step == 0 {
                return Ok(Err("a step of zero".into()));
            }
            let read = sliced(*start, *end, *step, shape[axis] as i64);
            let entries = read
                .into_iter()
                .enumerate()
                .map(|(to, from)| (to, from, 1.0));
            maps[axis] = axis_map(axis, &entries.collect::<Vec<_>>());
        }
        self.finish_map(x, &maps, 0.0)
    }

    fn concat(&mut self) -> Result<Outcome, Error> {
        let shape = self.target(0)?;
        let axis = self.axis(0, shape.len());
        let mut inputs = Vec::new();
        let (mut pieces, mut first) = (Vec::new(), 0);
        for index in 0..self.node.input.len() {
            if self.import.shape(&self.node.input[index])?.contains(&0) {
                continue;
            }
            let id = self.operand(index)?;
            let own = self.shape(id);
            let mut axes: Vec<Along> = own
                .iter()
                .enumerate()
                .map(|(axis, len)| Along::whole(*len, axis))
                .collect();
            axes[axis].first = first;
            first += own[axis];
            pieces.push((
                1.0,
                Piece {
                    input: inputs.len(),
                    scale: 1,
                    axes,
                },
            ));
            inputs.push(id);
        }
        self.finish(
            FloatOp::Affine {
                pieces,
                constant: 0.0,
            },
            inputs,
        )
    }

    fn split(&mut self) -> Result<Outcome, Error> {
        let x = self.operand(0)?;
        let shape = self.shape(x);
        let axis = self.axis(0, shape.len());
        let mut first = 0;
        for output in 0..self.node.output.len() {
            let len = self.target(output)?[axis];
            if len == 0 {
                continue;
            }
            let mut axes: Vec<Along> = shape
                .iter()
                .enumerate()
                .map(|(axis, len)| Along::whole(*len, axis))
                .collect();
            axes[axis] = Along {
                source: Some((axis, first, 1)),
                ..Along::repeated(len)
            };
            first += len;
            let piece = Piece {
                input: 0,
                scale: 1,
                axes,
            };
            let op = FloatOp::Affine {
                pieces: vec![(1.0, piece)],
                constant: 0.0,
            };
            if let Err(problem) = self.finish_output(output, op, vec![x])? {
                return Ok(Err(problem));
            }
        }
        Ok(Ok(()))
    }

    /// Padding with a constant v is `v + pad(x - v)`; other modes repeat values of the axis. What is below zero crops.
    fn pad(&mut self) -> Result<Outcome, Error> {
        let x = self.operand(0)?;
        let shape = self.shape(x);
        let Some(pads) = self.numbers(1, "pads")? else {
            return Ok(Err("it has no pads".into()));
        };
        let value = match self.node.input.get(2).filter(|n| !n.is_empty()) {
            Some(name) => self.import.masking_constant(name)?.values[0],
            None => attribute(self.node, "value").map_or(0.0, |a| a.f),
        };
        let axes = match self.node.input.get(3).filter(|n| !n.is_empty()) {
            Some(name) => self.import.integers(name)?,
            None => (0..shape.len() as i64).collect(),
        };
        if pads.len() != 2 * axes.len() {
            return Ok(Err("its pads are not two for each axis".into()));
        }
        let mode = string(self.node, "mode");
        let mut maps = identities(&shape);
        for (axis, ends) in axes.iter().zip(pads.iter().zip(&pads[axes.len()..])) {
            let axis = axis.rem_euclid(shape.len().max(1) as i64) as usize;
            let Some(entries) = padded(mode, shape[axis] as i64, (*ends.0, *ends.1)) else {
                return Ok(Err("its mode or its pads are not built".into()));
            };
            maps[axis] = axis_map(axis, &entries);
        }
        let constant = matches!(mode, b"" | b"constant");
        if !constant || value == 0.0 {
            return self.finish_map(x, &maps, 0.0);
        }
        let less = self.scaled(x, 1.0, -f64::from(value));
        self.finish_map(less, &maps, f64::from(value))
    }

    fn tile(&mut self) -> Result<Outcome, Error> {
        let x = self.operand(0)?;
        let (own, shape) = (self.shape(x), self.target(0)?);
        let of_axis = |(axis, (len, whole)): (usize, (&usize, &usize))| match len {
            1 => vec![(1.0, Along::repeated(*whole))],
            _ => (0..*whole)
                .step_by(*len.max(&1))
                .map(|first| {
                    let along = Along {
                        first,
                        ..Along::whole(*len, axis)
                    };
                    (1.0, along)
                })
                .collect(),
        };
        let maps: Vec<AxisMap> = own.iter().zip(&shape).enumerate().map(of_axis).collect();
        self.finish_map(x, &maps, 0.0)
    }

    /// A lower or upper triangle of the last two axes: each row has a run of its own.
    fn triangle(&mut self) -> Result<Outcome, Error> {
        let x = self.operand(0)?;
        let shape = self.shape(x);
        let &[.., rows, cols] = shape.as_slice() else {
            return Ok(Err("it has fewer than two axes".into()));
        };
        let k = self
            .numbers(1, "k")?
            .and_then(|k| k.first().copied())
            .unwrap_or(0);
        let upper = int(self.node, "upper", 1) != 0;
        let bound = |v: i64| v.clamp(0, cols as i64) as usize;
        let kept = (0..rows).map(|row| match upper {
            true => (row, bound(k.saturating_add(row as i64)), cols),
            false => (row, 0, bound(k.saturating_add(row as i64 + 1))),
        });
        let lead = shape[..shape.len() - 2].iter().enumerate();
        let lead: Vec<Along> = lead.map(|(axis, len)| Along::whole(*len, axis)).collect();
        let piece = |(row, start, end): (usize, usize, usize)| {
            let of_row = run(row, 1, (lead.len(), row));
            let of_cols = run(start, end - start, (lead.len() + 1, start));
            let (input, scale) = (0, 1);
            let axes = [&lead[..], &[of_row, of_cols]].concat();
            (1.0, Piece { input, scale, axes })
        };
        let pieces: Vec<_> = kept
            .filter(|(_, start, end)| start < end)
            .map(piece)
            .collect();
        if pieces.len() > MAX_PIECES {
            return Ok(Err("too many rows".into()));
        }
        let constant = 0.0;
        self.finish(FloatOp::Affine { pieces, constant }, vec![x])
    }

    /// Sums from one end: an axis is added to itself, shifted by every distance.
    fn cumulative_sum(&mut self) -> Result<Outcome, Error> {
        let x = self.operand(0)?;
        let shape = self.shape(x);
        let axis = self.numbers(1, "axis")?.and_then(|a| a.first().copied());
        let axis = axis.unwrap_or(0).rem_euclid(shape.len().max(1) as i64) as usize;
        let skipped = usize::from(int(self.node, "exclusive", 0) != 0);
        let reverse = int(self.node, "reverse", 0) != 0;
        let len = shape[axis];
        let shifted = |by: usize| match reverse {
            true => (1.0, run(0, len - by, (axis, by))),
            false => (1.0, run(by, len - by, (axis, 0))),
        };
        let mut maps = identities(&shape);
        maps[axis] = (skipped..len).map(shifted).collect();
        self.finish_map(x, &maps, 0.0)
    }

    /// The node's output by one map for each axis of x.
    pub(super) fn finish_map(
        &mut self,
        x: usize,
        maps: &[AxisMap],
        constant: f64,
    ) -> Result<Outcome, Error> {
        match separable(maps, constant) {
            Ok(op) => self.finish(op, vec![x]),
            Err(problem) => Ok(Err(problem)),
        }
    }
}

/// Every axis as it is.
pub(super) fn identities(shape: &[usize]) -> Vec<AxisMap> {
    let axes = shape.iter().enumerate();
    axes.map(|(axis, len)| identity(axis, *len)).collect()
}

/// Positions `first..` of an output axis that read neighbours of an input axis from a position on.
const fn run(first: usize, len: usize, (axis, from): (usize, usize)) -> Along {
    Along {
        first,
        len,
        step: 1,
        source: Some((axis, from, 1)),
    }
}

/// The positions that a slice of an axis of that length reads, in order.
fn sliced(start: i64, end: i64, step: i64, len: i64) -> Vec<usize> {
    let from_front = |v: i64| if v < 0 { v.saturating_add(len) } else { v };
    let (start, end) = (from_front(start), from_front(end));
    let (first, last) = match step > 0 {
        true => (start.clamp(0, len), end.clamp(0, len)),
        false => (start.clamp(-1, len - 1), end.clamp(-1, len - 1)),
    };
    let steps = std::iter::successors(Some(first), |at| at.checked_add(step));
    let inside = |at: &i64| if step > 0 { *at < last } else { *at > last };
    steps.take_while(inside).map(|at| at as usize).collect()
}

/// What a padded axis reads; `None` for a mode that does not exist or cannot reach so far.
fn padded(mode: &[u8], len: i64, (before, after): (i64, i64)) -> Option<Vec<(usize, usize, f64)>> {
    let count = before.checked_add(after)?.checked_add(len)?;
    if len < 1 || !(0..1 << 32).contains(&count) {
        return None;
    }
    let mirrored = |at: i64| match len {
        1 => 0,
        _ => {
            let at = at.rem_euclid(2 * len - 2);
            at.min(2 * len - 2 - at)
        }
    };
    let read = |at: i64| match mode {
        b"" | b"constant" => Some(at).filter(|at| (0..len).contains(at)),
        b"edge" => Some(at.clamp(0, len - 1)),
        b"reflect" => Some(mirrored(at)),
        b"wrap" => Some(at.rem_euclid(len)),
        _ => None,
    };
    if !matches!(mode, b"" | b"constant" | b"edge" | b"reflect" | b"wrap") {
        return None;
    }
    let entry = |to: i64| Some((to as usize, read(to - before)? as usize, 1.0));
    Some((0..count).filter_map(entry).collect())
}
