//! The forms of the one claim, column by column: written out, or as a vector times a scalar per column of a tensor.

use zkernel_backend::{Backend, ColumnRef};
use zkernel_verifier::challenge::{Challenge, Challenges};
use zkernel_verifier::curve::{Curve, Scalar};
use zkernel_verifier::fold::RowMajor;
use zkernel_verifier::form::{EvaluatedAxis, EvaluatedView, LinearForm, Source, TrackId};
use zkernel_verifier::system::{Track, TrackKind};

use super::{Claim, Committed, Dense, Subtree, TensorForm};
use crate::error::Result;
use crate::prover::inconsistent;

impl<C: Curve, B: Backend<C>> Committed<'_, C, B> {
    /// The tensors all of whose forms are one vector times a scalar per column.
    pub(super) fn subtrees(
        &self,
        challenges: &Challenges<Scalar<C>>,
        claim: &Claim<'_, C>,
    ) -> Result<Vec<Subtree<C, B>>> {
        let mut subtrees = Vec::new();
        let tensors = self.system().tracks_of(TrackKind::Tensor);
        // A tensor that is also opened at zeta has coefficients of another kind.
        for (id, track) in tensors.filter(|(id, _)| self.system().mask_of(*id, 0).is_none()) {
            let forms = claim
                .forms
                .iter()
                .filter(|weighted| weighted.form.reads(id));
            let recognised = forms.map(|weighted| match weighted.form {
                LinearForm::Strided(strided) => RowMajor::recognise(strided, track, challenges)
                    .map(|form| (weighted.weight, form)),
                LinearForm::Sparse(_) => None,
            });
            let Some(forms) = recognised.collect::<Option<Vec<_>>>() else {
                continue;
            };
            let forms = forms
                .iter()
                .map(|(weight, form)| self.tensor_form(id, track, *weight, form))
                .collect::<Result<_>>()?;
            let log_columns = track.columns.next_power_of_two().trailing_zeros() as usize;
            subtrees.push(Subtree {
                track: id,
                first: self.key.verifying.layout.first(id),
                log_columns,
                forms,
            });
        }
        Ok(subtrees)
    }

    fn tensor_form(
        &self,
        id: TrackId,
        track: &Track,
        weight: Scalar<C>,
        form: &RowMajor<Scalar<C>>,
    ) -> Result<TensorForm<C, B>> {
        let padded = track.columns.next_power_of_two();
        let vector = self.upload_column(form.vector(self.system().rows()))?;
        let mut dots = self.backend.dot(self.track(id)?, &vector)?;
        dots.resize(padded, Scalar::<C>::default());
        let mut scalars = vec![Scalar::<C>::default(); form.first_column];
        scalars.extend(form.column_scalars().into_iter().map(|s| s * weight));
        scalars.resize(padded, Scalar::<C>::default());
        Ok(TensorForm {
            vector,
            dots,
            scalars,
        })
    }

    /// All other columns with their written-out coefficients.
    pub(super) fn dense(
        &self,
        challenges: &Challenges<Scalar<C>>,
        claim: &Claim<'_, C>,
        subtrees: &[Subtree<C, B>],
    ) -> Result<Dense<C, B>> {
        let layout = &self.key.verifying.layout;
        let (mut sources, mut chosen, mut positions) = (Vec::new(), Vec::new(), Vec::new());
        let tracks: Vec<TrackId> = layout
            .order
            .iter()
            .copied()
            .filter(|id| subtrees.iter().all(|s| s.track != *id))
            .collect();
        let mut coefficients = Vec::new();
        for id in tracks {
            let columns = self.track(id)?;
            let (count, rows) = self.backend.shape(columns);
            let mut a = self.backend.zeros(count, rows)?;
            self.accumulate_forms(id, challenges, claim, &mut a)?;
            for column in 0..count {
                chosen.push(ColumnRef {
                    batch: sources.len(),
                    column,
                });
                positions.push(layout.first(id) + column);
            }
            sources.push(columns);
            coefficients.push(a);
        }
        if let Some((quotient, _)) = &self.quotient {
            let count = claim.quotient.len();
            chosen.extend((0..count).map(|column| ColumnRef {
                batch: sources.len(),
                column,
            }));
            positions.extend((0..count).map(|j| layout.quotient + j));
            sources.push(quotient);
            coefficients.push(self.quotient_forms(challenges, claim)?);
        }
        let f = self.backend.gather(&sources, &chosen)?;
        let coefficients: Vec<&B::Columns> = coefficients.iter().collect();
        let mut a = self.backend.gather(&coefficients, &chosen)?;
        self.add_openings(challenges, claim, &positions, &mut a)?;
        Ok(Dense { positions, f, a })
    }

    /// Adds the forms that read a track to its coefficients.
    fn accumulate_forms(
        &self,
        id: TrackId,
        challenges: &Challenges<Scalar<C>>,
        claim: &Claim<'_, C>,
        a: &mut B::Columns,
    ) -> Result<()> {
        let width = self.system().track(id).map_or(1, |t| t.width);
        if self.system().masks.as_ref().map(|masks| masks.track) == Some(id) {
            self.backend.accumulate_sparse(a, width, &claim.masks)?;
        }
        for weighted in &claim.forms {
            match weighted.form {
                LinearForm::Strided(strided) if strided.source == Source::Track(id) => {
                    let mut view = strided.evaluate(challenges);
                    view.scale *= weighted.weight;
                    self.backend.accumulate(a, width, &view)?;
                }
                LinearForm::Strided(_) => {}
                LinearForm::Sparse(entries) => {
                    let of_track = entries.iter().filter(|entry| entry.cell.track == id);
                    let entries: Vec<_> = of_track
                        .map(|entry| {
                            let power = claim.lambda_powers[entry.claim as usize];
                            (
                                entry.cell.position,
                                entry.coefficient * power * weighted.weight,
                            )
                        })
                        .collect();
                    self.backend.accumulate_sparse(a, width, &entries)?;
                }
            }
        }
        Ok(())
    }

    /// Quotient column j has the form `k_j L(zeta / g_j)`.
    fn quotient_forms(
        &self,
        challenges: &Challenges<Scalar<C>>,
        claim: &Claim<'_, C>,
    ) -> Result<B::Columns> {
        let domain = &self.key.verifying.domain;
        let mut forms = self.backend.zeros(claim.quotient.len(), domain.rows())?;
        for (j, (k, shift)) in claim.quotient.iter().zip(&domain.shifts).enumerate() {
            let inverse: Scalar<C> =
                Option::from(ff::Field::invert(shift)).ok_or_else(inconsistent)?;
            let point = challenges.get(Challenge::Zeta) * inverse;
            let factor = domain.lagrange(point).ok_or_else(inconsistent)?;
            let axes = vec![EvaluatedAxis { stride: 1, factor }];
            let view = EvaluatedView {
                start: j * domain.rows(),
                axes,
                scale: *k,
            };
            self.backend.accumulate(&mut forms, domain.rows(), &view)?;
        }
        Ok(forms)
    }

    /// Adds `coefficient[q] L(omega^rotation zeta)` to the coefficients of every opened column.
    fn add_openings(
        &self,
        challenges: &Challenges<Scalar<C>>,
        claim: &Claim<'_, C>,
        positions: &[usize],
        a: &mut B::Columns,
    ) -> Result<()> {
        let domain = &self.key.verifying.domain;
        let zeta = challenges.get(Challenge::Zeta);
        for opening in claim.openings.iter().filter(|_| !positions.is_empty()) {
            let lagrange = domain.lagrange_rotated(zeta, opening.rotation);
            let scalars = positions
                .iter()
                .map(|p| opening.coefficients.get(*p).copied().unwrap_or_default());
            let columns = EvaluatedAxis {
                stride: domain.rows(),
                factor: scalars.collect(),
            };
            let rows = EvaluatedAxis {
                stride: 1,
                factor: lagrange.ok_or_else(inconsistent)?,
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
