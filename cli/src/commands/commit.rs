//! `zkernel commit`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use pasta_curves::Fp;
use zkernel_engine::workers::awake;
use zkernel_gadgets::model::{Graph, Segment, Statement, lower};
use zkernel_onnx::{Model, Options, Quantized, Samples, quantize};
use zkernel_verifier::system::TrackKind;

use super::{Result, describe, timed, with_suffix};
use crate::files::{SecretModel, write};
use crate::memory::Memory;
use crate::predict::Machine;
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
    /// The most memory that proving may take.
    pub memory: Option<Memory>,
}

impl Wishes {
    /// The network that is committed to: with its statement, once for each input of a batch.
    pub(super) fn applied(&self, quantized: &Quantized) -> Result<Segment> {
        let Quantized { graph, weights, .. } = quantized;
        let (graph, weights) = match &self.statement {
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
            Machine::load().choose_layout(&graph, self.memory)
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
    let model = Model::load(onnx)?;
    let samples = match data {
        Some(path) => Samples::read(&model, path)?,
        None => Samples::guessed(&model),
    };
    let (quantized, _) = timed("calibrating", || {
        Ok(quantize(&model, &samples, &wishes.options)?)
    })?;
    let mut report = accuracy_report(onnx, &model, &quantized);
    if data.is_none() {
        report.warnings.push(GUESSED.into());
    }
    let base = output.unwrap_or_else(|| onnx.with_extension(""));
    let whole = wishes.applied(&quantized)?;
    match &wishes.split {
        None => keep(&mut report, &base, &wishes.committed(whole)?)?,
        Some(tensor) => segments(&mut report, &base, &whole, tensor, wishes.memory)?,
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
    memory: Option<Memory>,
) -> Result<()> {
    let segments = graph.split(weights, tensor)?;
    let (layouts, _) = timed("choosing the layouts", || {
        shared_layouts([&segments[0].0, &segments[1].0], memory)
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
fn shared_layouts(graphs: [&Graph; 2], memory: Option<Memory>) -> Result<[(Graph, u32); 2]> {
    let mut machine = Machine::load();
    let mut layouts = [
        machine.choose_layout(graphs[0], memory)?,
        machine.choose_layout(graphs[1], memory)?,
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
