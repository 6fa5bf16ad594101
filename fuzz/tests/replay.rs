//! Every invariant over its seeds and deterministic mutations of them, on stable Rust.

use std::fs;
use std::path::PathBuf;

use zkernel_fuzz::INVARIANTS;

/// xorshift64*: enough to choose mutations, the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("seeds")
        .join(name);
    let mut paths: Vec<_> = fs::read_dir(&directory)
        .unwrap_or_else(|e| panic!("{}: {e}", directory.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "{name} has no seeds");
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// One to eight small changes: bytes set, inserted, removed, repeated, or a length made a lie.
fn mutate(seed: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(8) {
        let at = random.below(bytes.len());
        match random.below(6) {
            0 if !bytes.is_empty() => bytes[at] = random.next().to_le_bytes()[0],
            1 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
            2 => bytes.insert(at, random.next().to_le_bytes()[0]),
            3 if !bytes.is_empty() => {
                bytes.remove(at);
            }
            4 => bytes.extend((0..random.below(40)).map(|_| random.next().to_le_bytes()[0])),
            _ => {
                let lie = [0, 1 << 31, 1 << 63, u64::MAX][random.below(4)].to_le_bytes();
                for (byte, lie) in bytes[at..].iter_mut().zip(lie) {
                    *byte = lie;
                }
            }
        }
    }
    bytes
}

fn replay(name: &str, mutations: usize) {
    let (_, invariant) = INVARIANTS
        .iter()
        .find(|(known, _)| *known == name)
        .expect("a target");
    let seeds = seeds(name);
    seeds.iter().for_each(|seed| invariant(seed));
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..mutations {
        let seed = &seeds[random.below(seeds.len())];
        invariant(&mutate(seed, &mut random));
    }
}

macro_rules! replays {
    ($($name:ident: $mutations:expr,)*) => {$(
        #[test]
        fn $name() {
            replay(stringify!($name), $mutations);
        }
    )*

        #[test]
        fn no_target_is_left_out() {
            let names: Vec<&str> = INVARIANTS.iter().map(|(name, _)| *name).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

replays! {
    proof_decode: 4000,
    proof_verify: 300,
    graph_decode: 8000,
    transcript: 4000,
    forms: 3000,
    expressions: 3000,
    lookups: 60,
    circuits: 40,
    file_decode: 4000,
    samples: 3000,
    model_decode: 400,
}
