//! Slices, concatenations, padding, repetition and gathers.

use zkernel_gadgets::model::{Along, Piece};

use super::attributes::{attribute, int, ints, string};
use super::general::{Outcome, Parts};
use crate::Error;
use crate::model::FloatOp;

/// Most views of one sum.
const MAX_PIECES: usize = 1 << 12;

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
                    super::general::whole(&[(1.0, 0)], 0.0, &[&own], &shape),
                    vec![x],
                )?
            }
            "Tile" => self.tile()?,
            "Gather" => self.gather()?,
            _ => return Ok(None),
        }))
    }

    /// Integers of a constant input, or of an attribute of older versions.
    fn numbers(&self, input: usize, name: &str) -> Result<Option<Vec<i64>>, Error> {
        if let Some(tensor) = self.node.input.get(input).filter(|n| !n.is_empty()) {
            let values = self.import.integers(tensor)?;
            return Ok(Some(values));
        }
        let given = ints(self.node, name);
        Ok((!given.is_empty()).then(|| given.to_vec()))
    }

    /// One view of the first input.
    fn one_view(&mut self, x: usize, axes: Vec<Along>) -> Result<Outcome, Error> {
        let piece = Piece {
            input: 0,
            scale: 1,
            axes,
        };
        let op = FloatOp::Affine {
            pieces: vec![(1.0, piece)],
            constant: 0.0,
        };
        self.finish(op, vec![x])
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
        let mut along: Vec<Along> = shape
            .iter()
            .enumerate()
            .map(|(axis, len)| Along::whole(*len, axis))
            .collect();
        for (((axis, start), end), step) in axes.iter().zip(&starts).zip(&ends).zip(&steps) {
            let axis = axis.rem_euclid(shape.len().max(1) as i64) as usize;
            let len = shape[axis] as i64;
            if *step < 1 {
                return Ok(Err("a negative step is not built".into()));
            }
            let clamp = |v: i64| if v < 0 { (v + len).max(0) } else { v.min(len) };
            let (start, end) = (clamp(*start), clamp(*end));
            let count = ((end - start).max(0) as usize).div_ceil(*step as usize);
            along[axis] = Along {
                len: count,
                source: Some((axis, start as usize, *step as usize)),
                ..Along::repeated(count)
            };
        }
        self.one_view(x, along)
    }

    fn concat(&mut self) -> Result<Outcome, Error> {
        let shape = self.target(0)?;
        let axis = self.axis(0, shape.len());
        let mut inputs = Vec::new();
        let (mut pieces, mut first) = (Vec::new(), 0);
        for index in 0..self.node.input.len() {
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
                    input: index,
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

    /// Padding with a constant v: `v + pad(x - v)`.
    fn pad(&mut self) -> Result<Outcome, Error> {
        if !matches!(string(self.node, "mode"), b"" | b"constant") {
            return Ok(Err("only padding with a constant is built".into()));
        }
        let x = self.operand(0)?;
        let shape = self.shape(x);
        let Some(pads) = self.numbers(1, "pads")? else {
            return Ok(Err("it has no pads".into()));
        };
        let value = match self.node.input.get(2).filter(|n| !n.is_empty()) {
            Some(name) => self.import.constant(name)?.values[0],
            None => attribute(self.node, "value").map_or(0.0, |a| a.f),
        };
        let axes = match self.node.input.get(3).filter(|n| !n.is_empty()) {
            Some(name) => self.import.integers(name)?,
            None => (0..shape.len() as i64).collect(),
        };
        if pads.iter().any(|pad| *pad < 0) || pads.len() != 2 * axes.len() {
            return Ok(Err("negative padding is not built".into()));
        }
        let mut along: Vec<Along> = shape
            .iter()
            .enumerate()
            .map(|(axis, len)| Along::whole(*len, axis))
            .collect();
        for (axis, before) in axes.iter().zip(&pads) {
            along[axis.rem_euclid(shape.len() as i64) as usize].first = *before as usize;
        }
        let less = if value == 0.0 {
            x
        } else {
            self.scaled(x, 1.0, -f64::from(value))
        };
        let piece = Piece {
            input: 0,
            scale: 1,
            axes: along,
        };
        let op = FloatOp::Affine {
            pieces: vec![(1.0, piece)],
            constant: f64::from(value),
        };
        self.finish(op, vec![less])
    }

    fn tile(&mut self) -> Result<Outcome, Error> {
        let x = self.operand(0)?;
        let (own, shape) = (self.shape(x), self.target(0)?);
        let mut all = vec![Vec::new()];
        for (axis, (len, whole)) in own.iter().zip(&shape).enumerate() {
            let at = |first: usize| Along {
                first,
                ..Along::whole(*len, axis)
            };
            let options: Vec<Along> = match len {
                1 => vec![Along {
                    source: None,
                    ..Along::repeated(*whole)
                }],
                _ => (0..whole / len).map(|k| at(k * len)).collect(),
            };
            let with = |axes: &Vec<Along>| -> Vec<Vec<Along>> {
                options
                    .iter()
                    .map(|o| [&axes[..], &[*o]].concat())
                    .collect()
            };
            all = all.iter().flat_map(with).collect();
            if all.len() > MAX_PIECES {
                return Ok(Err("too many repetitions".into()));
            }
        }
        let pieces = all.into_iter().map(|axes| {
            (
                1.0,
                Piece {
                    input: 0,
                    scale: 1,
                    axes,
                },
            )
        });
        let op = FloatOp::Affine {
            pieces: pieces.collect(),
            constant: 0.0,
        };
        self.finish(op, vec![x])
    }

    /// Constant positions along an axis are views; numbers that are activations choose rows of a constant matrix.
    fn gather(&mut self) -> Result<Outcome, Error> {
        let known = self.build.ids.contains_key(&self.node.input[1]);
        if known {
            return self.embedding();
        }
        let x = self.operand(0)?;
        let (own, shape) = (self.shape(x), self.target(0)?);
        let axis = self.axis(0, own.len());
        let indices = self.import.integers(&self.node.input[1])?;
        let count = own[axis] as i64;
        let fresh = shape.len() + 1 - own.len();
        // Output axes: those before, those of the indices, those after.
        let positions = &shape[axis..axis + fresh];
        if indices.len() > MAX_PIECES {
            return Ok(Err("too many positions".into()));
        }
        let mut pieces = Vec::new();
        for (number, index) in indices.iter().enumerate() {
            let mut axes: Vec<Along> = (0..axis).map(|a| Along::whole(own[a], a)).collect();
            let mut left = number;
            let mut of_indices = vec![0; fresh];
            for (slot, len) in of_indices.iter_mut().zip(positions).rev() {
                *slot = left % len;
                left /= len;
            }
            let from = index.rem_euclid(count.max(1)) as usize;
            let mut source = Some((axis, from, 1));
            for first in of_indices {
                axes.push(Along {
                    first,
                    len: 1,
                    step: 1,
                    source: source.take(),
                });
            }
            if source.is_some() {
                // A scalar position drops the axis: it has to be read by some output axis of length one.
                let reshaped = self.gather_scalar(x, axis, from)?;
                return Ok(reshaped);
            }
            axes.extend((axis + 1..own.len()).map(|a| Along::whole(own[a], a)));
            pieces.push((
                1.0,
                Piece {
                    input: 0,
                    scale: 1,
                    axes,
                },
            ));
        }
        self.finish(
            FloatOp::Affine {
                pieces,
                constant: 0.0,
            },
            vec![x],
        )
    }

    fn gather_scalar(&mut self, x: usize, axis: usize, from: usize) -> Result<Outcome, Error> {
        let mut shape = self.shape(x);
        let mut axes: Vec<Along> = shape
            .iter()
            .enumerate()
            .map(|(a, len)| Along::whole(*len, a))
            .collect();
        axes[axis] = Along {
            source: Some((axis, from, 1)),
            ..Along::repeated(1)
        };
        shape[axis] = 1;
        let piece = Piece {
            input: 0,
            scale: 1,
            axes,
        };
        let op = FloatOp::Affine {
            pieces: vec![(1.0, piece)],
            constant: 0.0,
        };
        let row = self.part(op, vec![x], shape);
        self.finish(FloatOp::Reshape, vec![row])
    }

    fn embedding(&mut self) -> Result<Outcome, Error> {
        let Ok(matrix) = self.import.constant(&self.node.input[0]) else {
            return Ok(Err(
                "choosing among activations by activations is not built".into(),
            ));
        };
        let &[rows, cols] = matrix.shape.as_slice() else {
            return Ok(Err("only rows of a matrix are built".into()));
        };
        if int(self.node, "axis", 0) != 0 {
            return Ok(Err("only rows of a matrix are built".into()));
        }
        let numbers = self.operand(1)?;
        let op = FloatOp::Gather {
            rows,
            cols,
            weights: matrix.values,
        };
        self.finish(op, vec![numbers])
    }
}
