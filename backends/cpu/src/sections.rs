//! Sums in one window of many buckets: points are told apart by parts of the buckets first, whose counts and references stay in the first two
//! levels of the cache. Threads take sections of several parts as they are free; each bucket is summed once, and weighted while its section is near.

use core::ops::Range;

use pasta_curves::arithmetic::VartimeField;
use zkernel_backend::{Curve, Scalar};

use crate::affine::{Adder, Feed, NEGATED, Source, Xy};
use crate::buckets::Section;
use crate::digits::Windows;
#[cfg(target_arch = "x86_64")]
use crate::division::{Digits, Division};
use crate::eisenstein::wide::{CHUNK, NO_PART, POINT_BITS};
use crate::integers::Integers;
#[cfg(target_arch = "x86_64")]
use crate::integers::digit_bits;
use crate::kernels;
use crate::level::Level;
use crate::msm::Addends;
use crate::parallel;
#[cfg(target_arch = "x86_64")]
use crate::streams::{Short, largest_of_some};
use crate::terms::order::Order;
use crate::terms::{count_each, place_each};

/// About so many terms are in a part.
const TERMS_OF_A_PART: usize = 1 << 14;

/// Binary logarithm of the most parts.
const MOST_PARTS: u32 = 7;

/// Fewest buckets of a part.
const LEAST_OF_A_PART: usize = 1 << 9;

/// Sections of every thread of several: one that starts late takes fewer.
const SPARE: usize = 4;

/// Most buckets of a section: half a megabyte of sums, which are weighted while they are near.
const MOST_OF_A_SECTION: usize = 1 << 13;

/// Fewest buckets and points that are worth being told apart.
const LEAST: [usize; 2] = [1 << 12, 1 << 17];

/// Terms of a chunk of points in the order of their parts.
struct Terms {
    terms: Vec<u32>,
    /// The first of each part, and the end of the last.
    starts: Vec<u16>,
}

/// Addends of all sections, if there is one window of many buckets and many points.
pub(crate) fn of_integers<C: Curve>(
    level: Level,
    points: Source<'_, C::Base>,
    scalars: &Integers,
    (windows, threads): (&Windows, usize),
) -> Option<Addends<C::Base>> {
    let size = windows.buckets();
    if windows.count() != 1 || size < LEAST[0] || points.len() < LEAST[1] {
        return None;
    }
    let each = buckets_of_a_part(points.len(), size, threads);
    let terms = parallel::map(chunks(points.len()), |range| {
        let mut digits = Vec::new();
        kernels::digits::<Scalar<C>>(level, scalars, (windows, 0), &range, &mut digits);
        Terms::new(level, &digits, (size / each, each))
    });
    Some(of_terms(level, (points, &terms), (size, each), threads))
}

/// The same of scalars that become integers chunk by chunk, if some of them show that they are so short.
#[cfg(target_arch = "x86_64")]
pub(crate) fn of_scalars<C: Curve>(
    level: Level,
    points: Source<'_, C::Base>,
    scalars: &[Scalar<C>],
) -> Option<Short<C::Base>> {
    if points.len() < LEAST[1] {
        return None;
    }
    let largest = largest_of_some(level, scalars, i32::MAX as usize)?;
    let (threads, own) = (rayon::current_num_threads(), digit_bits(largest));
    let bits = u32::BITS - largest.leading_zeros();
    // As for one thread: sections have no bucket twice.
    let division = Division::best(points.len(), (bits, own), 1);
    let Digits::Signed(windows) = division.digits else {
        return None;
    };
    let size = windows.buckets();
    if windows.count() != 1 || size < LEAST[0] {
        return None;
    }
    // Windows of few buckets have too few parts for many threads: these share points or take several windows.
    if threads > 1 && size / LEAST_OF_A_PART < 2 * threads {
        return None;
    }
    let each = buckets_of_a_part(points.len(), size, threads);
    let found = parallel::map(chunks(points.len()), |range| {
        let (mut integers, mut digits) = (Integers::Narrow(Vec::new(), 0), Vec::new());
        let mut long = Vec::new();
        let own = &scalars[range.clone()];
        integers.replace(level, own, size as u32, |i| {
            long.push((range.start + i) as u32);
        });
        let all = 0..own.len();
        kernels::digits::<Scalar<C>>(level, &integers, (&windows, 0), &all, &mut digits);
        (Terms::new(level, &digits, (size / each, each)), long)
    });
    let (terms, long): (Vec<_>, Vec<_>) = found.into_iter().unzip();
    Some(Short {
        addends: vec![of_terms(level, (points, &terms), (size, each), threads)],
        long: long.concat(),
    })
}

/// Ranges of so many points.
fn chunks(points: usize) -> impl ExactSizeIterator<Item = Range<usize>> + Send {
    let starts = (0..points).step_by(CHUNK);
    starts.map(move |start| start..points.min(start + CHUNK))
}

/// Buckets of a part, a power of two.
fn buckets_of_a_part(points: usize, size: usize, threads: usize) -> usize {
    let each = (size * TERMS_OF_A_PART / points).next_power_of_two();
    let each = each.clamp(LEAST_OF_A_PART, size).max(size >> MOST_PARTS);
    each.min((size / sections_of(size, threads)).max(LEAST_OF_A_PART))
}

/// Sections of so many buckets, a power of two.
fn sections_of(size: usize, threads: usize) -> usize {
    let of_threads = match threads {
        1 => 1,
        _ => (SPARE * threads).next_power_of_two(),
    };
    of_threads.max(size / MOST_OF_A_SECTION)
}

/// Addends of all terms, given the buckets and those of a part.
fn of_terms<B: ff::PrimeField + VartimeField>(
    level: Level,
    (points, terms): (Source<'_, B>, &[Terms]),
    (size, each): (usize, usize),
    threads: usize,
) -> Addends<B> {
    let parts = size / each;
    let sections = sections_of(size, threads).min(parts);
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
        let own = (&terms[..], &part_of_terms[..]);
        Order::new().place(level, own, (&mut placed, &mut starts));
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
        self.runs().for_each(|run| count_each(run, counts));
        true
    }

    fn place<const STEP: u32>(&self, (slots, references): (&mut Vec<u32>, &mut [u32])) {
        for run in (0..).step_by(CHUNK).zip(self.runs()) {
            place_each::<STEP>(run, (slots, references));
        }
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use ff::{Field as _, PrimeField as _};
    use group::Curve as _;
    use pasta_curves::{EqAffine, Fp};

    use super::*;
    use crate::classes::tests::{points, wanted};
    use crate::msm::finished;

    /// Short scalars but for some, the largest digits of the window among them, the last chunk not whole.
    #[test]
    fn what_the_window_does_not_hold_is_left_over() {
        // Every 512th octet is looked at first, in which all are short.
        let count = LEAST[1] + 253;
        let signed = |v: i64| {
            let magnitude = Fp::from(v.unsigned_abs());
            if v < 0 { -magnitude } else { magnitude }
        };
        let scalar = |i: i64| match i % 4096 {
            100 => signed((1 << 15) + 1 + i),
            4000 => Fp::DELTA * signed(i),
            2001..2005 => signed([1 << 15, -1 << 15, 0, -1][i as usize % 4096 - 2001]),
            _ => signed(i * i * 7 % 65_521 - 32_760),
        };
        let scalars: Vec<Fp> = (0..count as i64).map(scalar).collect();
        let is_long = |i: &u32| matches!(i % 4096, 100 | 4000);
        let long: Vec<u32> = (0..count as u32).filter(is_long).collect();
        let mut held = scalars.clone();
        long.iter().for_each(|i| held[*i as usize] = Fp::ZERO);
        let (points, wanted) = (points(count), wanted(&held));
        for level in Level::of_this_machine() {
            for threads in [1, 3] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
                let own = || {
                    let source = Source::of(level, &points)?;
                    of_scalars::<EqAffine>(level, source, &scalars)
                };
                let own = pool.unwrap().install(own);
                assert_eq!(own.is_none(), level == Level::PORTABLE);
                let Some(own) = own else { continue };
                let sum = finished::<EqAffine>(own.addends).to_affine();
                assert_eq!(
                    (sum, own.long),
                    (wanted, long.clone()),
                    "{level:?} {threads}"
                );
            }
        }
    }
}
