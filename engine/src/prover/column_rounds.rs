//! The column rounds: the list of all columns folds to one, f with u and a with 1/u.
//!
//! A tensor whose forms are one vector times a scalar per column never has its coefficients written out: within its
//! aligned subtree the cross terms need only `<f_q, vector>`, one product per cell. Elsewhere the coefficients a are
//! dense. A subtree joins the dense part when it has folded to one column.

use zkernel_backend::{Backend, ColumnRef, Term};
use zkernel_verifier::challenge::Challenges;
use zkernel_verifier::claims::{BatchedClaim, fold_weights};
use zkernel_verifier::curve::{Curve, Scalar};
use zkernel_verifier::fold::RowMajor;
use zkernel_verifier::form::{LinearForm, TrackId};
use zkernel_verifier::rounds::ColumnRounds;
use zkernel_verifier::system::{Track, TrackKind};

use super::committed::Committed;
use super::inconsistent;
use crate::error::Result;

/// Columns up to which a tensor is written out like other columns: to join them later would copy all of these.
const FEW_COLUMNS: usize = 4;

/// One column that is left, its form, and the blinding factors of its commitment and of the claim.
pub(super) struct Folded<C: Curve, B: Backend<C>> {
    pub(super) f: B::Columns,
    pub(super) a: B::Columns,
    pub(super) blinder: Scalar<C>,
    pub(super) claim_blinder: Scalar<C>,
}

/// A tensor's subtree: every form is a vector times a scalar per column.
struct Subtree<C: Curve, B: Backend<C>> {
    track: TrackId,
    first: usize,
    log_columns: usize,
    forms: Vec<TensorForm<C, B>>,
}

struct TensorForm<C: Curve, B: Backend<C>> {
    vector: B::Columns,
    /// `<f_q, vector>`, folding like f.
    dots: Vec<Scalar<C>>,
    /// Scalars of the columns, folding like a.
    scalars: Vec<Scalar<C>>,
}

pub(super) type Claim<'k, C> = BatchedClaim<'k, Scalar<C>>;

impl<C: Curve, B: Backend<C>> Committed<'_, C, B> {
    /// Runs the column rounds; returns L and R of each and what is left.
    #[allow(clippy::type_complexity)]
    pub(super) fn fold_columns(
        &mut self,
        challenges: &Challenges<Scalar<C>>,
        claim: &Claim<'_, C>,
        rounds: &mut ColumnRounds<'_, C>,
    ) -> Result<(Vec<[C; 2]>, Folded<C, B>)> {
        let mut subtrees = self.subtrees(challenges, claim)?;
        let tensors: Vec<TrackId> = subtrees.iter().map(|subtree| subtree.track).collect();
        let mut dense = self.dense(challenges, claim, &tensors)?;
        let (mut proof, mut us) = (Vec::new(), Vec::new());
        let mut claim_blinder = Scalar::<C>::default();
        let nothing = self.backend.zeros(2, self.system().rows())?;
        for level in 0..self.key.verifying.shape.column_rounds {
            let ready = self.ready(&mut subtrees, level, &us)?;
            dense.join(self.backend, &ready, true)?;
            let (mut l, mut r) = self.backend.cross_columns(&dense.f, &dense.a)?;
            for form in subtrees.iter().flat_map(|subtree| &subtree.forms) {
                l += cross(&form.dots, &form.scalars, 1);
                r += cross(&form.dots, &form.scalars, 0);
            }
            let [s, t] = [self.randomness.scalar(), self.randomness.scalar()];
            let points =
                self.backend
                    .commit(&self.key.bases, &[&nothing], &[vec![l, s], vec![r, t]])?;
            let points = [points[0], points[1]];
            let u = rounds.round(&points)?;
            let inverse = Option::from(ff::Field::invert(&u)).ok_or_else(inconsistent)?;
            claim_blinder += u * s + inverse * t;
            dense = dense.fold(self.backend, u, inverse)?;
            for form in subtrees.iter_mut().flat_map(|subtree| &mut subtree.forms) {
                form.dots = fold(&form.dots, u);
                form.scalars = fold(&form.scalars, inverse);
            }
            proof.push(points);
            us.push(u);
        }
        let ready = self.ready(&mut subtrees, us.len(), &us)?;
        dense.join(self.backend, &ready, false)?;
        let blinder = self.folded_blinder(&fold_weights(&us));
        Ok((
            proof,
            Folded {
                f: dense.f,
                a: dense.a,
                blinder,
                claim_blinder,
            },
        ))
    }

    /// The tensors all of whose forms are one vector times a scalar per column.
    fn subtrees(
        &self,
        challenges: &Challenges<Scalar<C>>,
        claim: &Claim<'_, C>,
    ) -> Result<Vec<Subtree<C, B>>> {
        let mut subtrees = Vec::new();
        let tensors = self.system().tracks_of(TrackKind::Tensor);
        // A tensor that is also opened at zeta has coefficients of another kind.
        let tensors = tensors.filter(|(id, _)| self.system().mask_of(*id, 0).is_none());
        for (id, track) in tensors.filter(|(_, track)| track.columns > FEW_COLUMNS) {
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

    /// Subtrees that have folded to one column.
    #[allow(clippy::type_complexity)]
    fn ready(
        &self,
        subtrees: &mut Vec<Subtree<C, B>>,
        level: usize,
        us: &[Scalar<C>],
    ) -> Result<Vec<(usize, B::Columns, B::Columns)>> {
        let (ready, waiting) = subtrees
            .drain(..)
            .partition(|s: &Subtree<C, B>| s.log_columns == level);
        *subtrees = waiting;
        let ready: Vec<Subtree<C, B>> = ready;
        let weights = fold_weights(&us[..level]);
        let fold = |subtree: &Subtree<C, B>| {
            let (f, a) = self.folded_subtree(subtree, &weights)?;
            Ok((subtree.first >> level, f, a))
        };
        ready.iter().map(fold).collect()
    }

    fn folded_subtree(
        &self,
        subtree: &Subtree<C, B>,
        weights: &[Scalar<C>],
    ) -> Result<(B::Columns, B::Columns)> {
        let rows = self.system().rows();
        let columns = self.track(subtree.track)?;
        let (count, _) = self.backend.shape(columns);
        let terms = (0..count).zip(weights);
        let terms = terms.map(|(column, w)| Term {
            column: ColumnRef { batch: 0, column },
            coefficient: *w,
        });
        let (zero, terms) = ([Scalar::<C>::default()], [terms.collect()]);
        let f = self.backend.combine(&[columns], &terms, &zero, rows)?;
        let vectors: Vec<&B::Columns> = subtree.forms.iter().map(|form| &form.vector).collect();
        let terms = subtree.forms.iter().enumerate().map(|(batch, form)| Term {
            column: ColumnRef { batch, column: 0 },
            coefficient: form.scalars.first().copied().unwrap_or_default(),
        });
        let terms = [terms.collect()];
        let a = self.backend.combine(&vectors, &terms, &zero, rows)?;
        Ok((f, a))
    }

    /// The blinding factor of the folded commitment: `sum_q w_q r_q`; fixed columns have none.
    fn folded_blinder(&self, weights: &[Scalar<C>]) -> Scalar<C> {
        let layout = &self.key.verifying.layout;
        let tracks = self.blinders.iter().chain(&self.key.blinders);
        let of_tracks = tracks.flat_map(|(id, blinders)| (layout.first(*id)..).zip(blinders));
        let of_quotient = self
            .quotient
            .iter()
            .flat_map(|(_, blinders)| (layout.quotient..).zip(blinders));
        of_tracks
            .chain(of_quotient)
            .map(|(position, r)| weights[position] * r)
            .sum()
    }
}

/// `sum_q f_{2q + parity} a_{2q + 1 - parity}`: L for parity 1, R for parity 0.
fn cross<F: ff::Field>(f: &[F], a: &[F], parity: usize) -> F {
    f.chunks(2)
        .zip(a.chunks(2))
        .map(|(f, a)| f[parity] * a[1 - parity])
        .sum()
}

fn fold<F: ff::Field>(values: &[F], u: F) -> Vec<F> {
    values.chunks(2).map(|pair| pair[0] + u * pair[1]).collect()
}
