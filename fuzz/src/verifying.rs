//! The verifier on a valid proof with edits: it never panics, and accepts nothing but the unedited bytes.

use std::sync::OnceLock;

use ff::PrimeField as _;
use pasta_curves::{EqAffine, Fp};
use zkernel_backend_cpu::Cpu;
use zkernel_engine::{ProvingKey, Tensors, Witness, prove};
use zkernel_verifier::builder::SystemBuilder;
use zkernel_verifier::curve::{Generators, signed};
use zkernel_verifier::expression::Expression;
use zkernel_verifier::form::{Cell, LinearForm, SparseEntry, TrackId};
use zkernel_verifier::key::VerifyingKey;
use zkernel_verifier::msm::msm;
use zkernel_verifier::proof::Proof;
use zkernel_verifier::system::{LookupInput, Phase};
use zkernel_verifier::verify::verify;

use crate::source::Source;

pub(crate) struct Fixture {
    pub(crate) key: VerifyingKey<EqAffine>,
    proof: Vec<u8>,
    instances: Vec<Vec<Fp>>,
}

/// Squares of looked-up values, the first of them copied, all public.
pub(crate) fn fixture() -> &'static Fixture {
    static FIXTURE: OnceLock<Fixture> = OnceLock::new();
    FIXTURE.get_or_init(|| {
        let mut b = SystemBuilder::<Fp>::new(3, 1);
        let [x, y] = ["x", "y"].map(|name| b.advice(name, Phase::One, 0));
        [x, y].iter().for_each(|track| {
            b.region(*track, 5);
        });
        let table = b.table("small", 1, (0..6).collect());
        b.lookup("x small", table, vec![LookupInput::plain(x)], None);
        let (px, py) = (b.plain(x), b.plain(y));
        b.gate("y = x^2", Expression::from(px) * px - py);
        let public = b.instance("y0", 1);
        b.constrain(
            "copy",
            2,
            vec![
                sparse(&[(x, 0, 1, 0), (x, 1, -1, 0), (y, 0, 1, 1)]),
                instance(public),
            ],
        );
        let system = b.finish().expect("a well-formed system");
        let backend = Cpu::new();
        let none = Tensors {
            values: Vec::new(),
            blinders: Vec::new(),
        };
        let key = ProvingKey::new(&backend, system, Generators::derive(3), &none, b"fuzz")
            .expect("a key");
        let mut witness = Witness::default();
        witness.assign(x, vec![3, 3, 5, 1, 0]);
        witness.assign(y, vec![9, 9, 25, 1, 0]);
        let instances = vec![vec![Fp::from(9)]];
        let proof = prove(&backend, &key, &instances, &witness).expect("an honest proof");
        Fixture {
            key: key.verifying,
            proof: proof.encode(),
            instances,
        }
    })
}

/// `coefficient * lambda^claim * cell` for each `(track, position, coefficient, claim)`.
fn sparse(entries: &[(TrackId, usize, i64, u32)]) -> LinearForm<Fp> {
    let entry = |(track, position, coefficient, claim): &(TrackId, usize, i64, u32)| SparseEntry {
        cell: Cell {
            track: *track,
            position: *position,
        },
        coefficient: signed(*coefficient),
        claim: *claim,
    };
    LinearForm::Sparse(entries.iter().map(entry).collect())
}

/// `-lambda * instance`.
fn instance(id: zkernel_verifier::form::InstanceId) -> LinearForm<Fp> {
    use zkernel_verifier::challenge::{Challenge, Coefficient};
    LinearForm::Strided(zkernel_verifier::form::Strided {
        source: zkernel_verifier::form::Source::Instance(id),
        start: 0,
        axes: Vec::new(),
        scale: Coefficient {
            value: -Fp::one(),
            power: Some((Challenge::Lambda, 1)),
        },
    })
}

/// Edits of a valid proof and its public value: flipped bytes, slots copied or zeroed, bytes cut or appended.
pub fn proof_verify(bytes: &[u8]) {
    let fixture = fixture();
    let mut source = Source::new(bytes);
    let mut proof = fixture.proof.clone();
    let mut instances = fixture.instances.clone();
    while !source.is_empty() {
        edit(&mut source, &mut proof, &mut instances);
    }
    let unedited = proof == fixture.proof && instances == fixture.instances;
    let accepted = Proof::decode(&proof, &fixture.key.shape)
        .is_ok_and(|proof| verify(&fixture.key, &instances, &proof, &msm).is_ok());
    assert_eq!(accepted, unedited);
}

fn edit(source: &mut Source<'_>, proof: &mut Vec<u8>, instances: &mut Vec<Vec<Fp>>) {
    let slots = (proof.len() / 32).max(1);
    let mut slot = || 32 * source.below(slots);
    match (slot(), slot()) {
        (from, to) if from != to && to + 32 <= proof.len() && from + 32 <= proof.len() => {
            match source.below(6) {
                0 => proof.copy_within(from..from + 32, to),
                1 => proof[to..to + 32].fill(0),
                2 => proof[to..to + 32].copy_from_slice(&source.scalar().to_repr()),
                3 => proof[to + source.below(32)] ^= source.byte(),
                4 => {
                    let swapped = proof[to..to + 32].to_vec();
                    proof.copy_within(from..from + 32, to);
                    proof[from..from + 32].copy_from_slice(&swapped);
                }
                _ => instances
                    .iter_mut()
                    .flatten()
                    .for_each(|v| *v += source.scalar()),
            }
        }
        _ => match source.below(5) {
            0 => proof.truncate(source.below(65_536).min(proof.len())),
            1 => proof.push(source.byte()),
            2 => instances.push(Vec::new()),
            3 => instances.iter_mut().for_each(|i| i.push(Fp::zero())),
            _ => {}
        },
    }
}
