//! Criterion groups over the `Backend` trait: function = backend or peer, parameter = log2 of the size.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use pasta_curves::{EpAffine, Fq};
use zkernel_backend::{Backend, Body, HostColumns, Result};
use zkernel_backend_cpu::Cpu;
use zkernel_benches::inputs::{points, scalars};

type Columns = <Cpu as Backend<EpAffine>>::Columns;

fn upload(values: Vec<Fq>, columns: usize) -> Result<Columns> {
    let rows = values.len() / columns;
    let host = HostColumns {
        rows,
        columns,
        body: Body::Full(values),
        tail: Vec::new(),
    };
    Backend::<EpAffine>::upload(&Cpu::new(), &host)
}

fn batch(log_n: u32, columns: usize) -> Columns {
    upload(scalars(columns << log_n, 255), columns).expect("a batch of that shape")
}

/// One group: `ours` for each size.
fn group(
    c: &mut Criterion,
    name: &str,
    sizes: &[u32],
    mut ours: impl FnMut(u32) -> Box<dyn FnMut()>,
) {
    let mut group = c.benchmark_group(name);
    for log_n in sizes {
        let mut run = ours(*log_n);
        group.bench_function(BenchmarkId::new("cpu", log_n), |b| b.iter(&mut run));
    }
    group.finish();
}

fn field(c: &mut Criterion) {
    group(c, "field", &[10, 16], |log_n| {
        let column = batch(log_n, 1);
        Box::new(move || {
            drop(std::hint::black_box(Backend::<EpAffine>::multiply(
                &Cpu::new(),
                &column,
                &column,
            )));
        })
    });
}

fn msm(c: &mut Criterion) {
    for (name, bits) in [("msm", 255), ("msm8", 8), ("msm16", 16)] {
        group(c, name, &[10, 14], |log_n| {
            let (points, scalars) = (points(1 << log_n), scalars(1 << log_n, bits));
            Box::new(move || drop(std::hint::black_box(Cpu::new().msm(&points, &scalars))))
        });
        #[cfg(feature = "peers")]
        for log_n in [10, 14] {
            let mut group = c.benchmark_group(name);
            for (peer, run) in
                zkernel_benches::peers::msms(&points(1 << log_n), &scalars(1 << log_n, bits))
            {
                group.bench_function(BenchmarkId::new(peer, log_n), |b| b.iter(&run));
            }
            group.finish();
        }
    }
}

fn commit(c: &mut Criterion) {
    group(c, "commit", &[9, 10], |log_n| {
        let bases = Cpu::new().load_bases(&points(1 << log_n)).expect("bases");
        let columns = batch(log_n, 32);
        let none = vec![Vec::new(); 32];
        Box::new(move || {
            drop(std::hint::black_box(Backend::<EpAffine>::commit(
                &Cpu::new(),
                &bases,
                &[&columns],
                &none,
            )));
        })
    });
}

fn dictionary(c: &mut Criterion) {
    group(c, "dictionary", &[9, 10], |log_n| {
        let bases = Cpu::new().load_bases(&points(1 << log_n)).expect("bases");
        let entries = batch(3, 1);
        let indices: Vec<u32> = (0..32u32 << log_n)
            .map(|i| i.wrapping_mul(i) % 11 % 8)
            .collect();
        let none = vec![Vec::new(); 32];
        Box::new(move || {
            let points = Backend::<EpAffine>::commit_dictionary(
                &Cpu::new(),
                &bases,
                &indices,
                &entries,
                &none,
                &none,
            );
            drop(std::hint::black_box(points));
        })
    });
}

fn ntt(c: &mut Criterion) {
    group(c, "ntt", &[10, 14], |log_n| {
        let column = batch(log_n, 1);
        Box::new(move || {
            drop(std::hint::black_box(Backend::<EpAffine>::coset_evaluate(
                &Cpu::new(),
                &column,
                Fq::from(1),
            )));
        })
    });
    #[cfg(feature = "peers")]
    for log_n in [10, 14] {
        let mut group = c.benchmark_group("ntt");
        for (peer, mut run) in zkernel_benches::peers::ntts(&scalars(1 << log_n, 255), log_n) {
            group.bench_function(BenchmarkId::new(peer, log_n), |b| b.iter(&mut run));
        }
        group.finish();
    }
}

/// One inner round of 2^log_n rows: cross terms and the fold of a column.
fn inner(c: &mut Criterion) {
    group(c, "inner", &[10, 14], |log_n| {
        let (f, a) = (batch(log_n, 1), batch(log_n, 1));
        Box::new(move || {
            let backend = Cpu::new();
            drop(std::hint::black_box(Backend::<EpAffine>::cross_rows(
                &backend, &f, &a,
            )));
            drop(std::hint::black_box(Backend::<EpAffine>::fold_rows(
                &backend,
                &f,
                Fq::from(7),
            )));
        })
    });
}

criterion_group! {
    name = operations;
    config = Criterion::default().sample_size(10);
    targets = field, msm, commit, dictionary, ntt, inner
}
criterion_main!(operations);
