//! Groups without points: field multiplications and transforms.

use ff::{Field as _, PrimeField as _};
use pasta_curves::{EpAffine, Fq};
use zkernel_backend::{Backend, Body, HostColumns};
use zkernel_benches::device::{self, Device};
use zkernel_benches::inputs::scalars;
use zkernel_benches::peers::field::products;
use zkernel_benches::peers::ntt::{ntts, spots};
use zkernel_benches::products::{INPUTS, MULTIPLICATIONS, program};
use zkernel_benches::timing::Task;

use crate::{Outcome, Plan};

/// The backend's columns.
pub type Columns = <Device as Backend<EpAffine>>::Columns;

/// Full columns of `rows` cells each on the backend.
pub fn upload(backend: &Device, values: &[Fq], rows: usize) -> Outcome<Columns> {
    let host = HostColumns {
        rows,
        columns: values.len() / rows,
        body: Body::Full(values.to_vec()),
        tail: Vec::new(),
    };
    Ok(Backend::<EpAffine>::upload(backend, &host)?)
}

/// 2^18 multiplications as a gate program over 2^10 rows, by one of them.
pub fn field(plan: &Plan) -> Outcome {
    const LOG_ROWS: u32 = 10;
    if !plan.wants("field") {
        return Ok(());
    }
    let rows = 1 << LOG_ROWS;
    let (values, weight) = (scalars(INPUTS * rows, 255), Fq::DELTA);
    let backend = device::open();
    let inputs = values
        .chunks(rows)
        .map(|column| upload(&backend, column, rows))
        .collect::<Outcome<Vec<_>>>()?;
    let inputs: Vec<&Columns> = inputs.iter().collect();
    let kernel = Backend::<EpAffine>::prepare(&backend, &program())?;
    let run = || -> zkernel_backend::Result<Columns> {
        let mut sums = Backend::<EpAffine>::zeros(&backend, 1, rows)?;
        Backend::<EpAffine>::run(&backend, &kernel, &inputs, &[], &[weight], &mut sums)?;
        Ok(sums)
    };
    let sums = run().and_then(|sums| Backend::<EpAffine>::read(&backend, &sums));
    let last = sums?[rows - 1].to_repr();
    let columns: Vec<Vec<Fq>> = values.chunks(rows).map(<[Fq]>::to_vec).collect();
    let mut tasks = vec![Task::new("ours", run)];
    for (name, mut peer) in products(&columns, weight) {
        if peer() != last {
            return Err(format!("field: {name} disagrees with ours").into());
        }
        tasks.push(Task::new(name, peer));
    }
    let operations = MULTIPLICATIONS * rows;
    plan.report("field", operations.ilog2(), operations, tasks);
    Ok(())
}

/// One column of many sizes, and 32 of the prover's.
pub fn transforms(plan: &Plan) -> Outcome {
    let sizes: &[u32] = if plan.quick {
        &[10, 14]
    } else {
        &[10, 14, 18, 20]
    };
    if plan.wants("ntt") {
        sizes
            .iter()
            .try_for_each(|log_n| ntt(plan, "ntt", *log_n, 1))?;
    }
    if plan.wants("ntt32") {
        ntt(plan, "ntt32", 10, 32)?;
    }
    Ok(())
}

fn ntt(plan: &Plan, group: &'static str, log_n: u32, columns: usize) -> Outcome {
    let rows = 1usize << log_n;
    let values = scalars(rows * columns, 255);
    let backend = device::open();
    let batch = upload(&backend, &values, rows)?;
    let run = || Backend::<EpAffine>::coset_evaluate(&backend, &batch, Fq::ONE);
    let ours = run().and_then(|out| Backend::<EpAffine>::read(&backend, &out));
    let ours = ours?;
    let expected = spots(rows).map(|spot| ours[rows * (columns - 1) + spot].to_repr());
    let slices: Vec<&[Fq]> = values.chunks(rows).collect();
    let mut tasks = vec![Task::new("ours", run)];
    for (name, mut peer) in ntts(&slices, log_n) {
        if peer() != expected {
            return Err(format!("{group} 2^{log_n}: {name} disagrees with ours").into());
        }
        tasks.push(Task::new(name, peer));
    }
    plan.report(group, log_n, 1, tasks);
    Ok(())
}
