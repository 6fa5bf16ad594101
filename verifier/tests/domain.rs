//! Lagrange bases, blinding factors and quotient cosets against their definitions.

use ff::{Field as _, PrimeField as _};
use pasta_curves::Fp;
use proptest::prelude::*;
use zkernel_verifier::claims::fold_weights;
use zkernel_verifier::curve::{evaluate, power, powers};
use zkernel_verifier::domain::{Domain, batch_invert};

fn element(seed: u64) -> Fp {
    Fp::from(seed).square() * Fp::DELTA + Fp::from(seed + 3)
}

fn horner(coefficients: &[Fp], x: Fp) -> Fp {
    coefficients
        .iter()
        .rev()
        .fold(Fp::ZERO, |sum, c| sum * x + c)
}

/// `prod_{j != i} (x - x_j) / (x_i - x_j)`.
fn naive_lagrange(points: &[Fp], i: usize, x: Fp) -> Fp {
    let others = points.iter().enumerate().filter(|(j, _)| *j != i);
    others.fold(Fp::ONE, |product, (_, xj)| {
        product * (x - xj) * (points[i] - xj).invert().unwrap()
    })
}

fn domain(log_n: u32, blinding: usize, cosets: usize) -> Domain<Fp> {
    let shifts = powers(Fp::MULTIPLICATIVE_GENERATOR, cosets + 1);
    Domain::new(log_n, blinding, shifts[1..].to_vec())
}

#[test]
fn omega_has_order_n() {
    for log_n in 1..=20 {
        let domain = domain(log_n, 1, 1);
        assert_eq!(domain.power_n(domain.omega), Fp::ONE);
        assert_ne!(domain.omega.pow_vartime([1u64 << (log_n - 1)]), Fp::ONE);
    }
}

#[test]
fn excludes_h_and_the_cosets_and_nothing_else() {
    let domain = domain(4, 1, 3);
    for root in powers(domain.omega, 16) {
        assert!(domain.excludes(root));
        assert!(domain.lagrange(root).is_none());
        for shift in &domain.shifts {
            assert!(domain.excludes(*shift * root));
        }
    }
    assert!(!domain.excludes(Fp::ZERO));
    assert!((5..200).all(|seed| !domain.excludes(element(seed))));
}

#[test]
fn batch_inversion_refuses_zero() {
    assert_eq!(batch_invert(&mut [Fp::ONE, Fp::ZERO]), None);
    assert_eq!(batch_invert::<Fp>(&mut []), Some(()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn lagrange_is_interpolation(log_n in 1u32..6, seed in 0u64..1 << 40) {
        let domain = domain(log_n, 1, 1);
        let points = powers(domain.omega, 1 << log_n);
        let x = element(seed);
        let basis = domain.lagrange(x).unwrap();
        for (i, value) in basis.iter().enumerate() {
            prop_assert_eq!(*value, naive_lagrange(&points, i, x));
        }
    }

    #[test]
    fn rotated_lagrange_is_lagrange_at_the_rotated_point(log_n in 2u32..6, by in -40i32..40, seed in 0u64..1 << 40) {
        let domain = domain(log_n, 1, 1);
        let x = element(seed);
        let lagrange = domain.lagrange(x).unwrap();
        let rotated: Vec<Fp> = Domain::rotated(&lagrange, by).copied().collect();
        prop_assert_eq!(rotated, domain.lagrange(domain.rotation(by) * x).unwrap());
    }

    #[test]
    fn a_product_is_interpolated(log_n in 1u32..7, seed in 0u64..1 << 40, x in 0u64..1 << 40) {
        let domain = domain(log_n, 1, 1);
        let weights: Vec<Fp> = (0..u64::from(log_n)).map(|bit| element(seed ^ bit << 41)).collect();
        let polynomial = domain.interpolate_product(&weights);
        let basis = domain.lagrange(element(x)).unwrap();
        let values = fold_weights(&weights);
        let expected: Fp = values.iter().zip(basis).map(|(value, l)| *value * l).sum();
        prop_assert_eq!(polynomial.len(), 1 << log_n);
        prop_assert_eq!(evaluate(&polynomial, element(x)), expected);
    }

    #[test]
    fn the_last_rows_of_the_basis(log_n in 1u32..6, first in 0usize..40, seed in 0u64..1 << 40) {
        let domain = domain(log_n, 1, 1);
        let all = domain.lagrange(element(seed)).unwrap();
        let last = domain.lagrange_from(first, element(seed));
        prop_assert_eq!(last.as_deref(), all.get(first..));
    }

    #[test]
    fn short_powers(seed in 0u64..1 << 40, exponent in any::<u64>(), small in 0u64..9) {
        for exponent in [exponent, small] {
            prop_assert_eq!(power(element(seed), exponent), element(seed).pow_vartime([exponent]));
        }
    }

    #[test]
    fn blinding_factor_vanishes_on_the_blinding_rows_alone(log_n in 2u32..6, blinding in 0usize..4) {
        let domain = domain(log_n, blinding, 1);
        let n = 1usize << log_n;
        for (row, root) in powers(domain.omega, n).into_iter().enumerate() {
            prop_assert_eq!(domain.blinding_factor(root) == Fp::ZERO, row >= n - blinding);
            let point = root * Fp::DELTA;
            let coefficients = domain.blinding_polynomial();
            prop_assert_eq!(horner(&coefficients, point), domain.blinding_factor(point));
        }
    }

    /// A polynomial of degree below `cosets n` is the combination of its remainders on the cosets.
    #[test]
    fn coset_coefficients_rebuild_a_polynomial(log_n in 1u32..4, cosets in 1usize..6, seed in 0u64..1 << 40) {
        let domain = domain(log_n, 1, cosets);
        let n = 1usize << log_n;
        let q: Vec<Fp> = (0..cosets * n).map(|i| element(seed + i as u64)).collect();
        let zeta = element(seed ^ 0x5555);
        let combined: Fp = domain.coset_coefficients(zeta).unwrap().iter().zip(&domain.shifts).map(|(k, g)| {
            let values: Vec<Fp> = powers(domain.omega, n).iter().map(|w| horner(&q, *g * w)).collect();
            let basis = domain.lagrange(zeta * g.invert().unwrap()).unwrap();
            *k * values.iter().zip(basis).map(|(v, l)| *v * l).sum::<Fp>()
        }).sum();
        prop_assert_eq!(combined, horner(&q, zeta));
    }

    #[test]
    fn batch_inversion_inverts(seeds in prop::collection::vec(1u64..1 << 50, 1..20)) {
        let values: Vec<Fp> = seeds.iter().map(|s| Fp::from(*s)).collect();
        let mut inverses = values.clone();
        batch_invert(&mut inverses).unwrap();
        for (v, i) in values.iter().zip(inverses) {
            prop_assert_eq!(*v * i, Fp::ONE);
        }
    }
}
