//! What is done to a pair of additions once the inverses of all before them are known; forms and bounds as in [`super::points`].

use super::lanes::{Lanes, carry, digits, lift, signed_digits};
use super::points::{Block, Pair};
use super::prime::Constants;
use super::transfer::fetch;
use super::vector::{FAR, Vector, prefetch};
use super::{shared, turns};

/// Points fetched during a quarter of two additions: all at once would wait for each other.
pub(super) const AT_ONCE: usize = 5;

/// What is fetched beside two additions, in four parts. Not a type of its own for each: where nothing is optimised, the stack of a thread has not
/// room for three copies of these additions.
pub(super) enum Ahead<'a> {
    Nothing,
    References(Next<'a>),
    InOrder(InOrder<'a>),
}

impl Ahead<'_> {
    /// Asks for a part of it.
    #[inline(always)]
    fn fetch<const PART: usize>(&self) {
        match self {
            Self::Nothing => {}
            Self::References(next) => next.fetch::<PART>(),
            Self::InOrder(next) => next.fetch::<PART>(),
        }
    }
}

/// Points that are gathered next.
pub(super) struct Next<'a> {
    pub(super) source: &'a [[u64; 8]],
    pub(super) references: &'a [[u32; AT_ONCE]; 4],
}

impl Next<'_> {
    #[inline(always)]
    fn fetch<const PART: usize>(&self) {
        let own = &self.references[PART];
        unrolled!(5, i => fetch::<FAR>(self.source, own[i]));
    }
}

/// Points that are read in order, and perhaps as many scalars.
pub(super) struct InOrder<'a> {
    pub(super) points: &'a [[[u64; 8]; AT_ONCE]; 4],
    pub(super) scalars: Option<&'a [[u64; 4]; 4 * AT_ONCE]>,
}

impl InOrder<'_> {
    /// Every line once: points by their last words, as what is before those of the first is near, and two scalars a line.
    #[inline(always)]
    fn fetch<const PART: usize>(&self) {
        let points = &self.points[PART];
        unrolled!(5, i => prefetch::<FAR, _>(&points[i][7]));
        if let Some(scalars) = self.scalars {
            let first = 5 * PART + PART % 2;
            prefetch::<FAR, _>(&scalars[first][3]);
            prefetch::<FAR, _>(&scalars[first + 2][3]);
            if PART.is_multiple_of(2) {
                prefetch::<FAR, _>(&scalars[first + 4][3]);
            }
        }
    }
}

/// Two plain additions, with the differences in place of the right x and their slopes times the products of all differences up to them in that
/// of the right y: the inverses of these products lose the differences. Slopes are below 6 p and runs below 36 p, so that their products
/// are below 5 p.
#[inline(always)]
pub(super) fn add_both<const FEW: bool>(
    blocks: &mut [Block],
    pairs: &[Pair; 2],
    inverses: &mut [[Vector; 5]; 2],
    next: &Ahead<'_>,
    k: &Constants,
) {
    let [left, other] = [
        &blocks[pairs[0].left as usize],
        &blocks[pairs[1].left as usize],
    ];
    let [right, other_right] = [
        &blocks[pairs[0].right as usize],
        &blocks[pairs[1].right as usize],
    ];
    next.fetch::<0>();
    let [a, next_inverse] = shared::multiply_uncarried::<FEW>([&right.y, &right.x], inverses[0], k);
    inverses[0] = next_inverse;
    next.fetch::<1>();
    let [b, other_inverse] =
        shared::multiply_uncarried::<FEW>([&other_right.y, &other_right.x], inverses[1], k);
    inverses[1] = other_inverse;
    let (a, b) = (digits(a), digits(b));
    next.fetch::<2>();
    let halves = [half(left, k), half(other, k)];
    let differences = [&right.x, &other_right.x];
    let [x, y] = turns::square_onto::<FEW>(halves, differences, [&a, &b], k);
    next.fetch::<3>();
    let runs = [run(&left.x, &x), run(&other.x, &y)];
    let x = Lanes::settled_and_carried::<FEW>(x, k);
    let y = Lanes::settled_and_carried::<FEW>(y, k);
    let [left, other] = [pairs[0].left as usize, pairs[1].left as usize];
    (blocks[left].x, blocks[other].x) = (x, y);
    let start = if FEW { k.zero() } else { k.p5 };
    let [f, g] = turns::multiply_onto::<FEW, false>(&start, [&a, &b], [&runs[0], &runs[1]], k);
    blocks[left].y = fallen::<FEW>(&blocks[left].y, f, k);
    blocks[other].y = fallen::<FEW>(&blocks[other].y, g, k);
}

/// `2 p - x1`. Twice that and the difference, `x1 - x2 + 3 p`, is `7 p - x1 - x2`: with the square of the slope a sum's x from 3 p less 2^215 to 9 p.
#[inline(always)]
pub(super) fn half(left: &Block, k: &Constants) -> [Vector; 5] {
    unrolled!(5, j => k.p2[j].sub(left.x.0[j]))
}

/// Finishes a plain addition, as [`add_both`].
#[inline(always)]
pub(super) fn add_plain(left: &Block, difference: &Lanes, slope: Lanes, k: &Constants) -> Block {
    let (square, half) = (slope.square_uncarried(k), half(left, k));
    let difference = difference.masked(k).0;
    let x = unrolled!(5, j => square[j].add(half[j]).add(half[j]).add(difference[j]));
    finish(left, slope, x, k)
}

/// Four times what the sum's x, below 9 p and not reduced, is more than the left one.
#[inline(always)]
fn run(left: &Lanes, x: &[Vector; 5]) -> Lanes {
    signed_digits(unrolled!(5, j => x[j].sub(left.0[j]).shl::<2>()))
}

/// The sum's y, given the left one and the product of slope and run: as it is, or with 5 p more, reduced.
#[inline(always)]
fn fallen<const FEW: bool>(left: &Lanes, fall: [Vector; 5], k: &Constants) -> Lanes {
    debug_assert!(left.0.iter().all(|limb| limb.within(1 << 61)));
    let y = unrolled!(5, j => fall[j].sub(left.0[j]));
    if FEW { Lanes(y) } else { Lanes::settled(y, k) }
}

/// The sum, given its x, not reduced, and the slope with the other sign; all is canonical or next to it: doublings go on and on.
#[inline(always)]
pub(super) fn finish(left: &Block, slope: Lanes, x: [Vector; 5], k: &Constants) -> Block {
    let fall = slope.multiply_uncarried(&run(&left.x, &x), k);
    let y = whole(&left.y, k);
    let y = unrolled!(5, j => fall[j].add(k.p5[j]).sub(y.0[j]));
    let y = Lanes::reduced(y, k);
    let x = Lanes::reduced(x, k);
    Block { x, y }
}

/// The canonical y of a sum of at most fifteen levels.
#[inline(always)]
pub(super) fn whole(y: &Lanes, k: &Constants) -> Lanes {
    carry(lift(y.0, &k.p16), k).canonical(k)
}
