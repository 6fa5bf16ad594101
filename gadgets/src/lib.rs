//! Quantized neural-network gadgets.

pub mod model;
