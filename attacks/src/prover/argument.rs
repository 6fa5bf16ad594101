//! The inner-product argument, with cheats in its rounds.

use ff::Field as _;
use zkernel_verifier::claims::fold_weights;
use zkernel_verifier::rounds::BadChallenge;

use super::{Cheat, Model};
use crate::algebra::{dot, fold, fold_columns, inverse};
use crate::{C, F};

/// The inner-product argument under way.
pub(super) struct Argument {
    pub(super) f: Vec<Vec<F>>,
    pub(super) a: Vec<Vec<F>>,
    /// Blinding factor of the folded column's commitment.
    pub(super) r: F,
    /// Blinding factor of the folded claim `T U`.
    pub(super) claim: F,
    pub(super) gap: F,
}

type Round<'r> = &'r mut dyn FnMut(&[C; 2]) -> Result<F, BadChallenge>;

impl Argument {
    pub(super) fn fold_columns(
        &mut self,
        model: &mut Model<'_>,
        cheat: &mut Cheat<'_>,
        mut round: impl FnMut(&[C; 2]) -> Result<F, BadChallenge>,
    ) -> Result<Vec<[C; 2]>, BadChallenge> {
        let round: Round<'_> = &mut round;
        let (mut proof, mut us) = (Vec::new(), Vec::new());
        let cross = |f: &[Vec<F>], a: &[Vec<F>], parity: usize| -> F {
            let pairs = f.chunks(2).zip(a.chunks(2));
            pairs.map(|(f, a)| dot(&f[parity], &a[1 - parity])).sum()
        };
        while self.f.len() > 1 {
            let (shift, extra) = cheat.column_round.as_mut().map_or_else(
                || (F::ZERO, Vec::new()),
                |c| c(us.len(), &mut self.f, &self.a, self.gap),
            );
            let (l, r) = (cross(&self.f, &self.a, 1), cross(&self.f, &self.a, 0));
            let (s, t) = (model.random(), model.random());
            let points = [model.commit(&extra, l + shift, s), model.commit(&[], r, t)];
            let u = round(&points)?;
            self.claim += u * s + inverse(u) * t;
            self.f = fold_columns(&self.f, u);
            self.a = fold_columns(&self.a, inverse(u));
            us.push(u);
            proof.push(points);
        }
        let weights = fold_weights(&us);
        self.r = model.blinders.iter().map(|(q, r)| weights[*q] * r).sum();
        Ok(proof)
    }

    /// The inner rounds; also the weights of the generators after them.
    pub(super) fn fold_rows(
        &mut self,
        model: &mut Model<'_>,
        x: F,
        cheat: &mut Cheat<'_>,
        mut round: impl FnMut(&[C; 2]) -> Result<F, BadChallenge>,
    ) -> Result<(Vec<[C; 2]>, Vec<F>), BadChallenge> {
        let round: Round<'_> = &mut round;
        self.r += x * self.claim;
        let (mut f, mut a) = (self.f[0].clone(), self.a[0].clone());
        let (mut proof, mut inverses) = (Vec::new(), Vec::new());
        while f.len() > 1 {
            let shift = cheat
                .inner_round
                .as_mut()
                .map_or(F::ZERO, |c| c(proof.len(), self.gap));
            let half = |v: &[F], parity: usize| -> Vec<F> {
                v.iter().skip(parity).step_by(2).copied().collect()
            };
            let weights = fold_weights(&inverses);
            // The part of the generators whose next bit is `side`, with the other half of f.
            let spread = |side: usize| -> Vec<F> {
                let bit = inverses.len();
                let row = |j: usize| {
                    let weight = weights[j & (weights.len() - 1)];
                    let mine = j >> bit & 1 == side;
                    if mine {
                        weight * f[(j >> bit) ^ 1]
                    } else {
                        F::ZERO
                    }
                };
                (0..model.key.domain.rows()).map(row).collect()
            };
            let l = dot(&half(&f, 1), &half(&a, 0)) + shift;
            let r = dot(&half(&f, 0), &half(&a, 1));
            let (s, t) = (model.random(), model.random());
            let (low, high) = (spread(0), spread(1));
            let points = [model.commit(&low, x * l, s), model.commit(&high, x * r, t)];
            let v = round(&points)?;
            self.r += v * s + inverse(v) * t;
            f = fold(&f, v);
            a = fold(&a, inverse(v));
            inverses.push(inverse(v));
            proof.push(points);
        }
        (self.f, self.a) = (vec![f], vec![a]);
        Ok((proof, fold_weights(&inverses)))
    }
}
