//! Sums in one window of many buckets: points are told apart by parts of the buckets first, whose counts and references stay in the first two
//! levels of the cache. Threads take sections of several parts as they are free; each bucket is summed and weighted once.

use core::ops::Range;

use pasta_curves::arithmetic::VartimeField;
use zkernel_backend::{Curve, Scalar};

use crate::affine::{Adder, Feed, NEGATED, Source, Xy};
use crate::buckets::Section;
use crate::digits::Windows;
use crate::eisenstein::wide::{CHUNK, NO_PART, POINT_BITS};
use crate::integers::Integers;
use crate::kernels;
use crate::level::Level;
use crate::msm::Addends;
use crate::parallel;
use crate::terms::{bucket, place};

/// About so many terms are in a part.
const TERMS_OF_A_PART: usize = 1 << 14;

/// Binary logarithm of the most parts.
const MOST_PARTS: u32 = 7;

/// Fewest buckets of a part.
const LEAST_OF_A_PART: usize = 1 << 9;

/// Sections of every thread of several: one that starts late takes fewer.
const SPARE: usize = 4;

/// Fewest buckets and points that are worth being told apart.
const LEAST: [usize; 2] = [1 << 12, 1 << 17];

/// Terms of a chunk of points in the order of their parts.
struct Terms {
    terms: Vec<u32>,
    /// The first of each part, and the end of the last.
    starts: Vec<u16>,
}

/// Addends of all sections, if there is one window of many buckets and many points.
pub(crate) fn sum<C: Curve>(
    level: Level,
    points: Source<'_, C::Base>,
    scalars: &Integers,
    (windows, threads): (&Windows, usize),
) -> Option<Addends<C::Base>> {
    let size = windows.buckets();
    if windows.count() != 1 || size < LEAST[0] || points.len() < LEAST[1] {
        return None;
    }
    let each = (size * TERMS_OF_A_PART / points.len()).next_power_of_two();
    let each = each.clamp(LEAST_OF_A_PART, size).max(size >> MOST_PARTS);
    let of_sections = match threads {
        1 => size,
        _ => size / (SPARE * threads).next_power_of_two(),
    };
    let each = each.min(of_sections.max(LEAST_OF_A_PART));
    let starts = (0..points.len()).step_by(CHUNK);
    let terms = parallel::map(starts, |start| {
        let range = start..points.len().min(start + CHUNK);
        let mut digits = Vec::new();
        kernels::digits::<Scalar<C>>(level, scalars, (windows, 0), &range, &mut digits);
        Terms::new(level, &digits, (size / each, each))
    });
    if threads > 1 {
        return Some(in_sections(
            level,
            (points, &terms),
            (size / each, each),
            threads,
        ));
    }
    Some(Adder::with(level, |adder| {
        let sums = sums(adder, points, &terms, (0..size / each, each));
        let buckets = &sums[..size];
        let shift = 0;
        let section = Section {
            buckets,
            size,
            shift,
        };
        let addends = section.addends(adder, 1);
        adder.give_room(sums);
        addends
    }))
}

/// Addends of so many parts of so many buckets, in sections on several threads.
fn in_sections<B: ff::PrimeField + VartimeField>(
    level: Level,
    (points, terms): (Source<'_, B>, &[Terms]),
    (parts, each): (usize, usize),
    threads: usize,
) -> Addends<B> {
    let sections = (SPARE * threads).next_power_of_two().min(parts);
    let own = parts / sections;
    let of_sections = parallel::map(0..sections, |section| {
        Adder::with(level, |adder| {
            let parts = section * own..(section + 1) * own;
            let sums = sums(adder, points, terms, (parts, each));
            let of_bits = adder.bit_sums(&sums[..own * each], own * each);
            adder.give_room(sums);
            of_bits
        })
    });
    Adder::with(level, |adder| {
        Section::joined(adder, &of_sections.concat(), sections)
    })
}

/// Sums of the buckets of some parts, perhaps with others after them.
fn sums<B: ff::PrimeField + VartimeField>(
    adder: &mut Adder<B>,
    points: Source<'_, B>,
    terms: &[Terms],
    (parts, each): (Range<usize>, usize),
) -> Vec<Xy<B>> {
    let buckets = parts.len() * each;
    let room = adder.take_room(buckets);
    let feed = Sorted {
        terms,
        parts,
        part: 0,
        each,
    };
    adder.parts(points, feed, (buckets, room)).0
}

impl Terms {
    /// Of the digits of a chunk of points: so many parts of so many buckets; zeros have none.
    fn new(level: Level, digits: &[u32], (parts, each): (usize, usize)) -> Self {
        let (width, mask) = (each.ilog2(), each as u32 - 1);
        let bucket = |digit: &u32| (digit & !NEGATED).wrapping_sub(1);
        let term = |(digit, point): (&u32, u32)| {
            (bucket(digit) & mask) << POINT_BITS | point | digit & NEGATED
        };
        let terms: Vec<u32> = digits.iter().zip(0..).map(term).collect();
        // Beyond all is what has none.
        let part = |digit: &u32| (bucket(digit) >> width).min(NO_PART.into()) as u8;
        let part_of_terms: Vec<u8> = digits.iter().map(part).collect();
        let (mut placed, mut starts) = ([0; CHUNK], vec![0; parts + 1]);
        place(level, (&terms, &part_of_terms), (&mut placed, &mut starts));
        let length = usize::from(starts[parts]);
        let terms = placed[..length].to_vec();
        Self { terms, starts }
    }

    fn of_part(&self, part: usize) -> &[u32] {
        &self.terms[usize::from(self.starts[part])..usize::from(self.starts[part + 1])]
    }
}

/// Parts, sorted one after the other.
struct Sorted<'a> {
    terms: &'a [Terms],
    parts: Range<usize>,
    /// The last one.
    part: usize,
    /// Buckets of each.
    each: usize,
}

impl Sorted<'_> {
    fn runs(&self) -> impl Iterator<Item = &[u32]> {
        self.terms.iter().map(|terms| terms.of_part(self.part))
    }
}

impl Feed for Sorted<'_> {
    fn count(&mut self, counts: &mut Vec<u32>) -> bool {
        let Some(part) = self.parts.next() else {
            return false;
        };
        self.part = part;
        counts.clear();
        counts.resize(self.each, 0);
        // The mask tells that no bucket is beyond.
        let mask = counts.len() - 1;
        let own = &mut counts[..];
        for term in self.runs().flatten() {
            own[bucket(*term) & mask] += 1;
        }
        true
    }

    fn place<const STEP: u32>(&self, (slots, references): (&mut Vec<u32>, &mut [u32])) {
        let mask = slots.len() - 1;
        let own = &mut slots[..];
        for (first, run) in (0..).step_by(CHUNK).zip(self.runs()) {
            for term in run {
                let slot = &mut own[bucket(*term) & mask];
                references[*slot as usize] = (first + term % CHUNK as u32) | term & NEGATED;
                *slot += STEP;
            }
        }
    }
}
