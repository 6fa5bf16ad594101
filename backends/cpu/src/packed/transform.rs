//! The number-theoretic transform of a column, eight rows at a time.
//!
//! With n = 8 m and row l m + v in lane position (l, v): `X[k + 8 j] = sum_v w^(8 v j) w^(v k) sum_l w^(m l k) x[l m + v]`.
//! The inner sum is a transform of size 8 across vectors of consecutive rows v; a transpose then makes k the lane, and
//! the rest is a transform of size m of whole vectors, whose outputs are consecutive rows again.
//!
//! Elements stay as stored, `x 2^256`; twiddles are factors, `w 2^260`.

use ff::PrimeField;

use super::lanes::Lanes;
use super::prime::{Constants, Prime};
use super::vector::Vector;

/// Least rows of a packed transform.
pub(crate) const LEAST_ROWS: usize = 64;

/// Layers between which sums are not reduced: they grow from 2 p to 16 p.
const LAZY_LAYERS: usize = 4;

/// Twiddles of a size.
pub(crate) struct Twiddles<F> {
    /// `16 w^(v k)` for blocks of eight v, then k, then v.
    rows: Vec<F>,
    /// `w^(8 j) 2^260`, half a period.
    factors: Vec<[u64; 5]>,
    /// `w^(m l) 2^260`, half a period.
    eighths: [[u64; 5]; 4],
}

impl<F: PrimeField> Twiddles<F> {
    /// From `1, w, ..`, half a period of them.
    pub(crate) fn new(prime: Prime<F>, powers: &[F]) -> Self {
        let (half, m) = (powers.len(), powers.len() / 4);
        let power = |e: usize| {
            if e < half {
                powers[e]
            } else {
                -powers[e - half]
            }
        };
        let row = |i: usize| power((i / 64 * 8 + i % 8) * (i / 8 % 8)) * F::from(16);
        Self {
            rows: (0..8 * m).map(row).collect(),
            factors: powers.iter().step_by(8).map(|w| prime.factor(*w)).collect(),
            eighths: core::array::from_fn(|l| prime.factor(powers[m * l])),
        }
    }
}

/// Transforms a column of at least [`LEAST_ROWS`] rows in natural order, then multiplies by `scale`.
pub(crate) fn transform<F: PrimeField>(
    prime: Prime<F>,
    twiddles: &Twiddles<F>,
    column: &mut [F],
    scale: F,
) {
    let scale = prime.factor(scale);
    // SAFETY: `prime` holds an `Ifma`, which proves the features.
    unsafe { transform_packed(prime, twiddles, column, scale) }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn transform_packed<F: PrimeField>(
    prime: Prime<F>,
    twiddles: &Twiddles<F>,
    column: &mut [F],
    scale: [u64; 5],
) {
    let k = &prime.constants();
    let sixteen = k.p.map(Vector::shl::<4>);
    let m = column.len() / 8;
    let mut vectors = Vec::with_capacity(m);
    for block in 0..m / 8 {
        let rows: [Lanes; 8] =
            core::array::from_fn(|l| read(prime, &column[l * m + 8 * block..][..8]));
        let mut sums = eight(prime, rows, &twiddles.eighths, &sixteen, k);
        for (i, sum) in sums.iter_mut().enumerate() {
            let factor = read(prime, &twiddles.rows[64 * block + 8 * i..][..8]);
            *sum = sum.multiply(&factor, k);
        }
        let limbs: [[Vector; 8]; 5] =
            core::array::from_fn(|limb| Vector::transpose(sums.map(|sum| sum.0[limb])));
        vectors.extend((0..8).map(|v| Lanes(limbs.map(|limb| limb[v]))));
    }
    layers(prime, &mut vectors, &twiddles.factors, 1, 0, &sixteen, k);
    let scale = Lanes::splat(prime.ifma, scale);
    let shift = usize::BITS - m.ilog2();
    for (i, rows) in column.chunks_exact_mut(8).enumerate() {
        let value = vectors[i.reverse_bits() >> shift].multiply(&scale, k);
        write(prime, &value.canonical(k), rows);
    }
}

/// Eight consecutive elements.
#[inline(always)]
pub(crate) fn read<F: PrimeField>(prime: Prime<F>, elements: &[F]) -> Lanes {
    let words = prime.words(elements);
    let word = |i: usize| {
        let words: [u64; 8] = core::array::from_fn(|lane| words[lane][i]);
        Vector::load(prime.ifma, &words)
    };
    Lanes::unpack(prime.ifma, [word(0), word(1), word(2), word(3)])
}

/// Writes eight canonical elements.
#[inline(always)]
pub(crate) fn write<F: PrimeField>(prime: Prime<F>, lanes: &Lanes, elements: &mut [F]) {
    let packed = lanes.pack().map(Vector::words);
    for (lane, element) in prime.words_mut(elements).iter_mut().enumerate() {
        *element = packed.map(|words| words[lane]);
    }
}

/// The transform of size 8 across vectors. From below p to below 32 p.
#[inline(always)]
fn eight<F: PrimeField>(
    prime: Prime<F>,
    mut x: [Lanes; 8],
    eighths: &[[u64; 5]; 4],
    sixteen: &[Vector; 5],
    k: &Constants,
) -> [Lanes; 8] {
    for half in [4, 2, 1] {
        for i in (0..8).filter(|i| i & half == 0) {
            let (a, b) = (x[i], x[i + half]);
            x[i] = a.add(&b, k);
            x[i + half] = a.subtract(&b, sixteen, k);
            if half > 1 {
                let factor = Lanes::splat(prime.ifma, eighths[i % half * (4 / half)]);
                x[i + half] = x[i + half].multiply(&factor, k);
            }
        }
    }
    [x[0], x[4], x[2], x[6], x[1], x[5], x[3], x[7]]
}

/// Decimation in frequency on whole vectors below 16 p, depth first; outputs in bit-reversed order, below 32 p.
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn layers<F: PrimeField>(
    prime: Prime<F>,
    vectors: &mut [Lanes],
    factors: &[[u64; 5]],
    stride: usize,
    layer: usize,
    sixteen: &[Vector; 5],
    k: &Constants,
) {
    let half = vectors.len() / 2;
    let reduced = layer % LAZY_LAYERS == LAZY_LAYERS - 1;
    let (low, high) = vectors.split_at_mut(half);
    let twiddles = factors.iter().step_by(stride);
    for ((a, b), w) in low.iter_mut().zip(high.iter_mut()).zip(twiddles) {
        let difference = a.subtract(b, sixteen, k);
        let sum = a.add(b, k);
        *a = if reduced { sum.canonical(k) } else { sum };
        *b = difference.multiply(&Lanes::splat(prime.ifma, *w), k);
    }
    if half > 1 {
        layers(prime, low, factors, 2 * stride, layer + 1, sixteen, k);
        layers(prime, high, factors, 2 * stride, layer + 1, sixteen, k);
    }
}
