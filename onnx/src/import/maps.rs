//! Fixed linear maps as few strided views: resizings, gathers and scatters by constant positions, padding, cumulative sums.
//! They cost no cell; every view is a term of a linear form.

use std::collections::{BTreeMap, BTreeSet};

use zkernel_gadgets::model::{Along, Piece};

use super::parts::Parts;
use super::views::MAX_PIECES;
use crate::model::FloatOp;

/// Most entries of a map that is given one by one.
const MAX_ENTRIES: usize = 1 << 18;
/// Neighbours tried as the second of a run.
const TRIED: usize = 8;

/// What an output axis reads of the input axis of the same number: factors and strided runs, added up.
pub(super) type AxisMap = Vec<(f64, Along)>;

/// `out[to] += factor in[from]`, positions row-major.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) to: usize,
    pub(super) input: usize,
    pub(super) from: usize,
    pub(super) factor: f64,
}

/// Output positions `to + j step` that read `from + j stride`, for `j < len`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    to: usize,
    from: usize,
    len: usize,
    step: usize,
    stride: usize,
}

/// All of an axis, as it is.
pub(super) fn identity(axis: usize, len: usize) -> AxisMap {
    vec![(1.0, Along::whole(len, axis))]
}

/// The map of an axis by its entries `(to, from, factor)`.
pub(super) fn axis_map(axis: usize, entries: &[(usize, usize, f64)]) -> AxisMap {
    let mut by_factor: BTreeMap<u64, BTreeSet<(usize, usize)>> = BTreeMap::new();
    for (to, from, factor) in entries.iter().filter(|entry| entry.2 != 0.0) {
        let pairs = by_factor.entry(factor.to_bits()).or_default();
        pairs.insert((*to, *from));
    }
    let of_factor = |(factor, pairs): (u64, BTreeSet<(usize, usize)>)| {
        let along = move |run: Run| (f64::from_bits(factor), run.along(axis));
        runs(pairs, false).into_iter().map(along)
    };
    by_factor.into_iter().flat_map(of_factor).collect()
}

/// An op by one map for each axis; every axis of the input has one, in order.
pub(super) fn separable(maps: &[AxisMap], constant: f64) -> Result<FloatOp, String> {
    let count = maps
        .iter()
        .try_fold(1usize, |n, map| n.checked_mul(map.len()));
    if count.is_none_or(|count| count > MAX_PIECES) {
        return Err(format!("it makes more than {MAX_PIECES} strided views"));
    }
    let mut all = vec![(1.0, Vec::new())];
    for map in maps {
        let with = |(factor, axes): &(f64, Vec<Along>)| -> Vec<(f64, Vec<Along>)> {
            let next = |(by, along): &(f64, Along)| (factor * by, [&axes[..], &[*along]].concat());
            map.iter().map(next).collect()
        };
        all = all.iter().flat_map(with).collect();
    }
    let piece = |(factor, axes)| {
        let (input, scale) = (0, 1);
        (factor, Piece { input, scale, axes })
    };
    Ok(FloatOp::Affine {
        pieces: all.into_iter().map(piece).collect(),
        constant,
    })
}

/// Runs found greedily, the longest from the first position on; `still` allows some that read one position all along.
fn runs(mut pairs: BTreeSet<(usize, usize)>, still: bool) -> Vec<Run> {
    let mut found = Vec::new();
    while let Some(&(to, from)) = pairs.first() {
        let one = Run {
            to,
            from,
            len: 1,
            step: 1,
            stride: 1,
        };
        let seconds = pairs.iter().skip(1).take(TRIED);
        let moves = |second: usize| second > from || still && second == from;
        let fits = seconds.filter(|second| second.0 > to && moves(second.1));
        let run = fits
            .map(|second| follow(&pairs, (to, from), *second))
            .fold(one, |best, run| if run.len > best.len { run } else { best });
        for j in 0..run.len {
            pairs.remove(&(run.to + j * run.step, run.from + j * run.stride));
        }
        found.push(run);
    }
    found
}

fn follow(pairs: &BTreeSet<(usize, usize)>, first: (usize, usize), second: (usize, usize)) -> Run {
    let (step, stride) = (second.0 - first.0, second.1 - first.1);
    let at = |j: &usize| pairs.contains(&(first.0 + j * step, first.1 + j * stride));
    Run {
        to: first.0,
        from: first.1,
        len: 2 + (2..).take_while(at).count(),
        step,
        stride,
    }
}

impl Run {
    /// As read along an input axis.
    const fn along(self, axis: usize) -> Along {
        Along {
            first: self.to,
            len: self.len,
            step: self.step,
            source: Some((axis, self.from, self.stride)),
        }
    }
}

/// Length, step, and the input axis and stride of a run along an output axis.
type AxisRun = (usize, usize, Option<(usize, usize)>);

/// A box of entries of one factor: first output and input positions by axis, and the runs along output axes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cuboid {
    input: usize,
    factor: u64,
    to: Vec<usize>,
    from: Vec<usize>,
    /// By output axis; `None` where no run is yet.
    along: Vec<Option<AxisRun>>,
}

impl Parts<'_, '_> {
    /// A linear map given by its entries, as a part: views of shape `1 x .. x 1 x shape`, the leading ones reading what no other
    /// axis does.
    pub(super) fn linear_map(
        &mut self,
        inputs: &[usize],
        shape: &[usize],
        entries: &[Entry],
        constant: f64,
    ) -> Result<usize, String> {
        if entries.len() > MAX_ENTRIES {
            return Err(format!(
                "more than {MAX_ENTRIES} values are moved one by one"
            ));
        }
        let shapes: Vec<Vec<usize>> = inputs.iter().map(|id| self.shape(*id)).collect();
        let rank = shapes.iter().map(Vec::len).max().unwrap_or(0);
        let boxes = cuboids(&shapes, shape, entries);
        if boxes.len() > MAX_PIECES {
            return Err(format!(
                "it makes {} strided views, beyond {MAX_PIECES}",
                boxes.len()
            ));
        }
        let pieces = boxes.iter().map(|one| one.piece(rank)).collect();
        let whole = [&vec![1; rank][..], shape].concat();
        let views = self.part(FloatOp::Affine { pieces, constant }, inputs.to_vec(), whole);
        Ok(self.part(FloatOp::Reshape, vec![views], shape.to_vec()))
    }
}

/// Entries joined into boxes, axis by axis from the last.
fn cuboids(inputs: &[Vec<usize>], shape: &[usize], entries: &[Entry]) -> Vec<Cuboid> {
    let mut sums: BTreeMap<(usize, usize, usize), f64> = BTreeMap::new();
    for entry in entries {
        *sums.entry((entry.input, entry.to, entry.from)).or_default() += entry.factor;
    }
    let one = |((input, to, from), factor): ((usize, usize, usize), f64)| Cuboid {
        input,
        factor: factor.to_bits(),
        to: position(to, shape),
        from: position(from, &inputs[input]),
        along: vec![None; shape.len()],
    };
    let kept = sums.into_iter().filter(|(_, factor)| *factor != 0.0);
    let mut boxes: Vec<Cuboid> = kept.map(one).collect();
    for axis in (0..shape.len()).rev() {
        let inputs = inputs.iter().map(Vec::len).max().unwrap_or(0);
        let sources = (0..inputs).map(Some).chain([None]);
        let joined = sources.map(|source| join(&boxes, axis, source));
        boxes = joined.min_by_key(Vec::len).unwrap_or(boxes);
    }
    boxes
}

/// Boxes joined along an output axis that moves along that input axis, or along none.
fn join(boxes: &[Cuboid], axis: usize, source: Option<usize>) -> Vec<Cuboid> {
    let mut groups: BTreeMap<Cuboid, BTreeSet<(usize, usize)>> = BTreeMap::new();
    let mut alone = Vec::new();
    for one in boxes {
        let taken = |own: usize| {
            let mut read = one.along.iter().flatten().filter_map(|along| along.2);
            own >= one.from.len() || read.any(|(taken, _)| taken == own)
        };
        if source.is_some_and(taken) {
            alone.push(one.clone());
            continue;
        }
        let mut key = one.clone();
        let to = std::mem::take(&mut key.to[axis]);
        let from = source.map_or(0, |own| std::mem::take(&mut key.from[own]));
        groups.entry(key).or_default().insert((to, from));
    }
    for (key, pairs) in groups {
        for run in runs(pairs, true) {
            let mut one = key.clone();
            one.to[axis] = run.to;
            if let Some(own) = source {
                one.from[own] = run.from;
            }
            // A run that stands still reads no axis, and a single position leaves its axis to another.
            let moves = source.filter(|_| run.stride > 0);
            if run.len > 1 {
                one.along[axis] = Some((run.len, run.step, moves.map(|own| (own, run.stride))));
            }
            alone.push(one);
        }
    }
    alone
}

impl Cuboid {
    /// The view, after as many output axes of length one as an input has axes at most.
    fn piece(&self, leading: usize) -> (f64, Piece) {
        let read: Vec<usize> = self
            .along
            .iter()
            .flatten()
            .filter_map(|a| a.2)
            .map(|s| s.0)
            .collect();
        let ahead = (0..leading).map(|own| Along {
            source: self
                .from
                .get(own)
                .filter(|_| !read.contains(&own))
                .map(|from| (own, *from, 1)),
            ..Along::repeated(1)
        });
        let behind = self.along.iter().zip(&self.to).map(|(along, first)| {
            let (len, step, source) = along.unwrap_or((1, 1, None));
            Along {
                first: *first,
                len,
                step,
                source: source.map(|(own, stride)| (own, self.from[own], stride)),
            }
        });
        let piece = Piece {
            input: self.input,
            scale: 1,
            axes: ahead.chain(behind).collect(),
        };
        (f64::from_bits(self.factor), piece)
    }
}

/// Index along every axis of a row-major position.
pub(super) fn position(mut flat: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (slot, len) in index.iter_mut().zip(shape).rev() {
        *slot = flat % len.max(&1);
        flat /= len.max(&1);
    }
    index
}

/// The row-major position of an index.
pub(super) fn flat(index: &[usize], shape: &[usize]) -> usize {
    index
        .iter()
        .zip(shape)
        .fold(0, |flat, (i, len)| flat * len + i)
}
