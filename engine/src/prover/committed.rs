//! What the prover has committed to so far, and the commitment of a phase.

use std::collections::BTreeMap;

use zkernel_backend::{Backend, HostColumns};
use zkernel_verifier::curve::{Curve, Scalar};
use zkernel_verifier::form::TrackId;
use zkernel_verifier::system::ConstraintSystem;

use crate::error::{Error, Result};
use crate::keys::ProvingKey;
use crate::randomness::Randomness;
use crate::witness::Assignment;

/// The columns of one proof on the device, with their blinding factors.
pub(super) struct Committed<'a, C: Curve, B: Backend<C>> {
    pub(super) backend: &'a B,
    pub(super) key: &'a ProvingKey<C, B>,
    pub(super) randomness: &'a mut Randomness,
    /// Advice columns of this proof.
    pub(super) columns: BTreeMap<TrackId, B::Columns>,
    /// Their blinding factors.
    pub(super) blinders: BTreeMap<TrackId, Vec<Scalar<C>>>,
    /// Quotient columns and their blinding factors.
    pub(super) quotient: Option<(B::Columns, Vec<Scalar<C>>)>,
}

impl<'a, C: Curve, B: Backend<C>> Committed<'a, C, B> {
    pub(super) fn new(
        backend: &'a B,
        key: &'a ProvingKey<C, B>,
        randomness: &'a mut Randomness,
    ) -> Self {
        Self {
            backend,
            key,
            randomness,
            columns: BTreeMap::new(),
            blinders: BTreeMap::new(),
            quotient: None,
        }
    }

    pub(super) fn system(&self) -> &'a ConstraintSystem<Scalar<C>> {
        &self.key.verifying.system
    }

    /// The columns of a track: fixed, tensor or advice.
    pub(super) fn track(&self, id: TrackId) -> Result<&B::Columns> {
        self.columns
            .get(&id)
            .or_else(|| self.key.columns.get(&id))
            .ok_or_else(|| Error::Witness {
                track: self
                    .system()
                    .track(id)
                    .map_or_else(|| format!("{id:?}"), |t| t.name.clone()),
                problem: "is used before it is committed".into(),
            })
    }

    /// Phase 1: uploads the witness with fresh blinding rows and commits.
    pub(super) fn commit_witness(&mut self, assignment: &Assignment<Scalar<C>>) -> Result<Vec<C>> {
        let (rows, blinding) = (self.system().rows(), self.system().blinding);
        let mut ids = Vec::new();
        for (id, body) in &assignment.tracks {
            let columns = body.len() / self.system().usable();
            let tail = self.randomness.scalars(columns * blinding);
            let host = HostColumns {
                rows,
                columns,
                body: body.clone(),
                tail,
            };
            self.columns.insert(*id, self.backend.upload(&host)?);
            ids.push(*id);
        }
        self.commit_tracks(&ids)
    }

    /// Adds fresh blinding cells to device columns whose blinding rows may hold anything independent of them.
    pub(super) fn blind(&mut self, columns: &mut B::Columns) -> Result<()> {
        let (rows, blinding) = (self.system().rows(), self.system().blinding);
        let (count, _) = self.backend.shape(columns);
        let cells = (0..count).flat_map(|c| (rows - blinding..rows).map(move |row| c * rows + row));
        let entries: Vec<_> = cells.map(|cell| (cell, self.randomness.scalar())).collect();
        Ok(self.backend.accumulate_sparse(columns, rows, &entries)?)
    }

    /// Commits the columns of tracks, in order, with fresh blinding factors.
    pub(super) fn commit_tracks(&mut self, ids: &[TrackId]) -> Result<Vec<C>> {
        let mut extra = Vec::new();
        for id in ids {
            let (count, _) = self.backend.shape(self.track(*id)?);
            extra.extend(self.draw_blinders(*id, count));
        }
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let batches = ids
            .iter()
            .map(|id| self.track(*id))
            .collect::<Result<Vec<_>>>()?;
        Ok(self.backend.commit(&self.key.bases, &batches, &extra)?)
    }

    /// Draws and keeps the blinding factors of a track's columns; returned as coefficients of U and B.
    pub(super) fn draw_blinders(&mut self, id: TrackId, count: usize) -> Vec<Vec<Scalar<C>>> {
        let blinders: Vec<Scalar<C>> = self.randomness.scalars(count);
        let extra = blinding_only(&blinders);
        self.blinders.insert(id, blinders);
        extra
    }
}

/// Coefficients (0, r) of U and B.
pub(super) fn blinding_only<F: zkernel_verifier::curve::Field>(blinders: &[F]) -> Vec<Vec<F>> {
    blinders.iter().map(|r| vec![F::ZERO, *r]).collect()
}
