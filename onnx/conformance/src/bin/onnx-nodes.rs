//! Runs the node cases of an archive; `cargo xtask fixtures` calls it.
//!
//! `onnx-nodes ARCHIVE [--only NAME].. [--threads COUNT] [--page FILE] [--subset FILE]`: one line a case; the page of the book, and an
//! archive of small cases for quick tests.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use zkernel_onnx_conformance::case::{read, write};
use zkernel_onnx_conformance::page::{operator, page};
use zkernel_onnx_conformance::proof::KnownGenerators;
use zkernel_onnx_conformance::{Case, Depth, Outcome, outcome};

/// Most bytes of a case of the subset, and most cases of one operator in it.
const SMALL: usize = 4_000;
const OF_ONE_OPERATOR: usize = 2;

#[derive(Default)]
struct Arguments {
    archive: String,
    only: Vec<String>,
    threads: usize,
    page: Option<String>,
    subset: Option<String>,
}

fn main() -> ExitCode {
    match arguments().and_then(|arguments| all(&arguments)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("onnx-nodes: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Result<Arguments, String> {
    let mut found = Arguments {
        threads: 2,
        ..Arguments::default()
    };
    let mut given = std::env::args().skip(1);
    while let Some(argument) = given.next() {
        let mut value = || given.next().ok_or(format!("{argument} needs a value"));
        match &*argument {
            "--only" => found.only.push(value()?),
            "--threads" => {
                found.threads = value()?.parse().map_err(|_| "--threads needs a number")?;
            }
            "--page" => found.page = Some(value()?),
            "--subset" => found.subset = Some(value()?),
            _ => found.archive = argument,
        }
    }
    Ok(found)
}

/// Whether no case failed.
fn all(arguments: &Arguments) -> Result<bool, String> {
    let file = std::fs::File::open(&arguments.archive)
        .map_err(|e| format!("{}: {e}", arguments.archive))?;
    let cases = read(std::io::BufReader::new(file)).map_err(|e| e.to_string())?;
    let wanted = |case: &&Case| {
        arguments.only.is_empty() || arguments.only.iter().any(|name| case.name.contains(name))
    };
    let chosen: Vec<&Case> = cases.iter().filter(wanted).collect();
    // A panic is an outcome here.
    std::panic::set_hook(Box::new(|_| {}));
    let outcomes = run(&chosen, arguments.threads.max(1))?;
    let named: Vec<(String, Outcome)> = chosen
        .iter()
        .zip(&outcomes)
        .map(|(case, outcome)| (operator(case, &cases), outcome.clone()))
        .collect();
    if let Some(path) = &arguments.page {
        std::fs::write(path, page(&named)).map_err(|e| format!("{path}: {e}"))?;
    }
    if let Some(path) = &arguments.subset {
        let subset = subset(&chosen, &named);
        let bytes = write(&subset).map_err(|e| e.to_string())?;
        eprintln!("{} cases in {} bytes of {path}", subset.len(), bytes.len());
        std::fs::write(path, bytes).map_err(|e| format!("{path}: {e}"))?;
    }
    let count = |is: fn(&Outcome) -> bool| outcomes.iter().filter(|o| is(o)).count();
    let failed = count(|o| matches!(o, Outcome::Failed { .. }));
    let proven = count(|o| matches!(o, Outcome::Proven { .. }));
    eprintln!(
        "{} cases: {proven} proven, {} refused, {failed} failed",
        outcomes.len(),
        outcomes.len() - proven - failed
    );
    Ok(failed == 0)
}

fn run(cases: &[&Case], threads: usize) -> Result<Vec<Outcome>, String> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<Option<Outcome>>> = Mutex::new(vec![None; cases.len()]);
    let one_by_one = || -> Result<(), String> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .map_err(|e| e.to_string())?;
        let mut known = KnownGenerators::new();
        while let Some((index, case)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|i| Some((i, *cases.get(i)?)))
        {
            let start = std::time::Instant::now();
            let outcome = pool.install(|| outcome(case, Depth::Proof, &mut known));
            println!(
                "{} {:.2}s {}",
                case.name,
                start.elapsed().as_secs_f64(),
                line(&outcome)
            );
            done.lock().map_err(|e| e.to_string())?[index] = Some(outcome);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(one_by_one)).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().map_err(|_| "a worker stopped".to_owned())?)
    })?;
    let done = done.into_inner().map_err(|e| e.to_string())?;
    done.into_iter()
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| "a case was left out".into())
}

fn line(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Proven { error } => format!("proven, error {error:.2e}"),
        Outcome::Refused { op, problem } => {
            format!("refused, {op}: {}", problem.replace('\n', " "))
        }
        Outcome::Failed { problem } => format!("FAILED: {}", problem.replace('\n', " ")),
    }
}

/// Small cases of every operator, proven ones first.
fn subset(cases: &[&Case], outcomes: &[(String, Outcome)]) -> Vec<Case> {
    let mut taken: std::collections::BTreeMap<(&str, bool), usize> =
        std::collections::BTreeMap::new();
    let mut subset = Vec::new();
    for (case, (operator, outcome)) in cases.iter().zip(outcomes) {
        let (proven, most) = match outcome {
            Outcome::Proven { .. } => (true, OF_ONE_OPERATOR),
            Outcome::Refused { .. } => (false, 1),
            Outcome::Failed { .. } => continue,
        };
        let count = taken.entry((operator, proven)).or_default();
        if case.bytes() <= SMALL && *count < most && !case.name.contains("expanded") {
            *count += 1;
            subset.push((*case).clone());
        }
    }
    subset
}
