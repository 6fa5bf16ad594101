//! The peers: other libraries' MSM and NTT over Pallas on our inputs.

pub mod halo2_chain;

use ff::PrimeField as _;
use pasta_curves::arithmetic::CurveAffine as _;
use pasta_curves::{Ep, EpAffine, Fq};

/// A peer's MSM, its inputs converted beforehand. Returns the sum's affine x coordinate, canonical.
pub type Msm = Box<dyn Fn() -> [u8; 32]>;
/// A peer's NTT over its own copy of the values; coefficients to values, natural order.
pub type Ntt = Box<dyn FnMut()>;

fn coordinates(point: &EpAffine) -> ([u8; 32], [u8; 32]) {
    let xy = point.coordinates().expect("not the identity");
    (xy.x().to_repr(), xy.y().to_repr())
}

/// Every peer's MSM of those points and scalars.
#[must_use]
pub fn msms(points: &[EpAffine], scalars: &[Fq]) -> Vec<(&'static str, Msm)> {
    vec![
        ("halo2_proofs", halo2_proofs_msm(points, scalars)),
        ("halo2curves", halo2curves_msm(points, scalars)),
        ("ark-ec", ark_msm(points, scalars)),
    ]
}

/// Every peer's NTT of those values.
#[must_use]
pub fn ntts(values: &[Fq], log_n: u32) -> Vec<(&'static str, Ntt)> {
    vec![
        ("halo2_proofs", halo2_proofs_ntt(values, log_n)),
        ("halo2curves", halo2curves_ntt(values, log_n)),
        ("ark-poly", ark_ntt(values)),
    ]
}

fn halo2_proofs_msm(points: &[EpAffine], scalars: &[Fq]) -> Msm {
    let (points, scalars) = (points.to_vec(), scalars.to_vec());
    Box::new(move || {
        let sum: Ep = halo2_proofs::arithmetic::best_multiexp(&scalars, &points);
        coordinates(&group::Curve::to_affine(&sum)).0
    })
}

fn halo2_proofs_ntt(values: &[Fq], log_n: u32) -> Ntt {
    let values = values.to_vec();
    let omega = crate::inputs::omega(log_n);
    Box::new(move || {
        let mut values = values.clone();
        halo2_proofs::arithmetic::best_fft(&mut values, omega, log_n);
        std::hint::black_box(values);
    })
}

fn halo2curves_scalar(value: &Fq) -> halo2curves::pasta::Fq {
    use halo2curves::ff::PrimeField as _;
    halo2curves::pasta::Fq::from_repr(value.to_repr().into()).expect("canonical")
}

fn halo2curves_msm(points: &[EpAffine], scalars: &[Fq]) -> Msm {
    use halo2curves::CurveAffine as _;
    use halo2curves::ff::PrimeField as _;
    use halo2curves::group::Curve as _;
    use halo2curves::pasta::{Fp, PallasAffine as Theirs};
    let point = |p: &EpAffine| {
        let (x, y) = coordinates(p);
        let field = |bytes: [u8; 32]| Fp::from_repr(bytes.into()).expect("canonical");
        Theirs::from_xy(field(x), field(y)).expect("on the curve")
    };
    let points: Vec<Theirs> = points.iter().map(point).collect();
    let scalars: Vec<_> = scalars.iter().map(halo2curves_scalar).collect();
    Box::new(move || {
        let sum = halo2curves::msm::msm_best(&scalars, &points).to_affine();
        let x = sum.coordinates().expect("not the identity").x().to_repr();
        x.as_ref().try_into().expect("32 bytes")
    })
}

fn halo2curves_ntt(values: &[Fq], log_n: u32) -> Ntt {
    let values: Vec<_> = values.iter().map(halo2curves_scalar).collect();
    let omega = halo2curves_scalar(&crate::inputs::omega(log_n));
    Box::new(move || {
        let mut values = values.clone();
        halo2curves::fft::best_fft(&mut values, omega, log_n);
        std::hint::black_box(values);
    })
}

fn ark_scalar(value: &Fq) -> ark_pallas::Fr {
    use ark_ff::PrimeField as _;
    ark_pallas::Fr::from_le_bytes_mod_order(&value.to_repr())
}

fn ark_msm(points: &[EpAffine], scalars: &[Fq]) -> Msm {
    use ark_ec::{CurveGroup as _, VariableBaseMSM as _};
    use ark_ff::{BigInteger as _, PrimeField as _};
    let field = |bytes: [u8; 32]| ark_pallas::Fq::from_le_bytes_mod_order(&bytes);
    let point = |p: &EpAffine| {
        let (x, y) = coordinates(p);
        ark_pallas::Affine::new(field(x), field(y))
    };
    let points: Vec<ark_pallas::Affine> = points.iter().map(point).collect();
    let scalars: Vec<_> = scalars.iter().map(ark_scalar).collect();
    Box::new(move || {
        let sum =
            ark_pallas::Projective::msm(&points, &scalars).expect("as many points as scalars");
        let bytes = sum.into_affine().x.into_bigint().to_bytes_le();
        bytes.try_into().expect("32 bytes")
    })
}

fn ark_ntt(values: &[Fq]) -> Ntt {
    use ark_poly::{EvaluationDomain as _, Radix2EvaluationDomain};
    let values: Vec<_> = values.iter().map(ark_scalar).collect();
    let domain =
        Radix2EvaluationDomain::<ark_pallas::Fr>::new(values.len()).expect("a power of two");
    Box::new(move || {
        std::hint::black_box(domain.fft(&values));
    })
}
