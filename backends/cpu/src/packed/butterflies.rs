//! The layers of a pass of a transform, on whole vectors.
//!
//! Decimation in time: the first layer where values are read, two more on eight values at a time, one more if the number of layers is even, then two on four at a
//! time, the last two with what is done to results ([`Sink`]). Twiddles are known, so products by them are [`Known::multiply`],
//! from -3 p to 3 p whatever their operand; what is not multiplied is neither reduced nor carried.
//!
//! **Bounds**, as sizes in multiples of p: inputs from 0 to 2, sums of two and differences, are within 11 after the
//! first three layers, 16 after a fourth alone (where
//! the factor one is no product), and grow by 6 in every two layers; of the first two after the first three, those whose factors are
//! one are within 19. So the first nine layers end within 31 and ten within 34; if inputs are below 1.02 (10.02, 13.02), ten
//! end within 31.02. Operands of products are within 31. From the fourth pair of layers on all is lowered before it.

use zkernel_backend::Field;
use zkernel_verifier::curve::powers;

use super::copies::Aside;
use super::known::Known;
use super::loose::Loose;
use super::prime::{Constants, Prime};
use super::vector::{Ifma, Vector, another};

/// Most layers of a pass.
pub(crate) const LAYERS: u32 = 14;

/// Pairs of layers before which nothing is lowered.
const UNBOUNDED: usize = 3;

/// Factors of a pass of one size and root, in the order in which they are taken.
pub(crate) struct Twiddles {
    /// The fourth root i of one, and `(w - w^3) / 2` and `(w + w^3) / 2` for the eighth root w.
    eighths: [Known; 3],
    /// `w^j` for the sixteenth root w, if there is a layer between the first three and the pairs.
    sixteenths: Vec<Known>,
    /// For each pair of layers on `4 q` values: `w^(2 j)`, `w^j`, `w^(j + q)` for all j below q.
    pairs: Vec<Vec<[Known; 3]>>,
    /// Steps of copies beside the first three layers of eight values: with one beside each round of a pair of layers, one a value.
    beside: usize,
}

impl Twiddles {
    /// For `2^layers` values, three layers or more, and their root of one.
    pub(super) fn new<F: Field>(prime: Prime<F>, root: F, layers: u32) -> Self {
        let all = powers(root, 1 << (layers - 1));
        let power = |j: usize, log: u32| prime.known(all[j << (layers - log)]);
        let eighth = |j: usize| all[j << (layers - 3)];
        let half = |value: F| prime.known(value * F::TWO_INV);
        let before = 3 + (layers + 1) % 2;
        let pair = |log: u32| {
            let quarter = 1 << (log - 2);
            let three = |j: usize| [2 * j, j, j + quarter].map(|j| power(j, log));
            (0..quarter).map(three).collect()
        };
        let pairs: Vec<_> = (before + 2..=layers).step_by(2).map(pair).collect();
        Self {
            beside: 8usize.saturating_sub(2 * pairs.len()),
            eighths: [
                prime.known(eighth(2)),
                half(eighth(1) - eighth(3)),
                half(eighth(1) + eighth(3)),
            ],
            sixteenths: (0..8 * (before - 3) as usize)
                .map(|j| power(j, 4))
                .collect(),
            pairs,
        }
    }
}

/// What is done to the results of a pass.
pub(super) trait Sink {
    /// What is added to every result before.
    fn lift(k: &Constants) -> &[Vector; 5];

    /// Takes results `i + j q` and `i + (j + 2) q`, for a quarter q of all; j is 0 or 1.
    fn put(&mut self, i: usize, j: usize, values: [Loose; 2], k: &Constants);
}

/// Transforms whole vectors from bit-reversed to natural order, the first layer (sums and differences) being done, with copies for the next tasks beside; results are within 31 p if the pass has at most nine layers.
#[inline(always)]
pub(super) fn vertical<S: Sink, A: Aside>(
    ifma: Ifma,
    buffer: &mut [Loose],
    twiddles: &Twiddles,
    (sink, beside): (&mut S, &mut A),
    k: &Constants,
) {
    let (length, quarter) = (buffer.len(), buffer.len() / 4);
    let lift = Loose(*S::lift(k));
    if length < 32 {
        // SAFETY: `Ifma` proves the features.
        unsafe { layers(ifma, buffer, twiddles, beside, k) };
        for i in 0..quarter {
            for j in 0..2 {
                let first = i + j * quarter;
                let values = unrolled!(2, half => buffer[first + 2 * half * quarter].plus(&lift));
                sink.put(i, j, values, k);
            }
        }
        return;
    }
    for part in buffer.chunks_exact_mut(quarter) {
        // SAFETY: as above.
        unsafe { layers(ifma, part, twiddles, beside, k) };
    }
    let pair = pair_of(twiddles, buffer, k);
    let (low, high) = buffer.split_at(2 * quarter);
    let ((a, b), (c, d)) = (low.split_at(quarter), high.split_at(quarter));
    for (i, w) in pair.iter().enumerate() {
        let one = quarter == 8 && i == 0;
        beside.step(1);
        let values = [&a[i].plus(&lift), &b[i], &c[i], &d[i]];
        last_two_layers(ifma, values, (i, w, one), sink, k);
    }
}

/// Parts (as logarithm) of values of which the last four layers are done together.
pub(super) const LOG_PARTS: u32 = 4;

/// Values of each part that are worked on together.
pub(super) const TOGETHER: usize = 4;

/// The layers of a part, of a power of two from 8 on, the first being done.
#[inline(always)]
pub(super) fn layers_of_part<A: Aside>(
    ifma: Ifma,
    part: &mut [Loose],
    twiddles: &Twiddles,
    beside: &mut A,
    k: &Constants,
) {
    // SAFETY: `Ifma` proves the features.
    unsafe { layers(ifma, part, twiddles, beside, k) };
}

/// The last four layers on the values of all parts, of which each is read once. At most ten layers in all, before which
/// nothing is lowered.
#[inline(always)]
pub(super) fn last_layers<S: Sink, A: Aside>(
    ifma: Ifma,
    buffer: &[Loose],
    twiddles: &Twiddles,
    (between, sink, beside): (&mut [Loose; TOGETHER << LOG_PARTS], &mut S, &mut A),
    k: &Constants,
) {
    let part = buffer.len() >> LOG_PARTS;
    let index = twiddles.pairs.len() - 2;
    debug_assert!(index + 1 < UNBOUNDED);
    let lift = Loose(*S::lift(k));
    for start in (0..part).step_by(TOGETHER) {
        let pair = &twiddles.pairs[index][start..][..TOGETHER];
        for (i, w) in pair.iter().enumerate() {
            for (own, to) in buffer
                .chunks_exact(4 * part)
                .zip(between.chunks_exact_mut(4 * TOGETHER))
            {
                beside.step(1);
                let values = unrolled!(4, j => &own[j * part + start + i]);
                let values = two_layers(ifma, values, w, k);
                for j in 0..4 {
                    to[j * TOGETHER + i] = values[j];
                }
            }
        }
        for place in 0..4 * TOGETHER {
            let i = place / TOGETHER * part + start + place % TOGETHER;
            beside.step(1);
            let [a, b, c, d] = unrolled!(4, j => &between[place + 4 * TOGETHER * j]);
            let values = [&a.plus(&lift), b, c, d];
            let w = &twiddles.pairs[index + 1][i];
            last_two_layers(ifma, values, (i, w, false), sink, k);
        }
    }
}

/// Two layers on four values.
#[inline(always)]
fn two_layers(ifma: Ifma, [a, b, c, d]: [&Loose; 4], w: &[Known; 3], k: &Constants) -> [Loose; 4] {
    let [(a, b), (c, d)] = two_butterflies(ifma, [(a, b), (c, d)], &w[0], false, k);
    let (a, c) = butterfly(ifma, &a, &c, &w[1], k);
    let (b, d) = butterfly(ifma, &b, &d, &w[2], k);
    [a, b, c, d]
}

/// The last two, handed on; the first factor may be one.
#[inline(always)]
fn last_two_layers<S: Sink>(
    ifma: Ifma,
    [a, b, c, d]: [&Loose; 4],
    (i, w, one): (usize, &[Known; 3], bool),
    sink: &mut S,
    k: &Constants,
) {
    let [(a, b), (c, d)] = two_butterflies(ifma, [(a, b), (c, d)], &w[0], one, k);
    let (a, c) = butterfly(ifma, &a, &c, &w[1], k);
    sink.put(i, 0, [a, c], k);
    let (b, d) = butterfly(ifma, &b, &d, &w[2], k);
    sink.put(i, 1, [b, d], k);
}

/// All layers of a part, of a power of two from 8 on: those of its quarters first, which stay in the first-level cache.
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn layers<A: Aside>(
    ifma: Ifma,
    part: &mut [Loose],
    twiddles: &Twiddles,
    beside: &mut A,
    k: &Constants,
) {
    if part.len() < 32 {
        let mut eighths = &twiddles.eighths;
        for eight in part.as_chunks_mut::<8>().0 {
            // Otherwise all rows would be in vectors before, and these in memory.
            eighths = another(eighths);
            next_layers(ifma, eight, eighths, k);
            beside.step(twiddles.beside);
        }
        if part.len() == 16 {
            fourth_layer(ifma, part, &twiddles.sixteenths, k);
        }
        return;
    }
    let quarter = part.len() / 4;
    for part in part.chunks_exact_mut(quarter) {
        layers(ifma, part, twiddles, beside, k);
    }
    let pair = pair_of(twiddles, part, k);
    let (low, high) = part.split_at_mut(2 * quarter);
    let ((a, b), (c, d)) = (low.split_at_mut(quarter), high.split_at_mut(quarter));
    for (i, w) in pair.iter().enumerate() {
        let one = quarter == 8 && i == 0;
        beside.step(1);
        let both = [(&a[i], &b[i]), (&c[i], &d[i])];
        let [(a0, b0), (c0, d0)] = two_butterflies(ifma, both, &w[0], one, k);
        (a[i], c[i]) = butterfly(ifma, &a0, &c0, &w[1], k);
        (b[i], d[i]) = butterfly(ifma, &b0, &d0, &w[2], k);
    }
}

/// The factors of the last two layers of a part, which is lowered before if it must be.
#[inline(always)]
fn pair_of<'a>(twiddles: &'a Twiddles, part: &mut [Loose], k: &Constants) -> &'a [[Known; 3]] {
    let index = (part.len().ilog2() - 5) / 2;
    if index as usize >= UNBOUNDED {
        for value in &mut *part {
            *value = value.plus(&Loose(k.less_tails)).lowered(k);
        }
    }
    &twiddles.pairs[index as usize][..part.len() / 4]
}

/// `a + w b` and `a - w b`.
#[inline(always)]
fn butterfly(ifma: Ifma, a: &Loose, b: &Loose, w: &Known, k: &Constants) -> (Loose, Loose) {
    let product = w.multiply(ifma, b, k);
    (a.plus(&product), a.minus(&product))
}

/// Two butterflies by the same factor, which may be one.
#[inline(always)]
fn two_butterflies(
    ifma: Ifma,
    [(a, b), (c, d)]: [(&Loose, &Loose); 2],
    w: &Known,
    one: bool,
    k: &Constants,
) -> [(Loose, Loose); 2] {
    let [t, u] = if one {
        [*b, *d]
    } else {
        w.multiply_both(ifma, [b, d], k)
    };
    [(a.plus(&t), a.minus(&t)), (c.plus(&u), c.minus(&u))]
}

/// One layer on sixteen values.
#[inline(always)]
fn fourth_layer(ifma: Ifma, part: &mut [Loose], twiddles: &[Known], k: &Constants) {
    let (low, high) = part.split_at_mut(8);
    for (i, ((a, b), w)) in low.iter_mut().zip(high).zip(twiddles).enumerate() {
        (*a, *b) = if i == 0 {
            (a.plus(b), a.minus(b))
        } else {
            butterfly(ifma, a, b, w, k)
        };
    }
}

/// Two layers on eight values in bit-reversed order, after the first: sums from 0 to 4 p and differences in turn.
///
/// Odd results are `z_0 + i z_2 + (w z_1 + w^3 z_3)` and the like, for differences z of values. With `c = (w - w^3) / 2` and
/// `s = (w + w^3) / 2`, the sum is `c (z_1 - z_3) + s (z_1 + z_3)`, the one with 3 w for w `s (..) - c (..)`: two products, not four.
#[inline(always)]
fn next_layers(ifma: Ifma, v: &mut [Loose; 8], [i, c, s]: &[Known; 3], k: &Constants) {
    let [t, r] = i.multiply_both(ifma, [&v[4].minus(&v[6]), &v[3]], k);
    let even = v[0].minus(&v[2]);
    let (sum, other) = (v[0].plus(&v[2]), v[4].plus(&v[6]));
    (v[2], v[6]) = (even.plus(&t), even.minus(&t));
    let (even, odd) = (v[1].plus(&r), v[1].minus(&r));
    // Sums of all are from 0 to 16 p.
    v[0] = sum.plus(&other).minus(&Loose(k.p8));
    v[4] = sum.minus(&other);
    let (difference, sum) = (v[5].minus(&v[7]), v[5].plus(&v[7]));
    let (t, u) = (c.multiply(ifma, &difference, k), s.multiply(ifma, &sum, k));
    let (sum, difference) = (u.plus(&t), u.minus(&t));
    (v[1], v[5]) = (even.plus(&sum), even.minus(&sum));
    (v[3], v[7]) = (odd.plus(&difference), odd.minus(&difference));
}
