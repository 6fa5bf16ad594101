//! The CPU backend against the reference.

use zkernel_backend_cpu::Cpu;

zkernel_backend_conformance::backend_suite!(Cpu::new());
