//! Affine additions in batches that share one inversion.
//!
//! An addition costs 5 multiplications and a square; equal, opposite and identity operands are handled.

use group::Curve as _;
use pasta_curves::arithmetic::{CurveAffine, VartimeField};
use zkernel_backend::Curve;

use crate::level::Level;
#[cfg(target_arch = "x86_64")]
use crate::packed::points::Packed;

/// Marks a reference to a point that is to be negated.
pub(crate) const NEGATED: u32 = 1 << 31;

/// An addition: `sums[sum] = source[left] + source[right]`, either operand perhaps [`NEGATED`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    pub(crate) left: u32,
    pub(crate) right: u32,
    pub(crate) sum: u32,
}

/// A point; the identity is (0, 0), which is not on either curve (b = 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Xy<B> {
    pub(crate) x: B,
    pub(crate) y: B,
}

impl<B: ff::Field + VartimeField> Xy<B> {
    pub(crate) const IDENTITY: Self = Self {
        x: B::ZERO,
        y: B::ZERO,
    };

    pub(crate) fn new<C: CurveAffine<Base = B>>(point: &C) -> Self {
        Option::from(point.coordinates()).map_or(
            Self::IDENTITY,
            |c: pasta_curves::arithmetic::Coordinates<C>| Self {
                x: *c.x(),
                y: *c.y(),
            },
        )
    }

    pub(crate) fn point<C: CurveAffine<Base = B>>(self) -> C {
        if self.is_identity() {
            return C::identity();
        }
        // Sums of points of the curve are on the curve: the default is never taken.
        C::from_xy(self.x, self.y).unwrap_or(C::identity())
    }

    pub(crate) fn is_identity(&self) -> bool {
        self.y.is_zero_vartime() && self.x.is_zero_vartime()
    }

    pub(crate) fn signed(self, negative: bool) -> Self {
        let y = if negative { -self.y } else { self.y };
        Self { x: self.x, y }
    }

    /// Denominator of the slope; one where no slope is wanted.
    fn denominator(&self, other: &Self) -> B {
        if self.is_identity() || other.is_identity() {
            return B::ONE;
        }
        let difference = other.x - self.x;
        if !difference.is_zero_vartime() {
            difference
        } else if self.y == other.y {
            self.y.double()
        } else {
            B::ONE
        }
    }

    /// The sum, given the inverse of [`Xy::denominator`]. No point of order two exists, so y is never zero.
    fn add(&self, other: &Self, inverse: B) -> Self {
        if self.is_identity() {
            return *other;
        }
        if other.is_identity() {
            return *self;
        }
        let numerator = if self.x != other.x {
            other.y - self.y
        } else if self.y == other.y {
            let square = self.x.square();
            square.double() + square
        } else {
            return Self::IDENTITY;
        };
        let slope = numerator * inverse;
        let x = slope.square() - self.x - other.x;
        Self {
            x,
            y: slope * (self.x - x) - self.y,
        }
    }
}

/// Additions that share an inversion: enough to make it cheap, and few enough for the second-level cache.
const BATCH: usize = 1024;

/// Adds points in batches, at one level.
pub(crate) struct Adder<B> {
    #[cfg(target_arch = "x86_64")]
    packed: Option<Packed<B>>,
    scratch: Vec<(B, B)>,
}

impl<B: ff::PrimeField + VartimeField> Adder<B> {
    pub(crate) fn new(level: Level) -> Self {
        #[cfg(not(target_arch = "x86_64"))]
        let _ = level;
        Self {
            #[cfg(target_arch = "x86_64")]
            packed: level.prime().map(Packed::new),
            scratch: Vec::new(),
        }
    }

    /// `sums[pair.sum] = source[pair.left] + source[pair.right]` for every pair.
    pub(crate) fn add_pairs(&mut self, pairs: &[Pair], source: &[Xy<B>], sums: &mut [Xy<B>]) {
        for batch in pairs.chunks(BATCH) {
            #[cfg(target_arch = "x86_64")]
            if let Some(packed) = &mut self.packed {
                packed.add_pairs(batch, source, sums);
                continue;
            }
            self.add_batch(batch, source, sums);
        }
    }

    fn add_batch(&mut self, pairs: &[Pair], source: &[Xy<B>], sums: &mut [Xy<B>]) {
        let read = |reference: u32| {
            let point = source[(reference & !NEGATED) as usize];
            point.signed(reference & NEGATED != 0)
        };
        self.scratch.clear();
        let mut product = B::ONE;
        for pair in pairs {
            let denominator = read(pair.left).denominator(&read(pair.right));
            self.scratch.push((denominator, product));
            product *= denominator;
        }
        let mut inverse = product.invert_vartime().unwrap_or(B::ZERO);
        for (pair, (denominator, before)) in pairs.iter().zip(&self.scratch).rev() {
            let (left, right) = (read(pair.left), read(pair.right));
            sums[pair.sum as usize] = left.add(&right, inverse * before);
            inverse *= denominator;
        }
    }
}

/// Affine forms of projective points.
pub(crate) fn normalize<C: Curve>(points: &[C::CurveExt]) -> Vec<C> {
    let mut affine = vec![C::identity(); points.len()];
    C::CurveExt::batch_normalize(points, &mut affine);
    affine
}
