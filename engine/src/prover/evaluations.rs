//! Round 5: the evaluation at zeta of every lane of every virtual column.

use std::collections::BTreeMap;

use zkernel_backend::Backend;
use zkernel_verifier::challenge::{Challenge, Challenges};
use zkernel_verifier::curve::{Curve, Scalar};
use zkernel_verifier::form::TrackId;

use super::committed::Committed;
use super::inconsistent;
use crate::error::Result;

impl<C: Curve, B: Backend<C>> Committed<'_, C, B> {
    /// The evaluations in the order of the proof: every opened column is dotted with `L(zeta)` once.
    pub(super) fn evaluate(
        &mut self,
        challenges: &Challenges<Scalar<C>>,
    ) -> Result<Vec<Scalar<C>>> {
        let domain = &self.key.verifying.domain;
        let lagrange = domain
            .lagrange(challenges.get(Challenge::Zeta))
            .ok_or_else(inconsistent)?;
        let lagrange = self.upload_column(lagrange)?;
        let mut at_zeta: BTreeMap<TrackId, Vec<Scalar<C>>> = BTreeMap::new();
        for (track, _) in self
            .system()
            .virtuals
            .iter()
            .flat_map(|column| &column.terms)
        {
            if !at_zeta.contains_key(track) {
                at_zeta.insert(*track, self.backend.dot(self.track(*track)?, &lagrange)?);
            }
        }
        let value = |(id, lane): (zkernel_verifier::expression::VirtualId, usize)| {
            let column = &self.system().virtuals[id.0 as usize];
            let constants = column.constants.iter().map(|c| c.evaluate(challenges));
            let terms = column
                .terms
                .iter()
                .map(|(track, c)| at_zeta[track][lane] * c.evaluate(challenges));
            constants.chain(terms).sum()
        };
        Ok(self.system().evaluations().map(value).collect())
    }
}
