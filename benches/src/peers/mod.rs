//! The peers: other libraries doing the same work on our inputs. Inputs are converted beforehand; every peer gives back
//! something to compare with ours.

mod convert;
pub mod field;
pub mod halo2_chain;
pub mod inner;
pub mod msm;
pub mod ntt;
