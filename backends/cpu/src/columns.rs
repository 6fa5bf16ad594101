//! Columns in memory: small integers stay small.

use core::ops::Range;
use rayon::prelude::*;
use std::borrow::Cow;
use zkernel_backend::shape::{self, Shape};
use zkernel_backend::{Body, ColumnRef, Field, HostColumns, Result};

use crate::kernels::{self, INTEGER_BITS};
use crate::level::Level;
use crate::room;

/// A batch of columns.
#[derive(Clone)]
pub struct Columns<F: Field>(HostColumns<F>);

impl<F: Field> Drop for Columns<F> {
    fn drop(&mut self) {
        let columns = self.0.columns;
        if let Body::Full(cells) = &mut self.0.body {
            room::give(columns, core::mem::take(cells));
        }
    }
}

/// The body cells of one column.
pub(crate) enum Cells<'a, F> {
    /// Small integers and their bound in bits.
    Small(u32, &'a [i64]),
    /// Field elements.
    Full(&'a [F]),
}

impl<F> Cells<'_, F> {
    pub(crate) const fn len(&self) -> usize {
        match self {
            Self::Small(_, values) => values.len(),
            Self::Full(values) => values.len(),
        }
    }
}

impl<F: Field> Columns<F> {
    pub(crate) fn upload(host: &HostColumns<F>) -> Result<Self> {
        shape::upload(host)?;
        Ok(Self(host.clone()))
    }

    pub(crate) fn zeros(columns: usize, rows: usize) -> Result<Self> {
        let cells = shape::cells("zeros", columns, rows)?;
        Ok(Self(HostColumns {
            rows,
            columns,
            body: Body::Small {
                bits: 0,
                values: vec![0; cells],
            },
            tail: Vec::new(),
        }))
    }

    pub(crate) const fn new(columns: usize, rows: usize, cells: Vec<F>) -> Self {
        Self(HostColumns {
            rows,
            columns,
            body: Body::Full(cells),
            tail: Vec::new(),
        })
    }

    pub(crate) const fn shape(&self) -> Shape {
        (self.0.columns, self.0.rows)
    }

    /// Body and tail of a column.
    pub(crate) fn column(&self, column: usize) -> (Cells<'_, F>, &[F]) {
        let tail = self.0.tail_rows();
        let body = self.0.rows - tail;
        let range = column * body..(column + 1) * body;
        let cells = match &self.0.body {
            Body::Small { bits, values } => Cells::Small(*bits, &values[range]),
            Body::Full(values) => Cells::Full(&values[range]),
        };
        (cells, &self.0.tail[column * tail..][..tail])
    }

    /// One column as field elements.
    pub(crate) fn full_column(&self, level: Level, column: usize) -> Cow<'_, [F]> {
        match self.column(column) {
            (Cells::Full(values), []) => Cow::Borrowed(values),
            _ => {
                let mut cells = vec![F::ZERO; self.0.rows];
                self.fill(level, column, &mut cells);
                Cow::Owned(cells)
            }
        }
    }

    /// Writes one column, as field elements, to as many cells.
    pub(crate) fn fill(&self, level: Level, column: usize, cells: &mut [F]) {
        self.fill_rows(level, column, 0, cells);
    }

    /// Writes neighbouring rows of a column, as field elements, to as many cells.
    fn fill_rows(&self, level: Level, column: usize, first: usize, cells: &mut [F]) {
        let (own, tail) = self.column(column);
        let above = self.0.rows - tail.len();
        let end = first + cells.len();
        let (body, rest) = cells.split_at_mut(above.clamp(first, end) - first);
        let rows = first.min(above)..end.min(above);
        match own {
            Cells::Full(values) => body.copy_from_slice(&values[rows]),
            Cells::Small(0, _) => body.fill(F::ZERO),
            Cells::Small(_, values) => kernels::widen(level, &values[rows], body),
        }
        rest.copy_from_slice(&tail[first.max(above) - above..end.max(above) - above]);
    }

    /// The cells at some positions as field elements, position p being column `p / width`, row `p mod width`.
    pub(crate) fn dense(
        &self,
        level: Level,
        width: usize,
        positions: Range<usize>,
    ) -> Cow<'_, [F]> {
        let all = (&self.0.body, self.0.tail.is_empty(), width == self.0.rows);
        if let (Body::Full(values), true, true) = all {
            return Cow::Borrowed(&values[positions]);
        }
        let mut cells = vec![F::ZERO; positions.len()];
        let (mut rest, mut position) = (&mut cells[..], positions.start);
        while !rest.is_empty() {
            let row = position % width;
            let (own, others) = rest.split_at_mut(rest.len().min(width - row));
            self.fill_rows(level, position / width, row, own);
            position += own.len();
            rest = others;
        }
        Cow::Owned(cells)
    }

    /// The cells at some positions as integers of at most [`INTEGER_BITS`] bits, if all are such.
    pub(crate) fn integers(&self, width: usize, positions: Range<usize>) -> Option<Cow<'_, [i64]>> {
        let Body::Small { bits, values } = &self.0.body else {
            return None;
        };
        let rows = self.0.rows - self.0.tail_rows();
        if *bits > INTEGER_BITS || width > rows {
            return None;
        }
        if width == rows {
            return Some(Cow::Borrowed(&values[positions]));
        }
        let mut cells = Vec::with_capacity(positions.len());
        let mut position = positions.start;
        while position < positions.end {
            let (column, row) = (position / width, position % width);
            let own = (width - row).min(positions.end - position);
            cells.extend_from_slice(&values[column * rows + row..][..own]);
            position += own;
        }
        Some(Cow::Owned(cells))
    }

    /// All cells as field elements, column by column.
    pub(crate) fn full(&self, level: Level) -> Cow<'_, [F]> {
        if let (Body::Full(values), true) = (&self.0.body, self.0.tail.is_empty()) {
            return Cow::Borrowed(values);
        }
        let (columns, rows) = self.shape();
        // Not room that is kept: it would not come back.
        let mut cells = vec![F::ZERO; columns * rows];
        each_column(rows, &mut cells, |(column, cells)| {
            self.fill(level, column, cells);
        });
        Cow::Owned(cells)
    }

    /// A copy of all cells as field elements, for a new batch.
    pub(crate) fn copied(&self, level: Level) -> Vec<F> {
        by_column(self.shape(), |(column, cells)| {
            self.fill(level, column, cells);
        })
    }

    /// All cells for writing, as field elements.
    pub(crate) fn full_mut(&mut self, level: Level) -> &mut [F] {
        if !self.0.tail.is_empty() || matches!(self.0.body, Body::Small { .. }) {
            self.0.body = Body::Full(self.copied(level));
            self.0.tail = Vec::new();
        }
        match &mut self.0.body {
            Body::Full(values) => values,
            // Made full above.
            Body::Small { .. } => &mut [],
        }
    }

    fn bits(&self) -> Option<u32> {
        match self.0.body {
            Body::Small { bits, .. } => Some(bits),
            Body::Full(_) => None,
        }
    }
}

/// Cells below which one thread is enough.
const PARALLEL_CELLS: usize = 1 << 13;

/// All cells of a new batch, column by column, each of which is to be written as a whole.
pub(crate) fn by_column<F: Field>(
    (columns, rows): Shape,
    fill: impl Fn((usize, &mut [F])) + Send + Sync,
) -> Vec<F> {
    let mut cells = room::take(columns * rows);
    each_column(rows, &mut cells, fill);
    cells
}

fn each_column<F: Field>(
    rows: usize,
    cells: &mut [F],
    fill: impl Fn((usize, &mut [F])) + Send + Sync,
) {
    if rows != 0 && cells.len() < PARALLEL_CELLS {
        cells.chunks_mut(rows).enumerate().for_each(fill);
    } else if rows != 0 {
        cells.par_chunks_mut(rows).enumerate().for_each(fill);
    }
}

#[tracing::instrument(skip_all, fields(columns = chosen.len()))]
pub(crate) fn gather<F: Field>(
    level: Level,
    sources: &[&Columns<F>],
    chosen: &[ColumnRef],
) -> Result<Columns<F>> {
    let shapes: Vec<Shape> = sources.iter().map(|s| s.shape()).collect();
    let (columns, rows) = shape::gather(&shapes, chosen)?;
    let used = || chosen.iter().map(|c| sources[c.batch]);
    let tail_rows = used().next().map_or(0, |s| s.0.tail_rows());
    let bits = used().try_fold(0, |bits, s| {
        (s.0.tail_rows() == tail_rows).then(|| Some(s.bits()?.max(bits)))?
    });
    let Some(bits) = bits else {
        let fill = |(place, cells): (usize, &mut [F])| {
            let ColumnRef { batch, column } = chosen[place];
            sources[batch].fill(level, column, cells);
        };
        return Ok(Columns::new(
            columns,
            rows,
            by_column((columns, rows), fill),
        ));
    };
    let (mut values, mut tail) = (Vec::new(), Vec::new());
    for c in chosen {
        if let (Cells::Small(_, body), cells) = sources[c.batch].column(c.column) {
            values.extend_from_slice(body);
            tail.extend_from_slice(cells);
        }
    }
    Ok(Columns(HostColumns {
        rows,
        columns,
        body: Body::Small { bits, values },
        tail,
    }))
}

#[tracing::instrument(skip_all, fields(columns = tails.len(), rows))]
pub(crate) fn take<F: Field>(
    level: Level,
    indices: &[u32],
    dictionary: &Columns<F>,
    tails: &[Vec<F>],
    rows: usize,
) -> Result<Columns<F>> {
    shape::take(indices, dictionary.shape(), tails, rows)?;
    let entries = dictionary.full(level);
    let mut cells: Vec<F> = room::take(indices.len());
    let pairs = cells.par_iter_mut().zip(indices);
    pairs.for_each(|(cell, i)| *cell = entries[*i as usize]);
    for (column, tail) in tails.iter().enumerate() {
        let end = (column + 1) * rows;
        cells[end - tail.len()..end].copy_from_slice(tail);
    }
    Ok(Columns::new(tails.len(), rows, cells))
}
