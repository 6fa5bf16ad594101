//! Canonical bytes of linear forms, and of what they tie.

use ff::PrimeField;

use super::{Encode, elements};
use crate::encoding::Writer;
use crate::form::{Axis, Cell, Factor, LinearForm, Source, SparseEntry, Strided, Window};
use crate::system::{Contraction, ContractionTerm, Derivation, LinearConstraint};

impl<F: PrimeField> Encode for Factor<F> {
    fn encode(&self, w: &mut Writer) {
        match self {
            Self::One => w.u8(0),
            Self::Powers {
                challenge,
                first,
                step,
            } => {
                w.u8(1);
                challenge.encode(w);
                first.encode(w);
                step.encode(w);
            }
            Self::Values(values) => {
                w.u8(2);
                elements(values, w);
            }
            Self::Product(factors) => {
                w.u8(3);
                factors.encode(w);
            }
            Self::Window(window) => {
                w.u8(4);
                let Window {
                    outer,
                    outputs,
                    kernel,
                    taps,
                    stride,
                    dilation,
                    offset,
                } = &**window;
                outer.encode(w);
                kernel.encode(w);
                for size in [outputs, taps, stride, dilation, offset] {
                    size.encode(w);
                }
            }
        }
    }
}

impl<F: PrimeField> Encode for Axis<F> {
    fn encode(&self, w: &mut Writer) {
        let Self {
            len,
            stride,
            factor,
        } = self;
        len.encode(w);
        stride.encode(w);
        factor.encode(w);
    }
}

impl Encode for Source {
    fn encode(&self, w: &mut Writer) {
        match self {
            Self::Track(id) => {
                w.u8(0);
                id.encode(w);
            }
            Self::Instance(id) => {
                w.u8(1);
                id.encode(w);
            }
            Self::One => w.u8(2),
        }
    }
}

impl<F: PrimeField> Encode for Strided<F> {
    fn encode(&self, w: &mut Writer) {
        let Self {
            source,
            start,
            axes,
            scale,
        } = self;
        source.encode(w);
        start.encode(w);
        axes.encode(w);
        scale.encode(w);
    }
}

impl<F: PrimeField> Encode for SparseEntry<F> {
    fn encode(&self, w: &mut Writer) {
        let Self {
            cell: Cell { track, position },
            coefficient,
            claim,
        } = self;
        track.encode(w);
        position.encode(w);
        w.scalar(coefficient);
        claim.encode(w);
    }
}

impl<F: PrimeField> Encode for LinearForm<F> {
    fn encode(&self, w: &mut Writer) {
        match self {
            Self::Strided(strided) => {
                w.u8(0);
                strided.encode(w);
            }
            Self::Sparse(entries) => {
                w.u8(1);
                entries.encode(w);
            }
        }
    }
}

impl<F: PrimeField> Encode for LinearConstraint<F> {
    fn encode(&self, w: &mut Writer) {
        let Self {
            name,
            claims,
            forms,
        } = self;
        w.string(name);
        claims.encode(w);
        forms.encode(w);
    }
}

impl<F: PrimeField> Encode for ContractionTerm<F> {
    fn encode(&self, w: &mut Writer) {
        let Self {
            track,
            start,
            outer,
            inner,
            scale,
        } = self;
        track.encode(w);
        start.encode(w);
        outer.encode(w);
        inner.encode(w);
        w.scalar(scale);
    }
}

impl<F: PrimeField> Encode for Contraction<F> {
    fn encode(&self, w: &mut Writer) {
        let Self {
            name,
            outer,
            inner,
            terms,
            constant,
            target,
        } = self;
        w.string(name);
        outer.encode(w);
        inner.encode(w);
        terms.encode(w);
        w.scalar(constant);
        target.encode(w);
    }
}

impl<F: PrimeField> Encode for Derivation<F> {
    fn encode(&self, w: &mut Writer) {
        match self {
            Self::Contract(contraction) => {
                w.u8(0);
                contraction.encode(w);
            }
            Self::Product {
                left,
                right,
                target,
            } => {
                w.u8(1);
                left.encode(w);
                right.encode(w);
                target.encode(w);
            }
        }
    }
}
