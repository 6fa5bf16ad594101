//! What is counted: operations, and the sizes that their prices depend on.

use std::fmt;

/// Width of cells that are field elements.
pub const FULL: u32 = 255;
/// Width of the cells of an inner round's scalars: field elements, but every other run of rows is zero.
pub const HALF: u32 = 254;

/// log2 of the cells of a batch that a core's caches hold.
pub const CACHED: u32 = 14;
/// log2 of the cells of a batch that they do not hold.
pub const LARGE: u32 = 18;
/// log2 of the cells of a batch whose memory the system has to find and clear each time: 32 MiB and more.
pub const FRESH: u32 = 20;

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
    /// One instruction of a gate program on one cell.
    Instruction,
    /// One product of two cells, batch by batch.
    Multiply,
    /// One cell inverted, in batches.
    Invert,
    /// One cell taken from a dictionary.
    Take,
    /// One cell copied.
    Copy,
    /// One small cell made a field element.
    Widen,
    /// One product of an inner product.
    Dot,
    /// One product of a combination.
    Combine,
    /// One term of a strided form added up.
    Accumulate,
    /// One term of a sparse form added up.
    AccumulateSparse,
    /// One product of a contraction.
    Contract,
    /// Two products of a cross term, over columns or rows.
    Cross,
    /// One product of a fold, over columns or rows.
    Fold,
    /// One product of the scalars of an inner round.
    Expand,
}

/// What a price is for: an operation at a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Unit {
    /// The operation.
    pub operation: Operation,
    /// log2 of the rows, for MSMs and transforms; for linear algebra log2 of the cells it is measured on, [`CACHED`],
    /// [`LARGE`] or [`FRESH`]; else 0.
    pub log_rows: u32,
    /// Bits of a cell ([`FULL`] for field elements), or what the operation says.
    pub width: u32,
    /// How many columns are worked on together if they are fewer than threads; else 0.
    pub lanes: u32,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 23] = [
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
