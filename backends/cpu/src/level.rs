//! The levels of the CPU backend: which instructions it uses.

use crate::pace::Pace;
#[cfg(target_arch = "x86_64")]
use crate::packed::{prime::Prime, vector::Ifma};

/// Instructions that the backend uses. Results are the same at every level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx512Ifma(Ifma),
}

impl Level {
    /// Plain `pasta_curves`, on any machine.
    pub const PORTABLE: Self = Self(Kind::Portable);

    /// Eight field elements at a time with AVX-512 F, DQ, IFMA and VBMI2, where the machine has them.
    #[must_use]
    pub fn avx512_ifma() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        return Ifma::new().map(|ifma| Self(Kind::Avx512Ifma(ifma)));
        #[cfg(not(target_arch = "x86_64"))]
        None
    }

    /// As [`Level::avx512_ifma`], with code for processors of a pace, which need not be this one's.
    #[must_use]
    pub fn avx512_ifma_at(pace: Pace) -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        return Ifma::at(pace).map(|ifma| Self(Kind::Avx512Ifma(ifma)));
        #[cfg(not(target_arch = "x86_64"))]
        {
            let _ = pace;
            None
        }
    }

    /// Every level that this machine runs: the portable one, then the packed one at each pace.
    #[must_use]
    pub fn of_this_machine() -> Vec<Self> {
        let packed = [Pace::FewProducts, Pace::FewInstructions].map(Self::avx512_ifma_at);
        let packed = packed.into_iter().flatten();
        core::iter::once(Self::PORTABLE).chain(packed).collect()
    }

    /// The fastest level of this machine.
    #[must_use]
    pub fn detect() -> Self {
        Self::avx512_ifma().unwrap_or(Self::PORTABLE)
    }

    /// Name, for reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.0 {
            Kind::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512Ifma(_) => "avx512-ifma",
        }
    }

    /// The proof that its instructions are there, if it has vectors.
    #[cfg(target_arch = "x86_64")]
    pub(crate) const fn ifma(self) -> Option<Ifma> {
        match self.0 {
            Kind::Portable => None,
            Kind::Avx512Ifma(ifma) => Some(ifma),
        }
    }

    /// Whether sums of points are added while the terms of others are sorted, part by part.
    #[cfg_attr(
        not(target_arch = "x86_64"),
        allow(clippy::extra_unused_type_parameters)
    )]
    pub(crate) fn adds_meanwhile<F: ff::PrimeField>(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        return self.prime::<F>().is_some();
        #[cfg(not(target_arch = "x86_64"))]
        false
    }

    /// Packed arithmetic of F at this level.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn prime<F: ff::PrimeField>(self) -> Option<Prime<F>> {
        match self.0 {
            Kind::Portable => None,
            Kind::Avx512Ifma(ifma) => Prime::new(ifma),
        }
    }
}
