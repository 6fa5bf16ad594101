//! Proofs of a small network: complete, priced, on two backends at once, and the same bytes every time.

mod complete;
mod cost;
mod dual;
#[cfg(feature = "attack")]
mod golden;
mod network;
