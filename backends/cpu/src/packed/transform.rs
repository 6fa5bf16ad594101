//! Number-theoretic transforms of one column, eight cells at a time, natural to natural order.
//!
//! Decimation in time. The first three layers act on eight blocks in eight lanes, read bit-reversed; then every block
//! becomes one vector, and the other layers are vertical. A butterfly adds at most 2 p to the bound of its operands and
//! a product with a twiddle is below 2 p whatever the bound, so nothing is reduced before the end.

use core::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use zkernel_backend::Field;
use zkernel_verifier::curve::powers;

use super::lanes::Lanes;
use super::prime::{Constants, Prime};
use super::rows::{ORDER, Word, load, store};
use super::vector::Vector;

/// Sizes that pay and whose bounds hold: `1 + 2 log_n < 62`.
pub(crate) const SIZES: core::ops::RangeInclusive<u32> = 6..=28;

/// Twiddles of a size and a direction.
pub(crate) struct Plan {
    log_n: u32,
    /// `w^0 .. w^3` of order 8, as factors.
    eighth: [[u64; 5]; 4],
    /// Layers of half 8, 16, ..: `w^0 ..` of order twice that, as factors in lanes.
    layers: Vec<Vec<Lanes>>,
}

/// Plans by size and direction.
type Cache = BTreeMap<(TypeId, u32, bool), Arc<dyn Any + Send + Sync>>;

static CACHE: Mutex<Cache> = Mutex::new(Cache::new());

impl Plan {
    /// The plan for `2^log_n` cells, powers of omega or, for the inverse, of its inverse. Made once.
    pub(crate) fn cached<F: Field>(prime: Prime<F>, log_n: u32, inverse: bool) -> Arc<Self> {
        let mut cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
        let plan = cache
            .entry((TypeId::of::<F>(), log_n, inverse))
            .or_insert_with(|| Arc::new(Self::new(prime, log_n, inverse)));
        Arc::clone(plan)
            .downcast()
            .unwrap_or_else(|_| Arc::new(Self::new(prime, log_n, inverse)))
    }

    fn new<F: Field>(prime: Prime<F>, log_n: u32, inverse: bool) -> Self {
        let root = if inverse {
            F::ROOT_OF_UNITY_INV
        } else {
            F::ROOT_OF_UNITY
        };
        let half = |log: u32| powers(root.pow_vartime([1 << (F::S - log)]), 1 << (log - 1));
        let eighth = half(3);
        let layer = |log: u32| {
            let mut factors: Vec<F> = half(log).iter().map(|w| *w * F::from(16)).collect();
            let (groups, _) = prime.words_mut(&mut factors).as_chunks::<8>();
            // SAFETY: `prime` holds an `Ifma`, which proves the features.
            groups
                .iter()
                .map(|group| unsafe { lanes(prime, group) })
                .collect()
        };
        Self {
            log_n,
            eighth: core::array::from_fn(|i| prime.factor(eighth[i])),
            layers: (4..=log_n).map(layer).collect(),
        }
    }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn lanes<F: Field>(prime: Prime<F>, words: &[Word; 8]) -> Lanes {
    load(prime.ifma, words)
}

/// Transforms a column of `2^log_n` cells; the results are multiplied by `scale`. `buffer` is overwritten.
pub(crate) fn transform<F: Field>(
    prime: Prime<F>,
    plan: &Plan,
    column: &mut [F],
    scale: F,
    buffer: &mut Vec<Lanes>,
) {
    debug_assert_eq!(column.len(), 1 << plan.log_n);
    let scale = (scale != F::ONE).then(|| prime.factor(scale));
    // SAFETY: `prime` holds an `Ifma`, which proves the features.
    unsafe { transform_words(prime, plan, prime.words_mut(column), scale, buffer) }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn transform_words<F: Field>(
    prime: Prime<F>,
    plan: &Plan,
    column: &mut [Word],
    scale: Option<[u64; 5]>,
    buffer: &mut Vec<Lanes>,
) {
    let k = prime.constants();
    let groups = column.len() / 8;
    buffer.clear();
    buffer.resize(groups, k.one);
    first_layers(prime, plan, column, buffer, &k);
    vertical(buffer, &plan.layers, &k);
    let scale = scale.map(|limbs| Lanes::splat(prime.ifma, limbs));
    for (cells, lanes) in column.as_chunks_mut::<8>().0.iter_mut().zip(buffer) {
        let scaled = scale.map_or(*lanes, |scale| lanes.multiply(&scale, &k));
        store(cells, &scaled.canonical(&k));
    }
}

/// Cell i of block b is cell `rev(8 b + i)` of the column: for blocks `t 8 + rev(lane)`.. in lanes these are eight
/// neighbours, `rev3(i) n / 8 + rev(t') 8 ..`.
#[inline(always)]
fn first_layers<F: Field>(
    prime: Prime<F>,
    plan: &Plan,
    column: &[Word],
    buffer: &mut [Lanes],
    k: &Constants,
) {
    let rev3 = |i: usize| i.reverse_bits() >> (usize::BITS - 3);
    let (groups, _) = column.as_chunks::<8>();
    let (count, blocks) = (groups.len(), groups.len() / 8);
    let twiddles = plan.eighth.map(|w| Lanes::splat(prime.ifma, w));
    let bits = blocks.trailing_zeros();
    for t in 0..blocks {
        let reversed = if bits == 0 {
            0
        } else {
            t.reverse_bits() >> (usize::BITS - bits)
        };
        let cells =
            core::array::from_fn(|i| load(prime.ifma, &groups[rev3(i) * (count / 8) + reversed]));
        let values = eight(cells, &twiddles, k);
        for (lane, block) in transposed(&values).into_iter().enumerate() {
            buffer[t + rev3(ORDER[lane]) * blocks] = block;
        }
    }
}

/// Lanes of eight values as values of eight lanes, in [`ORDER`] again.
#[inline(always)]
fn transposed(values: &[Lanes; 8]) -> [Lanes; 8] {
    let limb = |i: usize| Vector::transpose(core::array::from_fn(|j| values[ORDER[j]].0[i]));
    let limbs: [[Vector; 8]; 5] = core::array::from_fn(limb);
    core::array::from_fn(|lane| Lanes(limbs.map(|rows| rows[lane])))
}

/// Three layers on eight values in bit-reversed order.
#[inline(always)]
fn eight(mut v: [Lanes; 8], twiddles: &[Lanes; 4], k: &Constants) -> [Lanes; 8] {
    for half in [1, 2, 4] {
        for start in (0..8).step_by(2 * half) {
            for i in 0..half {
                // Reduced also where the twiddle is one: 2 p must cover what is subtracted.
                let high = v[start + half + i].multiply(&twiddles[i * (4 / half)], k);
                let low = v[start + i];
                v[start + i] = low.add(&high, k);
                v[start + half + i] = low.subtract(&high, &k.p2, k);
            }
        }
    }
    v
}

/// The layers of half 8 and more, depth first so that the narrow ones stay in the first-level cache.
#[inline(always)]
fn vertical(buffer: &mut [Lanes], layers: &[Vec<Lanes>], k: &Constants) {
    let narrow = layers.len().min(NARROW);
    for part in buffer.chunks_mut(1 << narrow) {
        for layer in &layers[..narrow] {
            butterflies(part, layer, k);
        }
    }
    for layer in &layers[narrow..] {
        butterflies(buffer, layer, k);
    }
}

/// Layers done together on a part: 2^7 vectors are 40 KiB.
const NARROW: usize = 7;

#[inline(always)]
fn butterflies(buffer: &mut [Lanes], twiddles: &[Lanes], k: &Constants) {
    for pair in buffer.chunks_exact_mut(2 * twiddles.len()) {
        let (low, high) = pair.split_at_mut(twiddles.len());
        for ((a, b), w) in low.iter_mut().zip(high).zip(twiddles) {
            let product = b.multiply(w, k);
            let sum = a.add(&product, k);
            *b = a.subtract(&product, &k.p2, k);
            *a = sum;
        }
    }
}
