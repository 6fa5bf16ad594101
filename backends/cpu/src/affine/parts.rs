//! Sums of buckets that are fed part by part.

use pasta_curves::arithmetic::VartimeField;

use super::{Adder, Source, Xy};
use crate::buckets;
#[cfg(target_arch = "x86_64")]
use crate::trees::parts::Parts;

/// Where parts of the buckets come from.
pub(crate) trait Feed {
    /// The next part: how many points each bucket has. False if there is none.
    fn count(&mut self, counts: &mut Vec<u32>) -> bool;

    /// Writes the references of that part, given where the first of every bucket belongs and that the next ones are `STEP` places apart. The
    /// places are of no meaning afterwards.
    fn place<const STEP: u32>(&self, to: (&mut Vec<u32>, &mut [u32]));
}

impl<B: ff::PrimeField + VartimeField> Adder<B> {
    /// Sums of so many buckets, of parts of them that are fed one after the other, in room that may hold anything; perhaps with others after
    /// them.
    pub(crate) fn parts<F: Feed>(
        &mut self,
        source: Source<'_, B>,
        mut feed: F,
        (buckets, mut sums): (usize, Vec<Xy<B>>),
    ) -> (Vec<Xy<B>>, F) {
        let (mut references, mut counts) = (self.take_words(1 << 16), self.take_words(1 << 13));
        #[cfg(target_arch = "x86_64")]
        if let Some(packed) = &mut self.packed {
            let words = match source {
                Source::Points(points) => packed.words(points),
                Source::Words(_, words) => words,
            };
            // What is longer is left so: it need not be filled again.
            if sums.len() < buckets {
                sums.resize(buckets, Xy::IDENTITY);
            }
            let mut parts = Parts {
                feed,
                references,
                taken: 0,
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
        // Only trees make room for all buckets first.
        let _ = buckets;
        let (mut all_references, mut all_counts) = (Vec::new(), Vec::new());
        while feed.count(&mut counts) {
            all_counts.extend_from_slice(&counts);
            let mut end = 0;
            for count in &mut counts {
                end += core::mem::replace(count, end);
            }
            references.resize(end as usize, 0);
            feed.place::<1>((&mut counts, &mut references));
            all_references.extend_from_slice(&references);
        }
        sums.clear();
        self.give_room(sums);
        let sums = buckets::sum(self, source, all_references, all_counts);
        (sums, feed)
    }

    /// Puts the classes of buckets together, see [`Trees::merge`]; false at levels that have no trees.
    pub(crate) fn merge(
        &mut self,
        sums: &[Xy<B>],
        places: usize,
        (merged, first): (&mut [Xy<B>], bool),
    ) -> bool
    where
        B: ff::WithSmallOrderMulGroup<3>,
    {
        #[cfg(target_arch = "x86_64")]
        if let Some(packed) = &mut self.packed {
            let sums = packed.prime().points(sums);
            self.trees.merge(packed, sums, places, (merged, first));
            return true;
        }
        let _ = (sums, places, merged, first);
        false
    }

    /// Adds sums of pieces, which follow those of all buckets, to those of their buckets.
    #[cfg(target_arch = "x86_64")]
    fn join(&mut self, sums: &mut [Xy<B>], buckets: usize, more: Vec<u32>) {
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
    }
}
