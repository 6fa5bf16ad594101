//! Phase 3: the helpers of the lookups. `1 / (beta + f)` takes as many values as the table has rows, so it is taken from the
//! dictionary `1 / (beta + f_T)`. The helper of one lookup without disabled rows is committed by that dictionary too; the
//! sum of several, or one with zeros in between, cell by cell.

use ff::Field as _;
use zkernel_backend::{Backend, ColumnRef, Term};
use zkernel_verifier::challenge::{Challenge, Challenges};
use zkernel_verifier::curve::{Curve, Scalar};
use zkernel_verifier::expression::VirtualId;
use zkernel_verifier::form::TrackId;
use zkernel_verifier::system::{Lookup, Phase, TableSide, TrackKind};

use super::committed::Committed;
use super::inconsistent;
use crate::error::Result;
use crate::witness::{Assignment, DISABLED};

/// A lookup with what it hits and the dictionary of its table's side.
type Member<'m, C, B> = (&'m Lookup, &'m [u32], &'m <B as Backend<C>>::Columns);

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
            let lookups = system.lookups.iter().zip(&assignment.hits);
            let members: Vec<Member<'_, C, B>> = lookups
                .filter(|(lookup, _)| lookup.helper == id)
                .map(|(lookup, hits)| {
                    let side = system.side_of(lookup);
                    let mut sides = dictionaries.iter();
                    let (_, dictionary) = sides
                        .find(|(of, _)| Some(*of) == side)
                        .ok_or_else(inconsistent)?;
                    Ok((lookup, hits.as_slice(), dictionary))
                })
                .collect::<Result<_>>()?;
            commitments.extend(match members.as_slice() {
                [] => {
                    let mut sides = dictionaries.iter();
                    let found = sides.find(|(side, _)| side.helper == id);
                    let (side, dictionary) = found.ok_or_else(inconsistent)?;
                    self.commit_table(side, dictionary)?
                }
                [(lookup, hits, dictionary)] if lookup.enabled.is_none() => {
                    self.commit_input(lookup, hits, dictionary)?
                }
                members => self.commit_sum(id, members)?,
            });
        }
        Ok(commitments)
    }

    /// The helper of one lookup, all rows of which are enabled.
    fn commit_input(
        &mut self,
        lookup: &Lookup,
        hits: &[u32],
        dictionary: &B::Columns,
    ) -> Result<Vec<C>> {
        let system = self.system();
        let (rows, columns) = (system.rows(), hits.len() / system.usable());
        let indices = self.dictionary_cells(hits);
        let tails: Vec<Vec<Scalar<C>>> = (0..columns)
            .map(|_| self.randomness.scalars(system.blinding))
            .collect();
        let taken = self.backend.take(&indices, dictionary, &tails, rows)?;
        let extra = self.draw_blinders(lookup.helper, columns);
        self.columns.insert(lookup.helper, taken);
        Ok(self
            .backend
            .commit_dictionary(&self.key.bases, &indices, dictionary, &tails, &extra)?)
    }

    /// `h = sum_j q_j / (beta + f_j)` over the lookups that share a helper.
    fn commit_sum(&mut self, helper: TrackId, members: &[Member<'_, C, B>]) -> Result<Vec<C>> {
        let rows = self.system().rows();
        let fractions = members
            .iter()
            .map(|member| self.fractions(member))
            .collect::<Result<Vec<_>>>()?;
        let sources: Vec<&B::Columns> = fractions.iter().collect();
        let lanes = sources
            .first()
            .map_or(0, |first| self.backend.shape(first).0);
        let one = |batch, column| Term {
            column: ColumnRef { batch, column },
            coefficient: Scalar::<C>::ONE,
        };
        let terms: Vec<Vec<_>> = (0..lanes)
            .map(|lane| (0..sources.len()).map(|batch| one(batch, lane)).collect())
            .collect();
        let zeros = vec![Scalar::<C>::ZERO; lanes];
        let mut sum = self.backend.combine(&sources, &terms, &zeros, rows)?;
        self.blind(&mut sum)?;
        self.columns.insert(helper, sum);
        self.commit_tracks(&[helper])
    }

    /// `q / (beta + f)` in the lanes of one lookup; anything in the blinding rows.
    fn fractions(&self, (lookup, hits, dictionary): &Member<'_, C, B>) -> Result<B::Columns> {
        let system = self.system();
        let columns = hits.len() / system.usable();
        let indices = self.dictionary_cells(hits);
        let tails = vec![Vec::new(); columns];
        let taken = self
            .backend
            .take(&indices, dictionary, &tails, system.rows())?;
        let Some(enabled) = lookup.enabled else {
            return Ok(taken);
        };
        let enabled = self.track(enabled)?;
        let first = system.looked_up(lookup).start / system.usable();
        let chosen: Vec<ColumnRef> = (first..first + columns)
            .map(|column| ColumnRef { batch: 0, column })
            .collect();
        let enabled = self.backend.gather(&[enabled], &chosen)?;
        Ok(self.backend.multiply(&taken, &enabled)?)
    }

    /// The cells of a side's dictionary that hits stand for, column by column; any in blinding rows and disabled ones.
    fn dictionary_cells(&self, hits: &[u32]) -> Vec<u32> {
        let (rows, width) = (self.system().rows(), self.system().usable());
        let cell = |hit: &u32| {
            if *hit == DISABLED {
                0
            } else {
                *hit as usize / width * rows + *hit as usize % width
            }
        };
        let mut indices = vec![0u32; hits.len() / width * rows];
        for (column, hits) in indices.chunks_mut(rows).zip(hits.chunks(width)) {
            column
                .iter_mut()
                .zip(hits)
                .for_each(|(index, hit)| *index = cell(hit) as u32);
        }
        indices
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
        let term = |lane: usize| {
            let lane = column.first_lane() + lane;
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
