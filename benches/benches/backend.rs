//! Criterion groups over the `Backend` trait: function = backend or peer, parameter = log2 of the size.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use pasta_curves::{EpAffine, Fq};
use zkernel_backend::{Backend, Body, HostColumns, Result};
use zkernel_benches::chains::Chain;
use zkernel_benches::device::{self, Device};
use zkernel_benches::inner::rounds;
use zkernel_benches::inputs::{points, scalars};
use zkernel_benches::products::{INPUTS, program};
use zkernel_engine::product_chain::Wiring;
use zkernel_verifier::expression::{Instruction, Operand, Operation, Program};

type Columns = <Device as Backend<EpAffine>>::Columns;

fn upload(values: Vec<Fq>, columns: usize) -> Result<Columns> {
    let rows = values.len() / columns;
    let host = HostColumns {
        rows,
        columns,
        body: Body::Full(values),
        tail: Vec::new(),
    };
    Backend::<EpAffine>::upload(&device::open(), &host)
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
        group.bench_function(BenchmarkId::new("ours", log_n), |b| b.iter(&mut run));
    }
    group.finish();
}

/// A gate program over lanes of 2^log_n rows, all inputs distinct columns.
fn gate(log_n: u32, program: &Program, lanes: usize) -> Box<dyn FnMut()> {
    let inputs: Vec<Columns> = (0..program.inputs).map(|_| batch(log_n, lanes)).collect();
    let kernel = Backend::<EpAffine>::prepare(&device::open(), program).expect("a program");
    let (weights, constants) = (
        scalars(lanes, 255),
        scalars(usize::from(program.constants), 255),
    );
    Box::new(move || {
        let backend = device::open();
        let inputs: Vec<&Columns> = inputs.iter().collect();
        let mut sums = Backend::<EpAffine>::zeros(&backend, 1, 1 << log_n).expect("a column");
        Backend::<EpAffine>::run(&backend, &kernel, &inputs, &constants, &weights, &mut sums)
            .expect("columns of one shape");
        drop(std::hint::black_box(sums));
    })
}

/// 256 multiplications a row, hardly one waiting for another.
fn field(c: &mut Criterion) {
    assert_eq!(INPUTS, usize::from(program().inputs));
    group(c, "field", &[8, 10], |log_n| gate(log_n, &program(), 1));
    #[cfg(feature = "peers")]
    for log_n in [8, 10] {
        let columns: Vec<Vec<Fq>> = (0..INPUTS).map(|_| scalars(1 << log_n, 255)).collect();
        let mut group = c.benchmark_group("field");
        for (peer, mut run) in zkernel_benches::peers::field::products(&columns, Fq::from(7)) {
            group.bench_function(BenchmarkId::new(peer, log_n), |b| b.iter(&mut run));
        }
        group.finish();
    }
}

/// A gate of degree three, `a b a + k a`, on 32 lanes.
fn eval(c: &mut Criterion) {
    let step = |operation, a, b| Instruction { operation, a, b };
    let cubic = Program {
        inputs: 2,
        constants: 1,
        instructions: vec![
            step(Operation::Mul, Operand::Input(0), Operand::Input(1)),
            step(Operation::Add, Operand::Result(0), Operand::Constant(0)),
            step(Operation::Mul, Operand::Result(1), Operand::Input(0)),
        ],
        output: Operand::Result(2),
    };
    group(c, "eval", &[10, 12], |log_n| gate(log_n, &cubic, 32));
}

fn msm(c: &mut Criterion) {
    for (name, bits) in [("msm", 255), ("msm8", 8), ("msm16", 16)] {
        group(c, name, &[10, 14], |log_n| {
            let (points, scalars) = (points(1 << log_n), scalars(1 << log_n, bits));
            Box::new(move || drop(std::hint::black_box(device::open().msm(&points, &scalars))))
        });
        #[cfg(feature = "peers")]
        for log_n in [10, 14] {
            let (points, scalars) = (points(1 << log_n), scalars(1 << log_n, bits));
            let work = zkernel_benches::peers::msm::Work {
                points: &points,
                columns: vec![&scalars],
                bits,
            };
            let mut group = c.benchmark_group(name);
            let threads = rayon::current_num_threads();
            for (peer, run) in zkernel_benches::peers::msm::msms(&work, threads) {
                group.bench_function(BenchmarkId::new(peer, log_n), |b| b.iter(&run));
            }
            group.finish();
        }
    }
}

fn commit(c: &mut Criterion) {
    group(c, "commit", &[9, 10], |log_n| {
        let bases = device::open()
            .load_bases(&points(1 << log_n))
            .expect("bases");
        let columns = batch(log_n, 32);
        let none = vec![Vec::new(); 32];
        Box::new(move || {
            drop(std::hint::black_box(Backend::<EpAffine>::commit(
                &device::open(),
                &bases,
                &[&columns],
                &none,
            )));
        })
    });
}

fn dictionary(c: &mut Criterion) {
    group(c, "dictionary", &[9, 10], |log_n| {
        let bases = device::open()
            .load_bases(&points(1 << log_n))
            .expect("bases");
        let entries = batch(3, 1);
        let indices: Vec<u32> = (0..32u32 << log_n)
            .map(|i| i.wrapping_mul(i) % 11 % 8)
            .collect();
        let none = vec![Vec::new(); 32];
        Box::new(move || {
            let points = Backend::<EpAffine>::commit_dictionary(
                &device::open(),
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
                &device::open(),
                &column,
                Fq::from(1),
            )));
        })
    });
    #[cfg(feature = "peers")]
    for log_n in [10, 14] {
        let mut group = c.benchmark_group("ntt");
        let values = scalars(1 << log_n, 255);
        for (peer, mut run) in zkernel_benches::peers::ntt::ntts(&[&values], log_n) {
            group.bench_function(BenchmarkId::new(peer, log_n), |b| b.iter(&mut run));
        }
        group.finish();
    }
}

/// All inner rounds of a column.
fn inner(c: &mut Criterion) {
    group(c, "inner", &[9, 10], |log_n| {
        let bases = points((1 << log_n) + 2);
        let bases = device::open().load_bases(&bases).expect("bases");
        let (f, a) = (batch(log_n, 1), batch(log_n, 1));
        Box::new(move || {
            let points = rounds::<EpAffine, _>(&device::open(), &bases, &f, &a, log_n);
            drop(std::hint::black_box(points));
        })
    });
    #[cfg(feature = "peers")]
    for log_n in [9, 10] {
        let mut run = zkernel_benches::peers::inner::open(&scalars(1 << log_n, 255), log_n);
        let mut group = c.benchmark_group("inner");
        group.bench_function(BenchmarkId::new("halo2_proofs", log_n), |b| {
            b.iter(&mut run);
        });
        group.finish();
    }
}

/// The product chain on 2^k rows.
fn prove(c: &mut Criterion) {
    group(c, "prove", &[10, 14], |k| {
        let chain = Chain::new(k, Wiring::Copies).expect("a chain");
        Box::new(move || drop(std::hint::black_box(chain.prove())))
    });
    #[cfg(feature = "peers")]
    for k in [10, 14] {
        use zkernel_benches::chains::factors;
        use zkernel_benches::peers::halo2_chain::Halo2Chain;
        let product = Chain::new(k, Wiring::Copies).expect("a chain").product();
        let theirs = Halo2Chain::new(k, &factors(k), product, false);
        let mut group = c.benchmark_group("prove");
        group.bench_function(BenchmarkId::new("halo2_proofs", k), |b| {
            b.iter(|| theirs.prove());
        });
        group.finish();
    }
}

criterion_group! {
    name = operations;
    config = Criterion::default().sample_size(10);
    targets = field, msm, commit, dictionary, ntt, eval, inner, prove
}
criterion_main!(operations);
