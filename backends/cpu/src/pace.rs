//! What counts on a processor: all vector instructions, or those that multiply.

/// What the packed code has as few as possible of. Results are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Products of limbs: other vector instructions run beside them, on ports of their own (Zen 4 and later).
    FewProducts,
    /// Vector instructions of all kinds: products of limbs run on the same two ports as the others, two a clock, and cost what a
    /// shift does (servers of Intel since Sapphire Rapids).
    FewInstructions,
}

impl Pace {
    /// That of this processor.
    #[cfg(target_arch = "x86_64")]
    #[must_use]
    pub fn detect() -> Self {
        use core::arch::x86_64::{__cpuid, __cpuid_count};
        use std::sync::OnceLock;

        /// AVX512-FP16, in the edx of leaf 7: Intel's processors with it multiply limbs on both ports.
        const HALF_FLOATS: u32 = 1 << 23;
        /// Asked for once: a virtual machine answers slowly.
        static OWN: OnceLock<Pace> = OnceLock::new();
        *OWN.get_or_init(|| {
            let vendor = __cpuid(0);
            let intel = [vendor.ebx, vendor.edx, vendor.ecx].map(u32::to_le_bytes)
                == [*b"Genu", *b"ineI", *b"ntel"];
            if intel && vendor.eax >= 7 && __cpuid_count(7, 0).edx & HALF_FLOATS != 0 {
                Self::FewInstructions
            } else {
                Self::FewProducts
            }
        })
    }
}
