//! The commands.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pasta_curves::Fp;
use zkernel_backend_cpu::Cpu;
use zkernel_engine::{ProvingKey, Witness, executor, mock, prove};
use zkernel_gadgets::model::{Graph, Honest, Lowered, TensorId, Trace, run};
use zkernel_onnx::{Model, Options, Samples, dequantize, quantize, quantize_input, read_outputs};
use zkernel_verifier::curve::signed;
use zkernel_verifier::system::{ConstraintSystem, Phase, TrackKind};
use zkernel_verifier::verify::verify as verify_proof;

use crate::error::CliError;
use crate::files::{
    C, Loaded, ProofFile, PublicModel, SecretModel, load_key, load_prover, read, tensors, write,
};
use crate::predict::Machine;
use crate::report::{Report, peak_rss_bytes};

pub type Result<T> = std::result::Result<T, CliError>;

/// A line that turns while something takes longer than a second; silent when nobody watches.
fn progress(message: &'static str) -> indicatif::ProgressBar {
    let bar = indicatif::ProgressBar::new_spinner();
    bar.set_message(message);
    bar.enable_steady_tick(Duration::from_secs(1));
    bar
}

fn timed<T>(message: &'static str, work: impl FnOnce() -> Result<T>) -> Result<(T, f64)> {
    let bar = progress(message);
    let start = Instant::now();
    let value = work();
    bar.finish_and_clear();
    Ok((value?, start.elapsed().as_secs_f64()))
}

fn calibrated(
    onnx: &Path,
    samples: &Samples,
    model: &Model,
    options: &Options,
) -> Result<(SecretModel, Report)> {
    let (quantized, seconds) = timed("calibrating", || Ok(quantize(model, samples, options)?))?;
    let ((graph, log_n), layout) = timed("choosing the layout", || {
        Machine::load().choose_layout(&quantized.graph)
    })?;
    let (secret, commit) = timed("committing", || {
        crate::files::commit(graph, quantized.weights, log_n)
    })?;
    let text = vec![
        format!(
            "{}
{}",
            onnx.display(),
            model.summary()
        ),
        quantized.report.to_string(),
    ];
    let accuracy = Some(quantized.report);
    Ok((
        secret,
        Report {
            commit_seconds: Some(seconds + layout + commit),
            accuracy,
            text,
            ..Report::default()
        },
    ))
}

const GUESSED: &str = "calibrated on made-up inputs: ranges and errors are guesses; give real samples with --calibrate";

/// `zkernel commit`.
pub fn commit(
    onnx: &Path,
    data: Option<&Path>,
    options: &Options,
    output: Option<PathBuf>,
) -> Result<Report> {
    let start = Instant::now();
    let model = Model::load(onnx)?;
    let samples = match data {
        Some(path) => Samples::read(&model, path)?,
        None => Samples::guessed(&model),
    };
    let (secret, mut report) = calibrated(onnx, &samples, &model, options)?;
    if data.is_none() {
        report.warnings.push(GUESSED.into());
    }
    let base = output.unwrap_or_else(|| onnx.with_extension(""));
    let (zkm, zkv) = (with_suffix(&base, "zkm"), with_suffix(&base, "zkv"));
    write(&zkm, &secret.encode(), true)?;
    write(&zkv, &secret.public.encode(), false)?;
    describe(
        &mut report,
        &zkernel_gadgets::model::lower::<Fp>(&secret.public.graph, secret.public.log_n)?.system,
    );
    report.files = vec![zkm.display().to_string(), zkv.display().to_string()];
    report.commit_seconds = Some(start.elapsed().as_secs_f64());
    Ok(Report {
        command: "commit",
        ..report
    })
}

/// NAME.zkm for NAME or for NAME.zkm itself.
fn with_suffix(base: &Path, suffix: &str) -> PathBuf {
    if base.extension().is_some_and(|e| e == suffix) {
        return base.to_owned();
    }
    let mut name = base.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

struct Proven {
    file: ProofFile,
    trace: Trace,
}

fn prove_sample(
    secret: &SecretModel,
    lowered: &Lowered<Fp>,
    key: &ProvingKey<C, Cpu>,
    sample: &[Vec<f32>],
) -> Result<Proven> {
    let (trace, instances, witness) = witness(secret, lowered, sample)?;
    let proof = prove(&Cpu::new(), key, &fields(&instances), &witness)?;
    Ok(Proven {
        file: ProofFile {
            digest: key.verifying.digest,
            instances,
            proof,
        },
        trace,
    })
}

#[allow(clippy::type_complexity)]
fn witness(
    secret: &SecretModel,
    lowered: &Lowered<Fp>,
    sample: &[Vec<f32>],
) -> Result<(Trace, Vec<Vec<i64>>, Witness<Fp>)> {
    let graph = &secret.public.graph;
    let inputs = quantize_input(graph, sample)?;
    let trace = run(graph, &secret.weights, &inputs, &mut Honest)?;
    let mut witness = Witness::default();
    for (track, cells) in lowered.witness(&trace) {
        witness.assign(track, cells);
    }
    let instances = lowered
        .instances
        .iter()
        .map(|id| trace.values[id.0 as usize].clone())
        .collect();
    Ok((trace, instances, witness))
}

fn fields(instances: &[Vec<i64>]) -> Vec<Vec<Fp>> {
    instances
        .iter()
        .map(|values| values.iter().map(|v| signed(*v)).collect())
        .collect()
}

/// `zkernel prove NAME.zkm INPUT`.
pub fn prove_model(zkm: &Path, input: &Path, output: Option<PathBuf>) -> Result<Report> {
    let secret = SecretModel::decode(&read(zkm)?)?;
    let ((lowered, key), load) = timed("loading", || load_prover(&secret))?;
    let sample = one_sample(input, &secret.public.graph)?;
    let (proven, seconds) = timed("proving", || prove_sample(&secret, &lowered, &key, &sample))?;
    let path = output.unwrap_or_else(|| zkm.with_extension("zkp"));
    let mut report = Report {
        command: "prove",
        load_seconds: Some(load),
        ..Report::default()
    };
    finish_proof(&mut report, &secret, &lowered, &proven, seconds);
    write(&path, &proven.file.encode(), false)?;
    report.files = vec![path.display().to_string()];
    Ok(report)
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
    let shown = |id: &TensorId| reals(graph, *id, &proven.trace.values[id.0 as usize]);
    report.outputs = Some(graph.outputs.iter().flat_map(shown).collect());
    describe(report, &lowered.system);
}

pub fn describe(report: &mut Report, system: &ConstraintSystem<Fp>) {
    let cells = |kind| {
        system
            .tracks_of(kind)
            .map(|(_, track)| track.len)
            .sum::<usize>()
    };
    let lookups = system
        .lookups
        .iter()
        .filter_map(|l| system.track(l.helper))
        .map(|t| t.len)
        .sum();
    report.log_n = Some(system.log_n);
    report.columns =
        Some(system.tracks.iter().map(|t| t.columns).sum::<usize>() + system.quotient_columns());
    report.cells =
        Some(cells(TrackKind::Advice(Phase::One)) + cells(TrackKind::Advice(Phase::Two)));
    report.lookups = Some(lookups);
    report.peak_rss_bytes = peak_rss_bytes();
}

fn one_sample(path: &Path, graph: &Graph) -> Result<Vec<Vec<f32>>> {
    Ok(Samples::read_for(graph, path)?.single()?.to_vec())
}

fn reals(graph: &Graph, id: TensorId, values: &[i64]) -> Vec<f64> {
    dequantize(graph, id, values).unwrap_or_default()
}

/// `zkernel prove MODEL.onnx INPUT`: commit, prove and verify in one go.
pub fn prove_onnx(
    onnx: &Path,
    input: &Path,
    data: Option<PathBuf>,
    options: &Options,
    output: Option<PathBuf>,
) -> Result<Report> {
    let model = Model::load(onnx)?;
    let sample = Samples::read(&model, input)?;
    let samples = data.map_or_else(|| Ok(sample.clone()), |path| Samples::read(&model, &path))?;
    let (secret, mut report) = calibrated(onnx, &samples, &model, options)?;
    let ((lowered, key), load) = timed("loading", || load_prover(&secret))?;
    let values = one_sample(input, &secret.public.graph)?;
    let (proven, seconds) = timed("proving", || prove_sample(&secret, &lowered, &key, &values))?;
    let bytes = proven.file.encode();
    let (_, verified) = timed("verifying", || verify_bytes(&key.verifying, &bytes))?;
    finish_proof(&mut report, &secret, &lowered, &proven, seconds);
    let float: Vec<f64> = model
        .run(&values)?
        .into_iter()
        .flatten()
        .map(f64::from)
        .collect();
    let quantized = report.outputs.clone().unwrap_or_default();
    report.max_abs_error = Some(
        quantized
            .iter()
            .zip(&float)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f64::max),
    );
    report.float_outputs = Some(float);
    report.load_seconds = Some(load);
    report.verify_seconds = Some(verified);
    if let Some(path) = output {
        write(&path, &bytes, false)?;
        report.files.push(path.display().to_string());
    }
    report
        .text
        .push("PROVEN and verified: the committed model gives these outputs".into());
    Ok(Report {
        command: "prove",
        ..report
    })
}

fn verify_bytes(
    key: &zkernel_verifier::key::VerifyingKey<C>,
    bytes: &[u8],
) -> Result<Vec<Vec<i64>>> {
    let rejected = |reason: String| CliError::Rejected(reason);
    let file = ProofFile::decode(bytes, key)
        .map_err(|e| rejected(format!("not a proof for this key: {e}")))?;
    if file.digest != key.digest {
        return Err(rejected("the proof is for another key".into()));
    }
    verify_proof(
        key,
        &fields(&file.instances),
        &file.proof,
        &executor::<C, _>(&Cpu::new()),
    )
    .map_err(|e| rejected(e.to_string()))?;
    Ok(file.instances)
}

/// `zkernel verify NAME.zkv NAME.zkp`.
pub fn verify(
    zkv: &Path,
    zkp: &Path,
    input: Option<&Path>,
    output: Option<&Path>,
) -> Result<Report> {
    let public = PublicModel::decode(&read(zkv)?)?;
    let (Loaded { lowered, key }, load) = timed("loading", || load_key(&public))?;
    let bytes = read(zkp)?;
    let (instances, seconds) = timed("verifying", || verify_bytes(&key, &bytes))?;
    let mut report = Report {
        command: "verify",
        load_seconds: Some(load),
        verify_seconds: Some(seconds),
        proof_bytes: Some(key.shape.bytes()),
        ..Report::default()
    };
    let graph = &public.graph;
    report.text.push(format!(
        "VALID: the model `{}` committed in {}, run in its integer semantics on {} input, gives",
        graph.name,
        zkv.display(),
        if lowered.instances.contains(&graph.inputs[0]) {
            "this"
        } else {
            "a hidden"
        },
    ));
    for (id, values) in lowered.instances.iter().zip(&instances) {
        let tensor = &graph.tensors[id.0 as usize];
        let reals = reals(graph, *id, values);
        report.text.push(format!("  {} = {reals:?}", tensor.name));
        if graph.outputs.contains(id) {
            report.outputs.get_or_insert_default().extend(reals);
        }
    }
    if let Some(path) = input {
        compare_input(path, graph, &lowered, &instances)?;
    }
    if let Some(path) = output {
        compare_output(path, graph, &lowered, &instances)?;
    }
    describe(&mut report, &key.system);
    Ok(report)
}

fn compare_input(
    path: &Path,
    graph: &Graph,
    lowered: &Lowered<Fp>,
    instances: &[Vec<i64>],
) -> Result<()> {
    let expected = quantize_input(graph, &one_sample(path, graph)?)?;
    let shown = lowered
        .instances
        .iter()
        .zip(instances)
        .find(|(id, _)| graph.inputs.contains(id));
    let expected = expected.into_iter().next().unwrap_or_default();
    match shown {
        None => Err(CliError::Rejected(
            "the input is private, there is nothing to compare it with".into(),
        )),
        Some((_, values)) if *values == expected => Ok(()),
        Some(_) => Err(CliError::Rejected(format!(
            "the proof is about another input than {}",
            path.display()
        ))),
    }
}

/// Outputs agree if they are the same integers after quantizing.
fn compare_output(
    path: &Path,
    graph: &Graph,
    lowered: &Lowered<Fp>,
    instances: &[Vec<i64>],
) -> Result<()> {
    let expected = read_outputs(path)?;
    let shown = lowered
        .instances
        .iter()
        .zip(instances)
        .find(|(id, _)| graph.outputs.contains(id));
    let Some((id, values)) = shown else {
        return Err(CliError::Rejected(
            "the output is private, there is nothing to compare it with".into(),
        ));
    };
    let scale = graph.tensors[id.0 as usize].scale;
    let integers: Vec<i64> = expected
        .iter()
        .map(|v| zkernel_gadgets::table::round_half_up(v / scale))
        .collect();
    if integers == *values {
        return Ok(());
    }
    Err(CliError::Rejected(format!(
        "the proof is about another output than {}",
        path.display()
    )))
}

/// `zkernel check`: the mock prover.
pub fn check(zkm: &Path, input: &Path) -> Result<Report> {
    let secret = SecretModel::decode(&read(zkm)?)?;
    let lowered = zkernel_gadgets::model::lower::<Fp>(&secret.public.graph, secret.public.log_n)?;
    let sample = one_sample(input, &secret.public.graph)?;
    let (_, instances, witness) = witness(&secret, &lowered, &sample)?;
    let tensors = tensors(&secret, &lowered);
    let failures = mock::check(&lowered.system, &fields(&instances), &witness, &tensors)?;
    if !failures.is_empty() {
        return Err(CliError::Violated(failures));
    }
    let mut report = Report {
        command: "check",
        ..Report::default()
    };
    report
        .text
        .push("every gate, lookup and linear constraint holds".into());
    describe(&mut report, &lowered.system);
    Ok(report)
}
