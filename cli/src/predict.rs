//! Predicted seconds, bytes and memory of proofs, from counts and this machine's prices.

mod layouts;

use std::path::PathBuf;
use std::time::{Duration, Instant, UNIX_EPOCH};

use pasta_curves::Fp;
use zkernel_backend::Backend;
use zkernel_backend_cpu::reserve;
use zkernel_engine::cost::{Operation, Prices, Trace, Unit, Work};
use zkernel_gadgets::model::{Graph, Honest, WeightValues, register, run};
use zkernel_verifier::system::{ConstraintSystem, Phase, TrackKind};

pub use self::layouts::{Aim, Objective};
use crate::commands::Result;
use crate::device::device;
use crate::error::CliError;
use crate::files::{C, room};
use crate::memory::Memory;
use crate::report::{Prediction, peak_rss_bytes};

/// Prices are the shortest times of warm loops. A process that proves or verifies once also fills its caches, gets its memory
/// page by page and wakes its threads: so many times the seconds, and so many more. Fitted over eight networks of 5 to 67 ms; how well they
/// predict is in the book, "How to measure".
const COLD_PROOF: f64 = 1.15;
const COLD_PROOF_START: f64 = 0.000_8;
const COLD_VERIFICATION: f64 = 1.05;
const COLD_START: f64 = 0.000_25;
/// Units that are measured again for a prediction.
const TELLING: usize = 6;
/// The host's own part is timed this often at most for a prediction, but not again once it has taken so long.
const TRACES: usize = 8;
const PREDICTING: Duration = Duration::from_millis(300);
/// Bytes that are made ready before something is measured.
const MEASURING: usize = 32 << 20;
/// What the allocator keeps between blocks of many sizes, in the median over the same networks.
const KEPT_MEMORY: f64 = 1.12;
/// Bytes of it that no operation asks for.
const OWN_MEMORY: f64 = 2.5e6;

/// Refuses what would take more memory than allowed beyond what this process has taken.
///
/// # Errors
/// [`CliError::Memory`].
pub fn check_room(bytes: u64, memory: Option<Memory>) -> Result<()> {
    fits(peak_rss_bytes().unwrap_or(0) + bytes, memory)
}

/// Prices of this machine and this build of the program, kept in the user's cache directory for this backend and this number of threads.
pub struct Machine {
    prices: Prices,
    file: Option<PathBuf>,
    threads: usize,
}

impl Machine {
    /// The prices that this build has measured so far; none if there is no readable cache.
    pub fn load() -> Self {
        let threads = rayon::current_num_threads();
        let name = Backend::<C>::name(&device()).replace(|c: char| !c.is_alphanumeric(), "-");
        let folder = cache_folder().map(|folder| folder.join("zkernel"));
        Self::of(
            folder.map(|folder| folder.join(format!("prices-{name}-{threads}.txt"))),
            threads,
        )
    }

    /// The prices in a file.
    fn of(file: Option<PathBuf>, threads: usize) -> Self {
        let text = file.as_ref().and_then(|f| std::fs::read_to_string(f).ok());
        let prices = text.and_then(|text| Prices::decode(text.strip_prefix(&build())?));
        Self {
            prices: prices.unwrap_or_default(),
            file,
            threads,
        }
    }

    /// Counts and prices a system; prices that are missing are measured and kept.
    pub fn trace(&mut self, system: &ConstraintSystem<Fp>) -> Result<Trace> {
        let trace = Trace::of::<C>(system, self.threads)?;
        let mut measured = false;
        let works = [&trace.commit, &trace.prove, &trace.verify];
        if self.prices.lack(&works) {
            // A prover finds its pages mapped as well.
            reserve(MEASURING);
        }
        for work in works {
            measured |= self.prices.measure::<C, _>(&device(), work)?;
        }
        if measured {
            self.keep();
        }
        Ok(trace)
    }

    /// The same with the host's shortest times of several traces, begun within some time: of a large system it is one.
    fn steady_trace(&mut self, system: &ConstraintSystem<Fp>, within: Duration) -> Result<Trace> {
        let start = Instant::now();
        let mut trace = self.trace(system)?;
        for _ in 1..TRACES {
            if start.elapsed() > within {
                break;
            }
            trace.keep_shortest(&self.trace(system)?);
        }
        Ok(trace)
    }

    /// Bytes that the range proof of the private weights takes.
    fn range_bytes(&self, graph: &Graph, log_n: u32) -> Result<u64> {
        let Some(registration) = register::<Fp>(graph, log_n)? else {
            return Ok(0);
        };
        let trace = Trace::of::<C>(&registration.system, self.threads)?;
        Ok(device_bytes(&trace) + host_bytes(&registration.system))
    }

    /// Refuses to prove with a key that this process has loaded, if that is predicted to take more than `memory`.
    ///
    /// # Errors
    /// [`CliError::Memory`].
    pub fn check_memory(
        &self,
        system: &ConstraintSystem<Fp>,
        memory: Option<Memory>,
    ) -> Result<()> {
        if memory.is_none() {
            return Ok(());
        }
        let loaded = peak_rss_bytes().unwrap_or(0);
        let trace = Trace::of::<C>(system, self.threads)?;
        fits(loaded + with_slack(device_bytes(&trace)), memory)
    }

    /// A prediction for a system that this process has loaded the key of. Its `commit_seconds` have no calibration in them.
    pub fn predict(&mut self, system: &ConstraintSystem<Fp>, graph: &Graph) -> Result<Prediction> {
        // The host's share of the memory is what this process needs for the same steps; prices come after it.
        let mut trace = Trace::of::<C>(system, self.threads)?;
        let host = peak_rss_bytes();
        trace.keep_shortest(&self.steady_trace(system, PREDICTING)?);
        let ranges = self.range_seconds(system, graph)?;
        // As prices are measured.
        reserve(MEASURING);
        let [commit, prove, verify] = [
            self.seconds_now(&trace.commit)?,
            self.seconds_now(&trace.prove)?,
            self.seconds_now(&trace.verify)?,
        ];
        let work = device_bytes(&trace).max(room(system) as u64);
        let operations = Operation::ALL.into_iter();
        let counts = operations.map(|o| (o.to_string(), trace.prove.count(o)));
        Ok(Prediction {
            commit_seconds: commit + ranges,
            prove_seconds: COLD_PROOF * (prove + run_seconds(graph)) + COLD_PROOF_START,
            verify_seconds: COLD_VERIFICATION * verify + COLD_START,
            proof_bytes: trace.proof_bytes,
            peak_rss_bytes: host
                .map(|bytes| ((bytes + work) as f64 * KEPT_MEMORY + OWN_MEMORY) as u64),
            counts: counts.filter(|(_, count)| *count > 0.0).collect(),
        })
    }

    /// Seconds that some work takes at the pace that the machine has now: what is kept was measured when it had another, and machines
    /// that are shared have many. The units that cost most tell.
    fn seconds_now(&self, work: &Work) -> Result<f64> {
        let cost = |unit: &Unit, count: f64| count * self.prices.of(unit).unwrap_or(0.0);
        let mut units: Vec<(Unit, f64)> = work.counts.iter().map(|(u, n)| (*u, *n)).collect();
        units.sort_by(|(a, n), (b, m)| cost(b, *m).total_cmp(&cost(a, *n)));
        units.truncate(TELLING);
        let telling = Work {
            counts: units.into_iter().collect(),
            ..Work::default()
        };
        let mut now = Prices::default();
        now.measure::<C, _>(&device(), &telling)?;
        let before = self.prices.seconds(&telling);
        let pace = if before > 0.0 {
            now.seconds(&telling) / before
        } else {
            1.0
        };
        let device_seconds = self.prices.seconds(work) - work.host_seconds;
        Ok(work.host_seconds + pace * device_seconds)
    }

    /// Seconds of the range proof of the private weights.
    fn range_seconds(&mut self, system: &ConstraintSystem<Fp>, graph: &Graph) -> Result<f64> {
        let Some(registration) = register::<Fp>(graph, system.log_n)? else {
            return Ok(0.0);
        };
        let trace = self.trace(&registration.system)?;
        Ok(self.prices.seconds(&trace.commit) + self.prices.seconds(&trace.prove))
    }

    /// Writes the prices; without a cache they are measured again.
    fn keep(&self) {
        if let Some(file) = &self.file {
            let folder = file.parent().map_or(Ok(()), std::fs::create_dir_all);
            let written =
                folder.and_then(|()| std::fs::write(file, build() + &self.prices.encode()));
            drop(written);
        }
    }
}

/// The line that tells one build of this program from another, whose kernels may take longer or shorter.
fn build() -> String {
    let file = std::env::current_exe().and_then(std::fs::metadata).ok();
    let written = file.as_ref().and_then(|file| file.modified().ok());
    let since = written.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let [bytes, written] = [
        file.map(|file| u128::from(file.len())),
        since.map(|since| since.as_nanos()),
    ]
    .map(Option::unwrap_or_default);
    format!("build {bytes} {written}\n")
}

/// Bytes of the cells that are committed to, as the host holds them beside the device.
fn host_bytes(system: &ConstraintSystem<Fp>) -> u64 {
    let held = [TrackKind::Tensor, TrackKind::Advice(Phase::One)];
    let columns: usize = held.map(|kind| system.columns_of(kind)).iter().sum();
    (columns * system.rows() * size_of::<Fp>()) as u64
}

/// Bytes that columns and bases take, whichever stage needs more.
fn device_bytes(trace: &Trace) -> u64 {
    trace.commit.peak_bytes.max(trace.prove.peak_bytes) as u64
}

/// What the system's allocator makes of bytes in use: up to three quarters more, kept between blocks of many sizes. A bound must
/// allow for it; how much it is differs from run to run.
const fn with_slack(bytes: u64) -> u64 {
    bytes + bytes / 4 * 3
}

fn fits(peak: u64, memory: Option<Memory>) -> Result<()> {
    match memory {
        Some(bound) if Memory(peak) > bound => Err(CliError::Memory {
            predicted: Memory(peak),
            bound,
        }),
        _ => Ok(()),
    }
}

fn cache_folder() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let home = || set("HOME").map(|home| PathBuf::from(home).join(".cache"));
    set("XDG_CACHE_HOME").map(PathBuf::from).or_else(home)
}

/// Seconds of the integer run, which is the same work whatever the numbers: here all are zero.
fn run_seconds(graph: &Graph) -> f64 {
    let zeros = graph.weights.iter().map(|w| vec![0; w.rows * w.cols]);
    let weights = WeightValues(zeros.collect());
    let inputs = graph.inputs.iter().map(|id| {
        let tensor = &graph.tensors[id.0 as usize];
        vec![tensor.zero_point; tensor.shape.iter().product()]
    });
    let inputs: Vec<Vec<i64>> = inputs.collect();
    let start = Instant::now();
    drop(run(graph, &weights, &inputs, &mut Honest));
    start.elapsed().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_of_another_build_are_not_taken() {
        let folder = std::env::temp_dir().join(format!("zkernel-prices-{}", std::process::id()));
        let file = folder.join("prices.txt");
        let load = || Machine::of(Some(file.clone()), 2).prices.encode();
        assert_eq!(load(), "");
        let prices = format!("{} 10 1 1 5e-1\n", Operation::ALL[0]);
        Machine {
            prices: Prices::decode(&prices).unwrap(),
            file: Some(file.clone()),
            threads: 2,
        }
        .keep();
        assert_eq!(load(), prices);
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replacen("build ", "build 1", 1)).unwrap();
        assert_eq!(load(), "");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
