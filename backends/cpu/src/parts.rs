//! How a commitment is cut into parts for threads: of equal cost, and large enough to share inversions well.

use core::ops::Range;

/// Terms that are sorted and added together.
const TERMS_TOGETHER: usize = 1 << 18;

/// Additions from which a piece of a column is worth another set of buckets.
const ADDITIONS_OF_A_PIECE: usize = 1 << 10;

/// Additions from which a part is large enough to share inversions well.
const ADDITIONS_OF_A_PART: usize = 1 << 14;

/// Most parts of a commitment for each thread, so that all end at about the same time.
const PARTS: usize = 4;

/// Some columns, of the first and the last perhaps only some rows: what a thread sums at a time.
pub(crate) struct Part {
    pub(crate) columns: Range<usize>,
    /// First row of the first column, and the row after the last of the last one.
    rows: (usize, usize),
}

impl Part {
    /// From a row of a column on to a row of another one.
    pub(crate) const fn new(first: (usize, usize), end: (usize, usize)) -> Self {
        let (last, rows) = match end {
            (column, 0) => (column, usize::MAX),
            (column, row) => (column + 1, row),
        };
        Self {
            columns: first.0..last,
            rows: (first.1, rows),
        }
    }

    /// The rows of one of its columns.
    pub(crate) fn rows(&self, column: usize) -> Range<usize> {
        let first = column == self.columns.start;
        let last = column + 1 == self.columns.end;
        let start = if first { self.rows.0 } else { 0 };
        let end = if last { self.rows.1 } else { usize::MAX };
        start..end
    }
}

/// Additions of a part: as few parts as there are threads if these have little to do, more of them if one that is held
/// up should not hold up all.
pub(crate) fn share(all: usize, threads: usize) -> usize {
    let each = all.div_ceil(threads);
    if threads == 1 {
        return TERMS_TOGETHER;
    }
    let parts = each.div_ceil(ADDITIONS_OF_A_PART).min(PARTS);
    each.div_ceil(parts).min(TERMS_TOGETHER)
}

/// Neighbours of about a share of the cost, all alike: those of few bits do not get the buckets of those of many. Columns
/// are given by rows and cost; one that a part has not enough room for is cut if both pieces are worth it.
pub(crate) fn parts(
    costs: &[(usize, usize)],
    share: usize,
    alike: impl Fn(usize, usize) -> bool,
) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut room = 0;
    for (i, (rows, cost)) in costs.iter().copied().enumerate() {
        let (mut row, mut left) = (0, cost);
        // Rows of the share that is left, a part at a time.
        loop {
            let old = parts
                .last_mut()
                .filter(|part| room > 0 && alike(part.columns.start, i));
            let own = if old.is_some() { room } else { share };
            let cut = own >= ADDITIONS_OF_A_PIECE && left >= own + ADDITIONS_OF_A_PIECE;
            let end = if cut {
                row + own * rows / cost
            } else {
                usize::MAX
            };
            match old {
                // A whole column that does not fit is for the next part.
                Some(_) if !cut && left > own => {
                    room = 0;
                    continue;
                }
                Some(part) => (part.columns.end, part.rows.1) = (i + 1, end),
                None => parts.push(Part {
                    columns: i..i + 1,
                    rows: (row, end),
                }),
            }
            if !cut {
                room = own.saturating_sub(left);
                break;
            }
            (row, left, room) = (end, left - own, 0);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Every row of every column is in one part, alike columns only are together, and no part is much larger than its share.
        #[test]
        fn parts_are_a_partition(
            columns in proptest::collection::vec((1usize..600, 1usize..40, 0u8..2), 1..30),
            threads in 1usize..9,
        ) {
            let costs: Vec<(usize, usize)> = columns.iter().map(|(rows, each, _)| (*rows, rows * each)).collect();
            let all: usize = costs.iter().map(|(_, cost)| cost).sum();
            let share = share(all, threads.min(all / ADDITIONS_OF_A_PIECE).max(1));
            let parts = parts(&costs, share, |i, j| columns[i].2 == columns[j].2);
            let mut covered = vec![0; columns.len()];
            for part in &parts {
                let kinds = columns[part.columns.clone()].iter().map(|(.., kind)| kind);
                prop_assert!(kinds.clone().all(|kind| Some(kind) == kinds.clone().next()));
                let mut cost = 0;
                for column in part.columns.clone() {
                    let rows = part.rows(column);
                    prop_assert_eq!(rows.start, covered[column]);
                    covered[column] = rows.end.min(columns[column].0);
                    cost += (covered[column] - rows.start) * columns[column].1;
                }
                prop_assert!(cost <= share + 2 * ADDITIONS_OF_A_PIECE, "{} of {}", cost, share);
            }
            prop_assert!(covered.iter().zip(&columns).all(|(end, (rows, ..))| end == rows));
        }
    }

    /// Three long columns on two threads: one and a half each.
    #[test]
    fn few_columns_are_shared_evenly() {
        let costs = [(256, 7424); 3];
        let parts = parts(&costs, share(3 * 7424, 2), |_, _| true);
        let rows: Vec<_> = parts
            .iter()
            .map(|part| (part.columns.clone(), part.rows))
            .collect();
        assert_eq!(rows, [(0..2, (0, 128)), (1..3, (128, usize::MAX))]);
    }
}
