//! What is counted: operations, and the sizes that their prices depend on.

use std::fmt;

/// Width of cells that are field elements.
pub const FULL: u32 = 255;
/// Width of the cells of an inner round's scalars: field elements, but every other run of rows is zero.
pub const HALF: u32 = 254;

/// Width of cells that are integers of a machine's word, for linear algebra on them.
pub const SMALL: u32 = 8;

/// log2 of the fewest and of the most cells that linear algebra is measured on: the largest batches are of 16 MiB.
pub const MEASURED: (u32, u32) = (6, 19);

/// What is counted, and what one of it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// One generator hashed to the curve.
    Generator,
    /// One base loaded, with its tables.
    LoadBase,
    /// One base of `2^log_rows` folded; width is log2 of the weights.
    FoldBase,
    /// One column committed over tabled bases.
    Commit,
    /// One column committed over folded bases.
    CommitFolded,
    /// One column committed by dictionary; width is log2 of the entries that it hits.
    CommitDictionary,
    /// One MSM of `2^log_rows` points; width is the bits of the largest scalar.
    Msm,
    /// One column transformed to coefficients.
    Interpolate,
    /// One column transformed to a coset.
    CosetEvaluate,
    /// One instruction of a gate program on one cell of one lane.
    Instruction,
    /// One product of two cells, batch by batch.
    Multiply,
    /// One cell inverted, in batches.
    Invert,
    /// One cell taken from a dictionary.
    Take,
    /// One cell copied to another batch, no wider.
    Copy,
    /// One small cell copied to a batch of field elements.
    Widen,
    /// One cell of a batch of zeros that is written to for the first time.
    Clear,
    /// One product of an inner product.
    Dot,
    /// One product of a combination.
    Combine,
    /// One term of a strided form added up; a row is a stretch of the innermost axis, and width is its stride, 2 for any but 1.
    Accumulate,
    /// One term of a sparse form added up.
    AccumulateSparse,
    /// One product of a contraction; rows are its outputs, columns what each sums up.
    Contract,
    /// Two products of a cross term, over columns or rows.
    Cross,
    /// One product of a fold, over columns or rows.
    Fold,
    /// One product of the scalars of an inner round; columns are the weights.
    Expand,
}

/// What a price is for: an operation at a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Unit {
    /// The operation.
    pub operation: Operation,
    /// log2 of the rows; 0 for an operation without.
    pub log_rows: u32,
    /// Bits of a cell ([`FULL`] for field elements, [`SMALL`] for all others in linear algebra), or what the operation says.
    pub width: u32,
    /// How many columns are worked on together if they are fewer than threads, else 0; for linear algebra log2 of the columns, that
    /// is at the shape that occurs: a short batch is not worth a second thread, a long column does not fit a core's first cache.
    pub lanes: u32,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 24] = [
        Self::Generator,
        Self::LoadBase,
        Self::FoldBase,
        Self::Commit,
        Self::CommitFolded,
        Self::CommitDictionary,
        Self::Msm,
        Self::Interpolate,
        Self::CosetEvaluate,
        Self::Instruction,
        Self::Multiply,
        Self::Invert,
        Self::Take,
        Self::Copy,
        Self::Widen,
        Self::Clear,
        Self::Dot,
        Self::Combine,
        Self::Accumulate,
        Self::AccumulateSparse,
        Self::Contract,
        Self::Cross,
        Self::Fold,
        Self::Expand,
    ];
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl Unit {
    /// Linear algebra on a batch of about that shape: powers of two, of as many cells as can be measured.
    #[must_use]
    pub fn of_cells(operation: Operation, rows: usize, columns: usize, width: u32) -> Self {
        let (fewest, most) = MEASURED;
        let nearest = |count: usize| (count.max(1) as f64).log2().round() as u32;
        let log_rows = nearest(rows).min(most);
        let lanes = nearest(columns).clamp(fewest.saturating_sub(log_rows), most - log_rows);
        Self {
            operation,
            log_rows,
            width,
            lanes,
        }
    }

    /// An operation whose price depends on no size.
    #[must_use]
    pub const fn plain(operation: Operation) -> Self {
        Self {
            operation,
            log_rows: 0,
            width: 0,
            lanes: 0,
        }
    }
}
