//! `zkernel prove`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use pasta_curves::Fp;
use zkernel_backend_cpu::Cpu;
use zkernel_engine::workers::awake;
use zkernel_engine::{Boundary, ProvingKey, Witness, prove};
use zkernel_gadgets::model::{Graph, Honest, Lowered, Said, TensorId, Trace, Visibility, run};
use zkernel_gadgets::opening::OPENING_MAGIC;
use zkernel_onnx::{Model, Samples, quantize, quantize_input};
use zkernel_verifier::form::TrackId;

use super::commit::{Wishes, accuracy_report};
use super::verify::verify_bytes;
use super::words::said;
use super::{Result, describe, fields, one_sample, reals, timed};
use crate::device::device;
use crate::error::CliError;
use crate::files::{C, Opening, ProofFile, SecretModel, load_prover, read, write};
use crate::memory::Memory;
use crate::predict::Machine;
use crate::report::Report;

/// What a model is run on.
pub enum Given {
    /// Real numbers.
    Sample(Vec<Vec<f32>>),
    /// The opening of a commitment that another proof has made.
    Opening(Opening),
}

impl Given {
    /// Reads one sample, or an opening: told apart by the first bytes.
    pub fn read(path: &Path, graph: &Graph) -> Result<Self> {
        let bytes = read(path)?;
        if bytes.starts_with(OPENING_MAGIC) {
            return Ok(Self::Opening(Opening::decode(&bytes)?));
        }
        Ok(Self::Sample(one_sample(path, graph)?))
    }
}

/// Everything about one proof that is known before it is made.
pub struct Execution {
    /// The integers of every tensor.
    pub trace: Trace,
    /// Those that are public.
    pub instances: Vec<Vec<i64>>,
    /// What is committed to.
    pub witness: Witness<Fp>,
    /// What opens the commitments that are new, each with the end of the network it is at.
    openings: Vec<(&'static str, Opening)>,
}

/// Runs a model on integers and blinds its committed ends.
pub fn execute(secret: &SecretModel, lowered: &Lowered<Fp>, given: &Given) -> Result<Execution> {
    let graph = &secret.public.graph;
    let inputs = match given {
        Given::Sample(sample) => quantize_input(graph, sample)?,
        Given::Opening(opening) => vec![opened(opening, secret)?.to_vec()],
    };
    let trace = run(graph, &secret.weights, &inputs, &mut Honest)?;
    let mut witness = Witness::default();
    for (track, cells) in lowered.witness(&trace) {
        witness.assign(track, cells);
    }
    let mut openings = Vec::new();
    for (id, track) in &lowered.boundaries {
        let values = trace.values[id.0 as usize].clone();
        let is_input = graph.inputs.contains(id);
        witness.boundaries.push(match given {
            Given::Opening(opening) if is_input => shared(opening, *track),
            _ => {
                let boundary = Boundary::blinded(&lowered.system, *track, values)?;
                let end = if is_input { "input" } else { "output" };
                openings.push((end, opening_of(secret, *id, &boundary)));
                boundary
            }
        });
    }
    let public = lowered.instances.iter();
    let instances = public.map(|id| trace.values[id.0 as usize].clone());
    Ok(Execution {
        instances: instances.collect(),
        trace,
        witness,
        openings,
    })
}

/// The integers of an opening, if they mean to this model what they meant to the one that committed to them.
fn opened<'a>(opening: &'a Opening, secret: &SecretModel) -> Result<&'a [i64]> {
    let (graph, log_n) = (&secret.public.graph, secret.public.log_n);
    let refused = |problem: String| {
        let Opening { name, .. } = opening;
        Err(CliError::Opening(format!(
            "the opening of `{name}` {problem}"
        )))
    };
    let [id] = graph.inputs[..] else {
        let count = graph.inputs.len();
        return refused(format!(
            "is one input, the model has {count}: give a sample instead"
        ));
    };
    let input = &graph.tensors[id.0 as usize];
    if input.visibility != Visibility::Committed {
        return refused(format!(
            "would not be tied to the proof: input `{}` is not committed to; commit the model with --input committed",
            input.name
        ));
    }
    let (found, expected) = (opening.values.len(), input.shape.iter().product::<usize>());
    if found != expected {
        return refused(format!(
            "has {found} values, input `{}` has {expected}",
            input.name
        ));
    }
    let steps = [opening.scale, input.scale];
    if steps[0].to_bits() != steps[1].to_bits() || opening.zero_point != input.zero_point {
        return refused(format!(
            "counts in steps of {}, input `{}` in steps of {}: commit both with one `commit --split`",
            steps[0], input.name, steps[1]
        ));
    }
    let columns = |log_n: u32| found.div_ceil(1 << log_n);
    if log_n != opening.log_n && columns(log_n).max(columns(opening.log_n)) > 1 {
        return refused(format!(
            "lies in columns of 2^{}, the model's have 2^{log_n}: commit both with one `commit --split`",
            opening.log_n
        ));
    }
    Ok(&opening.values)
}

fn shared(opening: &Opening, track: TrackId) -> Boundary<Fp> {
    Boundary {
        track,
        values: opening.values.clone(),
        blinders: opening.blinders.clone(),
    }
}

fn opening_of(secret: &SecretModel, id: TensorId, boundary: &Boundary<Fp>) -> Opening {
    let tensor = &secret.public.graph.tensors[id.0 as usize];
    Opening {
        name: tensor.name.clone(),
        scale: tensor.scale,
        zero_point: tensor.zero_point,
        log_n: secret.public.log_n,
        values: boundary.values.clone(),
        blinders: boundary.blinders.clone(),
    }
}

struct Proven {
    file: ProofFile,
    execution: Execution,
}

fn prove_given(
    secret: &SecretModel,
    lowered: &Lowered<Fp>,
    key: &ProvingKey<C, Cpu>,
    given: &Given,
) -> Result<Proven> {
    let execution = execute(secret, lowered, given)?;
    let instances = execution.instances.clone();
    let proof = prove(&device(), key, &fields(&instances), &execution.witness)?;
    Ok(Proven {
        file: ProofFile {
            digest: key.verifying.digest,
            instances,
            proof,
        },
        execution,
    })
}

/// `zkernel prove NAME.zkm INPUT`.
pub fn prove_model(
    zkm: &Path,
    input: &Path,
    memory: Option<Memory>,
    output: Option<PathBuf>,
) -> Result<Report> {
    let secret = SecretModel::decode(&read(zkm)?)?;
    let given = Given::read(input, &secret.public.graph)?;
    let ((lowered, key), load) = timed("loading", || awake(|| load_prover(&secret)))?;
    Machine::load().check_memory(&lowered.system, memory)?;
    let (proven, seconds) = timed("proving", || {
        awake(|| prove_given(&secret, &lowered, &key, &given))
    })?;
    let path = output.unwrap_or_else(|| zkm.with_extension("zkp"));
    let mut report = Report {
        command: "prove",
        load_seconds: Some(load),
        ..Report::default()
    };
    finish_proof(&mut report, &secret, &lowered, &proven, seconds);
    report.text.extend(said(&secret.public.graph));
    keep(&mut report, &path, &proven)?;
    Ok(report)
}

/// Writes a proof and beside it what opens its new commitments.
fn keep(report: &mut Report, path: &Path, proven: &Proven) -> Result<()> {
    write(path, &proven.file.encode(), false)?;
    report.files.push(path.display().to_string());
    for (index, (end, opening)) in proven.execution.openings.iter().enumerate() {
        let before = &proven.execution.openings[..index];
        let number = before.iter().filter(|(other, _)| other == end).count();
        let number = if number > 0 {
            format!("{number}")
        } else {
            String::new()
        };
        let opening_path = path.with_extension(format!("{end}{number}.zko"));
        write(&opening_path, &opening.encode(), true)?;
        report.files.push(opening_path.display().to_string());
    }
    Ok(())
}

fn finish_proof(
    report: &mut Report,
    secret: &SecretModel,
    lowered: &Lowered<Fp>,
    proven: &Proven,
    seconds: f64,
) {
    let graph = &secret.public.graph;
    report.prove_seconds = Some(seconds);
    report.proof_bytes = Some(proven.file.proof.encode().len());
    let values = &proven.execution.trace.values;
    let shown = |id: &TensorId| reals(graph, *id, &values[id.0 as usize]);
    let known = graph.outputs.iter().zip(graph.said());
    let known = known.filter(|(_, said)| matches!(said, Said::Values | Said::Class { .. }));
    let outputs: Vec<f64> = known.flat_map(|(id, _)| shown(id)).collect();
    report.outputs = Some(outputs).filter(|outputs| !outputs.is_empty());
    describe(report, &lowered.system);
}

/// `zkernel prove MODEL.onnx INPUT`: commit, prove and verify in one go.
pub fn prove_onnx(
    onnx: &Path,
    input: &Path,
    data: Option<PathBuf>,
    wishes: &Wishes,
    output: Option<PathBuf>,
) -> Result<Report> {
    let model = Model::load(onnx)?;
    let sample = Samples::read(&model, input)?;
    let samples = data.map_or_else(|| Ok(sample.clone()), |path| Samples::read(&model, &path))?;
    let (quantized, seconds) = timed("calibrating", || {
        Ok(quantize(&model, &samples, &wishes.options)?)
    })?;
    let mut report = accuracy_report(onnx, &model, &quantized);
    let start = Instant::now();
    let secret = wishes.committed(wishes.applied(&quantized)?)?;
    report.commit_seconds = Some(seconds + start.elapsed().as_secs_f64());
    let ((lowered, key), load) = timed("loading", || awake(|| load_prover(&secret)))?;
    let values = one_sample(input, &secret.public.graph)?;
    let given = Given::Sample(values.clone());
    let (proven, seconds) = timed("proving", || {
        awake(|| prove_given(&secret, &lowered, &key, &given))
    })?;
    let bytes = proven.file.encode();
    let (_, verified) = timed("verifying", || {
        awake(|| verify_bytes(&key.verifying, &bytes))
    })?;
    finish_proof(&mut report, &secret, &lowered, &proven, seconds);
    if wishes.statement.is_none() {
        compare_with_float(&mut report, &model.run(&values)?);
    }
    report.load_seconds = Some(load);
    report.verify_seconds = Some(verified);
    if let Some(path) = output {
        keep(&mut report, &path, &proven)?;
    }
    let proven = "PROVEN and verified, of the committed model on this input:";
    report.text.push(proven.into());
    report.text.extend(said(&secret.public.graph));
    Ok(Report {
        command: "prove",
        ..report
    })
}

fn compare_with_float(report: &mut Report, float: &[Vec<f32>]) {
    let float: Vec<f64> = float.iter().flatten().copied().map(f64::from).collect();
    let quantized = report.outputs.iter().flatten().zip(&float);
    let error = quantized.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    report.max_abs_error = Some(error);
    report.float_outputs = Some(float);
}
