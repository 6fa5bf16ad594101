//! Forests as layers: one comparison for every branch, one count for every leaf, trees of like size side by side.
//!
//! Every branch compares a feature with its threshold, every leaf counts the answers on its path (Hummingbird, Nakandala et al., OSDI
//! 2020, section 4.1). The counts of a tree read its own comparisons only: trees of like size are the groups of one convolution, of
//! `sum of leaves x comparisons` weights, where one matrix for the forest would have the square.

use super::forest::{Comparison, Tree};
use super::writer::{With, Writer};

/// Weights of one matrix for all trees up to which groups are not worth their nodes.
const SMALL: usize = 1 << 14;
/// How many times its own weights a tree may have among others.
const MOST_PADDED: usize = 2;

/// A tree, or several as one.
#[derive(Default)]
struct Part {
    comparisons: Vec<Comparison>,
    rows: Vec<Row>,
}

/// What the count of a leaf reads, and which leaf of which tree it is.
struct Row {
    path: Vec<(usize, f32)>,
    missing: f32,
    leaf: (usize, usize),
}

/// Parts of like size, each padded to the largest.
struct Block {
    parts: Vec<Part>,
    comparisons: usize,
    rows: usize,
}

/// The bits of leaves reached, and the tree and the leaf that each stands for, if any.
pub(super) struct Reached {
    pub(super) bits: String,
    pub(super) leaves: Vec<Option<(usize, usize)>>,
}

/// One bit for each leaf of a forest, of a row of `features` columns.
pub(super) fn reached(w: &mut Writer<'_>, x: &str, features: usize, trees: &[Tree]) -> Reached {
    let blocks = blocks(trees);
    let answers = answers(w, x, features, &blocks);
    let (mut first, mut counts, mut leaves) = (0, Vec::new(), Vec::new());
    for block in &blocks {
        let len = block.parts.len() * block.comparisons;
        let own = match blocks.len() {
            1 => answers.clone(),
            _ => w.columns(&answers, first, len),
        };
        first += len;
        counts.push(counted(w, &own, block));
        for part in &block.parts {
            let own = (0..block.rows).map(|row| part.rows.get(row).map(|row| row.leaf));
            leaves.extend(own);
        }
    }
    let counts: Vec<&str> = counts.iter().map(|name| &**name).collect();
    let all = match counts.as_slice() {
        [one] => (*one).to_owned(),
        several => w.beside(several),
    };
    let bits = w.positive(&all);
    Reached { bits, leaves }
}

/// Trees by size, each with those that are hardly smaller; all in one if that has few weights.
fn blocks(trees: &[Tree]) -> Vec<Block> {
    let mut parts: Vec<Part> = trees
        .iter()
        .enumerate()
        .map(|(number, tree)| Part::new(number, tree))
        .collect();
    let columns: usize = parts.iter().map(Part::columns).sum();
    let rows: usize = parts.iter().map(|part| part.rows.len()).sum();
    if columns * rows <= SMALL {
        parts = vec![parts.into_iter().fold(Part::default(), Part::and)];
    }
    parts.sort_by_key(|part| std::cmp::Reverse(part.weights()));
    let mut blocks: Vec<Block> = Vec::new();
    for part in parts {
        let fits = |block: &&mut Block| {
            let near = block.comparisons * block.rows <= MOST_PADDED * part.weights();
            near && block.rows >= part.rows.len() && block.comparisons >= part.columns()
        };
        match blocks.last_mut().filter(fits) {
            Some(block) => block.parts.push(part),
            None => blocks.push(Block {
                comparisons: part.columns(),
                rows: part.rows.len(),
                parts: vec![part],
            }),
        }
    }
    blocks
}

impl Part {
    fn new(number: usize, tree: &Tree) -> Self {
        let row = |(i, leaf): (usize, &super::forest::Leaf)| Row {
            path: leaf.path.clone(),
            missing: leaf.missing,
            leaf: (number, i),
        };
        Self {
            comparisons: tree.comparisons.clone(),
            rows: tree.leaves.iter().enumerate().map(row).collect(),
        }
    }

    fn and(mut self, other: Self) -> Self {
        let first = self.comparisons.len();
        self.comparisons.extend(other.comparisons);
        self.rows.extend(other.rows.into_iter().map(|mut row| {
            row.path.iter_mut().for_each(|(bit, _)| *bit += first);
            row
        }));
        self
    }

    /// A tree that is one leaf compares nothing: a column that is never read.
    fn columns(&self) -> usize {
        self.comparisons.len().max(1)
    }

    fn weights(&self) -> usize {
        self.columns() * self.rows.len()
    }
}

/// One bit for every comparison, and zeros where there is none.
fn answers(w: &mut Writer<'_>, x: &str, features: usize, blocks: &[Block]) -> String {
    let padded = blocks.iter().flat_map(|block| {
        let of_part = |part: &Part| -> Vec<Option<Comparison>> {
            (0..block.comparisons)
                .map(|i| part.comparisons.get(i).copied())
                .collect()
        };
        block.parts.iter().flat_map(of_part)
    });
    let all: Vec<Option<Comparison>> = padded.collect();
    let mut chosen = vec![0.0; all.len() * features];
    let mut offsets = vec![0.0; all.len()];
    for (row, comparison) in all.iter().enumerate() {
        if let Some(Comparison {
            feature,
            threshold,
            sign,
        }) = comparison
        {
            chosen[row * features + feature] = *sign;
            offsets[row] = -sign * threshold;
        }
    }
    let above = w.layer(x, &chosen, features, &offsets);
    w.positive(&above)
}

/// 1 for the leaf of every tree that is reached, 0 or less for the others.
fn counted(w: &mut Writer<'_>, answers: &str, block: &Block) -> String {
    let (columns, rows) = (block.comparisons, block.rows);
    let mut paths = vec![0.0; block.parts.len() * rows * columns];
    let mut offsets = vec![0.0; block.parts.len() * rows];
    for (number, part) in block.parts.iter().enumerate() {
        for (i, row) in part.rows.iter().enumerate() {
            let at = number * rows + i;
            offsets[at] = 1.0 + row.missing;
            for (bit, factor) in &row.path {
                paths[at * columns + bit] += factor;
            }
        }
    }
    let groups = block.parts.len();
    if groups == 1 {
        return w.layer(answers, &paths, columns, &offsets);
    }
    let plane = w.reshaped(answers, &[-1, (groups * columns) as i64, 1, 1]);
    let kernels = w.constant(&[groups * rows, columns, 1, 1], &paths);
    let offsets = w.constant(&[groups * rows], &offsets);
    let with = [
        With::Int("group", groups as i64),
        With::Ints("kernel_shape", &[1, 1]),
    ];
    let counts = w.op("Conv", &[&plane, &kernels, &offsets], &with);
    w.reshaped(&counts, &[-1, (groups * rows) as i64])
}
