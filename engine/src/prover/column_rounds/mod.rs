//! The column rounds: the list of all columns folds to one, f with u and a with 1/u.
//!
//! A tensor whose forms are one vector times a scalar per column never has its coefficients written out: within its
//! aligned subtree the cross terms need only `<f_q, vector>`, one product per cell. Elsewhere the coefficients a are
//! dense. A subtree joins the dense part when it has folded to one column.

mod forms;

use zkernel_backend::{Backend, ColumnRef, Term};
use zkernel_verifier::challenge::Challenges;
use zkernel_verifier::claims::{BatchedClaim, fold_weights};
use zkernel_verifier::curve::{Curve, Scalar};
use zkernel_verifier::form::TrackId;
use zkernel_verifier::rounds::ColumnRounds;

use super::committed::Committed;
use super::inconsistent;
use crate::error::Result;

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

/// Columns with written-out coefficients, by their position on the current level.
struct Dense<C: Curve, B: Backend<C>> {
    positions: Vec<usize>,
    f: B::Columns,
    a: B::Columns,
}

type Claim<'k, C> = BatchedClaim<'k, Scalar<C>>;

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
        let mut dense = self.dense(challenges, claim, &subtrees)?;
        let (mut proof, mut us) = (Vec::new(), Vec::new());
        let mut claim_blinder = Scalar::<C>::default();
        let nothing = self.backend.zeros(2, self.system().rows())?;
        for level in 0..self.key.verifying.shape.column_rounds {
            self.join(&mut dense, &mut subtrees, level, &us)?;
            self.pair(&mut dense)?;
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
            dense = self.fold_dense(&dense, u, inverse)?;
            for form in subtrees.iter_mut().flat_map(|subtree| &mut subtree.forms) {
                form.dots = fold(&form.dots, u);
                form.scalars = fold(&form.scalars, inverse);
            }
            proof.push(points);
            us.push(u);
        }
        self.join(&mut dense, &mut subtrees, us.len(), &us)?;
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

    /// Subtrees that have folded to one column become dense.
    fn join(
        &self,
        dense: &mut Dense<C, B>,
        subtrees: &mut Vec<Subtree<C, B>>,
        level: usize,
        us: &[Scalar<C>],
    ) -> Result<()> {
        let (ready, waiting) = subtrees
            .drain(..)
            .partition(|s: &Subtree<C, B>| s.log_columns == level);
        *subtrees = waiting;
        let ready: Vec<Subtree<C, B>> = ready;
        for subtree in ready {
            let weights = fold_weights(&us[..level]);
            let rows = self.system().rows();
            let columns = self.track(subtree.track)?;
            let (count, _) = self.backend.shape(columns);
            let terms = (0..count).zip(&weights);
            let terms = terms.map(|(column, w)| Term {
                column: ColumnRef { batch: 0, column },
                coefficient: *w,
            });
            let zero = [Scalar::<C>::default()];
            let f = self
                .backend
                .combine(&[columns], &[terms.collect()], &zero, rows)?;
            let vectors: Vec<&B::Columns> = subtree.forms.iter().map(|form| &form.vector).collect();
            let terms = subtree.forms.iter().enumerate().map(|(batch, form)| Term {
                column: ColumnRef { batch, column: 0 },
                coefficient: form.scalars.first().copied().unwrap_or_default(),
            });
            let a = self
                .backend
                .combine(&vectors, &[terms.collect()], &zero, rows)?;
            self.insert(dense, subtree.first >> level, &f, &a)?;
        }
        Ok(())
    }

    fn insert(
        &self,
        dense: &mut Dense<C, B>,
        position: usize,
        f: &B::Columns,
        a: &B::Columns,
    ) -> Result<()> {
        let at = dense.positions.partition_point(|p| *p < position);
        let old = |column| ColumnRef { batch: 0, column };
        let new = ColumnRef {
            batch: 1,
            column: 0,
        };
        let chosen: Vec<ColumnRef> = (0..at)
            .map(old)
            .chain([new])
            .chain((at..dense.positions.len()).map(old))
            .collect();
        dense.f = self.backend.gather(&[&dense.f, f], &chosen)?;
        dense.a = self.backend.gather(&[&dense.a, a], &chosen)?;
        dense.positions.insert(at, position);
        Ok(())
    }

    /// Gives every dense column its neighbour: a zero column where the list has none.
    fn pair(&self, dense: &mut Dense<C, B>) -> Result<()> {
        let zero = self.backend.zeros(1, self.system().rows())?;
        let (mut chosen, mut positions) = (Vec::new(), Vec::new());
        for (column, position) in dense.positions.iter().enumerate() {
            let low = position & !1;
            if positions.last() != Some(&(low + 1)) {
                positions.extend([low, low + 1]);
                chosen.extend(
                    [ColumnRef {
                        batch: 1,
                        column: 0,
                    }; 2],
                );
            }
            let slot = chosen.len() - 2 + (position & 1);
            chosen[slot] = ColumnRef { batch: 0, column };
        }
        dense.f = self.backend.gather(&[&dense.f, &zero], &chosen)?;
        dense.a = self.backend.gather(&[&dense.a, &zero], &chosen)?;
        dense.positions = positions;
        Ok(())
    }

    fn fold_dense(
        &self,
        dense: &Dense<C, B>,
        u: Scalar<C>,
        inverse: Scalar<C>,
    ) -> Result<Dense<C, B>> {
        Ok(Dense {
            positions: dense.positions.iter().step_by(2).map(|p| p >> 1).collect(),
            f: self.backend.fold_columns(&dense.f, u)?,
            a: self.backend.fold_columns(&dense.a, inverse)?,
        })
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
