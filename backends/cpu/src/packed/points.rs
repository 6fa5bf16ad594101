//! Affine additions of blocks of eight points, with one inversion for all.
//!
//! Coordinates are as stored, `x 2^256`, in limbs. A product loses `2^4`, so the slopes are made `2^258` times the true
//! ones: their squares are then stored elements again, and products with them lack a factor of 4. The shared inverse
//! carries the scale: with differences d_k of x and e_k of y, prefix products P_k = P_{k-1} d_k 2^-260, S_k = P_{k-1} e_k 2^-260
//! and I_k = 2^518 / P_k, the slope is I_k S_k and I_{k-1} = I_k d_k. So the products come in twos with one factor, P_{k-1} before
//! the inversion and I_k after it, and one reduction of that serves both; S_k takes the place of e_k, which was that of the right
//! y. An addition takes 5 products and a square.
//!
//! **Bounds.** Coordinates are below `2 p + 2^213`, so differences plus 3 p are positive. The x limbs are normal; y limbs
//! are signed, those of gathered points below 2^52 and those of sums less than 2^57 more than those of their left
//! operands. Products of differences, and slopes, are below 6 p. The identity is (0, 0) exactly: y = 0 is on neither curve.

use ff::PrimeField;
use pasta_curves::arithmetic::VartimeField;

use super::additions::{AT_ONCE, Ahead, InOrder, Next, add_both};
use super::doubling::{backward_double, forward_double};
use super::inverse::{invert, rotated};
use super::lanes::{Lanes, carry_up, digits, lift, signed_digits};
use super::leaves::{Leaves, gather_pair};
use super::prime::{Constants, Prime};
use super::shared;
use super::special::{Special, add_special, exact};
use super::transfer::{gather, index, scatter};
use super::vector::Vector;
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

/// Differences of x in place of the right ones, and those of y times the products of the former before each pair. Gives the product
/// of all, and what each chain's inverse is of the inverse of that.
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn forward<B: PrimeField, const FEW: bool>(
    prime: Prime<B>,
    k: &Constants,
    blocks: &mut [Block],
    (pairs, leaves): (&[Pair], &Leaves<'_>),
    specials: &mut Vec<Special>,
) -> (Lanes, [Lanes; CHAINS]) {
    let mut products = [k.one.0; CHAINS];
    let gathered = pairs.len() - leaves.pairs;
    let (both, alone) = pairs.as_chunks::<CHAINS>();
    for (number, pairs) in both.iter().take(AHEAD).enumerate() {
        let of = (leaves, gathered);
        subtract_both(prime, k, number, (blocks, of), pairs, specials);
    }
    for (number, pairs) in both.iter().enumerate() {
        if let Some(pairs) = both.get(number + AHEAD) {
            let of = (leaves, gathered);
            subtract_both(prime, k, number + AHEAD, (blocks, of), pairs, specials);
        }
        products[0] = extend::<FEW>(products[0], &mut blocks[pairs[0].right as usize], k);
        products[1] = extend::<FEW>(products[1], &mut blocks[pairs[1].right as usize], k);
    }
    if let [pair] = alone {
        let of = (leaves, gathered);
        begin(prime, k, (blocks, of), (pairs.len() - 1, pair), specials);
        products[0] = extend::<FEW>(products[0], &mut blocks[pair.right as usize], k);
    }
    let [first, second] = products.map(digits);
    (first.multiply(&second, k), [second, first])
}

/// The product with one difference more, and in place of that of y its product with those before.
#[inline(always)]
fn extend<const FEW: bool>(
    product: [Vector; 5],
    differences: &mut Block,
    k: &Constants,
) -> [Vector; 5] {
    let Block { x, y } = differences;
    let [next, rise] = shared::multiply_uncarried::<FEW>([x, y], product, k);
    *y = digits(rise);
    next
}

/// Steps by which differences come before the products with them: so long what is written takes to be read.
const AHEAD: usize = 3;

/// The differences of two pairs that are in chains of their own.
#[inline(always)]
fn subtract_both<B: PrimeField>(
    prime: Prime<B>,
    k: &Constants,
    number: usize,
    (blocks, leaves): (&mut [Block], (&Leaves<'_>, usize)),
    pairs: &[Pair; CHAINS],
    specials: &mut Vec<Special>,
) {
    let [first, second] = pairs;
    let place = number * CHAINS;
    begin(prime, k, (blocks, leaves), (place, first), specials);
    begin(prime, k, (blocks, leaves), (place + 1, second), specials);
}

/// The differences of a pair in place of the right one, gathered first if it is of the last ones, of leaves.
#[inline(always)]
fn begin<B: PrimeField>(
    prime: Prime<B>,
    k: &Constants,
    (blocks, (leaves, gathered)): (&mut [Block], (&Leaves<'_>, usize)),
    (place, pair): (usize, &Pair),
    specials: &mut Vec<Special>,
) {
    if place < gathered {
        subtract(k, place, blocks, pair, specials);
    } else {
        gather_pair(prime, k, leaves, (blocks, specials), (place, pair));
    }
}

/// Whether all lanes hold plain additions for sure: a multiple of p among the differences has low bits below 8, and an identity is zero.
#[inline(always)]
pub(super) fn plain(left: &Block, right: &Block, difference: &Lanes) -> bool {
    let near = difference.0[0].low_halves_below_eight();
    near | left.y.0[0].min(right.y.0[0]).zeros() == 0
}

/// The difference of the y, as a factor.
#[inline(always)]
pub(super) fn rise(left: &Block, right: &Block, k: &Constants) -> Lanes {
    let rise = unrolled!(5, j => right.y.0[j].sub(left.y.0[j]));
    signed_digits(lift(rise, &k.p3))
}

/// The differences of a pair in place of the right one.
#[inline(always)]
pub(super) fn subtract(
    k: &Constants,
    place: usize,
    blocks: &mut [Block],
    pair: &Pair,
    specials: &mut Vec<Special>,
) {
    let (left, right) = (&blocks[pair.left as usize], &blocks[pair.right as usize]);
    let x = right.x.subtract(&left.x, &k.p3, k);
    let plain = plain(left, right, &x);
    let differences = Block {
        x,
        y: rise(left, right, k),
    };
    // Each written where it is made, so that what is common stays in registers.
    if plain {
        blocks[pair.right as usize] = differences;
    } else {
        // SAFETY: `Constants` hold vectors, which exist only where the features do.
        let exact = unsafe { exact(place, left, right, differences, specials, k) };
        blocks[pair.right as usize] = exact;
    }
}

/// What is fetched beside two additions each.
#[inline(always)]
fn quarters<T>(all: &[T]) -> &[[[T; AT_ONCE]; 4]] {
    all.as_chunks().0.as_chunks().0
}

/// Finishes the additions, last first.
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn backward<const FEW: bool>(
    k: &Constants,
    blocks: &mut [Block],
    pairs: &[Pair],
    specials: &[Special],
    (inverse, chains): (Lanes, [Lanes; CHAINS]),
    (source, fetches): (&[[u64; 8]], Fetches<'_>),
) {
    let mut inverses = unrolled!(2, i => inverse.multiply_uncarried(&chains[i], k));
    let (references, points, scalars) = match fetches {
        Fetches::References(references) => (references, &[][..], &[][..]),
        Fetches::InOrder(points, scalars) => (&[][..], points, scalars),
    };
    let mut references = quarters(references).iter();
    let mut points = quarters(points).iter();
    let mut scalars = scalars.as_chunks::<IN_ORDER>().0.iter();
    let mut specials = specials.iter().rev().peekable();
    for (number, pairs) in pairs.chunks(CHAINS).enumerate().rev() {
        let special = specials.peek().is_some_and(|s| s.pair / CHAINS == number);
        if let (false, Ok(both)) = (special, pairs.try_into()) {
            let next = if let Some(points) = points.next() {
                let scalars = scalars.next();
                Ahead::InOrder(InOrder { points, scalars })
            } else if let Some(references) = references.next() {
                Ahead::References(Next { source, references })
            } else {
                Ahead::Nothing
            };
            add_both::<FEW>(blocks, both, &mut inverses, &next, k);
            continue;
        }
        for i in (0..pairs.len()).rev() {
            let inverse = carry_up(inverses[i], k);
            let [left, right] = pairs[i].places();
            let Block { x, y } = &blocks[right];
            let slope = inverse.multiply(y, k);
            inverses[i] = inverse.multiply_uncarried(x, k);
            let special = specials.next_if(|s| s.pair == number * CHAINS + i);
            blocks[left] = add_special(&blocks[left], x, slope, special, k);
        }
    }
}
