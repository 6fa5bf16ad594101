//! All claims as one: `sum over all columns <f_q, a_q> = T`.
//!
//! Powers of lambda number the claims in this order: each claim of each linear constraint; the evaluation at zeta of
//! each lane of each virtual column; the quotient identity. Prover and verifier both start from this.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use ff::{Field as _, PrimeField};

use crate::challenge::{Challenge, Challenges};
use crate::curve::{Curve, Scalar, power, powers};
use crate::form::{InstanceId, LinearForm, Source};
use crate::key::VerifyingKey;

/// A linear form of a constraint with the power of lambda that its constraint has.
#[derive(Clone, Debug)]
pub struct WeightedForm<'a, F> {
    /// lambda to the number of the constraint's first claim.
    pub weight: F,
    /// The form.
    pub form: &'a LinearForm<F>,
}

/// The one claim that all claims are combined into.
#[derive(Clone, Debug)]
pub struct BatchedClaim<'a, F> {
    /// Forms over committed cells.
    pub forms: Vec<WeightedForm<'a, F>>,
    /// The points `omega^rotation zeta` at which columns are opened.
    pub openings: Vec<Opening<F>>,
    /// For every quotient column j the coefficient of the vector `L(zeta / g_j)`.
    pub quotient: Vec<F>,
    /// Mask cells with their coefficients: positions of the mask track.
    pub masks: Vec<(usize, F)>,
    /// Powers of lambda, for the claims that sparse forms number.
    pub lambda_powers: Vec<F>,
    /// T.
    pub target: F,
}

/// The columns opened at one point.
#[derive(Clone, Debug)]
pub struct Opening<F> {
    /// The point is `omega^rotation zeta`.
    pub rotation: i32,
    /// For every column of the list the coefficient of the vector `L(omega^rotation zeta)`; zero if it is not opened.
    pub coefficients: Vec<F>,
}

impl<C: Curve> VerifyingKey<C> {
    /// Combines all claims. `None` if an argument has the wrong length. That zeta is outside H and the cosets has been checked where it
    /// was drawn ([`crate::rounds`]); it may be `None`, too, if it is not.
    #[must_use]
    pub fn batch(
        &self,
        challenges: &Challenges<Scalar<C>>,
        evaluations: &[Scalar<C>],
        instances: &[Vec<Scalar<C>>],
    ) -> Option<BatchedClaim<'_, Scalar<C>>> {
        let lambda = challenges.get(Challenge::Lambda);
        let mut claim = BatchedClaim {
            forms: Vec::new(),
            openings: self.no_openings(),
            masks: Vec::new(),
            lambda_powers: powers(lambda, self.sparse_claims()),
            quotient: Vec::new(),
            target: Scalar::<C>::ZERO,
        };
        let mut weight = Scalar::<C>::ONE;
        for constraint in &self.system.constraints {
            for form in &constraint.forms {
                match public_value(form, challenges, instances) {
                    Some(value) => claim.target -= weight * value,
                    None => claim.forms.push(WeightedForm { weight, form }),
                }
            }
            weight *= power(lambda, u64::from(constraint.claims));
        }
        self.batch_evaluations(challenges, evaluations, &mut weight, &mut claim)?;
        if !self.skips("quotient") {
            self.batch_quotient(challenges, evaluations, weight, &mut claim)?;
        } else {
            claim.quotient = alloc::vec![Scalar::<C>::ZERO; self.system.quotient_columns()];
        }
        Some(claim)
    }

    /// `L_{n-t+i}(omega^rotation zeta)` for every rotation: what a mask cell counts. Empty without masks.
    fn blinding_lagrange(&self, zeta: Scalar<C>) -> Option<BTreeMap<i32, Vec<Scalar<C>>>> {
        let tail = |rotation| {
            let first = match self.system.masks {
                Some(_) => self.system.usable(),
                None => self.domain.rows(),
            };
            let point = self.domain.rotation(rotation) * zeta;
            Some((rotation, self.domain.lagrange_from(first, point)?))
        };
        self.system.rotations().into_iter().map(tail).collect()
    }

    fn no_openings(&self) -> Vec<Opening<Scalar<C>>> {
        let none = |rotation| Opening {
            rotation,
            coefficients: alloc::vec![Scalar::<C>::ZERO; self.layout.columns],
        };
        self.system.rotations().into_iter().map(none).collect()
    }

    /// The largest number of claims of a constraint with a sparse form.
    fn sparse_claims(&self) -> usize {
        let sparse = |form: &LinearForm<_>| matches!(form, LinearForm::Sparse(_));
        let constraints = self.system.constraints.iter();
        let claims = constraints
            .filter(|c| c.forms.iter().any(sparse))
            .map(|c| usize::try_from(c.claims).unwrap_or(usize::MAX));
        claims.fold(0, usize::max)
    }

    fn batch_evaluations(
        &self,
        challenges: &Challenges<Scalar<C>>,
        evaluations: &[Scalar<C>],
        weight: &mut Scalar<C>,
        claim: &mut BatchedClaim<'_, Scalar<C>>,
    ) -> Option<()> {
        let lambda = challenges.get(Challenge::Lambda);
        if evaluations.len() != self.shape.evaluations {
            return None;
        }
        let tails = self.blinding_lagrange(challenges.get(Challenge::Zeta))?;
        for ((id, lane), evaluation) in self.system.evaluations().zip(evaluations) {
            let column = self.system.virtual_column(id)?;
            if !self.skips(&alloc::format!("evaluation {}", id.0)) {
                let tail = tails.get(&column.rotation)?;
                let mut openings = claim.openings.iter_mut();
                let opening = openings.find(|o| o.rotation == column.rotation)?;
                let lane = column.first_lane().checked_add(lane)?;
                for (track, coefficient) in &column.terms {
                    let position = self.layout.first(*track).checked_add(lane)?;
                    *opening.coefficients.get_mut(position)? +=
                        *weight * coefficient.evaluate(challenges);
                    if let Some(start) = self.system.mask_of(*track, lane) {
                        let scale = *weight * coefficient.evaluate(challenges);
                        claim
                            .masks
                            .extend((start..).zip(tail).map(|(cell, l)| (cell, scale * l)));
                    }
                }
                let constant: Scalar<C> = column
                    .constants
                    .iter()
                    .map(|c| c.evaluate(challenges))
                    .sum();
                claim.target += *weight * (*evaluation - constant);
            }
            *weight *= lambda;
        }
        Some(())
    }

    /// `sum_j k_j Q_j(zeta) = b(zeta) sum_i y^i gate_i(zeta) / (zeta^n - 1)`.
    fn batch_quotient(
        &self,
        challenges: &Challenges<Scalar<C>>,
        evaluations: &[Scalar<C>],
        weight: Scalar<C>,
        claim: &mut BatchedClaim<'_, Scalar<C>>,
    ) -> Option<()> {
        let zeta = challenges.get(Challenge::Zeta);
        let coefficients = self.domain.coset_coefficients(zeta)?;
        claim.quotient = coefficients.into_iter().map(|k| weight * k).collect();
        if self.system.gates.is_empty() {
            return Some(());
        }
        let vanishing =
            Option::<Scalar<C>>::from((self.domain.power_n(zeta) - Scalar::<C>::ONE).invert())?;
        let gates = self.combined_gates(challenges, evaluations)?;
        claim.target += weight * self.domain.blinding_factor(zeta) * gates * vanishing;
        Some(())
    }

    /// `sum_i y^i gate_i`, gates in order, lanes of a gate in order, on the evaluations at zeta.
    fn combined_gates(
        &self,
        challenges: &Challenges<Scalar<C>>,
        evaluations: &[Scalar<C>],
    ) -> Option<Scalar<C>> {
        let mut offset = 0usize;
        let mut starts = Vec::new();
        for id in (0u32..)
            .zip(&self.system.virtuals)
            .map(|(id, _)| crate::expression::VirtualId(id))
        {
            starts.push(offset);
            offset = offset.checked_add(self.system.lanes(id))?;
        }
        let mut sum = Scalar::<C>::ZERO;
        let mut y = Scalar::<C>::ONE;
        for (gate, compiled) in self.system.gates.iter().zip(&self.gates) {
            let constants: Vec<Scalar<C>> = compiled
                .constants
                .iter()
                .map(|c| c.evaluate(challenges))
                .collect();
            for lane in 0..self.system.gate_lanes(gate) {
                let read = |id: &crate::expression::VirtualId| {
                    let start = starts.get(usize::try_from(id.0).ok()?)?;
                    evaluations.get(start.checked_add(lane)?).copied()
                };
                let inputs: Vec<Scalar<C>> =
                    compiled.inputs.iter().map(read).collect::<Option<_>>()?;
                sum += y * compiled.program.evaluate(&inputs, &constants)?;
                y *= challenges.get(Challenge::Y);
            }
        }
        Some(sum)
    }
}

/// The value of a form over instances or constants; `None` if it reads committed cells.
fn public_value<F: PrimeField>(
    form: &LinearForm<F>,
    challenges: &Challenges<F>,
    instances: &[Vec<F>],
) -> Option<F> {
    let LinearForm::Strided(strided) = form else {
        return None;
    };
    match strided.source {
        Source::Track(_) => None,
        Source::One => {
            let scale = strided.scale.evaluate(challenges);
            let sums = strided
                .axes
                .iter()
                .map(|axis| axis.factor.sum(axis.len, challenges));
            Some(sums.fold(scale, |product, sum| product * sum))
        }
        Source::Instance(InstanceId(id)) => {
            let values = usize::try_from(id).ok().and_then(|id| instances.get(id));
            let mut sum = F::ZERO;
            strided
                .evaluate(challenges)
                .for_each(|position, coefficient| {
                    let value = values
                        .and_then(|values| values.get(position))
                        .copied()
                        .unwrap_or(F::ZERO);
                    sum += coefficient * value;
                });
            Some(sum)
        }
    }
}

/// Weights of `count` items after folds with those challenges, bit 0 first: item i has `prod over bits b of i, c_b`.
#[must_use]
pub fn fold_weights<F: PrimeField>(challenges: &[F]) -> Vec<F> {
    challenges
        .iter()
        .fold(alloc::vec![F::ONE], |weights, challenge| {
            let folded: Vec<F> = weights.iter().map(|w| *w * challenge).collect();
            weights.into_iter().chain(folded).collect()
        })
}

/// `1, y, y^2, ..` for all gates and lanes.
#[must_use]
pub fn gate_weights<F: PrimeField>(challenges: &Challenges<F>, count: usize) -> Vec<F> {
    powers(challenges.get(Challenge::Y), count)
}
