//! Round 5: the evaluation at zeta of every lane of every virtual column.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use zkernel_backend::Backend;
use zkernel_verifier::challenge::{Challenge, Challenges};
use zkernel_verifier::curve::{Curve, Scalar};
use zkernel_verifier::domain::Domain;
use zkernel_verifier::form::TrackId;

use super::committed::Committed;
use super::inconsistent;
use crate::error::Result;

impl<C: Curve, B: Backend<C>> Committed<'_, C, B> {
    /// The evaluations in the order of the proof: every opened track is dotted with
    /// `L(omega^rotation zeta)` once a rotation.
    pub(super) fn evaluate(
        &mut self,
        challenges: &Challenges<Scalar<C>>,
    ) -> Result<Vec<Scalar<C>>> {
        let domain = &self.key.verifying.domain;
        let zeta = challenges.get(Challenge::Zeta);
        let lagrange = domain.lagrange(zeta).ok_or_else(inconsistent)?;
        let mut opened: BTreeMap<(i32, TrackId), Vec<Scalar<C>>> = BTreeMap::new();
        for rotation in self.system().rotations() {
            let rotated = Domain::rotated(&lagrange, rotation).copied().collect();
            let rotated = self.upload_column(rotated)?;
            let columns = self.system().virtuals.iter();
            let columns = columns.filter(|column| column.rotation == rotation);
            for (track, _) in columns.flat_map(|column| &column.terms) {
                if let Entry::Vacant(entry) = opened.entry((rotation, *track)) {
                    entry.insert(self.backend.dot(self.opened(*track)?, &rotated)?);
                }
            }
        }
        let value = |(id, lane): (zkernel_verifier::expression::VirtualId, usize)| {
            let column = &self.system().virtuals[id.0 as usize];
            let lane = column.first_lane() + lane;
            let constants = column.constants.iter().map(|c| c.evaluate(challenges));
            let terms = column.terms.iter().map(|(track, c)| {
                opened[&(column.rotation, *track)][lane] * c.evaluate(challenges)
            });
            constants.chain(terms).sum()
        };
        Ok(self.system().evaluations().map(value).collect())
    }
}
