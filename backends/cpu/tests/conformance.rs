//! The CPU backend against the reference, at every level. On a machine without AVX-512 IFMA the second level is the
//! portable one again.

use zkernel_backend_cpu::{Cpu, Level};

mod portable {
    use super::*;
    zkernel_backend_conformance::backend_suite!(Cpu::with_level(Level::PORTABLE));
}

mod avx512_ifma {
    use super::*;
    zkernel_backend_conformance::backend_suite!(Cpu::with_level(
        Level::avx512_ifma().unwrap_or(Level::PORTABLE)
    ));
}
