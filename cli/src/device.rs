//! The device that everything runs on: the CPU, at the best level it has unless the portable one is asked for.

use std::sync::atomic::{AtomicBool, Ordering};

use zkernel_backend_cpu::{Cpu, Level};

static PORTABLE: AtomicBool = AtomicBool::new(false);

/// Uses no instructions beyond those that every CPU of this kind has, from now on.
pub fn use_portable() {
    PORTABLE.store(true, Ordering::Relaxed);
}

/// The device.
pub fn device() -> Cpu {
    if PORTABLE.load(Ordering::Relaxed) {
        Cpu::with_level(Level::PORTABLE)
    } else {
        Cpu::new()
    }
}
