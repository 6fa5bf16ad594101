//! `zkernel inspect`: what a file holds, how large its proofs are, and how sound.

use std::path::{Path, PathBuf};
use std::time::Instant;

use pasta_curves::Fp;
use zkernel_gadgets::model::lower;
use zkernel_onnx::{Model, Options, Samples};
use zkernel_verifier::soundness::{Argument, Soundness, discrete_logarithm_bits};
use zkernel_verifier::system::ConstraintSystem;

use crate::commands::{Precision, Result, describe, hex, timed};
use crate::error::CliError;
use crate::files::{GeneratorsBySize, Loaded, Opening, PublicModel, SecretModel, load_key, read};
use crate::plots;
use crate::predict::{Aim, Machine};
use crate::report::{ArgumentReport, Report, SoundnessReport};

/// log2 of the hash queries that the reported bound after queries allows: as many as a discrete logarithm costs.
const LOG_QUERIES: u32 = 126;

/// What `zkernel inspect` does with an .onnx.
#[derive(Default)]
pub struct Calibration {
    /// Samples to calibrate on.
    pub samples: Option<PathBuf>,
    /// Other samples to report the accuracy on.
    pub test: Option<PathBuf>,
    /// What quantization must keep.
    pub precision: Precision,
    /// What the layout is chosen by.
    pub aim: Aim,
    /// Where a report of the layers goes.
    pub folder: Option<PathBuf>,
}

/// `zkernel inspect`.
pub fn inspect(path: &Path, calibration: &Calibration) -> Result<Report> {
    let mut report = Report {
        command: "inspect",
        ..Report::default()
    };
    match path.extension().and_then(|e| e.to_str()) {
        Some("onnx") => inspect_onnx(path, calibration, &mut report)?,
        Some("zkv") => inspect_public(&PublicModel::decode(&read(path)?)?, &mut report)?,
        Some("zkm") => inspect_public(&SecretModel::decode(&read(path)?)?.public, &mut report)?,
        Some("zko") => {
            let opening = Opening::decode(&read(path)?)?;
            report.text.push(format!(
                "an opening of `{}`: {} secret values in steps of {}",
                opening.name,
                opening.values.len(),
                opening.scale
            ));
        }
        Some("zkp") => {
            let bytes = read(path)?;
            report.text.push(format!(
                "a proof file of {} bytes; verify it with its .zkv",
                bytes.len()
            ));
            report.proof_bytes = Some(bytes.len());
        }
        _ => return Err(CliError::Kind(path.display().to_string())),
    }
    Ok(report)
}

fn inspect_onnx(path: &Path, calibration: &Calibration, report: &mut Report) -> Result<()> {
    let Calibration {
        samples,
        test,
        precision,
        aim,
        folder,
    } = calibration;
    let model = Model::load(path)?;
    report.text.push(model.summary().to_string());
    let start = Instant::now();
    let given = match samples {
        Some(path) => Samples::read(&model, path)?,
        None => Samples::guessed(&model),
    };
    let ((quantized, changed), _) = timed("calibrating", || {
        precision.quantize(&model, &given, &Options::default(), aim.memory)
    })?;
    report.warnings.extend(changed);
    let mut machine = Machine::load();
    let ((graph, log_n), _) = timed("choosing the layout", || {
        machine.choose_layout(&quantized.graph, *aim)
    })?;
    let calibrating = start.elapsed().as_secs_f64();
    let system = lower::<Fp>(&graph, log_n)?.system;
    let (mut predicted, _) = timed("predicting", || machine.predict(&system, &graph))?;
    predicted.commit_seconds += calibrating;
    report.predicted = Some(predicted);
    describe(report, &system);
    if samples.is_some() {
        let accuracy = match test {
            Some(path) => quantized.evaluate(&model, &Samples::read(&model, path)?)?,
            None => quantized.report,
        };
        report.text.push(accuracy.to_string());
        if let Some(folder) = folder {
            report.files = plots::write(folder, &model, &accuracy)?;
        }
        report.accuracy = Some(accuracy);
    }
    Ok(())
}

fn inspect_public(public: &PublicModel, report: &mut Report) -> Result<()> {
    let Loaded { lowered, key } = load_key(public, &mut GeneratorsBySize::new())?;
    report.text.push(format!(
        "model `{}`, key {}",
        public.graph.name,
        hex(&key.digest[..16])
    ));
    for node in &public.graph.nodes {
        let output = &public.graph.tensors[node.output.0 as usize];
        let kind = public.graph.describe(node);
        let range = output.range;
        report.text.push(format!(
            "  {:<32} {kind:<40} {:?} in {}..={}",
            node.name, output.shape, range.min, range.max
        ));
    }
    for track in &lowered.system.tracks {
        report.text.push(format!(
            "  track {:<40} {:?}: {} cells, {} columns",
            track.name, track.kind, track.len, track.columns
        ));
    }
    report.proof_bytes = Some(key.shape.bytes());
    report.predicted = Some(Machine::load().predict(&lowered.system, &public.graph)?);
    report.soundness = Some(soundness(&lowered.system));
    describe(report, &lowered.system);
    Ok(())
}

/// The error of each argument for proofs of this system.
fn soundness(system: &ConstraintSystem<Fp>) -> SoundnessReport {
    let soundness = Soundness::of(system);
    let argument = |argument: &Argument| ArgumentReport {
        name: argument.name,
        challenge: argument.challenge,
        formula: argument.formula,
        counts: argument.counts.iter().copied().collect(),
        bits: soundness.bits_of(argument),
    };
    SoundnessReport {
        bits: soundness.bits(),
        bits_after_2_126_queries: soundness.bits_after_queries(LOG_QUERIES),
        discrete_logarithm_bits: discrete_logarithm_bits::<Fp>(),
        arguments: soundness.arguments.iter().map(argument).collect(),
    }
}
