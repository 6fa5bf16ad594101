//! Completeness: honest proofs of a small network are accepted, on every backend, and other statements are not.

use crate::network::{Network, SMALL, Shape};
use pasta_curves::{EqAffine, Fp};
use zkernel_backend::Backend;
use zkernel_backend_cpu::Cpu;
use zkernel_backend_reference::Reference;
use zkernel_engine::{Error, ProvingKey, prove};
use zkernel_verifier::msm::msm;
use zkernel_verifier::proof::Proof;
use zkernel_verifier::verify::{Rejection, verify};

fn prove_and_verify<B: Backend<EqAffine>>(backend: &B, shape: Shape, seed: i64) {
    let network = Network::new(shape);
    let (model, x) = network.example(seed);
    let run = network.run(&model, &x);
    let tensors = network.tensors(&model);
    let key = ProvingKey::new(
        backend,
        network.system.clone(),
        network.generators(),
        &tensors,
        b"test",
    )
    .unwrap();
    let instances = network.instances(&run);
    let proof = prove(backend, &key, &instances, &network.witness(&run)).unwrap();
    let bytes = proof.encode();
    assert_eq!(bytes.len(), key.verifying.shape.bytes());
    let decoded = Proof::decode(&bytes, &key.verifying.shape).unwrap();
    assert_eq!(decoded, proof);
    assert_eq!(verify(&key.verifying, &instances, &decoded, &msm), Ok(()));

    let mut other = instances;
    other[0][0] += Fp::one();
    assert_eq!(
        verify(&key.verifying, &other, &proof, &msm),
        Err(Rejection::Invalid)
    );
    assert!(matches!(
        prove(backend, &key, &other, &network.witness(&run)),
        Err(Error::Unsatisfied(_))
    ));
}

#[test]
fn reference_backend() {
    prove_and_verify(&Reference, SMALL, 1);
}

#[test]
fn cpu_backend_small() {
    for seed in 0..3 {
        prove_and_verify(&Cpu::new(), SMALL, seed);
    }
}

/// One tensor of many columns with padding rows, one of few; tracks of several lanes.
#[test]
fn cpu_backend_shapes() {
    for (log_n, inputs, hidden, outputs) in [
        (3, 2, 3, 1),
        (5, 32, 40, 2),
        (5, 7, 9, 30),
        (6, 3, 100, 10),
        (8, 40, 30, 5),
    ] {
        prove_and_verify(
            &Cpu::new(),
            Shape {
                log_n,
                inputs,
                hidden,
                outputs,
            },
            5,
        );
    }
}

/// A matrix row longer than n spans several columns.
#[test]
fn rows_longer_than_a_column() {
    prove_and_verify(
        &Cpu::new(),
        Shape {
            log_n: 4,
            inputs: 37,
            hidden: 5,
            outputs: 2,
        },
        2,
    );
}

#[test]
fn another_model_is_rejected() {
    let backend = Cpu::new();
    let network = Network::new(SMALL);
    let (model, x) = network.example(3);
    let run = network.run(&model, &x);
    let key = |model| {
        let (system, tensors) = (network.system.clone(), network.tensors(model));
        ProvingKey::<EqAffine, _>::new(&backend, system, network.generators(), &tensors, b"test")
            .unwrap()
    };
    let honest = key(&model);
    let instances = network.instances(&run);
    let proof = prove(&backend, &honest, &instances, &network.witness(&run)).unwrap();
    let mut changed = model.clone();
    changed.w2[4] += 1;
    assert_eq!(
        verify(&key(&changed).verifying, &instances, &proof, &msm),
        Err(Rejection::Invalid)
    );
    // The same model committed again has other blinding factors, hence another key.
    assert_eq!(
        verify(&key(&model).verifying, &instances, &proof, &msm),
        Err(Rejection::Invalid)
    );
    let wrong = prove(&backend, &key(&changed), &instances, &network.witness(&run));
    assert!(matches!(wrong, Err(Error::Unsatisfied(_))));
}
