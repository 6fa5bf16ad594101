//! Round 4: `Q(X) = b(X) sum_i y^i gate_i(X) / (X^n - 1)`, as its values on the cosets g_j H: evaluate, divide by the
//! constant `g_j^n - 1`, commit. No extended domain, no inverse transform of the quotient.
//!
//! Gates of degree d are accumulated on the `max(d, t + 1) - 1` cosets that determine their share of Q; the sum of each
//! such class is extended to the other cosets once, so that one gate of high degree does not multiply the cost of all.

use std::collections::BTreeMap;

use ff::Field as _;
use rayon::prelude::*;
use zkernel_backend::{Backend, Body, ColumnRef, HostColumns, Term};
use zkernel_verifier::challenge::Challenges;
use zkernel_verifier::claims::gate_weights;
use zkernel_verifier::curve::{Curve, Scalar};
use zkernel_verifier::expression::{CompiledGate, VirtualId};
use zkernel_verifier::system::VirtualColumn;

use super::committed::{Committed, blinding_only};
use super::inconsistent;
use crate::error::Result;

/// Lanes transformed at once: bounds the memory by a few hundred columns.
const LANES: usize = 64;

/// Sums of the gates of one class on its cosets, by the number of cosets.
type Classes<C, B> = BTreeMap<usize, Vec<<B as Backend<C>>::Columns>>;

impl<C: Curve, B: Backend<C>> Committed<'_, C, B> {
    /// Computes and commits the quotient columns.
    pub(super) fn commit_quotient(&mut self, challenges: &Challenges<Scalar<C>>) -> Result<Vec<C>> {
        let shifts = &self.key.verifying.domain.shifts;
        if shifts.is_empty() {
            return Ok(Vec::new());
        }
        let mut terms = vec![Vec::new(); shifts.len()];
        let mut sources = Vec::new();
        for (_, sums) in self.accumulate_gates(challenges)? {
            self.extend_class(&sums, &mut sources, &mut terms)?;
        }
        let sources: Vec<&B::Columns> = sources.iter().collect();
        let zeros = vec![Scalar::<C>::ZERO; shifts.len()];
        let rows = self.system().rows();
        let quotient = self.backend.combine(&sources, &terms, &zeros, rows)?;
        let blinders: Vec<Scalar<C>> = self.randomness.scalars(shifts.len());
        let commitments =
            self.backend
                .commit(&self.key.bases, &[&quotient], &blinding_only(&blinders))?;
        self.quotient = Some((quotient, blinders));
        Ok(commitments)
    }

    /// Divides the sums of a class by the vanishing polynomial, and adds what they contribute to every coset: their own
    /// on the class's cosets, elsewhere `sum_j k_j Q_j(X)` with Q_j the polynomial of degree below n equal to Q on g_j H.
    fn extend_class(
        &self,
        sums: &[B::Columns],
        sources: &mut Vec<B::Columns>,
        terms: &mut [Vec<Term<Scalar<C>>>],
    ) -> Result<()> {
        let domain = &self.key.verifying.domain;
        let mut add = |to: &mut Vec<Term<_>>, columns, coefficient| {
            let column = ColumnRef {
                batch: sources.len(),
                column: 0,
            };
            sources.push(columns);
            to.push(Term {
                column,
                coefficient,
            });
        };
        let mut polynomials = Vec::new();
        let factors = domain.shifts.iter().zip(&self.key.vanishing);
        for ((sum, (shift, factor)), to) in sums.iter().zip(factors).zip(&mut *terms) {
            let part = self.backend.multiply(sum, factor)?;
            if sums.len() < domain.shifts.len() {
                polynomials.push((self.backend.interpolate(&part)?, *shift));
            }
            add(to, part, Scalar::<C>::ONE);
        }
        let others = domain.shifts.iter().zip(terms).skip(sums.len());
        for (shift, to) in others {
            let coefficients = domain
                .first_coset_coefficients(sums.len(), *shift)
                .ok_or_else(inconsistent)?;
            for ((polynomial, known), coefficient) in polynomials.iter().zip(coefficients) {
                let inverse = Option::<Scalar<C>>::from(known.invert()).ok_or_else(inconsistent)?;
                let values = self.backend.coset_evaluate(polynomial, *shift * inverse)?;
                add(to, values, coefficient);
            }
        }
        Ok(())
    }

    /// `sum_i y^i gate_i` of each class on each of its cosets, one column each; lanes of a gate in groups.
    fn accumulate_gates(&self, challenges: &Challenges<Scalar<C>>) -> Result<Classes<C, B>> {
        let (system, key) = (self.system(), &self.key.verifying);
        let mut classes = Classes::<C, B>::new();
        let total = system
            .gates
            .iter()
            .map(|gate| system.gate_lanes(gate))
            .sum();
        let weights = gate_weights(challenges, total);
        let mut first = 0;
        for ((gate, compiled), kernel) in system.gates.iter().zip(&key.gates).zip(&self.key.kernels)
        {
            let cosets = system.cosets_of_degree(gate.expression.degree());
            if let std::collections::btree_map::Entry::Vacant(entry) = classes.entry(cosets) {
                let zeros = (0..cosets).map(|_| self.backend.zeros(1, system.rows()));
                entry.insert(zeros.collect::<Result<Vec<_>, _>>()?);
            }
            let sums = classes.get_mut(&cosets).ok_or_else(inconsistent)?;
            let lanes = system.gate_lanes(gate);
            for start in (0..lanes).step_by(LANES) {
                let group = start..lanes.min(start + LANES);
                let weights = &weights[first + group.start..first + group.end];
                self.run_gate(compiled, kernel, group, weights, challenges, sums)?;
            }
            first += lanes;
        }
        Ok(classes)
    }

    /// Adds some lanes of one gate to the sums. A column read with a rotation r is its polynomial at `omega^r X`.
    fn run_gate(
        &self,
        compiled: &CompiledGate<Scalar<C>>,
        kernel: &B::Kernel,
        lanes: std::ops::Range<usize>,
        weights: &[Scalar<C>],
        challenges: &Challenges<Scalar<C>>,
        sums: &mut [B::Columns],
    ) -> Result<()> {
        let domain = &self.key.verifying.domain;
        let mut polynomials: Vec<(&VirtualColumn<Scalar<C>>, B::Columns)> = Vec::new();
        let mut inputs = Vec::new();
        for VirtualId(id) in &compiled.inputs {
            let column = &self.system().virtuals[*id as usize];
            let same = |(other, _): &(&VirtualColumn<_>, _)| {
                let same_lanes = other.lanes == column.lanes;
                same_lanes && other.terms == column.terms && other.constants == column.constants
            };
            let known = polynomials.iter().position(same);
            inputs.push((known.unwrap_or(polynomials.len()), column.rotation));
            if known.is_none() {
                let values = self.virtual_lanes(VirtualId(*id), lanes.clone(), challenges)?;
                polynomials.push((column, self.backend.interpolate(&values)?));
            }
        }
        let constants: Vec<Scalar<C>> = compiled
            .constants
            .iter()
            .map(|c| c.evaluate(challenges))
            .collect();
        let run = |(sum, shift): (&mut B::Columns, &Scalar<C>)| {
            let on_coset = inputs.iter().map(|(polynomial, rotation)| {
                let shift = *shift * domain.rotation(*rotation);
                self.backend
                    .coset_evaluate(&polynomials[*polynomial].1, shift)
            });
            let on_coset = on_coset.collect::<Result<Vec<_>, _>>()?;
            let batches: Vec<&B::Columns> = on_coset.iter().collect();
            self.backend
                .run(kernel, &batches, &constants, weights, sum)?;
            Ok(())
        };
        sums.par_iter_mut().zip(&domain.shifts).try_for_each(run)
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
