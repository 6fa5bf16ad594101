//! Groups over points: MSMs, commitments on loaded bases, the inner rounds.

use std::time::Instant;

use pasta_curves::{EpAffine, Fq};
use zkernel_backend::{Backend, Body, HostColumns};
use zkernel_benches::device::{self, Device};
use zkernel_benches::inner::rounds;
use zkernel_benches::inputs::{points, scalars, signed_bytes};
use zkernel_benches::peers::inner::open;
use zkernel_benches::peers::msm::{Msm, Work, msms as peers_of, x_coordinate};
use zkernel_benches::timing::Task;

use crate::columns::upload;
use crate::{Outcome, Plan};

/// Columns of a commitment.
const COLUMNS: usize = 32;

/// Random scalars of several widths, and inputs that are hard on code that assumes distinct points.
pub fn msms(plan: &Plan) -> Outcome {
    let sizes: &[u32] = if plan.quick {
        &[10, 14]
    } else {
        &[10, 14, 18, 20]
    };
    for log_n in sizes {
        let rows = 1usize << log_n;
        let random = points(rows);
        for (group, bits) in [("msm", 255), ("msm8", 8), ("msm16", 16)] {
            msm(plan, (group, *log_n), &random, &scalars(rows, bits), bits)?;
        }
        if *log_n > 18 {
            continue;
        }
        let equal = vec![random[rows / 2]; rows];
        let (full, zeros) = (scalars(rows, 255), vec![Fq::from(0); rows]);
        let same = vec![full[1]; rows];
        msm(plan, ("msm_equal_points", *log_n), &equal, &full, 255)?;
        msm(plan, ("msm_equal_scalars", *log_n), &random, &same, 255)?;
        msm(plan, ("msm_zeros", *log_n), &random, &zeros, 255)?;
    }
    Ok(())
}

fn msm(
    plan: &Plan,
    (group, log_n): (&'static str, u32),
    points: &[EpAffine],
    scalars: &[Fq],
    bits: u32,
) -> Outcome {
    if !plan.wants(group) {
        return Ok(());
    }
    let backend = device::open();
    let run = || backend.msm(points, scalars);
    let sums = [run()?];
    let work = Work {
        points,
        columns: vec![scalars],
        bits,
    };
    let tasks = with_peers(plan, (group, log_n), Task::new("ours", run), &sums, &work)?;
    plan.report(group, log_n, 1, tasks);
    Ok(())
}

/// Ours and those peers whose sums are ours; an error if one has others.
fn with_peers<'a>(
    plan: &Plan,
    (group, log_n): (&str, u32),
    ours: Task<'a>,
    sums: &[EpAffine],
    work: &Work<'_>,
) -> Outcome<Vec<Task<'a>>> {
    let expected: Vec<[u8; 32]> = sums.iter().map(x_coordinate).collect();
    let mut tasks = vec![ours];
    let peers: Vec<(&str, Msm)> = peers_of(work, plan.threads);
    for (name, peer) in peers {
        let start = Instant::now();
        if peer() != expected {
            return Err(format!("{group} 2^{log_n}: {name} disagrees with ours").into());
        }
        let ran = start.elapsed();
        tasks.push(Task::new(name, peer).after(ran));
    }
    Ok(tasks)
}

/// 32 columns on the same loaded bases: full scalars, signed bytes, and by dictionaries of eight values and of half as many as
/// there are rows. Peers do 32 plain MSMs.
pub fn commits(plan: &Plan) -> Outcome {
    let sizes: &[u32] = if plan.quick { &[9, 10] } else { &[9, 10, 12] };
    for log_n in sizes {
        let rows = 1usize << log_n;
        let points = points(rows);
        let bases = device::open().load_bases(&points)?;
        let site = Site {
            plan,
            log_n: *log_n,
            points,
            bases,
        };
        site.commit()?;
        site.commit_bytes()?;
        site.commit_dictionary("dictionary", 8)?;
        site.commit_dictionary("dictionary_large", rows / 2)?;
    }
    Ok(())
}

/// Bases of one size.
struct Site<'a> {
    plan: &'a Plan,
    log_n: u32,
    points: Vec<EpAffine>,
    bases: <Device as Backend<EpAffine>>::Bases,
}

impl Site<'_> {
    fn rows(&self) -> usize {
        self.points.len()
    }

    fn report(
        &self,
        group: &'static str,
        (values, bits): (&[Fq], u32),
        run: impl Fn() -> zkernel_backend::Result<Vec<EpAffine>>,
    ) -> Outcome {
        let sums = run()?;
        let work = Work {
            points: &self.points,
            columns: values.chunks(self.rows()).collect(),
            bits,
        };
        let at = (group, self.log_n);
        let tasks = with_peers(self.plan, at, Task::new("ours", &run), &sums, &work)?;
        self.plan.report(group, self.log_n, 1, tasks);
        Ok(())
    }

    fn commit(&self) -> Outcome {
        if !self.plan.wants("commit") {
            return Ok(());
        }
        let backend = device::open();
        let values = scalars(self.rows() * COLUMNS, 255);
        let batch = upload(&backend, &values, self.rows())?;
        let none = vec![Vec::new(); COLUMNS];
        self.report("commit", (&values, 255), || {
            backend.commit(&self.bases, &[&batch], &none)
        })
    }

    fn commit_bytes(&self) -> Outcome {
        if !self.plan.wants("commit8") {
            return Ok(());
        }
        let backend = device::open();
        let small = signed_bytes(self.rows() * COLUMNS);
        let signed = |v: &i64| {
            let magnitude = Fq::from(v.unsigned_abs());
            if *v < 0 { -magnitude } else { magnitude }
        };
        let values: Vec<Fq> = small.iter().map(signed).collect();
        let host = HostColumns {
            rows: self.rows(),
            columns: COLUMNS,
            body: Body::small(small),
            tail: Vec::new(),
        };
        let batch = Backend::<EpAffine>::upload(&backend, &host)?;
        let none = vec![Vec::new(); COLUMNS];
        self.report("commit8", (&values, 8), || {
            backend.commit(&self.bases, &[&batch], &none)
        })
    }

    /// Columns that take their values from so many distinct ones.
    fn commit_dictionary(&self, group: &'static str, distinct: usize) -> Outcome {
        if !self.plan.wants(group) {
            return Ok(());
        }
        let backend = device::open();
        let dictionary = scalars(distinct, 255);
        let indices: Vec<u32> = (0..self.rows() * COLUMNS)
            .map(|i| (i * i % 10_007 % distinct) as u32)
            .collect();
        let values: Vec<Fq> = indices.iter().map(|i| dictionary[*i as usize]).collect();
        let entries = upload(&backend, &dictionary, distinct)?;
        let none = vec![Vec::new(); COLUMNS];
        self.report(group, (&values, 255), || {
            backend.commit_dictionary(&self.bases, &indices, &entries, &none, &none)
        })
    }
}

/// The inner-product argument on one column.
pub fn inner(plan: &Plan) -> Outcome {
    const LOG_N: u32 = 10;
    if !plan.wants("inner") {
        return Ok(());
    }
    let rows = 1usize << LOG_N;
    let backend = device::open();
    let bases = backend.load_bases(&points(rows + 2))?;
    let values = scalars(2 * rows, 255);
    let (f, a) = values.split_at(rows);
    let (left, right) = (upload(&backend, f, rows)?, upload(&backend, a, rows)?);
    let run = || rounds(&backend, &bases, &left, &right, LOG_N);
    run()?;
    let tasks = vec![
        Task::new("ours", run),
        Task::new("halo2_proofs", open(f, LOG_N)),
    ];
    plan.report("inner", LOG_N, 1, tasks);
    Ok(())
}
