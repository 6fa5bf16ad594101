//! `zkernel bench`: how fast this machine is, at a glance. No other libraries; `cargo xtask ratios` of the sources compares.

use std::time::{Duration, Instant};

use ff::{Field as _, PrimeField as _};
use group::{Curve as _, Group as _};
use pasta_curves::{Eq, EqAffine, Fp};
use serde::Serialize;
use zkernel_backend::{Backend, Body, HostColumns};
use zkernel_backend_cpu::Cpu;
use zkernel_engine::product_chain::{ProductChain, Wiring};
use zkernel_engine::{ProvingKey, Tensors, executor, prove};
use zkernel_verifier::curve::Generators;
use zkernel_verifier::key::KeyError;
use zkernel_verifier::verify::verify;

use crate::device::device;
use crate::error::CliError;
use crate::report::Report;

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, clap::ValueEnum)]
pub enum Operation {
    /// A sum of scalars times points over Vesta, scalars of 255 bits: ns a point.
    Msm,
    /// A transform of one column of field elements: ns an element.
    Ntt,
    /// A proof that a public value is the product of 2^size - 64 secret bytes: ns a byte.
    Prove,
}

/// One operation at one size and number of threads.
#[derive(Debug, Serialize)]
pub struct Measurement {
    /// The operation, as it is called on the command line.
    pub operation: &'static str,
    /// log2 of the number of points, elements or rows.
    pub size: u32,
    /// Threads that it could use.
    pub threads: usize,
    /// Timed runs, after one that is not.
    pub runs: usize,
    /// Nanoseconds of the middle run.
    pub median_ns: u64,
    /// Of the quickest one.
    pub min_ns: u64,
    /// Median nanoseconds of a point, element or row.
    pub ns_each: f64,
    /// Of verifying the proof, once: median nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify_ns: Option<u64>,
}

/// Largest size: 2^22 points with their scalars are 400 MB.
const LARGEST: u32 = 22;
/// Smallest size; a product of 2^size - 64 bytes has to have some.
const SMALLEST: u32 = 7;

/// Measures every size with every number of threads.
///
/// # Errors
/// [`CliError::Option`] for a size out of range; errors of the prover, which would be bugs.
pub fn bench(operation: Operation, sizes: &[u32], threads: &[usize]) -> Result<Report, CliError> {
    if let Some(size) = sizes.iter().find(|s| !(SMALLEST..=LARGEST).contains(s)) {
        return Err(CliError::Option(format!(
            "size {size} is not within {SMALLEST}..={LARGEST}; --sizes takes log2 of the number of points, elements or rows"
        )));
    }
    if threads.contains(&0) {
        let problem = "--threads 0: at least one is needed";
        return Err(CliError::Option(problem.into()));
    }
    let mut measurements = Vec::new();
    for size in sizes {
        let mut task = Task::new(operation, *size)?;
        for threads in threads {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(*threads);
            let pool = pool.build().map_err(|e| {
                CliError::Option(format!("--threads {threads}: no such pool of threads: {e}"))
            })?;
            measurements.push(pool.install(|| task.measure(*threads))?);
        }
    }
    let text = std::iter::once(Backend::<EqAffine>::name(&device()))
        .chain(measurements.iter().map(Measurement::row))
        .collect();
    Ok(Report {
        command: "bench",
        measurements,
        text,
        ..Report::default()
    })
}

impl Measurement {
    fn row(&self) -> String {
        let verify = self
            .verify_ns
            .map(|ns| format!(", verify {:.3} ms", ns as f64 / 1e6));
        format!(
            "{:<5} 2^{:<2} {:>2} threads {:>12.3} ms {:>12.1} ns each{}",
            self.operation,
            self.size,
            self.threads,
            self.median_ns as f64 / 1e6,
            self.ns_each,
            verify.unwrap_or_default()
        )
    }
}

/// Prepared inputs of one size.
struct Task {
    operation: &'static str,
    size: u32,
    run: Run,
}

enum Run {
    Msm(Vec<EqAffine>, Vec<Fp>),
    Ntt(<Cpu as Backend<EqAffine>>::Columns),
    Prove(Box<Chain>),
}

struct Chain {
    key: ProvingKey<EqAffine, Cpu>,
    witness: zkernel_engine::Witness<Fp>,
    public: Vec<Vec<Fp>>,
}

impl Task {
    fn new(operation: Operation, size: u32) -> Result<Self, CliError> {
        let (operation, run) = match operation {
            Operation::Msm => ("msm", Run::Msm(points(1 << size), scalars(1 << size))),
            Operation::Ntt => ("ntt", Run::Ntt(column(1 << size)?)),
            Operation::Prove => ("prove", Run::Prove(Box::new(chain(size)?))),
        };
        Ok(Self {
            operation,
            size,
            run,
        })
    }

    fn measure(&mut self, threads: usize) -> Result<Measurement, CliError> {
        let backend = device();
        let (times, verify) = match &self.run {
            Run::Msm(points, scalars) => (timed(|| backend.msm(points, scalars))?, None),
            Run::Ntt(column) => {
                let transform = || Backend::<EqAffine>::coset_evaluate(&backend, column, Fp::ONE);
                (timed(transform)?, None)
            }
            Run::Prove(chain) => chain.measure(&backend)?,
        };
        let median = times[times.len() / 2].as_nanos();
        let nanoseconds = |time: u128| u64::try_from(time).unwrap_or(u64::MAX);
        Ok(Measurement {
            operation: self.operation,
            size: self.size,
            threads,
            runs: times.len(),
            median_ns: nanoseconds(median),
            min_ns: nanoseconds(times[0].as_nanos()),
            ns_each: median as f64 / f64::from(self.size).exp2(),
            verify_ns: verify.map(|time| nanoseconds(time.as_nanos())),
        })
    }
}

impl Chain {
    /// Proofs, and the median of verifying one of them.
    fn measure(&self, backend: &Cpu) -> Result<(Vec<Duration>, Option<Duration>), CliError> {
        let proof = prove(backend, &self.key, &self.public, &self.witness)?;
        let proving = timed(|| prove(backend, &self.key, &self.public, &self.witness))?;
        let execute = executor::<EqAffine, _>(backend);
        let key = &self.key.verifying;
        let verifying = timed(|| {
            verify(key, &self.public, &proof, &execute).map_err(zkernel_engine::Error::Unsatisfied)
        })?;
        Ok((proving, Some(verifying[verifying.len() / 2])))
    }
}

/// Sorted times of at least five runs and of about half a second, after one that is not counted.
fn timed<T, E>(mut run: impl FnMut() -> Result<T, E>) -> Result<Vec<Duration>, CliError>
where
    zkernel_engine::Error: From<E>,
{
    let mut run = || run().map_err(zkernel_engine::Error::from);
    std::hint::black_box(run()?);
    let (mut times, start) = (Vec::new(), Instant::now());
    while times.len() < 5 || (times.len() < 101 && start.elapsed() < Duration::from_millis(500)) {
        let start = Instant::now();
        std::hint::black_box(run()?);
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok(times)
}

/// Distinct points: multiples of the generator.
fn points(count: usize) -> Vec<EqAffine> {
    let generator = Eq::generator();
    let step = (generator * Fp::DELTA).to_affine();
    let walk: Vec<Eq> = std::iter::successors(Some(generator), |point| Some(point + step))
        .take(count)
        .collect();
    let mut affine = vec![EqAffine::default(); count];
    Eq::batch_normalize(&walk, &mut affine);
    affine
}

/// Scalars that fill the field: powers of an element of large order.
fn scalars(count: usize) -> Vec<Fp> {
    let base = Fp::DELTA + Fp::from(7);
    let first = base.pow_vartime([1 << 20]);
    std::iter::successors(Some(first), |scalar| Some(scalar * base))
        .take(count)
        .collect()
}

fn column(rows: usize) -> Result<<Cpu as Backend<EqAffine>>::Columns, CliError> {
    let host = HostColumns {
        rows,
        columns: 1,
        body: Body::Full(scalars(rows)),
        tail: Vec::new(),
    };
    let column = Backend::<EqAffine>::upload(&device(), &host);
    Ok(column.map_err(zkernel_engine::Error::from)?)
}

fn chain(size: u32) -> Result<Chain, CliError> {
    let factors: Vec<u8> = (0..(1u32 << size).saturating_sub(64))
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8 | 1)
        .collect();
    let log_n = size / 2 + 3;
    let circuit =
        ProductChain::new(log_n, factors.len(), Wiring::Copies).map_err(KeyError::from)?;
    let (witness, product) = circuit.witness(&factors);
    let none = Tensors {
        values: Vec::new(),
        blinders: Vec::new(),
    };
    let generators = Generators::<EqAffine>::derive(log_n);
    let key = ProvingKey::new(
        &device(),
        circuit.system,
        generators,
        &none,
        b"product chain",
    )?;
    Ok(Chain {
        key,
        witness,
        public: vec![vec![product]],
    })
}
