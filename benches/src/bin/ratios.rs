//! Ours and every peer, interleaved, in one process: `ratios quick|full 1|2` prints one JSON object a line. Run through
//! `cargo xtask ratios`. The best peer is the one with the smallest median. Conversions of inputs are not timed.

use std::time::Instant;

use ff::PrimeField as _;
use pasta_curves::arithmetic::CurveAffine as _;
use pasta_curves::{EpAffine, Fq};
use zkernel_backend::{Backend, Body, HostColumns};
use zkernel_backend_cpu::Cpu;
use zkernel_benches::inputs::{points, scalars};
use zkernel_benches::peers::{msms, ntts};

const RUNS: usize = 5;

/// Anything that is timed, with its name.
type Task<'a> = (&'a str, Box<dyn FnMut() + 'a>);

fn main() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [mode, threads] = arguments.as_slice() else {
        return Err("usage: ratios quick|full 1|2".into());
    };
    let threads: usize = threads.parse().map_err(|_| "threads: 1 or 2")?;
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .map_err(|e| e.to_string())?;
    let quick = mode == "quick";
    let msm_sizes: &[u32] = if quick { &[10, 14] } else { &[10, 14, 18, 20] };
    let ntt_sizes: &[u32] = if quick { &[10, 14] } else { &[10, 14, 18, 20] };
    field(threads);
    for log_n in msm_sizes {
        msm("msm", 255, *log_n, threads)?;
        msm("msm8", 8, *log_n, threads)?;
        msm("msm16", 16, *log_n, threads)?;
    }
    for log_n in ntt_sizes {
        ntt(*log_n, threads)?;
    }
    for log_n in [9, 10, 12] {
        commit(log_n, threads)?;
    }
    Ok(())
}

/// Median nanoseconds of each task, run in turn after one warm-up.
fn interleave(tasks: &mut [Task<'_>]) -> Vec<u128> {
    let mut times = vec![Vec::new(); tasks.len()];
    for run in 0..=RUNS {
        for ((_, task), times) in tasks.iter_mut().zip(&mut times) {
            let start = Instant::now();
            task();
            if run > 0 {
                times.push(start.elapsed().as_nanos());
            }
        }
    }
    times
        .into_iter()
        .map(|mut t| {
            t.sort_unstable();
            t[t.len() / 2]
        })
        .collect()
}

/// Prints the line of a group: the first task is ours.
fn report(group: &str, size: u32, threads: usize, mut tasks: Vec<Task<'_>>) {
    let medians = interleave(&mut tasks);
    let ours = medians[0];
    let names = tasks.iter().map(|(name, _)| *name);
    let peers = names.zip(&medians).skip(1);
    if let Some((peer, theirs)) = peers.min_by_key(|(_, ns)| **ns) {
        let ratio = *theirs as f64 / ours.max(1) as f64;
        let line = serde_json::json!({
            "group": group, "size": size, "threads": threads, "ours_ns": ours as u64,
            "peer": peer, "peer_ns": *theirs as u64, "ratio": ratio,
        });
        println!("{line}");
    }
}

/// 2^16 multiplications, cell by cell, of a batch on the backend; the peer multiplies slices with pasta_curves.
fn field(threads: usize) {
    const LOG_N: u32 = 16;
    let values = scalars(1 << LOG_N, 255);
    let backend = Cpu::new();
    let host = HostColumns {
        rows: 1 << LOG_N,
        columns: 1,
        body: Body::Full(values.clone()),
        tail: Vec::new(),
    };
    let Ok(column) = Backend::<EpAffine>::upload(&backend, &host) else {
        return;
    };
    let ours = || {
        let product = Backend::<EpAffine>::multiply(&backend, &column, &column);
        drop(std::hint::black_box(product));
    };
    let theirs = || {
        let product: Vec<Fq> = values.iter().zip(&values).map(|(a, b)| a * b).collect();
        drop(std::hint::black_box(product));
    };
    report(
        "field",
        LOG_N,
        threads,
        vec![("ours", Box::new(ours)), ("pasta_curves", Box::new(theirs))],
    );
}

fn msm(group: &str, bits: u32, log_n: u32, threads: usize) -> Result<(), String> {
    let (points, scalars) = (points(1 << log_n), scalars(1 << log_n, bits));
    let backend = Cpu::new();
    let sum = backend.msm(&points, &scalars).map_err(|e| e.to_string())?;
    let x = sum.coordinates().expect("not the identity").x().to_repr();
    let peers = msms(&points, &scalars);
    for (name, peer) in &peers {
        if peer() != x {
            return Err(format!("{group} 2^{log_n}: {name} disagrees with ours"));
        }
    }
    let ours = || drop(std::hint::black_box(backend.msm(&points, &scalars)));
    let mut tasks: Vec<Task<'_>> = vec![("ours", Box::new(ours))];
    for (name, peer) in &peers {
        tasks.push((
            name,
            Box::new(move || {
                std::hint::black_box(peer());
            }),
        ));
    }
    report(group, log_n, threads, tasks);
    Ok(())
}

fn ntt(log_n: u32, threads: usize) -> Result<(), String> {
    let values = scalars(1 << log_n, 255);
    let backend = Cpu::new();
    let host = HostColumns {
        rows: 1 << log_n,
        columns: 1,
        body: Body::Full(values.clone()),
        tail: Vec::new(),
    };
    let column = Backend::<EpAffine>::upload(&backend, &host).map_err(|e| e.to_string())?;
    let one = Fq::from(1);
    let ours = || {
        drop(std::hint::black_box(Backend::<EpAffine>::coset_evaluate(
            &backend, &column, one,
        )));
    };
    let mut tasks: Vec<Task<'_>> = vec![("ours", Box::new(ours))];
    for (name, peer) in ntts(&values, log_n) {
        tasks.push((name, peer));
    }
    report("ntt", log_n, threads, tasks);
    Ok(())
}

/// 32 columns of full scalars on the same bases, and 32 of eight distinct values by dictionary; peers do 32 plain MSMs.
fn commit(log_n: u32, threads: usize) -> Result<(), String> {
    const COLUMNS: usize = 32;
    let rows = 1usize << log_n;
    let points = points(rows);
    let backend = Cpu::new();
    let failed = |e: zkernel_backend::BackendError| e.to_string();
    let bases = backend.load_bases(&points).map_err(failed)?;
    let upload = |values: Vec<Fq>, rows, columns| {
        let host = HostColumns {
            rows,
            columns,
            body: Body::Full(values),
            tail: Vec::new(),
        };
        Backend::<EpAffine>::upload(&backend, &host).map_err(failed)
    };
    let none = vec![Vec::new(); COLUMNS];
    let values = scalars(rows * COLUMNS, 255);
    let batch = upload(values.clone(), rows, COLUMNS)?;
    let ours = || {
        drop(std::hint::black_box(backend.commit(
            &bases,
            &[&batch],
            &none,
        )));
    };
    let peers = columns_of(&points, &values);
    report("commit", log_n, threads, with_peers(Box::new(ours), &peers));

    let dictionary = scalars(8, 255);
    let indices: Vec<u32> = (0..rows * COLUMNS)
        .map(|i| (i * i % 11 % 8) as u32)
        .collect();
    let taken: Vec<Fq> = indices.iter().map(|i| dictionary[*i as usize]).collect();
    let entries = upload(dictionary, 8, 1)?;
    let ours = || {
        let points = backend.commit_dictionary(&bases, &indices, &entries, &none, &none);
        drop(std::hint::black_box(points));
    };
    let peers = columns_of(&points, &taken);
    report(
        "dictionary",
        log_n,
        threads,
        with_peers(Box::new(ours), &peers),
    );
    Ok(())
}

/// Every peer's MSM of each column.
type Columns = Vec<Vec<(&'static str, zkernel_benches::peers::Msm)>>;

fn columns_of(points: &[EpAffine], values: &[Fq]) -> Columns {
    values
        .chunks(points.len())
        .map(|column| msms(points, column))
        .collect()
}

fn with_peers<'a>(ours: Box<dyn FnMut() + 'a>, columns: &'a Columns) -> Vec<Task<'a>> {
    let mut tasks: Vec<Task<'a>> = vec![("ours", ours)];
    for (index, (name, _)) in columns[0].iter().enumerate() {
        let all = move || {
            for column in columns {
                std::hint::black_box((column[index].1)());
            }
        };
        tasks.push((name, Box::new(all)));
    }
    tasks
}
