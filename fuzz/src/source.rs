//! Choices read from bytes; zeros when they run out.

use crate::F;

/// A source of choices.
pub(crate) struct Source<'a>(&'a [u8]);

impl<'a> Source<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    /// One of `0..count`.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count.max(1)
    }

    /// A field element: small, negative or large.
    pub(crate) fn field(&mut self) -> F {
        let value = F::from(u64::from(self.byte()));
        match self.byte() % 3 {
            0 => value,
            1 => -value,
            _ => (value + F::from(3)).square().square() * F::from_raw([7, 1, 5, 9]),
        }
    }

    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.0
    }
}
