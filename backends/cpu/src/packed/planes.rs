//! The bits of small integers, plane by plane, as references to signed sums.

use super::prime::Prime;
use super::vector::{Ifma, Vector};
use crate::affine::NEGATED;
use crate::groups::Neighbours;

/// Words of the rows of a byte's planes that are read together: more than [`Neighbours::MOST`] groups have, and one to read beyond.
const WORDS: usize = 4;

/// [`Neighbours::references`].
pub(crate) fn references<F>(
    prime: Prime<F>,
    groups: &Neighbours,
    codes: &[u64],
    position: u32,
    references: &mut [u32],
) {
    // SAFETY: `prime` holds an `Ifma`, which proves the features.
    unsafe { references_here(prime.ifma, groups, codes, position, references) }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq,avx512bw")]
fn references_here(
    ifma: Ifma,
    groups: &Neighbours,
    codes: &[u64],
    position: u32,
    references: &mut [u32],
) {
    let planes = planes(ifma, codes, position);
    for start in (0..groups.count).step_by(8) {
        let octet = Octet::new(ifma, groups, start);
        let own = references.chunks_mut(groups.count).zip(&planes);
        for (references, plane) in own {
            let mut eight = [0; 8];
            let rest = &mut references[start..];
            let room = rest.first_chunk_mut().unwrap_or(&mut eight);
            octet
                .references(Vector::load(ifma, plane))
                .store_low_halves(room);
            if rest.len() < 8 {
                let count = rest.len();
                rest.copy_from_slice(&eight[..count]);
            }
        }
    }
}

/// Eight bits of words from a position on: bit j of word i is bit i of number j.
#[inline(always)]
fn planes(ifma: Ifma, codes: &[u64], position: u32) -> [[u64; 8]; 8] {
    let mut bytes = [[0u64; 8]; WORDS];
    let by = Vector::splat(ifma, position.into());
    let zero = by.sub(by);
    for (codes, bytes) in codes.chunks(8).zip(bytes.as_flattened_mut()) {
        let mut eight = [0; 8];
        let codes = codes.try_into().unwrap_or_else(|_| {
            eight[..codes.len()].copy_from_slice(codes);
            &eight
        });
        *bytes = Vector::load(ifma, codes).funnel_by(zero, by).low_bytes();
    }
    let mut planes = [[0; 8]; 8];
    for (word, bytes) in bytes.iter().enumerate() {
        let bytes = Vector::load(ifma, bytes);
        for (bit, plane) in planes.iter_mut().enumerate() {
            let mask = Vector::splat(ifma, 0x0101_0101_0101_0101 << bit);
            plane[word] = bytes.bytes_with(mask);
        }
    }
    planes
}

/// Where the bits of eight neighbouring groups are in a plane, and what they stand for.
struct Octet {
    /// Words in which their first bits and the ones after those words' last are.
    words: [Vector; 2],
    shift: Vector,
    mask: Vector,
    /// The bit of the last base.
    last: Vector,
    /// What is added if it is there.
    plain: Vector,
    /// What the bits are subtracted from if not.
    negated: Vector,
}

impl Octet {
    #[inline(always)]
    fn new(ifma: Ifma, groups: &Neighbours, start: usize) -> Self {
        let splat = |word| Vector::splat(ifma, word);
        let lanes = |value: fn(usize, usize) -> usize| {
            let own: [u64; 8] =
                core::array::from_fn(|lane| value(start + lane, groups.size) as u64);
            Vector::load(ifma, &own)
        };
        let word = lanes(|group, size| group * size / 64);
        let last = 1u64 << (groups.size - 1);
        let first = splat(groups.first.into());
        let base = lanes(|group, size| group << (size - 1)).add(first);
        Self {
            words: [word, word.add(splat(1))],
            shift: lanes(|group, size| group * size % 64),
            mask: splat(2 * last - 1),
            last: splat(last),
            plain: base.sub(splat(last)),
            negated: base.add(splat(last - 1 + u64::from(NEGATED))),
        }
    }

    /// The references of the groups' sums with the signs that a plane tells.
    #[inline(always)]
    fn references(&self, plane: Vector) -> Vector {
        let [low, high] = [plane.permuted(self.words[0]), plane.permuted(self.words[1])];
        let bits = low.funnel_by(high, self.shift).and(self.mask);
        let opposite = bits.and(self.last).zeros();
        bits.add(self.plain)
            .select(opposite, self.negated.sub(bits))
    }
}
