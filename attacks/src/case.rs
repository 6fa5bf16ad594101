//! A key, a statement, and a witness that need not be honest.

use std::collections::BTreeMap;

use ff::Field as _;
use group::Curve as _;
use zkernel_backend::{Backend, Body};
use zkernel_engine::mock::Cells;
use zkernel_engine::{Boundary, ProvingKey, Tensors, Witness};
use zkernel_verifier::curve::{Generators, signed};
use zkernel_verifier::form::TrackId;
use zkernel_verifier::key::VerifyingKey;
use zkernel_verifier::msm::msm;
use zkernel_verifier::system::{ConstraintSystem, LookupInput, Phase, TableSide, TrackKind};

use crate::prover::Secrets;
use crate::{C, F};

/// A key, a statement and a witness for it, honest or not.
pub struct Case {
    /// The key for the committed tensors.
    pub key: VerifyingKey<C>,
    /// The public values.
    pub instances: Vec<Vec<F>>,
    /// The witness.
    pub secrets: Secrets,
}

impl Case {
    /// Commits to the tensors and makes the key.
    ///
    /// # Panics
    /// If the system is not well-formed.
    #[must_use]
    pub fn new(system: ConstraintSystem<F>, instances: Vec<Vec<F>>, secrets: Secrets) -> Self {
        let generators = Generators::derive(system.log_n);
        let tensors = commit_tensors(&system, &generators, &secrets);
        let key = VerifyingKey::new(system, generators, tensors, b"", &msm);
        Self {
            key: key.expect("a well-formed key"),
            instances,
            secrets,
        }
    }

    /// The engine's proving key and witness of this case.
    ///
    /// # Panics
    /// If the device fails or a tensor's cell is not a small integer.
    #[must_use]
    pub fn for_engine<B: Backend<C>>(&self, backend: &B) -> (ProvingKey<C, B>, Witness<F>) {
        let system = &self.key.system;
        let tensors = system.tracks_of(TrackKind::Tensor).map(|(id, _)| {
            let values = self.secrets.cells[&id].iter().map(small);
            (id, values.collect())
        });
        let tensors = Tensors {
            values: tensors.collect(),
            blinders: self.secrets.blinders.clone(),
        };
        let filled = |id| {
            let counted = system.table_sides.iter().any(|s| s.multiplicity == id);
            counted || system.masks.as_ref().is_some_and(|m| m.track == id)
        };
        let tracks = system.tracks_of(TrackKind::Advice(Phase::One));
        let tracks = tracks.filter(|(id, _)| !filled(*id));
        let witness = Witness {
            tracks: tracks
                .map(|(id, _)| (id, Body::Full(self.secrets.cells[&id].clone())))
                .collect(),
            boundaries: self.boundaries(),
        };
        let key = ProvingKey::load(backend, self.key.clone(), &tensors);
        (key.expect("a working device"), witness)
    }
}

impl Case {
    fn boundaries(&self) -> Vec<Boundary<F>> {
        let mut blinders = self.secrets.boundary_blinders.iter().copied();
        let tracks = self.key.system.tracks_of(TrackKind::Boundary);
        tracks
            .map(|(track, t)| Boundary {
                track,
                values: self.secrets.cells[&track].iter().map(small).collect(),
                blinders: blinders.by_ref().take(t.columns).collect(),
            })
            .collect()
    }
}

/// The small integer that a cell stands for.
fn small(value: &F) -> i64 {
    let near = (-64..64).find(|v| signed::<F>(*v) == *value);
    near.expect("a small integer")
}

/// Recomputes the multiplicities; tuples that are in no table are not counted.
pub fn count(system: &ConstraintSystem<F>, cells: &mut Cells<F>) {
    for side in &system.table_sides {
        let counts = multiplicities(system, side, cells);
        cells.insert(side.multiplicity, counts);
    }
}

/// How often each row of a side is hit, by the public entries.
fn multiplicities(system: &ConstraintSystem<F>, side: &TableSide, cells: &Cells<F>) -> Vec<F> {
    let mut rows = BTreeMap::new();
    for (id, table) in system.tables.iter().enumerate() {
        for (i, row) in table.rows.chunks(table.arity).enumerate() {
            let row: Vec<F> = row.iter().map(|v| signed(*v)).collect();
            rows.entry((id as u32, row)).or_insert(table.offset + i);
        }
    }
    let track = system.track(side.multiplicity).expect("exists");
    let mut counts = vec![F::ZERO; track.columns * track.width];
    let lookups = system.lookups.iter();
    for lookup in lookups.filter(|lookup| system.side_of(lookup) == Some(side)) {
        let arity = system.tables[lookup.table.0 as usize].arity;
        let enabled = lookup
            .enabled
            .and_then(|id| system.fixed.iter().find(|(track, _)| *track == id));
        for cell in system.looked_up(lookup) {
            if enabled.is_some_and(|(_, values)| values[cell] == F::ZERO) {
                continue;
            }
            let value = |input: &LookupInput| {
                let terms = input.terms.iter();
                let read = |(track, c): &(TrackId, i64)| cells[track][cell] * signed::<F>(*c);
                terms.map(read).sum::<F>() + signed::<F>(input.constant)
            };
            let tuple = lookup.inputs.iter().take(arity).map(value).collect();
            if let Some(row) = rows.get(&(lookup.table.0, tuple)) {
                counts[*row] += F::ONE;
            }
        }
    }
    counts
}

fn commit_tensors(
    system: &ConstraintSystem<F>,
    generators: &Generators<C>,
    secrets: &Secrets,
) -> Vec<C> {
    let columns = system
        .tracks_of(TrackKind::Tensor)
        .flat_map(|(id, track)| secrets.cells[&id].chunks(track.width));
    let commit = |(column, blinder): (&[F], &F)| {
        let points = [&generators.rows[..column.len()], &[generators.blinding]].concat();
        msm(&points, &[column, &[*blinder]].concat()).to_affine()
    };
    columns.zip(&secrets.blinders).map(commit).collect()
}
