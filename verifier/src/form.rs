//! Public linear forms over committed cells.
//!
//! A form is a strided view times an outer product of short vectors times a scale, or a sparse list. Geometric powers,
//! tensor products and (with windows in the short vectors) im2col are all of the first kind, so that devices, prover
//! and verifier each implement one loop:
//! `sum_{i_1..i_d} scale * prod_k factor_k[i_k] * cell[start + sum_k i_k * stride_k]`.

use alloc::boxed::Box;
use alloc::vec::Vec;

use ff::PrimeField;

use crate::challenge::{Challenge, Challenges, Coefficient};
use crate::curve::power;

/// Index of a track in [`crate::system::ConstraintSystem::tracks`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackId(pub u32);

/// Index of a public vector in [`crate::system::ConstraintSystem::instances`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId(pub u32);

/// One cell: a position in a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell {
    /// The track.
    pub track: TrackId,
    /// Position in the track; see [`crate::system::Track`] for its column and row.
    pub position: usize,
}

/// What a strided form reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// Committed cells.
    Track(TrackId),
    /// Public values: the form is evaluated by the verifier.
    Instance(InstanceId),
    /// The constant one at every position: the form is a public constant.
    One,
}

/// A short vector of an outer product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Factor<F> {
    /// All ones.
    One,
    /// `challenge^(first + step * i)`.
    Powers {
        /// The challenge; `Lambda` numbers the claims of a family and must be used with `first + step * i < claims`.
        challenge: Challenge,
        /// Exponent at index 0.
        first: u32,
        /// Increment of the exponent.
        step: u32,
    },
    /// Public constants, one per index.
    Values(Vec<F>),
    /// Entrywise product.
    Product(Vec<Factor<F>>),
    /// One axis of a convolution's im2col form.
    Window(Box<Window<F>>),
}

/// Output positions o and kernel positions k that read input i along one axis: entry i is
/// `sum of outer[o] kernel[k] over o stride + k dilation = i + offset`, `offset` being the padding before. Padding, stride and
/// dilation are inside this short vector; the unfolded input never exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window<F> {
    /// Factor over output positions.
    pub outer: Factor<F>,
    /// Number of output positions.
    pub outputs: usize,
    /// Factor over kernel positions.
    pub kernel: Factor<F>,
    /// Number of kernel positions.
    pub taps: usize,
    /// Input positions between neighbouring outputs.
    pub stride: usize,
    /// Input positions between neighbouring kernel positions.
    pub dilation: usize,
    /// Input positions before the first one.
    pub offset: usize,
}

impl<F: PrimeField> Window<F> {
    fn evaluate(&self, len: usize, challenges: &Challenges<F>) -> Vec<F> {
        let outer = self.outer.evaluate(self.outputs, challenges);
        let kernel = self.kernel.evaluate(self.taps, challenges);
        let mut values = alloc::vec![F::ZERO; len];
        for (o, left) in outer.iter().enumerate() {
            for (k, right) in kernel.iter().enumerate() {
                let read = o
                    .saturating_mul(self.stride)
                    .saturating_add(k.saturating_mul(self.dilation))
                    .checked_sub(self.offset);
                if let Some(value) = read.and_then(|i| values.get_mut(i)) {
                    *value += *left * right;
                }
            }
        }
        values
    }
}

/// One dimension of a strided view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Axis<F> {
    /// Number of indices.
    pub len: usize,
    /// Distance between neighbours, in positions; zero repeats the same cell.
    pub stride: usize,
    /// The factor along this dimension.
    pub factor: Factor<F>,
}

impl<F: PrimeField> Axis<F> {
    fn evaluate(&self, challenges: &Challenges<F>) -> EvaluatedAxis<F> {
        EvaluatedAxis {
            stride: self.stride,
            factor: self.factor.evaluate(self.len, challenges),
        }
    }
}

/// A strided view times an outer product times a scale.
///
/// ```
/// use pasta_curves::Fp;
/// use zkernel_verifier::challenge::{Challenge, Challenges, Coefficient};
/// use zkernel_verifier::form::{Axis, Factor, Source, Strided, TrackId};
///
/// // Every other cell from 10 on, times powers of rho.
/// let form = Strided {
///     source: Source::Track(TrackId(0)),
///     start: 10,
///     axes: vec![Axis::new(3, 2, Factor::powers(Challenge::Rho))],
///     scale: Coefficient::constant(Fp::one()),
/// };
/// let mut challenges = Challenges::new();
/// challenges.set(Challenge::Rho, Fp::from(7));
/// let mut terms = Vec::new();
/// form.evaluate(&challenges).for_each(|position, coefficient| terms.push((position, coefficient)));
/// assert_eq!(terms, [(10, Fp::from(1)), (12, Fp::from(7)), (14, Fp::from(49))]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strided<F> {
    /// What is read.
    pub source: Source,
    /// Position of index (0, .., 0).
    pub start: usize,
    /// The dimensions, outermost first.
    pub axes: Vec<Axis<F>>,
    /// A common factor.
    pub scale: Coefficient<F>,
}

/// One entry of a sparse form: `coefficient * lambda^claim * cell`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SparseEntry<F> {
    /// The cell.
    pub cell: Cell,
    /// Its coefficient.
    pub coefficient: F,
    /// Which claim of the constraint's family it belongs to.
    pub claim: u32,
}

/// A linear form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinearForm<F> {
    /// A strided outer product.
    Strided(Strided<F>),
    /// A list of cells, for irregular copies.
    Sparse(Vec<SparseEntry<F>>),
}

impl<F> LinearForm<F> {
    /// Whether the form reads cells of a track.
    #[must_use]
    pub fn reads(&self, id: TrackId) -> bool {
        match self {
            Self::Strided(strided) => strided.source == Source::Track(id),
            Self::Sparse(entries) => entries.iter().any(|entry| entry.cell.track == id),
        }
    }
}

/// The vector `first, first ratio, first ratio^2, ..`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometric<F> {
    /// Entry 0.
    pub first: F,
    /// Every entry by the one before.
    pub ratio: F,
}

impl<F: PrimeField> Geometric<F> {
    /// The sum of the first `len` entries: `S_2m = S_m + ratio^m S_m` and `S_(m+1) = 1 + ratio S_m`, bit after bit of the length.
    fn sum(self, len: usize) -> F {
        let bits = usize::BITS.saturating_sub(len.leading_zeros());
        let (sum, _) = (0..bits)
            .rev()
            .fold((F::ZERO, F::ONE), |(sum, power), bit| {
                let (sum, power) = (sum + power * sum, power.square());
                if len >> bit & 1 == 1 {
                    (F::ONE + self.ratio * sum, power * self.ratio)
                } else {
                    (sum, power)
                }
            });
        self.first * sum
    }

    /// The first `len` entries.
    fn entries(self, len: usize) -> Vec<F> {
        if self.ratio == F::ONE {
            return alloc::vec![self.first; len];
        }
        let next = |entry: &F| Some(*entry * self.ratio);
        core::iter::successors(Some(self.first), next)
            .take(len)
            .collect()
    }
}

impl<F: PrimeField> Factor<F> {
    /// Powers `1, challenge, challenge^2, ..`.
    #[must_use]
    pub const fn powers(challenge: Challenge) -> Self {
        Self::Powers {
            challenge,
            first: 0,
            step: 1,
        }
    }

    /// The factor of a part of the axis that begins at index `first`; [`Factor::Values`] are cut to `len`.
    #[must_use]
    pub fn part(&self, first: usize, len: usize) -> Self {
        let steps = u32::try_from(first).unwrap_or(u32::MAX);
        match self {
            Self::One => Self::One,
            Self::Powers {
                challenge,
                first,
                step,
            } => Self::Powers {
                challenge: *challenge,
                first: first.saturating_add(step.saturating_mul(steps)),
                step: *step,
            },
            Self::Values(values) => {
                Self::Values(values.iter().skip(first).take(len).copied().collect())
            }
            Self::Product(factors) => {
                Self::Product(factors.iter().map(|f| f.part(first, len)).collect())
            }
            Self::Window(window) => Self::Window(Box::new(Window {
                offset: window.offset.saturating_add(first),
                ..(**window).clone()
            })),
        }
    }

    /// The vector's `len` entries under `challenges`.
    #[must_use]
    pub fn evaluate(&self, len: usize, challenges: &Challenges<F>) -> Vec<F> {
        if let Some(geometric) = self.geometric(challenges) {
            return geometric.entries(len);
        }
        match self {
            Self::Values(values) => values.clone(),
            Self::Window(window) => window.evaluate(len, challenges),
            Self::Product(factors) => {
                let each = factors
                    .iter()
                    .map(|factor| factor.evaluate(len, challenges));
                let product = |a: Vec<F>, b| a.iter().zip(b).map(|(a, b)| *a * b).collect();
                each.reduce(product).unwrap_or_default()
            }
            Self::One | Self::Powers { .. } => Vec::new(),
        }
    }

    /// The sum of the vector's `len` entries under `challenges`.
    #[must_use]
    pub fn sum(&self, len: usize, challenges: &Challenges<F>) -> F {
        match self.geometric(challenges) {
            Some(geometric) => geometric.sum(len),
            None => self.evaluate(len, challenges).iter().sum(),
        }
    }

    /// The vector as a geometric sequence, if its kind is one.
    #[must_use]
    pub fn geometric(&self, challenges: &Challenges<F>) -> Option<Geometric<F>> {
        let ones = Geometric {
            first: F::ONE,
            ratio: F::ONE,
        };
        match self {
            Self::One => Some(ones),
            Self::Powers {
                challenge,
                first,
                step,
            } => {
                let x = challenges.get(*challenge);
                Some(Geometric {
                    first: power(x, u64::from(*first)),
                    ratio: power(x, u64::from(*step)),
                })
            }
            Self::Values(_) | Self::Window(_) => None,
            Self::Product(factors) => factors.iter().try_fold(ones, |product, factor| {
                let factor = factor.geometric(challenges)?;
                Some(Geometric {
                    first: product.first * factor.first,
                    ratio: product.ratio * factor.ratio,
                })
            }),
        }
    }

    /// Visits every challenge this factor depends on with the largest exponent used at `len` entries.
    pub(crate) fn challenges(&self, len: usize, visit: &mut impl FnMut(Challenge, u64)) {
        match self {
            Self::One | Self::Values(_) => {}
            Self::Powers {
                challenge,
                first,
                step,
            } => {
                let last = u64::try_from(len.saturating_sub(1)).unwrap_or(u64::MAX);
                visit(
                    *challenge,
                    u64::from(*first).saturating_add(u64::from(*step).saturating_mul(last)),
                );
            }
            Self::Product(factors) => factors.iter().for_each(|f| f.challenges(len, visit)),
            Self::Window(window) => {
                window.outer.challenges(window.outputs, visit);
                window.kernel.challenges(window.taps, visit);
            }
        }
    }
}

impl<F: PrimeField> Axis<F> {
    /// A dimension of `len` cells `stride` apart with the given factor.
    #[must_use]
    pub const fn new(len: usize, stride: usize, factor: Factor<F>) -> Self {
        Self {
            len,
            stride,
            factor,
        }
    }
}

impl<F: PrimeField> Strided<F> {
    /// The largest position read, `None` if the view is empty or overflows.
    #[must_use]
    pub fn last_position(&self) -> Option<usize> {
        self.axes.iter().try_fold(self.start, |end, axis| {
            let steps = axis.len.checked_sub(1)?;
            end.checked_add(steps.checked_mul(axis.stride)?)
        })
    }

    /// Number of terms of the sum, saturating.
    #[must_use]
    pub fn terms(&self) -> usize {
        self.axes
            .iter()
            .fold(1, |n, axis| n.saturating_mul(axis.len))
    }

    /// The form with all factors evaluated. Dimensions of one index and those that repeat the same cells are part of the
    /// scale; one of neighbouring cells is the innermost.
    #[must_use]
    pub fn evaluate(&self, challenges: &Challenges<F>) -> EvaluatedView<F> {
        let neighbours = self.neighbours();
        let mut view = self.evaluate_others(neighbours, challenges);
        let axis = neighbours.and_then(|index| self.axes.get(index));
        view.axes.extend(axis.map(|axis| axis.evaluate(challenges)));
        view
    }

    /// The dimension of neighbouring cells, if there is one: the last of them.
    pub(crate) fn neighbours(&self) -> Option<usize> {
        let neighbours = |axis: &Axis<F>| axis.stride == 1 && axis.len > 1;
        self.axes.iter().rposition(neighbours)
    }

    /// As [`Strided::evaluate`] without one of the dimensions.
    pub(crate) fn evaluate_others(
        &self,
        without: Option<usize>,
        challenges: &Challenges<F>,
    ) -> EvaluatedView<F> {
        let mut scale = self.scale.evaluate(challenges);
        let mut axes = Vec::new();
        let axes_of_form = self.axes.iter().enumerate();
        for (_, axis) in axes_of_form.filter(|(index, _)| Some(*index) != without) {
            if axis.stride == 0 || axis.len == 1 {
                scale *= axis.factor.sum(axis.len, challenges);
            } else {
                axes.push(axis.evaluate(challenges));
            }
        }
        EvaluatedView {
            start: self.start,
            axes,
            scale,
        }
    }
}

/// A strided view whose factors are field elements: what devices are given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvaluatedView<F> {
    /// Position of index (0, .., 0).
    pub start: usize,
    /// The dimensions, innermost last.
    pub axes: Vec<EvaluatedAxis<F>>,
    /// A common factor.
    pub scale: F,
}

/// One dimension of an [`EvaluatedView`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvaluatedAxis<F> {
    /// Distance between neighbours, in positions.
    pub stride: usize,
    /// One factor per index.
    pub factor: Vec<F>,
}

impl<F: PrimeField> EvaluatedView<F> {
    /// Visits every `(position, coefficient)` of the view, innermost dimension fastest.
    pub fn for_each(&self, mut visit: impl FnMut(usize, F)) {
        walk(&self.axes, self.start, self.scale, &mut visit);
    }
}

fn walk<F: PrimeField>(
    axes: &[EvaluatedAxis<F>],
    position: usize,
    scale: F,
    visit: &mut impl FnMut(usize, F),
) {
    let Some((axis, inner)) = axes.split_first() else {
        visit(position, scale);
        return;
    };
    let mut position = position;
    for factor in &axis.factor {
        walk(inner, position, scale * factor, visit);
        position = position.saturating_add(axis.stride);
    }
}
