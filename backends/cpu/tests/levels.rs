//! The levels against each other, at sizes too large for the reference. On a machine without AVX-512 IFMA there is
//! only the portable one.

use ff::{Field as _, PrimeField as _, WithSmallOrderMulGroup as _};
use group::Curve as _;
use pasta_curves::{EpAffine, EqAffine};
use zkernel_backend::{Backend, Body, ColumnRef, Curve, HostColumns, Scalar, Term};
use zkernel_backend_conformance::inputs::{scalars, small};
use zkernel_backend_cpu::{Cpu, Level};
use zkernel_verifier::curve::Generators;

fn full<C: Curve>(columns: usize, rows: usize) -> HostColumns<Scalar<C>> {
    HostColumns {
        rows,
        columns,
        body: Body::Full(scalars(columns, columns * rows)),
        tail: Vec::new(),
    }
}

/// Same result of the same operations at every level.
fn same<T: PartialEq>(operations: impl Fn(&Cpu) -> zkernel_backend::Result<T>) {
    let portable = operations(&Cpu::with_level(Level::PORTABLE));
    assert!(portable.is_ok(), "the operations succeed");
    for level in &Level::of_this_machine()[1..] {
        let packed = operations(&Cpu::with_level(*level));
        assert!(portable == packed, "{level:?} agrees");
    }
}

/// Transforms on both sides of the least packed size, and of the layers that are reduced.
fn transforms<C: Curve>() {
    for log_n in [5, 6, 7, 9, 10, 11, 12, 13, 17] {
        same(|cpu| {
            let columns = Backend::<C>::upload(cpu, &full::<C>(3, 1 << log_n))?;
            let coefficients = Backend::<C>::interpolate(cpu, &columns)?;
            let shift = scalars(9, 1)[0];
            let values = Backend::<C>::coset_evaluate(cpu, &coefficients, shift)?;
            let back = Backend::<C>::coset_evaluate(cpu, &coefficients, Scalar::<C>::from(1))?;
            assert!(Backend::<C>::read(cpu, &back)? == Backend::<C>::read(cpu, &columns)?);
            Backend::<C>::read(cpu, &values)
        });
    }
}

/// Groups of eight columns and some that are left, on as many threads as share them evenly or not, of all sizes that are transformed so and one
/// more. Columns of zeros, of one value and of two have results next to multiples of p, and others hold the largest words there are.
fn transforms_of_many_columns<C: Curve>() {
    // Stored as p - 1.
    let largest = -Scalar::<C>::TWO_INV.pow_vartime([256]);
    for (log_n, columns, threads) in [
        (6, 8, 1),
        (6, 19, 2),
        (7, 27, 3),
        (8, 16, 1),
        (9, 17, 2),
        (10, 16, 1),
        (10, 25, 2),
        (11, 9, 1),
    ] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let pool = pool.build().expect("there are threads");
        let mut host = full::<C>(columns, 1 << log_n);
        if let Body::Full(cells) = &mut host.body {
            for (index, cell) in cells.iter_mut().enumerate() {
                match index >> log_n {
                    3 => *cell = Scalar::<C>::ZERO,
                    4 => *cell = largest,
                    5 => *cell = -Scalar::<C>::ONE,
                    6 if index % 2 == 0 => *cell = Scalar::<C>::ONE,
                    6 => *cell = -Scalar::<C>::ONE,
                    7 if index % 3 == 0 => *cell = largest,
                    _ => (),
                }
            }
        }
        same(|cpu| {
            pool.install(|| {
                let columns = Backend::<C>::upload(cpu, &host)?;
                let coefficients = Backend::<C>::interpolate(cpu, &columns)?;
                let values = Backend::<C>::coset_evaluate(cpu, &columns, scalars(9, 1)[0])?;
                let back = Backend::<C>::coset_evaluate(cpu, &coefficients, Scalar::<C>::ONE)?;
                assert!(Backend::<C>::read(cpu, &back)? == Backend::<C>::read(cpu, &columns)?);
                Ok((
                    Backend::<C>::read(cpu, &coefficients)?,
                    Backend::<C>::read(cpu, &values)?,
                ))
            })
        });
    }
}

/// Single columns on several threads, those of which the cells of later tasks are copied among them, in parts of unequal length; of tasks
/// fewer than threads, too.
fn transforms_of_one_column<C: Curve>() {
    for (log_n, threads) in [
        (12, 11),
        (13, 2),
        (14, 3),
        (15, 5),
        (17, 1),
        (17, 3),
        (18, 2),
    ] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let pool = pool.build().expect("there are threads");
        same(|cpu| {
            pool.install(|| {
                let columns = Backend::<C>::upload(cpu, &full::<C>(1, 1 << log_n))?;
                let coefficients = Backend::<C>::interpolate(cpu, &columns)?;
                let values = Backend::<C>::coset_evaluate(cpu, &coefficients, scalars(9, 1)[0])?;
                Ok((
                    Backend::<C>::read(cpu, &coefficients)?,
                    Backend::<C>::read(cpu, &values)?,
                ))
            })
        });
    }
}

/// Rows beyond a multiple of eight, more terms than are reduced together.
fn linear<C: Curve>() {
    for rows in [7, 8, 1023, 1024] {
        same(|cpu| {
            let columns = Backend::<C>::upload(cpu, &full::<C>(70, rows))?;
            let other = Backend::<C>::upload(cpu, &small(70, rows, 0, 9))?;
            let vector = Backend::<C>::upload(cpu, &full::<C>(1, rows))?;
            let term = |(i, coefficient)| Term {
                column: ColumnRef {
                    batch: i % 2,
                    column: i / 2,
                },
                coefficient,
            };
            let terms: Vec<Vec<_>> = [0, 1, 2, 140]
                .map(|count| {
                    scalars(3, count)
                        .into_iter()
                        .enumerate()
                        .map(term)
                        .collect()
                })
                .into();
            let combined =
                Backend::<C>::combine(cpu, &[&columns, &other], &terms, &scalars(5, 4), rows)?;
            let folded = Backend::<C>::fold_columns(cpu, &columns, scalars(9, 1)[0])?;
            Ok((
                Backend::<C>::dot(cpu, &columns, &vector)?,
                Backend::<C>::read(cpu, &combined)?,
                Backend::<C>::cross_columns(cpu, &columns, &other)?,
                Backend::<C>::read(cpu, &folded)?,
            ))
        });
    }
}

/// More points than a chunk of buckets, with repeated, opposite and identity points, against plain sums.
fn points<C: Curve>() {
    let own = Generators::<C>::derive(8).rows;
    let mut bases: Vec<C> = own.iter().copied().cycle().take(3000).collect();
    for (i, base) in bases.iter_mut().enumerate() {
        match i % 7 {
            0 => *base = -*base,
            1 => *base = own[0],
            2 if i % 3 == 0 => *base = C::identity(),
            _ => {}
        }
    }
    same(|cpu| {
        let loaded = Backend::<C>::load_bases(cpu, &bases)?;
        let narrow = Backend::<C>::upload(cpu, &small(3, 3000, 0, 8))?;
        let wide = Backend::<C>::upload(cpu, &full::<C>(2, 3000))?;
        let commitments = cpu.commit(&loaded, &[&narrow, &wide], &vec![Vec::new(); 5])?;
        let plain: Vec<Scalar<C>> = Backend::<C>::read(cpu, &wide)?;
        assert!(cpu.msm(&bases, &plain[..3000])? == commitments[3]);
        let equal = vec![plain[9]; 3000];
        Ok((commitments, cpu.msm(&bases, &equal)?))
    });
}

/// Sums of full scalars, whose digits are numbers of both halves, against products one by one: repeated, opposite, equal and no
/// points; scalars on which halves are 0, largest and units; one scalar for all. On both levels, on one thread and on three.
fn full_scalars<C: Curve>() {
    let own = Generators::<C>::derive(16).rows;
    let mut bases: Vec<C> = own.iter().copied().cycle().take(700).collect();
    bases.iter_mut().step_by(5).for_each(|base| *base = -*base);
    bases.iter_mut().step_by(7).for_each(|base| *base = own[3]);
    (bases.iter_mut().step_by(11)).for_each(|base| *base = C::identity());
    let (one, zeta) = (Scalar::<C>::ONE, Scalar::<C>::ZETA);
    let [half, third] = [Scalar::<C>::TWO_INV, Scalar::<C>::from(3).invert().unwrap()];
    let special = [Scalar::<C>::ZERO, one, zeta, zeta.square(), half, third];
    let special = special.map(|value| [value, value * (one - zeta), value * half + one]);
    let special = special
        .as_flattened()
        .iter()
        .flat_map(|value| [*value, -*value]);
    let mut mixed: Vec<Scalar<C>> = scalars(7, 700);
    mixed
        .iter_mut()
        .step_by(2)
        .zip(special.cycle())
        .for_each(|(to, value)| *to = value);
    let equal = |value: Scalar<C>| vec![value; 700];
    for values in [
        mixed,
        equal(-one),
        equal(zeta * third),
        equal(scalars(3, 1)[0]),
    ] {
        for count in [25, 200, 700] {
            let pairs = bases[..count].iter().zip(&values);
            let wanted: C::CurveExt = pairs.map(|(base, value)| *base * value).sum();
            for threads in [1, 3] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
                let sum = |cpu: &Cpu| cpu.msm(&bases[..count], &values[..count]);
                let pool = pool.build().unwrap();
                for level in Level::of_this_machine() {
                    let own = pool.install(|| sum(&Cpu::with_level(level)));
                    assert!(
                        own.unwrap() == wanted.to_affine(),
                        "{count} points, {threads} threads, {level:?}"
                    );
                }
            }
        }
    }
}

macro_rules! both_curves {
    ($($name:ident)*) => { $(
        mod $name {
            #[test]
            fn pallas() {
                super::$name::<super::EpAffine>();
            }
            #[test]
            fn vesta() {
                super::$name::<super::EqAffine>();
            }
        }
    )* };
}

both_curves!(transforms transforms_of_many_columns transforms_of_one_column linear points full_scalars);
