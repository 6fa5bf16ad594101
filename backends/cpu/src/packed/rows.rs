//! Sums of products over whole columns, reduced once for many products.

use ff::PrimeField;

use super::lanes::Accumulator;
use super::lanes::Lanes;
use super::prime::{Constants, Prime};
use super::transform::{read, write};

/// Products of elements below p that are reduced together: the sum stays below 60 p^2.
const LAZY_PRODUCTS: usize = 32;

/// The inner product of two columns; those beyond a multiple of eight rows one by one.
pub(crate) fn dot<F: PrimeField>(prime: Prime<F>, a: &[F], b: &[F]) -> F {
    let whole = a.len().min(b.len()) / 8 * 8;
    let mut lanes = [F::ZERO; 8];
    // SAFETY: `prime` holds an `Ifma`, which proves the features.
    unsafe { dot_packed(prime, &a[..whole], &b[..whole], &mut lanes) };
    let rest: F = a[whole..]
        .iter()
        .zip(&b[whole..])
        .map(|(a, b)| *a * b)
        .sum();
    // A product of stored elements is 2^252 times the true one.
    lanes.iter().sum::<F>() * F::from(16) + rest
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn dot_packed<F: PrimeField>(prime: Prime<F>, a: &[F], b: &[F], sums: &mut [F; 8]) {
    let k = &prime.constants();
    let mut sum = Lanes(k.zero());
    let at_once = 8 * LAZY_PRODUCTS;
    for (a, b) in a.chunks(at_once).zip(b.chunks(at_once)) {
        let mut products = Accumulator::new(k);
        for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
            products.add_product(&read(prime, a), &read(prime, b));
        }
        sum = sum.add(&products.reduce(k), k).canonical(k);
    }
    write(prime, &sum, sums);
}

/// `out[row] += sum_i factors[i] columns[i][row]`; rows beyond a multiple of eight one by one.
pub(crate) fn combine<F: PrimeField>(
    prime: Prime<F>,
    columns: &[&[F]],
    factors: &[F],
    out: &mut [F],
) {
    let limbs: Vec<[u64; 5]> = factors.iter().map(|f| prime.factor(*f)).collect();
    let whole = out.len() / 8 * 8;
    // SAFETY: `prime` holds an `Ifma`, which proves the features.
    unsafe { combine_packed(prime, columns, &limbs, &mut out[..whole]) };
    for (row, cell) in out.iter_mut().enumerate().skip(whole) {
        let products = columns.iter().zip(factors).map(|(c, f)| c[row] * f);
        *cell += products.sum::<F>();
    }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn combine_packed<F: PrimeField>(
    prime: Prime<F>,
    columns: &[&[F]],
    factors: &[[u64; 5]],
    out: &mut [F],
) {
    let k: &Constants = &prime.constants();
    for (block, out) in out.chunks_exact_mut(8).enumerate() {
        let mut sum = read(prime, out);
        let parts = columns.chunks(LAZY_PRODUCTS);
        for (columns, factors) in parts.zip(factors.chunks(LAZY_PRODUCTS)) {
            let mut products = Accumulator::new(k);
            for (column, factor) in columns.iter().zip(factors) {
                let factor = Lanes::splat(prime.ifma, *factor);
                products.add_product(&read(prime, &column[8 * block..][..8]), &factor);
            }
            sum = sum.add(&products.reduce(k), k).canonical(k);
        }
        write(prime, &sum, out);
    }
}
