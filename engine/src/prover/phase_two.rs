//! Phase 2: contractions `V = rho^T W`, `Z = X tau` and products `P = V Z`.

use std::collections::BTreeMap;

use zkernel_backend::Backend;
use zkernel_verifier::challenge::Challenges;
use zkernel_verifier::curve::{Curve, Scalar};
use zkernel_verifier::form::{EvaluatedAxis, EvaluatedView, TrackId};
use zkernel_verifier::system::{Contraction, Derivation, Phase, TrackKind};

use super::committed::Committed;
use crate::error::Result;

impl<C: Curve, B: Backend<C>> Committed<'_, C, B> {
    /// Fills the phase-2 tracks by their derivations, blinds and commits them.
    pub(super) fn commit_contractions(
        &mut self,
        challenges: &Challenges<Scalar<C>>,
    ) -> Result<Vec<C>> {
        let system = self.system();
        let mut filled = BTreeMap::new();
        for (id, track) in system.tracks_of(TrackKind::Advice(Phase::Two)) {
            filled.insert(id, self.backend.zeros(track.columns, system.rows())?);
        }
        for derivation in &system.derivations {
            match derivation {
                Derivation::Contract(contraction) => {
                    self.contract(contraction, challenges, &mut filled)?;
                }
                Derivation::Product {
                    left,
                    right,
                    target,
                } => {
                    if let (Some(l), Some(r)) = (filled.get(left), filled.get(right)) {
                        filled.insert(*target, self.backend.multiply(l, r)?);
                    }
                }
            }
        }
        let ids: Vec<TrackId> = filled.keys().copied().collect();
        for (id, mut columns) in filled {
            self.blind(&mut columns)?;
            self.columns.insert(id, columns);
        }
        self.commit_tracks(&ids)
    }

    fn contract(
        &self,
        contraction: &Contraction<Scalar<C>>,
        challenges: &Challenges<Scalar<C>>,
        filled: &mut BTreeMap<TrackId, B::Columns>,
    ) -> Result<()> {
        let system = self.system();
        let target = contraction.target;
        let width = system.track(target.track).map_or(1, |t| t.width);
        let Some(columns) = filled.get_mut(&target.track) else {
            return Ok(());
        };
        let factors: Vec<Vec<Scalar<C>>> = contraction
            .inner
            .iter()
            .map(|(len, factor)| factor.evaluate(*len, challenges))
            .collect();
        for term in &contraction.terms {
            let source_width = system.track(term.track).map_or(1, |t| t.width);
            let outer: Vec<(usize, usize)> = contraction
                .outer
                .iter()
                .copied()
                .zip(term.outer.iter().copied())
                .collect();
            let axes = factors.iter().zip(&term.inner);
            let axes = axes.map(|(factor, stride)| EvaluatedAxis {
                stride: *stride,
                factor: factor.clone(),
            });
            let inner = EvaluatedView {
                start: term.start,
                axes: axes.collect(),
                scale: term.scale,
            };
            let source = self.track(term.track)?;
            self.backend.contract(
                source,
                source_width,
                &outer,
                &inner,
                columns,
                width,
                target.start,
            )?;
        }
        let constant = factors
            .iter()
            .fold(contraction.constant, |product, factor| {
                product * factor.iter().sum::<Scalar<C>>()
            });
        if constant != Scalar::<C>::default() {
            let axis = EvaluatedAxis {
                stride: 1,
                factor: vec![constant; target.len],
            };
            let scale = <Scalar<C> as ff::Field>::ONE;
            let view = EvaluatedView {
                start: target.start,
                axes: vec![axis],
                scale,
            };
            self.backend.accumulate(columns, width, &view)?;
        }
        Ok(())
    }
}
