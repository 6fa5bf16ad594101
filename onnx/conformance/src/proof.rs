//! One proof of a quantized network, and its verification.

use pasta_curves::{EqAffine, Fp};
use zkernel_backend_cpu::Cpu;
use zkernel_engine::{ProvingKey, Tensors, Witness, executor, prove};
use zkernel_gadgets::model::{LowerError, Trace, choose_layout, cost, lower};
use zkernel_onnx::Quantized;
use zkernel_verifier::curve::{Generators, signed};
use zkernel_verifier::verify::verify;

/// Generators that have been derived, by log2 of their number.
pub type KnownGenerators = std::collections::BTreeMap<u32, Generators<EqAffine>>;

/// Commits to the weights, proves a run with its outputs public, and verifies the proof.
///
/// # Errors
/// In words, from whichever step failed.
pub fn prove_and_verify(
    quantized: &Quantized,
    integers: &[Vec<i64>],
    known: &mut KnownGenerators,
) -> Result<(), String> {
    let words = |e: &dyn std::fmt::Display| e.to_string();
    let cheapest = choose_layout::<Fp, LowerError>(&quantized.graph, |_, system| {
        Ok(cost::additions(system) as f64)
    });
    let (graph, log_n) = cheapest.map_err(|e| words(&e))?;
    let trace: Trace = zkernel_gadgets::model::run(
        &graph,
        &quantized.weights,
        integers,
        &mut zkernel_gadgets::model::Honest,
    )
    .map_err(|e| words(&e))?;
    let lowered = lower::<Fp>(&graph, log_n).map_err(|e| words(&e))?;
    let tensors = Tensors::blinded(&lowered.system, lowered.tensors(&graph, &quantized.weights))
        .map_err(|e| words(&e))?;
    let mut witness = Witness::default();
    for (track, cells) in lowered.witness(&trace) {
        witness.assign(track, cells);
    }
    let public = lowered
        .instances
        .iter()
        .map(|id| &trace.values[id.0 as usize]);
    let public: Vec<Vec<Fp>> = public
        .map(|values| values.iter().map(|v| signed(*v)).collect())
        .collect();
    let backend = Cpu::new();
    let generators = known
        .entry(log_n)
        .or_insert_with(|| Generators::derive(log_n))
        .clone();
    let key = ProvingKey::new(
        &backend,
        lowered.system,
        generators,
        &tensors,
        b"onnx node case",
    )
    .map_err(|e| words(&e))?;
    let proof = prove(&backend, &key, &public, &witness).map_err(|e| words(&e))?;
    verify(&key.verifying, &public, &proof, &executor(&backend)).map_err(|e| words(&e))
}
