//! Keys made from the files' contents by this program itself, and reading and writing the files.

use std::collections::BTreeMap;
use std::path::Path;

use pasta_curves::{EqAffine, Fp};
use rayon::prelude::*;
use zkernel_backend_cpu::{Cpu, reserve};
use zkernel_engine::{ProvingKey, Tensors, Witness, executor, prove};
use zkernel_gadgets::files::{self, is_public, weight_ids};
use zkernel_gadgets::model::{Graph, Lowered, WeightValues, lower, register};
use zkernel_verifier::curve::Generators;
use zkernel_verifier::key::{KeyError, VerifyingKey};
use zkernel_verifier::proof::Proof;
use zkernel_verifier::system::{ConstraintSystem, TrackKind};
use zkernel_verifier::verify::verify;

use crate::device::device;
use crate::error::CliError;

/// The commitment curve of the CLI.
pub type C = EqAffine;
/// What a `.zkv` file holds.
pub type PublicModel = files::PublicModel<C>;
/// What a `.zkm` file holds.
pub type SecretModel = files::SecretModel<C>;
/// What a `.zkp` file holds.
pub type ProofFile = files::ProofFile<C>;
/// What a `.zko` file holds.
pub type Opening = zkernel_gadgets::opening::Opening<C>;

/// A key lowered and derived from a `.zkv` file by this program itself.
pub struct Loaded {
    /// The lowered graph.
    pub lowered: Lowered<Fp>,
    /// The verifying key.
    pub key: VerifyingKey<C>,
}

/// Generators that have been derived, by log2 of their number: several keys are loaded with one derivation.
pub type GeneratorsBySize = BTreeMap<u32, Generators<C>>;

/// The generators for `2^log_n` rows, on all cores.
fn generators(log_n: u32) -> Generators<C> {
    use pasta_curves::group::Curve as _;
    let rows = (0..1u64 << log_n)
        .into_par_iter()
        .map(|i| Generators::<C>::row(i).to_affine())
        .collect();
    Generators::assemble(rows)
}

/// Lowers the graph, derives the key and checks what the commitments hold: nothing else is taken from the file.
pub fn load_key(public: &PublicModel, known: &mut GeneratorsBySize) -> Result<Loaded, CliError> {
    let loaded = derive(public, known)?;
    check_public_weights(public, &loaded)?;
    check_registration(public, &loaded.key)?;
    Ok(loaded)
}

fn derive(public: &PublicModel, known: &mut GeneratorsBySize) -> Result<Loaded, CliError> {
    let lowered = lower::<Fp>(&public.graph, public.log_n)?;
    let (expected, found) = (
        lowered.system.columns_of(TrackKind::Tensor),
        public.commitments.len(),
    );
    if expected != found {
        // Before the generators, which take longer than everything else.
        return Err(KeyError::Tensors { expected, found }.into());
    }
    let key = VerifyingKey::new(
        lowered.system.clone(),
        known
            .entry(public.log_n)
            .or_insert_with(|| generators(public.log_n))
            .clone(),
        public.commitments.clone(),
        &public.statement(),
        &executor::<C, _>(&device()),
    )?;
    Ok(Loaded { lowered, key })
}

/// Private weights must be integers of the bits that the graph declares: their range proof, checked once.
fn check_registration(public: &PublicModel, key: &VerifyingKey<C>) -> Result<(), CliError> {
    let Some(registration) = register::<Fp>(&public.graph, public.log_n)? else {
        return Ok(());
    };
    let backend = device();
    let executor = executor::<C, _>(&backend);
    let own = VerifyingKey::new(
        registration.system,
        key.generators.clone(),
        public.commitments.clone(),
        &public.statement(),
        &executor,
    )?;
    let invalid = |e: &dyn std::fmt::Display| CliError::Registration(e.to_string());
    let proof = Proof::decode(&public.registration, &own.shape).map_err(|e| invalid(&e))?;
    verify(&own, &[], &proof, &executor).map_err(|e| invalid(&e))
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
    let (backend, system) = (device(), registration.system);
    let key = ProvingKey::<C, _>::new(&backend, system, generators, tensors, &statement)?;
    Ok(prove(&backend, &key, &[], &witness)?.encode())
}

/// Public weights are committed without blinding: recompute their commitments.
fn check_public_weights(
    public: &PublicModel,
    Loaded { lowered, key }: &Loaded,
) -> Result<(), CliError> {
    if !public.graph.weights.iter().any(is_public) {
        return Ok(());
    }
    let tensors = Tensors {
        values: lowered.tensors(&public.graph, &public.public_weights),
        blinders: vec![Fp::zero(); lowered.system.columns_of(TrackKind::Tensor)],
    };
    let system = lowered.system.clone();
    let generators = key.generators.clone();
    let statement = public.statement();
    let own = ProvingKey::<C, _>::new(&device(), system, generators, &tensors, &statement)?;
    if own.verifying.tensors == key.tensors {
        Ok(())
    } else {
        Err(CliError::PublicWeights)
    }
}

/// Commits to a quantized model.
pub fn commit(graph: Graph, weights: WeightValues, log_n: u32) -> Result<SecretModel, CliError> {
    let lowered = lower::<Fp>(&graph, log_n)?;
    let values = lowered.tensors(&graph, &weights);
    let columns = lowered.system.columns_of(TrackKind::Tensor);
    let tensors = if graph.weights.iter().all(is_public) {
        Tensors {
            values,
            blinders: vec![Fp::zero(); columns],
        }
    } else {
        Tensors::blinded(&lowered.system, values)?
    };
    let system = lowered.system;
    let generators = generators(log_n);
    // The range proof has a key of its own: only the commitments of this one are kept.
    let key = ProvingKey::<C, _>::new(&device(), system, generators, &tensors, &[])?.verifying;
    let mut public_weights = WeightValues(vec![Vec::new(); weights.0.len()]);
    for id in weight_ids(&graph, is_public) {
        public_weights.0[id.0 as usize].clone_from(&weights.0[id.0 as usize]);
    }
    let mut public = PublicModel {
        log_n,
        graph,
        public_weights,
        commitments: key.tensors,
        registration: Vec::new(),
    };
    public.registration = prove_ranges(&public, key.generators, &tensors, &weights)?;
    Ok(SecretModel {
        public,
        weights,
        blinders: tensors.blinders,
    })
}

/// The proving key of a secret model. The owner of the weights need not check their range proof.
pub fn load_prover(secret: &SecretModel) -> Result<(Lowered<Fp>, ProvingKey<C, Cpu>), CliError> {
    let Loaded { lowered, key } = derive(&secret.public, &mut GeneratorsBySize::new())?;
    let key = ProvingKey::load(&device(), key, &tensors(secret, &lowered))?;
    reserve(room(&lowered.system));
    Ok((lowered, key))
}

/// Columns as field elements that a proof has in memory, for each column of its system: coefficients, folds and transforms.
const COPIES: usize = 6;

/// Bytes of memory that a proof uses for the first time.
fn room(system: &ConstraintSystem<Fp>) -> usize {
    let columns: usize = system.tracks.iter().map(|track| track.columns).sum();
    COPIES * columns * system.rows() * size_of::<Fp>()
}

/// The committed tensors of a secret model.
pub fn tensors(secret: &SecretModel, lowered: &Lowered<Fp>) -> Tensors<Fp> {
    Tensors {
        values: lowered.tensors(&secret.public.graph, &secret.weights),
        blinders: secret.blinders.clone(),
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
