//! Additions of blocks where some lanes hold an identity, equal or opposite points.

use super::additions::{add_plain, finish};
use super::lanes::{Lanes, carry};
use super::points::Block;
use super::prime::Constants;

/// A block of additions that are not all plain, as bits of lanes.
#[derive(Clone, Copy)]
pub(super) struct Special {
    pub(super) pair: usize,
    pub(super) left_identity: u8,
    pub(super) right_identity: u8,
    pub(super) double: u8,
    pub(super) opposite: u8,
    /// The right x, in whose place its difference with the left one is.
    pub(super) right_x: Lanes,
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

/// The denominators of a pair that may hold no plain additions: never zero.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
pub(super) fn exact(
    pair: usize,
    left: &Block,
    right: &Block,
    difference: Lanes,
    specials: &mut Vec<Special>,
    k: &Constants,
) -> Lanes {
    let (left_identity, right_identity) = (left.y.zeros(), right.y.zeros());
    let identities = left_identity | right_identity;
    let same_x = if difference.0[0].low_halves_below_eight() == 0 {
        0
    } else {
        difference.canonical(k).zeros() & !identities
    };
    if same_x | identities == 0 {
        return difference;
    }
    let mut double = 0;
    let mut result = difference;
    if same_x != 0 {
        let (left_y, right_y) = (carry(left.y.0, k), carry(right.y.0, k));
        double = same_x & right_y.subtract(&left_y, &k.p3, k).canonical(k).zeros();
        result = result.select(double, &left_y.add(&left_y, k));
    }
    let opposite = same_x & !double;
    let special = Special {
        pair,
        left_identity,
        right_identity,
        double,
        opposite,
        right_x: right.x,
    };
    specials.push(special);
    result.select(identities | opposite, &k.one)
}

/// Finishes the additions of a block that may not all be plain.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
pub(super) fn add_special(
    left: &Block,
    right: &Block,
    inverse: &Lanes,
    special: Option<&Special>,
    k: &Constants,
) -> Block {
    let Some(special) = special else {
        return add_plain(left, right, inverse, k);
    };
    let mut rise = right.y.subtract(&left.y, &k.p3, k);
    if special.double != 0 {
        let three = left.x.square(k).multiply(&k.forty_eight, k);
        rise = rise.select(special.double, &three);
    }
    let slope = rise.multiply(inverse, k);
    let square = slope.square_uncarried(k);
    let (x1, x2) = (left.x.0, special.right_x.0);
    let x = unrolled!(5, j => square[j].add(k.p5[j]).sub(x1[j].add(x2[j])));
    let x = Lanes::reduced(x, k);
    let sum = finish(left, slope, x, k);
    let (left_y, right_y) = (carry(left.y.0, k), carry(right.y.0, k));
    Block {
        x: special.choose(&sum.x, &left.x, &special.right_x, k),
        y: special.choose(&sum.y, &left_y, &right_y, k),
    }
}
