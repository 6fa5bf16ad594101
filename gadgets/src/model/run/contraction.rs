//! Sums of products of integers, many at a time: `out[i][j] = sum_k a[i][k] b[j][k]`, exact modulo 2^64.
//!
//! Integers of few bits are held in 16 bits each, others as several **digits** of 14 bits with a sign, low first. Sums are
//! made in 32 bits over runs of `k` short enough that no run of a pair of digits can overflow, and put together in 64 bits,
//! where a sum that fits is exact whatever the sums before it did.

use rayon::prelude::*;

use self::packed::{LANES, dots};
use super::super::geometry::Geometry;

mod packed;

/// Rows of either side that the inner loop keeps in registers.
const TILE: [usize; 2] = [4, 2];
/// Bits of a digit where there are several.
const DIGIT_BITS: u32 = 14;
/// Bytes of the rows of a block, which should stay in a core's cache.
const BLOCK_BYTES: usize = 1 << 17;
/// Products from which threads share the work.
pub(super) const SHARED: usize = 1 << 21;

/// A matrix of so many columns times each of some vectors, plus a bias: by vector, then row; `None` if digits of 16 bits are no
/// way to make these sums. The sums must fit into 64 bits.
pub(super) fn dense(
    matrix: &[i64],
    bias: &[i64],
    cols: usize,
    vectors: &[i64],
) -> Option<Vec<i64>> {
    let a = Rows::new(matrix, cols, TILE[0]);
    let b = Rows::new(vectors, cols, TILE[1]);
    let len = a.run_length(b.largest)?;
    let (rows, count) = (a.rows, b.rows);
    let found = by_block(a.work(count), a.block(), count, |block| {
        products(&a, &b, block, len)
    });
    let mut out = vec![0; rows * count];
    for (first, sums) in found {
        let own = sums.len() / rows.max(1);
        for (row, (sums, bias)) in sums.chunks(own.max(1)).zip(bias).enumerate() {
            for (at, sum) in (first..).zip(sums) {
                out[at * rows + row] = bias.wrapping_add(*sum);
            }
        }
    }
    Some(out)
}

/// The product of a matrix of so many columns with one of as many rows, row-major; `None` as [`dense`].
pub(super) fn matmul(a: &[i64], b: &[i64], inner: usize) -> Option<Vec<i64>> {
    let columns = b.len() / inner.max(1);
    let transposed = (0..columns).flat_map(|j| b[j..].iter().step_by(columns).copied());
    let transposed: Vec<i64> = transposed.collect();
    dense(&transposed, &vec![0; columns], inner, a)
}

/// Shapes of a convolution's input and output, batch, channels, rows and columns, and its groups of channels.
pub(super) struct Shapes {
    pub(super) input: [usize; 4],
    pub(super) output: [usize; 4],
    pub(super) groups: usize,
}

/// A convolution, its matrix by output, tap and channel of the group; `None` if it had better be made another way. The sums must fit
/// into 64 bits.
pub(super) fn conv(
    (matrix, bias): (&[i64], &[i64]),
    geometry: &Geometry,
    shapes: &Shapes,
    x: &[i64],
) -> Option<Vec<i64>> {
    let ([batch, channels, height, width], [_, m, oh, ow]) = (shapes.input, shapes.output);
    let (of_group, rows) = (channels / shapes.groups, m / shapes.groups);
    let cols = geometry.taps() * of_group;
    if rows < TILE[0] || cols < LANES {
        return None;
    }
    let (inputs, outputs) = (height * width, oh * ow);
    let mut out = vec![0; batch * m * outputs];
    for group in 0..shapes.groups {
        let a = Rows::new(&matrix[group * rows * cols..][..rows * cols], cols, TILE[0]);
        for sample in 0..batch {
            let first = sample * channels + group * of_group;
            let pixels = Rows::transposed(&x[first * inputs..][..of_group * inputs], inputs);
            let len = a.run_length(pixels.largest)?;
            let found = by_block(a.work(outputs), a.block(), outputs, |block| {
                let b = pixels.windows(geometry, [[height, width], [oh, ow]], block);
                products(&a, &b, 0..b.rows, len)
            });
            let first = sample * m + group * rows;
            let planes = &mut out[first * outputs..][..rows * outputs];
            let bias = &bias[group * rows..][..rows];
            for (first, sums) in found {
                let own = sums.len() / rows;
                let planes = planes.chunks_mut(outputs).zip(sums.chunks(own));
                for ((plane, sums), bias) in planes.zip(bias) {
                    let plane = plane[first..].iter_mut().zip(sums);
                    plane.for_each(|(out, sum)| *out = bias.wrapping_add(*sum));
                }
            }
        }
    }
    Some(out)
}

/// Calls `each` for blocks of `0..count`, on all threads if the work is worth it; results with the start of their block.
fn by_block(
    work: usize,
    block: usize,
    count: usize,
    each: impl Fn(std::ops::Range<usize>) -> Vec<i64> + Sync,
) -> Vec<(usize, Vec<i64>)> {
    let starts: Vec<usize> = (0..count).step_by(block).collect();
    let one = |start: usize| (start, each(start..(start + block).min(count)));
    if work < SHARED {
        return starts.into_iter().map(one).collect();
    }
    starts.into_par_iter().map(one).collect()
}

/// Rows of integers, by digits, each row padded with zeros to whole steps.
struct Rows {
    /// By digit, then row-major.
    digits: Vec<Vec<i16>>,
    rows: usize,
    stride: usize,
    /// Largest magnitude of a digit.
    largest: u64,
}

impl Rows {
    /// Rows of `cols` integers each, then rows of zeros up to a multiple of `tile`.
    fn new(values: &[i64], cols: usize, tile: usize) -> Self {
        let rows = values.len() / cols.max(1);
        let stride = cols.next_multiple_of(LANES);
        let mut packed = Self::empty(values, rows.next_multiple_of(tile) * stride);
        (packed.rows, packed.stride) = (rows, stride);
        let count = packed.digits.len();
        for (row, values) in values.chunks(cols.max(1)).enumerate() {
            for (digit, digits) in packed.digits.iter_mut().enumerate() {
                let own = digits[row * stride..].iter_mut().zip(values);
                match count {
                    1 => own.for_each(|(own, value)| *own = *value as i16),
                    _ => own.for_each(|(own, value)| *own = digit_of(*value, digit, count)),
                }
            }
        }
        packed
    }

    /// The columns of a matrix of so many columns, as rows without padding.
    fn transposed(values: &[i64], cols: usize) -> Self {
        let rows = values.len() / cols.max(1);
        let mut packed = Self::empty(values, values.len());
        (packed.rows, packed.stride) = (cols, rows);
        let count = packed.digits.len();
        for (digit, digits) in packed.digits.iter_mut().enumerate() {
            for (row, values) in values.chunks(cols.max(1)).enumerate() {
                let own = digits[row..].iter_mut().step_by(rows).zip(values);
                own.for_each(|(own, value)| *own = digit_of(*value, digit, count));
            }
        }
        packed
    }

    /// What the windows at some positions read, tap by tap, where the rows are the pixels of a plane; both planes' rows and columns
    /// are given.
    fn windows(
        &self,
        geometry: &Geometry,
        planes: [[usize; 2]; 2],
        at: std::ops::Range<usize>,
    ) -> Self {
        let [[height, width], [_, ow]] = planes;
        let channels = self.stride;
        let stride = (geometry.taps() * channels).next_multiple_of(LANES);
        let mut own = Self {
            digits: vec![vec![0; at.len().next_multiple_of(TILE[1]) * stride]; self.digits.len()],
            rows: at.len(),
            stride,
            largest: self.largest,
        };
        for (row, output) in at.enumerate() {
            for tap in 0..geometry.taps() {
                let [i, j] = geometry.tap(tap);
                let pixel = geometry.read(0, output / ow, i, height).zip(geometry.read(
                    1,
                    output % ow,
                    j,
                    width,
                ));
                let Some((i, j)) = pixel else { continue };
                for (own, all) in own.digits.iter_mut().zip(&self.digits) {
                    let pixel = &all[(i * width + j) * channels..][..channels];
                    own[row * stride + tap * channels..][..channels].copy_from_slice(pixel);
                }
            }
        }
        own
    }

    /// Products that are made with so many other rows.
    fn work(&self, others: usize) -> usize {
        self.rows * self.stride * others
    }

    /// How many rows of this length a block has.
    fn block(&self) -> usize {
        let rows = BLOCK_BYTES / (size_of::<i16>() * self.stride.max(1));
        rows.clamp(TILE[1], 1 << 8).next_multiple_of(TILE[1])
    }

    /// Room for so many integers with the digits that these values need.
    fn empty(values: &[i64], len: usize) -> Self {
        let magnitudes = values.iter().map(|value| value.unsigned_abs());
        let most = magnitudes.max().unwrap_or(0);
        let count = match most {
            0..=0x7fff => 1,
            // A digit has a sign: 14 bits of it hold 13 of a magnitude, the last one what is left.
            _ => (u64::BITS - most.leading_zeros() + 1).div_ceil(DIGIT_BITS) as usize,
        };
        Self {
            digits: vec![vec![0; len]; count],
            rows: 0,
            stride: 0,
            largest: if count == 1 {
                most
            } else {
                1 << (DIGIT_BITS - 1)
            },
        }
    }

    /// The largest sum of magnitudes of a run of so many digits of a row.
    fn largest_run(&self, len: usize) -> u64 {
        let rows = self
            .digits
            .iter()
            .flat_map(|d| d.chunks(self.stride.max(1)));
        let runs = rows.flat_map(|row| row.chunks(len));
        let sum = |run: &[i16]| run.iter().map(|d| u64::from(d.unsigned_abs())).sum();
        runs.map(sum).max().unwrap_or(0)
    }

    /// The longest run of digits whose sums of products with digits up to `largest` fit into 32 bits; `None` if there is none.
    fn run_length(&self, largest: u64) -> Option<usize> {
        let mut len = self.stride.max(LANES);
        while self.largest_run(len).saturating_mul(largest) >= 1 << 31 {
            len = (len / 2 / LANES) * LANES;
            if len == 0 {
                return None;
            }
        }
        Some(len)
    }
}

/// A digit, by its position, of a number that has so many.
fn digit_of(value: i64, digit: usize, count: usize) -> i16 {
    if count == 1 {
        return value as i16;
    }
    let mut rest = value;
    for _ in 0..digit {
        rest = rest.wrapping_sub(lowest(rest)) >> DIGIT_BITS;
    }
    // The last one is all that is left.
    if digit + 1 == count {
        rest as i16
    } else {
        lowest(rest) as i16
    }
}

/// The lowest bits, with a sign: the number less these is a multiple of 2^14.
const fn lowest(value: i64) -> i64 {
    let spare = i64::BITS - DIGIT_BITS;
    (value << spare) >> spare
}

/// Products of every row of `a` with those rows of `b`, by row of `a`, in runs of `len`.
fn products(a: &Rows, b: &Rows, of_b: std::ops::Range<usize>, len: usize) -> Vec<i64> {
    let count = of_b.len();
    let mut out = vec![0i64; a.rows * count];
    for first in (0..a.rows).step_by(TILE[0]) {
        for second in of_b.clone().step_by(TILE[1]) {
            let sums = tile((a, first), (b, second), len);
            for (row, sums) in (first..a.rows).zip(&sums) {
                for (at, sum) in (second..of_b.end).zip(sums) {
                    out[row * count + at - of_b.start] = *sum;
                }
            }
        }
    }
    out
}

/// Products of some rows from one on with some rows of another matrix.
fn tile(
    (a, first): (&Rows, usize),
    (b, second): (&Rows, usize),
    len: usize,
) -> [[i64; TILE[1]]; TILE[0]] {
    let mut sums = [[0i64; TILE[1]]; TILE[0]];
    for (i, low) in a.digits.iter().enumerate() {
        for (j, high) in b.digits.iter().enumerate() {
            let shift = (i + j) as u32 * DIGIT_BITS;
            for start in (0..a.stride).step_by(len) {
                let run = start..(start + len).min(a.stride);
                let at = |row: usize| row * a.stride + run.start..row * a.stride + run.end;
                let own = std::array::from_fn(|i| &low[at(first + i)]);
                let other = std::array::from_fn(|i| &high[at(second + i)]);
                let found: [[i32; TILE[1]]; TILE[0]] = dots(own, other);
                let sums = sums.as_flattened_mut().iter_mut();
                for (sum, found) in sums.zip(found.as_flattened()) {
                    *sum = sum.wrapping_add(i64::from(*found).unbounded_shl(shift));
                }
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Geometry, Shapes, conv, dense, digit_of};

    proptest! {
        #[test]
        fn digits_make_the_number(value in -(1i64 << 54)..1 << 54) {
            let digits = (0..4).map(|d| i64::from(digit_of(value, d, 4)) << (14 * d));
            prop_assert_eq!(digits.sum::<i64>(), value);
        }

        #[test]
        fn products_are_those_of_one_by_one(
            (rows, cols, count) in (1usize..9, 1usize..70, 1usize..9),
            bits in (1u32..28, 1u32..28),
            seed: u64,
        ) {
            let mut next = numbers(seed);
            let mut some = |len, bits| (0..len).map(|_| next(bits)).collect::<Vec<i64>>();
            let (matrix, bias) = (some(rows * cols, bits.0), some(rows, 40));
            let vectors = some(count * cols, bits.1);
            let of = |x: &[i64], row: usize| -> i64 {
                let products = matrix[row * cols..][..cols].iter().zip(x).map(|(a, b)| a * b);
                bias[row] + products.sum::<i64>()
            };
            let expected: Vec<i64> =
                vectors.chunks(cols).flat_map(|x| (0..rows).map(move |row| (x, row))).map(|(x, row)| of(x, row)).collect();
            match dense(&matrix, &bias, cols, &vectors) {
                Some(found) => prop_assert_eq!(found, expected),
                None => prop_assert!(bits.0.min(bits.1) >= 13, "few bits are no reason to give up"),
            }
        }

        #[test]
        fn twelve_bits_never_give_up(
            few in prop::collection::vec(prop::sample::select(vec![-4096i64, -4095, 4095, 4096]), 1..70),
            other in prop::sample::select(vec![-32767i64, 32767, -(1 << 27), 1 << 27]),
        ) {
            let many = vec![other; few.len()];
            let expected = Some(vec![few.iter().sum::<i64>() * other]);
            prop_assert_eq!(dense(&few, &[0], few.len(), &many), expected.clone());
            prop_assert_eq!(dense(&many, &[0], few.len(), &few), expected);
        }

        #[test]
        fn convolutions_are_those_of_one_by_one(
            kernel in (1usize..4, 1usize..4), stride in (1usize..3, 1usize..3), padding in (0usize..3, 0usize..3),
            dilation in (1usize..3, 1usize..3), size in (5usize..9, 5usize..9),
            (of_group, rows, groups, batch) in (1usize..18, 4usize..6, 1usize..3, 1usize..3),
            bits in (1u32..20, 1u32..20),
            seed: u64,
        ) {
            let geometry = Geometry {
                kernel: [kernel.0, kernel.1],
                stride: [stride.0, stride.1],
                dilation: [dilation.0, dilation.1],
                before: [padding.0, padding.1],
                after: [padding.1, padding.0],
            };
            let Some([oh, ow]) = geometry.outputs([size.0, size.1]) else { return Ok(()) };
            let (channels, m) = (of_group * groups, rows * groups);
            let (input, output) = ([batch, channels, size.0, size.1], [batch, m, oh, ow]);
            let cols = geometry.taps() * of_group;
            let mut next = numbers(seed);
            let mut some = |len, bits| (0..len).map(|_| next(bits)).collect::<Vec<i64>>();
            let (matrix, bias) = (some(m * cols, bits.0), some(m, 30));
            let x = some(batch * channels * size.0 * size.1, bits.1);
            let Some(found) = conv((&matrix, &bias), &geometry, &Shapes { input, output, groups }, &x) else {
                prop_assert!(cols < 16 || bits.0.min(bits.1) >= 13);
                return Ok(());
            };
            for (index, found) in found.iter().enumerate() {
                let (sample, row, i, j) = (index / (m * oh * ow), index / (oh * ow) % m, index / ow % oh, index % ow);
                let mut sum = bias[row];
                for tap in 0..geometry.taps() {
                    let [a, b] = geometry.tap(tap);
                    let read = geometry.read(0, i, a, size.0).zip(geometry.read(1, j, b, size.1));
                    let Some((a, b)) = read else { continue };
                    for channel in 0..of_group {
                        let plane = sample * channels + row / rows * of_group + channel;
                        sum += matrix[row * cols + tap * of_group + channel] * x[(plane * size.0 + a) * size.1 + b];
                    }
                }
                prop_assert_eq!(*found, sum);
            }
        }
    }

    /// Numbers of at most so many bits and a sign, always the same ones for a seed.
    fn numbers(mut seed: u64) -> impl FnMut(u32) -> i64 {
        move |bits| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed as i64) >> (i64::BITS - 1 - bits)
        }
    }
}
