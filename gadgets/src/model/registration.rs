//! The weights' range proof: every private weight w satisfies `-2^b <= w < 2^b`, b the bits of its declared bound.
//!
//! Proven once for a commitment, on the same tensors as every later proof: `w + 2^b = sum of limbs`, each limb looked up in
//! its range, tied to the tensors by one linear form for each matrix. Costs one cell and one lookup a limb of at most
//! [`LIMB_BITS`] bits. Without it a committed weight could be any field element and integer bounds would mean nothing.

use ff::PrimeField;
use zkernel_verifier::form::{Source, TrackId};
use zkernel_verifier::system::{ConstraintSystem, Region};

use super::graph::{Graph, Interval, Visibility, Weight, WeightId, WeightValues};
use super::limbs::even_limbs;
use super::lower::wiring::{Representation, strides};
use super::lower::{LowerError, Lowering, WeightPlace};

/// Most bits of a limb: tables of 2^10 rows.
pub const LIMB_BITS: u32 = 10;

/// The constraint system of a range proof and where its cells come from.
#[derive(Clone, Debug)]
pub struct Registration<F> {
    /// The system; its tensors are those of the lowered graph, in the same order.
    pub system: ConstraintSystem<F>,
    limbs: Vec<Limb>,
}

/// One limb of every cell of a matrix.
#[derive(Clone, Copy, Debug)]
struct Limb {
    weight: WeightId,
    region: Region,
    /// Bits below it.
    position: u32,
    bits: u32,
}

/// Bits b with `bound < 2^b`: what is proven is `-2^b <= w < 2^b`.
#[must_use]
pub fn magnitude_bits(weight: &Weight) -> u32 {
    64 - weight.bound.unsigned_abs().leading_zeros()
}

/// The range proof's constraints for a validated graph on columns of `2^log_n` rows; `None` if no weight is private.
///
/// # Errors
/// [`LowerError`] if a matrix is too large for one linear form.
pub fn register<F: PrimeField>(
    graph: &Graph,
    log_n: u32,
) -> Result<Option<Registration<F>>, LowerError> {
    let mut lowering = Lowering::<F>::new(graph, log_n);
    lowering.place_all_weights();
    let mut limbs = Vec::new();
    for place in lowering.weights.clone() {
        let weight = &graph.weights[place.weight.0 as usize];
        if weight.visibility == Visibility::Private {
            limbs.extend(lowering.register_weight(weight, place)?);
        }
    }
    let system = lowering.builder.finish()?;
    Ok((!limbs.is_empty()).then_some(Registration { system, limbs }))
}

impl<F: PrimeField> Lowering<'_, F> {
    /// `w = sum of limbs - 2^b`, limb by limb in its range.
    fn register_weight(
        &mut self,
        weight: &Weight,
        place: WeightPlace,
    ) -> Result<Vec<Limb>, LowerError> {
        let shape = [weight.rows, weight.cols];
        let bits = magnitude_bits(weight);
        let mut sum = Representation::constant(-(1 << bits), &shape);
        let (mut limbs, mut position) = (Vec::new(), 0);
        for bits in even_limbs(bits + 1, LIMB_BITS) {
            let track = self.range_track(Interval::new(0, (1 << bits) - 1));
            let region = self.builder.region(track, weight.rows * weight.cols);
            sum = sum.plus(Representation::cells(region, &shape).times(1 << position));
            limbs.push(Limb {
                weight: place.weight,
                region,
                position,
                bits,
            });
            position += bits;
        }
        let mut tensor = Representation::of(Source::Track(place.track), place.start, &shape);
        for term in &mut tensor.terms {
            let along = strides(&[weight.rows, place.stride.max(1)]);
            term.spans
                .iter_mut()
                .zip(along)
                .for_each(|(span, stride)| span.stride = stride);
        }
        let tied = self.equal(format!("{}/range", weight.name), &tensor, &sum);
        let too_large = || LowerError::Unsupported {
            node: weight.name.clone(),
            problem: "has more than 2^32 cells",
        };
        tied.map(|()| limbs).ok_or_else(too_large)
    }
}

impl<F> Registration<F> {
    /// Phase-1 cells for these weights, by track in order of position.
    #[must_use]
    pub fn witness(&self, graph: &Graph, values: &WeightValues) -> Vec<(TrackId, Vec<i64>)> {
        let mut tracks: Vec<(TrackId, Vec<i64>)> = Vec::new();
        for limb in &self.limbs {
            let weight = &graph.weights[limb.weight.0 as usize];
            let half = 1i64 << magnitude_bits(weight);
            let cut = |w: &i64| ((w + half) >> limb.position) & ((1 << limb.bits) - 1);
            let cells = values.0[limb.weight.0 as usize].iter().map(cut);
            let track = limb.region.track;
            let index = tracks.iter().position(|(id, _)| *id == track);
            let index = index.unwrap_or_else(|| {
                tracks.push((track, Vec::new()));
                tracks.len() - 1
            });
            debug_assert_eq!(tracks[index].1.len(), limb.region.start);
            tracks[index].1.extend(cells);
        }
        tracks
    }
}
