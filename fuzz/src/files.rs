//! Invariants of files that come from others: keys, models and proofs, sample files, ONNX.

use std::sync::OnceLock;

use pasta_curves::{EqAffine, Fp};
use zkernel_gadgets::files::{ProofFile, PublicModel, SecretModel};
use zkernel_gadgets::model::lower;
use zkernel_gadgets::opening::{OPENING_MAGIC, Opening};
use zkernel_onnx::{Limits, Model, Samples};

use crate::verifying::fixture;

/// A file that decodes as a key, a model, an opening or a proof encodes to itself, and a key's graph is lowered to a system or
/// refused by name.
pub fn file_decode(bytes: &[u8]) {
    let key = PublicModel::<EqAffine>::decode(bytes);
    if let Ok(key) = &key {
        assert!(key.encode() == bytes);
        assert!(PublicModel::decode(&key.encode()).as_ref() == Ok(key));
        if let Ok(lowered) = lower::<Fp>(&key.graph, key.log_n) {
            assert_eq!(lowered.system.validate(), Ok(()));
        }
    }
    if let Ok(model) = SecretModel::<EqAffine>::decode(bytes) {
        assert!(model.encode() == bytes);
        let public = PublicModel::decode(&model.public.encode());
        assert!(public == Ok(model.public));
        assert!(key.is_err(), "one file is of one kind");
    }
    let behind_magic = [OPENING_MAGIC, bytes].concat();
    for bytes in [bytes, &behind_magic] {
        if let Ok(opening) = Opening::<EqAffine>::decode(bytes) {
            assert!(opening.encode() == bytes);
            assert!(key.is_err(), "one file is of one kind");
        }
    }
    let fixture = fixture();
    if let Ok(file) = ProofFile::decode(bytes, &fixture.key) {
        assert!(file.encode() == bytes);
        assert!(key.is_err(), "one file is of one kind");
    }
    // The body of a proof file behind the right magic, repeated to the right length.
    let mut whole = b"zkp\0v001".to_vec();
    let values: usize = fixture.key.system.instances.iter().map(|i| i.len).sum();
    let body = 64 + 8 * values + fixture.key.shape.bytes();
    whole.extend(bytes.iter().copied().cycle().take(body));
    if let Ok(file) = ProofFile::decode(&whole, &fixture.key) {
        assert!(file.encode() == whole);
    }
}

/// Samples that are read are what the model asks for: finite, of its lengths, at least one; and written as JSON they are
/// read again as the same.
pub fn samples(bytes: &[u8]) {
    static MODEL: OnceLock<Model> = OnceLock::new();
    let model = MODEL.get_or_init(|| {
        let bytes = include_bytes!("../../models/logreg/network.onnx");
        Model::from_bytes(bytes, &Limits::default()).expect("a model")
    });
    let Ok(samples) = Samples::from_bytes(model, bytes) else {
        return;
    };
    assert!(!samples.as_slice().is_empty());
    for inputs in samples.as_slice() {
        assert_eq!(inputs.iter().map(Vec::len).collect::<Vec<_>>(), [30]);
        assert!(inputs.iter().flatten().all(|value| value.is_finite()));
    }
    let flat = samples.as_slice().iter().flatten().flatten();
    let flat: Vec<f64> = flat.map(|value| f64::from(*value)).collect();
    let json = format!("{{\"input_data\": [{flat:?}]}}");
    let again = Samples::from_bytes(model, json.as_bytes());
    assert_eq!(again.expect("what was read"), samples);
}

/// Limits of what a fuzzed ONNX file may ask for.
const LIMITS: Limits = Limits {
    file_bytes: 1 << 20,
    tensor_values: 1 << 16,
    nodes: 1 << 10,
};

/// Any bytes are an ONNX file that is read, or an error that says why not. A model that was read says what it is and guesses
/// samples that fit it.
pub fn model_decode(bytes: &[u8]) {
    if let Ok(model) = Model::from_bytes(bytes, &LIMITS) {
        assert!(!model.summary().to_string().is_empty());
        let guessed = Samples::guessed(&model);
        assert!(Samples::new(&model, guessed.as_slice().to_vec()).is_ok());
    }
}
