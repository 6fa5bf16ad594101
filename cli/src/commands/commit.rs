//! `zkernel commit`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use pasta_curves::Fp;
use zkernel_engine::workers::awake;
use zkernel_gadgets::model::{Graph, Segment, Statement, lower};
use zkernel_onnx::{Goal, Model, Options, Quantized, Samples, calibration_bytes, quantize_for};
use zkernel_verifier::system::TrackKind;

use super::{Result, describe, timed, with_suffix};
use crate::error::CliError;
use crate::files::{SecretModel, write};
use crate::memory::Memory;
use crate::predict::{Aim, Machine, check_room};
use crate::report::Report;

const GUESSED: &str = "calibrated on made-up inputs: ranges and errors are guesses; give real samples with --calibrate";

/// What to commit to.
pub struct Wishes {
    /// What is secret.
    pub options: Options,
    /// What is said in place of the outputs.
    pub statement: Option<Statement>,
    /// Inputs under one proof.
    pub batch: usize,
    /// The tensor to cut the network at.
    pub split: Option<String>,
    /// What quantization must keep, and whether it fails where it cannot.
    pub precision: Precision,
    /// What the layout is chosen by.
    pub aim: Aim,
}

/// What quantization must keep.
#[derive(Clone, Copy, Default)]
pub struct Precision {
    /// On the calibration samples.
    pub goal: Goal,
    /// Whether to fail if decisions change; a warning otherwise.
    pub strict: bool,
}

impl Precision {
    /// Quantizes a model, if its samples' values fit.
    ///
    /// # Errors
    /// [`CliError::Precision`] if it is strict and not met; [`CliError::Memory`] if the samples' values would not fit.
    pub fn quantize(
        self,
        model: &Model,
        samples: &Samples,
        options: &Options,
        memory: Option<Memory>,
    ) -> Result<(Quantized, Option<String>)> {
        check_room(calibration_bytes(model, samples), memory)?;
        let quantized = quantize_for(model, samples, options, self.goal)?;
        let report = &quantized.report;
        if self.goal.keeps_decisions(report) {
            return Ok((quantized, None));
        }
        let problem = format!(
            "only {:.2} % of {} calibration samples keep their decision with {} bits dropped and {} bits of activations, {:.0} % are asked for; largest output error {:.3} %",
            100.0 * report.top1_agreement,
            report.samples,
            report.widths.shift,
            report.widths.activation,
            100.0 * self.goal.least_agreement(),
            100.0 * report.relative_error
        );
        if self.strict {
            return Err(CliError::Precision(problem));
        }
        Ok((quantized, Some(problem)))
    }
}

impl Wishes {
    /// Quantizes as precisely as wished; also what is to be warned of.
    pub(super) fn quantize(
        &self,
        model: &Model,
        samples: &Samples,
    ) -> Result<(Quantized, Option<String>)> {
        self.precision
            .quantize(model, samples, &self.options, self.aim.memory)
    }

    /// The network without what a class does not need, and the statement about what is left.
    pub(super) fn decided(&self, model: Model) -> (Model, Option<Statement>) {
        let decided = match &self.statement {
            Some(Statement::Class { output }) => model.deciding(output.as_deref()),
            _ => None,
        };
        match decided {
            Some(scores) => (scores, Some(Statement::Class { output: None })),
            None => (model, self.statement.clone()),
        }
    }

    /// The network that is committed to: with its statement, once for each input of a batch.
    pub(super) fn applied(
        &self,
        quantized: &Quantized,
        statement: Option<&Statement>,
    ) -> Result<Segment> {
        let Quantized { graph, weights, .. } = quantized;
        let (graph, weights) = match statement {
            Some(statement) => graph.with_statement(weights, statement)?,
            None => (graph.clone(), weights.clone()),
        };
        match self.batch {
            0 | 1 => Ok((graph, weights)),
            count => Ok((graph.batch(count)?, weights)),
        }
    }

    /// Chooses a layout and commits.
    pub(super) fn committed(&self, (graph, weights): Segment) -> Result<SecretModel> {
        let ((graph, log_n), _) = timed("choosing the layout", || {
            Machine::load().choose_layout(&graph, self.aim)
        })?;
        let (secret, _) = timed("committing", || {
            awake(|| crate::files::commit(graph, weights, log_n))
        })?;
        Ok(secret)
    }
}

/// `zkernel commit`.
pub fn commit(
    onnx: &Path,
    data: Option<&Path>,
    wishes: &Wishes,
    output: Option<PathBuf>,
) -> Result<Report> {
    let start = Instant::now();
    let (model, statement) = wishes.decided(Model::load(onnx)?);
    let samples = match data {
        Some(path) => Samples::read(&model, path)?,
        None => Samples::guessed(&model),
    };
    let ((quantized, changed), _) = timed("calibrating", || wishes.quantize(&model, &samples))?;
    let mut report = accuracy_report(onnx, &model, &quantized);
    report.warnings.extend(changed);
    if data.is_none() {
        report.warnings.push(GUESSED.into());
    }
    let base = output.unwrap_or_else(|| onnx.with_extension(""));
    let whole = wishes.applied(&quantized, statement.as_ref())?;
    match &wishes.split {
        None => keep(&mut report, &base, &wishes.committed(whole)?)?,
        Some(tensor) => segments(&mut report, &base, &whole, tensor, wishes.aim)?,
    }
    report.commit_seconds = Some(start.elapsed().as_secs_f64());
    Ok(Report {
        command: "commit",
        ..report
    })
}

/// The model and the errors of its quantization.
pub(super) fn accuracy_report(onnx: &Path, model: &Model, quantized: &Quantized) -> Report {
    let about = format!("{}\n{}", onnx.display(), model.summary());
    Report {
        text: vec![about, quantized.report.to_string()],
        accuracy: Some(quantized.report.clone()),
        ..Report::default()
    }
}

/// Writes both files of a model and describes its system.
fn keep(report: &mut Report, base: &Path, secret: &SecretModel) -> Result<()> {
    let (zkm, zkv) = (with_suffix(base, "zkm"), with_suffix(base, "zkv"));
    write(&zkm, &secret.encode(), true)?;
    write(&zkv, &secret.public.encode(), false)?;
    let public = &secret.public;
    describe(report, &lower::<Fp>(&public.graph, public.log_n)?.system);
    let written = [zkm, zkv].map(|path| path.display().to_string());
    report.files.extend(written);
    Ok(())
}

/// Both halves of a network as models of their own, NAME.1 and NAME.2.
fn segments(
    report: &mut Report,
    base: &Path,
    (graph, weights): &Segment,
    tensor: &str,
    aim: Aim,
) -> Result<()> {
    let segments = graph.split(weights, tensor)?;
    let (layouts, _) = timed("choosing the layouts", || {
        shared_layouts([&segments[0].0, &segments[1].0], aim)
    })?;
    let weights = segments.map(|(_, weights)| weights);
    for (index, ((graph, log_n), weights)) in layouts.into_iter().zip(weights).enumerate() {
        let number = index + 1;
        let nodes = graph.nodes.len();
        let about = format!("segment {number}: `{}`, {nodes} nodes", graph.name);
        report.text.push(about);
        let (secret, _) = timed("committing", || {
            awake(|| crate::files::commit(graph, weights, log_n))
        })?;
        keep(report, &with_suffix(base, &number.to_string()), &secret)?;
    }
    // They are two systems: what describes one of them would mislead.
    *report = Report {
        log_n: None,
        columns: None,
        cells: None,
        lookups: None,
        ..std::mem::take(report)
    };
    Ok(())
}

/// The layout of each segment and its n: its own best one, unless the boundary would be cut into other columns then.
fn shared_layouts(graphs: [&Graph; 2], aim: Aim) -> Result<[(Graph, u32); 2]> {
    let mut machine = Machine::load();
    let mut layouts = [
        machine.choose_layout(graphs[0], aim)?,
        machine.choose_layout(graphs[1], aim)?,
    ];
    let mut columns = Vec::new();
    for (graph, log_n) in &layouts {
        let system = lower::<Fp>(graph, *log_n)?.system;
        columns.push(system.columns_of(TrackKind::Boundary));
    }
    if columns.iter().any(|count| *count != 1) {
        let larger = layouts[0].1.max(layouts[1].1);
        layouts.iter_mut().for_each(|(_, log_n)| *log_n = larger);
    }
    Ok(layouts)
}
