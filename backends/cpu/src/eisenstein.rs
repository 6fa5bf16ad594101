//! Scalars as numbers `a + b omega` with `omega^2 + omega + 1 = 0`, in base `N = 2^w` with digits that are such numbers too.
//!
//! omega acts on points as `(x, y) -> (zeta x, y)`, so the six units `+-1, +-omega, +-omega^2` of these numbers cost a point
//! next to nothing (images of all points are made once), and one addition serves both halves of a scalar. In
//! coordinates `a + b omega` the digits are the points of the hexagonal lattice nearest to 0 among those that differ by a
//! multiple of N: a hexagon of about `N^2` of them, which the units turn into itself.
//!
//! **Buckets.** With `zeta6 = 1 + omega = -omega^2`, every digit but 0 is `zeta6^t (i + j zeta6)` for one t from 0 to 5 and one pair
//! with `i >= 1, j >= 0`: a sixth of the plane. In the hexagon that is `2 i + j <= N` and `i + 2 j <= N`, about `N^2 / 6` pairs.
//!
//! **Many points.** Images of very many points would fill the caches. Then a bucket has three classes, for the points and their images
//! under omega, and it is the sums of classes that are turned ([`crate::classes`]).
//!
//! **Carries.** A digit is a residue a, b from 0 to N, carry included, less N times the corner of that square nearest to it.
//! With `z = a + b omega`, `|z|^2 = a^2 - a b + b^2`: 0 is nearer than N if `2 a - b < N`, than `N omega` if `2 b - a < N`, than
//! `N + N omega` if `a + b < N`; that is nearer than N if `2 b > a`, than `N omega` if `2 a > b`. So a carry is 0 or 1.
//!
//! **The last digit** is what is left above `2^t`, for t of 119 to 126 bits in all other windows, with its sign. Halves
//! have `|a|, |b|, |a - b| <= s (1 + 2^-20)` with s of [`crate::halves`], `s < 2^126.21`. Rounding down and the carry move a and b by
//! more than -1 and at most 1 each, their difference by less than 2. The largest of the three sizes of a last digit is its `i + j`, so
//! that is less than `s 2^-t (1 + 2^-20) + 2`: a triangle of buckets, and nothing is left.

mod shape;
#[cfg(test)]
mod tests;
pub(crate) mod wide;

use core::ops::Range;
use core::slice::ChunksMut;

use self::shape::{Hexagon, Triangle, select, sign};
pub(crate) use self::shape::{Shape, lines};

use crate::affine::NEGATED;
use crate::halves::HALF_BITS;
use crate::integers::Octet;
use crate::room;

/// Bits of a code for the place of the bucket; those above are for the unit.
const PLACE_BITS: u32 = 13;

/// Most places of buckets of a window.
const MOST_PLACES: usize = 1 << PLACE_BITS;

/// The first 15 bits of s, rounded up, see [`crate::halves`]: s is below `SIZE 2^112`.
const SIZE: u32 = 0x49e7;

/// A base `2^width`, and how many windows a scalar has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Base {
    width: u32,
    /// Windows but for the last.
    low: usize,
    n: i16,
    /// Digits of a window.
    pub(crate) hexagon: Hexagon,
    /// Digits of the last.
    pub(crate) triangle: Triangle,
}

impl Base {
    /// Widths for which there are bases.
    pub(crate) const WIDTHS: Range<u32> = 3..8;

    /// The bases `2^width` for one of [`Base::WIDTHS`]: with as many windows as leave a small last digit, and with one less if there are not
    /// too many buckets for what is left then.
    pub(crate) fn of_width(width: u32) -> impl Iterator<Item = Self> + Clone {
        let most = HALF_BITS / width;
        let own = [most, most - 1]
            .into_iter()
            .map(move |low| Self::new(width, low));
        own.filter(|base| base.triangle.places() < MOST_PLACES)
    }

    pub(crate) fn new(width: u32, low: u32) -> Self {
        let n = 1 << width;
        Self {
            width,
            low: low as usize,
            n,
            hexagon: Hexagon::new(n),
            triangle: Triangle::new((SIZE >> (low * width - 112)) as i16 + 2),
        }
    }

    pub(crate) const fn width(&self) -> u32 {
        self.width
    }

    /// Digits of a scalar.
    pub(crate) const fn count(&self) -> usize {
        self.low + 1
    }

    /// Whether a window is the last.
    pub(crate) const fn is_last(&self, window: usize) -> bool {
        window == self.low
    }

    /// Places of buckets of a window.
    pub(crate) fn places(&self, window: usize) -> usize {
        if self.is_last(window) {
            self.triangle.places()
        } else {
            self.hexagon.places()
        }
    }

    /// Carries of a residue with coordinates from 0 to N, as masks.
    #[inline(always)]
    const fn carries(&self, a: i16, b: i16) -> (i16, i16) {
        let (first, second, both) = (2 * a - b, 2 * b - a, a + b);
        let beyond = self.n - both;
        (
            sign((self.n - first) | (beyond & -first)),
            sign((self.n - second) | (beyond & -second)),
        )
    }
}

/// The code of the digit `a + b omega`.
#[inline(always)]
fn code(shape: impl Shape, a: i16, b: i16) -> u16 {
    // In coordinates x + y zeta6; below 128 in size, so that this tells the half of the plane.
    let (x, y) = (a - b, b);
    let negative = sign(y * 256 + x);
    let (x, y) = ((x ^ negative) - negative, (y ^ negative) - negative);
    let sum = x + y;
    // A number with y >= 0 is zeta6^2 (y - sum zeta6) if the sum is not positive, else zeta6 (sum - x zeta6) if x is not.
    let (first, second) = (sign(x - 1), sign(sum - 1));
    let i = select(second, y, select(first, sum, x));
    let j = select(second, -sum, select(first, -x, y));
    let turns = (negative & 3) - first - second;
    // Minus the size of one of them, and so negative, if any is not 0.
    let any = sign(-(i + j));
    let code = shape.place(i, j) | turns << PLACE_BITS;
    select(any, code, shape.places() as i16).cast_unsigned()
}

/// Scalars whose digits are found together: loops over them are vectors'.
pub(crate) const LANES: usize = 32;

/// Words of halves, those of all scalars one after the other.
type Words = [[u64; LANES]; 4];

/// What is done beside digits, a step for those of every window.
pub(crate) trait Meanwhile {
    fn step(&mut self) {}
}

impl Meanwhile for () {}

impl Base {
    /// Codes of scalars in halves, window by window.
    #[inline(always)]
    pub(crate) fn recode(&self, octets: &[Octet], codes: &mut [u16], beside: &mut impl Meanwhile) {
        let stride = 8 * octets.len();
        for (start, octets) in (0..stride).step_by(LANES).zip(octets.chunks(LANES / 8)) {
            let words = words(octets);
            let windows = codes[start..].chunks_mut(stride);
            let windows = windows.map(|codes| &mut codes[..8 * octets.len()]);
            self.recode_lanes(&words, windows, beside);
        }
    }

    /// Codes of some scalars in rows for the windows.
    #[inline(always)]
    fn recode_lanes<'a>(
        &self,
        words: &Words,
        mut windows: impl Iterator<Item = &'a mut [u16]>,
        beside: &mut impl Meanwhile,
    ) {
        debug_assert!(2 * self.width <= u16::BITS);
        let (mut carries, mut others) = ([0i16; LANES], [0i16; LANES]);
        let mut own = [0u16; LANES];
        let (hexagon, triangle) = (self.hexagon, self.triangle);
        for first in (0..self.low).step_by(2) {
            // Of two windows at a time.
            let of_a = self.bits(words, 0, first as u32);
            let of_b = self.bits(words, 1, first as u32);
            for (second, codes) in (first..self.low.min(first + 2)).zip(&mut windows) {
                let (shift, mask) = ((second - first) as u32 * self.width, self.n - 1);
                for lane in 0..LANES {
                    let a = (of_a[lane] >> shift).cast_signed() & mask;
                    let b = (of_b[lane] >> shift).cast_signed() & mask;
                    let (a, b) = (a - carries[lane], b - others[lane]);
                    let (carry, other) = self.carries(a, b);
                    own[lane] = code(hexagon, a - (carry & self.n), b - (other & self.n));
                    (carries[lane], others[lane]) = (carry, other);
                }
                write(codes, &own);
                beside.step();
            }
        }
        if let Some(codes) = windows.next() {
            let (a, b) = (self.rest(words, 0), self.rest(words, 1));
            for lane in 0..LANES {
                own[lane] = code(triangle, a[lane] - carries[lane], b[lane] - others[lane]);
            }
            write(codes, &own);
            beside.step();
        }
    }

    /// Sixteen bits of a half, those of a window first and of the next one.
    #[inline(always)]
    fn bits(&self, words: &Words, half: usize, window: u32) -> [u16; LANES] {
        let position = window * self.width;
        let (word, shift) = (2 * half + (position / 64) as usize, position % 64);
        // No bits are missing where there is no next word of the half.
        let (low, high) = (&words[word], &words[(word + 1).min(3)]);
        let mut bits = [0; LANES];
        for lane in 0..LANES {
            bits[lane] = (low[lane] >> shift | high[lane] << 1 << (63 - shift)) as u16;
        }
        bits
    }

    /// What is left of a half above all windows but the last.
    #[inline(always)]
    fn rest(&self, words: &Words, half: usize) -> [i16; LANES] {
        let shift = self.low as u32 * self.width - 64;
        let mut rest = [0; LANES];
        for (rest, word) in rest.iter_mut().zip(&words[2 * half + 1]) {
            *rest = (word.cast_signed() >> shift) as i16;
        }
        rest
    }
}

/// Words of the halves of at most so many scalars as there are lanes.
#[inline(always)]
fn words(octets: &[Octet]) -> Words {
    let mut words = [[0; LANES]; 4];
    for (lanes, octet) in (0..).step_by(8).zip(octets) {
        for (words, own) in words.iter_mut().zip(&octet.words) {
            words[lanes..lanes + 8].copy_from_slice(own);
        }
    }
    words
}

/// Codes of all scalars, or of the first ones: those of whole lanes without a call.
#[inline(always)]
fn write(codes: &mut [u16], own: &[u16; LANES]) {
    if let Ok(codes) = <&mut [u16; LANES]>::try_from(&mut *codes) {
        *codes = *own;
    } else {
        codes.copy_from_slice(&own[..codes.len()]);
    }
}

/// Digits of scalars as codes: the place of the bucket, [`Base::places`] for none, and the unit.
pub(crate) struct Codes {
    base: Base,
    /// Chunk by chunk of [`Codes::TOGETHER`] scalars, window by window.
    codes: Vec<u16>,
}

impl Codes {
    /// Scalars whose codes are made together.
    pub(crate) const TOGETHER: usize = 1 << 10;

    /// Of so many scalars, yet to be made.
    pub(crate) fn new(base: Base, scalars: usize) -> Self {
        let length = scalars.next_multiple_of(8) * base.count();
        Self {
            base,
            codes: room::take_large(length, 0),
        }
    }

    /// Room for those of every chunk, as [`Base::recode`] writes them.
    pub(crate) fn chunks(&mut self) -> ChunksMut<'_, u16> {
        self.codes.chunks_mut(Self::TOGETHER * self.base.count())
    }

    /// Keeps the room.
    pub(crate) fn give(self) {
        room::give_large(self.codes);
    }

    pub(crate) const fn base(&self) -> Base {
        self.base
    }

    /// Buckets and references of a range of points in a window: of
    /// points in turns with their images, as [`crate::images::make`] gives them.
    pub(crate) fn of_window(
        &self,
        window: usize,
        range: &Range<usize>,
    ) -> impl Iterator<Item = (usize, u32)> + Clone {
        let (count, together) = (self.base.count(), Self::TOGETHER);
        let range = range.clone();
        let parts = self.codes.chunks(together * count).enumerate();
        let parts = parts.skip(range.start / together);
        let parts = parts.take(range.end.div_ceil(together) - range.start / together);
        parts.flat_map(move |(part, codes)| {
            let first = part * together;
            let stride = codes.len() / count;
            let skipped = range.start.saturating_sub(first);
            let end = (range.end - first).min(stride);
            let own = &codes[window * stride..][skipped..end];
            let points = first + skipped..;
            own.iter().zip(points).map(move |(code, point)| {
                let unit = UNITS[usize::from(code >> PLACE_BITS)];
                let place = usize::from(code & ((1 << PLACE_BITS) - 1));
                (place, unit + 3 * point as u32)
            })
        })
    }
}

/// Which image is `zeta6^t` times a point, for all t.
const UNITS: [u32; 8] = [0, 2 | NEGATED, 1, NEGATED, 2, 1 | NEGATED, 0, 0];
