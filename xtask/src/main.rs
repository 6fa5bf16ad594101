//! Project tasks: `cargo xtask ratios`, `cargo xtask checks`, `cargo xtask fixtures`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod checks;
mod fixtures;
mod ratios;
mod record;

/// Tasks of the project that are not part of it.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Times ours beside other libraries and prints how many times faster ours is.
    ///
    /// Builds the bench crate with its peers (a few minutes the first time), then runs ours and every peer in turn in one
    /// process, at least five times each after a warm-up, with one thread and with two. Results are compared before they
    /// are timed; a peer three times slower than the best one in the warm-up is not run again. Use ratios of one run only:
    /// the same machine moves by tens of percent between runs. All of them get large pages where the system gives them when asked
    /// (GLIBC_TUNABLES=glibc.malloc.hugetlb=1, unless that variable is set).
    ///
    /// Groups: field (one multiplication, of 2^size in the cache); msm, msm8, msm16 (full, 8- and 16-bit signed scalars);
    /// msm_equal_points, msm_equal_scalars, msm_zeros; ntt, and ntt32 for 32 columns at once; commit, commit8, dictionary,
    /// dictionary_large (32 columns of 2^size cells, on loaded bases, of eight values or of 2^size / 2; peers do 32 plain
    /// MSMs); inner (all inner rounds of a column); prove
    /// and verify (a product of 2^size - 64 secret bytes), prove_rotations and verify_rotations (the same, by a gate that
    /// reads the next row).
    #[command(
        after_help = "Example:\n  cargo xtask ratios --quick --json | jq -c 'select(.group == \"msm\")'"
    )]
    Ratios {
        /// Sizes up to 2^14 only: a few minutes instead of an hour.
        #[arg(long)]
        quick: bool,
        /// One JSON object a line: group, size (log2), threads, ours_ns, peer (the best), peer_ns, ratio; also the quickest
        /// and slowest runs of both, the medians of all peers that were timed, the backend. Without it, a table.
        #[arg(long)]
        json: bool,
        /// Only with that many threads; both one and two if not given.
        #[arg(long, value_parser = clap::value_parser!(u8).range(1..=64))]
        threads: Option<u8>,
        /// Only that group; may be given several times.
        #[arg(long = "group")]
        groups: Vec<String>,
        /// Also writes the lines to benches/record/DEVICE/DATE.csv.
        #[arg(long)]
        record: bool,
        /// DEVICE of the record, instead of the CPU's model.
        #[arg(long, requires = "record")]
        device: Option<String>,
    },
    /// Takes out every check of the verifier and every kind of constraint, one at a time, and writes the page of the book
    /// that names the tests which then fail.
    ///
    /// Works on a copy of the sources under target/checks. Takes some minutes. A check that no test misses is an error.
    Checks {
        /// Only these checks, by name; the other rows of the page stay.
        names: Vec<String>,
        /// Only checks that the page has no failing tests for.
        #[arg(long)]
        missing: bool,
    },
    /// Runs ONNX's own node cases: imports, calibrates, runs, compares, proves and verifies each, and writes the page of the
    /// book that counts them and the subset that the tests run.
    ///
    /// Fetches the package once (20 MB, by pip) into target/fixtures. Takes some minutes on two cores. A case that is neither
    /// proven nor refused in words that name its operator is an error.
    Fixtures {
        /// Only cases whose names contain that; may be given several times. Nothing is written then.
        #[arg(long = "only")]
        only: Vec<String>,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("cargo xtask: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<(), String> {
    match task {
        Task::Ratios {
            quick,
            json,
            threads,
            groups,
            record,
            device,
        } => ratios::ratios(&ratios::Options {
            quick,
            json,
            threads: threads.map_or_else(|| vec![1, 2], |count| vec![count]),
            groups,
            record,
            device,
        }),
        Task::Checks { names, missing } => checks::checks(&names, missing),
        Task::Fixtures { only } => fixtures::fixtures(&only),
    }
}

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
