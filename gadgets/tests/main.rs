//! Every test of the crate that makes proofs, in one program: what a prover is made of is compiled once.

mod batch;
mod bounds;
mod circuits;
mod common;
mod gadgets;
mod layouts;
mod opening;
mod registration;
mod segments;
mod split;
mod statements;
