//! Representations: every tensor is an affine combination of committed cells or public values, element by element. All
//! wiring (reshape, transpose, windows, sums, additions) changes representations and costs no cell.

use ff::PrimeField;
use zkernel_verifier::challenge::{Challenge, Coefficient};
use zkernel_verifier::curve::signed;
use zkernel_verifier::form::{Axis, Factor, LinearForm, Source, Strided};
use zkernel_verifier::system::Region;

use crate::model::geometry::Geometry;

/// The elements of a tensor along one axis that a term contributes to: `first, first + step, ..`, `len` of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) first: usize,
    pub(crate) len: usize,
    pub(crate) step: usize,
    /// Distance in positions between neighbouring elements of the span.
    pub(crate) stride: usize,
}

/// `scale * sum over sums of source[start + sum_k j_k stride_k + ..]` at element `first_k + j_k step_k` of each axis k, zero
/// at other elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Term {
    pub(crate) source: Source,
    pub(crate) start: usize,
    pub(crate) spans: Vec<Span>,
    /// Lengths and strides that are summed over.
    pub(crate) sums: Vec<(usize, usize)>,
    pub(crate) scale: i64,
}

/// A sum of terms over a shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Representation {
    pub(crate) shape: Vec<usize>,
    pub(crate) terms: Vec<Term>,
}

/// Row-major strides of a shape.
pub(crate) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

/// Factors that number the elements of a shape by powers of a challenge, row-major, from `challenge^first`.
pub(crate) fn numbering<F>(shape: &[usize], challenge: Challenge) -> Vec<Factor<F>> {
    let power = |stride: usize| Factor::Powers {
        challenge,
        first: 0,
        step: u32::try_from(stride).unwrap_or(u32::MAX),
    };
    strides(shape).into_iter().map(power).collect()
}

impl Representation {
    /// Consecutive values of a source, row-major.
    pub(crate) fn of(source: Source, start: usize, shape: &[usize]) -> Self {
        let spans = strides(shape).into_iter().zip(shape);
        let spans = spans.map(|(stride, len)| Span {
            first: 0,
            len: *len,
            step: 1,
            stride,
        });
        let term = Term {
            source,
            start,
            spans: spans.collect(),
            sums: Vec::new(),
            scale: 1,
        };
        Self {
            shape: shape.to_vec(),
            terms: vec![term],
        }
    }

    /// Whether every term is made of cells and covers every element.
    pub(crate) fn is_whole(&self) -> bool {
        let whole = |(span, len): (&Span, &usize)| {
            span.first == 0 && span.len == *len && (span.step == 1 || *len == 1)
        };
        self.has_cells()
            && self
                .terms
                .iter()
                .all(|t| t.spans.iter().zip(&self.shape).all(whole))
    }

    /// Whether no term is a public value, which phase-2 cells cannot be made of.
    pub(crate) fn has_cells(&self) -> bool {
        let public = |term: &Term| matches!(term.source, Source::Instance(_));
        !self.terms.iter().any(public)
    }

    /// Whether every term reads neighbouring elements.
    pub(crate) fn has_unit_steps(&self) -> bool {
        self.terms
            .iter()
            .flat_map(|term| &term.spans)
            .all(|span| span.step == 1)
    }

    /// Cells that are the values themselves.
    pub(crate) fn cells(region: Region, shape: &[usize]) -> Self {
        Self::of(Source::Track(region.track), region.start, shape)
    }

    /// The same value everywhere.
    pub(crate) fn constant(value: i64, shape: &[usize]) -> Self {
        let mut all = Self::of(Source::One, 0, shape);
        for span in all.terms.iter_mut().flat_map(|term| &mut term.spans) {
            span.stride = 0;
        }
        all.times(value)
    }

    pub(crate) fn times(mut self, scale: i64) -> Self {
        self.terms.iter_mut().for_each(|term| term.scale *= scale);
        self.terms.retain(|term| term.scale != 0);
        self
    }

    /// As [`Self::times`]; `None` if a factor reaches that magnitude.
    pub(crate) fn scaled(self, scale: i64, limit: i64) -> Option<Self> {
        let product = |term: &Term| term.scale.checked_mul(scale)?.checked_abs();
        let small = |term: &Term| product(term).is_some_and(|scale| scale < limit);
        self.terms.iter().all(small).then(|| self.times(scale))
    }

    pub(crate) fn plus(mut self, other: Self) -> Self {
        debug_assert_eq!(self.shape, other.shape);
        self.terms.extend(other.terms);
        self
    }

    /// The values repeated along the last axis, which had length one.
    pub(crate) fn repeat_last(mut self, len: usize) -> Self {
        if let Some(last) = self.shape.last_mut() {
            *last = len;
        }
        for span in self
            .terms
            .iter_mut()
            .filter_map(|term| term.spans.last_mut())
        {
            (span.len, span.stride) = (len, 0);
        }
        self
    }

    /// Output axis i is input axis `axes[i]`.
    pub(crate) fn transposed(&self, axes: &[usize]) -> Self {
        let mut out = self.clone();
        out.shape = axes.iter().map(|axis| self.shape[*axis]).collect();
        for (term, old) in out.terms.iter_mut().zip(&self.terms) {
            term.spans = axes.iter().map(|axis| old.spans[*axis]).collect();
        }
        out
    }

    /// The same elements under another shape; `None` if a term is no strided view of that shape.
    pub(crate) fn reshaped(&self, shape: &[usize]) -> Option<Self> {
        let terms = self.terms.iter().map(|term| {
            let spans = reshape_spans(&self.shape, &term.spans, shape)?;
            Some(Term {
                spans,
                ..term.clone()
            })
        });
        Some(Self {
            shape: shape.to_vec(),
            terms: terms.collect::<Option<_>>()?,
        })
    }

    /// What a tap of a window reads from `(n, c, h, w)`, for every output; nothing in the padding. `None` if a term has
    /// steps along a spatial axis, or there are not four axes.
    pub(crate) fn tap(&self, geometry: &Geometry, tap: usize, outputs: [usize; 2]) -> Option<Self> {
        let taps = geometry.tap(tap);
        let mut out = self.clone();
        let &mut [_, _, ref mut height, ref mut width] = &mut out.shape[..] else {
            return None;
        };
        [*height, *width] = outputs;
        for term in &mut out.terms {
            for axis in 0..2 {
                let span = &mut term.spans[2 + axis];
                if span.step != 1 {
                    return None;
                }
                // Before the span is padding too.
                let mut inside = *geometry;
                inside.before[axis] += span.first;
                let valid = inside.valid(axis, taps[axis], span.len, outputs[axis]);
                let read = inside.read(axis, valid.start, taps[axis], span.len);
                term.start += read.unwrap_or(0) * span.stride;
                *span = Span {
                    first: valid.start,
                    len: valid.len(),
                    step: 1,
                    stride: span.stride * geometry.stride[axis],
                };
            }
        }
        out.terms
            .retain(|term| term.spans.iter().all(|span| span.len > 0));
        Some(out)
    }

    /// Sums over windows: all taps at once where no window leaves the input, else tap by tap.
    pub(crate) fn window_sums(&self, geometry: &Geometry, outputs: [usize; 2]) -> Option<Self> {
        let whole = |term: &Term| {
            let sizes = term.spans.iter().zip(&self.shape);
            sizes.skip(2).all(|(span, len)| span.len == *len)
        };
        let inside = geometry.before == [0, 0] && geometry.after == [0, 0];
        if !inside || !self.terms.iter().all(whole) {
            let taps = (0..geometry.taps()).map(|tap| self.tap(geometry, tap, outputs));
            let taps = taps.collect::<Option<Vec<_>>>()?;
            return taps.into_iter().reduce(Self::plus);
        }
        let mut out = self.tap(geometry, 0, outputs)?;
        for (term, old) in out.terms.iter_mut().zip(&self.terms) {
            for axis in 0..2 {
                let stride = old.spans[2 + axis].stride * geometry.dilation[axis];
                term.sums.push((geometry.kernel[axis], stride));
            }
        }
        Some(out)
    }

    /// The forms of `sign * sum over elements of value * prod_k factors[k]`; `None` for a factor that cannot be cut so.
    pub(crate) fn forms<F: PrimeField>(
        &self,
        factors: &[Factor<F>],
        sign: i64,
    ) -> Option<Vec<LinearForm<F>>> {
        let form = |term: &Term| {
            let axes = term.spans.iter().zip(factors).map(|(span, factor)| {
                let part = cut(factor, span)?;
                Some(Axis::new(span.len, span.stride, part))
            });
            let sums = term.sums.iter();
            let sums = sums.map(|(len, stride)| Some(Axis::new(*len, *stride, Factor::One)));
            Some(LinearForm::Strided(Strided {
                source: term.source,
                start: term.start,
                axes: axes.chain(sums).collect::<Option<_>>()?,
                scale: Coefficient::constant(signed(sign * term.scale)),
            }))
        };
        self.terms.iter().map(form).collect()
    }
}

/// The entries of a factor at the elements of a span.
fn cut<F: PrimeField>(factor: &Factor<F>, span: &Span) -> Option<Factor<F>> {
    if span.step == 1 {
        return Some(factor.part(span.first, span.len));
    }
    match factor {
        Factor::One => Some(Factor::One),
        Factor::Powers { step, .. } => {
            let Factor::Powers {
                challenge, first, ..
            } = factor.part(span.first, span.len)
            else {
                return None;
            };
            let step = step.checked_mul(u32::try_from(span.step).ok()?)?;
            Some(Factor::Powers {
                challenge,
                first,
                step,
            })
        }
        Factor::Values(values) => {
            let chosen = values.iter().skip(span.first).step_by(span.step);
            Some(Factor::Values(chosen.take(span.len).copied().collect()))
        }
        Factor::Product(factors) => {
            let parts = factors.iter().map(|f| cut(f, span));
            Some(Factor::Product(parts.collect::<Option<_>>()?))
        }
        Factor::Window(_) => None,
    }
}

/// Spans of the same elements under another shape: axes are grouped so that products agree, and a group that is not one
/// axis must be whole and evenly spaced. Axes of length one come and go.
fn reshape_spans(old: &[usize], spans: &[Span], new: &[usize]) -> Option<Vec<Span>> {
    if spans
        .iter()
        .zip(old)
        .any(|(span, len)| *len == 1 && span.len != 1)
    {
        return None;
    }
    let long = old.iter().zip(spans).filter(|(len, _)| **len != 1);
    let (old, spans): (Vec<usize>, Vec<Span>) = long.unzip();
    let target: Vec<usize> = new.iter().copied().filter(|len| *len != 1).collect();
    let (mut i, mut j) = (0, 0);
    let mut grouped = Vec::new();
    while i < old.len() || j < target.len() {
        let (first_i, first_j) = (i, j);
        let (mut left, mut right) = (*old.get(i)?, *target.get(j)?);
        (i, j) = (i + 1, j + 1);
        while left != right {
            if left < right {
                left *= *old.get(i)?;
                i += 1;
            } else {
                right *= *target.get(j)?;
                j += 1;
            }
        }
        grouped.extend(regroup(
            &spans[first_i..i],
            &old[first_i..i],
            &target[first_j..j],
        )?);
    }
    let mut grouped = grouped.into_iter();
    let span = |len: &usize| match len {
        1 => Some(Span {
            first: 0,
            len: 1,
            step: 1,
            stride: 0,
        }),
        _ => grouped.next(),
    };
    new.iter().map(span).collect()
}

fn regroup(spans: &[Span], old: &[usize], new: &[usize]) -> Option<Vec<Span>> {
    if let ([span], [_]) = (spans, new) {
        return Some(vec![*span]);
    }
    let whole =
        |(span, len): (&Span, &usize)| span.first == 0 && span.len == *len && span.step == 1;
    let even = |i: usize| spans[i].stride == spans[i + 1].stride * old[i + 1];
    if !spans.iter().zip(old).all(whole) || !(0..spans.len() - 1).all(even) {
        return None;
    }
    let unit = spans.last().map_or(0, |span| span.stride);
    let spans = strides(new).into_iter().zip(new).map(|(stride, len)| Span {
        first: 0,
        len: *len,
        step: 1,
        stride: stride * unit,
    });
    Some(spans.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use zkernel_verifier::form::TrackId;

    fn positions(rep: &Representation, shape: &[usize]) -> Vec<usize> {
        // Every element's position, for a single full term.
        let term = &rep.terms[0];
        let total: usize = shape.iter().product();
        let of = |mut index: usize| {
            let mut position = term.start;
            for (len, span) in shape.iter().zip(&term.spans).rev() {
                position += (index % len) * span.stride;
                index /= len;
            }
            position
        };
        (0..total).map(of).collect()
    }

    #[test]
    fn reshapes_keep_the_order_of_elements() {
        let cells = Representation::of(Source::Track(TrackId(0)), 5, &[2, 3, 4]);
        for shape in [
            vec![24],
            vec![6, 4],
            vec![2, 12],
            vec![1, 2, 1, 3, 4, 1],
            vec![4, 6],
            vec![2, 1, 3, 2, 2],
        ] {
            let reshaped = cells.reshaped(&shape).unwrap();
            assert_eq!(
                positions(&reshaped, &shape),
                (5..29).collect::<Vec<_>>(),
                "{shape:?}"
            );
            assert_eq!(reshaped.reshaped(&[2, 3, 4]).unwrap(), cells);
        }
        // A transposed view has no row-major order to regroup.
        let transposed = cells.transposed(&[1, 0, 2]);
        assert_eq!(transposed.shape, [3, 2, 4]);
        assert!(transposed.reshaped(&[24]).is_none());
        assert!(transposed.reshaped(&[3, 2, 2, 2]).is_some());
        let one = Representation::of(Source::Track(TrackId(0)), 0, &[1, 1, 1]);
        assert!(one.reshaped(&[1]).is_some() && one.reshaped(&[]).is_some());
    }
}
