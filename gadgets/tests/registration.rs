//! The weights' range proof: proven for honest weights of any width, refused for a weight one beyond its bits, and that
//! forgery wins where a limb's lookup is removed.

use crate::common::Net;
use pasta_curves::{EqAffine, Fp};
use proptest::prelude::*;
use zkernel_backend_cpu::Cpu;
use zkernel_engine::{ProvingKey, Tensors, Witness, executor, mock, prove};
use zkernel_gadgets::model::{Interval, Registration, Visibility, lower, register};
use zkernel_verifier::curve::Generators;
use zkernel_verifier::verify::verify;

const INPUT: Interval = Interval::new(-8, 7);

/// Two layers with biases, their bounds widened to those bits.
fn network(sizes: [usize; 3], bits: u32, seed: u64) -> Net {
    let [k, hidden, out] = sizes;
    let net = Net::new(&[1, k], INPUT, Visibility::Private, seed);
    let mut net = net.dense(hidden).relu(4, 9).dense(out).done();
    for weight in &mut net.graph.weights {
        weight.bound = weight.bound.max((1 << bits) - 1);
    }
    net
}

fn parts(net: &Net, log_n: u32) -> (Registration<Fp>, Tensors<Fp>, Witness<Fp>) {
    let registration = register::<Fp>(&net.graph, log_n).unwrap().unwrap();
    let lowered = lower::<Fp>(&net.graph, log_n).unwrap();
    let values = lowered.tensors(&net.graph, &net.weights);
    let tensors = Tensors::blinded(&registration.system, values).unwrap();
    let mut witness = Witness::default();
    for (track, cells) in registration.witness(&net.graph, &net.weights) {
        witness.assign(track, cells);
    }
    (registration, tensors, witness)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn honest_weights_are_proven(sizes in [1usize..20, 1usize..9, 1usize..5], bits in 0u32..25, log_n in 4u32..8, seed: u64) {
        let net = network(sizes, bits, seed);
        let (registration, tensors, witness) = parts(&net, log_n);
        let generators = Generators::<EqAffine>::derive(log_n);
        let key = ProvingKey::new(&Cpu::new(), registration.system, generators.clone(), &tensors, b"");
        let key = key.unwrap();
        let proof = prove(&Cpu::new(), &key, &[], &witness).unwrap();
        verify(&key.verifying, &[], &proof, &executor::<EqAffine, _>(&Cpu::new())).unwrap();
        // The commitments are those of the network's own key.
        let system = lower::<Fp>(&net.graph, log_n).unwrap().system;
        let own = ProvingKey::new(&Cpu::new(), system, generators, &tensors, b"").unwrap();
        prop_assert_eq!(own.verifying.tensors, key.verifying.tensors);
    }
}

/// A prover who commits to a weight beyond 2^11 has to put the excess into its highest limb: here two limbs of 6 bits, of
/// the 15 weights of the first matrix first.
#[test]
fn a_weight_beyond_its_bits_is_refused() {
    const HALF: i64 = 1 << 11;
    for delta in [0, 1, 1 << 20] {
        let mut net = network([5, 3, 2], 11, 3);
        net.weights.0[0][4] = HALF - 1 + delta;
        let (registration, tensors, _) = parts(&net, 5);
        let mut witness = Witness::default();
        for (track, mut cells) in registration.witness(&net.graph, &net.weights) {
            let raised = net.weights.0[0][4] + HALF;
            assert_eq!((cells[4], cells[19]), (raised & 63, raised >> 6 & 63));
            cells[19] = raised >> 6;
            witness.assign(track, cells);
        }
        let check = |system| mock::check(system, &[], &witness, &tensors).unwrap();
        let failures = check(&registration.system);
        assert_eq!(failures.is_empty(), delta == 0, "{delta}: {failures:?}");
        let mut open = registration.system.clone();
        open.lookups.clear();
        assert!(check(&open).is_empty());
    }
}
