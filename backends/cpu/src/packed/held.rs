//! Constants that stay in registers.
//!
//! What is used all over a loop the compiler keeps in memory, and reads for every instruction that takes it. Where few instructions count a
//! load of 64 bytes beside products of limbs costs a third of a cycle, two thirds of an instruction, though it has ports of its own:
//! so constants come out of an empty `asm!` before every pair of products, which makes them new values that are used a lot for a short
//! time. Where products count, loads are free and registers are better used for what would be stored.

use super::prime::Constants;
use super::vector::Vector;

/// What a reduction reads all the time.
#[derive(Clone, Copy)]
pub(super) struct Held {
    /// The three low limbs of p.
    p: [Vector; 3],
    /// The highest, `2^46`.
    top: Vector,
    /// `-1/p mod 2^52`.
    n0: Vector,
    /// `2^52 - 1`.
    pub(super) mask: Vector,
}

impl Held {
    /// The constants, in registers from here on if FEW instructions count.
    #[inline(always)]
    pub(super) fn new<const FEW: bool>(k: &Constants) -> Self {
        let [p0, p1, p2, _, top] = k.p;
        let (mut low, mut high) = ([p0, p1, p2, top], [k.n0, k.mask, k.n0, k.mask]);
        if FEW {
            (low, high) = (Vector::pinned(low), Vector::pinned(high));
        }
        Self {
            p: [low[0], low[1], low[2]],
            top: low[3],
            n0: high[0],
            mask: high[1],
        }
    }

    /// What a column that holds `2^52 - 1` more than its value is cleared by a multiple of.
    #[inline(always)]
    pub(super) fn quotient(&self, column: Vector) -> Vector {
        self.n0.low(column, self.n0)
    }

    /// Three columns and `q t`, for the low part t of p, and what the column that this clears carries into the first one: kept apart, that column
    /// waits for one product after the quotient, not for two.
    #[inline(always)]
    pub(super) fn add_low(&self, columns: [Vector; 3], carry: Vector, q: Vector) -> [Vector; 3] {
        let ([p0, p1, p2], [mut a, mut b, c]) = (self.p, columns);
        let carry = carry.low(q, p1);
        a = a.high(q, p0);
        b = b.high(q, p1);
        a = a.add(carry);
        b = b.low(q, p2);
        [a, b, c.high(q, p2)]
    }

    /// Two neighbouring columns and `q 2^254`, `2^46` of the lower one: as FEW instructions as can be, or without products of limbs.
    #[inline(always)]
    pub(super) fn add_top<const FEW: bool>(
        &self,
        [low, high]: [Vector; 2],
        q: Vector,
    ) -> [Vector; 2] {
        if FEW {
            [low.low(q, self.top), high.high(q, self.top)]
        } else {
            [
                low.add(q.shl::<46>().and(self.mask)),
                high.add(q.and(self.mask).shr::<6>()),
            ]
        }
    }
}
