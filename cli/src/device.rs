//! The device that everything runs on: the CPU, at the best level it has unless the portable one is asked for.

use std::sync::OnceLock;

use zkernel_backend_cpu::{Cpu, Level};

static PORTABLE: OnceLock<()> = OnceLock::new();

/// Uses no instructions beyond those that every CPU of this kind has, from now on.
pub fn use_portable() {
    // Asked for once or more, it is the same.
    drop(PORTABLE.set(()));
}

/// The device.
pub fn device() -> Cpu {
    match PORTABLE.get() {
        Some(()) => Cpu::with_level(Level::PORTABLE),
        None => Cpu::new(),
    }
}
