//! Products by factors that are known beforehand, by rows: a limb of the other operand takes the row of its own weight.
//!
//! For a factor w there are five rows `w_i = w 2^(52 i) 2^52 mod p`, so that `a w 2^52 = sum_i a_i w_i` modulo p for the limbs a_i of
//! a. That sum has six columns instead of ten, and one step of a Montgomery reduction takes its lowest away: 50 products and 8
//! where a Montgomery product takes 80 and 30 shifts, masks and sums, and one quotient to be waited for instead of five.

use ff::PrimeField;

use super::lanes::LIMB;
use super::loose::Loose;
use super::prime::{Constants, Prime, limbs, repr};
use super::vector::{Ifma, Vector};

/// A factor in rows, and what the columns of a product begin with; four lines.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Known {
    rows: [[u64; 5]; 5],
    /// `-2^259` times the factor, for operands are lifted by `2^259`, less `3 p 2^52`, and `2^52 - 1` in the lowest column: then
    /// `>> 52` is its carry after the multiple of p that clears it is added.
    begin: [u64; 6],
}

impl Known {
    /// `self a` of values from `-2^259` on below `2^259`: from `-3 p` on, at most `3 p`, limbs below 2^56 in size.
    ///
    /// Lifted limbs are below 2^52 and rows below p, so the sum of the five and the first, below p, is below `(5 2^52 + 1) p`. The
    /// quotient adds less than `2^52 p`; what is left over `2^52` is at most 6 p, of which 3 p are taken off. All columns grow
    /// limb by limb: a sum waits four cycles, and two ports want more sums at once than those of two columns.
    #[inline(always)]
    pub(super) fn multiply(&self, ifma: Ifma, a: &Loose, k: &Constants) -> Loose {
        let a = a.lifted(k);
        let mut t = unrolled!(6, i => Vector::splat(ifma, self.begin[i]));
        for (limb, row) in a.into_iter().zip(&self.rows) {
            for j in 0..5 {
                let row = Vector::splat(ifma, row[j]);
                t[j] = t[j].low(limb, row);
                t[j + 1] = t[j + 1].high(limb, row);
            }
        }
        let q = k.n0.low(t[0], k.n0);
        cleared(t, q, k)
    }

    /// Both products, in turns.
    #[inline(always)]
    pub(super) fn multiply_both(&self, ifma: Ifma, a: [&Loose; 2], k: &Constants) -> [Loose; 2] {
        let [a, b] = [a[0].lifted(k), a[1].lifted(k)];
        let mut t = unrolled!(6, i => Vector::splat(ifma, self.begin[i]));
        let mut u = t;
        for i in 0..5 {
            for j in 0..5 {
                let row = Vector::splat(ifma, self.rows[i][j]);
                (t[j], u[j]) = (t[j].low(a[i], row), u[j].low(b[i], row));
                t[j + 1] = t[j + 1].high(a[i], row);
                u[j + 1] = u[j + 1].high(b[i], row);
            }
            let [w, x, y, z] = Vector::pinned([t[0], u[0], t[3], u[3]]);
            (t[0], u[0], t[3], u[3]) = (w, x, y, z);
        }
        let (q, r) = (k.n0.low(t[0], k.n0), k.n0.low(u[0], k.n0));
        [cleared(t, q, k), cleared(u, r, k)]
    }
}

/// Six columns and the multiple of p that clears the lowest, without it.
#[inline(always)]
fn cleared(mut t: [Vector; 6], q: Vector, k: &Constants) -> Loose {
    let [p0, p1, p2, _, p4] = k.p;
    t[1] = t[1].add(t[0].shr::<52>()).high(q, p0).low(q, p1);
    t[2] = t[2].high(q, p1).low(q, p2);
    t[3] = t[3].high(q, p2);
    // q 2^254: two products of limbs instead of six shifts, masks and sums.
    t[4] = t[4].low(q, p4);
    t[5] = t[5].high(q, p4);
    Loose([t[1], t[2], t[3], t[4], t[5]])
}

impl<F: PrimeField> Prime<F> {
    /// A factor in rows.
    pub(super) fn known(self, factor: F) -> Known {
        let limb = F::from(1 << 52);
        let mut power = factor;
        let rows = core::array::from_fn(|_| {
            power *= limb;
            limbs(repr(&power))
        });
        let p = self.constants().p.map(|limb| limb.words()[0]);
        // factor 2^52 2^259, from the last row, which is factor 2^260
        let lifted = limbs(repr(&-(power * F::from(1 << 51))));
        let begin = core::array::from_fn(|i| {
            let own = lifted.get(i).copied().unwrap_or(0);
            match i {
                0 => own + LIMB,
                _ => own.wrapping_sub(3 * p[i - 1]),
            }
        });
        Known { rows, begin }
    }
}
