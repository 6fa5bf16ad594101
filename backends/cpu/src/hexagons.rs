//! Sums of points with scalars in digits of both halves, see [`crate::eisenstein`].
//!
//! `sum (i + j zeta6) B_ij` over the buckets of a window is `sum i R_i + zeta6 sum j C_j` with the sums R_i and C_j of lines of buckets: two
//! additions a bucket, and few more for the weights, which are those of a digit in base two.

mod cuts;
mod weights;

use core::ops::Range;

use group::Curve as _;
use zkernel_backend::{Curve, Scalar};

use crate::affine::{Adder, Feed, Source, Xy};
use crate::buckets;
use crate::division::of_places;
use crate::eisenstein::{Base, Codes, Shape};
use crate::images;
use crate::integers::Octet;
use crate::kernels;
use crate::level::Level;
use crate::msm::finished;
use crate::parallel;
use crate::parts::Part;

use self::cuts::Cut;
use self::weights::{Group, shapes, weigh_with_totals};
pub(crate) use self::weights::{Lines, at_windows, weigh};

/// Terms of windows that are sorted and added together.
const TERMS_TOGETHER: usize = 1 << 16;

/// The same of those before a window that is shared, if there are so many: fewer would be waves that are not full.
const LEAST_TOGETHER: usize = 1 << 13;

/// Points with binary logarithms of their weights.
pub(crate) type Addends<C> = Vec<(
    u32,
    Vec<Xy<<C as pasta_curves::arithmetic::CurveAffine>::Base>>,
)>;

/// Scalars that are to be written in digits.
pub(crate) enum Scalars<'a, F> {
    Fields(&'a [F]),
    Octets(Vec<Octet>),
}

impl<F: zkernel_backend::Field> Scalars<'_, F> {
    /// Magnitudes of a chunk of those that are recoded together.
    fn chunk<'o>(&self, level: Level, chunk: usize, room: &'o mut [Octet]) -> &'o mut [Octet] {
        let start = chunk * Codes::TOGETHER;
        match self {
            Self::Fields(values) => {
                let own = &values[start..values.len().min(start + Codes::TOGETHER)];
                let room = &mut room[..own.len().div_ceil(8)];
                kernels::octets(level, own, room);
                room
            }
            Self::Octets(octets) => {
                let own = octets[start / 8..].iter().take(Codes::TOGETHER / 8);
                let room = &mut room[..own.len()];
                room.iter_mut().zip(own).for_each(|(to, own)| *to = *own);
                room
            }
        }
    }
}

/// Addends of all parts: columns are windows and rows are points.
pub(crate) fn sum<C: Curve>(
    level: Level,
    points: Source<'_, C::Base>,
    (scalars, base): (&Scalars<'_, Scalar<C>>, Base),
    parts: &[Part],
) -> Vec<Addends<C>> {
    let (count, mut codes) = (points.len(), Codes::new(base, points.len()));
    let mut images = Adder::with(level, |adder| adder.take_room(3 * count));
    if images.len() < 3 * count {
        images.resize(3 * count, Xy::IDENTITY);
    }
    let of_images = images[..3 * count].chunks_mut(3 * Codes::TOGETHER);
    let chunks = codes.chunks().zip(of_images).enumerate();
    let octets = || vec![Octet::default(); Codes::TOGETHER / 8];
    parallel::each_with(chunks, octets, |octets, (chunk, (codes, images))| {
        let octets = scalars.chunk(level, chunk, octets);
        kernels::recode::<Scalar<C>, _>(level, &base, octets, (codes, images));
        let start = chunk * Codes::TOGETHER;
        let own = start..start + images.len() / 3;
        images::make(level, points, own, images);
    });
    let alone = parts.len() == 1;
    let cuts = cuts::<C>(level, parts, count);
    let windows: Vec<Windows> = parts
        .iter()
        .enumerate()
        .map(|(number, own)| {
            let cut = cuts.get(number / 2).and_then(Option::as_ref);
            Windows::new(&codes, count, (own, cut.map(|cut| (cut, number % 2))))
        })
        .collect();
    let addends = parallel::map(windows.into_iter(), |windows| {
        let images = &images[..3 * count];
        let addends = Adder::with(level, |adder| part::<C>(adder, images, windows));
        if alone { addends } else { summed::<C>(addends) }
    });
    codes.give();
    Adder::with(level, |adder| adder.give_room(images));
    addends
}

/// Windows that pairs of parts share. Nothing is told of them where all terms are sorted before any are added.
fn cuts<C: Curve>(level: Level, parts: &[Part], points: usize) -> Vec<Option<Cut>> {
    if !level.adds_meanwhile::<C::Base>() {
        return Vec::new();
    }
    let pairs = parts.as_chunks::<2>().0.iter();
    pairs.map(|[a, b]| Cut::between([a, b], points)).collect()
}

/// The sum of the addends of a part, with the least of their weights: most of its doublings are made beside those of other parts.
fn summed<C: Curve>(mut addends: Addends<C>) -> Addends<C> {
    let least = addends.iter().map(|(shift, _)| *shift).min().unwrap_or(0);
    addends.iter_mut().for_each(|(shift, _)| *shift -= least);
    let sum: C = finished::<C>(vec![addends]).to_affine();
    vec![(least, vec![Xy::new(&sum)])]
}

/// Addends of some windows, of the first and the last perhaps only some points.
fn part<C: Curve>(
    adder: &mut Adder<C::Base>,
    images: &[Xy<C::Base>],
    windows: Windows<'_>,
) -> Addends<C> {
    let base = windows.codes.base();
    let places = windows.most_places();
    let room = adder.take_room(places);
    let (buckets, windows) = adder.parts(Source::Points(images), windows, (places, room));
    let filled = windows.filled;
    let shapes = shapes(base);
    let lines = Lines {
        base,
        shapes: &shapes,
        filled: &filled,
    };
    let size = base.hexagon.most() as usize;
    let (mut groups, mut start) = (Vec::new(), 0);
    for (window, _) in &windows.order {
        groups.extend(lines.groups((*window, start), size));
        start += base.places(*window);
    }
    // Another part may have all of its points.
    if groups.is_empty() {
        adder.give_room(buckets);
        return Vec::new();
    }
    let room = 2 * filled.len();
    let room = (
        adder.take_words(room),
        adder.take_words(2 * groups.len() * size),
    );
    let (references, counts) = lines.of_groups(&groups, size, room);
    let sums = buckets::sum(adder, Source::Points(&buckets), references, counts);
    let (weighted, totals) = weigh_with_totals(adder, &sums, size, groups.len());
    adder.give_room(sums);
    adder.give_room(buckets);
    of_groups::<C>(base, &groups, &weighted, &totals)
}

/// Addends of groups of lines: their weighted sums, and the sums as they are as often as the first of them counts more.
fn of_groups<C: Curve>(
    base: Base,
    groups: &[Group],
    weighted: &[Xy<C::Base>],
    totals: &[Xy<C::Base>],
) -> Addends<C> {
    let windows = || groups.iter().map(|group| group.window);
    let mut addends = at_windows::<C>(weighted, windows(), base.width());
    let totals = at_windows::<C>(totals, windows(), base.width());
    for (group, totals) in groups.iter().zip(totals.chunks(2)) {
        let bits = (0..usize::BITS).filter(|bit| group.first >> bit & 1 != 0);
        for bit in bits {
            let own = totals.iter().cloned();
            addends.extend(own.map(|(shift, points)| (shift + bit, points)));
        }
    }
    addends
}

/// Windows of a part, some at a time.
struct Windows<'a> {
    codes: &'a Codes,
    /// Windows and their points.
    order: Vec<(usize, Range<usize>)>,
    /// One that comes after these, if it is not yet among them, and on which side of its cut.
    shared: Option<(&'a Cut, usize)>,
    /// The last ones of them all.
    own: Range<usize>,
    /// Which buckets so far have points.
    filled: Vec<bool>,
}

impl<'a> Windows<'a> {
    /// Of a part, all of whose points but those of a cut are told.
    fn new(
        codes: &'a Codes,
        points: usize,
        (part, shared): (&Part, Option<(&'a Cut, usize)>),
    ) -> Self {
        let is_whole = |window: &usize| shared.is_none_or(|(cut, _)| cut.window != *window);
        let whole = part.columns.clone().filter(is_whole);
        let of_window = |window| {
            let rows = part.rows(window);
            (window, rows.start..rows.end.min(points))
        };
        let mut own = Self {
            codes,
            order: whole.map(of_window).collect(),
            shared,
            own: 0..0,
            filled: Vec::new(),
        };
        own.filled.reserve(own.most_places());
        if let Some((cut, side)) = shared {
            let of_places = |(window, _): &(usize, _)| of_places(codes.base(), *window);
            let after = own.order.iter().map(of_places).sum();
            cut.expect(side, terms(&own.order), after);
        }
        own
    }

    /// Places of buckets of all that there may be.
    fn most_places(&self) -> usize {
        let shared = self.shared.map(|(cut, _)| cut.window);
        let windows = self.order.iter().map(|(window, _)| *window).chain(shared);
        windows.map(|window| self.codes.base().places(window)).sum()
    }

    /// Tells how far this part is, and gets its points of the shared window if nothing else is left.
    fn settle(&mut self, (cut, side): (&'a Cut, usize)) {
        let (done, left) = self.order.split_at(self.own.end);
        if let Some(rows) = cut.settle(side, (terms(done), terms(left))) {
            if !rows.is_empty() {
                self.order.push((cut.window, rows));
            }
            self.shared = None;
        }
    }

    /// Calls with the buckets of every window, and with its terms.
    fn each<'b>(
        &self,
        mut buckets: &'b mut [u32],
        mut work: impl FnMut(&'b mut [u32], &Codes, (usize, Range<usize>)),
    ) {
        for (window, range) in &self.order[self.own.clone()] {
            let (own, others) = buckets.split_at_mut(self.codes.base().places(*window));
            work(own, self.codes, (*window, range.clone()));
            buckets = others;
        }
    }
}

/// Terms of windows.
fn terms(own: &[(usize, Range<usize>)]) -> usize {
    own.iter().map(|(_, rows)| rows.len()).sum()
}

impl Feed for Windows<'_> {
    fn count(&mut self, counts: &mut Vec<u32>) -> bool {
        if let Some(shared) = self.shared {
            self.settle(shared);
        }
        let (start, base) = (self.own.end, self.codes.base());
        let (mut end, mut terms, mut places) = (start, 0, 0);
        // Fewer and fewer before what is shared, so that it is known how far a part is.
        let most = match self.shared {
            Some(_) => (self.order.len() - start).div_ceil(2),
            None => self.order.len(),
        };
        for (number, (window, range)) in self.order.iter().skip(start).enumerate() {
            let enough = number >= most && terms >= LEAST_TOGETHER;
            if enough || terms >= TERMS_TOGETHER {
                break;
            }
            terms += range.len();
            places += base.places(*window);
            end += 1;
        }
        self.own = start..end;
        counts.clear();
        counts.resize(places, 0);
        self.each(counts, |own, codes, (window, range)| {
            codes.of_window(window, &range).for_each(|(place, _)| {
                // Beyond the last place for no digit.
                if let Some(count) = own.get_mut(place) {
                    *count += 1;
                }
            });
        });
        self.filled.extend(counts.iter().map(|count| *count != 0));
        end > start
    }

    fn place<const STEP: u32>(&self, (slots, references): (&mut Vec<u32>, &mut [u32])) {
        self.each(slots, |own, codes, (window, range)| {
            let terms = codes.of_window(window, &range);
            terms.for_each(|(place, reference)| {
                if let Some(slot) = own.get_mut(place) {
                    references[*slot as usize] = reference;
                    *slot += STEP;
                }
            });
        });
    }
}

#[cfg(test)]
mod tests {
    use pasta_curves::EqAffine;

    use super::*;
    use crate::classes::tests::{points, scalars, wanted};
    use crate::integers::Integers;

    /// Of windows whose last has fewer lines than others, more of them, and long ones.
    #[test]
    fn parts_of_windows_are_put_together() {
        for (width, low) in [(5, 25), (3, 41), (6, 20)] {
            sums_are_those_of_logarithms(Base::new(width, low));
        }
    }

    /// At all levels, with windows cut by points as for several threads, of scalars as they are and of magnitudes. Of equal ones a bucket gets
    /// more points than a piece has.
    fn sums_are_those_of_logarithms(base: Base) {
        let count = 2 * Codes::TOGETHER + 1213;
        let points = points(count);
        let end = (base.count(), 0);
        let last = (base.count() - 1, 1);
        let cuts = [
            vec![(0, 0), end],
            vec![(0, 0), (12, 0), end],
            // A part without windows, as one is left whose only one went to the other.
            vec![(0, 0), end, end],
            vec![(0, 0), (7, 1500), (7, 2045), (7, 2046), last, end],
        ];
        for level in Level::of_this_machine() {
            let points = Xy::all(level, &points);
            for scalars in [true, false].map(|mixed| scalars(count, mixed)) {
                let octets = Integers::new(level, &scalars).octets();
                let all = [Scalars::Fields(&scalars), Scalars::Octets(octets)];
                for (cuts, own) in cuts
                    .iter()
                    .flat_map(|cuts| all.iter().map(move |o| (cuts, o)))
                {
                    let parts = cuts.windows(2).map(|ends| Part::new(ends[0], ends[1]));
                    let parts: Vec<_> = parts.collect();
                    let source = Source::Points(&points);
                    let sum = sum::<EqAffine>(level, source, (own, base), &parts);
                    let sum = finished::<EqAffine>(sum).to_affine();
                    assert_eq!(sum, wanted(&scalars), "{level:?} {base:?} {cuts:?}");
                }
            }
        }
    }
}
