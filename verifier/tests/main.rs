//! Every test of the crate that uses it from outside, in one program.

mod builder;
mod digest;
mod domain;
mod encoding;
mod expression;
mod forms;
mod grouping;
mod soundness;
mod transcript;
mod validate;
