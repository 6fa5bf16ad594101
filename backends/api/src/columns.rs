//! Columns on the host, and references to columns on a device.

use zkernel_verifier::curve::{Field, signed};

/// The body of host columns, column by column.
#[derive(Clone, PartialEq, Eq)]
pub enum Body<F> {
    /// Small signed integers, `|value| < 2^bits`, `bits <= 62`.
    Small {
        /// Bound on the magnitudes, in bits.
        bits: u32,
        /// The values.
        values: Vec<i64>,
    },
    /// Field elements.
    Full(Vec<F>),
}

/// Columns on the host: a body of `columns x (rows - tail)` cells, and a field tail of blinding cells for each column.
///
/// ```
/// use pasta_curves::Fp;
/// use zkernel_backend::{Body, HostColumns};
///
/// let tail = vec![Fp::from(7), Fp::from(8)];
/// let columns = HostColumns { rows: 3, columns: 2, body: Body::small(vec![1, -2, 3, 4]), tail };
/// assert!(columns.is_consistent());
/// assert_eq!(columns.get(0, 1), Some(-Fp::from(2)));
/// assert_eq!(columns.get(1, 2), Some(Fp::from(8)), "the tail lies below the body");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct HostColumns<F> {
    /// Rows of a column.
    pub rows: usize,
    /// Number of columns.
    pub columns: usize,
    /// All cells but the last `tail / columns` of each column.
    pub body: Body<F>,
    /// The last cells of each column, column by column; empty or a multiple of `columns`.
    pub tail: Vec<F>,
}

/// One column of a list of batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnRef {
    /// Index of the batch.
    pub batch: usize,
    /// Index of the column in the batch.
    pub column: usize,
}

/// One column of a list of batches times a coefficient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term<F> {
    /// The column.
    pub column: ColumnRef,
    /// Its coefficient.
    pub coefficient: F,
}

impl<F: Field> Body<F> {
    /// Small integers with the smallest bound that holds.
    #[must_use]
    pub fn small(values: Vec<i64>) -> Self {
        let magnitude = values.iter().map(|v| v.unsigned_abs()).fold(0, u64::max);
        Self::Small {
            bits: 64 - magnitude.leading_zeros(),
            values,
        }
    }

    /// Number of cells.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::Small { values, .. } => values.len(),
            Self::Full(values) => values.len(),
        }
    }

    /// Whether there is no cell.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The cell at that position as a field element.
    #[must_use]
    pub fn get(&self, position: usize) -> Option<F> {
        match self {
            Self::Small { values, .. } => values.get(position).map(|v| signed(*v)),
            Self::Full(values) => values.get(position).copied(),
        }
    }
}

impl<F: Field> HostColumns<F> {
    /// Blinding cells of each column.
    #[must_use]
    pub const fn tail_rows(&self) -> usize {
        match self.tail.len().checked_div(self.columns) {
            Some(rows) => rows,
            None => 0,
        }
    }

    /// Whether body and tail have as many cells as rows and columns say.
    #[must_use]
    pub const fn is_consistent(&self) -> bool {
        self.body.len() + self.tail.len() == self.rows * self.columns
            && self.tail.len() == self.tail_rows() * self.columns
    }

    /// The cell at (column, row).
    #[must_use]
    pub fn get(&self, column: usize, row: usize) -> Option<F> {
        let tail = self.tail_rows();
        let body = self.rows.checked_sub(tail)?;
        if column >= self.columns || row >= self.rows {
            return None;
        }
        if row < body {
            self.body.get(column * body + row)
        } else {
            self.tail.get(column * tail + row - body).copied()
        }
    }
}
