//! Gathers and scatters with constant positions: views.

use std::collections::BTreeMap;

use zkernel_gadgets::model::{Along, Piece};

use super::attributes::{int, string};
use super::maps::{Entry, axis_map, flat, position};
use super::parts::{Outcome, Parts};
use super::views::{MAX_PIECES, identities};
use crate::Error;
use crate::model::FloatOp;

impl Parts<'_, '_> {
    /// Constant positions along an axis are views.
    pub(super) fn gather(&mut self) -> Result<Outcome, Error> {
        if self.chooses() {
            return self.chosen();
        }
        let x = self.operand(0)?;
        let (own, shape) = (self.shape(x), self.target(0)?);
        let axis = self.axis(0, own.len());
        let indices = match self.positions(1, own[axis])? {
            Ok(indices) => indices,
            Err(problem) => return Ok(Err(problem)),
        };
        match (shape.len() + 1).checked_sub(own.len()) {
            Some(fresh) if fresh > 1 => self.gather_axes(x, axis, fresh, &indices),
            Some(1) => {
                let mut maps = identities(&own);
                let entries = indices
                    .iter()
                    .enumerate()
                    .map(|(to, from)| (to, *from, 1.0));
                maps[axis] = axis_map(axis, &entries.collect::<Vec<_>>());
                self.finish_map(x, &maps, 0.0)
            }
            // A scalar position drops its axis.
            _ => {
                let mut maps = identities(&own);
                maps[axis] = axis_map(axis, &[(0, indices[0], 1.0)]);
                let kept = [&own[..axis], &[1], &own[axis + 1..]].concat();
                match super::maps::separable(&maps, 0.0) {
                    Ok(op) => {
                        let row = self.part(op, vec![x], kept);
                        self.finish(FloatOp::Reshape, vec![row])
                    }
                    Err(problem) => Ok(Err(problem)),
                }
            }
        }
    }

    /// Positions along an axis of that length, from the front.
    fn positions(&self, input: usize, len: usize) -> Result<Result<Vec<usize>, String>, Error> {
        let indices = self.import.integers(&self.node.input[input])?;
        let all = indices.iter().map(|index| wrapped(*index, len));
        let all: Option<Vec<usize>> = all.collect();
        Ok(all.ok_or_else(|| format!("a position beyond an axis of {len}")))
    }

    /// Positions of several axes: one view for each.
    fn gather_axes(
        &mut self,
        x: usize,
        axis: usize,
        fresh: usize,
        indices: &[usize],
    ) -> Result<Outcome, Error> {
        let (own, shape) = (self.shape(x), self.target(0)?);
        let positions = &shape[axis..axis + fresh];
        if indices.len() > MAX_PIECES {
            return Ok(Err("too many positions".into()));
        }
        let one = |(number, from): (usize, &usize)| {
            let whole = |a: usize| Along::whole(own[a], a);
            let mut source = Some((axis, *from, 1));
            let of_indices = position(number, positions).into_iter().map(|first| Along {
                first,
                len: 1,
                step: 1,
                source: source.take(),
            });
            let of_indices: Vec<Along> = of_indices.collect();
            let (input, scale) = (0, 1);
            let (before, after) = ((0..axis).map(whole), (axis + 1..own.len()).map(whole));
            let axes = before.chain(of_indices).chain(after).collect();
            (1.0, Piece { input, scale, axes })
        };
        let pieces = indices.iter().enumerate().map(one).collect();
        let constant = 0.0;
        self.finish(FloatOp::Affine { pieces, constant }, vec![x])
    }

    /// `y[i][j] = x[indices[i][j]][j]`, along any axis.
    pub(super) fn gather_elements(&mut self) -> Result<Outcome, Error> {
        if self.chooses() {
            return self.chosen_elements();
        }
        let (x, shape) = (self.operand(0)?, self.target(0)?);
        let own = self.shape(x);
        let axis = self.axis(0, own.len());
        let indices = match self.positions(1, own[axis])? {
            Ok(indices) => indices,
            Err(problem) => return Ok(Err(problem)),
        };
        let entry = |(to, index): (usize, &usize)| {
            let mut at = position(to, &shape);
            at[axis] = *index;
            moved(0, flat(&at, &own), to)
        };
        let entries: Vec<Entry> = indices.iter().enumerate().map(entry).collect();
        self.finish_entries(&[x], &entries)
    }

    /// Slices by the leading axes that the last axis of the indices gives, batch by batch.
    pub(super) fn gather_nd(&mut self) -> Result<Outcome, Error> {
        if self.chooses() {
            return self.chosen_slices();
        }
        let (x, shape) = (self.operand(0)?, self.target(0)?);
        let own = self.shape(x);
        let batch = int(self.node, "batch_dims", 0).max(0) as usize;
        let tuples = match self.tuples(&own, batch)? {
            Ok(tuples) => tuples,
            Err(problem) => return Ok(Err(problem)),
        };
        let (width, lead) = (tuples.width, &tuples.lead);
        let slice: usize = own[batch + width..].iter().product();
        let entry = |to: usize| {
            let number = to / slice;
            let of_batch = flat(&position(number, lead)[..batch], &own[..batch]);
            let inner: usize = own[batch..batch + width].iter().product();
            moved(
                0,
                (of_batch * inner + tuples.starts[number]) * slice + to % slice,
                to,
            )
        };
        let entries: Vec<Entry> = (0..shape.iter().product()).map(entry).collect();
        self.finish_entries(&[x], &entries)
    }

    /// `y = x` but for `y[indices[i][j]][j] = updates[i][j]`, along any axis.
    pub(super) fn scatter_elements(&mut self) -> Result<Outcome, Error> {
        let (x, updates) = (self.operand(0)?, self.operand(2)?);
        let (own, shape) = (self.shape(x), self.shape(updates));
        let axis = self.axis(0, own.len());
        let indices = match self.positions(1, own[axis])? {
            Ok(indices) => indices,
            Err(problem) => return Ok(Err(problem)),
        };
        let place = |(from, index): (usize, &usize)| {
            let mut at = position(from, &shape);
            at[axis] = *index;
            (flat(&at, &own), from)
        };
        let places: Vec<(usize, usize)> = indices.iter().enumerate().map(place).collect();
        self.scatter([x, updates], &places)
    }

    /// Slices of x replaced, by the leading axes that the last axis of the indices gives.
    pub(super) fn scatter_nd(&mut self) -> Result<Outcome, Error> {
        let (x, updates) = (self.operand(0)?, self.operand(2)?);
        let own = self.shape(x);
        let tuples = match self.tuples(&own, 0)? {
            Ok(tuples) => tuples,
            Err(problem) => return Ok(Err(problem)),
        };
        let slice: usize = own[tuples.width..].iter().product();
        let starts = tuples.starts.iter().enumerate();
        let places = starts.flat_map(|(number, start)| {
            (0..slice).map(move |rest| (start * slice + rest, number * slice + rest))
        });
        let places: Vec<(usize, usize)> = places.collect();
        self.scatter([x, updates], &places)
    }

    /// Places `(to, from)` of updates: the last one at a place counts, or all are added.
    fn scatter(&mut self, inputs: [usize; 2], places: &[(usize, usize)]) -> Result<Outcome, Error> {
        let len = self.shape(inputs[0]).iter().product();
        let add = match string(self.node, "reduction") {
            b"" | b"none" => false,
            b"add" => true,
            _ => return Ok(Err("this reduction is not built".into())),
        };
        let last: BTreeMap<usize, usize> = places.iter().copied().collect();
        let kept = (0..len).filter(|to| add || !last.contains_key(to));
        let mut entries: Vec<Entry> = kept.map(|to| moved(0, to, to)).collect();
        match add {
            true => entries.extend(places.iter().map(|(to, from)| moved(1, *from, *to))),
            false => entries.extend(last.iter().map(|(to, from)| moved(1, *from, *to))),
        }
        self.finish_entries(&inputs, &entries)
    }

    fn finish_entries(&mut self, inputs: &[usize], entries: &[Entry]) -> Result<Outcome, Error> {
        let shape = self.target(0)?;
        match self.linear_map(inputs, &shape, entries, 0.0) {
            Ok(mapped) => self.finish_as(0, mapped),
            Err(problem) => Ok(Err(problem)),
        }
    }

    /// The index tuples of a constant second input, over the axes of x after `batch` ones.
    fn tuples(&self, own: &[usize], batch: usize) -> Result<Result<Tuples, String>, Error> {
        let name = &self.node.input[1];
        let (mut lead, indices) = (self.import.shape(name)?, self.import.integers(name)?);
        let width = lead.pop().unwrap_or(0);
        if width == 0 || batch + width > own.len() || batch > lead.len() {
            return Ok(Err("its indices do not fit".into()));
        }
        let axes = &own[batch..batch + width];
        let start = |tuple: &[i64]| {
            let at = tuple
                .iter()
                .zip(axes)
                .map(|(index, len)| wrapped(*index, *len));
            Some(flat(&at.collect::<Option<Vec<_>>>()?, axes))
        };
        let starts: Option<Vec<usize>> = indices.chunks(width).map(start).collect();
        Ok(match starts {
            Some(starts) => Ok(Tuples {
                width,
                lead,
                starts,
            }),
            None => Err("a position beyond its axis".into()),
        })
    }
}

/// Index tuples: how many axes each goes over, the shape they come in, and their row-major positions over those axes.
struct Tuples {
    width: usize,
    lead: Vec<usize>,
    starts: Vec<usize>,
}

/// A position that counts from the end if it is negative.
fn wrapped(index: i64, len: usize) -> Option<usize> {
    let len = len as i64;
    let index = if index < 0 { index + len } else { index };
    (0..len).contains(&index).then_some(index as usize)
}

const fn moved(input: usize, from: usize, to: usize) -> Entry {
    Entry {
        to,
        input,
        from,
        factor: 1.0,
    }
}
