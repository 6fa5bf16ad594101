//! The conformance suite and the comparison of levels, in one program: what is generic over curves is compiled once.

mod conformance;
mod levels;
