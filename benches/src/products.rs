//! A batch of field multiplications that stays in the cache and in which hardly one waits for another: per row, layers of
//! sixteen products of neighbours, then the product of the last layer as a tree, and one by a weight. 256 in all, and one
//! addition.

use std::ops::{AddAssign, Mul};

use rayon::prelude::*;
use zkernel_verifier::expression::{Instruction, Operand, Operation, Program};

/// Inputs of a row, and products of a layer.
pub const INPUTS: usize = 16;
/// Multiplications of a row.
pub const MULTIPLICATIONS: usize = 256;
/// What the tree and the weight leave: `INPUTS` a layer.
const LAYERS: usize = MULTIPLICATIONS / INPUTS - 1;

/// As a gate program; the weight is that of its lane.
#[must_use]
pub fn program() -> Program {
    let short = |index: usize| u16::try_from(index).unwrap_or(u16::MAX);
    let multiply = |a, b| Instruction {
        operation: Operation::Mul,
        a,
        b,
    };
    let mut layer: Vec<Operand> = (0..INPUTS).map(|i| Operand::Input(short(i))).collect();
    let mut instructions = Vec::new();
    let mut push = |a, b| {
        instructions.push(multiply(a, b));
        Operand::Result(short(instructions.len() - 1))
    };
    for _ in 0..LAYERS {
        let neighbours = layer.iter().zip(layer.iter().cycle().skip(1));
        layer = neighbours.map(|(a, b)| push(*a, *b)).collect();
    }
    while layer.len() > 1 {
        layer = layer.chunks(2).map(|pair| push(pair[0], pair[1])).collect();
    }
    Program {
        inputs: short(INPUTS),
        constants: 0,
        instructions,
        output: layer[0],
    }
}

/// The same by any field: `sums[row] += weight * product(row)`, `columns` being the inputs. On the global rayon pool.
pub fn multiply<F>(columns: &[Vec<F>], weight: F, sums: &mut [F])
where
    F: Copy + Send + Sync + Mul<Output = F> + AddAssign,
{
    const BLOCK: usize = 64;
    let blocks = sums.par_chunks_mut(BLOCK).enumerate();
    blocks.for_each(|(block, sums)| {
        for (row, sum) in sums.iter_mut().enumerate() {
            let inputs = std::array::from_fn(|i| columns[i][block * BLOCK + row]);
            *sum += weight * product(inputs);
        }
    });
}

fn product<F: Copy + Mul<Output = F>>(inputs: [F; INPUTS]) -> F {
    let mut layer = inputs;
    for _ in 0..LAYERS {
        layer = std::array::from_fn(|i| layer[i] * layer[(i + 1) % INPUTS]);
    }
    let mut width = INPUTS;
    while width > 1 {
        width /= 2;
        for node in 0..width {
            layer[node] = layer[2 * node] * layer[2 * node + 1];
        }
    }
    layer[0]
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
