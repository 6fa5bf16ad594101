//! Signed sums of the multiples of single bases, for scalars of full size: those of blinders and of random cells, which every
//! column has for the last bases.
//!
//! A scalar `m = u - 2^(L-1)` of L bits in windows of w is told by L signs: bit k of all windows' digits is one of the signed
//! sums of the halves of the multiples `2^(w j) P`, in groups, and goes to plane k. With `sum_i 2^i s_i = 2 m + 1` one half
//! too many is there.

use ff::PrimeField;
use pasta_curves::arithmetic::VartimeField;
use zkernel_backend::{Curve, Field};

use crate::affine::{Adder, Xy};
use crate::buckets::reference;
use crate::digits::Magnitude;
use crate::groups::{Groups, Multiples, halves};
use crate::kernels;
use crate::level::Level;

/// Bases that have such sums: the two for products and blinders, and those of random cells.
const BASES: usize = 4;

/// Multiples of a group: few sums, soon made, and 41 additions for a scalar in windows of ten bits; groups of eleven would take 31.
const SIZE: usize = 8;

/// Sums of the last bases' multiples. In the table, after those of neighbours: the sums, then the bases' halves.
#[derive(Clone, Copy)]
pub(crate) struct Ends {
    /// The first base that has them, and how many have.
    first: usize,
    count: usize,
    /// Groups of all.
    groups: Groups,
    width: u32,
    /// Multiples of a base.
    windows: usize,
}

impl Ends {
    /// Those of so many bases with so many multiples each, of windows of so many bits: after a place of the table.
    pub(crate) fn new((bases, windows, width): (usize, usize, u32), start: usize) -> Self {
        let count = bases.min(BASES);
        Self {
            first: bases - count,
            count,
            groups: Groups::new(SIZE, count * windows.div_ceil(SIZE), start),
            width,
            windows,
        }
    }

    /// Where the half of one of the bases is.
    const fn half(&self, end: usize) -> usize {
        self.groups.total(0) + end
    }

    /// The length of a table with the sums.
    pub(crate) const fn end(&self) -> usize {
        self.half(self.count)
    }

    /// Groups of a base.
    const fn each(&self) -> usize {
        self.windows.div_ceil(SIZE)
    }

    /// Additions of a scalar.
    pub(crate) const fn additions(&self) -> usize {
        self.width as usize * self.each() + 1
    }

    /// Writes sums and halves.
    pub(crate) fn fill<C: Curve>(
        &self,
        adder: &mut Adder<C::Base>,
        multiples: &Multiples<'_, C::Base>,
        points: &mut [Xy<C::Base>],
    ) {
        let own = halves::<C>(adder, multiples, self.first..multiples.count);
        let (sums, last) = points.split_at_mut(points.len() - self.count);
        last.copy_from_slice(&own);
        let of_halves = adder.multiples(&own, self.width, self.windows);
        let base = |end: usize, j: usize| multiples.points[j * multiples.count + self.first + end];
        let mut both = self.padded(base);
        both.extend(self.padded(|end, j| of_halves[j * self.count + end]));
        self.groups.fill_from(adder, both, sums);
    }

    /// A point for every base and window, and identities up to whole groups.
    fn padded<B: PrimeField + VartimeField>(
        &self,
        point: impl Fn(usize, usize) -> Xy<B>,
    ) -> Vec<Xy<B>> {
        let each = self.each() * SIZE;
        let point = |i: usize| match i % each {
            j if j < self.windows => point(i / each, j),
            _ => Xy::IDENTITY,
        };
        (0..self.count * each).map(point).collect()
    }

    /// Visits planes and references of a scalar times a base, if the base has sums; whether it has.
    pub(crate) fn each_of<F: Field>(
        &self,
        level: Level,
        (base, scalar): (usize, &Magnitude),
        mut visit: impl FnMut(usize, u32),
    ) -> bool {
        let Some(end) = base.checked_sub(self.first) else {
            return false;
        };
        let each = self.each();
        let groups = self.groups.neighbours(&(end * each..(end + 1) * each));
        let mut digits = self.digits(scalar);
        digits.resize(each * SIZE, 0);
        let mut references = vec![0; self.width as usize * each];
        for (position, references) in (0..).step_by(8).zip(references.chunks_mut(8 * each)) {
            kernels::references::<F>(level, &groups, &digits, position, references);
        }
        for (plane, references) in references.chunks(each).enumerate() {
            references.iter().for_each(|own| visit(plane, *own));
        }
        visit(0, reference(self.half(end), true));
        true
    }

    /// The digits of the scalar and `2^(L-1)`.
    fn digits(&self, scalar: &Magnitude) -> Vec<u64> {
        let top = self.width as usize * self.windows - 1;
        let mut words = [0u64; 6];
        words[top / 64] = 1 << (top % 64);
        let mut carry = false;
        for (i, word) in words.iter_mut().enumerate() {
            let limb = scalar.limbs.get(i).copied().unwrap_or(0);
            (*word, carry) = match scalar.negative {
                true => word.borrowing_sub(limb, carry),
                false => word.carrying_add(limb, carry),
            };
        }
        let digit = |window: usize| {
            let (word, shift) = (
                window * self.width as usize / 64,
                window * self.width as usize % 64,
            );
            (words[word] >> shift | words[word + 1] << 1 << (63 - shift)) & ((1 << self.width) - 1)
        };
        (0..self.windows).map(digit).collect()
    }
}
