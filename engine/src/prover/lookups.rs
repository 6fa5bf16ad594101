//! Phase 3: the helpers of the lookups. `h = 1 / (beta + f)` takes as many values as the table has rows, so it is
//! taken from, and committed by, the dictionary `1 / (beta + f_T)`.

use ff::Field as _;
use zkernel_backend::{Backend, ColumnRef, Term};
use zkernel_verifier::challenge::{Challenge, Challenges};
use zkernel_verifier::curve::{Curve, Scalar};
use zkernel_verifier::expression::VirtualId;
use zkernel_verifier::system::{Lookup, Phase, TableSide, TrackKind};

use super::committed::Committed;
use super::inconsistent;
use crate::error::Result;
use crate::witness::{Assignment, DISABLED};

impl<C: Curve, B: Backend<C>> Committed<'_, C, B> {
    /// Computes and commits all helpers, in the order of their tracks.
    pub(super) fn commit_helpers(
        &mut self,
        assignment: &Assignment<Scalar<C>>,
        challenges: &Challenges<Scalar<C>>,
    ) -> Result<Vec<C>> {
        let system = self.system();
        let mut dictionaries = Vec::new();
        for side in &system.table_sides {
            let lanes = 0..system.lanes(side.folded);
            let table = self.virtual_lanes(side.folded, lanes, challenges)?;
            let beta = challenges.get(Challenge::Beta);
            dictionaries.push((side, self.backend.invert(&table, beta)?));
        }
        let mut commitments = Vec::new();
        for (id, _) in system.tracks_of(TrackKind::Advice(Phase::Three)) {
            let lookup = system
                .lookups
                .iter()
                .zip(&assignment.hits)
                .find(|(lookup, _)| lookup.helper == id);
            let mut sides = dictionaries.iter();
            commitments.extend(match lookup {
                Some((lookup, hits)) => {
                    let of_lookup = system.side_of(lookup);
                    let found = sides.find(|(side, _)| Some(*side) == of_lookup);
                    let (_, dictionary) = found.ok_or_else(inconsistent)?;
                    self.commit_input(lookup, hits, dictionary)?
                }
                None => {
                    let found = sides.find(|(side, _)| side.helper == id);
                    let (side, dictionary) = found.ok_or_else(inconsistent)?;
                    self.commit_table(side, dictionary)?
                }
            });
        }
        Ok(commitments)
    }

    fn commit_input(
        &mut self,
        lookup: &Lookup,
        hits: &[u32],
        dictionary: &B::Columns,
    ) -> Result<Vec<C>> {
        let system = self.system();
        let (rows, width) = (system.rows(), system.usable());
        let columns = hits.len() / width;
        let cell = |hit: &u32| {
            if *hit == DISABLED {
                0
            } else {
                *hit as usize / width * rows + *hit as usize % width
            }
        };
        let mut indices = vec![0u32; columns * rows];
        for (column, hits) in indices.chunks_mut(rows).zip(hits.chunks(width)) {
            column
                .iter_mut()
                .zip(hits)
                .for_each(|(index, hit)| *index = cell(hit) as u32);
        }
        let tails: Vec<Vec<Scalar<C>>> = (0..columns)
            .map(|_| self.randomness.scalars(system.blinding))
            .collect();
        let taken = self.backend.take(&indices, dictionary, &tails, rows)?;
        let extra = self.draw_blinders(lookup.helper, columns);
        let Some(enabled) = lookup.enabled else {
            self.columns.insert(lookup.helper, taken);
            return Ok(self.backend.commit_dictionary(
                &self.key.bases,
                &indices,
                dictionary,
                &tails,
                &extra,
            )?);
        };
        let mut helper = self.backend.multiply(&taken, self.track(enabled)?)?;
        self.blind(&mut helper)?;
        self.columns.insert(lookup.helper, helper);
        self.commit_tracks(&[lookup.helper])
    }

    /// `h_T = -m / (beta + f_T)`.
    fn commit_table(&mut self, side: &TableSide, dictionary: &B::Columns) -> Result<Vec<C>> {
        let product = self
            .backend
            .multiply(self.track(side.multiplicity)?, dictionary)?;
        let (columns, rows) = self.backend.shape(&product);
        let minus = |column| Term {
            column: ColumnRef { batch: 0, column },
            coefficient: -Scalar::<C>::ONE,
        };
        let terms: Vec<_> = (0..columns).map(|column| vec![minus(column)]).collect();
        let mut helper =
            self.backend
                .combine(&[&product], &terms, &vec![Scalar::<C>::ZERO; columns], rows)?;
        self.blind(&mut helper)?;
        self.columns.insert(side.helper, helper);
        self.commit_tracks(&[side.helper])
    }

    /// Values of some lanes of a virtual column.
    pub(super) fn virtual_lanes(
        &self,
        id: VirtualId,
        lanes: std::ops::Range<usize>,
        challenges: &Challenges<Scalar<C>>,
    ) -> Result<B::Columns> {
        let column = &self.system().virtuals[id.0 as usize];
        let sources = column
            .terms
            .iter()
            .map(|(track, _)| self.opened(*track))
            .collect::<Result<Vec<_>>>()?;
        let coefficients: Vec<Scalar<C>> = column
            .terms
            .iter()
            .map(|(_, c)| c.evaluate(challenges))
            .collect();
        let constant: Scalar<C> = column
            .constants
            .iter()
            .map(|c| c.evaluate(challenges))
            .sum();
        let term = |lane| {
            let terms = coefficients.iter().enumerate();
            terms
                .map(|(batch, c)| Term {
                    column: ColumnRef {
                        batch,
                        column: lane,
                    },
                    coefficient: *c,
                })
                .collect::<Vec<_>>()
        };
        let terms: Vec<_> = lanes.clone().map(term).collect();
        Ok(self.backend.combine(
            &sources,
            &terms,
            &vec![constant; lanes.len()],
            self.system().rows(),
        )?)
    }
}
