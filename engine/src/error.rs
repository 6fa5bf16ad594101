//! What can go wrong when proving.

use zkernel_backend::BackendError;
use zkernel_verifier::key::KeyError;
use zkernel_verifier::rounds::BadChallenge;
use zkernel_verifier::verify::Rejection;

/// An error of key generation or proving.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A device operation failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The key could not be made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The witness has the wrong shape.
    #[error("track `{track}` of the witness: {problem}")]
    Witness {
        /// The track.
        track: String,
        /// What is wrong.
        problem: String,
    },
    /// A looked-up row is not in its table.
    #[error("lookup `{lookup}`, lane {lane}, row {row}: {tuple:?} is not a row of table `{table}`")]
    NotInTable {
        /// The lookup.
        lookup: String,
        /// The table.
        table: String,
        /// The lane.
        lane: usize,
        /// The row.
        row: usize,
        /// The looked-up values.
        tuple: Vec<i64>,
    },
    /// A challenge was zero or in a domain; starting again with fresh blinding helps.
    #[error(transparent)]
    Challenge(#[from] BadChallenge),
    /// The operating system gives no randomness.
    #[error("no randomness from the operating system: {0}")]
    Randomness(String),
    /// Our own verifier does not accept the proof: the witness violates a constraint. `check` names it.
    #[error("the witness does not satisfy the constraints ({0}); run the mock prover to see which")]
    Unsatisfied(Rejection),
}

/// Result of key generation and proving.
pub type Result<T, E = Error> = core::result::Result<T, E>;
