//! Whole proofs on two backends at once, and on a backend that fails: what is returned is a correct proof or an error.

use crate::network::{Network, Run, SMALL, Shape};
use pasta_curves::{EqAffine, Fp};
use zkernel_backend::{Backend, BackendError};
use zkernel_backend_conformance::{Dual, Failure, Fault, Faulty, Operation, Reference};
use zkernel_backend_cpu::Cpu;
use zkernel_engine::{Error, ProvingKey, Tensors, prove};
use zkernel_verifier::msm::msm;
use zkernel_verifier::proof::Proof;
use zkernel_verifier::verify::verify;

/// A statement with its secrets.
struct Fixture {
    network: Network,
    tensors: Tensors<Fp>,
    run: Run,
}

type Key<B> = ProvingKey<EqAffine, B>;

impl Fixture {
    fn new(shape: Shape) -> Self {
        let network = Network::new(shape);
        let (model, x) = network.example(1);
        let (tensors, run) = (network.tensors(&model), network.run(&model, &x));
        Self {
            network,
            tensors,
            run,
        }
    }

    fn key<B: Backend<EqAffine>>(&self, backend: &B) -> Result<Key<B>, Error> {
        let (system, generators) = (self.network.system.clone(), self.network.generators());
        ProvingKey::new(backend, system, generators, &self.tensors, b"dual")
    }

    fn prove<B: Backend<EqAffine>>(
        &self,
        backend: &B,
        key: &Key<B>,
    ) -> Result<Proof<EqAffine>, Error> {
        let instances = self.network.instances(&self.run);
        prove(backend, key, &instances, &self.network.witness(&self.run))
    }

    /// Whether the scalar verifier, which no device can mislead, accepts.
    fn accepts<B: Backend<EqAffine>>(&self, key: &Key<B>, proof: &Proof<EqAffine>) -> bool {
        let instances = self.network.instances(&self.run);
        verify(&key.verifying, &instances, proof, &msm).is_ok()
    }
}

/// Every operation of a whole proof gives the same on both backends.
#[test]
fn reference_and_cpu_agree_throughout_a_proof() {
    for (log_n, inputs, hidden, outputs) in [(4, 5, 21, 3), (5, 7, 9, 30), (4, 37, 5, 2)] {
        let fixture = Fixture::new(Shape {
            log_n,
            inputs,
            hidden,
            outputs,
        });
        let backend = Dual {
            a: Reference,
            b: Cpu::new(),
        };
        let key = fixture.key(&backend).unwrap();
        let proof = fixture.prove(&backend, &key).unwrap();
        assert!(fixture.accepts(&key, &proof));
    }
}

/// Which calls of an operation to spoil: the first, a middle one and the last of `calls`.
fn sampled(calls: usize) -> Vec<usize> {
    let mut sample = vec![0, calls / 2, calls.saturating_sub(1)];
    sample.dedup();
    sample.retain(|call| *call < calls);
    sample
}

/// All faults of that kind at sampled calls of the operations that `job` performs.
fn faults(backend: &Faulty<Cpu>, failures: &[Failure], job: impl FnOnce()) -> Vec<Fault> {
    backend.arm(None);
    job();
    let at = |operation: &Operation| {
        sampled(backend.calls(*operation))
            .into_iter()
            .map(|call| (*operation, call))
            .collect::<Vec<_>>()
    };
    let calls = Operation::ALL.iter().flat_map(at);
    calls
        .flat_map(|(operation, call)| {
            failures.iter().map(move |failure| Fault {
                operation,
                call,
                failure: *failure,
            })
        })
        .collect()
}

/// A wrong limb anywhere in a proof is noticed by the prover's own check, or does not matter (blinding).
#[test]
fn a_flip_never_gives_a_wrong_proof() {
    let (fixture, backend) = (Fixture::new(SMALL), Faulty::new(Cpu::new()));
    let key = fixture.key(&backend).unwrap();
    let honest = || assert!(fixture.prove(&backend, &key).is_ok());
    let (mut noticed, flips) = (0, [Failure::Flip(0), Failure::Flip(3)]);
    for fault in faults(&backend, &flips, honest) {
        // A wrong shape is a driver beyond repair, not a wrong value.
        if fault.operation == Operation::Shape {
            continue;
        }
        backend.arm(Some(fault));
        match fixture.prove(&backend, &key) {
            Ok(proof) => assert!(fixture.accepts(&key, &proof), "{fault:?}"),
            Err(_) => noticed += 1,
        }
        assert!(backend.fired(), "{fault:?} never took place");
    }
    assert!(noticed > 20, "only {noticed} faults were noticed");
}

/// The device's own error comes back, whichever operation of the proof it strikes; later proofs are well.
#[test]
fn a_failing_device_gives_its_error() {
    let (fixture, backend) = (Fixture::new(SMALL), Faulty::new(Cpu::new()));
    let key = fixture.key(&backend).unwrap();
    let honest = || assert!(fixture.prove(&backend, &key).is_ok());
    let failures = [Failure::DeviceLost, Failure::OutOfMemory];
    for fault in faults(&backend, &failures, honest) {
        if fault.operation == Operation::Shape {
            continue;
        }
        backend.arm(Some(fault));
        typed(fault, fixture.prove(&backend, &key));
    }
    backend.arm(None);
    assert!(fixture.prove(&backend, &key).is_ok());
}

/// The same while the key is made: an error, or a key whose proofs are right or refused.
#[test]
fn faults_of_key_generation() {
    let (fixture, backend) = (Fixture::new(SMALL), Faulty::new(Cpu::new()));
    let failures = [Failure::Flip(1), Failure::DeviceLost, Failure::OutOfMemory];
    let honest = || assert!(fixture.key(&backend).is_ok());
    for fault in faults(&backend, &failures, honest) {
        backend.arm(Some(fault));
        let key = fixture.key(&backend);
        if !matches!(fault.failure, Failure::Flip(_)) {
            typed(fault, key);
            continue;
        }
        backend.arm(None);
        let Ok(key) = key else { continue };
        if let Ok(proof) = fixture.prove(&backend, &key) {
            assert!(fixture.accepts(&key, &proof), "{fault:?}");
        }
    }
}

fn typed<T>(fault: Fault, result: Result<T, Error>) {
    let Err(Error::Backend(error)) = result else {
        panic!("{fault:?}: the device's error is wanted");
    };
    let operation = fault.operation.name();
    match error {
        BackendError::DeviceLost { operation: o } => {
            assert_eq!((fault.failure, o), (Failure::DeviceLost, operation));
        }
        BackendError::OutOfMemory { operation: o, .. } => {
            assert_eq!((fault.failure, o), (Failure::OutOfMemory, operation));
        }
        other => panic!("{fault:?}: {other}"),
    }
}
