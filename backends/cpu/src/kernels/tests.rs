//! Kernels of all levels give the same.

use ff::{Field as _, PrimeField as _};
use pasta_curves::{Fp, Fq};
use proptest::prelude::*;
use zkernel_verifier::curve::powers;
use zkernel_verifier::expression::{Instruction, Operand, Operation, Program};

use super::*;

/// Elements at the edges of words and of the prime, and random ones.
fn element<F: Field>((kind, wide): &(u8, [u8; 32])) -> F {
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(wide);
    let random = F::from_uniform_bytes(&bytes);
    match kind {
        0 => F::ZERO,
        1 => F::ONE,
        2 => -F::ONE,
        3 => F::TWO_INV,
        4 => -F::from(1 << 52),
        5 => F::from_u128(1 << 104).square(),
        _ => random,
    }
}

fn column(most: usize) -> impl Strategy<Value = Vec<(u8, [u8; 32])>> {
    prop::collection::vec((0u8..12, any::<[u8; 32]>()), 0..most)
}

fn compare<F: Field>(cells: &[(u8, [u8; 32])], shift: usize) {
    let a: Vec<F> = cells.iter().map(element).collect();
    let mut b = a.clone();
    b.rotate_left(shift % a.len().max(1));
    let both = [Level::PORTABLE, Level::detect()];
    let products = both.map(|level| {
        let mut cells = a.clone();
        multiply(level, &mut cells, &b);
        cells
    });
    assert_eq!(products[0], products[1], "multiply");
    let [portable, fast] = both.map(|level| dot(level, &a, &b));
    assert_eq!(portable, fast, "dot");
    let constant = a.first().map_or(F::ONE, |first| -*first);
    let inverses = both.map(|level| {
        let mut cells = b.clone();
        invert(level, &mut cells, constant);
        cells
    });
    assert_eq!(inverses[0], inverses[1], "invert");
    let sums = both.map(|level| {
        let mut sums = a.clone();
        let terms = [(&b[..], constant), (&a[..], -F::ONE), (&b[..], F::ZERO)];
        combine(level, &mut sums, &terms);
        sums
    });
    assert_eq!(sums[0], sums[1], "combine");
    let last = a.len().saturating_sub(3);
    let entries: Vec<(usize, F)> = b.iter().take(3).copied().enumerate().collect();
    for offsets in [(0..last).collect::<Vec<_>>(), (0..last).rev().collect()] {
        let [portable, fast] = both.map(|level| contract(level, &a, &entries, &offsets));
        assert_eq!(portable, fast, "contract");
    }
}

/// As many of the largest products as are summed before a reduction, and more.
fn largest_sums<F: Field>() {
    for length in [2048, 2049, 5000] {
        let cells = vec![-F::ONE; length];
        assert_eq!(dot(Level::detect(), &cells, &cells), F::from(length as u64));
    }
    for count in [255, 256, 257, 600] {
        let column = vec![-F::ONE; 17];
        let terms: Vec<(&[F], F)> = vec![(&column, -F::ONE); count];
        let mut sums = column.clone();
        combine(Level::detect(), &mut sums, &terms);
        assert_eq!(sums, vec![F::from(count as u64 - 1); 17]);
    }
}

#[test]
fn sums_of_the_largest_products() {
    largest_sums::<Fp>();
    largest_sums::<Fq>();
}

/// Transforms of every size class against the sum they stand for, at a few rows, and back.
#[test]
fn transforms_of_large_columns() {
    for log_n in [6, 7, 11, 13, 17] {
        let n = 1usize << log_n;
        let mut cells = powers(Fp::from(3), n);
        cells[..n / 2].fill(-Fp::ONE);
        let columns = crate::columns::Columns::new(1, n, cells.clone());
        let shift = Fp::from(7);
        let Ok(values) = crate::ntt::coset_evaluate(Level::detect(), &columns, shift) else {
            panic!("{n} rows are a power of two");
        };
        let omega = Fp::ROOT_OF_UNITY.pow_vartime([1 << (Fp::S - log_n)]);
        for row in [0, 1, 7, n / 2 + 3, n - 1] {
            let x = shift * omega.pow_vartime([row as u64]);
            let wanted = cells.iter().rev().fold(Fp::ZERO, |sum, c| sum * x + c);
            assert_eq!(
                values.full(Level::detect())[row],
                wanted,
                "row {row} of {n}"
            );
        }
        let back = crate::ntt::interpolate(Level::detect(), &values)
            .map(|c| c.full(Level::detect()).to_vec());
        let shifts = powers(shift, n);
        let shifted = cells.iter().zip(shifts).map(|(c, s)| *c * s).collect();
        assert_eq!(back, Ok(shifted));
    }
}

/// A program of some steps, each an operation on earlier values, on columns of `rows` cells in three lanes.
fn programs_agree<F: Field>(steps: &[(u8, u16, u16)], cells: &[(u8, [u8; 32])], rows: usize) {
    let operand = |i: u16, done: usize| match usize::from(i) % (4 + done) {
        place @ 0..2 => Operand::Input(place as u16),
        place @ 2..4 => Operand::Constant(place as u16 - 2),
        place => Operand::Result(place as u16 - 4),
    };
    let operations = [Operation::Add, Operation::Sub, Operation::Mul];
    let step = |(done, (kind, a, b)): (usize, &(u8, u16, u16))| Instruction {
        operation: operations[usize::from(*kind) % 3],
        a: operand(*a, done),
        b: operand(*b, done),
    };
    let program = Program {
        inputs: 2,
        constants: 2,
        instructions: steps.iter().enumerate().map(step).collect(),
        output: operand(u16::MAX - 3, steps.len()),
    };
    let cells: Vec<F> = cells.iter().cycle().take(3 * rows).map(element).collect();
    let inputs = [
        &cells[..],
        &cells.iter().rev().copied().collect::<Vec<F>>()[..],
    ];
    let run = Run {
        kernel: &Kernel::new(&program),
        inputs: &inputs,
        constants: &[-F::ONE, cells[0]],
        lanes: &[(F::DELTA, 0), (-F::ONE, rows), (cells[1], 2 * rows)],
    };
    let sums = |level| {
        let mut sums = cells[..rows].to_vec();
        super::run(level, &run, &mut sums);
        sums
    };
    let portable = sums(Level::PORTABLE);
    for level in Level::of_this_machine() {
        assert_eq!(portable, sums(level), "{program:?}, {level:?}");
    }
}

#[test]
fn integers_of_every_size() {
    let edges = (0..64).flat_map(|bit| [1i64 << bit, (1i64 << bit).wrapping_sub(1), (-1) << bit]);
    let values: Vec<i64> = edges.chain([0, i64::MAX, i64::MIN]).collect();
    let wanted: Vec<Fp> = values.iter().map(|v| signed(*v)).collect();
    let mut cells = vec![Fp::ZERO; values.len()];
    widen(Level::detect(), &values, &mut cells);
    assert_eq!(cells, wanted);
    let wanted: Vec<Fq> = values.iter().map(|v| signed(*v)).collect();
    let mut cells = vec![Fq::ZERO; values.len()];
    widen(Level::detect(), &values, &mut cells);
    assert_eq!(cells, wanted);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn levels_agree(cells in column(90), shift in 0usize..90) {
        compare::<Fp>(&cells, shift);
        compare::<Fq>(&cells, shift);
    }

    #[test]
    fn levels_run_programs_alike(
        steps in prop::collection::vec((0u8..6, any::<u16>(), any::<u16>()), 1..40),
        chain in any::<bool>(),
        cells in column(90),
        rows in 2usize..70,
    ) {
        prop_assume!(!cells.is_empty());
        // Each step on the result before it, so that bounds grow.
        let before = |(i, (kind, a, _)): (usize, &(u8, u16, u16))| (kind % 5 % 2, i as u16 + 3, *a);
        let steps = if chain { steps.iter().enumerate().map(before).collect() } else { steps };
        programs_agree::<Fp>(&steps, &cells, rows);
        programs_agree::<Fq>(&steps, &cells, rows);
    }
}

/// Lane by lane, whatever the others hold: the largest that fits and what is just beyond, and elements that differ from a small one by a bit of
/// what is stored.
#[cfg(target_arch = "x86_64")]
#[test]
fn integers_are_replaced_by_those_that_fit() {
    fn check<F: Field>(level: Level) {
        let signed = |v: i64| {
            let magnitude = F::from(v.unsigned_abs());
            if v < 0 { -magnitude } else { magnitude }
        };
        let stored = F::from(2).pow_vartime([256]).invert().unwrap_or(F::ZERO);
        let bit = |bit: u64| F::from(2).pow_vartime([bit]) * stored;
        for most in [1, 9, 128, 1 << 15, i32::MAX as u32, u32::MAX] {
            let edges = [0, 1, -1, 2].map(i64::from).into_iter();
            let edges = edges.chain([0, 1].map(|more| i64::from(most) + more));
            let edges: Vec<i64> = edges.flat_map(|edge| [edge, -edge]).collect();
            let small = edges.iter().map(|edge| (signed(*edge), Some(*edge)));
            let near = |i| [bit(i), -bit(i)].map(|bit| (signed(edges[i as usize % 5]) + bit, None));
            let others = (0..256).flat_map(near);
            let all: Vec<(F, Option<i64>)> = small.chain(others).collect();
            let fits = |(value, edge): &(F, Option<i64>)| {
                let own = edge.or_else(|| (-5..6).find(|small| signed(*small) == *value));
                own.filter(|own| own.unsigned_abs() <= u64::from(most.min(i32::MAX as u32)))
            };
            for length in [1, 5, 8, 19, all.len()] {
                for start in (0..=all.len() - length).step_by(7) {
                    let own = &all[start..start + length];
                    let values: Vec<F> = own.iter().map(|(value, _)| *value).collect();
                    let mut integers = Integers::Narrow(vec![7; 3], 0);
                    let mut others = Vec::new();
                    integers.replace(level, &values, most, |i| others.push(i));
                    let Integers::Narrow(narrow, _) = integers else {
                        panic!("they stay narrow");
                    };
                    let wanted: Vec<_> = own.iter().map(fits).collect();
                    let zero_else = wanted.iter().map(|own| own.unwrap_or(0) as i32);
                    assert_eq!(narrow, zero_else.collect::<Vec<_>>(), "{most} {start}");
                    let left: Vec<_> = (0..length).filter(|i| wanted[*i].is_none()).collect();
                    assert_eq!(others, left, "{most} {start} {length}");
                }
            }
        }
    }
    let packed = |level: &Level| level.ifma().is_some();
    for level in Level::of_this_machine().into_iter().filter(packed) {
        check::<Fp>(level);
        check::<Fq>(level);
    }
}
