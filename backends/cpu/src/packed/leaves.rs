//! Leaves of trees that are gathered where their first addition begins: what a point is read from waits while products are made, and the right
//! ones are written as differences only.

use ff::PrimeField;

use super::passes::{plain, rise, run_back, subtract};
use super::points::{Block, Pair};
use super::prime::{Constants, Prime};
use super::special::Special;
use super::transfer::{AHEAD, fetch_block, read};
use super::vector::NEAR;

/// Leaves that are not gathered: the pairs they are in come last.
#[derive(Clone, Copy, Default)]
pub(crate) struct Leaves<'a> {
    /// Points.
    pub(crate) source: &'a [[u64; 8]],
    /// References of whole blocks, as [`super::points::Packed::gather`] takes them.
    pub(crate) references: &'a [u32],
    /// The block of the first ones.
    pub(crate) block: usize,
    /// The pairs.
    pub(crate) pairs: usize,
}

impl<'a> Leaves<'a> {
    /// References of a block.
    #[inline(always)]
    fn of_block(&self, block: usize) -> &'a [u32; 8] {
        &self.references.as_chunks().0[block - self.block]
    }

    /// Asks for the points of a block further on.
    #[inline(always)]
    fn fetch(&self, block: usize) {
        let ahead = self.references.as_chunks::<8>().0;
        if let Some(references) = ahead.get(block - self.block + AHEAD) {
            fetch_block::<NEAR>(self.source, references);
        }
    }
}

/// Gathers the leaves of a pair, the right one as the differences.
#[inline(always)]
pub(super) fn gather_pair<B: PrimeField, const FEW: bool>(
    prime: Prime<B>,
    k: &Constants,
    leaves: &Leaves<'_>,
    (blocks, specials): (&mut [Block], &mut Vec<Special>),
    (place, pair): (usize, &Pair),
) {
    let [to_left, to_right] = pair.places();
    leaves.fetch(to_left);
    leaves.fetch(to_right);
    let left = read(prime, k, leaves.source, leaves.of_block(to_left));
    let right = read(prime, k, leaves.source, leaves.of_block(to_right));
    let x = run_back(&left, &right, k);
    let plain = plain(&left, &right, &x);
    blocks[to_left] = left;
    if plain {
        let y = rise::<FEW>(&left, &right, k);
        blocks[to_right] = Block { x, y };
    } else {
        blocks[to_right] = right;
        subtract::<FEW>(k, place, blocks, pair, specials);
    }
}
