//! Commitments to small integers plane by plane: signed sums of neighbouring bases, made beforehand, in place of bases.
//!
//! An integer of p bits, `v = u - 2^(p-1)` or `v = u`, is told by the bits of u. With signs `s_j = 2 u_j - 1` and halves
//! `H = P / 2` of the bases, `sum_j 2^j s_j H = v P + H`, or `v P - (2^p - 1) H` if v is not negative. Bit j of the rows of
//! a group of b bases is one of `2^b` signed sums of their halves, so n rows of p bits take `p n / b` additions and p - 1 doublings,
//! and no buckets.

use core::ops::Range;

use zkernel_backend::{Curve, Field, Scalar};
use zkernel_verifier::curve::Point;

use crate::affine::{Adder, Source, Xy};
use crate::bases::{Bases, Table};
use crate::buckets::{self, Terms, reference};
use crate::commit::{Body, Scalars};
use crate::groups::{Groups, Neighbours};
use crate::kernels;
use crate::level::Level;

/// Groups whose sums are added up for all columns before those of the next: they stay in the second-level cache.
const GROUPS_TOGETHER: usize = Neighbours::MOST;

/// What a plane costs at the end, a doubling and an addition of all columns, in additions.
const OF_A_PLANE: usize = 150;

/// Digits of a scalar of full size that are not zero.
const DIGITS_OF_A_SCALAR: usize = 85;

/// Which integers a column holds: `0..2^bits`, or `-2^bits..2^bits`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    bits: u32,
    signed: bool,
}

impl Span {
    /// The narrowest one of some integers of at most 62 bits, and how many of them are not zero.
    pub(crate) fn of(values: &[i64]) -> (Self, usize) {
        let (mut magnitudes, mut all, mut used) = (0, 0, 0);
        for value in values {
            magnitudes |= value ^ value >> 63;
            all |= value;
            used += usize::from(*value != 0);
        }
        let bits = i64::BITS - magnitudes.leading_zeros();
        let signed = all < 0;
        (Self { bits, signed }, used)
    }

    /// Bits of the magnitudes.
    pub(crate) const fn bits(self) -> u32 {
        self.bits
    }

    /// Planes of a column.
    pub(crate) const fn planes(self) -> usize {
        self.bits as usize + self.signed as usize
    }

    /// The bits of an integer.
    #[inline(always)]
    const fn code(self, value: i64) -> u64 {
        let offset = if self.signed { 1 << self.bits } else { 0 };
        value.wrapping_add(offset).cast_unsigned()
    }

    /// Planes to which the halves of all bases of a column's groups are added, perhaps [`NEGATED`].
    fn corrections(self) -> impl Iterator<Item = (usize, bool)> {
        let low = (self.planes() > 0).then_some((0, true));
        let high = (self.planes() > 0 && !self.signed).then_some((self.planes(), false));
        low.into_iter().chain(high)
    }

    /// Additions of a column on such groups, beside those of scalars of full size and of one of so many columns of the planes.
    pub(crate) fn additions(
        self,
        groups: &Groups,
        rows: usize,
        rest: usize,
        columns: usize,
    ) -> usize {
        let own = self.planes() * rows.div_ceil(groups.size);
        own + rest * DIGITS_OF_A_SCALAR + self.planes() * OF_A_PLANE / columns.max(1)
    }
}

/// Some rows of a column that is summed plane by plane.
pub(crate) struct Column<'a, F> {
    scalars: &'a Scalars<'a, F>,
    span: Span,
    rows: Range<usize>,
    /// Integers up to the last of the rows.
    values: &'a [i64],
    /// Groups of the rows.
    groups: Range<usize>,
}

impl<'a, F: Field> Column<'a, F> {
    /// Nothing if the column is not one of those.
    pub(crate) fn new(
        scalars: &'a Scalars<'a, F>,
        rows: Range<usize>,
        groups: &Groups,
    ) -> Option<Self> {
        let (Some(span), Body::Small(values)) = (scalars.span, &scalars.body) else {
            return None;
        };
        let end = rows.end.min(values.len());
        Some(Self {
            scalars,
            span,
            groups: groups.of(&(rows.start..end)),
            values: &values[..end],
            rows,
        })
    }

    /// Planes that anything is added to, of bases with multiples of so many bits.
    fn planes(&self, width: u32) -> usize {
        let own = self.span.corrections().map(|(plane, _)| plane + 1);
        let rest = self.scalars.rest_len() != 0;
        let rest = rest.then_some(width as usize);
        own.chain(rest).fold(self.span.planes(), usize::max)
    }

    /// Visits planes and references of what the groups' sums lack: their halves, and scalars of full size.
    fn each_other(
        &self,
        groups: &Groups,
        (bases, width): (usize, u32),
        mut visit: impl FnMut(usize, u32),
    ) {
        let own = &self.groups;
        let corrections = self.span.corrections();
        for (plane, negative) in corrections.filter(|_| !own.is_empty()) {
            visit(plane, reference(groups.total(own.end), negative));
            if own.start != 0 {
                visit(plane, reference(groups.total(own.start), !negative));
            }
        }
        self.scalars.each_of_rest(&self.rows, |i, magnitude| {
            magnitude.each_bit(|position, negative| {
                let (window, plane) = (position / width, position % width);
                let base = window as usize * bases + i;
                visit(plane as usize, reference(base, negative));
            });
        });
    }
}

/// `sum scalars * bases` of several columns.
pub(crate) fn sum<C: Curve>(
    bases: &Bases<C>,
    (table, groups): (&Table<C>, &Groups),
    columns: &[Column<'_, Scalar<C>>],
) -> Vec<Point<C>> {
    let planes = columns.iter().map(|column| column.planes(table.width));
    let mut work = Work::new(columns.len(), planes.max().unwrap_or(0));
    let first = columns.iter().map(|column| column.groups.start).min();
    let end = columns.iter().map(|column| column.groups.end).max();
    for start in (first.unwrap_or(0)..end.unwrap_or(0)).step_by(GROUPS_TOGETHER) {
        for column in columns {
            let (own, end) = (&column.groups, start + GROUPS_TOGETHER);
            let own = own.start.max(start)..own.end.min(end);
            work.push((bases.level, groups), column, own);
        }
    }
    let mut terms = Terms::new(work.each, 0);
    for (c, column) in columns.iter().enumerate() {
        column.each_other(groups, (bases.len(), table.width), |plane, reference| {
            terms.push(c * work.planes + plane, reference);
        });
    }
    work.push_terms(terms);
    Adder::with(bases.level, |adder| work.sum::<C>(adder, &table.points))
}

/// References by group, column and plane, and how many there are of each.
struct Work {
    planes: usize,
    /// Planes of all columns.
    each: usize,
    references: Vec<u32>,
    counts: Vec<u32>,
    /// Those that are worked on.
    codes: Vec<u64>,
}

impl Work {
    const fn new(columns: usize, planes: usize) -> Self {
        Self {
            planes,
            each: planes * columns,
            references: Vec::new(),
            counts: Vec::new(),
            codes: Vec::new(),
        }
    }

    /// Adds the sums of some neighbouring groups of a column.
    fn push<F: Field>(
        &mut self,
        (level, groups): (Level, &Groups),
        column: &Column<'_, F>,
        own: Range<usize>,
    ) {
        let (span, count) = (column.span, own.len());
        let planes = if count == 0 { 0 } else { span.planes() };
        let start = self.references.len();
        self.references.resize(start + planes * count, 0);
        if planes != 0 {
            self.codes(groups, column, &own);
        }
        let references = &mut self.references[start..];
        let neighbours = groups.neighbours(&own);
        let bytes = references.chunks_mut(8 * count.max(1));
        for (position, references) in (0..).step_by(8).zip(bytes) {
            kernels::references::<F>(level, &neighbours, &self.codes, position, references);
        }
        let own = core::iter::repeat_n(count as u32, planes);
        self.counts.extend(own);
        let none = core::iter::repeat_n(0, self.planes - planes);
        self.counts.extend(none);
    }

    /// The bits of some groups' rows, as words: those of zero where there is no value.
    fn codes<F>(&mut self, groups: &Groups, column: &Column<'_, F>, own: &Range<usize>) {
        let rows = own.start * groups.size..own.end * groups.size;
        let known = rows.start.max(column.rows.start)..rows.end.min(column.values.len());
        let (span, zero) = (column.span, column.span.code(0));
        self.codes.clear();
        self.codes.resize(known.start - rows.start, zero);
        let values = column.values[known].iter();
        self.codes.extend(values.map(|value| span.code(*value)));
        self.codes.resize(rows.len(), zero);
    }

    fn push_terms(&mut self, terms: Terms) {
        let (references, counts) = terms.into_sorted();
        self.references.extend(references);
        self.counts.extend(counts);
    }

    /// The weighted sums of the planes of every column.
    fn sum<C: Curve>(self, adder: &mut Adder<C::Base>, source: &[Xy<C::Base>]) -> Vec<Point<C>> {
        let used: Vec<bool> = self.counts.iter().map(|count| *count != 0).collect();
        let sums = buckets::sum(adder, Source::Points(source), self.references, self.counts);
        let (mut references, mut counts) = (Vec::new(), Vec::with_capacity(self.each));
        for bucket in 0..self.each {
            let before = references.len();
            let own = (bucket..sums.len()).step_by(self.each);
            references.extend(own.filter(|place| used[*place]).map(|place| place as u32));
            counts.push((references.len() - before) as u32);
        }
        let sums = buckets::sum(adder, Source::Points(&sums), references, counts);
        let addends = |plane| {
            let own = sums.iter().skip(plane).step_by(self.planes);
            (plane as u32, own.copied().collect())
        };
        let addends: Vec<_> = (0..self.planes).rev().map(addends).collect();
        let columns = self.each.checked_div(self.planes).unwrap_or(0);
        buckets::total::<C>(adder, columns, &addends)
    }
}

#[cfg(test)]
mod tests {
    use ff::Field as _;
    use group::{Curve as _, Group as _};
    use pasta_curves::{Eq, EqAffine, Fp};
    use proptest::prelude::*;
    use zkernel_verifier::curve::signed;

    use super::*;
    use crate::commit::tests::column;

    /// Points with small logarithms: many are equal or opposite, or the identity.
    fn points(logarithms: &[i64]) -> Vec<EqAffine> {
        let own = logarithms
            .iter()
            .map(|own| Eq::generator() * signed::<Fp>(*own));
        own.map(|point| point.to_affine()).collect()
    }

    #[test]
    fn spans_are_as_narrow_as_may_be() {
        let span = |bits, signed| Span { bits, signed };
        let most = (1 << 62) - 1;
        for (values, own, planes) in [
            (vec![], span(0, false), 0),
            (vec![0, 0], span(0, false), 0),
            (vec![0, 1], span(1, false), 1),
            (vec![-1, 0], span(0, true), 1),
            (vec![-1, 1], span(1, true), 2),
            (vec![-128, 127], span(7, true), 8),
            (vec![-128, 128], span(8, true), 9),
            (vec![255, 3], span(8, false), 8),
            (vec![most, -most], span(62, true), 63),
        ] {
            let used = values.iter().filter(|value| **value != 0).count();
            assert_eq!(Span::of(&values), (own, used));
            assert_eq!(own.planes(), planes);
            let codes = values.iter().map(|value| own.code(*value));
            assert!(
                codes
                    .map(|code| code.checked_shr(planes as u32))
                    .all(|rest| rest.unwrap_or(0) == 0)
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        /// All columns of all kinds, cut into rows anywhere.
        #[test]
        fn planes_sum_to_the_columns(
            logarithms in prop::collection::vec(-4i64..5, 1..60),
            shapes in prop::collection::vec((0u32..63, any::<bool>(), 0usize..3), 1..20),
            cells in prop::collection::vec(any::<i64>(), 60),
            cuts in prop::collection::vec(0usize..70, 2),
        ) {
            let rows = logarithms.len();
            let value = |(bits, negative, turn): (u32, bool, usize), i: usize| {
                let own = cells[(7 * turn + i) % cells.len()];
                let magnitude = own.unsigned_abs() >> 2 & ((1 << bits) - 1);
                let sign = if negative && own < 0 { -1 } else { 1 };
                magnitude.cast_signed() * sign
            };
            let rest: Vec<Fp> = (0..3).map(|i| Fp::from(cells[i].unsigned_abs()).square() - Fp::ONE).collect();
            let columns: Vec<(Vec<i64>, &[Fp])> = shapes.iter().map(|shape| {
                let tail = shape.2.min(rows);
                ((0..rows - tail).map(|i| value(*shape, i)).collect(), &rest[..tail])
            }).collect();
            let (first, last) = (cuts[0].min(cuts[1]), cuts[0].max(cuts[1]));
            for level in [Level::PORTABLE, Level::detect()] {
                let bases = Bases::load(level, &points(&logarithms));
                let table = bases.table.as_ref().expect("few bases have a table");
                let groups = table.groups.as_ref().expect("and groups");
                let own: Vec<_> = columns.iter().map(|(values, tail)| column(values, tail)).collect();
                let ranges = [0..first, first..last, last..usize::MAX];
                let mut sums = vec![Eq::default(); columns.len()];
                for range in ranges {
                    let part = own.iter().map(|own| Column::new(own, range.clone(), groups));
                    let part: Vec<_> = part.collect::<Option<_>>().expect("columns of planes");
                    let part = sum(&bases, (table, groups), &part);
                    sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
                }
                for ((values, tail), sum) in columns.iter().zip(sums) {
                    let scalars = values.iter().map(|v| signed::<Fp>(*v)).chain(tail.iter().copied());
                    let whole: Fp = scalars.zip(&logarithms).map(|(s, l)| s * signed::<Fp>(*l)).sum();
                    prop_assert_eq!(sum, Eq::generator() * whole);
                }
            }
        }
    }
}
