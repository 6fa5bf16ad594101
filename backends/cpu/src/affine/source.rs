//! Where points lie that are summed.

use std::borrow::Cow;

use pasta_curves::arithmetic::VartimeField;
use zkernel_backend::Curve;

use super::Xy;
use crate::level::Level;
#[cfg(target_arch = "x86_64")]
use crate::packed::prime::Prime;
use crate::parallel;

/// Points to be summed.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a, B> {
    /// Each in a line of its own.
    Points(&'a [Xy<B>]),
    /// As a curve's points lie in memory, mostly across two lines: a copy of points that are used once costs more.
    #[cfg(target_arch = "x86_64")]
    Words(Prime<B>, &'a [[u64; 8]]),
}

impl<'a, B: ff::PrimeField + VartimeField> Source<'a, B> {
    /// Points of a curve where they are, if the level has arithmetic for them as they are.
    pub(crate) fn of<C: Curve<Base = B>>(level: Level, points: &'a [C]) -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        {
            let prime = level.prime::<B>()?;
            Some(Self::Words(prime, prime.curve_words(points)?))
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            let _ = (level, points);
            None
        }
    }

    pub(crate) const fn len(&self) -> usize {
        match self {
            Self::Points(points) => points.len(),
            #[cfg(target_arch = "x86_64")]
            Self::Words(_, words) => words.len(),
        }
    }

    /// Copies every point to a line of its own.
    pub(crate) fn copy_to(self, copies: &mut [Xy<B>]) {
        const TOGETHER: usize = 1 << 12;
        let copies = copies.chunks_mut(TOGETHER);
        match self {
            Self::Points(points) => {
                parallel::each(copies.zip(points.chunks(TOGETHER)), |(copies, points)| {
                    copies.copy_from_slice(points);
                });
            }
            #[cfg(target_arch = "x86_64")]
            Self::Words(prime, words) => {
                parallel::each(copies.zip(words.chunks(TOGETHER)), |(copies, words)| {
                    prime.points_mut(copies).copy_from_slice(words);
                });
            }
        }
    }

    /// Every point in a line of its own.
    pub(crate) fn points(self) -> Cow<'a, [Xy<B>]> {
        match self {
            Self::Points(points) => Cow::Borrowed(points),
            #[cfg(target_arch = "x86_64")]
            Self::Words(prime, words) => Cow::Owned(prime.copied(words)),
        }
    }
}
