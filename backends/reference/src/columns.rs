//! Columns: upload, gather and dictionary lookups.

use zkernel_backend::shape::{self, Shape};
use zkernel_backend::{ColumnRef, Field, HostColumns, Result};

/// A batch of columns of field elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns<F> {
    /// Number of columns.
    pub columns: usize,
    /// Rows of a column.
    pub rows: usize,
    /// All cells, column by column.
    pub cells: Vec<F>,
}

impl<F: Field> Columns<F> {
    /// Columns and rows.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        (self.columns, self.rows)
    }

    /// The cells of one column.
    #[must_use]
    pub fn column(&self, column: usize) -> &[F] {
        &self.cells[column * self.rows..][..self.rows]
    }

    /// The columns, one after the other.
    pub fn iter(&self) -> impl Iterator<Item = &[F]> {
        (0..self.columns).map(|column| self.column(column))
    }

    /// The cell at `position`, columns being split by `width`.
    #[must_use]
    pub fn at(&self, position: usize, width: usize) -> F {
        self.cells[position / width * self.rows + position % width]
    }

    /// [`Columns::at`], for writing.
    pub fn at_mut(&mut self, position: usize, width: usize) -> &mut F {
        &mut self.cells[position / width * self.rows + position % width]
    }

    /// A batch of those cells, column by column.
    pub(crate) fn new((columns, rows): Shape, cells: impl IntoIterator<Item = F>) -> Self {
        let cells = cells.into_iter().collect();
        Self {
            columns,
            rows,
            cells,
        }
    }

    pub(crate) fn zeros(columns: usize, rows: usize) -> Result<Self> {
        let count = shape::cells("zeros", columns, rows)?;
        Ok(Self::new((columns, rows), vec![F::ZERO; count]))
    }

    pub(crate) fn upload(host: &HostColumns<F>) -> Result<Self> {
        shape::upload(host)?;
        let cell = |column| (0..host.rows).filter_map(move |row| host.get(column, row));
        let cells = (0..host.columns).flat_map(cell);
        Ok(Self::new((host.columns, host.rows), cells))
    }
}

pub(crate) fn gather<F: Field>(
    sources: &[&Columns<F>],
    chosen: &[ColumnRef],
) -> Result<Columns<F>> {
    let shapes: Vec<Shape> = sources.iter().map(|s| s.shape()).collect();
    let shape = shape::gather(&shapes, chosen)?;
    let cells = chosen
        .iter()
        .flat_map(|c| sources[c.batch].column(c.column));
    Ok(Columns::new(shape, cells.copied()))
}

pub(crate) fn take<F: Field>(
    indices: &[u32],
    dictionary: &Columns<F>,
    tails: &[Vec<F>],
    rows: usize,
) -> Result<Columns<F>> {
    shape::take(indices, dictionary.shape(), tails, rows)?;
    let entries = indices.iter().map(|i| dictionary.cells[*i as usize]);
    let mut cells: Vec<F> = entries.collect();
    for (column, tail) in tails.iter().enumerate() {
        let end = (column + 1) * rows;
        cells[end - tail.len()..end].copy_from_slice(tail);
    }
    Ok(Columns::new((tails.len(), rows), cells))
}
