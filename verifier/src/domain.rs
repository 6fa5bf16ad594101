//! The evaluation domain H = <omega> of n rows, its cosets, and Lagrange bases at a point.

use alloc::vec::Vec;

use ff::PrimeField;

use crate::curve::{power, powers};

/// H and the cosets `g_j H` on which the quotient is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain<F> {
    /// log2 of n.
    pub log_n: u32,
    /// Generator of H.
    pub omega: F,
    /// Blinding rows.
    pub blinding: usize,
    /// The coset shifts g_j.
    pub shifts: Vec<F>,
    /// `1/g_j`.
    inverse_shifts: Vec<F>,
    /// `omega^i` for all rows i.
    roots: Vec<F>,
    /// `1/n`.
    inverse_n: F,
}

impl<F: PrimeField> Domain<F> {
    /// The domain of `2^log_n` rows.
    #[must_use]
    pub fn new(log_n: u32, blinding: usize, shifts: Vec<F>) -> Self {
        let doublings = u64::from(F::S.saturating_sub(log_n));
        let omega = (0..doublings).fold(F::ROOT_OF_UNITY, |w, _| w.square());
        let inverse = |x: &F| x.invert().unwrap_or(F::ZERO);
        Self {
            log_n,
            omega,
            blinding,
            inverse_shifts: shifts.iter().map(inverse).collect(),
            shifts,
            roots: powers(omega, 1usize.checked_shl(log_n).unwrap_or(usize::MAX)),
            inverse_n: power(F::TWO_INV, u64::from(log_n)),
        }
    }

    /// `point / g_j` for all shifts: where the columns of a quotient are read whose value at the point is asked for.
    pub fn quotient_points(&self, point: F) -> impl Iterator<Item = F> {
        self.inverse_shifts
            .iter()
            .map(move |inverse| point * inverse)
    }

    /// `x^n`.
    #[must_use]
    pub fn power_n(&self, x: F) -> F {
        (0..self.log_n).fold(x, |x, _| x.square())
    }

    /// Rows n.
    #[must_use]
    pub fn rows(&self) -> usize {
        1usize.checked_shl(self.log_n).unwrap_or(usize::MAX)
    }

    /// Whether the point lies in H or in a coset of the quotient.
    #[must_use]
    pub fn excludes(&self, point: F) -> bool {
        let power = self.power_n(point);
        power == F::ONE || self.shifts.iter().any(|g| self.power_n(*g) == power)
    }

    /// `L_i(point)` for all i: `(point^n - 1)/n * omega^i / (point - omega^i)`; `None` if the point is in H.
    #[must_use]
    pub fn lagrange(&self, point: F) -> Option<Vec<F>> {
        self.lagrange_from(0, point)
    }

    /// The same for the rows from `first` on.
    #[must_use]
    pub fn lagrange_from(&self, first: usize, point: F) -> Option<Vec<F>> {
        let roots = self.roots.get(first..)?;
        let scale = (self.power_n(point) - F::ONE) * self.inverse_n;
        let mut values: Vec<F> = roots.iter().map(|root| point - root).collect();
        batch_divide(scale, &mut values)?;
        for (value, root) in values.iter_mut().zip(roots) {
            *value *= root;
        }
        Some(values)
    }

    /// The coefficients of the polynomial that takes the value `prod over bits b of i, weights_b` in `omega^i`: coefficient m is
    /// `1/n prod_b (1 + weights_b omega^(-m 2^b))`. Bit after bit from the highest on, two products for two coefficients.
    #[must_use]
    pub fn interpolate_product(&self, weights: &[F]) -> Vec<F> {
        let mut coefficients = alloc::vec![self.inverse_n];
        let inverse_roots = self.roots.iter().take(1).chain(self.roots.iter().rev());
        for (bit, weight) in weights.iter().enumerate().rev() {
            let stride = u32::try_from(bit)
                .ok()
                .and_then(|bit| 1usize.checked_shl(bit));
            let roots = inverse_roots.clone().step_by(stride.unwrap_or(usize::MAX));
            let pairs = coefficients.iter().zip(roots);
            let (plus, minus): (Vec<F>, Vec<F>) = pairs
                .map(|(c, root)| {
                    let turned = *c * weight * root;
                    (*c + turned, *c - turned)
                })
                .unzip();
            coefficients = plus;
            coefficients.extend(minus);
        }
        coefficients
    }

    /// `L_i(omega^rotation point)` for all i, which is `L_{i - rotation}(point)`, from `L_i(point)` for all i.
    pub fn rotated(lagrange: &[F], rotation: i32) -> impl Iterator<Item = &F> + Clone {
        let rows = i64::try_from(lagrange.len()).unwrap_or(i64::MAX);
        let by = (i64::from(rotation).checked_neg()).and_then(|by| by.checked_rem_euclid(rows));
        let by = by.and_then(|by| usize::try_from(by).ok()).unwrap_or(0);
        let (last, first) = lagrange.split_at_checked(by).unwrap_or((lagrange, &[]));
        first.iter().chain(last)
    }

    /// `omega^rotation`.
    #[must_use]
    pub fn rotation(&self, rotation: i32) -> F {
        let rows = i64::try_from(self.rows()).unwrap_or(i64::MAX);
        let by = i64::from(rotation).checked_rem_euclid(rows).unwrap_or(0);
        power(self.omega, u64::try_from(by).unwrap_or(0))
    }

    /// `b(point)`, the polynomial that vanishes on the blinding rows: `prod_i (point - omega^(n-t+i))`.
    #[must_use]
    pub fn blinding_factor(&self, point: F) -> F {
        let first = self.rows().saturating_sub(self.blinding);
        let mut root = power(self.omega, u64::try_from(first).unwrap_or(0));
        (0..self.blinding).fold(F::ONE, |product, _| {
            let factor = point - root;
            root *= self.omega;
            product * factor
        })
    }

    /// Coefficients of b, lowest first.
    #[must_use]
    pub fn blinding_polynomial(&self) -> Vec<F> {
        let first = self.rows().saturating_sub(self.blinding);
        let mut root = power(self.omega, u64::try_from(first).unwrap_or(0));
        let mut coefficients = alloc::vec![F::ONE];
        for _ in 0..self.blinding {
            // times X - root
            let lower = coefficients.iter().map(|c| -root * c).chain([F::ZERO]);
            let upper = [F::ZERO].into_iter().chain(coefficients.iter().copied());
            coefficients = lower.zip(upper).map(|(l, u)| l + u).collect();
            root *= self.omega;
        }
        coefficients
    }

    /// Coefficients k_j with `Q(zeta) = sum_j k_j Q_j(zeta)`: `prod_{i != j} (zeta^n - g_i^n) / (g_j^n - g_i^n)`.
    #[must_use]
    pub fn coset_coefficients(&self, zeta: F) -> Option<Vec<F>> {
        self.first_coset_coefficients(self.shifts.len(), zeta)
    }

    /// The same for a polynomial of degree below `cosets n`, known on the first `cosets` cosets.
    #[must_use]
    pub fn first_coset_coefficients(&self, cosets: usize, zeta: F) -> Option<Vec<F>> {
        let zeta_n = self.power_n(zeta);
        let g: Vec<F> = self
            .shifts
            .iter()
            .take(cosets)
            .map(|shift| self.power_n(*shift))
            .collect();
        let parts = g.iter().map(|gj| {
            let others = g.iter().filter(|gi| *gi != gj);
            others.fold((F::ONE, F::ONE), |(above, below), gi| {
                (above * (zeta_n - gi), below * (*gj - gi))
            })
        });
        let (above, mut below): (Vec<F>, Vec<F>) = parts.unzip();
        batch_invert(&mut below)?;
        Some(above.iter().zip(below).map(|(a, b)| *a * b).collect())
    }
}

/// Inverts all values with one inversion; `None` (and garbage) if one is zero.
pub fn batch_invert<F: PrimeField>(values: &mut [F]) -> Option<()> {
    batch_divide(F::ONE, values)
}

/// Makes every value the dividend by it, with one inversion; `None` (and garbage) if one is zero.
fn batch_divide<F: PrimeField>(dividend: F, values: &mut [F]) -> Option<()> {
    let mut product = F::ONE;
    let prefixes: Vec<F> = values
        .iter()
        .map(|value| {
            let prefix = product;
            product *= value;
            prefix
        })
        .collect();
    let mut quotient = dividend * Option::<F>::from(product.invert())?;
    for (value, prefix) in values.iter_mut().zip(prefixes).rev() {
        let next = quotient * *value;
        *value = quotient * prefix;
        quotient = next;
    }
    Some(())
}
