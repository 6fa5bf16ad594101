//! Additions of blocks where some lanes hold an identity, equal or opposite points.

use super::additions::{add_plain, finish, half, whole};
use super::lanes::{Lanes, carry, lift};
use super::points::Block;
use super::prime::Constants;

/// A block of additions that are not all plain, as bits of lanes.
#[derive(Clone, Copy)]
pub(super) struct Special {
    pub(super) pair: usize,
    left_identity: u8,
    right_identity: u8,
    opposite: u8,
    /// The right points, in whose place their differences with the left ones are.
    right: Block,
}

impl Special {
    /// The sum's coordinate, or the other operand's where one is the identity, or zero for opposites.
    #[inline(always)]
    fn choose(&self, sum: &Lanes, left: &Lanes, right: &Lanes, k: &Constants) -> Lanes {
        sum.select(self.opposite, &Lanes(k.zero()))
            .select(self.right_identity, left)
            .select(self.left_identity, right)
    }
}

/// The slopes of a pair that may hold no plain additions, with the other sign: denominators in place of x, which are never zero, and numerators in that of y.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
pub(super) fn exact(
    pair: usize,
    left: &Block,
    right: &Block,
    differences: Block,
    specials: &mut Vec<Special>,
    k: &Constants,
) -> Block {
    let (left_identity, right_identity) = (left.y.zeros(), right.y.zeros());
    let identities = left_identity | right_identity;
    let same_x = if differences.x.0[0].low_halves_below_eight() == 0 {
        0
    } else {
        differences.x.masked(k).canonical(k).zeros() & !identities
    };
    if same_x | identities == 0 {
        return differences;
    }
    let mut double = 0;
    let mut result = differences;
    if same_x != 0 {
        let (left_y, right_y) = (whole(&left.y, k), whole(&right.y, k));
        double = same_x & right_y.subtract(&left_y, &k.p3, k).canonical(k).zeros();
        let three = carry(left.x.0, k).square(k).multiply(&k.forty_eight, k);
        let twice = left_y.add(&left_y, k);
        let less_twice = Lanes(k.zero()).subtract(&twice, &k.p5, k);
        result = Block {
            x: result.x.select(double, &less_twice),
            y: result.y.select(double, &three),
        };
    }
    let opposite = same_x & !double;
    let special = Special {
        pair,
        left_identity,
        right_identity,
        opposite,
        right: *right,
    };
    specials.push(special);
    result.x = result.x.select(identities | opposite, &k.one);
    result
}

/// Finishes the additions of a block that may not all be plain.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
pub(super) fn add_special(
    left: &Block,
    difference: &Lanes,
    slope: Lanes,
    special: Option<&Special>,
    k: &Constants,
) -> Block {
    let Some(special) = special else {
        return add_plain(left, difference, slope, k);
    };
    let right = &special.right;
    // Not the difference that is kept: that is not of the x where points are equal.
    let (square, half) = (slope.square_uncarried(k), half(left, k));
    let difference = lift(unrolled!(5, j => left.x.0[j].sub(right.x.0[j])), &k.p3);
    let x = unrolled!(5, j => square[j].add(half[j]).add(half[j]).add(difference[j]));
    let sum = finish(left, slope, x, k);
    let (left_y, right_y) = (whole(&left.y, k), whole(&right.y, k));
    Block {
        x: special.choose(&sum.x, &left.x, &right.x, k),
        y: special.choose(&sum.y, &left_y, &right_y, k),
    }
}
