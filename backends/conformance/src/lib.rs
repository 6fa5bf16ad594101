//! # The conformance suite
//!
//! [`backend_suite!`] generates one test per operation family and curve, each comparing a backend with
//! [`Reference`] on edge shapes and edge scalars, small and full batches of equal values included.

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
            fn bases() {
                $crate::suite::bases::<$curve, _>(&$backend);
            }
            #[test]
            fn ntt() {
                $crate::suite::ntt::<$curve, _>(&$backend);
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
            fn shapes() {
                $crate::suite::shapes::<$curve, _>(&$backend);
            }
        }
    };
}
