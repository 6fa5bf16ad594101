//! Choosing n: the column length with the least predicted cost.

use ff::PrimeField;
use zkernel_verifier::system::{ConstraintSystem, Phase, TrackKind};

use super::graph::Graph;
use super::lower::{LowerError, lower};

/// Candidates for log2 of the column length.
const LOG_N: std::ops::RangeInclusive<u32> = 6..=14;

/// Predicted point additions of one proof. Inner rounds: about 150 per generator. A full-size column: about 32 per
/// cell. Small integers and dictionary columns: about one per cell. Every tensor or fixed column: about 64 for folding
/// its commitment. Every advice column: about 2,000 for its blinding factor, its transforms, and the commitment,
/// evaluation and verifier's work that it adds to the proof.
#[must_use]
pub fn additions<F: PrimeField>(system: &ConstraintSystem<F>) -> usize {
    let n = system.rows();
    let columns = |kind| system.columns_of(kind);
    let full = columns(TrackKind::Advice(Phase::Two)) + system.quotient_columns();
    let light = columns(TrackKind::Advice(Phase::One)) + columns(TrackKind::Advice(Phase::Three));
    let tensors = columns(TrackKind::Tensor) + columns(TrackKind::Fixed);
    150 * n + 32 * n * full + n * light + 2000 * (full + light) + 64 * tensors
}

/// log2 of the cheapest column length for a graph: `cost`, which may be slow and exact, decides between the length with the
/// fewest [`additions`] and its neighbours.
///
/// # Errors
/// [`LowerError`] if the graph cannot be lowered at any length, or whatever `cost` fails with.
pub fn choose_log_n<F: PrimeField, E: From<LowerError>>(
    graph: &Graph,
    mut cost: impl FnMut(&ConstraintSystem<F>) -> Result<f64, E>,
) -> Result<u32, E> {
    let lowered = |log_n| Ok::<_, LowerError>(lower::<F>(graph, log_n)?.system);
    let costs = LOG_N.map(|log_n| Ok((additions(&lowered(log_n)?), log_n)));
    let costs = costs.collect::<Result<Vec<_>, LowerError>>()?;
    let least = costs.into_iter().min();
    let middle = least.map_or(*LOG_N.start(), |(_, log_n)| log_n);
    let mut best = (f64::INFINITY, middle);
    for log_n in (middle - 1..=middle + 1).filter(|log_n| LOG_N.contains(log_n)) {
        let found = cost(&lowered(log_n)?)?;
        if found < best.0 {
            best = (found, log_n);
        }
    }
    Ok(best.1)
}
