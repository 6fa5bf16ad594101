//! Eight field elements at a time, on AVX-512 IFMA: with `pages.rs`, which lies here too, the only unsafe code of the crate.
//!
//! A field element of `pasta_curves` is stored as `x 2^256 mod p` in four 64-bit words. Eight of them are read into
//! five vectors of 52-bit limbs as they are; [`lanes::Lanes::multiply`] gives `a b 2^-260`. So the product of a stored
//! element and a constant in the form `c 2^260` is again a stored element, and nothing is ever converted one by one.
//!
//! * [`vector`]: a vector of eight words, a safe type over the intrinsics;
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
//! * [`known`], [`loose`]: products by factors that are known, and values that are not carried.

/// An array of an expression of its index. Not by closures: they are compiled without the features of the function
/// around them, and vectors go through memory where they are not inlined.
macro_rules! unrolled {
    (2, $i:ident => $e:expr) => { unrolled!([0 1], $i => $e) };
    (4, $i:ident => $e:expr) => { unrolled!([0 1 2 3], $i => $e) };
    (5, $i:ident => $e:expr) => { unrolled!([0 1 2 3 4], $i => $e) };
    (6, $i:ident => $e:expr) => { unrolled!([0 1 2 3 4 5], $i => $e) };
    (8, $i:ident => $e:expr) => { unrolled!([0 1 2 3 4 5 6 7], $i => $e) };
    (10, $i:ident => $e:expr) => { unrolled!([0 1 2 3 4 5 6 7 8 9], $i => $e) };
    ([$($index:literal)*], $i:ident => $e:expr) => { [$({ let $i = $index; $e }),*] };
}

mod additions;
mod butterflies;
mod copies;
pub(crate) mod counts;
mod doubling;
pub(crate) mod eights;
pub(crate) mod halves;
mod held;
pub(crate) mod images;
mod inverse;
mod known;
pub(crate) mod lanes;
pub(crate) mod leaves;
mod loose;
mod passes;
pub(crate) mod planes;
pub(crate) mod points;
pub(crate) mod prime;
pub(crate) mod program;
mod reading;
pub(crate) mod rows;
pub(crate) mod scalars;
mod shared;
mod sinks;
pub(crate) mod small;
mod special;
mod sums;
#[cfg(test)]
mod tests;
mod transfer;
pub(crate) mod transform;
#[cfg(test)]
mod transform_tests;
mod turns;
pub(crate) mod vector;
