//! The CPU backend against the reference, at every level and pace. On a machine without AVX-512 IFMA all are the portable one.

use zkernel_backend_cpu::{Cpu, Level, Pace};

mod portable {
    use super::*;
    zkernel_backend_conformance::backend_suite!(Cpu::with_level(Level::PORTABLE));
}

mod avx512_ifma_few_products {
    use super::*;
    zkernel_backend_conformance::backend_suite!(Cpu::with_level(
        Level::avx512_ifma_at(Pace::FewProducts).unwrap_or(Level::PORTABLE)
    ));
}

mod avx512_ifma_few_instructions {
    use super::*;
    zkernel_backend_conformance::backend_suite!(Cpu::with_level(
        Level::avx512_ifma_at(Pace::FewInstructions).unwrap_or(Level::PORTABLE)
    ));
}
