//! Affine additions in batches that share one inversion, and sums of points by bucket.
//!
//! An addition costs 5 multiplications and a square; equal, opposite and identity operands are handled.

use group::Curve as _;
use pasta_curves::arithmetic::{CurveAffine, VartimeField};
use zkernel_backend::Curve;

/// A point; the identity is (0, 0), which is not on either curve (b = 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
        C::from_xy(self.x, self.y).expect("sums of curve points are on the curve")
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

/// `left[i] += right[i]`; `scratch` is overwritten.
pub(crate) fn add_all<B: ff::Field + VartimeField>(
    left: &mut [Xy<B>],
    right: &[Xy<B>],
    scratch: &mut Vec<(B, B)>,
) {
    scratch.clear();
    let mut product = B::ONE;
    for (l, r) in left.iter().zip(right) {
        let denominator = l.denominator(r);
        scratch.push((denominator, product));
        product *= denominator;
    }
    let mut inverse = product.invert_vartime().unwrap_or(B::ZERO);
    for ((l, r), (denominator, before)) in left.iter_mut().zip(right).zip(scratch.iter()).rev() {
        *l = l.add(r, inverse * before);
        inverse *= denominator;
    }
}

/// Sums the points of every bucket: pairs within a bucket are added, all buckets together, until one is left of each.
pub(crate) fn sum_buckets<B: ff::Field + VartimeField>(
    terms: &[(u32, Xy<B>)],
    buckets: usize,
) -> Vec<Xy<B>> {
    let mut starts = vec![0usize; buckets + 1];
    for (bucket, _) in terms {
        starts[*bucket as usize + 1] += 1;
    }
    let mut counts: Vec<usize> = starts[1..].to_vec();
    for i in 0..buckets {
        starts[i + 1] += starts[i];
    }
    let mut next = starts;
    let mut points = vec![Xy::IDENTITY; terms.len()];
    for (bucket, point) in terms {
        let slot = &mut next[*bucket as usize];
        points[*slot] = *point;
        *slot += 1;
    }
    while counts.iter().any(|count| *count > 1) {
        points = add_pairs(&points, &mut counts);
    }
    let mut points = points.into_iter();
    let one = |count: &usize| if *count == 0 { None } else { points.next() };
    counts
        .iter()
        .map(one)
        .map(|p| p.unwrap_or(Xy::IDENTITY))
        .collect()
}

/// One round of [`sum_buckets`]: halves the points of every bucket, an odd one out goes along with the identity.
fn add_pairs<B: ff::Field + VartimeField>(points: &[Xy<B>], counts: &mut [usize]) -> Vec<Xy<B>> {
    let mut left = Vec::with_capacity(points.len() / 2 + counts.len());
    let mut right = Vec::with_capacity(left.capacity());
    let mut rest = points;
    for count in counts.iter_mut() {
        let (bucket, after) = rest.split_at(*count);
        rest = after;
        for pair in bucket.chunks(2) {
            left.push(pair[0]);
            right.push(pair.get(1).copied().unwrap_or(Xy::IDENTITY));
        }
        *count = count.div_ceil(2);
    }
    add_all(&mut left, &right, &mut Vec::with_capacity(right.len()));
    left
}

/// `sum_b (b + 1) buckets[b]` by running sums.
pub(crate) fn weigh<C: Curve>(buckets: &[Xy<C::Base>]) -> C::CurveExt {
    let (mut running, mut total) = (C::identity().to_curve(), C::identity().to_curve());
    let used = buckets.iter().rposition(|b| !b.is_identity());
    for bucket in buckets[..used.map_or(0, |last| last + 1)].iter().rev() {
        if !bucket.is_identity() {
            running += bucket.point::<C>();
        }
        total += running;
    }
    total
}

/// Affine forms of projective points.
pub(crate) fn normalize<C: Curve>(points: &[C::CurveExt]) -> Vec<C> {
    let mut affine = vec![C::identity(); points.len()];
    C::CurveExt::batch_normalize(points, &mut affine);
    affine
}
