//! Whether factors, coefficients and gates read challenges only where these are drawn.

use ff::PrimeField;

use super::SystemError;
use crate::challenge::{Challenge, Coefficient};
use crate::expression::Expression;
use crate::form::Factor;

pub(super) fn check_factor<F: PrimeField>(
    name: &str,
    factor: &Factor<F>,
    len: usize,
    allowed: &dyn Fn(Challenge, u64) -> bool,
) -> Result<(), SystemError> {
    match factor {
        Factor::One => Ok(()),
        Factor::Values(values) if values.len() == len => Ok(()),
        Factor::Values(_) => Err(SystemError::Length(name.into())),
        Factor::Product(factors) => factors
            .iter()
            .try_for_each(|f| check_factor(name, f, len, allowed)),
        Factor::Window(window) => {
            let sizes = [window.outputs, window.taps, window.stride, window.dilation];
            if sizes.contains(&0) {
                return Err(SystemError::Empty(name.into()));
            }
            check_factor(name, &window.outer, window.outputs, allowed)?;
            check_factor(name, &window.kernel, window.taps, allowed)
        }
        Factor::Powers { .. } => {
            let mut result = Ok(());
            factor.challenges(len, &mut |challenge, exponent| {
                if !allowed(challenge, exponent) {
                    result = Err(SystemError::Challenge {
                        name: name.into(),
                        challenge,
                        exponent,
                    });
                }
            });
            result
        }
    }
}

/// Virtual columns and gates are fixed before y is drawn.
pub(super) fn check_coefficient<F>(
    name: &str,
    coefficient: &Coefficient<F>,
) -> Result<(), SystemError> {
    match coefficient.power {
        Some((challenge, exponent)) if challenge > Challenge::Beta => Err(SystemError::Challenge {
            name: name.into(),
            challenge,
            exponent: u64::from(exponent),
        }),
        _ => Ok(()),
    }
}

pub(super) fn check_expression<F>(
    name: &str,
    expression: &Expression<F>,
) -> Result<(), SystemError> {
    match expression {
        Expression::Constant(coefficient) => check_coefficient(name, coefficient),
        Expression::Virtual(_) => Ok(()),
        Expression::Sum(a, b) | Expression::Difference(a, b) | Expression::Product(a, b) => {
            check_expression(name, a)?;
            check_expression(name, b)
        }
    }
}
