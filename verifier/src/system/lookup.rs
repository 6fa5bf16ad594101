//! Tables, lookups in them, and the sides that table rows lie in.

use alloc::string::String;
use alloc::vec::Vec;

use crate::expression::VirtualId;
use crate::form::TrackId;

/// Index into [`super::ConstraintSystem::tables`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LookupTableId(pub u32);

/// A table; all tables share one argument and are told apart by a non-zero tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupTable {
    /// Name, for errors and reports.
    pub name: String,
    /// Tag, distinct and not zero.
    pub tag: u64,
    /// Number of public entries in a row.
    pub arity: usize,
    /// The public entries, `arity` values a row.
    pub rows: Vec<i64>,
    /// Tracks of the secret entries that follow the public ones: cell i belongs to row i. Masked tensors, or advice of
    /// phases 1 and 2 (a tensor folded with alpha).
    pub secret: Vec<TrackId>,
    /// Its side: the lanes that its rows lie in.
    pub side: u32,
    /// Number of its first row on its side.
    pub offset: usize,
}

/// An affine combination of tracks that a lookup reads: `constant + sum_i coefficient_i * track_i`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupInput {
    /// The combined tracks.
    pub terms: Vec<(TrackId, i64)>,
    /// Added to every row.
    pub constant: i64,
}

/// Every row of `folded`'s lanes of `inputs` is a row of `table`.
///
/// Lookups with one helper share it: with the denominators `beta + f_j` and numerators `q_j` (1, or `enabled`) of all of
/// them, its one gate says `h prod_j (beta + f_j) = sum_j q_j prod_{i != j} (beta + f_i)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// Name, for errors.
    pub name: String,
    /// The table.
    pub table: LookupTableId,
    /// One input per entry of a table row.
    pub inputs: Vec<LookupInput>,
    /// Fixed 0/1 track that disables rows; `None`: all rows are enabled (padding cells hold a table row).
    pub enabled: Option<TrackId>,
    /// The helper track h, in phase 3, with as many columns as `folded` has lanes.
    pub helper: TrackId,
    /// The virtual column f = tag + theta x_1 + theta^2 x_2 + ...
    pub folded: VirtualId,
}

/// A table side of the lookup argument: lanes over the concatenation of all public tables, or over one table with secret
/// entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSide {
    /// Fixed track of tags; 0, the tag of no table, on rows that no table uses.
    pub tag: TrackId,
    /// Tracks of entries, as many as the longest row has; shorter rows are padded with zeros.
    pub entries: Vec<TrackId>,
    /// Multiplicities m, phase 1.
    pub multiplicity: TrackId,
    /// Helper h_T, phase 3, with gate `h_T (beta + f_T) = -m`.
    pub helper: TrackId,
    /// The virtual column f_T.
    pub folded: VirtualId,
}

impl LookupTable {
    /// Number of rows.
    #[must_use]
    pub fn height(&self) -> usize {
        self.rows.len().checked_div(self.arity).unwrap_or(0)
    }
}

impl LookupInput {
    /// The input that is one track.
    #[must_use]
    pub fn plain(track: TrackId) -> Self {
        Self {
            terms: alloc::vec![(track, 1)],
            constant: 0,
        }
    }
}
