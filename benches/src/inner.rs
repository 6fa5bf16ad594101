//! The inner rounds of our prover on one column, by the operations of any backend, with challenges made up: three rounds
//! on the tabled bases, then folded bases written out, as `zkernel_engine` does it.

use ff::{Field as _, PrimeField as _};
use zkernel_backend::{Backend, Curve, Result, Scalar};
use zkernel_verifier::claims::fold_weights;

/// Rounds before the folded bases are written out.
const TABLED_ROUNDS: u32 = 3;

/// Folds `f` against `a`, both one column of `2^log_n` rows; gives L and R of every round. `bases` are the rows' followed
/// by those of the claim and of the blinding factor.
///
/// # Errors
/// The backend's, for other shapes.
pub fn rounds<C: Curve, B: Backend<C>>(
    backend: &B,
    bases: &B::Bases,
    f: &B::Columns,
    a: &B::Columns,
    log_n: u32,
) -> Result<Vec<C>> {
    let all = |columns| {
        backend.gather(
            &[columns],
            &[zkernel_backend::ColumnRef {
                batch: 0,
                column: 0,
            }],
        )
    };
    let (mut f, mut a) = (all(f)?, all(a)?);
    let (mut written, mut points, mut inverses) = (None, Vec::new(), Vec::new());
    let challenge = Scalar::<C>::DELTA;
    let inverse = challenge.invert().unwrap_or(challenge);
    for round in 0..log_n {
        if round == TABLED_ROUNDS {
            written = Some(backend.fold_bases(bases, 1 << log_n, &fold_weights(&inverses))?);
            inverses.clear();
        }
        let (left, right) = backend.cross_rows(&f, &a)?;
        let scalars = backend.expand(&f, &fold_weights(&inverses))?;
        let extra = [vec![left, challenge], vec![right, inverse]];
        let current = written.as_ref().unwrap_or(bases);
        points.extend(backend.commit(current, &[&scalars], &extra)?);
        f = backend.fold_rows(&f, challenge)?;
        a = backend.fold_rows(&a, inverse)?;
        inverses.push(inverse);
    }
    Ok(points)
}
