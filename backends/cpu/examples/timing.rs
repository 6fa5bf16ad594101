//! Quick timings of the CPU backend: medians of five runs.

use std::time::Instant;

use pasta_curves::EqAffine;
use zkernel_backend::{Backend, Body, ColumnRef, Curve, Field, HostColumns, Result, Term};
use zkernel_backend_conformance::inputs::{scalar, small};
use zkernel_backend_cpu::{Cpu, Level};
use zkernel_verifier::curve::Generators;
use zkernel_verifier::expression::{Instruction, Operand, Operation, Program};

fn time<T>(name: &str, units: usize, mut run: impl FnMut() -> Result<T>) -> Result<()> {
    let mut nanoseconds = Vec::new();
    for _ in 0..5 {
        let start = Instant::now();
        run()?;
        nanoseconds.push(start.elapsed().as_nanos());
    }
    nanoseconds.sort_unstable();
    let total = nanoseconds[2];
    println!(
        "{name}: {} us, {} ns each of {units}",
        total / 1000,
        total / units as u128
    );
    Ok(())
}

fn main() -> Result<()> {
    let only = std::env::args().nth(1);
    for level in [Some(Level::PORTABLE), Level::avx512_ifma()]
        .into_iter()
        .flatten()
    {
        if only.as_deref().is_none_or(|name| name == level.name()) {
            println!("{}", level.name());
            run::<EqAffine, _>(&Cpu::with_level(level))?;
        }
    }
    Ok(())
}

/// Scalars of full size only.
fn wide<F: Field>(count: usize) -> Vec<F> {
    (0..count).map(|i| scalar(16 * i + 9)).collect()
}

fn full<F: Field>(columns: usize, rows: usize) -> HostColumns<F> {
    HostColumns {
        rows,
        columns,
        body: Body::Full(wide(columns * rows)),
        tail: Vec::new(),
    }
}

fn run<C: Curve, B: Backend<C>>(cpu: &B) -> Result<()> {
    let rows = 512;
    let points = Generators::<C>::derive(10).rows;
    let bases = cpu.load_bases(&points[..rows])?;
    time("load_bases 512", rows, || cpu.load_bases(&points[..rows]))?;
    let large = cpu.upload(&full(8, rows))?;
    let none = vec![Vec::new(); 32];
    time("commit 8 full columns", 8 * rows, || {
        cpu.commit(&bases, &[&large], &none[..8])
    })?;
    let narrow = cpu.upload(&small(32, rows, 0, 8))?;
    time("commit 32 8-bit columns", 32 * rows, || {
        cpu.commit(&bases, &[&narrow], &none)
    })?;
    let scalars = wide(600);
    time("msm", 600, || cpu.msm(&points[..600], &scalars))?;
    let values = cpu.upload(&full(32, 1024))?;
    time("interpolate 32 columns of 2^10", 32 << 10, || {
        cpu.interpolate(&values)
    })?;
    let long = cpu.upload(&full(1, 1 << 16))?;
    time("coset_evaluate one column of 2^16", 1 << 16, || {
        cpu.coset_evaluate(&long, scalar(9))
    })?;
    cells(cpu, &values)
}

/// Operations cell by cell on 32 columns of 1024 rows.
fn cells<C: Curve, B: Backend<C>>(cpu: &B, values: &B::Columns) -> Result<()> {
    let vector = cpu.upload(&full(1, 1024))?;
    let count = 32 << 10;
    time("multiply", count, || cpu.multiply(values, values))?;
    time("invert", count, || cpu.invert(values, scalar(9)))?;
    time("dot", count, || cpu.dot(values, &vector))?;
    let column = |column| Term {
        column: ColumnRef { batch: 0, column },
        coefficient: scalar(column + 8),
    };
    let terms = [(0..32).map(column).collect()];
    time("combine 32 columns", count, || {
        cpu.combine(&[values], &terms, &[scalar(0)], 1024)
    })?;
    let step = |operation, a, b| Instruction { operation, a, b };
    let program = Program {
        inputs: 2,
        constants: 1,
        instructions: vec![
            step(Operation::Mul, Operand::Input(0), Operand::Input(1)),
            step(Operation::Add, Operand::Result(0), Operand::Constant(0)),
            step(Operation::Mul, Operand::Result(1), Operand::Input(0)),
        ],
        output: Operand::Result(2),
    };
    let (kernel, weights) = (cpu.prepare(&program)?, wide(32));
    let mut sums = cpu.zeros(1, 1024)?;
    time("run a cubic gate of 32 lanes", count, || {
        cpu.run(
            &kernel,
            &[values, values],
            &[scalar(9)],
            &weights,
            &mut sums,
        )
    })
}
