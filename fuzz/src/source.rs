//! Structured choices read from bytes; zeros once the bytes end, so that every input means something.

use pasta_curves::Fp;

/// A cursor over the input.
pub(crate) struct Source<'a>(&'a [u8]);

impl<'a> Source<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    /// A number below `bound`, which is at most 65,536 and not zero.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let wide = usize::from(self.byte());
        let wide = if bound > 256 {
            wide << 8 | usize::from(self.byte())
        } else {
            wide
        };
        wide % bound
    }

    /// A field element: small ones, their negatives, and large ones.
    pub(crate) fn scalar(&mut self) -> Fp {
        let value = Fp::from(u64::from(self.byte()));
        match self.below(4) {
            0 | 1 => value,
            2 => -value,
            _ => (value + Fp::from(0x1234_5678)).square().square().square(),
        }
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.0
    }
}
