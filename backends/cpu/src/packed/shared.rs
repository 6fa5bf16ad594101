//! Two products with one factor.
//!
//! **Where products count** their reductions are shared. A Montgomery product clears the low limbs of `a b` one after the other. Here the
//! factor b itself is taken down by a limb at a time, `b_4 = b` and `b_(i-1) = (b_i + q p) / 2^52`, so that `a b 2^-208 = sum a_i b_i mod p`
//! over the limbs of a. That sum has one limb too many, and one step more gives `a b 2^-260`. The four steps of b serve every product with
//! it: two take 136 products of limbs instead of 160, and none of them waits for more than one quotient of its own.
//!
//! **Where instructions count** that saves none, and six columns of each with the row they share take more registers than there are: two
//! [`turns`] that keep the factor take a tenth fewer cycles.

use super::held::Held;
use super::lanes::{Lanes, digits};
use super::prime::Constants;
use super::turns;
use super::vector::Vector;

/// `a b 2^-260` for both a, limbs below 2^57. With a < 8 p, b < 7 p, limbs of b below 2^57: below 6 p.
#[inline(always)]
pub(super) fn multiply_uncarried<const FEW: bool>(
    a: [&Lanes; 2],
    b: [Vector; 5],
    k: &Constants,
) -> [[Vector; 5]; 2] {
    if FEW {
        let b = digits(b);
        return turns::multiply_uncarried::<FEW, false>(a, [&b, &b], k);
    }
    reduced_once(a, b, k)
}

/// Both products, with one reduction of b. The four lower rows being below `(1 + 2^-48) p` and the highest limb of a below 2^49, they are below 6 p.
///
/// Limbs of a are read from memory each time: what is worked on takes all registers, and the compiler would store the rest.
#[inline(always)]
fn reduced_once(a: [&Lanes; 2], b: [Vector; 5], k: &Constants) -> [[Vector; 5]; 2] {
    debug_assert!(a.iter().all(|a| a.is_factor()));
    let [a, c] = [&a[0].0, &a[1].0];
    let held = Held::new::<false>(k);
    let (m, zero) = (held.mask, k.mask.sub(k.mask));
    let (mut row, mut factor) = (b, digits(b).0);
    let [mut t, mut u] = [[m, zero, zero, zero, zero, zero]; 2];
    macro_rules! add_row {
        ($i:literal) => {
            t[0] = t[0].low_at::<$i>(factor[0], a);
            u[0] = u[0].low_at::<$i>(factor[0], c);
            t[1] = t[1].high_at::<$i>(factor[0], a);
            u[1] = u[1].high_at::<$i>(factor[0], c);
            t[1] = t[1].low_at::<$i>(factor[1], a);
            u[1] = u[1].low_at::<$i>(factor[1], c);
            t[2] = t[2].high_at::<$i>(factor[1], a);
            u[2] = u[2].high_at::<$i>(factor[1], c);
            t[2] = t[2].low_at::<$i>(factor[2], a);
            u[2] = u[2].low_at::<$i>(factor[2], c);
            t[3] = t[3].high_at::<$i>(factor[2], a);
            u[3] = u[3].high_at::<$i>(factor[2], c);
            t[3] = t[3].low_at::<$i>(factor[3], a);
            u[3] = u[3].low_at::<$i>(factor[3], c);
            t[4] = t[4].high_at::<$i>(factor[3], a);
            u[4] = u[4].high_at::<$i>(factor[3], c);
            t[4] = t[4].low_at::<$i>(factor[4], a);
            u[4] = u[4].low_at::<$i>(factor[4], c);
            t[5] = t[5].high_at::<$i>(factor[4], a);
            u[5] = u[5].high_at::<$i>(factor[4], c);
        };
    }
    macro_rules! step {
        ($i:literal) => {
            let lowest = row[0].add(m);
            let mut q = held.quotient(lowest);
            [q, t[0], t[5], u[5]] = Vector::pinned([q, t[0], t[5], u[5]]);
            add_row!($i);
            [t[4], u[4], t[5], u[5]] = Vector::pinned([t[4], u[4], t[5], u[5]]);
            let [first, second, third] =
                held.add_low([row[1], row[2], row[3]], lowest.shr::<52>(), q);
            let [fourth, fifth] = held.add_top::<false>([row[4], zero], q);
            row = [first, second, third, fourth, fifth];
            factor = digits(row).0;
        };
    }
    step!(4);
    step!(3);
    step!(2);
    step!(1);
    add_row!(0);
    [last_step(t, &held), last_step(u, &held)]
}

/// The step that clears the lowest of six columns, which started at `2^52 - 1`.
#[inline(always)]
fn last_step(t: [Vector; 6], held: &Held) -> [Vector; 5] {
    let q = held.quotient(t[0]);
    let [first, second, third] = held.add_low([t[1], t[2], t[3]], t[0].shr::<52>(), q);
    let [fourth, fifth] = held.add_top::<false>([t[4], t[5]], q);
    [first, second, third, fourth, fifth]
}
