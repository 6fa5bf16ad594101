//! Columns with written-out coefficients in the column rounds. Neighbours on the current level lie side by side, a zero column where
//! the list has none, so that a level is folded where it lies.

use rayon::prelude::*;
use zkernel_backend::{Backend, ColumnRef};
use zkernel_verifier::challenge::{Challenge, Challenges};
use zkernel_verifier::claims::WeightedForm;
use zkernel_verifier::curve::{Curve, Scalar};
use zkernel_verifier::domain::Domain;
use zkernel_verifier::form::{EvaluatedAxis, EvaluatedView, LinearForm, Source, Strided, TrackId};

use super::column_rounds::Claim;
use super::committed::Committed;
use super::inconsistent;
use crate::error::Result;

/// Forms of a track for which another thread is not worth asking.
const FEW_FORMS: usize = 4;

/// Columns f and coefficients a, by their position on the current level.
pub(super) struct Dense<C: Curve, B: Backend<C>> {
    positions: Vec<usize>,
    pub(super) f: B::Columns,
    pub(super) a: B::Columns,
}

/// Every position with its neighbour, in order, and which of the given positions each is.
fn paired(positions: &[usize]) -> (Vec<usize>, Vec<Option<usize>>) {
    let (mut all, mut known) = (Vec::new(), Vec::new());
    for (index, position) in positions.iter().enumerate() {
        let low = position & !1;
        if all.last() != Some(&(low + 1)) {
            all.extend([low, low + 1]);
            known.extend([None, None]);
        }
        let slot = known.len() - 2 + (position & 1);
        known[slot] = Some(index);
    }
    (all, known)
}

/// A column that joins: its position, and its cells and coefficients as a batch of one.
type Joining<C, B> = (
    usize,
    <B as Backend<C>>::Columns,
    <B as Backend<C>>::Columns,
);

impl<C: Curve, B: Backend<C>> Dense<C, B> {
    /// Takes in columns with their coefficients by position, and gives every column its neighbour if asked.
    pub(super) fn join(
        &mut self,
        backend: &B,
        joining: &[Joining<C, B>],
        pair: bool,
    ) -> Result<()> {
        let own = self.positions.iter().enumerate();
        // Where a column joins there is at most a zero column.
        let stays = |position: &usize| joining.iter().all(|(joined, ..)| joined != position);
        let own = own.filter(|(_, position)| stays(position));
        let own = own.map(|(column, position)| (*position, ColumnRef { batch: 1, column }));
        let joined = (2..).zip(joining).map(|(batch, (position, ..))| {
            let column = 0;
            (*position, ColumnRef { batch, column })
        });
        let mut columns: Vec<(usize, ColumnRef)> = own.chain(joined).collect();
        columns.sort_by_key(|(position, _)| *position);
        let positions: Vec<usize> = columns.iter().map(|(position, _)| *position).collect();
        let (all, known) = if pair {
            paired(&positions)
        } else {
            let known = (0..positions.len()).map(Some).collect();
            (positions, known)
        };
        if joining.is_empty() && all == self.positions {
            return Ok(());
        }
        let nothing = ColumnRef {
            batch: 0,
            column: 0,
        };
        let chosen = known.iter().map(|i| i.map_or(nothing, |i| columns[i].1));
        let chosen: Vec<ColumnRef> = chosen.collect();
        let zero = backend.zeros(1, backend.shape(&self.f).1)?;
        let sources = |own, joined: fn(&Joining<C, B>) -> &B::Columns| {
            let first = [&zero, own].into_iter();
            first.chain(joining.iter().map(joined)).collect::<Vec<_>>()
        };
        let f = backend.gather(&sources(&self.f, |(_, f, _)| f), &chosen)?;
        let a = backend.gather(&sources(&self.a, |(_, _, a)| a), &chosen)?;
        *self = Self {
            positions: all,
            f,
            a,
        };
        Ok(())
    }

    /// `f_lo + u f_hi` and `a_lo + u^-1 a_hi` of all pairs.
    pub(super) fn fold(&self, backend: &B, u: Scalar<C>, inverse: Scalar<C>) -> Result<Self> {
        Ok(Self {
            positions: self.positions.iter().step_by(2).map(|p| p >> 1).collect(),
            f: backend.fold_columns(&self.f, u)?,
            a: backend.fold_columns(&self.a, inverse)?,
        })
    }
}

impl<C: Curve, B: Backend<C>> Committed<'_, C, B> {
    /// All columns but those tensors, with their coefficients.
    pub(super) fn dense(
        &self,
        challenges: &Challenges<Scalar<C>>,
        claim: &Claim<'_, C>,
        tensors: &[TrackId],
    ) -> Result<Dense<C, B>> {
        let layout = &self.key.verifying.layout;
        let rows = self.system().rows();
        let zero = self.backend.zeros(1, rows)?;
        let mut sources = vec![&zero];
        let (mut columns, mut positions) = (Vec::new(), Vec::new());
        let mut add = |batch: usize, first: usize, count: usize| {
            columns.extend((0..count).map(|column| ColumnRef { batch, column }));
            positions.extend(first..first + count);
        };
        let tracks = layout.order.iter().copied();
        let tracks: Vec<TrackId> = tracks.filter(|id| !tensors.contains(id)).collect();
        for id in &tracks {
            let source = self.track(*id)?;
            let count = self.backend.shape(source).0;
            add(sources.len(), layout.first(*id), count);
            sources.push(source);
        }
        if let Some((quotient, _)) = &self.quotient {
            add(sources.len(), layout.quotient, claim.quotient.len());
            sources.push(quotient);
        }
        let (all, known) = paired(&positions);
        let nothing = ColumnRef {
            batch: 0,
            column: 0,
        };
        let chosen = known.iter().map(|i| i.map_or(nothing, |i| columns[i]));
        let f = self.backend.gather(&sources, &chosen.collect::<Vec<_>>())?;
        let mut a = self.backend.zeros(all.len(), rows)?;
        let slot = |position: usize| all.partition_point(|p| *p < position);
        for id in &tracks {
            self.accumulate_forms(*id, slot(layout.first(*id)), challenges, claim, &mut a)?;
        }
        self.accumulate_quotient(slot(layout.quotient), challenges, claim, &mut a)?;
        self.accumulate_openings(challenges, claim, &all, &mut a)?;
        Ok(Dense {
            positions: all,
            f,
            a,
        })
    }

    /// Adds the forms that read a track to its coefficients, whose first column is that one.
    fn accumulate_forms<'k>(
        &self,
        id: TrackId,
        first: usize,
        challenges: &Challenges<Scalar<C>>,
        claim: &Claim<'k, C>,
        a: &mut B::Columns,
    ) -> Result<()> {
        let width = self.system().track(id).map_or(1, |t| t.width);
        let start = first * width;
        if self.system().masks.as_ref().map(|masks| masks.track) == Some(id) {
            let masks = claim.masks.iter().map(|(p, c)| (start + p, *c));
            let masks: Vec<_> = masks.collect();
            self.backend.accumulate_sparse(a, width, &masks)?;
        }
        let own = |weighted: &WeightedForm<'k, Scalar<C>>| match weighted.form {
            LinearForm::Strided(strided) if strided.source == Source::Track(id) => {
                Some((strided, weighted.weight))
            }
            _ => None,
        };
        let forms: Vec<_> = claim.forms.iter().filter_map(own).collect();
        let view = |(strided, weight): &(&Strided<Scalar<C>>, Scalar<C>)| {
            let mut view = strided.evaluate(challenges);
            view.scale *= weight;
            view.start += start;
            view
        };
        let views: Vec<EvaluatedView<Scalar<C>>> = if forms.len() < FEW_FORMS {
            forms.iter().map(view).collect()
        } else {
            forms.par_iter().map(view).collect()
        };
        for view in &views {
            self.backend.accumulate(a, width, view)?;
        }
        let mut cells = Vec::new();
        for weighted in &claim.forms {
            if let LinearForm::Sparse(entries) = weighted.form {
                let of_track = entries.iter().filter(|entry| entry.cell.track == id);
                cells.extend(of_track.map(|entry| {
                    let power = claim.lambda_powers[entry.claim as usize];
                    let coefficient = entry.coefficient * power * weighted.weight;
                    (start + entry.cell.position, coefficient)
                }));
            }
        }
        if !cells.is_empty() {
            self.backend.accumulate_sparse(a, width, &cells)?;
        }
        Ok(())
    }

    /// Quotient column j has the form `k_j L(zeta / g_j)`.
    fn accumulate_quotient(
        &self,
        first: usize,
        challenges: &Challenges<Scalar<C>>,
        claim: &Claim<'_, C>,
        a: &mut B::Columns,
    ) -> Result<()> {
        let domain = &self.key.verifying.domain;
        let points = domain.quotient_points(challenges.get(Challenge::Zeta));
        for (j, (k, point)) in claim.quotient.iter().zip(points).enumerate() {
            let factor = domain.lagrange(point).ok_or_else(inconsistent)?;
            let axes = vec![EvaluatedAxis { stride: 1, factor }];
            let view = EvaluatedView {
                start: (first + j) * domain.rows(),
                axes,
                scale: *k,
            };
            self.backend.accumulate(a, domain.rows(), &view)?;
        }
        Ok(())
    }

    /// Adds `coefficient[q] L(omega^rotation zeta)` to the coefficients of every opened column.
    fn accumulate_openings(
        &self,
        challenges: &Challenges<Scalar<C>>,
        claim: &Claim<'_, C>,
        positions: &[usize],
        a: &mut B::Columns,
    ) -> Result<()> {
        let domain = &self.key.verifying.domain;
        let lagrange = domain
            .lagrange(challenges.get(Challenge::Zeta))
            .ok_or_else(inconsistent)?;
        for opening in claim.openings.iter().filter(|_| !positions.is_empty()) {
            let scalars = positions
                .iter()
                .map(|p| opening.coefficients.get(*p).copied().unwrap_or_default());
            let columns = EvaluatedAxis {
                stride: domain.rows(),
                factor: scalars.collect(),
            };
            let rows = EvaluatedAxis {
                stride: 1,
                factor: Domain::rotated(&lagrange, opening.rotation)
                    .copied()
                    .collect(),
            };
            let view = EvaluatedView {
                start: 0,
                axes: vec![columns, rows],
                scale: <Scalar<C> as ff::Field>::ONE,
            };
            self.backend.accumulate(a, domain.rows(), &view)?;
        }
        Ok(())
    }
}
