//! Every invariant on stable: on nothing, on long runs of one byte, on random bytes, and on mutations of valid encodings.

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use zkernel_fuzz::{INVARIANTS, decode_graph, decode_proof, proven};
use zkernel_gadgets::model::{Graph, Interval, Node, Op, Tensor, TensorId, Visibility};
use zkernel_verifier::encoding::Writer;

/// Inputs per invariant; proving and verifying ones cost milliseconds each.
const RUNS: [(&str, u64); 7] = [
    ("decode_proof", 2000),
    ("decode_graph", 5000),
    ("verify_edited", 300),
    ("transcript", 5000),
    ("forms", 2000),
    ("expressions", 2000),
    ("circuits", 150),
];

fn random(rng: &mut ChaCha20Rng, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    rng.fill_bytes(&mut bytes);
    bytes
}

#[test]
fn invariants_hold_on_random_bytes() {
    for (name, invariant) in INVARIANTS {
        let (_, runs) = RUNS
            .iter()
            .find(|(known, _)| *known == name)
            .expect("a run count");
        invariant(&[]);
        invariant(&[0; 300]);
        invariant(&[255; 300]);
        let mut rng = ChaCha20Rng::seed_from_u64(name.len() as u64);
        for run in 0..*runs {
            let len = (rng.next_u32() % if run % 10 == 0 { 5000 } else { 120 }) as usize;
            invariant(&random(&mut rng, len));
        }
    }
}

/// Flips, cuts, insertions and length lies in a valid encoding.
fn mutations(honest: &[u8], count: usize, check: fn(&[u8])) {
    check(honest);
    let mut rng = ChaCha20Rng::seed_from_u64(honest.len() as u64);
    for _ in 0..count {
        let mut bytes = honest.to_vec();
        for _ in 0..=rng.next_u32() % 3 {
            let at = rng.next_u32() as usize % bytes.len();
            match rng.next_u32() % 5 {
                0 => bytes[at] ^= 1 << (rng.next_u32() % 8),
                1 => bytes[at] = 255,
                2 => bytes.truncate(at.max(1)),
                3 => bytes.insert(at, rng.next_u32() as u8),
                _ => {
                    let lie = [0u64, 1 << 31, 1 << 63, u64::MAX][rng.next_u32() as usize % 4];
                    let end = (at + 8).min(bytes.len());
                    bytes[at..end].copy_from_slice(&lie.to_le_bytes()[..end - at]);
                }
            }
        }
        check(&bytes);
    }
}

#[test]
fn mutated_proofs() {
    mutations(&proven().1.encode(), 3000, decode_proof);
}

#[test]
fn mutated_graphs() {
    let tensor = |name: &str| Tensor {
        name: name.into(),
        shape: vec![2, 3],
        scale: 0.5,
        zero_point: 0,
        range: Interval::new(-8, 7),
        visibility: Visibility::Public,
    };
    let graph = Graph {
        name: "graph".into(),
        tensors: vec![tensor("x"), tensor("y")],
        weights: Vec::new(),
        tables: Vec::new(),
        nodes: vec![Node {
            name: "reshape".into(),
            op: Op::Reshape,
            inputs: vec![TensorId(0)],
            output: TensorId(1),
        }],
        inputs: vec![TensorId(0)],
        outputs: vec![TensorId(1)],
    };
    let mut writer = Writer::new();
    graph.encode(&mut writer);
    mutations(&writer.0, 20_000, decode_graph);
}
