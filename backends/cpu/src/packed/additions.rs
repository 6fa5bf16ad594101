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
/// of the right y: the inverses of these products lose the differences. Slopes are below 6 p and runs below `20 p + 2^215`, so that their products
/// are below 3 p.
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
    let [square, other_square] = turns::square_onto::<FEW>(&k.p4, [&a, &b], k);
    // x1 + x2 = 2 x1 + d - 3 p
    let (x, d) = (&left.x.0, &right.x.0);
    let x = unrolled!(5, j => square[j].sub(x[j].add(x[j]).add(d[j])));
    let x = Lanes::reduced(x, k);
    let (y, d) = (&other.x.0, &other_right.x.0);
    let y = unrolled!(5, j => other_square[j].sub(y[j].add(y[j]).add(d[j])));
    let y = Lanes::reduced(y, k);
    next.fetch::<3>();
    let runs = [run(left, &x, k), run(other, &y, k)];
    let [left, other] = [pairs[0].left as usize, pairs[1].left as usize];
    (blocks[left].x, blocks[other].x) = (x, y);
    let [f, g] = turns::multiply_onto::<FEW, false>(&k.p3, [&a, &b], [&runs[0], &runs[1]], k);
    blocks[left].y = fallen(&blocks[left].y, f, k);
    blocks[other].y = fallen(&blocks[other].y, g, k);
}

/// Finishes a plain addition, as [`add_both`].
#[inline(always)]
pub(super) fn add_plain(left: &Block, difference: &Lanes, slope: Lanes, k: &Constants) -> Block {
    let square = slope.square_uncarried(k);
    let (x, d) = (&left.x.0, &difference.0);
    let x = unrolled!(5, j => square[j].add(k.p8[j]).sub(x[j].add(x[j]).add(d[j])));
    finish(left, slope, Lanes::reduced(x, k), k)
}

/// Four times the difference of the left x and the sum's.
#[inline(always)]
fn run(left: &Block, x: &Lanes, k: &Constants) -> Lanes {
    let run = lift(unrolled!(5, j => left.x.0[j].sub(x.0[j])), &k.p3);
    signed_digits(unrolled!(5, j => run[j].shl::<2>()))
}

/// The sum's y, given the left one and the product of slope and run, 3 p more.
#[inline(always)]
fn fallen(left: &Lanes, fall: [Vector; 5], k: &Constants) -> Lanes {
    debug_assert!(left.0.iter().all(|limb| limb.within(1 << 61)));
    Lanes::settled(unrolled!(5, j => fall[j].sub(left.0[j])), k)
}

/// The sum, given its x and the slope, with normal limbs: doublings go on and on.
#[inline(always)]
pub(super) fn finish(left: &Block, slope: Lanes, x: Lanes, k: &Constants) -> Block {
    let fall = slope.multiply_uncarried(&run(left, &x, k), k);
    let fall = unrolled!(5, j => fall[j].add(k.p3[j]));
    let y = carry(fallen(&left.y, fall, k).0, k);
    Block { x, y }
}
