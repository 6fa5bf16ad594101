//! Round 4: `Q(X) = b(X) sum_i y^i gate_i(X) / (X^n - 1)`, as its values on the cosets g_j H: evaluate, divide by the
//! constant `g_j^n - 1`, commit. No extended domain, no inverse transform.

use ff::Field as _;
use zkernel_backend::{Backend, Body, ColumnRef, HostColumns};
use zkernel_verifier::challenge::Challenges;
use zkernel_verifier::claims::gate_weights;
use zkernel_verifier::curve::{Curve, Scalar, powers};

use super::committed::{Committed, blinding_only};
use crate::error::Result;

/// Lanes transformed at once: bounds the memory by a few hundred columns.
const LANES: usize = 64;

impl<C: Curve, B: Backend<C>> Committed<'_, C, B> {
    /// Computes and commits the quotient columns.
    pub(super) fn commit_quotient(&mut self, challenges: &Challenges<Scalar<C>>) -> Result<Vec<C>> {
        let shifts = &self.key.verifying.domain.shifts;
        if shifts.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.system().rows();
        let sums = self.accumulate_gates(challenges)?;
        let mut cosets = Vec::new();
        for (sum, shift) in sums.iter().zip(shifts) {
            let factor = self.upload_column(self.vanishing_factor(*shift))?;
            cosets.push(self.backend.multiply(sum, &factor)?);
        }
        debug_assert!(cosets.iter().all(|q| self.backend.shape(q) == (1, rows)));
        let sources: Vec<&B::Columns> = cosets.iter().collect();
        let chosen: Vec<ColumnRef> = (0..sources.len())
            .map(|batch| ColumnRef { batch, column: 0 })
            .collect();
        let quotient = self.backend.gather(&sources, &chosen)?;
        let blinders: Vec<Scalar<C>> = self.randomness.scalars(shifts.len());
        let commitments =
            self.backend
                .commit(&self.key.bases, &[&quotient], &blinding_only(&blinders))?;
        self.quotient = Some((quotient, blinders));
        Ok(commitments)
    }

    /// `sum_i y^i gate_i` on each coset, one column each; lanes of a gate in groups.
    fn accumulate_gates(&self, challenges: &Challenges<Scalar<C>>) -> Result<Vec<B::Columns>> {
        let (system, key) = (self.system(), &self.key.verifying);
        let shifts = &key.domain.shifts;
        let mut sums = shifts
            .iter()
            .map(|_| self.backend.zeros(1, system.rows()))
            .collect::<Result<Vec<_>, _>>()?;
        let total = system
            .gates
            .iter()
            .map(|gate| system.gate_lanes(gate))
            .sum();
        let weights = gate_weights(challenges, total);
        let mut first = 0;
        for ((gate, compiled), kernel) in system.gates.iter().zip(&key.gates).zip(&self.key.kernels)
        {
            let lanes = system.gate_lanes(gate);
            let constants: Vec<Scalar<C>> = compiled
                .constants
                .iter()
                .map(|c| c.evaluate(challenges))
                .collect();
            for start in (0..lanes).step_by(LANES) {
                let group = start..lanes.min(start + LANES);
                let weights = &weights[first + group.start..first + group.end];
                let mut inputs = Vec::new();
                for id in &compiled.inputs {
                    let values = self.virtual_lanes(*id, group.clone(), challenges)?;
                    inputs.push(self.backend.interpolate(&values)?);
                }
                for (sum, shift) in sums.iter_mut().zip(shifts) {
                    let on_coset = inputs
                        .iter()
                        .map(|input| self.backend.coset_evaluate(input, *shift));
                    let on_coset = on_coset.collect::<Result<Vec<_>, _>>()?;
                    let batches: Vec<&B::Columns> = on_coset.iter().collect();
                    self.backend
                        .run(kernel, &batches, &constants, weights, sum)?;
                }
            }
            first += lanes;
        }
        Ok(sums)
    }

    /// `b / (g^n - 1)` on the coset gH.
    fn vanishing_factor(&self, shift: Scalar<C>) -> Vec<Scalar<C>> {
        let domain = &self.key.verifying.domain;
        let inverse = (domain.power_n(shift) - Scalar::<C>::ONE)
            .invert()
            .unwrap_or(Scalar::<C>::ZERO);
        let points = powers(domain.omega, domain.rows());
        points
            .into_iter()
            .map(|root| domain.blinding_factor(shift * root) * inverse)
            .collect()
    }

    /// One column of field elements.
    pub(super) fn upload_column(&self, values: Vec<Scalar<C>>) -> Result<B::Columns> {
        let host = HostColumns {
            rows: values.len(),
            columns: 1,
            body: Body::Full(values),
            tail: Vec::new(),
        };
        Ok(self.backend.upload(&host)?)
    }
}
