//! What can be wrong with a constraint system.

use alloc::string::String;

use crate::challenge::Challenge;

/// What is wrong with a constraint system.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SystemError {
    /// n out of range or no usable row.
    #[error(
        "2^{log_n} rows with {blinding} blinding rows: need 2 <= log n <= 28 and at least one usable row"
    )]
    Rows {
        /// log2 of the rows.
        log_n: u32,
        /// Blinding rows.
        blinding: usize,
    },
    /// More opening points than blinding rows.
    #[error(
        "{points} opening points but {blinding} blinding rows: every opening needs a blinding row of its own"
    )]
    Blinding {
        /// Opening points.
        points: usize,
        /// Blinding rows.
        blinding: usize,
    },
    /// A form leaves its track, and might reach a blinding row.
    #[error("{name}: position {position} is outside the {len} cells of `{track}`")]
    OutOfRange {
        /// The constraint.
        name: String,
        /// The track or instance.
        track: String,
        /// The position read.
        position: usize,
        /// Cells that may be read.
        len: usize,
    },
    /// A virtual column reads lanes that its tracks do not have.
    #[error("{name}: reads lanes up to {end} of tracks of {columns} columns")]
    Lanes {
        /// The virtual column.
        name: String,
        /// End of its lanes.
        end: usize,
        /// Columns of its tracks.
        columns: usize,
    },
    /// A reference to something that does not exist.
    #[error("{0}: refers to a track, instance, virtual column or table that does not exist")]
    Dangling(String),
    /// A challenge is used where it is not drawn yet, or lambda beyond the family's claims.
    #[error("{name}: challenge {challenge:?} may not be used here with exponent {exponent}")]
    Challenge {
        /// The constraint.
        name: String,
        /// The challenge.
        challenge: Challenge,
        /// Its exponent.
        exponent: u64,
    },
    /// Tracks read together have different numbers of columns or widths.
    #[error("{0}: reads tracks of different numbers of columns or kinds that cannot be combined")]
    NotParallel(String),
    /// A list has the wrong length.
    #[error("{0}: a list of values, strides or table rows has the wrong length")]
    Length(String),
    /// A gate is too large.
    #[error("{0}: a gate may have at most 65,535 operations, inputs and constants")]
    GateSize(String),
    /// An empty form, gate or constraint.
    #[error("{0}: is empty")]
    Empty(String),
    /// A tensor is opened at a point without a mask, which would leak an equation on it in every proof.
    #[error("{name}: `{track}` outlives one proof and may be opened only behind a mask")]
    Unmasked {
        /// The virtual column.
        name: String,
        /// The track.
        track: String,
    },
    /// Mask cells overlap, lie outside the mask track, or are read by something else.
    #[error("`{0}`: mask cells must be distinct and read by nothing else")]
    Masks(String),
    /// A rotation reaches a blinding row on a row where its gate is enabled.
    #[error(
        "{gate}: on row {row} a rotation reaches a blinding row; switch the gate off there with a fixed column as factor"
    )]
    Rotation {
        /// The gate.
        gate: String,
        /// The row.
        row: usize,
    },
}
