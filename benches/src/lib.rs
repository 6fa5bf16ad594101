//! Inputs and peers for the benchmarks: every peer is given the same inputs as ours, and its result is compared before it
//! is timed.

pub mod chains;
pub mod device;
pub mod inner;
pub mod inputs;
#[cfg(feature = "peers")]
pub mod peers;
pub mod products;
pub mod timing;
