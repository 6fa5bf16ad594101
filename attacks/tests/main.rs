//! Every attack, in one program: both provers are compiled once.

mod batch;
mod challenges;
mod complete;
mod constraints;
mod grouped;
mod hiding;
mod rotations;
mod tables;
mod tampering;
