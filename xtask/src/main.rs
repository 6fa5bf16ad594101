//! Project tasks: `cargo xtask ratios`.

use std::process::{Command, ExitCode};

use clap::{Parser, Subcommand};

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
    /// process, five times each after a warm-up, with one thread and with two. Results are compared before they are
    /// timed. Use ratios of one run only: the same machine moves by tens of percent between runs.
    ///
    /// Groups: field (2^size multiplications), msm, msm8, msm16 (full, 8- and 16-bit signed scalars), ntt, and commit and
    /// dictionary (32 columns of 2^size cells, on loaded bases; peers do 32 plain MSMs).
    #[command(
        after_help = "Example:\n  cargo xtask ratios --quick --json | jq -c 'select(.group == \"msm\")'"
    )]
    Ratios {
        /// Sizes up to 2^14 only: about a minute instead of many.
        #[arg(long)]
        quick: bool,
        /// One JSON object a line: group, size (log2), threads, ours_ns, peer (the best), peer_ns, ratio. Without it, the
        /// same lines as a table.
        #[arg(long)]
        json: bool,
        /// Only with that many threads; both one and two if not given.
        #[arg(long, value_parser = clap::value_parser!(u8).range(1..=2))]
        threads: Option<u8>,
    },
}

fn main() -> ExitCode {
    let Task::Ratios {
        quick,
        json,
        threads,
    } = Arguments::parse().task;
    match ratios(quick, json, threads) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("cargo xtask ratios: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn ratios(quick: bool, json: bool, threads: Option<u8>) -> Result<(), String> {
    let mode = if quick { "quick" } else { "full" };
    let counts = threads.map_or_else(|| vec![1, 2], |count| vec![count]);
    if !json {
        let titles = [
            "group", "size", "threads", "ours ns", "peer", "peer ns", "ratio",
        ];
        println!("{}", titles.map(|title| format!("{title:>14}")).concat());
    }
    for count in counts {
        let output = bench(mode, count)?;
        for line in output.lines() {
            if json {
                println!("{line}");
            } else {
                println!("{}", row(line)?);
            }
        }
    }
    Ok(())
}

/// Runs the bench crate's `ratios` and returns its lines; its complaints go to the terminal.
fn bench(mode: &str, threads: u8) -> Result<String, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = [
        "run",
        "--quiet",
        "--release",
        "--package",
        "zkernel-benches",
    ];
    let output = Command::new(cargo)
        .args(arguments)
        .args(["--features", "peers", "--bin", "ratios", "--", mode])
        .arg(threads.to_string())
        .stderr(std::process::Stdio::inherit())
        .output()
        .map_err(|e| format!("cargo does not start: {e}"))?;
    if !output.status.success() {
        return Err(format!("the benchmark ended with {}", output.status));
    }
    String::from_utf8(output.stdout).map_err(|e| e.to_string())
}

fn row(line: &str) -> Result<String, String> {
    let value: serde_json::Value =
        serde_json::from_str(line).map_err(|e| format!("not a line of JSON: {line}: {e}"))?;
    let cell = |key: &str| match &value[key] {
        serde_json::Value::String(text) => format!("{text:>14}"),
        serde_json::Value::Number(number) if number.is_f64() => {
            format!("{:>14.2}", number.as_f64().unwrap_or_default())
        }
        other => format!("{:>14}", other.to_string()),
    };
    let keys = [
        "group", "size", "threads", "ours_ns", "peer", "peer_ns", "ratio",
    ];
    Ok(keys.map(cell).concat())
}
