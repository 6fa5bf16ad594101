//! MSM over Pallas: halo2_proofs, halo2curves, halo2-axiom, nova-snark, ark-ec and pasta-msm.

use ff::PrimeField as _;
use halo2curves::group::Curve as _;
use pasta_curves::{Ep, EpAffine, Fq};

use super::convert::{ark_bytes, ark_scalar, bytes, coordinates, element, scalars};

/// One MSM a column on the same points; gives the sums' x coordinates, canonical, zeros for the identity.
pub type Msm = Box<dyn Fn() -> Vec<[u8; 32]>>;

/// MSMs to do.
pub struct Work<'a> {
    /// The points; none is the identity.
    pub points: &'a [EpAffine],
    /// As many scalars a column as there are points.
    pub columns: Vec<&'a [Fq]>,
    /// Bound of the scalars' magnitudes plus one for the sign; 64 and above means full scalars.
    pub bits: u32,
}

/// Every peer at that work.
///
/// pasta-msm keeps threads of its own on every CPU that the process may use, so it takes part only if those are as many as
/// `threads`.
#[must_use]
pub fn msms(work: &Work<'_>, threads: usize) -> Vec<(&'static str, Msm)> {
    let mut peers = vec![
        ("halo2_proofs", halo2_proofs(work)),
        ("halo2curves", halo2curves_msm(work)),
        ("halo2-axiom", halo2_axiom_msm(work)),
        ("nova-snark", nova(work)),
        ("ark-ec", ark(work)),
    ];
    if work.bits <= 32 {
        peers.push(("nova-snark msm_small", nova_small(work)));
    }
    if std::thread::available_parallelism().is_ok_and(|cpus| cpus.get() == threads) {
        peers.push(("pasta-msm", pasta_msm(work)));
    }
    peers
}

/// The x coordinate of one of our points, zeros for the identity.
#[must_use]
pub fn x_coordinate(point: &EpAffine) -> [u8; 32] {
    if *point == EpAffine::default() {
        [0; 32]
    } else {
        coordinates(point).0
    }
}

/// All columns through one function.
fn each<P: 'static, S: 'static>(
    points: Vec<P>,
    columns: Vec<Vec<S>>,
    msm: impl Fn(&[P], &[S]) -> [u8; 32] + 'static,
) -> Msm {
    Box::new(move || columns.iter().map(|column| msm(&points, column)).collect())
}

fn converted<S>(work: &Work<'_>, convert: impl Fn(&[Fq]) -> Vec<S>) -> Vec<Vec<S>> {
    work.columns.iter().map(|column| convert(column)).collect()
}

fn halo2_proofs(work: &Work<'_>) -> Msm {
    let columns = converted(work, <[Fq]>::to_vec);
    each(work.points.to_vec(), columns, |points, scalars| {
        let sum: Ep = halo2_proofs::arithmetic::best_multiexp(scalars, points);
        x_coordinate(&group::Curve::to_affine(&sum))
    })
}

fn halo2curves_msm(work: &Work<'_>) -> Msm {
    use halo2curves::pasta::PallasAffine;
    let point = |p: &EpAffine| {
        let (x, y) = coordinates(p);
        PallasAffine {
            x: element(&x),
            y: element(&y),
        }
    };
    let points = work.points.iter().map(point).collect();
    each(points, converted(work, scalars), |points, scalars| {
        bytes(&halo2curves::msm::msm_best(scalars, points).to_affine().x)
    })
}

/// Points of pasta_curves 0.5, which halo2-axiom and pasta-msm use.
fn pasta_05(work: &Work<'_>) -> Vec<halo2_axiom::halo2curves::pasta::EpAffine> {
    use halo2_axiom::halo2curves::CurveAffine as _;
    let point = |p: &EpAffine| {
        let (x, y) = coordinates(p);
        let point = halo2_axiom::halo2curves::pasta::EpAffine::from_xy(element(&x), element(&y));
        point.expect("on the curve")
    };
    work.points.iter().map(point).collect()
}

fn x_05(sum: halo2_axiom::halo2curves::pasta::Ep) -> [u8; 32] {
    use halo2_axiom::halo2curves::CurveAffine as _;
    let xy = Option::from(sum.to_affine().coordinates());
    xy.map_or([0; 32], |xy: halo2_axiom::halo2curves::Coordinates<_>| {
        bytes(xy.x())
    })
}

fn halo2_axiom_msm(work: &Work<'_>) -> Msm {
    each(
        pasta_05(work),
        converted(work, scalars),
        |points, scalars| x_05(halo2_axiom::arithmetic::best_multiexp(scalars, points)),
    )
}

fn pasta_msm(work: &Work<'_>) -> Msm {
    each(
        pasta_05(work),
        converted(work, scalars),
        |points, scalars| x_05(pasta_msm::pallas(points, scalars)),
    )
}

fn nova_point(p: &EpAffine) -> nova_snark::provider::pasta::pallas::Affine {
    let (x, y) = coordinates(p);
    nova_snark::provider::pasta::pallas::Affine {
        x: element(&x),
        y: element(&y),
    }
}

fn nova(work: &Work<'_>) -> Msm {
    let points = work.points.iter().map(nova_point).collect();
    each(points, converted(work, scalars), |points, scalars| {
        bytes(
            &nova_snark::provider::msm::msm(scalars, points)
                .to_affine()
                .x,
        )
    })
}

/// Magnitudes on points that bear the signs, which nova's prover would have to prepare: in its favour.
fn nova_small(work: &Work<'_>) -> Msm {
    let bits = work.bits as usize;
    let columns: Vec<_> = work
        .columns
        .iter()
        .map(|column| signed(work.points, column))
        .collect();
    Box::new(move || {
        let sums = columns.iter().map(|(points, magnitudes)| {
            nova_snark::provider::msm::msm_small_with_max_num_bits(magnitudes, points, bits)
        });
        sums.map(|sum| bytes(&sum.to_affine().x)).collect()
    })
}

fn signed(
    points: &[EpAffine],
    column: &[Fq],
) -> (Vec<nova_snark::provider::pasta::pallas::Affine>, Vec<u64>) {
    let word = |value: &Fq| {
        let repr = value.to_repr();
        let high = repr[8..].iter().all(|byte| *byte == 0);
        let low = repr[..8].try_into().expect("8 bytes");
        high.then(|| u64::from_le_bytes(low))
    };
    let pairs = points.iter().zip(column).map(|(point, value)| {
        let positive = word(value).map(|magnitude| (nova_point(point), magnitude));
        let negative = || (nova_point(&-*point), word(&-*value).expect("a small value"));
        positive.unwrap_or_else(negative)
    });
    pairs.unzip()
}

fn ark(work: &Work<'_>) -> Msm {
    use ark_ec::{AffineRepr as _, CurveGroup as _, VariableBaseMSM as _};
    use ark_ff::PrimeField as _;
    let field = |bytes: [u8; 32]| ark_pallas::Fq::from_le_bytes_mod_order(&bytes);
    let point = |p: &EpAffine| {
        let (x, y) = coordinates(p);
        ark_pallas::Affine::new_unchecked(field(x), field(y))
    };
    let points: Vec<ark_pallas::Affine> = work.points.iter().map(point).collect();
    let columns = converted(work, |values| values.iter().map(ark_scalar).collect());
    each(points, columns, |points, scalars| {
        let sum = ark_pallas::Projective::msm(points, scalars).expect("as many of each");
        sum.into_affine()
            .xy()
            .map_or([0; 32], |(x, _)| ark_bytes(x))
    })
}
