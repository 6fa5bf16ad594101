//! The batch of [`crate::products`] by other libraries' fields.

use ff::PrimeField as _;
use pasta_curves::Fq;

use super::convert::{ark_bytes, ark_scalar, bytes, scalars};
use crate::products::multiply;

/// Adds the batch's products to zeros and gives the last sum.
pub type Products = Box<dyn FnMut() -> [u8; 32]>;

/// Every peer on those input columns.
#[must_use]
pub fn products(columns: &[Vec<Fq>], weight: Fq) -> Vec<(&'static str, Products)> {
    let ark = |values: &[Fq]| values.iter().map(ark_scalar).collect();
    vec![
        (
            "pasta_curves",
            batch(columns, weight, <[Fq]>::to_vec, |v| v.to_repr()),
        ),
        (
            "halo2curves",
            batch(columns, weight, scalars::<halo2curves::pasta::Fq>, |v| {
                bytes(&v)
            }),
        ),
        ("ark-ff", batch(columns, weight, ark, ark_bytes)),
    ]
}

fn batch<F>(
    columns: &[Vec<Fq>],
    weight: Fq,
    convert: impl Fn(&[Fq]) -> Vec<F>,
    bytes: impl Fn(F) -> [u8; 32] + 'static,
) -> Products
where
    F: Copy + Default + Send + Sync + std::ops::Mul<Output = F> + std::ops::AddAssign + 'static,
{
    let columns: Vec<Vec<F>> = columns.iter().map(|column| convert(column)).collect();
    let weight = convert(&[weight])[0];
    let rows = columns.first().map_or(0, Vec::len);
    Box::new(move || {
        let mut sums = vec![F::default(); rows];
        multiply(&columns, weight, &mut sums);
        bytes(sums[rows - 1])
    })
}
