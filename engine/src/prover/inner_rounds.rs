//! The inner rounds on one column, and the Schnorr proof that hides the last scalar.
//!
//! The first rounds use the tabled bases with expanded scalars; then the folded bases are written out once, unless they are few.

use ff::Field as _;
use zkernel_backend::Backend;
use zkernel_verifier::claims::fold_weights;
use zkernel_verifier::curve::{Curve, Scalar};
use zkernel_verifier::rounds::InnerRounds;

use super::column_rounds::Folded;
use super::committed::Committed;
use super::inconsistent;
use crate::error::Result;

/// Rounds on the tabled bases before the folded ones are written out: each costs n additions times windows, and so do the
/// folded bases once.
const TABLED_ROUNDS: usize = 3;

/// Rows up to which all rounds are on the tabled bases: the tables of folded bases cost as much as the rounds they save.
const FEW_ROWS: usize = 256;

/// The bases of the current rounds: folded bases written out, and the weights of the folds since then.
struct Bases<C: Curve, B: Backend<C>> {
    written: Option<B::Bases>,
    rows: usize,
    inverses: Vec<Scalar<C>>,
}

impl<C: Curve, B: Backend<C>> Committed<'_, C, B> {
    /// Runs the inner rounds and the Schnorr proof; returns L and R of each round, A, and (z1, z2).
    #[allow(clippy::type_complexity)]
    pub(super) fn fold_rows(
        &mut self,
        folded: Folded<C, B>,
        x: Scalar<C>,
        rounds: &mut InnerRounds<C>,
    ) -> Result<(Vec<[C; 2]>, C, [Scalar<C>; 2])> {
        let Folded {
            mut f,
            mut a,
            blinder,
            claim_blinder,
        } = folded;
        let mut r = blinder + x * claim_blinder;
        let mut bases = Bases {
            written: None,
            rows: self.system().rows(),
            inverses: Vec::new(),
        };
        let mut proof = Vec::new();
        for round in 0..self.key.verifying.shape.inner_rounds {
            if round == TABLED_ROUNDS && bases.rows > FEW_ROWS {
                self.write_out(&mut bases)?;
            }
            let (l_claim, r_claim) = self.backend.cross_rows(&f, &a)?;
            let [s, t] = [self.randomness.scalar(), self.randomness.scalar()];
            let scalars = self.backend.expand(&f, &fold_weights(&bases.inverses))?;
            let extra = [vec![x * l_claim, s], vec![x * r_claim, t]];
            let points = self
                .backend
                .commit(self.current(&bases), &[&scalars], &extra)?;
            let points = [points[0], points[1]];
            let v = rounds.round(&points)?;
            let inverse = Option::from(v.invert()).ok_or_else(inconsistent)?;
            r += v * s + inverse * t;
            f = self.backend.fold_rows(&f, v)?;
            a = self.backend.fold_rows(&a, inverse)?;
            bases.inverses.push(inverse);
            proof.push(points);
        }
        let (f, a) = (self.backend.read(&f)?[0], self.backend.read(&a)?[0]);
        let [d, d_blinder] = [self.randomness.scalar(), self.randomness.scalar()];
        let column = self.upload_column(
            fold_weights(&bases.inverses)
                .into_iter()
                .map(|w| w * d)
                .collect(),
        )?;
        let extra = [vec![d * x * a, d_blinder]];
        let schnorr = self
            .backend
            .commit(self.current(&bases), &[&column], &extra)?[0];
        let e = rounds.schnorr(&schnorr)?;
        Ok((proof, schnorr, [d + e * f, d_blinder + e * r]))
    }

    fn current<'b>(&'b self, bases: &'b Bases<C, B>) -> &'b B::Bases {
        bases.written.as_ref().unwrap_or(&self.key.bases)
    }

    fn write_out(&self, bases: &mut Bases<C, B>) -> Result<()> {
        let written = self.backend.fold_bases(
            self.current(bases),
            bases.rows,
            &fold_weights(&bases.inverses),
        )?;
        bases.rows >>= bases.inverses.len();
        bases.inverses.clear();
        bases.written = Some(written);
        Ok(())
    }
}
