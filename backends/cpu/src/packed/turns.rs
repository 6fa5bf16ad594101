//! Two products at a time, in turns.
//!
//! A product alone waits for its quotients: the processor looks ahead as far as the products behind it only in part, and the
//! compiler, left to itself, does one after the other, whatever order they are written in. So the order is pinned, half a
//! step of the one and half a step of the other: 2.89 ns a product where one after the other takes 3.19, the bound being 2.72.

use super::held::Held;
use super::lanes::{Lanes, digits};
use super::prime::Constants;
use super::vector::Vector;

/// Both products, with the bounds of [`Lanes::multiply`], as factors: the low 52 bits of the limbs count.
///
/// b is read from memory each time if it WAITS there: it was written long ago, and takes no registers. What has just been written is
/// read late, and is better kept.
#[inline(always)]
pub(super) fn multiply<const FEW: bool, const WAITS: bool>(
    a: [&Lanes; 2],
    b: [&Lanes; 2],
    k: &Constants,
) -> [Lanes; 2] {
    let [first, second] = multiply_uncarried::<FEW, WAITS>(a, b, k);
    [digits(first), digits(second)]
}

/// The first half of a step: the quotient, and what of `a b` does not wait for it. Gives the quotient and the next limb of a.
macro_rules! begin {
    ($t:ident, $limb:ident, $a:ident, $b:ident, $i:literal, $held:ident, $waits:ident) => {{
        let (limb, b) = ($limb, $b);
        let q = $held.quotient($t[$i]);
        $t[$i + 1] = $t[$i + 1].low_from::<1>($waits, limb, b);
        $t[$i + 2] = $t[$i + 2].low_from::<2>($waits, limb, b);
        $t[$i + 3] = $t[$i + 3].low_from::<3>($waits, limb, b);
        $t[$i + 1] = $t[$i + 1].high_from::<0>($waits, limb, b);
        $t[$i + 2] = $t[$i + 2].high_from::<1>($waits, limb, b);
        $t[$i + 3] = $t[$i + 3].high_from::<2>($waits, limb, b);
        let mut next = limb;
        if $i < 4 {
            next = $a[($i + 1) % 5];
            $t[$i + 1] = $t[$i + 1].low_from::<0>($waits, next, b);
        }
        (q, next)
    }};
}

/// The quotient times p.
macro_rules! end_of_step {
    ($t:ident, $q:ident, $i:literal, $held:ident) => {{
        let low = [$t[$i + 1], $t[$i + 2], $t[$i + 3]];
        [$t[$i + 1], $t[$i + 2], $t[$i + 3]] = $held.add_low(low, $t[$i].shr::<52>(), $q);
        [$t[$i + 4], $t[$i + 5]] = $held.add_top::<FEW>([$t[$i + 4], $t[$i + 5]], $q);
    }};
}

/// The second half of a step: the quotient times p, and the rest of `a b`.
macro_rules! end {
    ($t:ident, $q:ident, $limb:ident, $b:ident, $i:literal, $held:ident, $waits:ident) => {{
        let (limb, b) = ($limb, $b);
        $t[$i + 4] = $t[$i + 4].low_from::<4>($waits, limb, b);
        $t[$i + 5] = $t[$i + 5].high_from::<4>($waits, limb, b);
        $t[$i + 4] = $t[$i + 4].high_from::<3>($waits, limb, b);
        end_of_step!($t, $q, $i, $held);
    }};
}

/// As [`multiply`], limbs below 2^57.
#[inline(always)]
pub(super) fn multiply_uncarried<const FEW: bool, const WAITS: bool>(
    a: [&Lanes; 2],
    b: [&Lanes; 2],
    k: &Constants,
) -> [[Vector; 5]; 2] {
    multiply_onto::<FEW, WAITS>(&k.zero(), a, b, k)
}

/// Both products, each added to `start`: limbs below 2^57 more than its.
#[inline(always)]
pub(super) fn multiply_onto<const FEW: bool, const WAITS: bool>(
    start: &[Vector; 5],
    a: [&Lanes; 2],
    b: [&Lanes; 2],
    k: &Constants,
) -> [[Vector; 5]; 2] {
    debug_assert!(a.iter().chain(&b).all(|lanes| lanes.is_factor()));
    let ([a, c], [b, d]) = ([&a[0].0, &a[1].0], [&b[0].0, &b[1].0]);
    let held = Held::new::<FEW>(k);
    let (m, [s0, s1, s2, s3, s4]) = (held.mask, *start);
    // Where few instructions count, loads of their own are cheaper: one serves two products of limbs.
    let waits = WAITS && !FEW;
    let [mut t, mut u] = [[m, m, m, m, m, s0, s1, s2, s3, s4]; 2];
    let (mut x, mut y) = (a[0], c[0]);
    t[0] = t[0].low_from::<0>(waits, x, b);
    u[0] = u[0].low_from::<0>(waits, y, d);
    macro_rules! step {
        ($i:literal) => {
            let (q, v) = begin!(t, x, a, b, $i, held, waits);
            let (r, w) = begin!(u, y, c, d, $i, held, waits);
            let [q, r, third, other] = Vector::pinned([q, r, t[$i + 3], u[$i + 3]]);
            (t[$i + 3], u[$i + 3]) = (third, other);
            end!(t, q, x, b, $i, held, waits);
            end!(u, r, y, d, $i, held, waits);
            [t[$i + 1], u[$i + 1], t[$i + 5], u[$i + 5]] =
                Vector::pinned([t[$i + 1], u[$i + 1], t[$i + 5], u[$i + 5]]);
            (x, y) = (v, w);
        };
    }
    step!(0);
    step!(1);
    step!(2);
    step!(3);
    step!(4);
    let _ = (x, y);
    [
        [t[5], t[6], t[7], t[8], t[9]],
        [u[5], u[6], u[7], u[8], u[9]],
    ]
}

/// Both squares, with the bounds of [`Lanes::square`], each added to twice its `half` and to the factor `more`: limbs below 2^57 more than these.
#[inline(always)]
pub(super) fn square_onto<const FEW: bool>(
    half: [[Vector; 5]; 2],
    more: [&Lanes; 2],
    a: [&Lanes; 2],
    k: &Constants,
) -> [[Vector; 5]; 2] {
    debug_assert!(a.iter().chain(&more).all(|lanes| lanes.is_factor()));
    let ([a, b], [own, other], held) = (a, more, Held::new::<FEW>(k));
    let zero = k.mask.sub(k.mask);
    let [mut t, mut u] = [[zero; 10]; 2];
    for i in 0..5 {
        (t[i], u[i]) = (a.own_column(i, zero, k), b.own_column(i, zero, k));
    }
    macro_rules! step {
        ($i:literal) => {
            // The highest column that this quotient reaches.
            let q = held.quotient(t[$i]);
            t[$i + 5] = a.own_column($i + 5, half[0][$i], k);
            t[$i + 5] = own.add_digit::<FEW, $i>(t[$i + 5], k);
            let r = held.quotient(u[$i]);
            u[$i + 5] = b.own_column($i + 5, half[1][$i], k);
            u[$i + 5] = other.add_digit::<FEW, $i>(u[$i + 5], k);
            let [q, r, x, y] = Vector::pinned([q, r, t[$i + 5], u[$i + 5]]);
            (t[$i + 5], u[$i + 5]) = (x, y);
            end_of_step!(t, q, $i, held);
            end_of_step!(u, r, $i, held);
            let [w, x, y, z] = Vector::pinned([t[$i + 1], u[$i + 1], t[$i + 2], u[$i + 2]]);
            (t[$i + 1], u[$i + 1], t[$i + 2], u[$i + 2]) = (w, x, y, z);
        };
    }
    step!(0);
    step!(1);
    step!(2);
    step!(3);
    step!(4);
    [
        [t[5], t[6], t[7], t[8], t[9]],
        [u[5], u[6], u[7], u[8], u[9]],
    ]
}
