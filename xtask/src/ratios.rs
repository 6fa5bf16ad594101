//! `cargo xtask ratios`: runs the bench crate's `ratios` once for each number of threads, prints and records its lines.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::record;

/// What to measure and where to put it.
pub struct Options {
    /// Small sizes only.
    pub quick: bool,
    /// Lines of JSON instead of a table.
    pub json: bool,
    /// Numbers of threads, one run each.
    pub threads: Vec<u8>,
    /// Groups; all if empty.
    pub groups: Vec<String>,
    /// Write the lines to `benches/record`.
    pub record: bool,
    /// Name of the folder there; the CPU's model if not given.
    pub device: Option<String>,
}

/// What a line is read for, in the order of the table.
const KEYS: [&str; 7] = [
    "group", "size", "threads", "ours_ns", "peer", "peer_ns", "ratio",
];

/// Cargo's arguments that name the benchmark.
const BENCHMARK: [&str; 7] = [
    "--release",
    "--package",
    "zkernel-benches",
    "--features",
    "peers",
    "--bin",
    "ratios",
];

/// Measures, prints, records.
///
/// # Errors
/// In words: what failed and which program said so.
pub fn ratios(options: &Options) -> Result<(), String> {
    build()?;
    if !options.json {
        println!("{}", KEYS.map(|title| format!("{title:>18}")).concat());
    }
    let mut lines = Vec::new();
    for threads in &options.threads {
        bench(options, *threads, &mut |line| {
            println!(
                "{}",
                if options.json {
                    line.to_string()
                } else {
                    row(&line)
                }
            );
            lines.push(line);
        })?;
    }
    if options.record {
        let path = record::write(options.device.as_deref(), &lines)?;
        eprintln!("recorded in {}", path.display());
    }
    Ok(())
}

/// Runs the bench crate's `ratios` and gives out its lines as they come; its complaints go to the terminal.
fn bench(options: &Options, threads: u8, each: &mut dyn FnMut(Value)) -> Result<(), String> {
    let mut child = command(options, threads)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| format!("cargo does not start: {e}"))?;
    let output = child.stdout.take().ok_or("no output of the benchmark")?;
    for line in std::io::BufRead::lines(std::io::BufReader::new(output)) {
        let line = line.map_err(|e| e.to_string())?;
        let parsed = serde_json::from_str(&line);
        each(parsed.map_err(|e| format!("not a line of JSON: {line}: {e}"))?);
    }
    let status = child.wait().map_err(|e| e.to_string())?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("the benchmark ended with {status}"))
    }
}

/// Large pages for whatever the process allocates, ours and the peers', where the system gives them when asked (Linux with the GNU C
/// library; others ignore it). Points that are read at random miss the translations of small ones.
const LARGE_PAGES: (&str, &str) = ("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1");

/// On Linux the benchmark is kept on as many CPUs as it may use threads, as some peers start a thread on every CPU, and gets
/// [`LARGE_PAGES`] unless the caller has tunables of its own.
fn command(options: &Options, threads: u8) -> Command {
    let pinned = Command::new("taskset").arg("--version").output().is_ok();
    let mut command = if pinned {
        let mut command = Command::new("taskset");
        let last = threads.saturating_sub(1);
        command.args(["-c", &format!("0-{last}")]).arg(cargo());
        command
    } else {
        Command::new(cargo())
    };
    if std::env::var_os(LARGE_PAGES.0).is_none() {
        command.env(LARGE_PAGES.0, LARGE_PAGES.1);
    }
    command
        .args(["run", "--quiet"])
        .args(BENCHMARK)
        .args(["--", if options.quick { "quick" } else { "full" }])
        .arg(threads.to_string())
        .args(&options.groups);
    command
}

/// Builds the benchmark, on all CPUs.
fn build() -> Result<(), String> {
    let mut command = Command::new(cargo());
    let status = command.args(["build", "--quiet"]).args(BENCHMARK).status();
    let status = status.map_err(|e| format!("cargo does not start: {e}"))?;
    if status.success() {
        Ok(())
    } else {
        Err("the benchmark does not build".into())
    }
}

fn cargo() -> std::ffi::OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

fn row(line: &Value) -> String {
    let cell = |key: &str| match &line[key] {
        Value::String(text) => format!("{text:>18}"),
        Value::Number(number) if number.is_f64() => {
            format!("{:>18.2}", number.as_f64().unwrap_or_default())
        }
        other => format!("{:>18}", other.to_string()),
    };
    KEYS.map(cell).concat()
}
