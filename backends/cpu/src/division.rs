//! How a sum of many points is divided into windows and among threads, for the fewest additions one after the other.

use core::ops::Range;

use crate::digits::{Windows, windows};
use crate::eisenstein::Base;
use crate::halves::HALF_BITS;
use crate::parts::Part;

/// Terms of windows that are worked on together.
const TERMS_TOGETHER: usize = 1 << 14;

/// Buckets of windows that are worked on together: they stay in the second-level cache.
const BUCKETS_TOGETHER: usize = 1 << 12;

/// Widest window.
const WIDEST: u32 = 17;

/// Additions for which another thread is worth waking.
const ADDITIONS_OF_A_THREAD: usize = 1 << 11;

/// What every window costs besides the additions of its points and buckets, in additions.
const OF_A_WINDOW: usize = 16;

/// What a bucket costs, in halves of an addition: about one and a half with its parts of the last sums, and twice as much
/// where the points fill the caches.
const OF_A_BUCKET: [usize; 2] = [3, 6];

/// What a place of digits of both halves costs, in halves of an addition: more than a bucket, for it is in lines of three directions. With three
/// as for buckets, 2^10 and 2^12 points had windows that were a twentieth slower.
const OF_A_PLACE: usize = 5;

/// Points that fill the caches.
const FAR: usize = 1 << 16;

/// Points from which buckets have classes in place of images of the points.
pub(crate) const MANY: usize = 1 << 17;

/// What a bucket of three classes costs, in additions: two put the classes together and two are of its lines; the first points of classes
/// save about as much as it takes to write their sums and to gather them again.
const OF_CLASSES: f64 = 4.0;

/// Points that all windows read one after the other before they go on to the next ones: of twice as many, hardly one is still in the third
/// level of the cache when the next window reads it.
const POINTS_OF_A_ROUND: usize = 1 << 19;

/// What such a bucket costs in every round but the first, in additions: its classes are written and put together again, but its lines are not
/// summed. More where buckets are many; less than a share of the points with buckets of its own in any case.
const OF_A_ROUND: f64 = 3.0;

/// What a bit of the scalars costs in the end, a doubling and about an addition one by one, in additions.
const OF_A_BIT: usize = 5;

/// What scalars are written in.
#[derive(Clone, Copy)]
pub(crate) enum Digits {
    /// Signed digits.
    Signed(Windows),
    /// Digits of both halves at once.
    Hexagonal(Base),
}

impl Digits {
    /// Windows of a scalar.
    pub(crate) const fn count(&self) -> usize {
        match self {
            Self::Signed(windows) => windows.count(),
            Self::Hexagonal(base) => base.count(),
        }
    }
}

/// Windows of a sum, and its parts.
#[derive(Clone, Copy)]
pub(crate) struct Division {
    pub(crate) digits: Digits,
    /// Ranges of about equally many windows, or of equally many terms.
    ranges: usize,
    /// Points of a part, whole octets.
    share: usize,
}

/// What the buckets of a window of digits of both halves cost, in additions.
pub(crate) fn of_places(base: Base, window: usize) -> usize {
    base.places(window) * OF_A_PLACE / 2
}

/// A way to divide, and what it costs.
#[derive(Clone, Copy)]
struct Way {
    bits: u32,
    width: u32,
    base: Option<Base>,
    shares: usize,
    cost: usize,
}

impl Division {
    /// The division of a sum of so many points on so many threads at most, given the bits of its scalars and those of a window in which each would be
    /// one digit.
    pub(crate) fn best(points: usize, bits: (u32, u32), threads: usize) -> Self {
        let way = Way::best(points, bits, 1);
        let threads = threads.min(way.cost / ADDITIONS_OF_A_THREAD).max(1);
        let way = Way::best(points, bits, threads);
        let digits = match way.base {
            Some(base) => Digits::Hexagonal(base),
            None => Digits::Signed(Windows::new(way.bits, way.width)),
        };
        let count = digits.count() * way.shares;
        let ranges = match digits {
            Digits::Signed(windows) => {
                let at_once = (TERMS_TOGETHER / points).max(BUCKETS_TOGETHER / windows.buckets());
                digits.count().div_ceil(together(count, at_once, threads))
            }
            // A part has fixed costs, some hundred microseconds: no more of them than threads.
            Digits::Hexagonal(_) => threads,
        };
        Self {
            digits,
            ranges,
            share: points.div_ceil(way.shares).next_multiple_of(8),
        }
    }

    /// Parts of digits of both halves, of about as many additions each: columns are windows, rows are points. A window is cut only
    /// where both pieces have more additions than its buckets, which are made twice then; where, [`crate::hexagons`] may tell later.
    pub(crate) fn slices(&self, base: Base, points: usize) -> Vec<Part> {
        let of_buckets = |window| of_places(base, window);
        let costs: Vec<usize> = (0..base.count())
            .map(|own| points + of_buckets(own))
            .collect();
        let all: usize = costs.iter().sum();
        let end = |slice: usize| {
            let mut left = slice * all / self.ranges;
            for (window, cost) in costs.iter().enumerate() {
                if left < *cost {
                    return match left.min(cost - left) > of_buckets(window) {
                        true => (window, left * points / cost),
                        false => (window + usize::from(2 * left > *cost), 0),
                    };
                }
                left -= cost;
            }
            (base.count(), 0)
        };
        let ends: Vec<_> = (0..=self.ranges).map(end).collect();
        let slices = ends.windows(2).filter(|ends| ends[0] < ends[1]);
        slices.map(|ends| Part::new(ends[0], ends[1])).collect()
    }

    /// Windows and points of every part of signed digits.
    pub(crate) fn parts(&self, points: usize) -> Vec<(Range<usize>, Range<usize>)> {
        let (count, ranges) = (self.digits.count(), self.ranges);
        let windows = move |own| own * count / ranges..(own + 1) * count / ranges;
        let shares = (0..points).step_by(self.share);
        let shares = shares.map(|start| start..points.min(start + self.share));
        shares
            .flat_map(|share| (0..ranges).map(move |own| (windows(own), share.clone())))
            .collect()
    }
}

/// How a sum of many points with scalars of full size is divided.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wide {
    pub(crate) base: Base,
    /// Shares of the points that have buckets of their own.
    pub(crate) shares: usize,
    /// How many times all windows go over points of theirs.
    pub(crate) rounds: usize,
}

/// The best division of so many points.
pub(crate) fn wide(points: usize, threads: usize) -> Wide {
    let cost = |way: &Wide| {
        let (base, shares) = (way.base, way.shares);
        let of_points = points.div_ceil(shares) as f64;
        let of_place = OF_CLASSES + OF_A_ROUND * (way.rounds - 1) as f64;
        let window = |window| of_points + of_place * base.places(window) as f64;
        let last = base.count() - 1;
        // Parts are a window of a share, the largest first: at the end others wait for half of one, unless all have as many.
        let all = shares as f64 * (last as f64 * window(0) + window(last));
        let even = (shares * base.count()).is_multiple_of(threads);
        let waiting = if even { 0.0 } else { window(0) / 2.0 };
        (all / threads as f64 + waiting)
            .max(window(0))
            .max(window(last))
    };
    let way = |base, shares| Wide {
        base,
        shares,
        rounds: (points / shares / POINTS_OF_A_ROUND).max(1),
    };
    let shares = 1..=threads.min(points / MANY).max(1);
    let ways = Base::wide().flat_map(|base| shares.clone().map(move |shares| way(base, shares)));
    let best = ways.min_by(|a, b| cost(a).total_cmp(&cost(b)));
    best.unwrap_or_else(|| way(Base::new(8, 15), 1))
}

impl Way {
    /// The cheapest way for so many threads, all of which work.
    fn best(points: usize, (bits, alone): (u32, u32), threads: usize) -> Self {
        let widths = (2..=WIDEST).map(|width| (bits, width));
        // Scalars that are digits themselves.
        let single = (alone < WIDEST).then_some((alone, alone + 1));
        let shared = |(bits, width)| {
            (1..=threads).map(move |shares| Self::new(points, (bits, width), shares, threads))
        };
        let ways = widths.chain(single).flat_map(shared);
        let first = Self::new(points, (bits, 2), 1, threads);
        let cheaper = |best: Self, way: Self| if way.cost < best.cost { way } else { best };
        let hexagonal = ways.clone().flat_map(|way| way.hexagonal(points, threads));
        ways.chain(hexagonal).fold(first, cheaper)
    }

    fn new(points: usize, (bits, width): (u32, u32), shares: usize, threads: usize) -> Self {
        let buckets = 1 << width.min(bits + 1).saturating_sub(1);
        let of_buckets = buckets * OF_A_BUCKET[usize::from(points >= FAR)] / 2;
        let rounds = (windows(bits, width) * shares).div_ceil(threads);
        let each = points.div_ceil(shares) + of_buckets + OF_A_WINDOW;
        Self {
            bits,
            width,
            base: None,
            shares,
            cost: rounds * each + OF_A_BIT * bits as usize,
        }
    }

    /// The same with digits of both halves of scalars that are not much shorter than those, shared out evenly: the buckets of windows that
    /// are cut are made twice. Not of so many points that three images of each no longer stay in the caches.
    fn hexagonal(self, points: usize, threads: usize) -> impl Iterator<Item = Self> {
        let wide = self.bits > HALF_BITS + 8 && points < FAR && self.shares == 1;
        let bases =
            (wide && Base::WIDTHS.contains(&self.width)).then(|| Base::of_width(self.width));
        bases.into_iter().flatten().map(move |base| {
            let (last, count) = (base.count() - 1, base.count());
            let low = (last + threads - 1) * of_places(base, 0);
            let all = count * (points + OF_A_WINDOW) + low + of_places(base, last);
            Self {
                base: Some(base),
                cost: all.div_ceil(threads) + OF_A_BIT * HALF_BITS as usize,
                ..self
            }
        })
    }
}

/// Additions of the sum of so many points on one thread, with scalars of so many bits.
pub(crate) fn additions(points: usize, bits: u32) -> usize {
    let own = (2..=WIDEST).map(|width| Way::new(points, (bits, width), 1, 1));
    let hexagonal = own.clone().flat_map(|way| way.hexagonal(points, 1));
    own.chain(hexagonal).map(|way| way.cost).min().unwrap_or(0)
}

/// Of `count` items, as many together as may be and let all threads end at the same time.
fn together(count: usize, most: usize, threads: usize) -> usize {
    let rounds = count.div_ceil(threads);
    let even = |own: &usize| count.div_ceil(*own).div_ceil(threads) * own <= rounds;
    let most = most.clamp(1, rounds);
    (1..=most).rev().find(even).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every pair of a window and a point is in one part.
    #[test]
    fn parts_cover_all_once() {
        for points in [25, 33, 100, 1000, 5000, 1 << 14] {
            for bits in [1, 8, 16, 130, 254] {
                for threads in [1, 2, 3, 16, 64] {
                    let division = Division::best(points, (bits, bits), threads);
                    let mut seen = vec![0u8; division.digits.count() * points];
                    let mut see = |window: usize, own: Range<usize>| {
                        seen[window * points..][own]
                            .iter_mut()
                            .for_each(|times| *times += 1);
                    };
                    match division.digits {
                        Digits::Signed(_) => {
                            for (windows, share) in division.parts(points) {
                                windows.for_each(|window| see(window, share.clone()));
                            }
                        }
                        Digits::Hexagonal(base) => {
                            for part in division.slices(base, points) {
                                for window in part.columns.clone() {
                                    let own = part.rows(window);
                                    see(window, own.start..own.end.min(points));
                                }
                            }
                        }
                    }
                    assert!(
                        seen.iter().all(|times| *times == 1),
                        "{points} {bits} {threads}"
                    );
                }
            }
        }
    }

    /// Threads have about as much to do, though a window is cut for it; where buckets cost as much as points, none is.
    #[test]
    fn windows_are_cut_where_it_pays() {
        for (points, threads, cut) in [(1 << 14, 2, true), (65_535, 5, true), (33, 2, false)] {
            let division = Division::best(points, (254, 254), threads);
            let Digits::Hexagonal(base) = division.digits else {
                panic!("{points} points have digits of both halves");
            };
            let slices = division.slices(base, points);
            let cost = |part: &Part| -> usize {
                let of_window = |window| {
                    let rows = part.rows(window);
                    rows.end.min(points) - rows.start + of_places(base, window)
                };
                part.columns.clone().map(of_window).sum()
            };
            let costs: Vec<usize> = slices.iter().map(cost).collect();
            let inside = slices
                .iter()
                .any(|part| part.rows(part.columns.start).start > 0);
            assert_eq!(inside, cut, "{points} {threads}");
            let (least, most) = (costs.iter().min(), costs.iter().max());
            let apart = most.unwrap_or(&0) - least.unwrap_or(&0);
            assert!(
                slices.len() == 1 || apart < 2 * (points + of_places(base, 0)),
                "{costs:?}"
            );
            if cut {
                assert_eq!(slices.len(), threads);
                assert!(apart <= most.unwrap_or(&0) / 16, "{costs:?}");
            }
        }
    }

    /// Where rounds are many, buckets are few.
    #[test]
    fn bases_of_many_points() {
        let own = |log_n: u32, threads| {
            let way = wide(1 << log_n, threads);
            (way.base.width(), way.shares, way.rounds)
        };
        assert_eq!(own(17, 1), (7, 1, 1));
        assert_eq!(own(18, 1), (8, 1, 1));
        assert_eq!(own(20, 1), (8, 1, 2));
        assert_eq!(own(20, 2), (8, 1, 2));
        assert_eq!(own(22, 1), (8, 1, 8));
    }

    #[test]
    fn items_together_leave_no_thread_waiting() {
        assert_eq!(together(20, 4, 2), 2);
        assert_eq!(together(20, 4, 1), 4);
        assert_eq!(together(10, 2, 2), 1);
        assert_eq!(together(1, 8, 2), 1);
        assert_eq!(together(7, 100, 3), 3);
    }
}
