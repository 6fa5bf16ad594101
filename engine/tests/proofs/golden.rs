//! For a fixed seed the proof bytes depend on nothing but the statement and the witness: not on the backend, not on
//! the number of threads.

use crate::network::{Network, SMALL, Shape};
use pasta_curves::EqAffine;
use zkernel_backend::Backend;
use zkernel_backend_cpu::Cpu;
use zkernel_backend_reference::Reference;
use zkernel_engine::prover::prove_unchecked;
use zkernel_engine::randomness::Randomness;
use zkernel_engine::{ProvingKey, Tensors};
use zkernel_verifier::msm::msm;
use zkernel_verifier::transcript::Transcript;
use zkernel_verifier::verify::verify;

/// Proof bytes of the fixture with that seed; the proof is one that verifies.
fn bytes<B: Backend<EqAffine>>(
    backend: &B,
    network: &Network,
    tensors: &Tensors<pasta_curves::Fp>,
    seed: u64,
) -> Vec<u8> {
    let (model, x) = network.example(4);
    let run = network.run(&model, &x);
    let (system, generators) = (network.system.clone(), network.generators());
    let key = ProvingKey::new(backend, system, generators, tensors, b"golden").unwrap();
    let instances = network.instances(&run);
    let proof = prove_unchecked(
        backend,
        &key,
        &instances,
        &network.witness(&run),
        Randomness::deterministic(seed),
        Transcript::new(),
    )
    .unwrap();
    assert_eq!(verify(&key.verifying, &instances, &proof, &msm), Ok(()));
    proof.encode()
}

fn same_bytes(shape: Shape) {
    let network = Network::new(shape);
    let tensors = network.tensors(&network.example(4).0);
    let golden = bytes(&Reference, &network, &tensors, 7);
    for threads in [1, 2, 8] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let ours = pool.install(|| bytes(&Cpu::new(), &network, &tensors, 7));
        assert!(ours == golden, "{threads} threads give another proof");
    }
    // Another seed blinds differently: the comparison above is not of constants.
    assert!(bytes(&Reference, &network, &tensors, 8) != golden);
}

#[test]
fn small() {
    same_bytes(SMALL);
}

#[test]
fn several_columns_a_tensor() {
    same_bytes(Shape {
        log_n: 5,
        inputs: 32,
        hidden: 40,
        outputs: 2,
    });
}
