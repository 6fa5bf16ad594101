//! What the prover has committed to so far, and the commitment of a phase.

use std::collections::BTreeMap;

use zkernel_backend::{Backend, Body, ColumnRef, HostColumns};
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
    /// Tensors behind their masks, as gates and lookups read them.
    masked: BTreeMap<TrackId, B::Columns>,
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
            masked: BTreeMap::new(),
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

    /// The columns of a track as gates and lookups read them: tensors behind their masks.
    pub(super) fn opened(&self, id: TrackId) -> Result<&B::Columns> {
        self.masked.get(&id).map_or_else(|| self.track(id), Ok)
    }

    /// Uploads and commits the boundaries, with the blinding factors that they are shared with.
    pub(super) fn commit_boundaries(
        &mut self,
        assignment: &Assignment<Scalar<C>>,
    ) -> Result<Vec<C>> {
        let (mut batches, mut extra) = (Vec::new(), Vec::new());
        for boundary in &assignment.boundaries {
            let rows = self.system().rows();
            let columns = boundary.blinders.len();
            let mut values = boundary.values.clone();
            values.resize(columns * rows, 0);
            let host = HostColumns {
                rows,
                columns,
                body: Body::small(values),
                tail: Vec::new(),
            };
            self.columns
                .insert(boundary.track, self.backend.upload(&host)?);
            self.blinders
                .insert(boundary.track, boundary.blinders.clone());
            extra.extend(blinding_only(&boundary.blinders));
            batches.push(boundary.track);
        }
        if batches.is_empty() {
            return Ok(Vec::new());
        }
        let batches = batches
            .iter()
            .map(|id| self.track(*id))
            .collect::<Result<Vec<_>>>()?;
        Ok(self.backend.commit(&self.key.bases, &batches, &extra)?)
    }

    /// Fills the mask track with randomness and puts it over the blinding rows of the masked tensors.
    fn mask_tensors(&mut self) -> Result<Option<(TrackId, B::Columns)>> {
        let system = self.system();
        let Some(masks) = &system.masks else {
            return Ok(None);
        };
        let (rows, usable, t) = (system.rows(), system.usable(), system.blinding);
        let columns = system.track(masks.track).map_or(0, |track| track.columns);
        let cells: Vec<Scalar<C>> = self.randomness.scalars(columns * usable);
        for (tensor, start) in &masks.of {
            let source = self.track(*tensor)?;
            let (count, _) = self.backend.shape(source);
            let chosen: Vec<ColumnRef> = (0..count)
                .map(|column| ColumnRef { batch: 0, column })
                .collect();
            let mut copy = self.backend.gather(&[source], &chosen)?;
            let blinding = (0..count).flat_map(|c| (usable..rows).map(move |row| c * rows + row));
            let entries: Vec<_> = blinding
                .zip(cells[*start..][..count * t].iter().copied())
                .collect();
            self.backend.accumulate_sparse(&mut copy, rows, &entries)?;
            self.masked.insert(*tensor, copy);
        }
        let host = HostColumns {
            rows,
            columns,
            body: Body::Full(cells),
            tail: self.randomness.scalars(columns * t),
        };
        Ok(Some((masks.track, self.backend.upload(&host)?)))
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
        if let Some((id, columns)) = self.mask_tensors()? {
            self.columns.insert(id, columns);
            ids.push(id);
        }
        ids.sort_unstable();
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
