//! Invariants: plain functions that must hold for all bytes. Fuzz targets are one line each; `tests/replay.rs` runs the
//! same functions on stable, on seeds and on random and mutated bytes.

mod circuits;
mod forms;
mod source;

use std::sync::OnceLock;

use zkernel_attacks::circuit::{Circuit, Lie};
use zkernel_attacks::{C, Case, Cheat, F, prove};
use zkernel_gadgets::model::Graph;
use zkernel_verifier::encoding::{Reader, Writer};
use zkernel_verifier::msm::msm;
use zkernel_verifier::proof::Proof;
use zkernel_verifier::transcript::{Attack, Transcript};
use zkernel_verifier::verify::verify;

pub use circuits::circuits;
pub use forms::{expressions, forms};
use source::Source;

/// An invariant over bytes.
pub type Invariant = fn(&[u8]);

/// All invariants by the name of their target.
pub const INVARIANTS: [(&str, Invariant); 7] = [
    ("decode_proof", decode_proof),
    ("decode_graph", decode_graph),
    ("verify_edited", verify_edited),
    ("transcript", transcript),
    ("forms", forms),
    ("expressions", expressions),
    ("circuits", circuits),
];

/// A key, a statement and an honest proof, made once.
pub fn proven() -> &'static (Case, Proof<C>) {
    static PROVEN: OnceLock<(Case, Proof<C>)> = OnceLock::new();
    PROVEN.get_or_init(|| {
        let case = Circuit::new().case(1, Lie::Nothing);
        let (mut cheat, early) = (Cheat::default(), Attack::default());
        let outcome = prove(
            &case.key,
            &case.instances,
            &case.secrets,
            &mut cheat,
            &early,
            1,
        );
        let proof = outcome.expect("good challenges").proof;
        (case, proof)
    })
}

/// Decoding a proof is total, and what it accepts encodes to the same bytes.
pub fn decode_proof(bytes: &[u8]) {
    let (case, _) = proven();
    if let Ok(proof) = Proof::<C>::decode(bytes, &case.key.shape) {
        assert_eq!(proof.encode(), bytes);
    }
}

/// Decoding a model graph is total, and what it accepts encodes to the same bytes.
pub fn decode_graph(bytes: &[u8]) {
    let mut reader = Reader::new(bytes);
    let Ok(graph) = Graph::decode(&mut reader) else {
        return;
    };
    let mut writer = Writer::new();
    graph.encode(&mut writer);
    assert!(bytes.starts_with(&writer.0), "not canonical");
}

/// A valid proof with edits is rejected, whatever they are; without any it is accepted. The bytes are edits: a position
/// (2 bytes) and what is added there.
pub fn verify_edited(bytes: &[u8]) {
    let (case, proof) = proven();
    let honest = proof.encode();
    let mut edited = honest.clone();
    let mut source = Source::new(bytes);
    while !source.is_empty() {
        let position = usize::from(source.byte()) << 8 | usize::from(source.byte());
        let len = edited.len();
        edited[position % len] = edited[position % len].wrapping_add(source.byte());
    }
    let decoded = Proof::<C>::decode(&edited, &case.key.shape);
    let accepted =
        decoded.is_ok_and(|proof| verify(&case.key, &case.instances, &proof, &msm).is_ok());
    assert_eq!(accepted, edited == honest);
}

/// Two transcripts give equal challenges exactly if the same items were absorbed under the same labels. The bytes are two
/// lists of items, the second split elsewhere or under other labels.
pub fn transcript(bytes: &[u8]) {
    const LABELS: [&str; 3] = ["a", "ab", "b"];
    let mut source = Source::new(bytes);
    let cuts: Vec<(usize, usize)> = (0..4)
        .map(|_| (usize::from(source.byte()) % 3, usize::from(source.byte())))
        .collect();
    let rest = source.rest();
    let absorbed = |cuts: &[(usize, usize)]| {
        let (mut transcript, mut items, mut rest) = (Transcript::<F>::new(), Vec::new(), rest);
        for (label, len) in cuts {
            let (item, others) = rest.split_at((*len).min(rest.len()));
            transcript.absorb(LABELS[*label], item);
            items.push((*label, item));
            rest = others;
        }
        (transcript.challenge("x"), items)
    };
    let (one, two) = (absorbed(&cuts[..2]), absorbed(&cuts[2..]));
    assert_eq!(one.0 == two.0, one.1 == two.1);
}
