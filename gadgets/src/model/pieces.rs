//! Strided views of inputs, of which sums, concatenations, slices and broadcasts are made.

use super::lower::wiring::strides;

/// Output positions along one axis, and what they read: output `first + j step` for `j < len` reads input position
/// `from + j stride` of `axis`, or the same everywhere if there is no axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Along {
    /// First output position.
    pub first: usize,
    /// Number of output positions.
    pub len: usize,
    /// Distance of output positions, at least 1.
    pub step: usize,
    /// Input axis, its first position and the distance of positions.
    pub source: Option<(usize, usize, usize)>,
}

/// A strided view of an input, times an integer. Input axes that no output axis reads are summed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Which of the node's inputs.
    pub input: usize,
    /// Integer factor.
    pub scale: i64,
    /// One entry for each output axis.
    pub axes: Vec<Along>,
}

impl Along {
    /// The whole of an axis of that length, read from that input axis.
    #[must_use]
    pub const fn whole(len: usize, axis: usize) -> Self {
        Self {
            first: 0,
            len,
            step: 1,
            source: Some((axis, 0, 1)),
        }
    }

    /// The whole of an axis of that length, the same everywhere.
    #[must_use]
    pub const fn repeated(len: usize) -> Self {
        Self {
            first: 0,
            len,
            step: 1,
            source: None,
        }
    }
}

impl Piece {
    /// `(output, input)` positions of everything that a piece reads, row-major.
    #[must_use]
    pub fn reads(&self, shape: &[usize], input: &[usize]) -> Vec<(usize, usize)> {
        let (to, from) = (strides(shape), strides(input));
        let mut all = vec![(0, 0)];
        for (along, to) in self.axes.iter().zip(&to) {
            let Along {
                first,
                len,
                step,
                source,
            } = *along;
            let read = |j: usize| source.map_or(0, |(own, start, by)| (start + j * by) * from[own]);
            let step = |j: usize| ((first + j * step) * to, read(j));
            let steps: Vec<(usize, usize)> = (0..len).map(step).collect();
            all = outer_sum(&all, &steps);
        }
        let is_read = |axis: usize| {
            let mut sources = self.axes.iter().filter_map(|along| along.source);
            sources.any(|(own, _, _)| own == axis)
        };
        for axis in (0..input.len()).filter(|axis| !is_read(*axis)) {
            let steps: Vec<(usize, usize)> =
                (0..input[axis]).map(|j| (0, j * from[axis])).collect();
            all = outer_sum(&all, &steps);
        }
        all
    }

    /// Whether it writes no element that another piece writes, seen along one axis: they lie apart, or their steps never meet.
    #[must_use]
    pub fn is_disjoint(&self, other: &Self) -> bool {
        let last = |a: &Along| a.first + a.len.saturating_sub(1) * a.step;
        let step = |a: &Along| if a.len > 1 { a.step } else { 0 };
        let apart = |a: &Along, b: &Along| {
            let common = greatest_divisor(step(a), step(b));
            last(a) < b.first
                || last(b) < a.first
                || common > 1 && !a.first.abs_diff(b.first).is_multiple_of(common)
        };
        let mut axes = self.axes.iter().zip(&other.axes);
        axes.any(|(a, b)| apart(a, b))
    }

    /// All of an input of that shape, broadcast to an output shape from the last axis on.
    #[must_use]
    pub fn broadcast(input: usize, scale: i64, from: &[usize], to: &[usize]) -> Self {
        let ahead = to.len().saturating_sub(from.len());
        let along = |(axis, len): (usize, &usize)| match axis.checked_sub(ahead) {
            Some(own) if from[own] == *len && *len != 1 => Along::whole(*len, own),
            _ => Along::repeated(*len),
        };
        Self {
            input,
            scale,
            axes: to.iter().enumerate().map(along).collect(),
        }
    }
}

/// The greatest common divisor.
const fn greatest_divisor(mut a: usize, mut b: usize) -> usize {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

fn outer_sum(all: &[(usize, usize)], steps: &[(usize, usize)]) -> Vec<(usize, usize)> {
    let sums = |&(o, i): &(usize, usize)| steps.iter().map(move |(a, b)| (o + a, i + b));
    all.iter().flat_map(sums).collect()
}
