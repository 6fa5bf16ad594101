//! Weighted sums of the buckets of windows by lines, see [`crate::hexagons`].

use core::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use ff::{Field as _, WithSmallOrderMulGroup as _};
use zkernel_backend::Curve;

use super::Addends;
use crate::affine::{Adder, Xy};
use crate::buckets::Section;
use crate::eisenstein::{Base, lines};

/// Places of the lines of all windows but the last, and of the last.
type Shapes = [[Vec<Vec<u32>>; 2]; 2];

/// Those that were made: making them takes as long as adding some thousand points. Of a handful of bases, some 30 KB each.
static KNOWN: Mutex<Vec<(Base, Arc<Shapes>)>> = Mutex::new(Vec::new());

/// Those of a base.
pub(super) fn shapes(base: Base) -> Arc<Shapes> {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, shapes)) = known.iter().find(|(own, _)| *own == base) {
        return Arc::clone(shapes);
    }
    let shapes = Arc::new([lines(base.hexagon), lines(base.triangle)]);
    known.push((base, Arc::clone(&shapes)));
    shapes
}

/// Lines of the buckets of windows.
pub(crate) struct Lines<'a> {
    pub(crate) base: Base,
    /// Places of the lines of all windows but the last, and of the last.
    pub(crate) shapes: &'a Shapes,
    /// Which buckets have points.
    pub(crate) filled: &'a [bool],
}

/// Neighbouring lines of a window whose weighted sums are made together.
pub(super) struct Group {
    pub(super) window: usize,
    /// Its first bucket.
    start: usize,
    /// The first of them, which is so many less in weight here than it is in the window.
    pub(super) first: usize,
    /// Which buckets of each.
    places: Range<usize>,
}

/// Most buckets of a line whose sum is made in one go.
const LONGEST: usize = 64;

#[cfg(target_arch = "x86_64")]
const _: () = assert!(LONGEST == crate::trees::LONGEST as usize);

impl Lines<'_> {
    /// Groups of so many lines at most, of which none is long: what is longer is one more line of the same weight in another group.
    pub(super) fn groups(&self, (window, start): (usize, usize), size: usize) -> Vec<Group> {
        // By i, lines are longer by one than by j. The first ones are the longest.
        let [lines, _] = &self.shapes[usize::from(self.base.is_last(window))];
        let starts = (0..lines.first().map_or(0, Vec::len)).step_by(LONGEST);
        let groups = starts.flat_map(|from| {
            let count = lines.iter().take_while(|line| line.len() > from).count();
            (0..count).step_by(size).map(move |first| Group {
                window,
                start,
                first,
                places: from..from + LONGEST,
            })
        });
        groups.collect()
    }

    /// References to the buckets of one window that have points, line by line: `size` lines by i, empty ones among them, then those by j.
    pub(crate) fn references(&self, window: usize, size: usize) -> (Vec<u32>, Vec<u32>) {
        let lines = &self.shapes[usize::from(self.base.is_last(window))];
        debug_assert!(lines.iter().all(|lines| lines.len() <= size));
        let whole = Group {
            window,
            start: 0,
            first: 0,
            places: 0..usize::MAX,
        };
        let room = Vec::with_capacity(2 * self.filled.len());
        self.of_groups(&[whole], size, (room, Vec::new()))
    }

    /// The same of groups, those by i of all first, in room that is empty.
    pub(super) fn of_groups(
        &self,
        groups: &[Group],
        size: usize,
        (mut references, mut counts): (Vec<u32>, Vec<u32>),
    ) -> (Vec<u32>, Vec<u32>) {
        for kind in 0..2 {
            for group in groups {
                let lines = &self.shapes[usize::from(self.base.is_last(group.window))][kind];
                let filled = &self.filled[group.start..][..self.base.places(group.window)];
                let all = counts.len() + size;
                for line in lines.iter().skip(group.first).take(size) {
                    let before = references.len();
                    let [start, end] =
                        [group.places.start, group.places.end].map(|own| own.min(line.len()));
                    let own = line[start..end].iter();
                    let own = own.filter(|place| filled[**place as usize]);
                    references.extend(own.map(|place| group.start as u32 + place));
                    counts.push((references.len() - before) as u32);
                }
                counts.resize(all, 0);
            }
        }
        (references, counts)
    }
}

/// Weighted sums of the lines of windows: those by i, then those by j.
pub(crate) fn weigh<B>(
    adder: &mut Adder<B>,
    lines: &[Xy<B>],
    size: usize,
    windows: usize,
) -> Vec<Xy<B>>
where
    B: ff::PrimeField + pasta_curves::arithmetic::VartimeField,
{
    weigh_with_totals(adder, lines, size, windows).0
}

/// The same of groups of lines, and sums of these as they are.
pub(super) fn weigh_with_totals<B>(
    adder: &mut Adder<B>,
    lines: &[Xy<B>],
    size: usize,
    groups: usize,
) -> (Vec<Xy<B>>, Vec<Xy<B>>)
where
    B: ff::PrimeField + pasta_curves::arithmetic::VartimeField,
{
    let section = Section {
        buckets: lines,
        size,
        shift: 0,
    };
    let mut addends = section.addends(adder, 2 * groups);
    addends.reverse();
    let weighted = adder.horner(2 * groups, &addends);
    // Those of all lines come first in ascending order, whose indices are less by one than their weights.
    let totals = addends.pop().map_or_else(Vec::new, |(_, sums)| sums);
    (weighted, totals)
}

/// Weighted sums as those of their windows.
pub(crate) fn at_windows<C: Curve>(
    sums: &[Xy<C::Base>],
    own: impl ExactSizeIterator<Item = usize>,
    width: u32,
) -> Addends<C> {
    let (by_i, by_j) = sums.split_at(own.len());
    let turned = |point: &Xy<C::Base>| Xy {
        // zeta6 is - omega^2.
        x: point.x * C::Base::ZETA.square(),
        y: -point.y,
    };
    let of_window = |(group, window): (usize, usize)| {
        let shift = window as u32 * width;
        [
            (shift, vec![by_i[group]]),
            (shift, vec![turned(&by_j[group])]),
        ]
    };
    own.enumerate().flat_map(of_window).collect()
}
