//! A batch of field multiplications that stays in the cache and in which hardly one waits for another: per row, 128
//! products of sixteen inputs in pairs, their product as a tree, and one by a weight. 256 in all, no additions but one.

use std::ops::{AddAssign, Mul};

use rayon::prelude::*;
use zkernel_verifier::expression::{Instruction, Operand, Operation, Program};

/// Inputs of a row.
pub const INPUTS: usize = 16;
/// Multiplications of a row.
pub const MULTIPLICATIONS: usize = 256;
/// Leaves of the tree.
const LEAVES: usize = MULTIPLICATIONS / 2;

/// The pairs of inputs that are multiplied first.
fn pairs() -> impl Iterator<Item = (usize, usize)> {
    let all = (0..INPUTS).flat_map(|i| (i..INPUTS).map(move |j| (i, j)));
    all.take(LEAVES)
}

/// As a gate program; the weight is that of its lane.
#[must_use]
pub fn program() -> Program {
    let short = |index: usize| u16::try_from(index).unwrap_or(u16::MAX);
    let multiply = |a, b| Instruction {
        operation: Operation::Mul,
        a,
        b,
    };
    let leaf =
        |(i, j): (usize, usize)| multiply(Operand::Input(short(i)), Operand::Input(short(j)));
    let mut instructions: Vec<Instruction> = pairs().map(leaf).collect();
    for node in 0..LEAVES - 1 {
        let child = |index: usize| Operand::Result(short(index));
        instructions.push(multiply(child(2 * node), child(2 * node + 1)));
    }
    Program {
        inputs: short(INPUTS),
        constants: 0,
        output: Operand::Result(short(instructions.len() - 1)),
        instructions,
    }
}

/// The same by any field: `sums[row] += weight * product(row)`, `columns` being the inputs. On the global rayon pool.
pub fn multiply<F>(columns: &[Vec<F>], weight: F, sums: &mut [F])
where
    F: Copy + Send + Sync + Mul<Output = F> + AddAssign,
{
    const BLOCK: usize = 64;
    let pairs: Vec<(usize, usize)> = pairs().collect();
    let blocks = sums.par_chunks_mut(BLOCK).enumerate();
    blocks.for_each(|(block, sums)| {
        for (row, sum) in sums.iter_mut().enumerate() {
            let row = block * BLOCK + row;
            let inputs: [F; INPUTS] = std::array::from_fn(|i| columns[i][row]);
            let mut nodes = [inputs[0]; LEAVES];
            for (node, (i, j)) in nodes.iter_mut().zip(&pairs) {
                *node = inputs[*i] * inputs[*j];
            }
            let mut width = LEAVES;
            while width > 1 {
                width /= 2;
                for node in 0..width {
                    nodes[node] = nodes[2 * node] * nodes[2 * node + 1];
                }
            }
            *sum += weight * nodes[0];
        }
    });
}

#[cfg(test)]
mod tests {
    use pasta_curves::Fq;

    use super::*;
    use crate::inputs::scalars;

    #[test]
    fn the_program_is_the_tree() {
        let values = scalars(INPUTS * 3, 255);
        let columns: Vec<Vec<Fq>> = values.chunks(3).map(<[Fq]>::to_vec).collect();
        let mut sums = vec![Fq::from(5); 3];
        multiply(&columns, Fq::from(7), &mut sums);
        for (row, sum) in sums.iter().enumerate() {
            let inputs: Vec<Fq> = columns.iter().map(|column| column[row]).collect();
            let product = program().evaluate(&inputs, &[]).unwrap();
            assert_eq!(*sum, Fq::from(5) + Fq::from(7) * product);
        }
        let steps = program().instructions.len();
        assert_eq!(steps + 1, MULTIPLICATIONS);
    }
}
