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
//! **Carries.** A digit is a residue a, b from 0 to N, carry included, less N times the corner of that square nearest to it.
//! With `z = a + b omega`, `|z|^2 = a^2 - a b + b^2`: 0 is nearer than N if `2 a - b < N`, than `N omega` if `2 b - a < N`, than
//! `N + N omega` if `a + b < N`; that is nearer than N if `2 b > a`, than `N omega` if `2 a > b`. So a carry is 0 or 1.
//!
//! **The last digit** is what is left above `2^(w floor(127 / w))`, with its sign. Halves are `u v_1 + v v_2` with
//! `|u|, |v| <= 1/2` and the basis of [`crate::halves`], `s (1, -1)` and `s (1, 2)` for `s < 2^126.21` but for a hair, so on the edges
//! of what they fill `2 i + j` and `i + 2 j` are at most 3 s. Rounding down and the carry move a and b by less than one each,
//! both sums by less than 3. At least 124 bits are below the last digit (for w = 4, where `3 s 2^-124 + 3 < 17`; at
//! least 126, so `3 s 2^-126 + 3 < 7`, for w of 3, 6 and 7; 125 for w = 5): it lies in the hexagon, and nothing is left.

use core::ops::Range;

use zkernel_backend::Field;

use crate::affine::NEGATED;
use crate::halves::HALF_BITS;
use crate::integers::Octet;
use crate::kernels;
use crate::level::Level;
use crate::parallel;

/// Bits of a code for the place of the bucket; those above are for the unit.
const PLACE_BITS: u32 = 13;

/// Octets recoded by a thread at a time.
const OCTETS_TOGETHER: usize = 128;

/// A base `2^width` and its digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Base {
    width: u32,
    /// The base.
    n: i16,
    /// Smaller coordinate of the last row of buckets.
    last: i16,
    /// Buckets in a row.
    row: i16,
}

impl Base {
    /// Widths whose last digit lies in the hexagon, and whose codes have 16 bits.
    pub(crate) const WIDTHS: Range<u32> = 3..8;

    /// The base `2^width`, for one of [`Base::WIDTHS`].
    pub(crate) const fn new(width: u32) -> Self {
        let n = 1 << width;
        let last = n / 3;
        // Both parts of a row, see `place`: (n - 3 m) / 2 + 1 and (n - 3 (last - m)) / 2 places, rounded down.
        let row = n - (3 * last) / 2 + 1;
        Self {
            width,
            n,
            last,
            row,
        }
    }

    pub(crate) const fn width(&self) -> u32 {
        self.width
    }

    /// Digits of a scalar.
    pub(crate) const fn count(&self) -> usize {
        (HALF_BITS / self.width + 1) as usize
    }

    /// Places of buckets of a window, a few of which belong to no digit.
    pub(crate) const fn buckets(&self) -> usize {
        (self.last + 1) as usize * self.row as usize
    }

    /// The largest i or j.
    pub(crate) const fn most(&self) -> usize {
        self.n as usize / 2
    }

    /// The place of the bucket of `i + j zeta6`.
    ///
    /// Digits with `j <= i` have rows by j, shorter by three halves of a place from one to the next; the others, by i, fill
    /// up these rows from their ends.
    #[inline(always)]
    const fn place(&self, i: i16, j: i16) -> i16 {
        let distance = i - j;
        select(sign(distance), self.last + 1 - i, j) * self.row + distance
    }

    /// How buckets are weighted: value by value from 1 to [`Base::most`], the places of those with this i, and of those with this
    /// j and an i that is not 0, to be turned by zeta6.
    pub(crate) fn weights(&self) -> Vec<[Vec<u32>; 2]> {
        let lines = |value: i16| {
            let end = (self.n - 2 * value).min((self.n - value) / 2);
            let places = (0..=end).map(|j| self.place(value, j) as u32);
            let turned = (1..=end).map(|i| self.place(i, value) as u32);
            [places.collect(), turned.collect()]
        };
        (1..=self.n / 2).map(lines).collect()
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

    /// The code of the digit `a + b omega`.
    #[inline(always)]
    const fn code(&self, a: i16, b: i16) -> u16 {
        // In coordinates x + y zeta6; below 256 in size, so that this tells the half of the plane.
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
        let code = self.place(i, j) | turns << PLACE_BITS;
        select(any, code, self.buckets() as i16).cast_unsigned()
    }
}

/// -1 for a negative value, 0 for others.
#[inline(always)]
const fn sign(value: i16) -> i16 {
    value >> 15
}

/// One value where the mask is -1, the other where it is 0.
#[inline(always)]
const fn select(mask: i16, set: i16, clear: i16) -> i16 {
    clear ^ (set ^ clear) & mask
}

/// Scalars whose digits are found together: loops over them are vectors'.
const LANES: usize = 32;

impl Base {
    /// Codes of scalars in halves, window by window.
    #[inline(always)]
    pub(crate) fn recode(&self, octets: &[Octet], codes: &mut [u16]) {
        let stride = 8 * octets.len();
        for (start, octets) in (0..stride).step_by(LANES).zip(octets.chunks(LANES / 8)) {
            let mut filled = [Octet::default(); LANES / 8];
            filled[..octets.len()].copy_from_slice(octets);
            let windows = codes[start..].chunks_mut(stride);
            self.recode_lanes(&filled, windows.map(|codes| &mut codes[..8 * octets.len()]));
        }
    }

    /// Codes of some scalars in rows for the windows.
    #[inline(always)]
    fn recode_lanes<'a>(
        &self,
        octets: &[Octet; LANES / 8],
        mut windows: impl Iterator<Item = &'a mut [u16]>,
    ) {
        let (mut carries, mut others) = ([0i16; LANES], [0i16; LANES]);
        let mut own = [0u16; LANES];
        let last = self.count() - 1;
        for (window, codes) in (0..last).zip(&mut windows) {
            let a = self.residues(octets, 0, window);
            let b = self.residues(octets, 1, window);
            for lane in 0..LANES {
                let (a, b) = (a[lane] - carries[lane], b[lane] - others[lane]);
                let (carry, other) = self.carries(a, b);
                own[lane] = self.code(a - (carry & self.n), b - (other & self.n));
                (carries[lane], others[lane]) = (carry, other);
            }
            codes.copy_from_slice(&own[..codes.len()]);
        }
        if let Some(codes) = windows.next() {
            let (a, b) = (self.left(octets, 0), self.left(octets, 1));
            for lane in 0..LANES {
                own[lane] = self.code(a[lane] - carries[lane], b[lane] - others[lane]);
            }
            codes.copy_from_slice(&own[..codes.len()]);
        }
    }

    /// The bits of a window of a half.
    #[inline(always)]
    fn residues(&self, octets: &[Octet; LANES / 8], half: usize, window: usize) -> [i16; LANES] {
        let position = window as u32 * self.width;
        let (word, shift) = (2 * half + (position / 64) as usize, position % 64);
        // No bits are missing where there is no next word of the half.
        let next = (word + 1).min(3);
        let mask = self.n - 1;
        let mut residues = [0; LANES];
        for (residues, octet) in residues.as_chunks_mut::<8>().0.iter_mut().zip(octets) {
            let (low, high) = (&octet.words[word], &octet.words[next]);
            for lane in 0..8 {
                let bits = low[lane] >> shift | high[lane] << 1 << (63 - shift);
                residues[lane] = bits as i16 & mask;
            }
        }
        residues
    }

    /// What is left of a half above all windows but the last.
    #[inline(always)]
    fn left(&self, octets: &[Octet; LANES / 8], half: usize) -> [i16; LANES] {
        let shift = (self.count() as u32 - 1) * self.width - 64;
        let mut left = [0; LANES];
        for (left, octet) in left.as_chunks_mut::<8>().0.iter_mut().zip(octets) {
            let words = &octet.words[2 * half + 1];
            for lane in 0..8 {
                left[lane] = (words[lane].cast_signed() >> shift) as i16;
            }
        }
        left
    }
}

/// Digits of scalars as codes: the place of the bucket, [`Base::buckets`] for none, and the unit.
pub(crate) struct Codes {
    base: Base,
    /// Part by part of [`OCTETS_TOGETHER`], window by window.
    codes: Vec<u16>,
}

impl Codes {
    /// Of magnitudes.
    pub(crate) fn new<F: Field>(level: Level, mut octets: Vec<Octet>, base: Base) -> Self {
        let mut codes = vec![0; 8 * octets.len() * base.count()];
        let parts = codes.chunks_mut(8 * OCTETS_TOGETHER * base.count());
        parallel::each(
            parts.zip(octets.chunks_mut(OCTETS_TOGETHER)),
            |(codes, octets)| kernels::recode::<F>(level, &base, octets, codes),
        );
        Self { base, codes }
    }

    pub(crate) const fn base(&self) -> Base {
        self.base
    }

    /// Buckets and references of a range of points, which starts with an octet, in a window: of
    /// points in turns with their images, as [`crate::images::with_images`] gives them.
    pub(crate) fn of_window(
        &self,
        window: usize,
        range: &Range<usize>,
    ) -> impl Iterator<Item = (usize, u32)> + Clone {
        let units = UNITS;
        let (count, together) = (self.base.count(), 8 * OCTETS_TOGETHER);
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
                let unit = units[usize::from(code >> PLACE_BITS)];
                let place = usize::from(code & ((1 << PLACE_BITS) - 1));
                (place, unit + 3 * point as u32)
            })
        })
    }
}

/// Which image is `zeta6^t` times a point, for all t.
const UNITS: [u32; 8] = [0, 2 | NEGATED, 1, NEGATED, 2, 1 | NEGATED, 0, 0];

#[cfg(test)]
mod tests {
    use ff::{FromUniformBytes as _, PrimeField as _, WithSmallOrderMulGroup};
    use pasta_curves::{Fp, Fq};
    use proptest::prelude::*;

    use super::*;
    use crate::halves::tests::edges;
    use crate::integers::Integers;

    fn bases() -> impl Iterator<Item = Base> {
        Base::WIDTHS.map(Base::new)
    }

    /// All `(i, j)` of the hexagon with the places of their buckets.
    fn pairs(base: Base) -> Vec<((i16, i16), u32)> {
        let most = base.most() as i16;
        let all = (1..=most).flat_map(|i| (0..=most).map(move |j| (i, j)));
        let inside = |(i, j): &(i16, i16)| 2 * i + j <= base.n && i + 2 * j <= base.n;
        let own = all.filter(inside);
        own.map(|(i, j)| ((i, j), base.place(i, j).cast_unsigned().into()))
            .collect()
    }

    /// The digit of a code, `a + b omega`.
    fn digit(base: Base, pairs: &[((i16, i16), u32)], code: u16) -> (i16, i16) {
        let place = u32::from(code) & ((1 << PLACE_BITS) - 1);
        if place == base.buckets() as u32 {
            return (0, 0);
        }
        let (mut x, mut y) = pairs
            .iter()
            .find(|(_, own)| *own == place)
            .expect("a bucket")
            .0;
        assert!(code >> PLACE_BITS < 6);
        for _ in 0..code >> PLACE_BITS {
            // zeta6 (x + y zeta6)
            (x, y) = (-y, x + y);
        }
        (x + y, y)
    }

    #[test]
    fn every_bucket_has_a_place_and_weights() {
        for base in bases() {
            let pairs = pairs(base);
            let mut seen = vec![(0, 0); base.buckets()];
            for (pair, place) in &pairs {
                assert_eq!(seen[*place as usize], (0, 0), "{base:?}");
                seen[*place as usize] = *pair;
            }
            assert!(base.buckets() < 1 << PLACE_BITS);
            let mut weights = vec![(0, 0); base.buckets()];
            for (value, [plain, turned]) in (1..).zip(base.weights()) {
                plain
                    .iter()
                    .for_each(|place| weights[*place as usize].0 += value);
                turned
                    .iter()
                    .for_each(|place| weights[*place as usize].1 += value);
            }
            assert_eq!(weights, seen, "{base:?}");
        }
    }

    /// Every residue, with its carry, is a digit of the hexagon and carries of 0 or 1 times the base.
    #[test]
    fn every_residue_has_a_digit() {
        for base in bases() {
            let pairs = pairs(base);
            let of_place: std::collections::BTreeMap<u32, ((i16, i16), u32)> =
                pairs.iter().map(|pair| (pair.1, *pair)).collect();
            for (a, b) in (0..=base.n).flat_map(|a| (0..=base.n).map(move |b| (a, b))) {
                let (carry, other) = base.carries(a, b);
                let own = (a - (carry & base.n), b - (other & base.n));
                let code = base.code(own.0, own.1);
                let place = u32::from(code) & ((1 << PLACE_BITS) - 1);
                let pair: Vec<_> = of_place.get(&place).copied().into_iter().collect();
                assert_eq!(digit(base, &pair, code), own, "{base:?} {a} {b}");
            }
        }
    }

    /// The scalars that codes stand for, on both levels.
    fn round_trip<F: Field + WithSmallOrderMulGroup<3>>(values: &[F], base: Base) {
        let pairs = pairs(base);
        let buckets: std::collections::BTreeMap<usize, F> = pairs
            .iter()
            .map(|((i, j), place)| {
                let of = |value: &i32| F::from(*value as u64);
                (*place as usize, of(i) - of(j) * F::ZETA.square())
            })
            .collect();
        let count = values.len() as u32;
        for level in [Level::PORTABLE, Level::detect()] {
            let octets = Integers::new(level, values).octets();
            let codes = Codes::new::<F>(level, octets, base);
            let mut sums = vec![F::ZERO; values.len()];
            for window in (0..base.count()).rev() {
                sums.iter_mut()
                    .for_each(|sum| *sum *= F::from(1 << base.width));
                let middle = values.len() / 2 / 8 * 8;
                let halves = [0..middle, middle..values.len()];
                let terms = halves
                    .iter()
                    .flat_map(|range| codes.of_window(window, range));
                for ((place, reference), index) in terms.zip(0..count) {
                    let point = reference & !NEGATED;
                    assert_eq!(point / 3, index);
                    if place == base.buckets() {
                        continue;
                    }
                    let unit = F::ZETA.pow_vartime([u64::from(point % 3)]);
                    let digit = buckets[&place] * unit;
                    let negative = reference & NEGATED != 0;
                    sums[index as usize] += if negative { -digit } else { digit };
                }
            }
            assert!(sums == values, "{base:?}");
        }
    }

    #[test]
    fn digits_of_edges_stand_for_scalars() {
        for base in bases() {
            round_trip(&edges::<Fp>(), base);
            round_trip(&edges::<Fq>(), base);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn digits_stand_for_scalars(wide in prop::collection::vec(any::<[u8; 32]>(), 1..40), width in Base::WIDTHS) {
            let full = |bytes: &[u8; 32]| {
                let mut uniform = [0; 64];
                uniform[32..].copy_from_slice(bytes);
                uniform
            };
            let fp = wide.iter().map(|bytes| Fp::from_uniform_bytes(&full(bytes)));
            round_trip(&fp.chain([Fp::TWO_INV]).collect::<Vec<Fp>>(), Base::new(width));
            let fq = wide.iter().map(|bytes| Fq::from_uniform_bytes(&full(bytes)));
            round_trip(&fq.chain([Fq::TWO_INV]).collect::<Vec<Fq>>(), Base::new(width));
        }
    }
}
