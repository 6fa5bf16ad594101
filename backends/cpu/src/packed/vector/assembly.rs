//! What the compiler is told by `asm!`: an order, values that are new to it, and operands that stay in memory.

use super::Vector;

/// The same reference. The compiler takes it for another one, and does not carry over what it has read through the first.
#[expect(
    clippy::pointers_in_nomem_asm_block,
    reason = "the comment reads nothing"
)]
#[inline(always)]
pub(in crate::packed) fn another<T>(reference: &T) -> &T {
    let mut pointer = core::ptr::from_ref(reference);
    // SAFETY: no instruction: a comment that names a register, which still holds the pointer of a reference.
    unsafe {
        core::arch::asm!("/* {} */", inout(reg) pointer, options(pure, nomem, nostack, preserves_flags));
        &*pointer
    }
}

/// Asks for the line of an address to be written, of which no other processor keeps a copy then. Nothing is read.
#[expect(
    clippy::pointers_in_nomem_asm_block,
    reason = "prefetching reads nothing that the program sees"
)]
#[inline(always)]
pub(in crate::packed) fn claim_at<T>(address: *const T) {
    // SAFETY: prefetching changes nothing and never fails, whatever the address.
    unsafe {
        core::arch::asm!("prefetchw byte ptr [{}]", in(reg) address, options(nomem, nostack, preserves_flags));
    }
}

/// See [`Vector::pinned`].
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn pin(vectors: [Vector; 4]) -> [Vector; 4] {
    let [mut a, mut b, mut c, mut d] = vectors;
    // SAFETY: no instruction: a comment that names four registers.
    unsafe {
        core::arch::asm!(
            "/* {} {} {} {} */",
            inout(zmm_reg) a.0, inout(zmm_reg) b.0, inout(zmm_reg) c.0, inout(zmm_reg) d.0,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    [a, b, c, d]
}

/// See [`Vector::low_at`].
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn low_at<const J: usize>(mut sum: Vector, b: Vector, c: &[Vector; 5]) -> Vector {
    const { assert!(J < 5) };
    // SAFETY: the instruction reads 64 aligned bytes, factor J.
    unsafe {
        core::arch::asm!(
            "vpmadd52luq {}, {}, zmmword ptr [{} + {}]",
            inout(zmm_reg) sum.0, in(zmm_reg) b.0, in(reg) c, const 64 * J,
            options(pure, readonly, nostack, preserves_flags)
        );
    }
    sum
}

/// See [`Vector::high_at`].
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn high_at<const J: usize>(mut sum: Vector, b: Vector, c: &[Vector; 5]) -> Vector {
    const { assert!(J < 5) };
    // SAFETY: the instruction reads 64 aligned bytes, factor J.
    unsafe {
        core::arch::asm!(
            "vpmadd52huq {}, {}, zmmword ptr [{} + {}]",
            inout(zmm_reg) sum.0, in(zmm_reg) b.0, in(reg) c, const 64 * J,
            options(pure, readonly, nostack, preserves_flags)
        );
    }
    sum
}
