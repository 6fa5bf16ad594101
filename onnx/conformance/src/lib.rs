//! ONNX's conformance suite: a node case is a model of one operator (or of an operator taken apart), its inputs and the outputs that
//! the specification's reference implementation gives.
//!
//! A case is imported, calibrated on its own inputs, run on integers, compared with the recorded outputs and proven; see
//! [`outcome`](outcome::outcome). Inputs that the importer needs as constants become initializers first, by the list in [`fixed`];
//! every other input stays secret.

pub mod case;
pub mod fixed;
pub mod outcome;
pub mod page;
pub mod proof;
pub mod values;

pub use case::{Case, CaseError};
pub use outcome::{Depth, Outcome, outcome};
