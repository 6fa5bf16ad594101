//! Errors of the command line, and the exit code of each.

use std::path::Path;

use zkernel_engine::mock::Failure;
use zkernel_gadgets::model::{GraphError, LowerError, RunError, SplitError, StatementError};
use zkernel_verifier::encoding::DecodeError;
use zkernel_verifier::key::KeyError;

use crate::memory::Memory;

/// Everything that can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The proof does not prove the statement.
    #[error("REJECTED: {0}")]
    Rejected(String),
    /// Constraints that a witness violates.
    #[error("the witness violates {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Violated(Vec<Failure>),
    /// The public weights are not those committed to.
    #[error("the public weights of the key are not the ones its commitments hold")]
    PublicWeights,
    /// An option with a value that cannot be used.
    #[error("{0}")]
    Option(String),
    /// An opening that does not fit the model.
    #[error("{0}")]
    Opening(String),
    /// A prover that needs more memory than it may take.
    #[error(
        "the predicted peak of memory is {predicted}, --memory allows {bound}: allow more, or `commit` again with this --memory (other layouts need less) with fewer samples, or in segments with --split"
    )]
    Memory {
        /// What it needs.
        predicted: Memory,
        /// What it may take.
        bound: Memory,
    },
    /// A quantization that changes more decisions than it may.
    #[error(
        "--accuracy: {0}; give samples that are not so near a decision, or accept it without the flag"
    )]
    Precision(String),
    /// A report that cannot be drawn.
    #[error("the report cannot be drawn: {0}")]
    Plot(String),
    /// See [`StatementError`].
    #[error("--output: {0}")]
    Statement(#[from] StatementError),
    /// See [`SplitError`].
    #[error("--split {0}")]
    Split(#[from] SplitError),
    /// Committed weights may be beyond the bounds of the graph.
    #[error("the key's range proof of the weights does not hold ({0}): do not use this key")]
    Registration(String),
    /// A file of an unknown kind.
    #[error("{0}: expected an .onnx, .zkm, .zkv, .zkp or .zko file")]
    Kind(String),
    /// A file that is not what it should be.
    #[error("not a valid file: {0}")]
    Decode(#[from] DecodeError),
    /// A graph that is not one.
    #[error("not a valid model: {0}")]
    Graph(GraphError),
    /// See [`zkernel_onnx::Error`].
    #[error(transparent)]
    Onnx(#[from] zkernel_onnx::Error),
    /// See [`RunError`].
    #[error(transparent)]
    Run(#[from] RunError),
    /// See [`LowerError`].
    #[error(transparent)]
    Lower(#[from] LowerError),
    /// See [`KeyError`].
    #[error(transparent)]
    Key(#[from] KeyError),
    /// See [`zkernel_engine::Error`].
    #[error(transparent)]
    Engine(#[from] zkernel_engine::Error),
}

impl From<GraphError> for CliError {
    fn from(error: GraphError) -> Self {
        match error {
            GraphError::Decode(error) => Self::Decode(error),
            invalid @ GraphError::Invalid { .. } => Self::Graph(invalid),
        }
    }
}

impl CliError {
    /// A rejection with the file that was rejected; other errors as they are.
    #[must_use]
    pub fn about(self, path: &Path) -> Self {
        match self {
            Self::Rejected(reason) => Self::Rejected(format!("{}: {reason}", path.display())),
            other => other,
        }
    }

    /// 1 for a rejected proof, 2 for anything else.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Rejected(_) => 1,
            _ => 2,
        }
    }
}
