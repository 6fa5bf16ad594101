//! The device that is measured. To measure another one, name its backend here and in this crate's `Cargo.toml`; nothing
//! else of the benchmarks knows which it is.

use zkernel_backend_cpu::Cpu;

/// The backend.
pub type Device = Cpu;

/// Opens the device.
#[must_use]
pub fn open() -> Device {
    Cpu::new()
}
