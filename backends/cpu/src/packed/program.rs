//! Gate programs, eight rows at a time.

use ff::PrimeField;
use zkernel_verifier::expression::{Operand, Operation};

use super::lanes::Lanes;
use super::prime::{Constants, Prime};
use super::rows::{Word, read, write};
use crate::kernels::Run;

/// `sums[row] += sum_lanes weight * program(row)`.
pub(crate) fn run<F: PrimeField>(prime: Prime<F>, run: &Run<'_, F>, sums: &mut [F]) {
    // SAFETY: `prime` holds an `Ifma`, which proves the features.
    unsafe { interpret(prime, run, prime.words_mut(sums)) }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn interpret<F: PrimeField>(prime: Prime<F>, run: &Run<'_, F>, sums: &mut [Word]) {
    let k = prime.constants();
    let inputs: Vec<&[Word]> = run.inputs.iter().map(|i| prime.words(i)).collect();
    let constants: Vec<Lanes> = prime
        .words(run.constants)
        .iter()
        .map(|c| read(prime.ifma, &[*c; 8]))
        .collect();
    let factor =
        |(weight, start): &(F, usize)| (Lanes::splat(prime.ifma, prime.factor(*weight)), *start);
    let lanes: Vec<(Lanes, usize)> = run.lanes.iter().map(factor).collect();
    let mut results = Vec::with_capacity(run.program.instructions.len());
    for (group, sum) in sums.chunks_mut(8).enumerate() {
        let mut total = read(prime.ifma, sum);
        for (weight, start) in &lanes {
            let cells = start + 8 * group..start + 8 * group + sum.len();
            let value = |operand: Operand, results: &[Lanes]| match operand {
                Operand::Input(i) => read(prime.ifma, &inputs[usize::from(i)][cells.clone()]),
                Operand::Constant(i) => constants[usize::from(i)],
                Operand::Result(i) => results[usize::from(i)],
            };
            results.clear();
            for step in &run.program.instructions {
                let (a, b) = (value(step.a, &results), value(step.b, &results));
                results.push(apply(step.operation, &a, &b, k));
            }
            let output = value(run.program.output, &results).multiply(weight, k);
            total = total.add(&output, k).canonical(k);
        }
        write(sum, &total);
    }
}

/// The result below p, of operands below p.
#[inline(always)]
fn apply(operation: Operation, a: &Lanes, b: &Lanes, k: &Constants) -> Lanes {
    let result = match operation {
        Operation::Add => a.add(b, k),
        Operation::Sub => a.subtract(b, &k.p, k),
        Operation::Mul => a.factor(k).multiply(b, k),
    };
    result.canonical(k)
}
