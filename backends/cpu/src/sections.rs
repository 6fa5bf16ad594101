//! Sums in one window of many buckets: points are told apart by sections of the buckets first, so that threads take sections as they
//! are free, and each bucket is summed and weighted once.

use core::ops::Range;

use zkernel_backend::{Curve, Scalar};

use crate::affine::{Adder, NEGATED, Source, Xy};
use crate::buckets::{self, Section};
use crate::digits::Windows;
use crate::integers::Integers;
use crate::kernels;
use crate::level::Level;
use crate::msm::{Addends, sort};
use crate::parallel;

/// Most buckets of a section: their counts stay in the first-level cache, their sums in the second.
const BUCKETS: usize = 1 << 12;

/// Sections of every thread of several: one that starts late takes fewer.
const SPARE: usize = 4;

/// Fewest buckets that are worth being divided, and fewest of a section: each has fixed costs.
const LEAST: [usize; 2] = [1 << 12, 1 << 9];

/// Fewest points.
const LEAST_POINTS: usize = 1 << 17;

/// Points whose digits are told apart together, whole octets.
const TOGETHER: usize = 1 << 13;

/// Terms of some points in the order of their sections, and the first of each section and the end of the last.
struct Terms {
    /// Bucket in its section, and reference.
    terms: Vec<[u32; 2]>,
    starts: Vec<u32>,
}

/// Addends of all sections, if there are several threads, one window of many buckets and many points. One thread alone takes 8 % longer, for
/// points are sorted twice.
pub(crate) fn sum<C: Curve>(
    level: Level,
    points: Source<'_, C::Base>,
    scalars: &Integers,
    (windows, threads): (&Windows, usize),
) -> Option<Addends<C::Base>> {
    let size = windows.buckets();
    if threads == 1 || windows.count() != 1 || size < LEAST[0] || points.len() < LEAST_POINTS {
        return None;
    }
    let sections = (size / BUCKETS).max((SPARE * threads).next_power_of_two());
    let sections = sections.min(size / LEAST[1]);
    let each = size / sections;
    let starts = (0..points.len()).step_by(TOGETHER);
    let terms = parallel::map(starts, |start| {
        let range = start..points.len().min(start + TOGETHER);
        let mut digits = Vec::new();
        kernels::digits::<Scalar<C>>(level, scalars, (windows, 0), &range, &mut digits);
        Terms::new(&digits, range, (sections, each))
    });
    let sums = parallel::map(0..sections, |section| {
        Adder::with(level, |adder| {
            of_section(adder, points, &terms, (section, each))
        })
    });
    let whole = |adder: &mut Adder<C::Base>| Section::joined(adder, &sums.concat(), sections);
    Some(Adder::with(level, whole))
}

/// Weighted sums of the buckets of a section.
fn of_section<B: ff::PrimeField + pasta_curves::arithmetic::VartimeField>(
    adder: &mut Adder<B>,
    points: Source<'_, B>,
    terms: &[Terms],
    (section, size): (usize, usize),
) -> Vec<Xy<B>> {
    let own = terms.iter().map(|terms| terms.of_section(section));
    let length = own.clone().map(<[_]>::len).sum();
    let terms = own.flatten();
    let terms = terms.map(|[bucket, reference]| (*bucket as usize, *reference));
    let (mut counts, mut sorted) = (Vec::new(), Vec::new());
    sort((length, terms), size, &mut counts, &mut sorted);
    let buckets = buckets::sum(adder, points, sorted, counts);
    let sums = adder.bit_sums(&buckets, size);
    adder.give_room(buckets);
    sums
}

impl Terms {
    /// Of the digits of a range of points; zeros have none.
    fn new(digits: &[u32], range: Range<usize>, (sections, size): (usize, usize)) -> Self {
        let bucket = |digit: &u32| (digit & !NEGATED).wrapping_sub(1);
        let (width, mask) = (size.ilog2(), size as u32 - 1);
        let section = |bucket: u32| ((bucket >> width) as usize).min(sections);
        let mut starts = vec![0u32; sections + 2];
        for digit in digits {
            starts[section(bucket(digit)) + 1] += 1;
        }
        let mut end = 0;
        for start in &mut starts {
            end += *start;
            *start = end;
        }
        let (mut next, mut terms) = (starts.clone(), vec![[0; 2]; digits.len()]);
        for (point, digit) in (range.start as u32..).zip(digits) {
            let bucket = bucket(digit);
            let slot = &mut next[section(bucket)];
            terms[*slot as usize] = [bucket & mask, point | (digit & NEGATED)];
            *slot += 1;
        }
        Self { terms, starts }
    }

    fn of_section(&self, section: usize) -> &[[u32; 2]] {
        &self.terms[self.starts[section] as usize..self.starts[section + 1] as usize]
    }
}
