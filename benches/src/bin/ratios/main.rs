//! Ours and every peer, interleaved, in one process: `ratios quick|full THREADS [GROUP...]` prints one JSON object a line.
//! Run through `cargo xtask ratios`. The best peer is the one with the smallest median. Conversions of inputs are not
//! timed; nor are tables that depend on bases or sizes alone, on either side.

mod columns;
mod curve;
mod proofs;

use pasta_curves::EpAffine;
use zkernel_backend::Backend;
use zkernel_benches::device;
use zkernel_benches::timing::{Measured, Spread, Task, compare};

/// What the measurement ends with, or why it ends early.
type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// What to measure.
struct Plan {
    threads: usize,
    quick: bool,
    groups: Vec<String>,
}

/// Every group, in the order in which they run.
const GROUPS: [&str; 18] = [
    "field",
    "msm",
    "msm8",
    "msm16",
    "msm_equal_points",
    "msm_equal_scalars",
    "msm_zeros",
    "ntt",
    "ntt32",
    "commit",
    "commit8",
    "dictionary",
    "dictionary_large",
    "inner",
    "prove",
    "verify",
    "prove_rotations",
    "verify_rotations",
];

impl Plan {
    fn new(arguments: &[String]) -> Outcome<Self> {
        let usage = || "usage: ratios quick|full THREADS [GROUP...]".to_owned();
        let [mode, threads, groups @ ..] = arguments else {
            return Err(usage().into());
        };
        if let Some(unknown) = groups.iter().find(|g| !GROUPS.contains(&g.as_str())) {
            let known = GROUPS.join(", ");
            return Err(format!("no group `{unknown}`; there are {known}").into());
        }
        Ok(Self {
            threads: threads.parse().map_err(|_| usage())?,
            quick: mode == "quick",
            groups: groups.to_vec(),
        })
    }

    fn wants(&self, group: &str) -> bool {
        self.groups.is_empty() || self.groups.iter().any(|g| g == group)
    }

    /// Times the tasks, the first of which is ours, and prints the line.
    fn report(
        &self,
        group: &'static str,
        size: u32,
        operations: usize,
        tasks: Vec<Task<'_>>,
    ) -> Spread {
        let threads = self.threads;
        let backend = &Backend::<EpAffine>::name(&device::open());
        let what = Measured {
            group,
            size,
            threads,
            backend,
            operations,
        };
        let (line, ours) = compare(what, tasks);
        println!("{line}");
        ours
    }
}

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let plan = Plan::new(&arguments)?;
    rayon::ThreadPoolBuilder::new()
        .num_threads(plan.threads)
        .build_global()?;
    columns::field(&plan)?;
    curve::msms(&plan)?;
    columns::transforms(&plan)?;
    curve::commits(&plan)?;
    curve::inner(&plan)?;
    proofs::chains(&plan)
}
