//! Inputs and peers for the benchmarks: every peer is given the same points and scalars as ours, and its result is
//! compared before it is timed.

pub mod chains;
pub mod inputs;
#[cfg(feature = "peers")]
pub mod peers;
