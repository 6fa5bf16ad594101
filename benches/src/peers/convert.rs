//! Our scalars and points as those of other libraries, by their canonical bytes.

use ff::PrimeField as _;
use halo2curves::ff::PrimeField as TheirField;
use pasta_curves::arithmetic::CurveAffine as _;
use pasta_curves::{EpAffine, Fq};

/// Canonical bytes of the coordinates. None of our inputs is the identity.
pub fn coordinates(point: &EpAffine) -> ([u8; 32], [u8; 32]) {
    let xy = point.coordinates().expect("not the identity");
    (xy.x().to_repr(), xy.y().to_repr())
}

/// An element of a field of ff 0.13 from canonical bytes.
pub fn element<F: TheirField>(bytes: &[u8; 32]) -> F {
    let mut repr = F::Repr::default();
    repr.as_mut().copy_from_slice(bytes);
    F::from_repr(repr).expect("canonical")
}

/// Scalars of a field of ff 0.13.
pub fn scalars<F: TheirField>(values: &[Fq]) -> Vec<F> {
    values.iter().map(|v| element(&v.to_repr())).collect()
}

/// Canonical bytes of an element of a field of ff 0.13.
pub fn bytes<F: TheirField>(value: &F) -> [u8; 32] {
    let repr = value.to_repr();
    repr.as_ref().try_into().expect("32 bytes")
}

/// An arkworks scalar.
pub fn ark_scalar(value: &Fq) -> ark_pallas::Fr {
    use ark_ff::PrimeField as _;
    ark_pallas::Fr::from_le_bytes_mod_order(&value.to_repr())
}

/// Canonical bytes of an arkworks element.
pub fn ark_bytes<F: ark_ff::PrimeField>(value: F) -> [u8; 32] {
    use ark_ff::BigInteger as _;
    value
        .into_bigint()
        .to_bytes_le()
        .try_into()
        .expect("32 bytes")
}
