//! Number-theoretic transforms.

use zkernel_backend::{Field, Result, shape};

use crate::columns::Columns;

pub(crate) fn interpolate<F: Field>(values: &Columns<F>) -> Result<Columns<F>> {
    let log_n = shape::transform("interpolate", values.shape())?;
    let inverse = omega::<F>(log_n).invert().unwrap_or(F::ONE);
    let scale = F::TWO_INV.pow_vartime([u64::from(log_n)]);
    let coefficients = values.iter().flat_map(|column| {
        let sums = evaluate(column, inverse);
        sums.into_iter().map(move |s| s * scale)
    });
    Ok(Columns {
        cells: coefficients.collect(),
        ..*values
    })
}

pub(crate) fn coset_evaluate<F: Field>(coefficients: &Columns<F>, shift: F) -> Result<Columns<F>> {
    let log_n = shape::transform("coset_evaluate", coefficients.shape())?;
    let powers = zkernel_verifier::curve::powers(shift, coefficients.rows);
    let values = coefficients.iter().flat_map(|column| {
        let scaled: Vec<F> = column.iter().zip(&powers).map(|(c, s)| *c * s).collect();
        evaluate(&scaled, omega(log_n))
    });
    Ok(Columns {
        cells: values.collect(),
        ..*coefficients
    })
}

/// The generator of the subgroup of order `2^log_n`.
fn omega<F: Field>(log_n: u32) -> F {
    F::ROOT_OF_UNITY.pow_vartime([1 << (F::S - log_n)])
}

/// `f(1), f(w), f(w^2), ..` for w of the order of the number of coefficients: `f(x) = even(x^2) + x odd(x^2)`.
fn evaluate<F: Field>(coefficients: &[F], w: F) -> Vec<F> {
    if coefficients.len() == 1 {
        return coefficients.to_vec();
    }
    let half = |odd: usize| -> Vec<F> {
        let part: Vec<F> = coefficients.iter().skip(odd).step_by(2).copied().collect();
        evaluate(&part, w.square())
    };
    let (even, odd) = (half(0), half(1));
    let mut x = F::ONE;
    let mut values = vec![F::ZERO; coefficients.len()];
    for i in 0..coefficients.len() {
        values[i] = even[i % even.len()] + x * odd[i % odd.len()];
        x *= w;
    }
    values
}
