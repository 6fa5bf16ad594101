//! The reference where the suite has something other to compare with than the reference itself: transforms with Horner's
//! rule, every shape rule, variable-base sums with the curve library's own.

use group::{Curve as _, Group as _};
use pasta_curves::{Ep, EpAffine, EqAffine, Fq};
use zkernel_backend::Backend;
use zkernel_backend_conformance::inputs::{points, scalars};
use zkernel_backend_conformance::suite;
use zkernel_backend_reference::Reference;

#[test]
fn transforms() {
    suite::ntt_by_definition::<EqAffine, _>(&Reference);
    suite::ntt_by_definition::<EpAffine, _>(&Reference);
}

#[test]
fn shapes() {
    suite::shapes::<EqAffine, _>(&Reference);
    suite::shapes::<EpAffine, _>(&Reference);
}

/// Points and scalars of every kind, against scalar multiplication of the curve library.
#[test]
fn sums() {
    let (points, scalars) = (points::<EpAffine>(48), scalars::<Fq>(3, 48));
    let terms = points.iter().zip(&scalars);
    let sum = terms.fold(Ep::identity(), |sum, (p, s)| sum + *p * s);
    assert_eq!(Reference.msm(&points, &scalars), Ok(sum.to_affine()));
}
