//! The three files: `.zkv` (public key), `.zkm` (secret model), `.zkp` (proof). Canonical, versioned, little-endian.
//!
//! Each decoder is total and refuses everything but the one encoding of a value. It allocates no more than a constant
//! times the bytes that it is given; that constant is small because every item of a list takes bytes of the file, and a
//! graph whose tables or shapes would take more than a machine has is refused by [`Graph::validate`] before anything is
//! made of it.

use zkernel_verifier::curve::{Curve, Scalar};
use zkernel_verifier::encoding::{DecodeError, Reader, Writer};
use zkernel_verifier::key::VerifyingKey;
use zkernel_verifier::proof::Proof;

use crate::model::{Graph, GraphError, Visibility, Weight, WeightId, WeightValues};

const KEY_MAGIC: &[u8; 8] = b"zkv\0v003";
const MODEL_MAGIC: &[u8; 8] = b"zkm\0v003";
const PROOF_MAGIC: &[u8; 8] = b"zkp\0v001";

/// log2 of the column lengths that a key may have: deriving the generators of the longest takes seconds.
pub const LOG_N: std::ops::RangeInclusive<u32> = 2..=16;

/// What a `.zkv` file holds.
#[derive(Clone, Debug, PartialEq)]
pub struct PublicModel<C: Curve> {
    /// log2 of the column length.
    pub log_n: u32,
    /// The quantized graph.
    pub graph: Graph,
    /// Values of the public weights; the others are empty.
    pub public_weights: WeightValues,
    /// Commitments of the weights.
    pub commitments: Vec<C>,
    /// The range proof of the private weights ([`crate::model::register`]); empty if there are none.
    pub registration: Vec<u8>,
}

/// What a `.zkm` file holds.
#[derive(Clone, PartialEq)]
pub struct SecretModel<C: Curve> {
    /// The public part.
    pub public: PublicModel<C>,
    /// All weights.
    pub weights: WeightValues,
    /// Blinding factors of their commitments.
    pub blinders: Vec<Scalar<C>>,
}

/// What a `.zkp` file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofFile<C: Curve> {
    /// Digest of the key.
    pub digest: [u8; 64],
    /// Public inputs and outputs as integers.
    pub instances: Vec<Vec<i64>>,
    /// The proof.
    pub proof: Proof<C>,
}

/// Whether a weight is part of the verifying key.
#[must_use]
pub fn is_public(weight: &Weight) -> bool {
    weight.visibility == Visibility::Public
}

/// The weights of a graph that are chosen, in order.
#[must_use]
pub fn weight_ids(graph: &Graph, chosen: impl Fn(&Weight) -> bool) -> Vec<WeightId> {
    (0u32..)
        .zip(&graph.weights)
        .filter(|(_, w)| chosen(w))
        .map(|(id, _)| WeightId(id))
        .collect()
}

impl<C: Curve> PublicModel<C> {
    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.bytes(KEY_MAGIC);
        w.u32(self.log_n);
        self.graph.encode(&mut w);
        self.public_weights
            .encode(weight_ids(&self.graph, is_public).into_iter(), &mut w);
        w.len(self.commitments.len());
        w.points(&self.commitments);
        w.bytes(&self.registration);
        w.0
    }

    /// Decodes the canonical bytes and nothing else. The graph is valid; whether there are as many commitments as it needs is
    /// known when it has been lowered.
    ///
    /// ```
    /// use pasta_curves::EqAffine;
    /// use zkernel_gadgets::files::PublicModel;
    ///
    /// let error = PublicModel::<EqAffine>::decode(b"anything").unwrap_err();
    /// assert_eq!(error.to_string(), "not a file of this kind or version");
    /// ```
    ///
    /// # Errors
    /// [`GraphError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, GraphError> {
        let mut r = Reader::new(bytes);
        if r.array()? != *KEY_MAGIC {
            return Err(DecodeError::Magic.into());
        }
        let log_n = r.u32()?;
        if !LOG_N.contains(&log_n) {
            return Err(DecodeError::Value("log2 of the column length must be 2 to 16").into());
        }
        let graph = Graph::decode(&mut r)?;
        let mut public_weights = WeightValues(vec![Vec::new(); graph.weights.len()]);
        for (weight, values) in graph.weights.iter().zip(&mut public_weights.0) {
            if is_public(weight) {
                *values = WeightValues::decode_matrix(weight, &mut r)?;
            }
        }
        let count = r.len(32)?;
        let commitments = r.points(count)?;
        let registration = r.bytes(r.remaining())?.to_vec();
        Ok(Self {
            log_n,
            graph,
            public_weights,
            commitments,
            registration,
        })
    }

    /// What the key's digest covers beside the lowered system.
    #[must_use]
    pub fn statement(&self) -> Vec<u8> {
        Self {
            commitments: Vec::new(),
            registration: Vec::new(),
            ..self.clone()
        }
        .encode()
    }
}

impl<C: Curve> SecretModel<C> {
    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        let public = self.public.encode();
        w.bytes(MODEL_MAGIC);
        w.len(public.len());
        w.bytes(&public);
        self.weights
            .encode(weight_ids(&self.public.graph, |_| true).into_iter(), &mut w);
        self.blinders.iter().for_each(|r| w.scalar(r));
        w.0
    }

    /// Decodes the canonical bytes and nothing else.
    ///
    /// # Errors
    /// [`GraphError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, GraphError> {
        let mut r = Reader::new(bytes);
        if r.array()? != *MODEL_MAGIC {
            return Err(DecodeError::Magic.into());
        }
        let len = r.len(1)?;
        let public = PublicModel::decode(r.bytes(len)?)?;
        let matrices = public
            .graph
            .weights
            .iter()
            .map(|weight| WeightValues::decode_matrix(weight, &mut r));
        let weights = WeightValues(matrices.collect::<Result<_, _>>()?);
        let blinders = r.scalars(r.remaining() / 32)?;
        r.finish()?;
        Ok(Self {
            public,
            weights,
            blinders,
        })
    }
}

impl<C: Curve> ProofFile<C> {
    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.bytes(PROOF_MAGIC);
        w.bytes(&self.digest);
        self.instances
            .iter()
            .flatten()
            .for_each(|value| w.i64(*value));
        w.bytes(&self.proof.encode());
        w.0
    }

    /// Decodes a proof for that key and nothing else. Whether the digest is the key's is for the caller to compare.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(bytes: &[u8], key: &VerifyingKey<C>) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        if r.array()? != *PROOF_MAGIC {
            return Err(DecodeError::Magic);
        }
        let digest = r.array()?;
        let mut instances = Vec::with_capacity(key.system.instances.len());
        for instance in &key.system.instances {
            let values = (0..instance.len).map(|_| r.i64());
            instances.push(values.collect::<Result<Vec<_>, _>>()?);
        }
        let proof = Proof::decode(r.bytes(r.remaining())?, &key.shape)?;
        Ok(Self {
            digest,
            instances,
            proof,
        })
    }
}
