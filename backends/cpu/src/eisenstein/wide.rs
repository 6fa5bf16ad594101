//! Digits in bases of more buckets than a code of 16 bits has places for.

use super::{Base, LANES, Octet, Shape, Words, select, sign, words};

/// Bits of a term for its point in its chunk; then its bucket in its part, and the sign.
pub(crate) const POINT_BITS: u32 = 13;

/// Points whose terms lie together.
pub(crate) const CHUNK: usize = 1 << POINT_BITS;

/// The part of what is no digit, after all others.
pub(crate) const NO_PART: u8 = u8::MAX;

/// Which image is `zeta6^t` times a point, two bits for every t; odd ones are negated.
const CLASSES: u32 = 2 << 2 | 1 << 4 | 2 << 8 | 1 << 10;

/// Terms of some points of a chunk, and the parts of their buckets, in a row of [`CHUNK`] for every window.
pub(crate) struct Rows<'a> {
    pub(crate) terms: &'a mut [u32],
    pub(crate) parts: &'a mut [u8],
    /// The first of these points.
    pub(crate) first: usize,
    /// Binary logarithms of the places of a part, in the last window and in others.
    pub(crate) widths: [u32; 2],
}

/// Residues in such bases are below this.
const MOST: i16 = 1 << 10;

/// Pairs `(i, j)` of digits `a + b omega`, and how often zeta6 turns them.
macro_rules! turned {
    ($name:ident, $int:ty) => {
        #[inline(always)]
        const fn $name(a: $int, b: $int) -> [$int; 3] {
            const SIGN: u32 = <$int>::BITS - 1;
            // In coordinates x + y zeta6, in the upper half of the plane.
            let (x, y) = (a - b, b);
            let negative = y >> SIGN | ((y - 1) >> SIGN & x >> SIGN);
            let (x, y) = ((x ^ negative) - negative, (y ^ negative) - negative);
            let sum = x + y;
            let (first, second) = ((x - 1) >> SIGN, (sum - 1) >> SIGN);
            let (i, j) = (x ^ (sum ^ x) & first, y ^ (-x ^ y) & first);
            let (i, j) = (i ^ (y ^ i) & second, j ^ (-sum ^ j) & second);
            [i, j, (negative & 3) - first - second]
        }
    };
}

turned!(turned, i16);
turned!(turned_last, i32);

impl Base {
    /// The bases of sums of many points: pairs of a width and how many windows there are but for the last.
    pub(crate) fn wide() -> impl Iterator<Item = Self> + Clone {
        const ALL: [(u32, u32); 5] = [(7, 17), (7, 18), (8, 15), (9, 13), (9, 14)];
        ALL.into_iter().map(|(width, low)| Self::new(width, low))
    }

    /// Terms of scalars in halves.
    #[inline(always)]
    pub(crate) fn recode_wide(&self, octets: &[Octet], rows: &mut Rows<'_>) {
        debug_assert!(self.n < MOST && self.triangle.most < MOST);
        for (start, octets) in (rows.first..).step_by(LANES).zip(octets.chunks(LANES / 8)) {
            let words = words(octets);
            let (mut carries, mut others) = ([0i16; LANES], [0i16; LANES]);
            // Of two windows at a time, if sixteen bits hold them.
            let at_once = if self.width <= u16::BITS / 2 { 2 } else { 1 };
            for first in (0..self.low).step_by(at_once) {
                let bits = [0, 1].map(|half| self.bits(&words, half, first as u32));
                for window in first..self.low.min(first + at_once) {
                    let shift = (window - first) as u32 * self.width;
                    let own = self.wide_codes((&bits, shift), (&mut carries, &mut others));
                    rows.write(window, rows.widths[0], start, own);
                }
            }
            let own = self.last_codes(&words, (&carries, &others));
            rows.write(self.low, rows.widths[1], start, own);
        }
    }

    /// Places and turns of a window but the last, given bits of both halves with its own from a shift on, and the carries from the one before.
    #[inline(always)]
    fn wide_codes(
        &self,
        (bits, shift): (&[[u16; LANES]; 2], u32),
        (carries, others): (&mut [i16; LANES], &mut [i16; LANES]),
    ) -> [[u32; LANES]; 2] {
        let mask = self.n - 1;
        let (mut places, mut units, mut codes) = ([0; LANES], [0; LANES], [[0; LANES]; 2]);
        for lane in 0..LANES {
            let own = |half: usize| (bits[half][lane] >> shift).cast_signed() & mask;
            let (a, b) = (own(0) - carries[lane], own(1) - others[lane]);
            let (carry, other) = self.carries(a, b);
            let [i, j, turns] = turned(a - (carry & self.n), b - (other & self.n));
            places[lane] = self.hexagon.place(i, j).cast_unsigned();
            units[lane] = select(sign(-(i + j)), turns, NO_TURNS as i16).cast_unsigned();
            (carries[lane], others[lane]) = (carry, other);
        }
        for lane in 0..LANES {
            codes[0][lane] = u32::from(places[lane]);
            codes[1][lane] = u32::from(units[lane]);
        }
        codes
    }

    /// The same of the last window.
    #[inline(always)]
    fn last_codes(
        &self,
        words: &Words,
        (carries, others): (&[i16; LANES], &[i16; LANES]),
    ) -> [[u32; LANES]; 2] {
        let (a, b) = (self.rest(words, 0), self.rest(words, 1));
        let mut codes = [[0; LANES]; 2];
        for lane in 0..LANES {
            let (a, b) = (a[lane] - carries[lane], b[lane] - others[lane]);
            let [i, j, turns] = turned_last(i32::from(a), i32::from(b));
            let sum = i + j;
            let any = -sum >> 31;
            codes[0][lane] = (sum * (sum - 1) / 2 + j).cast_unsigned();
            codes[1][lane] = (turns & any | NO_TURNS & !any).cast_unsigned();
        }
        codes
    }
}

/// Turns of what is no digit.
const NO_TURNS: i32 = 8;

impl Rows<'_> {
    /// Writes terms of a window and their parts, given the places of buckets, modulo the largest size of any, and turns.
    #[inline(always)]
    fn write(
        &mut self,
        window: usize,
        width: u32,
        start: usize,
        [places, turns]: [[u32; LANES]; 2],
    ) {
        let (mut terms, mut parts) = ([0; LANES], [0; LANES]);
        let mask = (1 << width) - 1;
        for lane in 0..LANES {
            let (place, turns) = (places[lane], turns[lane]);
            let class = CLASSES >> (2 * turns) & 3;
            let bucket = class << width | place & mask;
            let none = (turns << 28).cast_signed() >> 31;
            terms[lane] = turns << 31 | bucket << POINT_BITS | (start + lane) as u32;
            parts[lane] = (place >> width | none.cast_unsigned()) as u8;
        }
        let first = window * CHUNK + start;
        self.terms[first..][..LANES].copy_from_slice(&terms);
        self.parts[first..][..LANES].copy_from_slice(&parts);
    }
}
