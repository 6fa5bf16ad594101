//! Eight field elements at a time, on AVX-512 IFMA: the only unsafe code of the crate.
//!
//! A field element of `pasta_curves` is stored as `x 2^256 mod p` in four 64-bit words. Eight of them are read into
//! five vectors of 52-bit limbs as they are; [`lanes::Lanes::multiply`] gives `a b 2^-260`. So the product of a stored
//! element and a constant in the form `c 2^260` is again a stored element, and nothing is ever converted one by one.
//!
//! * [`vector`]: a vector of eight words, a safe type over the intrinsics;
//! * [`pace`]: what counts on a processor;
//! * [`lanes`]: eight lazily reduced field elements, with bounds;
//! * [`turns`]: two products at a time;
//! * [`prime`]: a Pasta prime's constants, and the proof that its elements lie in memory as said above;
//! * [`points`], [`doubling`], [`inverse`], [`special`], [`transfer`], [`leaves`]: affine additions, eight at a time, and points into lanes and back;
//! * [`images`]: images of points under the endomorphism;
//! * [`sums`]: sums of products with one reduction;
//! * [`small`]: sums of products of small integers and elements;
//! * [`rows`]: rows of stored elements, cell by cell;
//! * [`scalars`], [`halves`]: scalars as integers and digits;
//! * [`planes`]: small integers as references to signed sums;
//! * [`counts`]: how often bytes occur;
//! * [`program`]: gate programs;
//! * [`transform`], [`reading`], [`copies`], [`butterflies`], [`sinks`]: number-theoretic transforms;
//! * [`eights`]: transforms of eight columns at once;
//! * [`known`], [`loose`]: products by factors that are known, and values that are not carried;
//! * [`pages`]: large pages for large vectors.

/// An array of an expression of its index. Not by closures: they are compiled without the features of the function
/// around them, and vectors go through memory where they are not inlined.
#[cfg(target_arch = "x86_64")]
macro_rules! unrolled {
    (2, $i:ident => $e:expr) => { unrolled!([0 1], $i => $e) };
    (4, $i:ident => $e:expr) => { unrolled!([0 1 2 3], $i => $e) };
    (5, $i:ident => $e:expr) => { unrolled!([0 1 2 3 4], $i => $e) };
    (6, $i:ident => $e:expr) => { unrolled!([0 1 2 3 4 5], $i => $e) };
    (8, $i:ident => $e:expr) => { unrolled!([0 1 2 3 4 5 6 7], $i => $e) };
    (10, $i:ident => $e:expr) => { unrolled!([0 1 2 3 4 5 6 7 8 9], $i => $e) };
    ([$($index:literal)*], $i:ident => $e:expr) => { [$({ let $i = $index; $e }),*] };
}

#[cfg(target_arch = "x86_64")]
mod additions;
#[cfg(target_arch = "x86_64")]
mod butterflies;
#[cfg(target_arch = "x86_64")]
mod copies;
#[cfg(target_arch = "x86_64")]
pub(crate) mod counts;
#[cfg(target_arch = "x86_64")]
mod doubling;
#[cfg(target_arch = "x86_64")]
pub(crate) mod eights;
#[cfg(target_arch = "x86_64")]
pub(crate) mod halves;
#[cfg(target_arch = "x86_64")]
mod held;
#[cfg(target_arch = "x86_64")]
pub(crate) mod images;
#[cfg(target_arch = "x86_64")]
mod inverse;
#[cfg(target_arch = "x86_64")]
mod known;
#[cfg(target_arch = "x86_64")]
pub(crate) mod lanes;
#[cfg(target_arch = "x86_64")]
pub(crate) mod leaves;
#[cfg(target_arch = "x86_64")]
mod loose;
pub(crate) mod pace;
pub(crate) mod pages;
#[cfg(target_arch = "x86_64")]
pub(crate) mod planes;
#[cfg(target_arch = "x86_64")]
pub(crate) mod points;
#[cfg(target_arch = "x86_64")]
pub(crate) mod prime;
#[cfg(target_arch = "x86_64")]
pub(crate) mod program;
#[cfg(target_arch = "x86_64")]
mod reading;
#[cfg(target_arch = "x86_64")]
pub(crate) mod rows;
#[cfg(target_arch = "x86_64")]
pub(crate) mod scalars;
#[cfg(target_arch = "x86_64")]
mod shared;
#[cfg(target_arch = "x86_64")]
mod sinks;
#[cfg(target_arch = "x86_64")]
pub(crate) mod small;
#[cfg(target_arch = "x86_64")]
mod special;
#[cfg(target_arch = "x86_64")]
mod sums;
#[cfg(all(test, target_arch = "x86_64"))]
mod tests;
#[cfg(target_arch = "x86_64")]
mod transfer;
#[cfg(target_arch = "x86_64")]
pub(crate) mod transform;
#[cfg(all(test, target_arch = "x86_64"))]
mod transform_tests;
#[cfg(target_arch = "x86_64")]
mod turns;
#[cfg(target_arch = "x86_64")]
pub(crate) mod vector;
