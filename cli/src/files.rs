//! The three files: `.zkv` (public key), `.zkm` (secret model), `.zkp` (proof). Canonical, versioned, little-endian.

use std::path::Path;

use pasta_curves::{EqAffine, Fp};
use rayon::prelude::*;
use zkernel_backend_cpu::Cpu;
use zkernel_engine::{ProvingKey, Tensors, Witness, executor, prove};
use zkernel_gadgets::model::{
    Graph, Lowered, Visibility, Weight, WeightId, WeightValues, lower, register,
};
use zkernel_verifier::curve::Generators;
use zkernel_verifier::encoding::{DecodeError, Reader, Writer};
use zkernel_verifier::key::VerifyingKey;
use zkernel_verifier::proof::Proof;
use zkernel_verifier::system::TrackKind;
use zkernel_verifier::verify::verify;

use crate::error::CliError;

/// The commitment curve of the CLI.
pub type C = EqAffine;

const KEY_MAGIC: &[u8; 8] = b"zkv\0v002";
const MODEL_MAGIC: &[u8; 8] = b"zkm\0v002";
const PROOF_MAGIC: &[u8; 8] = b"zkp\0v001";

/// What a `.zkv` file holds.
#[derive(Clone)]
pub struct PublicModel {
    /// log2 of the column length.
    pub log_n: u32,
    /// The quantized graph.
    pub graph: Graph,
    /// Values of the public weights; the others are empty.
    pub public_weights: WeightValues,
    /// Commitments of the weights.
    pub commitments: Vec<C>,
    /// The range proof of the private weights, by [`register`]; empty if there are none.
    pub registration: Vec<u8>,
}

/// What a `.zkm` file holds.
pub struct SecretModel {
    /// The public part.
    pub public: PublicModel,
    /// All weights.
    pub weights: WeightValues,
    /// Blinding factors of their commitments.
    pub blinders: Vec<Fp>,
}

/// What a `.zkp` file holds.
pub struct ProofFile {
    /// Digest of the key.
    pub digest: [u8; 64],
    /// Public inputs and outputs as integers.
    pub instances: Vec<Vec<i64>>,
    /// The proof.
    pub proof: Proof<C>,
}

/// A key lowered and derived from a `.zkv` file by this program itself.
pub struct Loaded {
    /// The lowered graph.
    pub lowered: Lowered<Fp>,
    /// The verifying key.
    pub key: VerifyingKey<C>,
}

/// The generators for `2^log_n` rows, on all cores.
pub fn generators(log_n: u32) -> Generators<C> {
    use pasta_curves::group::Curve as _;
    let rows = (0..1u64 << log_n)
        .into_par_iter()
        .map(|i| Generators::<C>::row(i).to_affine())
        .collect();
    Generators::assemble(rows)
}

fn public(weight: &Weight) -> bool {
    weight.visibility == Visibility::Public
}

fn ids(graph: &Graph, chosen: impl Fn(&Weight) -> bool) -> Vec<WeightId> {
    (0u32..)
        .zip(&graph.weights)
        .filter(|(_, w)| chosen(w))
        .map(|(id, _)| WeightId(id))
        .collect()
}

impl PublicModel {
    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.bytes(KEY_MAGIC);
        w.u32(self.log_n);
        self.graph.encode(&mut w);
        self.public_weights
            .encode(ids(&self.graph, public).into_iter(), &mut w);
        w.len(self.commitments.len());
        w.points(&self.commitments);
        w.bytes(&self.registration);
        w.0
    }

    /// Decodes the canonical bytes and nothing else.
    pub fn decode(bytes: &[u8]) -> Result<Self, CliError> {
        let mut r = Reader::new(bytes);
        if r.array()? != *KEY_MAGIC {
            return Err(DecodeError::Magic.into());
        }
        let log_n = r.u32()?;
        if !(2..=24).contains(&log_n) {
            return Err(DecodeError::Value("log n").into());
        }
        let graph = Graph::decode(&mut r)?;
        let mut public_weights = WeightValues(vec![Vec::new(); graph.weights.len()]);
        for id in ids(&graph, public) {
            let index = id.0 as usize;
            public_weights.0[index] = WeightValues::decode_matrix(&graph.weights[index], &mut r)?;
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
    pub fn statement(&self) -> Vec<u8> {
        Self {
            commitments: Vec::new(),
            registration: Vec::new(),
            ..self.clone()
        }
        .encode()
    }

    /// Lowers the graph, derives the key and checks what the commitments hold: nothing else is taken from the file.
    pub fn load(&self) -> Result<Loaded, CliError> {
        let loaded = self.derive()?;
        self.check_public_weights(&loaded)?;
        self.check_registration(&loaded.key)?;
        Ok(loaded)
    }

    fn derive(&self) -> Result<Loaded, CliError> {
        let lowered = lower::<Fp>(&self.graph, self.log_n)?;
        let key = VerifyingKey::new(
            lowered.system.clone(),
            generators(self.log_n),
            self.commitments.clone(),
            &self.statement(),
            &executor::<C, _>(&Cpu::new()),
        )?;
        Ok(Loaded { lowered, key })
    }

    /// Private weights must be integers of the bits that the graph declares: their range proof, checked once.
    fn check_registration(&self, key: &VerifyingKey<C>) -> Result<(), CliError> {
        let Some(registration) = register::<Fp>(&self.graph, self.log_n)? else {
            return Ok(());
        };
        let backend = Cpu::new();
        let executor = executor::<C, _>(&backend);
        let own = VerifyingKey::new(
            registration.system,
            key.generators.clone(),
            self.commitments.clone(),
            &self.statement(),
            &executor,
        )?;
        let proof = Proof::decode(&self.registration, &own.shape);
        let proof = proof.map_err(|e| CliError::Registration(e.to_string()))?;
        verify(&own, &[], &proof, &executor).map_err(|e| CliError::Registration(e.to_string()))
    }

    /// Public weights are committed without blinding: recompute their commitments.
    fn check_public_weights(&self, Loaded { lowered, key }: &Loaded) -> Result<(), CliError> {
        if !self.graph.weights.iter().any(public) {
            return Ok(());
        }
        let tensors = Tensors {
            values: lowered.tensors(&self.graph, &self.public_weights),
            blinders: vec![Fp::zero(); lowered.system.columns_of(TrackKind::Tensor)],
        };
        let system = lowered.system.clone();
        let own = ProvingKey::<C, _>::new(
            &Cpu::new(),
            system,
            key.generators.clone(),
            &tensors,
            &self.statement(),
        )?;
        if own.verifying.tensors == key.tensors {
            Ok(())
        } else {
            Err(CliError::PublicWeights)
        }
    }
}

impl SecretModel {
    /// Commits to a quantized model.
    pub fn commit(graph: Graph, weights: WeightValues, log_n: u32) -> Result<Self, CliError> {
        let lowered = lower::<Fp>(&graph, log_n)?;
        let values = lowered.tensors(&graph, &weights);
        let columns = lowered.system.columns_of(TrackKind::Tensor);
        let tensors = if graph.weights.iter().all(public) {
            Tensors {
                values,
                blinders: vec![Fp::zero(); columns],
            }
        } else {
            Tensors::blinded(&lowered.system, values)?
        };
        let key = ProvingKey::<C, _>::new(
            &Cpu::new(),
            lowered.system,
            generators(log_n),
            &tensors,
            &[],
        )?;
        let mut public_weights = WeightValues(vec![Vec::new(); weights.0.len()]);
        for id in ids(&graph, public) {
            public_weights.0[id.0 as usize].clone_from(&weights.0[id.0 as usize]);
        }
        let mut public = PublicModel {
            log_n,
            graph,
            public_weights,
            commitments: key.verifying.tensors,
            registration: Vec::new(),
        };
        public.registration = prove_ranges(&public, key.verifying.generators, &tensors, &weights)?;
        Ok(Self {
            public,
            weights,
            blinders: tensors.blinders,
        })
    }

    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        let public = self.public.encode();
        w.bytes(MODEL_MAGIC);
        w.len(public.len());
        w.bytes(&public);
        self.weights
            .encode(ids(&self.public.graph, |_| true).into_iter(), &mut w);
        self.blinders.iter().for_each(|r| w.scalar(r));
        w.0
    }

    /// Decodes the canonical bytes and nothing else.
    pub fn decode(bytes: &[u8]) -> Result<Self, CliError> {
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

    /// The proving key. The owner of the weights need not check their range proof.
    pub fn load(&self) -> Result<(Lowered<Fp>, ProvingKey<C, Cpu>), CliError> {
        let Loaded { lowered, key } = self.public.derive()?;
        let key = ProvingKey::load(&Cpu::new(), key, &self.tensors(&lowered))?;
        Ok((lowered, key))
    }

    /// The committed tensors.
    pub fn tensors(&self, lowered: &Lowered<Fp>) -> Tensors<Fp> {
        Tensors {
            values: lowered.tensors(&self.public.graph, &self.weights),
            blinders: self.blinders.clone(),
        }
    }
}

/// The range proof of the private weights, or nothing if there are none.
fn prove_ranges(
    public: &PublicModel,
    generators: Generators<C>,
    tensors: &Tensors<Fp>,
    weights: &WeightValues,
) -> Result<Vec<u8>, CliError> {
    let Some(registration) = register::<Fp>(&public.graph, public.log_n)? else {
        return Ok(Vec::new());
    };
    let mut witness = Witness::default();
    for (track, cells) in registration.witness(&public.graph, weights) {
        witness.assign(track, cells);
    }
    let statement = public.statement();
    let (backend, system) = (Cpu::new(), registration.system);
    let key = ProvingKey::<C, _>::new(&backend, system, generators, tensors, &statement)?;
    Ok(prove(&backend, &key, &[], &witness)?.encode())
}

impl ProofFile {
    /// The canonical bytes.
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

    /// Decodes a proof for that key and nothing else.
    pub fn decode(bytes: &[u8], key: &VerifyingKey<C>) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        if r.array()? != *PROOF_MAGIC {
            return Err(DecodeError::Magic);
        }
        let digest = r.array()?;
        let instance = |len| (0..len).map(|_| r.i64()).collect::<Result<Vec<_>, _>>();
        let lengths: Vec<usize> = key.system.instances.iter().map(|i| i.len).collect();
        let instances = lengths
            .into_iter()
            .map(instance)
            .collect::<Result<_, _>>()?;
        let proof = Proof::decode(r.bytes(r.remaining())?, &key.shape)?;
        Ok(Self {
            digest,
            instances,
            proof,
        })
    }
}

/// Reads a file.
pub fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    std::fs::read(path).map_err(|source| CliError::Io {
        path: path.display().to_string(),
        source,
    })
}

/// Writes a file; a secret one is readable by its owner only.
pub fn write(path: &Path, bytes: &[u8], secret: bool) -> Result<(), CliError> {
    let io = |source| CliError::Io {
        path: path.display().to_string(),
        source,
    };
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    if secret {
        use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
        options.mode(0o600);
        if path.exists() {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(io)?;
        }
    }
    let mut file = options.open(path).map_err(io)?;
    std::io::Write::write_all(&mut file, bytes).map_err(io)
}
