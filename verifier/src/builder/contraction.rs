//! The linear constraint that ties phase-2 cells to what they contract.

use alloc::vec::Vec;

use ff::PrimeField;

use crate::challenge::{Challenge, Coefficient};
use crate::form::{Axis, Factor, LinearForm, Source, Strided};
use crate::system::Contraction;

impl<F: PrimeField> Contraction<F> {
    /// The forms of `<target, sigma> - <sources, factors (x) sigma> = 0`.
    #[must_use]
    pub fn tie(&self) -> Vec<LinearForm<F>> {
        let one = Coefficient::constant(F::ONE);
        let target = Strided {
            source: Source::Track(self.target.track),
            start: self.target.start,
            axes: alloc::vec![Axis::new(
                self.target.len,
                1,
                Factor::powers(Challenge::Sigma)
            )],
            scale: one,
        };
        let mut forms = alloc::vec![LinearForm::Strided(target)];
        for term in &self.terms {
            let axes = self.axes(&term.outer, &term.inner);
            let source = Source::Track(term.track);
            let scale = Coefficient::constant(-term.scale);
            forms.push(LinearForm::Strided(Strided {
                source,
                start: term.start,
                axes,
                scale,
            }));
        }
        if !bool::from(self.constant.is_zero()) {
            let zeros = alloc::vec![0; self.outer.len().max(self.inner.len())];
            let axes = self.axes(&zeros, &zeros);
            let scale = Coefficient::constant(-self.constant);
            forms.push(LinearForm::Strided(Strided {
                source: Source::One,
                start: 0,
                axes,
                scale,
            }));
        }
        forms
    }

    fn axes(&self, outer: &[usize], inner: &[usize]) -> Vec<Axis<F>> {
        let mut step = self.target.len;
        let outer = self.outer.iter().zip(outer).map(|(len, stride)| {
            step = step.checked_div(*len).unwrap_or(0);
            let step = u32::try_from(step).unwrap_or(u32::MAX);
            Axis::new(
                *len,
                *stride,
                Factor::Powers {
                    challenge: Challenge::Sigma,
                    first: 0,
                    step,
                },
            )
        });
        let outer: Vec<_> = outer.collect();
        let inner = self
            .inner
            .iter()
            .zip(inner)
            .map(|((len, f), stride)| Axis::new(*len, *stride, f.clone()));
        // The rows of a matrix stay outermost, so that a tensor's form is an outer product per column.
        inner.chain(outer).collect()
    }
}
