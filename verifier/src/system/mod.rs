//! The constraint system as data.
//!
//! Cells live in **tracks**. A track is a run of columns read as one long vector: position i lies in column
//! `i / width`, row `i mod width`, where `width` is the number of cells a column holds (n less the blinding rows for
//! advice; whole matrix rows for a tensor). Gates and lookups read **virtual columns**, affine combinations of parallel
//! tracks: a track of L columns gives L lanes, and the gate holds in each.

mod lookup;

use alloc::string::String;
use alloc::vec::Vec;

use ff::PrimeField;

use crate::challenge::Coefficient;
use crate::expression::{Expression, VirtualId};
use crate::form::{Factor, LinearForm, TrackId};
pub use lookup::{Lookup, LookupInput, LookupTable, LookupTableId, TableSide};

/// When an advice column is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Phase {
    /// Before any challenge: the witness and the multiplicities.
    One = 1,
    /// After rho, tau, alpha: contractions of matrices.
    Two = 2,
    /// After sigma, theta, beta: the helpers of the lookups.
    Three = 3,
}

/// What a track holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TrackKind {
    /// Public values, part of the key, committed without blinding.
    Fixed,
    /// A committed vector that outlives one proof and belongs to the key, such as weights. One that only linear forms read
    /// fills all n rows; one that a gate or lookup reads has zeros in its blinding rows and is read behind a mask
    /// ([`Masks`]).
    Tensor,
    /// A committed vector that outlives one proof and belongs to the statement, such as the boundary between two segments;
    /// read by linear forms only. Proofs that absorb the same commitment compose.
    Boundary,
    /// Witness of one proof, with fresh blinding rows.
    Advice(Phase),
}

/// A run of columns read as one long vector of cells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// Name, for errors and reports.
    pub name: String,
    /// What it holds.
    pub kind: TrackKind,
    /// Cells per column.
    pub width: usize,
    /// Number of columns.
    pub columns: usize,
    /// Number of cells that regions use; the rest, up to `columns * width`, is padding.
    pub len: usize,
    /// Value of the padding cells of phase-1 advice: lookups read them too, so it must be in their tables.
    pub padding: i64,
}

/// Consecutive cells of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region {
    /// The track.
    pub track: TrackId,
    /// First position.
    pub start: usize,
    /// Number of cells.
    pub len: usize,
}

/// A vector of public inputs or outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Name, for errors and reports.
    pub name: String,
    /// Number of values.
    pub len: usize,
}

/// Consecutive lanes of parallel tracks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lanes {
    /// The first column read.
    pub first: usize,
    /// Number of columns, at least one.
    pub count: usize,
}

/// One virtual column per lane: `constants + sum_i coefficient_i * track_i[lane]`, read `rotation` rows further down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualColumn<F> {
    /// The combined tracks, all of the same number of columns; at least one.
    pub terms: Vec<(TrackId, Coefficient<F>)>,
    /// Added to every row.
    pub constants: Vec<Coefficient<F>>,
    /// Rows further down, cyclically. A gate that reads blinding rows this way must be switched off there by a fixed
    /// column (checked by `validate`).
    pub rotation: i32,
    /// The lanes of the tracks that are its own lanes; `None`: all.
    pub lanes: Option<Lanes>,
}

/// A polynomial that vanishes on every usable row of every lane of the virtual columns it reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate<F> {
    /// Name, for errors.
    pub name: String,
    /// The polynomial.
    pub expression: Expression<F>,
}

/// The fresh masks of tensors that gates or lookups read.
///
/// Opening a tensor at a point would leak one linear equation on it in every proof. Column c of tensor T is read as
/// `f + sum_i d_i L_{n-t+i}`, which changes its blinding rows only, with `d_i` at `start + c t + i` of the mask track,
/// uniform in every proof and read by nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Masks {
    /// Phase-1 advice, filled with randomness by the prover.
    pub track: TrackId,
    /// Masked tensors with the position of their first mask cell.
    pub of: Vec<(TrackId, usize)>,
}

/// One term of a [`Contraction`]: a strided view of a track times a constant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContractionTerm<F> {
    /// The track read.
    pub track: TrackId,
    /// Position of index (0, .., 0).
    pub start: usize,
    /// Strides of the outer dimensions.
    pub outer: Vec<usize>,
    /// Strides of the inner dimensions.
    pub inner: Vec<usize>,
    /// Constant factor.
    pub scale: F,
}

/// Phase-2 cells that contract earlier ones:
/// `target[j] = sum_i prod_k factor_k[i_k] (constant + sum_terms scale * cell[start + <j, outer> + <i, inner>])`,
/// j row-major over the outer dimensions. V = rho^T W and Z = X tau are contractions; so is a folded table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contraction<F> {
    /// Name, for errors.
    pub name: String,
    /// Lengths of the outer dimensions; their product is the target's length.
    pub outer: Vec<usize>,
    /// Lengths and factors (powers of rho, tau or alpha) of the inner dimensions.
    pub inner: Vec<(usize, Factor<F>)>,
    /// What is summed.
    pub terms: Vec<ContractionTerm<F>>,
    /// Added to every summand.
    pub constant: F,
    /// Where the result lies.
    pub target: Region,
}

/// How the prover fills phase-2 tracks, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Derivation<F> {
    /// A contraction.
    Contract(Contraction<F>),
    /// `target = left * right`, cell by cell over three parallel tracks.
    Product {
        /// Left factor.
        left: TrackId,
        /// Right factor.
        right: TrackId,
        /// The product.
        target: TrackId,
    },
}

/// A family of linear claims: for each i < claims, the terms with lambda^i sum to zero. Terms over instances and
/// constants are public.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinearConstraint<F> {
    /// Name, for errors.
    pub name: String,
    /// Number of claims; `Lambda` inside the forms numbers them.
    pub claims: u32,
    /// The forms, which sum to zero.
    pub forms: Vec<LinearForm<F>>,
}

/// A whole constraint system, made by [`crate::builder::SystemBuilder`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConstraintSystem<F> {
    /// log2 of the number of rows n.
    pub log_n: u32,
    /// Blinding rows t: the number of points at which a column is opened.
    pub blinding: usize,
    /// All tracks.
    pub tracks: Vec<Track>,
    /// Values of the fixed tracks: `(track, columns * width values)`.
    pub fixed: Vec<(TrackId, Vec<F>)>,
    /// All public vectors.
    pub instances: Vec<Instance>,
    /// All virtual columns.
    pub virtuals: Vec<VirtualColumn<F>>,
    /// All gates, those of the lookups included.
    pub gates: Vec<Gate<F>>,
    /// All tables.
    pub tables: Vec<LookupTable>,
    /// All lookups.
    pub lookups: Vec<Lookup>,
    /// The table sides, none without lookups.
    pub table_sides: Vec<TableSide>,
    /// Masks of tensors that gates or lookups read.
    pub masks: Option<Masks>,
    /// How phase-2 tracks are filled.
    pub derivations: Vec<Derivation<F>>,
    /// All linear constraints, the lookup sum included.
    pub constraints: Vec<LinearConstraint<F>>,
}

impl<F> VirtualColumn<F> {
    /// The column of its tracks that its lane 0 is.
    #[must_use]
    pub fn first_lane(&self) -> usize {
        self.lanes.map_or(0, |lanes| lanes.first)
    }
}

impl<F: PrimeField> ConstraintSystem<F> {
    /// Rows of a column.
    #[must_use]
    pub fn rows(&self) -> usize {
        1usize.checked_shl(self.log_n).unwrap_or(usize::MAX)
    }

    /// Rows that constraints may use: all but the blinding rows.
    #[must_use]
    pub fn usable(&self) -> usize {
        self.rows().saturating_sub(self.blinding)
    }

    /// The track of that id.
    #[must_use]
    pub fn track(&self, id: TrackId) -> Option<&Track> {
        self.tracks.get(usize::try_from(id.0).ok()?)
    }

    /// The virtual column of that id.
    #[must_use]
    pub fn virtual_column(&self, id: VirtualId) -> Option<&VirtualColumn<F>> {
        self.virtuals.get(usize::try_from(id.0).ok()?)
    }

    /// Lanes of a virtual column: columns of its tracks, or as many as it says.
    #[must_use]
    pub fn lanes(&self, id: VirtualId) -> usize {
        let Some(column) = self.virtual_column(id) else {
            return 0;
        };
        let track = column.terms.first().and_then(|(id, _)| self.track(*id));
        column
            .lanes
            .map_or(track.map_or(0, |track| track.columns), |lanes| lanes.count)
    }

    /// Positions that a lookup reads in each of its tracks.
    #[must_use]
    pub fn looked_up(&self, lookup: &Lookup) -> core::ops::Range<usize> {
        let first = self
            .virtual_column(lookup.folded)
            .map_or(0, |v| v.first_lane());
        let lanes = first..first.saturating_add(self.lanes(lookup.folded));
        let position = |lane: usize| lane.saturating_mul(self.usable());
        position(lanes.start)..position(lanes.end)
    }

    /// Lanes in which a gate holds.
    #[must_use]
    pub fn gate_lanes(&self, gate: &Gate<F>) -> usize {
        let mut lanes = 0usize;
        gate.expression
            .virtuals(&mut |id| lanes = lanes.max(self.lanes(id)));
        lanes
    }

    /// Largest degree of a gate, at least 1.
    #[must_use]
    pub fn degree(&self) -> usize {
        self.gates
            .iter()
            .map(|gate| gate.expression.degree())
            .fold(1, usize::max)
    }

    /// Quotient columns, one per coset: `max(d, t + 1) - 1`, none without gates.
    #[must_use]
    pub fn quotient_columns(&self) -> usize {
        if self.gates.is_empty() {
            return 0;
        }
        self.cosets_of_degree(self.degree())
    }

    /// Coset shifts g_j = g^(j+1) for the field's multiplicative generator g: g_j^n are distinct and not 1.
    #[must_use]
    pub fn coset_shifts(&self) -> Vec<F> {
        core::iter::successors(Some(F::MULTIPLICATIVE_GENERATOR), |g| {
            Some(*g * F::MULTIPLICATIVE_GENERATOR)
        })
        .take(self.quotient_columns())
        .collect()
    }

    /// Position of the first mask cell of a tensor's column, if the tensor is read behind a mask.
    #[must_use]
    pub fn mask_of(&self, tensor: TrackId, column: usize) -> Option<usize> {
        let masks = self.masks.as_ref()?;
        let (_, start) = masks.of.iter().find(|(id, _)| *id == tensor)?;
        start.checked_add(column.checked_mul(self.blinding)?)
    }

    /// The side of a lookup's table.
    #[must_use]
    pub fn side_of(&self, lookup: &Lookup) -> Option<&TableSide> {
        let table = self.tables.get(usize::try_from(lookup.table.0).ok()?)?;
        self.table_sides.get(usize::try_from(table.side).ok()?)
    }

    /// Tracks of one kind, in order.
    pub fn tracks_of(&self, kind: TrackKind) -> impl Iterator<Item = (TrackId, &Track)> {
        self.tracks
            .iter()
            .zip(0u32..)
            .filter(move |(track, _)| track.kind == kind)
            .map(|(track, id)| (TrackId(id), track))
    }

    /// Columns of all tracks of one kind.
    #[must_use]
    pub fn columns_of(&self, kind: TrackKind) -> usize {
        self.tracks_of(kind).map(|(_, track)| track.columns).sum()
    }

    /// The rotations that occur, in rising order; 0 if nothing is opened.
    #[must_use]
    pub fn rotations(&self) -> Vec<i32> {
        let mut rotations: Vec<i32> = self.virtuals.iter().map(|v| v.rotation).collect();
        rotations.sort_unstable();
        rotations.dedup();
        rotations
    }

    /// The largest number of points at which a column is opened: as many blinding rows it needs.
    #[must_use]
    pub fn opening_points(&self) -> usize {
        let mut points: Vec<(TrackId, i32)> = self
            .virtuals
            .iter()
            .flat_map(|v| v.terms.iter().map(|(track, _)| (*track, v.rotation)))
            .collect();
        points.sort_unstable();
        points.dedup();
        let of_track = |id: TrackId| points.iter().filter(|(track, _)| *track == id).count();
        let counts = points.iter().map(|(track, _)| of_track(*track));
        counts.fold(1, usize::max)
    }

    /// Cosets on which gates of that degree are accumulated, and their share of the quotient is a polynomial known from:
    /// `b gate / (X^n - 1)` has degree `(d - 1) n - d + t`, so `max(d, t + 1) - 1`.
    #[must_use]
    pub fn cosets_of_degree(&self, degree: usize) -> usize {
        degree
            .max(self.blinding.saturating_add(1))
            .saturating_sub(1)
    }

    /// All `(virtual column, lane)` pairs whose evaluation at zeta is sent, in the order of the proof.
    pub fn evaluations(&self) -> impl Iterator<Item = (VirtualId, usize)> + '_ {
        (0u32..).zip(&self.virtuals).flat_map(|(id, _)| {
            (0..self.lanes(VirtualId(id))).map(move |lane| (VirtualId(id), lane))
        })
    }

    /// Without the named gate, for tests that show each gate is needed.
    #[must_use]
    pub fn without_gate(mut self, name: &str) -> Self {
        self.gates.retain(|gate| gate.name != name);
        self
    }

    /// Without the named linear constraint, for tests that show each constraint is needed.
    #[must_use]
    pub fn without_constraint(mut self, name: &str) -> Self {
        self.constraints
            .retain(|constraint| constraint.name != name);
        self
    }
}
