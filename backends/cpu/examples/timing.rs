//! Quick timings of the CPU backend: least and median of many runs. Arguments: a level, then parts of names; with
//! none, everything. TIMING_MS is how long each is run, 500 ms if not set. With TIMING_CPU set, on Linux, times are those
//! of the processor, not of the clock: for a machine that others use, with RAYON_NUM_THREADS=1. With TIMING_COLD, so many MiB of
//! other memory are written before every run, and one run more is not timed.

use std::time::Instant;

use ff::{Field as _, PrimeField as _};
use group::{Curve as _, Group as _};
use pasta_curves::EqAffine;
use zkernel_backend::{Backend, Body, ColumnRef, Curve, Field, HostColumns, Result, Scalar, Term};
use zkernel_backend_conformance::inputs::scalar;
use zkernel_backend_cpu::{Cpu, Level, in_large_pages};
use zkernel_verifier::expression::{Instruction, Operand, Operation, Program};

/// What to time.
struct Timer {
    only: Vec<String>,
    milliseconds: u128,
    /// MiB of other memory that are written before every run, and one run that is not timed, as beside peers; none if zero.
    cold: usize,
}

impl Timer {
    /// Nanoseconds that all threads have run, if these are to be counted.
    fn busy(&self) -> Option<u128> {
        std::env::var_os("TIMING_CPU")?;
        let threads = std::fs::read_dir("/proc/self/task").ok()?;
        let busy = |thread: std::fs::DirEntry| -> Option<u128> {
            let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse().ok()
        };
        Some(threads.flatten().filter_map(busy).sum())
    }

    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|part| name.contains(part))
    }

    /// Runs for some time, at least five times.
    fn time<T>(&self, name: &str, units: usize, mut run: impl FnMut() -> Result<T>) -> Result<()> {
        if !self.wants(name) {
            return Ok(());
        }
        let mut others = vec![0u64; self.cold << 17];
        let (begin, mut nanoseconds) = (Instant::now(), Vec::new());
        while nanoseconds.len() < 5 || begin.elapsed().as_millis() < self.milliseconds {
            if self.cold > 0 {
                others.iter_mut().for_each(|word| *word = !*word);
                std::hint::black_box(&others);
                run()?;
            }
            let (start, busy) = (Instant::now(), self.busy());
            run()?;
            nanoseconds.push(match (busy, self.busy()) {
                (Some(before), Some(after)) => after - before,
                _ => start.elapsed().as_nanos(),
            });
        }
        nanoseconds.sort_unstable();
        let (least, median) = (nanoseconds[0], nanoseconds[nanoseconds.len() / 2]);
        let each = least as f64 / units as f64;
        println!(
            "{name}: least {} us, median {} us; least {each:.1} ns each of {units}",
            least / 1000,
            median / 1000,
        );
        Ok(())
    }
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let only = arguments.next();
    let timer = Timer {
        only: arguments.collect(),
        milliseconds: std::env::var("TIMING_MS")
            .ok()
            .and_then(|ms| ms.parse().ok())
            .unwrap_or(500),
        cold: std::env::var("TIMING_COLD")
            .ok()
            .and_then(|mib| mib.parse().ok())
            .unwrap_or(0),
    };
    for level in [Some(Level::PORTABLE), Level::avx512_ifma()]
        .into_iter()
        .flatten()
    {
        if only.as_deref().is_none_or(|name| name == level.name()) {
            println!("{}", level.name());
            let cpu = Cpu::with_level(level);
            points::<EqAffine, _>(&cpu, &timer)?;
            transforms::<EqAffine, _>(&cpu, &timer)?;
            cells::<EqAffine, _>(&cpu, &timer)?;
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

/// Signed integers of a few bits as scalars.
fn narrow<F: Field>(count: usize, bits: u32) -> Vec<F> {
    // Mixed well: of points that are multiples of their index, a regular choice has equal partial sums.
    let value = |i: usize| {
        let word = (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let word = (word ^ word >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let word = (word ^ word >> 32).wrapping_mul(0x94D0_49BB_1331_11EB);
        let magnitude = F::from(word >> (65 - bits));
        if word & 1 == 0 { magnitude } else { -magnitude }
    };
    (0..count).map(value).collect()
}

/// Signed bytes, mixed as well.
fn bytes<F: Field>(columns: usize, rows: usize) -> HostColumns<F> {
    let value = |i: usize| {
        let word = (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let word = (word ^ word >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        i64::from((word >> 40) as i8)
    };
    HostColumns {
        rows,
        columns,
        body: Body::small((0..columns * rows).map(value).collect()),
        tail: Vec::new(),
    }
}

/// Sums of points.
fn points<C: Curve, B: Backend<C>>(cpu: &B, timer: &Timer) -> Result<()> {
    let wanted = |log_n: usize| {
        let names = ["msm", "msm8", "msm16"].into_iter();
        let names = names
            .chain(ADVERSARIAL)
            .map(|name| format!("{name} 2^{log_n}"));
        names.into_iter().any(|name| timer.wants(&name))
    };
    let most = [20, 18, 17, 16].into_iter().find(|log_n| wanted(*log_n));
    let most = most.unwrap_or(14);
    let step = C::generator() * Scalar::<C>::DELTA;
    // Neighbours whose signed sums do not meet, as those of a multiple each would.
    let walk = std::iter::successors(Some(step), |p| Some(p.double() + step));
    let walk: Vec<_> = walk.take(1 << most).collect();
    let mut points = in_large_pages(1 << most);
    points.resize(1 << most, C::identity());
    C::CurveExt::batch_normalize(&walk, &mut points);
    for log_n in [6, 9, 10, 12] {
        let rows = 1 << log_n;
        let name = |what: &str| format!("{what} 2^{log_n}");
        let names = ["load", "commit 32 full", "commit 1 full", "commit 32 8-bit"];
        let others = [
            "dictionary 32",
            "fold 8",
            "commit folded",
            "commit 32 of",
            "commit 32 blinded",
        ];
        if !names
            .iter()
            .chain(&others)
            .any(|what| timer.wants(&name(what)))
        {
            continue;
        }
        timer.time(&name("load"), rows, || cpu.load_bases(&points[..rows]))?;
        let bases = cpu.load_bases(&points[..rows])?;
        let none = vec![Vec::new(); 32];
        let large = cpu.upload(&full(32, rows))?;
        timer.time(&name("commit 32 full"), 32 * rows, || {
            cpu.commit(&bases, &[&large], &none)
        })?;
        let one = cpu.upload(&full(1, rows))?;
        timer.time(&name("commit 1 full"), rows, || {
            cpu.commit(&bases, &[&one], &none[..1])
        })?;
        let few = cpu.upload(&bytes(32, rows))?;
        timer.time(&name("commit 32 8-bit"), 32 * rows, || {
            cpu.commit(&bases, &[&few], &none)
        })?;
        // As the prover's: a random last cell and a blinder.
        let blinded = HostColumns {
            rows: rows - 2,
            tail: wide(32),
            ..bytes(32, rows - 3)
        };
        let blinded = cpu.upload(&blinded)?;
        let blinders: Vec<_> = wide(32)
            .into_iter()
            .map(|r| vec![Scalar::<C>::ZERO, r])
            .collect();
        timer.time(&name("commit 32 blinded 8-bit"), 32 * rows, || {
            cpu.commit(&bases, &[&blinded], &blinders)
        })?;
        for value in [0, 1, -128] {
            let body = Body::small(vec![value; 32 * rows]);
            let columns = HostColumns {
                body,
                ..bytes(32, rows)
            };
            let equal = cpu.upload(&columns)?;
            timer.time(&name(&format!("commit 32 of {value}")), 32 * rows, || {
                cpu.commit(&bases, &[&equal], &none)
            })?;
        }
        let entries = cpu.upload(&full(1, 8))?;
        let indices: Vec<u32> = (0..rows * 32).map(|i| (i * i % 11 % 8) as u32).collect();
        timer.time(&name("dictionary 32"), 32 * rows, || {
            cpu.commit_dictionary(&bases, &indices, &entries, &none, &none)
        })?;
        let weights = wide(8);
        timer.time(&name("fold 8"), rows, || {
            cpu.fold_bases(&bases, rows, &weights)
        })?;
        let folded = cpu.fold_bases(&bases, rows, &weights)?;
        let two = cpu.upload(&full(2, rows / 8))?;
        timer.time(&name("commit folded"), rows / 4, || {
            cpu.commit(&folded, &[&two], &none[..2])
        })?;
    }
    for log_n in [1, 4, 7, 10, 12, 14, 16, 17, 18, 20] {
        let count = 1 << log_n;
        for (bits, name) in [(255, "msm"), (8, "msm8"), (16, "msm16")] {
            let name = format!("{name} 2^{log_n}");
            if timer.wants(&name) && points.len() >= count {
                let scalars = if bits == 255 {
                    wide(count)
                } else {
                    narrow(count, bits)
                };
                timer.time(&name, count, || cpu.msm(&points[..count], &scalars))?;
            }
        }
    }
    adversarial(cpu, &points, timer)
}

/// Sums whose points or scalars are chosen to take long.
const ADVERSARIAL: [&str; 5] = [
    "msm of equal points",
    "msm of equal scalars",
    "msm of zeros",
    "msm of zeros and others",
    "msm of ever longer scalars",
];

/// Scalars of full size but for some groups of eight, a bit longer whenever about so many of those left have been found.
fn ever_longer<F: Field>(scalars: &mut [F]) {
    let mut left: Vec<usize> = (0..scalars.len() / 8).collect();
    for bits in 0..24 {
        let step = (left.len() / 32).max(1);
        for group in left.iter().step_by(step) {
            let short = F::from(1 << bits);
            scalars[8 * group..][..8].fill(short);
        }
        left = (left.iter().enumerate())
            .filter(|(i, _)| !i.is_multiple_of(step))
            .map(|(_, group)| *group)
            .collect();
    }
}

/// Sums with full scalars where all points are the same, or all scalars; with nothing but zeros; with every other one zero; where those that
/// are looked at first are shorter than all others.
fn adversarial<C: Curve, B: Backend<C>>(cpu: &B, points: &[C], timer: &Timer) -> Result<()> {
    for log_n in [10, 12, 14, 18] {
        let count = 1 << log_n;
        let names = ADVERSARIAL.map(|name| format!("{name} 2^{log_n}"));
        if points.len() < count || !names.iter().any(|name| timer.wants(name)) {
            continue;
        }
        let (points, scalars) = (&points[..count], wide(count));
        let (point, scalar) = (vec![points[0]; count], vec![scalars[0]; count]);
        let zeros = vec![C::Scalar::ZERO; count];
        let mut others = scalars.clone();
        let zero = zeros[0];
        others.iter_mut().step_by(2).for_each(|own| *own = zero);
        let mut longer = scalars.clone();
        ever_longer(&mut longer);
        let [of_points, of_scalars, of_zeros, of_others, of_longer] = &names;
        timer.time(of_points, count, || cpu.msm(&point, &scalars))?;
        timer.time(of_scalars, count, || cpu.msm(points, &scalar))?;
        timer.time(of_zeros, count, || cpu.msm(points, &zeros))?;
        timer.time(of_others, count, || cpu.msm(points, &others))?;
        timer.time(of_longer, count, || cpu.msm(points, &longer))?;
    }
    Ok(())
}

/// Number-theoretic transforms.
fn transforms<C: Curve, B: Backend<C>>(cpu: &B, timer: &Timer) -> Result<()> {
    for (columns, log_n) in [
        (32, 6),
        (32, 10),
        (1, 10),
        (1, 14),
        (1, 16),
        (1, 18),
        (1, 20),
    ] {
        let name = format!("ntt {columns} of 2^{log_n}");
        if timer.wants(&name) {
            let values = cpu.upload(&full(columns, 1 << log_n))?;
            timer.time(&name, columns << log_n, || {
                cpu.coset_evaluate(&values, scalar(1))
            })?;
            let name = format!("inverse {name}");
            timer.time(&name, columns << log_n, || cpu.interpolate(&values))?;
        }
    }
    Ok(())
}

/// Operations cell by cell on 32 columns of 1024 rows.
fn cells<C: Curve, B: Backend<C>>(cpu: &B, timer: &Timer) -> Result<()> {
    let values = &cpu.upload(&full(32, 1024))?;
    let vector = cpu.upload(&full(1, 1024))?;
    let count = 32 << 10;
    timer.time("multiply", count, || cpu.multiply(values, values))?;
    timer.time("invert", count, || cpu.invert(values, scalar(9)))?;
    timer.time("dot", count, || cpu.dot(values, &vector))?;
    let column = |column| Term {
        column: ColumnRef { batch: 0, column },
        coefficient: scalar(column + 8),
    };
    let terms = [(0..32).map(column).collect()];
    timer.time("combine 32 columns", count, || {
        cpu.combine(&[values], &terms, &[scalar(0)], 1024)
    })?;
    timer.time("fold_columns", count, || {
        cpu.fold_columns(values, scalar(9))
    })?;
    timer.time("fold_rows", count, || cpu.fold_rows(values, scalar(9)))?;
    let (kernel, weights) = (cpu.prepare(&cubic())?, wide(32));
    let mut sums = cpu.zeros(1, 1024)?;
    timer.time("run a cubic gate of 32 lanes", count, || {
        cpu.run(
            &kernel,
            &[values, values],
            &[scalar(9)],
            &weights,
            &mut sums,
        )
    })?;
    let kernel = cpu.prepare(&products())?;
    let columns = (0..16).map(|_| cpu.upload(&full(1, 1024)));
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let inputs: Vec<_> = columns.iter().collect();
    timer.time("run a gate of 256 products", 256 << 10, || {
        cpu.run(&kernel, &inputs, &[], &weights[..1], &mut sums)
    })
}

/// Layers of products of neighbours, 256 in all: hardly one waits for another.
fn products() -> Program {
    let operand = |index: u16| {
        index
            .checked_sub(16)
            .map_or(Operand::Input(index), Operand::Result)
    };
    let product = |index: u16| Instruction {
        operation: Operation::Mul,
        a: operand(index),
        b: operand(index / 16 * 16 + (index + 1) % 16),
    };
    Program {
        inputs: 16,
        constants: 0,
        instructions: (0..256).map(product).collect(),
        output: Operand::Result(255),
    }
}

/// `(a b + constant) a`.
fn cubic() -> Program {
    let step = |operation, a, b| Instruction { operation, a, b };
    Program {
        inputs: 2,
        constants: 1,
        instructions: vec![
            step(Operation::Mul, Operand::Input(0), Operand::Input(1)),
            step(Operation::Add, Operand::Result(0), Operand::Constant(0)),
            step(Operation::Mul, Operand::Result(1), Operand::Input(0)),
        ],
        output: Operand::Result(2),
    }
}
