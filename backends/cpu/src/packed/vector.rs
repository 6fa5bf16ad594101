//! A vector of eight 64-bit words, and the proof that the machine has the instructions.
//!
//! A [`Vector`] can only be made from an [`Ifma`], which exists only where the instructions do: that is why every
//! intrinsic here is sound. All of it inlines into functions compiled for those features.

use core::arch::x86_64::*;

mod assembly;
mod shuffles;

pub(super) use self::assembly::another;
pub(super) use self::assembly::claim_at;
use self::assembly::{high_at, low_at, pin};
use crate::pace::Pace;

/// Proof that AVX-512 F, IFMA, VBMI2, DQ and BW are there, and what counts on this processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ifma(Pace);

impl Ifma {
    /// The proof, where it holds.
    pub(crate) fn new() -> Option<Self> {
        Self::at(Pace::detect())
    }

    /// Whether the code with [`Pace::FewInstructions`] is asked for.
    pub(crate) fn few_instructions(self) -> bool {
        self.0 == Pace::FewInstructions
    }

    /// The proof, where it holds, for code of a pace: each runs on all these processors.
    pub(crate) fn at(pace: Pace) -> Option<Self> {
        let here = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512ifma")
            && is_x86_feature_detected!("avx512vbmi2")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("popcnt");
        here.then_some(Self(pace))
    }
}

/// Eight 64-bit words.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Vector(__m512i);

/// Intrinsics of pure values as methods.
macro_rules! lanewise {
    ($($(#[$doc:meta])* $name:ident($($arg:ident),*) = $intrinsic:ident;)*) => {
        $($(#[$doc])*
        #[inline(always)]
        pub(crate) fn $name(self, $($arg: Self),*) -> Self {
            // SAFETY: a `Vector` exists, so `Ifma::new` found the features.
            Self(unsafe { $intrinsic(self.0 $(, $arg.0)*) })
        })*
    };
}

impl Vector {
    lanewise! {
        /// `self + b` mod 2^64.
        add(b) = _mm512_add_epi64;
        /// `self - b` mod 2^64.
        sub(b) = _mm512_sub_epi64;
        /// Bitwise and.
        and(b) = _mm512_and_si512;
        /// Bitwise or.
        or(b) = _mm512_or_si512;
        /// The smaller of unsigned words.
        min(b) = _mm512_min_epu64;
        /// The larger of unsigned words.
        max(b) = _mm512_max_epu64;
        /// `self` plus the low 52 bits of the product of the low 52 bits of `b` and `c`.
        low(b, c) = _mm512_madd52lo_epu64;
        /// `self` plus the high 52 bits of that product.
        high(b, c) = _mm512_madd52hi_epu64;
    }

    /// [`Vector::low`] with factor J of some in memory, read each time.
    #[inline(always)]
    pub(super) fn low_at<const J: usize>(self, b: Self, c: &[Self; 5]) -> Self {
        // SAFETY: a `Vector` exists, so `Ifma::new` found the features.
        unsafe { low_at::<J>(self, b, c) }
    }

    /// [`Vector::high`] with a factor in memory, as [`Vector::low_at`].
    #[inline(always)]
    pub(super) fn high_at<const J: usize>(self, b: Self, c: &[Self; 5]) -> Self {
        // SAFETY: a `Vector` exists, so `Ifma::new` found the features.
        unsafe { high_at::<J>(self, b, c) }
    }

    /// The same word in every lane.
    #[inline(always)]
    pub(crate) fn splat(_: Ifma, word: u64) -> Self {
        // SAFETY: `Ifma` proves the features.
        Self(unsafe { _mm512_set1_epi64(word.cast_signed()) })
    }

    /// The words in order.
    #[inline(always)]
    pub(crate) fn load(_: Ifma, words: &[u64; 8]) -> Self {
        // SAFETY: `Ifma` proves the features; the reference is valid for 64 bytes and the load may be unaligned.
        Self(unsafe { _mm512_loadu_si512(words.as_ptr().cast()) })
    }

    /// Words of one after those of another.
    #[inline(always)]
    pub(super) fn load_pair(_: Ifma, low: &[u64; 4], high: &[u64; 4]) -> Self {
        // SAFETY: `Ifma` proves the features; the references are valid for 32 bytes and loads may be unaligned.
        unsafe {
            let low = _mm512_castsi256_si512(_mm256_loadu_si256(low.as_ptr().cast()));
            Self(_mm512_inserti64x4::<1>(
                low,
                _mm256_loadu_si256(high.as_ptr().cast()),
            ))
        }
    }

    /// `other - self` in the lanes of the mask, `self` elsewhere.
    #[inline(always)]
    pub(super) fn subtracted_from(self, mask: u8, other: Self) -> Self {
        // SAFETY: a `Vector` exists.
        Self(unsafe { _mm512_mask_sub_epi64(self.0, mask, other.0, self.0) })
    }

    /// [`Vector::low`] with factor J of some, read from memory by the instruction if it waits there.
    #[inline(always)]
    pub(super) fn low_from<const J: usize>(self, waits: bool, b: Self, c: &[Self; 5]) -> Self {
        if waits {
            self.low_at::<J>(b, c)
        } else {
            self.low(b, c[J])
        }
    }

    /// [`Vector::high`] with a factor that may wait in memory, as [`Vector::low_from`].
    #[inline(always)]
    pub(super) fn high_from<const J: usize>(self, waits: bool, b: Self, c: &[Self; 5]) -> Self {
        if waits {
            self.high_at::<J>(b, c)
        } else {
            self.high(b, c[J])
        }
    }

    /// Half words in order, as words.
    #[inline(always)]
    pub(super) fn load_halves(_: Ifma, halves: &[u32; 8]) -> Self {
        // SAFETY: `Ifma` proves the features; the reference is valid for 32 bytes and the load may be unaligned.
        Self(unsafe { _mm512_cvtepu32_epi64(_mm256_loadu_si256(halves.as_ptr().cast())) })
    }

    /// Lanes that have a bit of a mask, as bits.
    #[inline(always)]
    pub(super) fn any_of(self, mask: Self) -> u8 {
        // SAFETY: a `Vector` exists.
        unsafe { _mm512_test_epi64_mask(self.0, mask.0) }
    }

    /// Signed words in order.
    #[inline(always)]
    pub(crate) fn load_signed(_: Ifma, words: &[i64; 8]) -> Self {
        // SAFETY: `Ifma` proves the features; the reference is valid for 64 bytes and the load may be unaligned.
        Self(unsafe { _mm512_loadu_si512(words.as_ptr().cast()) })
    }

    /// Writes the words in order.
    #[inline(always)]
    pub(crate) fn store(self, words: &mut [u64; 8]) {
        // SAFETY: a `Vector` exists; the reference is valid for 64 bytes and the store may be unaligned.
        unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), self.0) }
    }

    /// The words in order.
    #[inline(always)]
    pub(crate) fn words(self) -> [u64; 8] {
        let mut words = [0; 8];
        self.store(&mut words);
        words
    }

    /// Logical shift left.
    #[inline(always)]
    pub(crate) fn shl<const N: u32>(self) -> Self {
        // SAFETY: a `Vector` exists.
        Self(unsafe { _mm512_slli_epi64::<N>(self.0) })
    }

    /// Logical shift right.
    #[inline(always)]
    pub(crate) fn shr<const N: u32>(self) -> Self {
        // SAFETY: a `Vector` exists.
        Self(unsafe { _mm512_srli_epi64::<N>(self.0) })
    }

    /// Arithmetic shift right.
    #[inline(always)]
    pub(crate) fn sar<const N: u32>(self) -> Self {
        // SAFETY: a `Vector` exists.
        Self(unsafe { _mm512_srai_epi64::<N>(self.0) })
    }

    /// The low word of `(high : self) >> N`.
    #[inline(always)]
    pub(crate) fn funnel<const N: i32>(self, high: Self) -> Self {
        // SAFETY: a `Vector` exists.
        Self(unsafe { _mm512_shrdi_epi64::<N>(self.0, high.0) })
    }

    /// The low word of `(high : self) >> by` in every lane.
    #[inline(always)]
    pub(crate) fn funnel_by(self, high: Self, by: Self) -> Self {
        // SAFETY: a `Vector` exists.
        Self(unsafe { _mm512_shrdv_epi64(self.0, high.0, by.0) })
    }

    /// Magnitudes of signed words.
    #[inline(always)]
    pub(crate) fn magnitudes(self) -> Self {
        // SAFETY: a `Vector` exists.
        Self(unsafe { _mm512_abs_epi64(self.0) })
    }

    /// Whether all signed words are below a bound in size.
    pub(super) fn within(self, bound: u64) -> bool {
        let words = self.words();
        words
            .iter()
            .all(|word| word.cast_signed().unsigned_abs() < bound)
    }

    /// Writes the low halves of the words in order.
    #[inline(always)]
    pub(crate) fn store_low_halves(self, halves: &mut [u32; 8]) {
        // SAFETY: a `Vector` exists; the reference is valid for 32 bytes and the store may be unaligned.
        unsafe {
            let low = _mm512_cvtepi64_epi32(self.0);
            _mm256_storeu_si256(halves.as_mut_ptr().cast(), low);
        }
    }

    /// As [`Vector::store_low_halves`], of signed words.
    #[inline(always)]
    pub(super) fn store_low_integers(self, halves: &mut [i32; 8]) {
        // SAFETY: a `Vector` exists; the reference is valid for 32 bytes and the store may be unaligned.
        unsafe {
            let low = _mm512_cvtepi64_epi32(self.0);
            _mm256_storeu_si256(halves.as_mut_ptr().cast(), low);
        }
    }

    /// The low bytes of the words in order.
    #[inline(always)]
    pub(super) fn low_bytes(self) -> u64 {
        // SAFETY: a `Vector` exists.
        unsafe { _mm_cvtsi128_si64(_mm512_cvtepi64_epi8(self.0)).cast_unsigned() }
    }

    /// Bytes that have any bit of those of a mask, as bits.
    #[inline(always)]
    pub(super) fn bytes_with(self, mask: Self) -> u64 {
        // SAFETY: a `Vector` exists.
        unsafe { _mm512_test_epi8_mask(self.0, mask.0) }
    }

    /// Lanes that are zero, as bits.
    #[inline(always)]
    pub(crate) fn zeros(self) -> u8 {
        // SAFETY: a `Vector` exists.
        unsafe { _mm512_testn_epi64_mask(self.0, self.0) }
    }

    /// Lanes whose low 32 bits are below 8, as bits.
    #[inline(always)]
    pub(crate) fn low_halves_below_eight(self) -> u8 {
        // SAFETY: a `Vector` exists.
        unsafe { _mm512_testn_epi64_mask(self.0, _mm512_set1_epi64(0xffff_fff8)) }
    }

    /// Word `index[lane] mod 8` of `self` in every lane.
    #[inline(always)]
    pub(crate) fn permuted(self, index: Self) -> Self {
        // SAFETY: a `Vector` exists.
        Self(unsafe { _mm512_permutexvar_epi64(index.0, self.0) })
    }

    /// Word `(lane + N) mod 8` of `self` in every lane.
    #[inline(always)]
    pub(crate) fn rotated<const N: i32>(self) -> Self {
        // SAFETY: a `Vector` exists.
        Self(unsafe { _mm512_alignr_epi64::<N>(self.0, self.0) })
    }

    /// Lanes that are negative as signed words, as bits.
    #[inline(always)]
    pub(crate) fn negative(self) -> u8 {
        // SAFETY: a `Vector` exists.
        unsafe { _mm512_movepi64_mask(self.0) }
    }

    /// `other` in the lanes of the mask, `self` elsewhere.
    #[inline(always)]
    pub(crate) fn select(self, mask: u8, other: Self) -> Self {
        // SAFETY: a `Vector` exists.
        Self(unsafe { _mm512_mask_mov_epi64(self.0, mask, other.0) })
    }

    /// The same vectors. The compiler makes all four before it uses any.
    #[inline(always)]
    pub(super) fn pinned(vectors: [Self; 4]) -> [Self; 4] {
        // SAFETY: a `Vector` exists, so `Ifma::new` found the features.
        unsafe { pin(vectors) }
    }
}

/// To the first-level cache.
pub(crate) const NEAR: i32 = _MM_HINT_T0;

/// To the second-level cache.
pub(crate) const FAR: i32 = _MM_HINT_T1;

/// Asks for the line that holds a value.
#[inline(always)]
pub(crate) fn prefetch<const HINT: i32, T>(value: &T) {
    fetch_at::<HINT>(core::ptr::from_ref(value).cast());
}

/// Asks for the line of an address, of which nothing is read.
#[inline(always)]
pub(crate) fn fetch_at<const HINT: i32>(address: *const i8) {
    // SAFETY: prefetching reads nothing and never fails, whatever the address.
    unsafe { _mm_prefetch::<HINT>(address) }
}
