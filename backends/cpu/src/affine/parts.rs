//! Sums of buckets that are fed part by part.

use pasta_curves::arithmetic::VartimeField;

#[cfg(target_arch = "x86_64")]
use super::fitting;
use super::{Adder, Source, Xy};
use crate::buckets;
#[cfg(target_arch = "x86_64")]
use crate::trees::parts::Parts;

/// Where parts of the buckets come from.
pub(crate) trait Feed {
    /// The next part: how many points each bucket has, and references in this order, perhaps with others after them. False if there is
    /// none.
    fn next(&mut self, references: &mut Vec<u32>, counts: &mut Vec<u32>) -> bool;
}

impl<B: ff::PrimeField + VartimeField> Adder<B> {
    /// Sums of so many buckets, of parts of them that are fed one after the other.
    pub(crate) fn parts<F: Feed>(
        &mut self,
        source: Source<'_, B>,
        mut feed: F,
        buckets: usize,
    ) -> (Vec<Xy<B>>, F) {
        let (mut references, mut counts) = (self.take_words(1 << 16), self.take_words(1 << 13));
        #[cfg(target_arch = "x86_64")]
        if let Some(packed) = &mut self.packed {
            let words = match source {
                Source::Points(points) => packed.words(points),
                Source::Words(_, words) => words,
            };
            let mut sums = fitting(&mut self.rooms, buckets);
            sums.resize(buckets, Xy::IDENTITY);
            let mut parts = Parts {
                feed,
                references,
                counts,
                sums,
                buckets,
                loaded: 0,
                more: Vec::new(),
            };
            self.trees.parts(packed, words, &mut parts);
            self.give_words(parts.references);
            self.give_words(parts.counts);
            let mut sums = parts.sums;
            self.join(&mut sums, buckets, parts.more);
            return (sums, parts.feed);
        }
        let (mut all_references, mut all_counts) = (Vec::new(), Vec::new());
        while feed.next(&mut references, &mut counts) {
            let length = counts.iter().sum::<u32>() as usize;
            all_references.extend_from_slice(&references[..length]);
            all_counts.extend_from_slice(&counts);
        }
        let sums = buckets::sum(self, source, all_references, all_counts);
        (sums, feed)
    }

    /// Puts the classes of buckets together, see [`Trees::merge`]; false at levels that have no trees.
    pub(crate) fn merge(&mut self, sums: &[Xy<B>], places: usize, merged: &mut [Xy<B>]) -> bool
    where
        B: ff::WithSmallOrderMulGroup<3>,
    {
        #[cfg(target_arch = "x86_64")]
        if let Some(packed) = &mut self.packed {
            let sums = packed.prime().points(sums);
            self.trees.merge(packed, sums, places, merged);
            return true;
        }
        let _ = (sums, places, merged);
        false
    }

    /// Adds sums of pieces, which follow those of all buckets, to those of their buckets.
    #[cfg(target_arch = "x86_64")]
    fn join(&mut self, sums: &mut Vec<Xy<B>>, buckets: usize, more: Vec<u32>) {
        if !more.is_empty() {
            let places = buckets as u32..;
            let mut pieces: Vec<(u32, u32)> = more.into_iter().zip(places).collect();
            pieces.sort_unstable();
            let (mut references, mut counts, mut own) = (Vec::new(), Vec::new(), Vec::new());
            for pieces in pieces.chunk_by(|a, b| a.0 == b.0) {
                own.push(pieces[0].0);
                references.push(pieces[0].0);
                references.extend(pieces.iter().map(|(_, place)| place));
                counts.push(pieces.len() as u32 + 1);
            }
            let joined = buckets::sum(self, Source::Points(sums), references, counts);
            for (bucket, sum) in own.into_iter().zip(joined) {
                sums[bucket as usize] = sum;
            }
        }
        sums.truncate(buckets);
    }
}
