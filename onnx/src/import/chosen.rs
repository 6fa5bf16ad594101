//! Gathers whose positions are activations: rows of a constant by number, or products with one-hot encodings of the positions.
//!
//! A position that lies beyond its axis, which ONNX does not allow, counts as the nearest end.

use zkernel_gadgets::model::{Along, Piece};

use super::attributes::int;
use super::maps::{flat, position};
use super::parts::{Outcome, Parts};
use super::selection::MAX_DEPTH;
use crate::Error;
use crate::model::FloatOp;

/// Most values of a constant that are chosen one by one.
const MOST_VALUES: usize = 1 << 22;

impl Parts<'_, '_> {
    /// Whether the positions of a gather are activations.
    pub(super) fn chooses(&self) -> bool {
        self.build.ids.contains_key(&self.node.input[1])
    }

    /// `y[i][p][j] = sum_k [p = k] x[i][k][j]` for activations x; the rows of a constant are looked up.
    pub(super) fn chosen(&mut self) -> Result<Outcome, Error> {
        if self.import.is_known(&self.node.input[0]) {
            return self.embedding();
        }
        let (x, numbers) = (self.operand(0)?, self.operand(1)?);
        let own = self.shape(x);
        let axis = self.axis(0, own.len());
        let numbers = self.counted_from_the_front(numbers, own[axis]);
        let count = self.shape(numbers).iter().product();
        let numbers = self.part(FloatOp::Reshape, vec![numbers], vec![count]);
        match self.rows_by_number(x, axis, numbers) {
            Ok(y) => self.finish_as(0, y),
            Err(problem) => Ok(Err(problem)),
        }
    }

    /// Slices of a constant by activations: the axis comes first, the rest is a row.
    fn embedding(&mut self) -> Result<Outcome, Error> {
        let data = self.import.constant(&self.node.input[0])?;
        let numbers = self.operand(1)?;
        let (rank, count) = (data.shape.len(), self.shape(numbers).len());
        let axis = self.axis(0, rank);
        let rest = [&data.shape[..axis], &data.shape[axis + 1..]].concat();
        let (rows, cols) = (data.shape[axis], rest.iter().product::<usize>());
        let weights = (0..rows * cols).map(|p| {
            let mut index = position(p % cols, &rest);
            index.insert(axis, p / cols);
            data.values[flat(&index, &data.shape)]
        });
        let weights = weights.collect();
        let op = FloatOp::Gather {
            rows,
            cols,
            weights,
        };
        if axis == 0 {
            return self.finish(op, vec![numbers]);
        }
        let shape = [&self.shape(numbers)[..], &rest].concat();
        let chosen = self.part(op, vec![numbers], shape);
        let axes = (count..count + axis)
            .chain(0..count)
            .chain(count + axis..count + rank - 1);
        self.finish(FloatOp::Transpose(axes.collect()), vec![chosen])
    }

    /// `y[i][j] = x[p[i][j]][j]`, along any axis.
    pub(super) fn chosen_elements(&mut self) -> Result<Outcome, Error> {
        let own = self.import.shape(&self.node.input[0])?;
        let axis = self.axis(0, own.len());
        let numbers = self.operand(1)?;
        let shape = self.shape(numbers);
        let numbers = self.counted_from_the_front(numbers, own[axis]);
        if self.import.is_known(&self.node.input[0]) {
            return self.elements_of_constant(numbers, &own, axis);
        }
        let x = self.operand(0)?;
        // Positions along other axes that nothing is taken from are cut off; the axis comes last.
        let kept: Vec<usize> = (0..own.len())
            .map(|a| if a == axis { own[a] } else { shape[a] })
            .collect();
        let x = self.corner(x, &kept);
        let order = Self::to_last(axis, own.len());
        let (x, numbers) = (
            self.transpose(x, order.clone()),
            self.transpose(numbers, order.clone()),
        );
        let bits = match self.bits_of_positions(numbers, own[axis]) {
            Ok(bits) => bits,
            Err(problem) => return Ok(Err(problem)),
        };
        let columns = [&self.shape(x)[..], &[1]].concat();
        let columns = self.part(FloatOp::Reshape, vec![x], columns);
        let taken = self.matrix_product(bits, columns);
        let arranged: Vec<usize> = order.iter().map(|a| shape[*a]).collect();
        let taken = self.part(FloatOp::Reshape, vec![taken], arranged);
        let mut back = vec![0; order.len()];
        for (to, from) in order.iter().enumerate() {
            back[*from] = to;
        }
        let y = self.transpose(taken, back);
        self.finish_as(0, y)
    }

    /// Slices of x by tuples of positions along its leading axes; batches one after the other if there are any.
    pub(super) fn chosen_slices(&mut self) -> Result<Outcome, Error> {
        let own = self.import.shape(&self.node.input[0])?;
        let batch = int(self.node, "batch_dims", 0).max(0) as usize;
        let tuples = self.operand(1)?;
        let mut lead = self.shape(tuples);
        let width = lead.pop().unwrap_or(0);
        if width == 0 || batch + width > own.len() || batch > lead.len() {
            return Ok(Err("its indices do not fit".into()));
        }
        let numbers = self.flat_positions(tuples, &own[..batch + width], (batch, width));
        let count = lead.iter().product();
        let numbers = self.part(FloatOp::Reshape, vec![numbers], vec![count]);
        let rows = own[..batch + width].iter().product();
        let cols = own[batch + width..].iter().product();
        if self.import.is_known(&self.node.input[0]) {
            let weights = self.import.constant(&self.node.input[0])?.values;
            let op = FloatOp::Gather {
                rows,
                cols,
                weights,
            };
            let y = self.part(op, vec![numbers], vec![count, cols]);
            return self.finish_as(0, y);
        }
        let x = self.operand(0)?;
        let x = self.part(FloatOp::Reshape, vec![x], vec![rows, cols]);
        match self.rows_by_number(x, 0, numbers) {
            Ok(y) => self.finish_as(0, y),
            Err(problem) => Ok(Err(problem)),
        }
    }

    /// Row-major positions over the leading axes, from tuples over those behind `batch` ones: `sum_k stride_k p_k`, and for each batch
    /// where it begins.
    fn flat_positions(
        &mut self,
        tuples: usize,
        axes: &[usize],
        (batch, width): (usize, usize),
    ) -> usize {
        let shape = self.shape(tuples);
        let lead = shape[..shape.len() - 1].to_vec();
        let stride = |axis: usize| axes[axis + 1..].iter().product::<usize>() as f64;
        let parts: Vec<usize> = (0..width)
            .map(|k| {
                let part = self.span(tuples, shape.len() - 1, (k, 1));
                self.counted_from_the_front(part, axes[batch + k])
            })
            .collect();
        let mut of_batch = vec![0.0; lead.iter().product()];
        for (number, value) in of_batch.iter_mut().enumerate() {
            let at = position(number, &lead);
            *value = (0..batch).map(|a| at[a] as f64 * stride(a)).sum::<f64>() as f32;
        }
        let column = [&lead[..], &[1]].concat();
        let start = self.constant(column.clone(), of_batch);
        let inputs: Vec<usize> = parts.into_iter().chain([start]).collect();
        let factor = |k: usize| if k < width { stride(batch + k) } else { 1.0 };
        let piece = |k: usize| (factor(k), Piece::broadcast(k, 1, &column, &column));
        let op = FloatOp::Affine {
            pieces: (0..=width).map(piece).collect(),
            constant: 0.0,
        };
        self.part(op, inputs, column)
    }

    /// `p + len [p < 0]`; positions that are known to count from the front stay.
    fn counted_from_the_front(&mut self, numbers: usize, len: usize) -> usize {
        if self.positions_below(numbers).is_some() {
            return numbers;
        }
        let shape = self.shape(numbers);
        let negative = self.scaled(numbers, -1.0, 0.0);
        let negative = self.part(FloatOp::Positive, vec![negative], shape.clone());
        self.difference([numbers, negative], [1.0, len as f64], 0.0, &shape)
    }

    /// Slices of x along an axis by a vector of positions: `axes before x count x axes behind`, each side flat.
    fn rows_by_number(&mut self, x: usize, axis: usize, numbers: usize) -> Result<usize, String> {
        let own = self.shape(x);
        let bits = self.bits_of_positions(numbers, own[axis])?;
        let (before, behind) = (&own[..axis], &own[axis + 1..]);
        let [before, behind] = [before, behind].map(|axes| axes.iter().product());
        let x = self.part(FloatOp::Reshape, vec![x], vec![before, own[axis], behind]);
        Ok(self.matrix_product(bits, x))
    }

    fn bits_of_positions(&mut self, numbers: usize, len: usize) -> Result<usize, String> {
        match (1..=MAX_DEPTH).contains(&len) {
            true => Ok(self.one_hot_of(numbers, len)),
            false => Err(format!(
                "activations choose among {len}, not among 1 to {MAX_DEPTH}"
            )),
        }
    }

    /// The values at the beginning of every axis.
    fn corner(&mut self, x: usize, kept: &[usize]) -> usize {
        if self.shape(x) == kept {
            return x;
        }
        let along = |(axis, len): (usize, &usize)| Along::whole(*len, axis);
        let axes = kept.iter().enumerate().map(along).collect();
        let (input, scale, constant) = (0, 1, 0.0);
        let pieces = vec![(1.0, Piece { input, scale, axes })];
        self.part(FloatOp::Affine { pieces, constant }, vec![x], kept.to_vec())
    }

    /// `y[i][j] = c[p[i][j]][j]` of a constant: a row of its own for every element.
    fn elements_of_constant(
        &mut self,
        numbers: usize,
        own: &[usize],
        axis: usize,
    ) -> Result<Outcome, Error> {
        let values = self.import.constant(&self.node.input[0])?.values;
        if let Some(first) = values.first()
            && values.iter().all(|v| v.to_bits() == first.to_bits())
        {
            return self.finish_with(f64::from(*first), numbers);
        }
        if values.len() > MOST_VALUES {
            return Ok(Err(format!(
                "activations choose among more than {MOST_VALUES} values one by one"
            )));
        }
        let shape = self.shape(numbers);
        let stride = |a: usize| own[a + 1..].iter().product::<usize>();
        let starts = (0..shape.iter().product()).map(|number| {
            let at = position(number, &shape);
            let others = (0..own.len()).filter(|a| *a != axis);
            others.map(|a| at[a] * stride(a)).sum::<usize>() as f32
        });
        let starts = starts.collect();
        let starts = self.constant(shape.clone(), starts);
        let numbers = self.difference([numbers, starts], [stride(axis) as f64, 1.0], 0.0, &shape);
        let op = FloatOp::Gather {
            rows: values.len(),
            cols: 1,
            weights: values,
        };
        let columns = [&shape[..], &[1]].concat();
        let y = self.part(op, vec![numbers], columns);
        self.finish_as(0, y)
    }
}
