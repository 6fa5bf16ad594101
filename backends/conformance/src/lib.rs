//! # The conformance suite
//!
//! [`backend_suite!`] generates one test per operation family and curve, each comparing a backend with
//! [`Reference`] on edge shapes and edge scalars, small and full batches of equal values included.
//!
//! [`Dual`] compares two backends operation by operation through any run, such as a whole proof. [`Faulty`] fails on
//! request: with it the suite itself is tested (it sees a fault in every [`Operation`]), and the prover (a fault never
//! becomes a wrong proof).

pub mod dual;
pub mod faulty;
pub mod inputs;
pub mod operation;
pub mod suite;

pub use crate::dual::Dual;
pub use crate::faulty::{Failure, Fault, Faulty};
pub use crate::operation::Operation;

pub use zkernel_backend_reference::Reference;

/// Generates the tests of a backend: `backend_suite!(Cpu::new())`. The crate needs `pasta_curves` in scope.
#[macro_export]
macro_rules! backend_suite {
    ($backend:expr) => {
        $crate::backend_suite!(@curve vesta, pasta_curves::EqAffine, $backend);
        $crate::backend_suite!(@curve pallas, pasta_curves::EpAffine, $backend);
    };
    (@curve $module:ident, $curve:ty, $backend:expr) => {
        mod $module {
            use super::*;
            #[test]
            fn columns() {
                $crate::suite::columns::<$curve, _>(&$backend);
            }
            #[test]
            fn msm() {
                $crate::suite::msm::<$curve, _>(&$backend);
            }
            #[test]
            fn commit() {
                $crate::suite::commit::<$curve, _>(&$backend);
            }
            #[test]
            fn large_commit() {
                $crate::suite::large_commit::<$curve, _>(&$backend);
            }
            #[test]
            fn small_widths() {
                $crate::suite::small_widths::<$curve, _>(&$backend);
            }
            #[test]
            fn bases() {
                $crate::suite::bases::<$curve, _>(&$backend);
            }
            #[test]
            fn ntt() {
                $crate::suite::ntt::<$curve, _>(&$backend);
            }
            #[test]
            fn ntt_by_definition() {
                $crate::suite::ntt_by_definition::<$curve, _>(&$backend);
            }
            #[test]
            fn eval() {
                $crate::suite::eval::<$curve, _>(&$backend);
            }
            #[test]
            fn linear() {
                $crate::suite::linear::<$curve, _>(&$backend);
            }
            #[test]
            fn random() {
                $crate::suite::random::<$curve, _>(&$backend);
            }
            #[test]
            fn repeat() {
                $crate::suite::repeat::<$curve, _>(&$backend);
            }
            #[test]
            fn shapes() {
                $crate::suite::shapes::<$curve, _>(&$backend);
            }
        }
    };
}
