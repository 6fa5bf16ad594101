//! Affine additions of blocks of eight points, with one inversion for all.
//!
//! Coordinates are as stored, `x 2^256`, in limbs. A product loses `2^4`, so the slopes are made `2^258` times the true
//! ones: their squares are then stored elements again, and products with them lack a factor of 4. The shared inverse
//! carries the scale: with differences `d_k = x1 - x2` and `e_k = y2 - y1`, prefix products P_k = P_{k-1} d_k 2^-260, S_k = P_{k-1} e_k 2^-260
//! and I_k = 2^518 / P_k, the slope is I_k S_k, with the other sign, and I_{k-1} = I_k d_k. So the products come in twos with one factor, P_{k-1} before
//! the inversion and I_k after it, and one reduction of that serves both; S_k takes the place of e_k, which was that of the right
//! y. An addition takes 5 products and a square.
//!
//! **Bounds.** The x are below `2 p + 2^213`, so differences plus 3 p are positive; limbs of sums are signed and within 2^56. The y have signed
//! limbs, those of gathered points below 2^52 and those of sums less than 2^57 more than those of their left operands, so that there are fifteen
//! levels of sums at most. Where products count, a y is below `2 p + 2^213`, too. Where instructions count it is not reduced: what is added on a level is from 0 to 2 p, so that
//! on level n it is from `-n p` to `(n + 1) p`, differences plus 32 p are from p to 63 p, and products with them below 3 p. Other products of
//! differences, and slopes, are below 6 p. The identity is (0, 0) exactly: y = 0 is on neither curve.

use ff::PrimeField;
use pasta_curves::arithmetic::VartimeField;

use super::additions::AT_ONCE;
use super::doubling::{backward_double, forward_double};
use super::inverse::{invert, rotated};
use super::lanes::Lanes;
use super::leaves::Leaves;
use super::passes::{backward, forward};
use super::prime::{Constants, Prime};
use super::special::Special;
use super::transfer::{gather, index, scatter};
use crate::affine::{NEGATED, Xy};

/// A lane that holds no point of the source: the identity.
pub(crate) const NOTHING: u32 = u32::MAX;

/// Independent chains of products: additions of as many blocks hide each other's latency.
pub(super) const CHAINS: usize = 2;

/// Eight points.
#[derive(Clone, Copy)]
pub(crate) struct Block {
    pub(super) x: Lanes,
    pub(super) y: Lanes,
}

/// An addition of blocks by their places, into the left one.
#[derive(Clone, Copy)]
pub(crate) struct Pair {
    pub(super) left: u32,
    pub(super) right: u32,
}

impl Pair {
    /// Adds the block at `right` to the one at `left`.
    pub(crate) const fn new(left: usize, right: usize) -> Self {
        Self {
            left: left as u32,
            right: right as u32,
        }
    }

    /// Both blocks.
    #[inline(always)]
    pub(super) const fn places(&self) -> [usize; 2] {
        [self.left as usize, self.right as usize]
    }
}

/// What is fetched beside additions.
#[derive(Clone, Copy)]
pub(crate) enum Fetches<'a> {
    /// Points of the source of the leaves.
    References(&'a [u32]),
    /// Points that are read in order, and as many scalars or none.
    InOrder(&'a [[u64; 8]], &'a [[u64; 4]]),
}

/// Points and scalars that are fetched beside two additions, if they are in order.
pub(crate) const IN_ORDER: usize = 4 * AT_ONCE;

/// Packed additions of points with coordinates in B.
pub(crate) struct Packed<B> {
    prime: Prime<B>,
    constants: &'static Constants,
    /// What is doubled: products of the denominators before each block.
    before: Vec<Lanes>,
    specials: Vec<Special>,
}

impl<B: PrimeField + VartimeField> Packed<B> {
    pub(crate) fn new(prime: Prime<B>) -> Self {
        Self {
            prime,
            constants: prime.constants(),
            before: Vec::new(),
            specials: Vec::new(),
        }
    }

    /// The prime of the coordinates.
    pub(crate) const fn prime(&self) -> Prime<B> {
        self.prime
    }

    /// A block of identities.
    pub(crate) fn nothing(&self) -> Block {
        let zero = Lanes(self.constants.zero());
        Block { x: zero, y: zero }
    }

    /// Whether the processor wants few instructions rather than few products of limbs.
    pub(crate) fn few_instructions(&self) -> bool {
        self.prime.ifma.few_instructions()
    }

    /// Points as words.
    pub(crate) fn words<'a>(&self, points: &'a [Xy<B>]) -> &'a [[u64; 8]] {
        self.prime.points(points)
    }

    /// The point of a reference.
    pub(crate) fn copy(&self, source: &[[u64; 8]], reference: u32, point: &mut Xy<B>) {
        let words = &mut self.prime.points_mut(core::slice::from_mut(point))[0];
        words.copy_from_slice(&source[index(reference)]);
        *point = point.signed(reference & NEGATED != 0);
    }

    /// Reads `source[reference]` for every reference, eight a block: [`NEGATED`] ones negated, the identity for [`NOTHING`]
    /// and beyond the last.
    pub(crate) fn gather(&self, source: &[[u64; 8]], references: &[u32], blocks: &mut [Block]) {
        // SAFETY: `prime` holds an `Ifma`, which proves the features.
        unsafe { gather(self.prime, self.constants, source, references, blocks) }
    }

    /// Adds pairs of blocks lane by lane, with one inversion. No block is in two pairs; the right ones are overwritten.
    pub(crate) fn add(&mut self, blocks: &mut [Block], pairs: &[Pair]) {
        let nothing = Fetches::References(&[]);
        self.add_before(blocks, pairs, (&Leaves::default(), nothing));
    }

    /// As [`Packed::add`], of leaves that are gathered meanwhile; what is read next is fetched.
    pub(crate) fn add_before(
        &mut self,
        blocks: &mut [Block],
        pairs: &[Pair],
        (leaves, next): (&Leaves<'_>, Fetches<'_>),
    ) {
        if pairs.is_empty() {
            return;
        }
        self.specials.clear();
        let few = self.few_instructions();
        let k = self.constants;
        let specials = &mut self.specials;
        let forward = if few {
            forward::<B, true>
        } else {
            forward::<B, false>
        };
        // SAFETY: `prime` holds an `Ifma`, which proves the features.
        let (products, chains) =
            unsafe { forward(self.prime, k, blocks, (pairs, leaves), specials) };
        // SAFETY: as above.
        let inverse = unsafe { invert(self.prime, &products, k) };
        let backward = if few {
            backward::<true>
        } else {
            backward::<false>
        };
        // SAFETY: as above.
        unsafe {
            backward(
                k,
                blocks,
                pairs,
                specials,
                (inverse, chains),
                (leaves.source, next),
            );
        };
    }

    /// Doubles every lane, with one inversion.
    pub(crate) fn double(&mut self, blocks: &mut [Block]) {
        if blocks.is_empty() {
            return;
        }
        let k = self.constants;
        if self.before.len() < blocks.len() {
            self.before.resize(blocks.len(), k.one);
        }
        // SAFETY: `prime` holds an `Ifma`, which proves the features.
        let (products, chains) =
            unsafe { forward_double(k, blocks, &mut self.before[..blocks.len()]) };
        // SAFETY: as above.
        unsafe {
            let inverse = invert(self.prime, &products, k);
            backward_double(k, blocks, &self.before[..blocks.len()], inverse, chains);
        };
    }

    /// Writes lane i of the blocks to `points[places[i]]`, unless that is [`NOTHING`]. Blocks are sums, not gathered.
    pub(crate) fn scatter(&self, blocks: &[Block], places: &[u32], points: &mut [Xy<B>]) {
        let points = self.prime.points_mut(points);
        // SAFETY: `prime` holds an `Ifma`, which proves the features.
        unsafe { scatter(self.constants, blocks, places, points) }
    }
}

impl Block {
    /// Point `(lane + N) mod 8` in every lane.
    #[inline(always)]
    fn rotate<const N: i32>(&self) -> Self {
        Self {
            x: rotated::<N>(&self.x),
            y: rotated::<N>(&self.y),
        }
    }

    /// Point `(lane + by) mod 8` in every lane, by 1, 2 or 4.
    pub(crate) fn rotated(&self, by: usize) -> Self {
        match by {
            1 => self.rotate::<1>(),
            2 => self.rotate::<2>(),
            _ => self.rotate::<4>(),
        }
    }
}
