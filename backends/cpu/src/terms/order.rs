//! Terms in the order of their parts: counted, then placed.

use crate::eisenstein::wide::{CHUNK, NO_PART};
use crate::level::Level;
#[cfg(target_arch = "x86_64")]
use crate::packed::counts;

/// Most parts.
pub(crate) const MOST_PARTS: usize = NO_PART as usize;

/// Runs of terms at work at a time: what one of them counts need not wait for what another one counted.
const AT_ONCE: usize = 4;

/// The next places of terms of every part, and of those of none.
type Next = [u32; MOST_PARTS + 1];

/// Room for the next places of all runs.
pub(crate) struct Order {
    next: [Next; AT_ONCE],
}

impl Order {
    pub(crate) const fn new() -> Self {
        Self {
            next: [[0; MOST_PARTS + 1]; AT_ONCE],
        }
    }

    /// Writes terms in the order of their parts, and where each part begins.
    pub(crate) fn place(
        &mut self,
        level: Level,
        (own, parts): (&[u32], &[u8]),
        (terms, starts): (&mut [u32; CHUNK], &mut [u16]),
    ) {
        let next = &mut self.next;
        let quarter = parts.len() / AT_ONCE;
        let (runs, rest) = parts.split_at(AT_ONCE * quarter);
        let (first, second) = runs.split_at(2 * quarter);
        let ((a, b), (c, d)) = (first.split_at(quarter), second.split_at(quarter));
        for (own, next) in [a, b, c, &parts[3 * quarter..]].into_iter().zip(&mut *next) {
            count(level, own, starts.len() - 1, next);
        }
        let mut end = 0;
        for part in 0..=MOST_PARTS {
            if let Some(start) = starts.get_mut(part) {
                *start = end as u16;
            }
            for next in &mut *next {
                end += core::mem::replace(&mut next[part], end);
            }
        }
        let [of_a, of_b, of_c, of_d] = next;
        let (runs, rest_of_terms) = own.split_at(AT_ONCE * quarter);
        let (first, second) = runs.split_at(2 * quarter);
        let ((ta, tb), (tc, td)) = (first.split_at(quarter), second.split_at(quarter));
        let (both, others) = (ta.iter().zip(tb), tc.iter().zip(td));
        let own = both.zip(others);
        for (((a, b), (c, d)), ((ta, tb), (tc, td))) in
            a.iter().zip(b).zip(c.iter().zip(d)).zip(own)
        {
            write(terms, of_a, *a, *ta);
            write(terms, of_b, *b, *tb);
            write(terms, of_c, *c, *tc);
            write(terms, of_d, *d, *td);
        }
        for (part, term) in rest.iter().zip(rest_of_terms) {
            write(terms, of_d, *part, *term);
        }
    }
}

/// Parts up to so many are counted one by one, on vectors.
#[cfg(any(test, target_arch = "x86_64"))]
const FEW_PARTS: usize = 64;

/// Counts the terms of so many parts, and of none.
fn count(level: Level, parts: &[u8], count: usize, own: &mut Next) {
    own.fill(0);
    #[cfg(target_arch = "x86_64")]
    if let Some(ifma) = level.ifma().filter(|_| count <= FEW_PARTS) {
        counts::count(ifma, parts, &mut own[..count]);
        own[MOST_PARTS] = parts.len() as u32 - own[..count].iter().sum::<u32>();
        return;
    }
    let _ = (level, count);
    parts.iter().for_each(|part| own[usize::from(*part)] += 1);
}

/// Writes a term of a part to its place.
#[inline(always)]
fn write(terms: &mut [u32; CHUNK], next: &mut Next, part: u8, term: u32) {
    let slot = &mut next[usize::from(part)];
    terms[*slot as usize % CHUNK] = term;
    *slot += 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of few parts and of many, at all levels, with terms of no part among them.
    #[test]
    fn terms_are_placed_by_part() {
        let mut order = Order::new();
        for level in Level::of_this_machine() {
            for count in [1, 3, FEW_PARTS, FEW_PARTS + 1, MOST_PARTS] {
                for length in [0, 3, 257, 1000, CHUNK] {
                    let part = |i: usize| match (7919 * i + i / 7) % (count + 1) {
                        own if own == count => NO_PART,
                        own => own as u8,
                    };
                    let parts: Vec<u8> = (0..length).map(part).collect();
                    let terms: Vec<u32> = (0..length as u32).collect();
                    let kinds = parts.iter().collect::<std::collections::BTreeSet<_>>();
                    assert!(length < 1000 || kinds.len() == count + 1);
                    let (mut placed, mut starts) = ([0; CHUNK], vec![0; count + 1]);
                    let own = (&terms[..], &parts[..]);
                    order.place(level, own, (&mut placed, &mut starts));
                    let of_part = |own: u8| {
                        let all = terms.iter().zip(&parts);
                        all.filter(move |(_, part)| **part == own)
                            .map(|(term, _)| *term)
                    };
                    for own in 0..count {
                        let run = usize::from(starts[own])..usize::from(starts[own + 1]);
                        let mut run = placed[run].to_vec();
                        run.sort_unstable();
                        let wanted: Vec<u32> = of_part(own as u8).collect();
                        assert_eq!(run, wanted, "{level:?} {count} {length} {own}");
                    }
                }
            }
        }
    }
}
