//! Whole proofs: the product chain, with the proofs of both sides verified before they are timed.

use zkernel_benches::chains::{Chain, factors};
use zkernel_benches::peers::halo2_chain::Halo2Chain;
use zkernel_benches::timing::Task;
use zkernel_engine::product_chain::Wiring;

use crate::{Outcome, Plan};

/// 2^k - 64 factors, at two sizes by copies and at the smaller one by rotations.
pub fn chains(plan: &Plan) -> Outcome {
    let sizes: &[u32] = if plan.quick { &[14] } else { &[14, 17] };
    let groups = ["prove", "verify"];
    sizes
        .iter()
        .try_for_each(|k| chain(plan, *k, Wiring::Copies, groups))?;
    let groups = ["prove_rotations", "verify_rotations"];
    chain(plan, sizes[0], Wiring::Rotations, groups)
}

fn chain(plan: &Plan, k: u32, wiring: Wiring, groups: [&'static str; 2]) -> Outcome {
    let [prove, verify] = groups;
    if !plan.wants(prove) && !plan.wants(verify) {
        return Ok(());
    }
    let ours = Chain::new(k, wiring)?;
    let rotations = wiring == Wiring::Rotations;
    let theirs = Halo2Chain::new(k, &factors(k), ours.product(), rotations);
    let (proof, their_proof) = (ours.prove()?, theirs.prove());
    ours.verify(&proof)?;
    if !theirs.verify(&their_proof) {
        return Err(format!("halo2_proofs refuses its own proof at k = {k}").into());
    }
    let bytes = (proof.encode().len(), their_proof.len());
    eprintln!("{prove} {k}: proofs of {} and {} bytes", bytes.0, bytes.1);
    if plan.wants(prove) {
        let tasks = vec![
            Task::new("ours", || ours.prove()),
            Task::new("halo2_proofs", || theirs.prove()),
        ];
        plan.report(prove, k, 1, tasks);
    }
    if plan.wants(verify) {
        let tasks = vec![
            Task::new("ours", || ours.verify(&proof)),
            Task::new("halo2_proofs", || theirs.verify(&their_proof)),
        ];
        plan.report(verify, k, 1, tasks);
    }
    Ok(())
}
