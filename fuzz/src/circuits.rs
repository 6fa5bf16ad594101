//! Small random circuits: the prover succeeds exactly if the mock prover finds nothing wrong, and the verifier accepts
//! what the prover returns.

use zkernel_backend_cpu::Cpu;
use zkernel_engine::{Error, ProvingKey, Tensors, Witness, mock, prove};
use zkernel_verifier::curve::Generators;
use zkernel_verifier::expression::Expression;
use zkernel_verifier::msm::msm;
use zkernel_verifier::plonk::{Column, Plonk};
use zkernel_verifier::verify::verify;

use crate::source::Source;
use crate::{C, F};

/// Columns a, b, c; c is computed by a random gate from a and b, which lie in a small range; then one cell may be changed.
pub fn circuits(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let mut plonk = Plonk::<F>::new(3 + source.below(2) as u32);
    let [a, b, c] = ["a", "b", "c"].map(|name| plonk.advice(name));
    let enabled = plonk.fixed("enabled");
    let reads = [(a, 0), (b, 0), (a, source.below(3) as i32 - 1)];
    let terms: Vec<(i64, [usize; 2])> = (0..1 + source.below(3))
        .map(|_| {
            (
                i64::from(source.byte()) % 5 - 2,
                [source.below(3), source.below(3)],
            )
        })
        .collect();
    let (on, out) = (plonk.read(enabled, 0), plonk.read(c, 0));
    let mut sum = out;
    for (scale, [left, right]) in &terms {
        let [l, r] = [left, right].map(|i| plonk.read(reads[*i].0, reads[*i].1));
        sum = sum - l * r * constant(*scale);
    }
    plonk.gate("gate", on * sum);
    let range = plonk.table("range", 1, (0..8).collect());
    plonk.lookup("a in range", range, &[a], Some(enabled));

    let mut rows = plonk.rows();
    let mut cells = vec![[0i64; 3]; 0];
    let mut used = Vec::new();
    for _ in 0..1 + source.below(4) {
        let Ok(first) = rows.region(3) else { return };
        cells.resize(first + 3, [0; 3]);
        for row in &mut cells[first..first + 3] {
            *row = [
                i64::from(source.byte()) % 8,
                i64::from(source.byte()) % 8,
                0,
            ];
        }
        rows.fix(enabled, first + 1, F::one());
        used.push(first + 1);
    }
    rows.copy(a.cell(used[0]), b.cell(used[0] - 1));
    cells[used[0] - 1][1] = cells[used[0]][0];
    let output = rows.instance("output", 1);
    rows.public(c.cell(used[0]), output, 0);
    for row in &used {
        let read = |i: usize| {
            let (column, rotation) = reads[i];
            let row = (*row as i64 + i64::from(rotation)) as usize;
            cells[row][usize::from(column == b)]
        };
        let value = terms
            .iter()
            .map(|(s, [l, r])| s * read(*l) * read(*r))
            .sum();
        cells[*row][2] = value;
    }
    let public = vec![vec![zkernel_verifier::curve::signed(cells[used[0]][2])]];
    let (row, column) = (source.below(cells.len()), source.below(3));
    cells[row][column] += i64::from(source.byte() as i8);
    let Ok(system) = rows.finish() else { return };
    check(system, &public, &cells, [a, b, c]);
}

fn constant(value: i64) -> Expression<F> {
    let value = zkernel_verifier::curve::signed(value);
    Expression::Constant(zkernel_verifier::challenge::Coefficient::constant(value))
}

fn check(
    system: zkernel_verifier::system::ConstraintSystem<F>,
    public: &[Vec<F>],
    cells: &[[i64; 3]],
    columns: [Column; 3],
) {
    let mut witness = Witness::default();
    for (i, column) in columns.iter().enumerate() {
        witness.assign(column.track(), cells.iter().map(|row| row[i]).collect());
    }
    let none = Tensors {
        values: Vec::new(),
        blinders: Vec::new(),
    };
    let failures = mock::check(&system, public, &witness, &none).expect("randomness");
    let backend = Cpu::new();
    let generators = Generators::<C>::derive(system.log_n);
    let key = ProvingKey::new(&backend, system, generators, &none, b"").expect("a key");
    match prove(&backend, &key, public, &witness) {
        Ok(proof) => {
            assert!(failures.is_empty(), "proven, but {failures:?}");
            assert_eq!(verify(&key.verifying, public, &proof, &msm), Ok(()));
        }
        Err(Error::Unsatisfied(_) | Error::NotInTable { .. }) => {
            assert!(!failures.is_empty(), "not proven, but nothing is wrong");
        }
        Err(other) => panic!("{other}"),
    }
}
