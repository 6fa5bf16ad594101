//! Phase 3: the helpers of the lookups. `1 / (beta + f)` takes as many values as the table has rows, so it is taken from the
//! dictionary `1 / (beta + f_T)`. The helper of one lookup without disabled rows that hits few of its entries is committed by
//! that dictionary too; the others cell by cell, all of them together.

use std::collections::BTreeMap;

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

/// A dictionary pays where a column has at least so many rows for each entry that it hits: sums by entry, and then one MSM
/// of these, against windows of every cell.
const ROWS_OF_AN_ENTRY: usize = 4;

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
        let (mut commitments, mut together) = (BTreeMap::new(), Vec::new());
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
            let mut committed = None;
            match members.as_slice() {
                [] => {
                    let mut sides = dictionaries.iter();
                    let found = sides.find(|(side, _)| side.helper == id);
                    let (side, dictionary) = found.ok_or_else(inconsistent)?;
                    self.fill_table(side, dictionary)?;
                }
                [(lookup, hits, dictionary)] if lookup.enabled.is_none() => {
                    committed = self.fill_input(lookup, hits, dictionary)?;
                }
                members => self.fill_sum(id, members)?,
            }
            match committed {
                Some(points) => drop(commitments.insert(id, points)),
                None => together.push(id),
            }
        }
        let mut points = self.commit_tracks(&together)?.into_iter();
        for id in together {
            let count = self.backend.shape(self.track(id)?).0;
            commitments.insert(id, points.by_ref().take(count).collect());
        }
        Ok(commitments.into_values().flatten().collect())
    }

    /// The helper of one lookup, all rows of which are enabled; its commitments if they are best made by dictionary.
    fn fill_input(
        &mut self,
        lookup: &Lookup,
        hits: &[u32],
        dictionary: &B::Columns,
    ) -> Result<Option<Vec<C>>> {
        let system = self.system();
        let (rows, columns) = (system.rows(), hits.len() / system.usable());
        let indices = self.dictionary_cells(hits);
        let tails: Vec<Vec<Scalar<C>>> = (0..columns)
            .map(|_| self.randomness.scalars(system.blinding))
            .collect();
        let taken = self.backend.take(&indices, dictionary, &tails, rows)?;
        self.columns.insert(lookup.helper, taken);
        let (entries, of) = self.backend.shape(dictionary);
        let mut hit = vec![false; entries * of];
        let first = indices.iter().take(rows);
        let new = first.filter(|index| !core::mem::replace(&mut hit[**index as usize], true));
        if new.count() * ROWS_OF_AN_ENTRY > rows {
            return Ok(None);
        }
        let extra = self.draw_blinders(lookup.helper, columns);
        let bases = &self.key.bases;
        let points = self
            .backend
            .commit_dictionary(bases, &indices, dictionary, &tails, &extra)?;
        Ok(Some(points))
    }

    /// `h = sum_j q_j / (beta + f_j)` over the lookups that share a helper.
    fn fill_sum(&mut self, helper: TrackId, members: &[Member<'_, C, B>]) -> Result<()> {
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
        Ok(())
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
    fn fill_table(&mut self, side: &TableSide, dictionary: &B::Columns) -> Result<()> {
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
        Ok(())
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
