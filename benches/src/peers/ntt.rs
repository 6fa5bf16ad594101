//! NTT over the scalars of Pallas: halo2_proofs, halo2curves, halo2-axiom (both of its algorithms) and ark-poly.

use ff::{Field as _, PrimeField as _};
use pasta_curves::Fq;

use super::convert::{ark_bytes, ark_scalar, bytes, scalars};
use crate::inputs::omega;

/// Transforms copies of all columns, coefficients to values in natural order; gives [`spots`] of the last one.
pub type Ntt = Box<dyn FnMut() -> [[u8; 32]; 2]>;

/// The cells at which outputs are compared.
#[must_use]
pub fn spots(rows: usize) -> [usize; 2] {
    [1 % rows, rows / 2 + rows / 4]
}

/// Every peer's NTT of those columns, each of `2^log_n` cells. Twiddles are computed in the call, except by halo2-axiom's
/// recursive one, which is given a table.
#[must_use]
pub fn ntts(columns: &[&[Fq]], log_n: u32) -> Vec<(&'static str, Ntt)> {
    vec![
        ("halo2_proofs", halo2_proofs(columns, log_n)),
        ("halo2curves", halo2curves(columns, log_n)),
        ("halo2-axiom recursive", axiom_recursive(columns, log_n)),
        ("halo2-axiom parallel", axiom_parallel(columns, log_n)),
        ("ark-poly", ark(columns)),
    ]
}

/// All columns through one function that works in place.
fn each<F: Clone + 'static>(
    columns: Vec<Vec<F>>,
    transform: impl Fn(&mut [F]) + 'static,
    bytes: impl Fn(&F) -> [u8; 32] + 'static,
) -> Ntt {
    Box::new(move || {
        let mut last = [[0; 32]; 2];
        for column in &columns {
            let mut values = column.clone();
            transform(&mut values);
            last = spots(values.len()).map(|spot| bytes(&values[spot]));
        }
        last
    })
}

fn halo2_proofs(columns: &[&[Fq]], log_n: u32) -> Ntt {
    let omega = omega(log_n);
    each(
        columns.iter().map(|column| column.to_vec()).collect(),
        move |values| halo2_proofs::arithmetic::best_fft(values, omega, log_n),
        |value: &Fq| value.to_repr(),
    )
}

fn halo2curves(columns: &[&[Fq]], log_n: u32) -> Ntt {
    let omega = scalars(&[omega(log_n)])[0];
    each(
        columns.iter().map(|column| scalars(column)).collect(),
        move |values| halo2curves::fft::best_fft(values, omega, log_n),
        bytes::<halo2curves::pasta::Fq>,
    )
}

type Fq05 = halo2_axiom::halo2curves::pasta::Fq;

fn axiom_table(log_n: u32) -> (Fq05, halo2_axiom::fft::recursive::FFTData<Fq05>) {
    let root = omega(log_n);
    let inverse = root.invert().expect("a root of unity");
    let pair = scalars::<Fq05>(&[root, inverse]);
    let table = halo2_axiom::fft::recursive::FFTData::new(1 << log_n, pair[0], pair[1]);
    (pair[0], table)
}

fn axiom_recursive(columns: &[&[Fq]], log_n: u32) -> Ntt {
    let (omega, table) = axiom_table(log_n);
    each(
        columns.iter().map(|column| scalars(column)).collect(),
        move |values| halo2_axiom::fft::recursive::fft(values, omega, log_n, &table, false),
        bytes::<Fq05>,
    )
}

fn axiom_parallel(columns: &[&[Fq]], log_n: u32) -> Ntt {
    let (omega, table) = axiom_table(log_n);
    each(
        columns.iter().map(|column| scalars(column)).collect(),
        move |values| halo2_axiom::fft::parallel::fft(values, omega, log_n, &table, false),
        bytes::<Fq05>,
    )
}

fn ark(columns: &[&[Fq]]) -> Ntt {
    use ark_poly::{EvaluationDomain as _, Radix2EvaluationDomain};
    let convert = |column: &&[Fq]| column.iter().map(ark_scalar).collect();
    let columns: Vec<Vec<_>> = columns.iter().map(convert).collect();
    let rows = columns.first().map_or(1, Vec::len);
    let domain = Radix2EvaluationDomain::<ark_pallas::Fr>::new(rows).expect("a power of two");
    Box::new(move || {
        let mut last = [[0; 32]; 2];
        for column in &columns {
            let values = domain.fft(column);
            last = spots(rows).map(|spot| ark_bytes(values[spot]));
        }
        last
    })
}
