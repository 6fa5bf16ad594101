//! The commands.

mod certificate;
mod commit;
mod compare;
mod prove;
mod verify;
mod words;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pasta_curves::Fp;
use zkernel_engine::mock;
use zkernel_gadgets::model::{Graph, TensorId, lower};
use zkernel_onnx::{Samples, dequantize};
use zkernel_verifier::curve::signed;
use zkernel_verifier::system::{ConstraintSystem, Phase, TrackKind};

use crate::error::CliError;
use crate::files::{SecretModel, read, tensors};
use crate::report::{Report, peak_rss_bytes};

pub use certificate::{Certificate, certificate};
pub use commit::{Precision, Wishes, commit};
pub use compare::Comparison;
pub use prove::{prove_model, prove_onnx};
pub use verify::verify;
pub use words::hex;

pub type Result<T> = std::result::Result<T, CliError>;

/// A line that turns while something takes longer than a second; silent when nobody watches.
fn progress(message: &'static str) -> indicatif::ProgressBar {
    let bar = indicatif::ProgressBar::new_spinner();
    bar.set_message(message);
    bar.enable_steady_tick(Duration::from_secs(1));
    bar
}

/// What some work gives, and its seconds; a line turns meanwhile.
pub fn timed<T>(message: &'static str, work: impl FnOnce() -> Result<T>) -> Result<(T, f64)> {
    let bar = progress(message);
    let start = Instant::now();
    let value = work();
    bar.finish_and_clear();
    Ok((value?, start.elapsed().as_secs_f64()))
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

fn fields(instances: &[Vec<i64>]) -> Vec<Vec<Fp>> {
    instances
        .iter()
        .map(|values| values.iter().map(|v| signed(*v)).collect())
        .collect()
}

/// `zkernel check`: the mock prover.
pub fn check(zkm: &Path, inputs: &[PathBuf]) -> Result<Report> {
    let secret = SecretModel::decode(&read(zkm)?)?;
    let lowered = lower::<Fp>(&secret.public.graph, secret.public.log_n)?;
    let given = prove::Given::read(inputs, &secret.public)?;
    let run = prove::execute(&secret, &lowered, &given)?;
    let tensors = tensors(&secret, &lowered);
    let instances = fields(&run.instances);
    let failures = mock::check(&lowered.system, &instances, &run.witness, &tensors)?;
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
