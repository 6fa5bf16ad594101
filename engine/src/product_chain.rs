//! A sample circuit, not a network: the product of many secret bytes is a public value, and nothing else is said of them.
//!
//! It is what an ordinary PLONKish circuit looks like here: custom gates, rotations, copies between cells, a lookup on
//! every row, a constant and a public input. The example `product_chain` runs it, and the benchmarks prove the same
//! statement with other provers beside it.
//!
//! ```
//! use pasta_curves::Fp;
//! use zkernel_engine::product_chain::{ProductChain, Wiring};
//!
//! let chain = ProductChain::<Fp>::new(4, 30, Wiring::Copies)?;
//! let (_witness, product) = chain.witness(&[2; 30]);
//! assert_eq!(product, Fp::from(1 << 30));
//! # Ok::<(), zkernel_verifier::validate::SystemError>(())
//! ```

use zkernel_backend::Body;
use zkernel_verifier::curve::Field;
use zkernel_verifier::plonk::{Column, Plonk};
use zkernel_verifier::system::ConstraintSystem;
use zkernel_verifier::validate::SystemError;

use crate::witness::Witness;

/// How a row gets the product of the rows before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wiring {
    /// Columns a, b, c with the gate `a b = c`; every b is a copy of the c before it.
    Copies,
    /// Columns a, c with the gate `step (a c - c_next) = 0`; copies only where a lane ends and the next one begins.
    Rotations,
}

/// The circuit for a number of factors.
pub struct ProductChain<F> {
    /// The constraint system; its only public vector is the product, of length one.
    pub system: ConstraintSystem<F>,
    columns: Columns,
    /// The row of each factor.
    rows: Vec<usize>,
}

/// The circuit's columns; with [`Wiring::Copies`], c holds the product after a row, else before it.
enum Columns {
    Copies { a: Column, b: Column, c: Column },
    Rotations { a: Column, c: Column },
}

impl<F: Field> ProductChain<F> {
    /// The circuit for `factors` bytes, on lanes of `2^log_n` rows.
    ///
    /// # Errors
    /// [`SystemError`] if there are no factors, or if a lane is too short for its blinding rows and a row or two.
    pub fn new(log_n: u32, factors: usize, wiring: Wiring) -> Result<Self, SystemError> {
        if factors == 0 {
            return Err(SystemError::Empty("the factors of a product".into()));
        }
        match wiring {
            Wiring::Copies => with_copies(log_n, factors),
            Wiring::Rotations => with_rotations(log_n, factors),
        }
    }

    /// The witness for as many factors as the circuit has, and their product.
    #[must_use]
    pub fn witness(&self, factors: &[u8]) -> (Witness<F>, F) {
        let mut before = vec![F::ONE];
        for factor in factors {
            before.extend(
                before
                    .last()
                    .map(|last| *last * F::from(u64::from(*factor))),
            );
        }
        let product = before.last().copied().unwrap_or(F::ONE);
        let mut witness = Witness::default();
        let (Columns::Copies { a, .. } | Columns::Rotations { a, .. }) = self.columns;
        let small: Vec<i64> = factors.iter().map(|f| i64::from(*f)).collect();
        witness.assign(a.track(), spread(&self.rows, &small, 0));
        match self.columns {
            Columns::Copies { b, c, .. } => {
                let after = before.get(1..).unwrap_or_default().to_vec();
                before.truncate(factors.len());
                witness.tracks.push((b.track(), Body::Full(before)));
                witness.tracks.push((c.track(), Body::Full(after)));
            }
            Columns::Rotations { c, .. } => {
                let mut cells = spread(&self.rows, &before, F::ZERO);
                for (row, value) in self.rows.iter().zip(before.iter().skip(1)) {
                    cells.resize(cells.len().max(row + 2), F::ZERO);
                    cells[row + 1] = *value;
                }
                witness.tracks.push((c.track(), Body::Full(cells)));
            }
        }
        (witness, product)
    }
}

/// Values laid out at their rows.
fn spread<T: Copy>(rows: &[usize], values: &[T], fill: T) -> Vec<T> {
    let len = rows.last().map_or(0, |last| last + 1);
    let mut cells = vec![fill; len];
    for (row, value) in rows.iter().zip(values) {
        cells[*row] = *value;
    }
    cells
}

/// The lookup that both circuits have on every row.
fn look_up_bytes<F: Field>(plonk: &mut Plonk<F>, a: Column) {
    let bytes = plonk.table("bytes", 1, (0..256).collect());
    plonk.lookup("a is a byte", bytes, &[a], None);
}

fn with_copies<F: Field>(log_n: u32, factors: usize) -> Result<ProductChain<F>, SystemError> {
    let mut plonk = Plonk::new(log_n);
    let [a, b, c] = ["a", "b", "c"].map(|name| plonk.advice(name));
    let product = plonk.read(a, 0) * plonk.read(b, 0) - plonk.read(c, 0);
    plonk.gate("a b = c", product);
    look_up_bytes(&mut plonk, a);

    let mut rows = plonk.rows();
    let output = rows.instance("product", 1);
    let mut of_factors: Vec<usize> = Vec::with_capacity(factors);
    for _ in 0..factors {
        let row = rows.region(1)?;
        match of_factors.last() {
            None => rows.constant(b.cell(row), F::ONE),
            Some(last) => rows.copy(b.cell(row), c.cell(*last)),
        }
        of_factors.push(row);
    }
    if let Some(last) = of_factors.last() {
        rows.public(c.cell(*last), output, 0);
    }
    Ok(ProductChain {
        system: rows.finish()?,
        columns: Columns::Copies { a, b, c },
        rows: of_factors,
    })
}

/// Regions of as many rows as a lane has: one row more than factors, as the gate reads the next one.
fn with_rotations<F: Field>(log_n: u32, factors: usize) -> Result<ProductChain<F>, SystemError> {
    let mut plonk = Plonk::new(log_n);
    let (a, c, step) = (plonk.advice("a"), plonk.advice("c"), plonk.fixed("step"));
    let (now, next) = (plonk.read(c, 0), plonk.read(c, 1));
    let product = plonk.read(a, 0) * now - next;
    let on = plonk.read(step, 0);
    plonk.gate("a c = next c", on * product);
    look_up_bytes(&mut plonk, a);

    let mut rows = plonk.rows();
    let output = rows.instance("product", 1);
    let mut of_factors: Vec<usize> = Vec::with_capacity(factors);
    let mut end = None;
    while of_factors.len() < factors {
        let left = factors - of_factors.len();
        let steps = left.min(rows.usable().saturating_sub(1)).max(1);
        let first = rows.region(steps + 1)?;
        match end {
            None => rows.constant(c.cell(first), F::ONE),
            Some(end) => rows.copy(c.cell(first), c.cell(end)),
        }
        for row in first..first + steps {
            rows.fix(step, row, F::ONE);
            of_factors.push(row);
        }
        end = Some(first + steps);
    }
    if let Some(end) = end {
        rows.public(c.cell(end), output, 0);
    }
    Ok(ProductChain {
        system: rows.finish()?,
        columns: Columns::Rotations { a, c },
        rows: of_factors,
    })
}
