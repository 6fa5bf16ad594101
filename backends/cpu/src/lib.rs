//! # The CPU backend
//!
//! Field arithmetic of `pasta_curves`, eight elements at a time where the machine can ([`level`]), on the global rayon
//! pool. One operation family a file, named as in
//! `zkernel-backend-reference`, which defines what they mean: [`columns`], [`bases`], `commit` and `msm` (over batched affine additions),
//! `ntt`, `eval`, `linear` and `folds`.

mod affine;
pub mod bases;
mod buckets;
mod classes;
pub mod columns;
mod commit;
mod dictionary;
mod digits;
mod division;
mod eisenstein;
mod ends;
mod eval;
mod folds;
mod groups;
mod halves;
mod hexagons;
mod images;
mod integers;
mod kernels;
pub mod level;
mod linear;
mod msm;
mod ntt;
mod pace;
#[cfg(target_arch = "x86_64")]
mod packed;
// In the folder of all unsafe code, but for all processors.
#[path = "packed/pages.rs"]
mod pages;
mod parallel;
mod parts;
mod plan;
mod planes;
mod room;
mod sections;
#[cfg(target_arch = "x86_64")]
mod streams;
mod terms;
#[cfg(target_arch = "x86_64")]
mod trees;

use zkernel_backend::{Backend, ColumnRef, Curve, HostColumns, Result, Scalar, Term, shape};
use zkernel_verifier::expression::Program;
use zkernel_verifier::form::EvaluatedView;

pub use crate::bases::Bases;
pub use crate::columns::Columns;
pub use crate::eval::Kernel;
pub use crate::level::Level;
pub use crate::pace::Pace;
pub use crate::pages::{in_large_pages, reserve};

/// The CPU backend, on the global rayon pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpu {
    level: Level,
}

impl Default for Cpu {
    fn default() -> Self {
        Self::new()
    }
}

impl Cpu {
    /// The backend at the fastest level of this machine.
    #[must_use]
    pub fn new() -> Self {
        Self::with_level(Level::detect())
    }

    /// The backend at a chosen level.
    #[must_use]
    pub const fn with_level(level: Level) -> Self {
        Self { level }
    }
}

impl<C: Curve> Backend<C> for Cpu {
    type Columns = Columns<Scalar<C>>;
    type Bases = Bases<C>;
    type Kernel = Kernel;

    fn name(&self) -> String {
        format!("cpu ({})", self.level.name())
    }

    fn upload(&self, host: &HostColumns<Scalar<C>>) -> Result<Self::Columns> {
        Columns::upload(host)
    }

    fn zeros(&self, columns: usize, rows: usize) -> Result<Self::Columns> {
        Columns::zeros(columns, rows)
    }

    fn shape(&self, columns: &Self::Columns) -> (usize, usize) {
        columns.shape()
    }

    fn read(&self, columns: &Self::Columns) -> Result<Vec<Scalar<C>>> {
        Ok(columns.full(self.level).into_owned())
    }

    fn gather(&self, sources: &[&Self::Columns], chosen: &[ColumnRef]) -> Result<Self::Columns> {
        columns::gather(self.level, sources, chosen)
    }

    fn load_bases(&self, points: &[C]) -> Result<Self::Bases> {
        Ok(Bases::load(self.level, points))
    }

    fn commit(
        &self,
        bases: &Self::Bases,
        batches: &[&Self::Columns],
        extra: &[Vec<Scalar<C>>],
    ) -> Result<Vec<C>> {
        commit::commit(bases, batches, extra)
    }

    fn commit_dictionary(
        &self,
        bases: &Self::Bases,
        indices: &[u32],
        dictionary: &Self::Columns,
        tails: &[Vec<Scalar<C>>],
        extra: &[Vec<Scalar<C>>],
    ) -> Result<Vec<C>> {
        dictionary::commit_dictionary(bases, indices, dictionary, tails, extra)
    }

    fn msm(&self, points: &[C], scalars: &[Scalar<C>]) -> Result<C> {
        msm::msm(self.level, points, scalars)
    }

    fn interpolate(&self, values: &Self::Columns) -> Result<Self::Columns> {
        ntt::interpolate(self.level, values)
    }

    fn coset_evaluate(
        &self,
        coefficients: &Self::Columns,
        shift: Scalar<C>,
    ) -> Result<Self::Columns> {
        ntt::coset_evaluate(self.level, coefficients, shift)
    }

    fn prepare(&self, program: &Program) -> Result<Self::Kernel> {
        shape::prepare(program)?;
        Ok(Kernel::new(program))
    }

    fn run(
        &self,
        kernel: &Self::Kernel,
        inputs: &[&Self::Columns],
        constants: &[Scalar<C>],
        weights: &[Scalar<C>],
        accumulator: &mut Self::Columns,
    ) -> Result<()> {
        eval::run(
            self.level,
            kernel,
            inputs,
            (constants, weights),
            accumulator,
        )
    }

    fn multiply(&self, a: &Self::Columns, b: &Self::Columns) -> Result<Self::Columns> {
        eval::multiply(self.level, a, b)
    }

    fn invert(&self, columns: &Self::Columns, constant: Scalar<C>) -> Result<Self::Columns> {
        Ok(eval::invert(self.level, columns, constant))
    }

    fn take(
        &self,
        indices: &[u32],
        dictionary: &Self::Columns,
        tails: &[Vec<Scalar<C>>],
        rows: usize,
    ) -> Result<Self::Columns> {
        columns::take(self.level, indices, dictionary, tails, rows)
    }

    fn dot(&self, columns: &Self::Columns, vector: &Self::Columns) -> Result<Vec<Scalar<C>>> {
        linear::dot(self.level, columns, vector)
    }

    fn combine(
        &self,
        sources: &[&Self::Columns],
        terms: &[Vec<Term<Scalar<C>>>],
        constants: &[Scalar<C>],
        rows: usize,
    ) -> Result<Self::Columns> {
        linear::combine(self.level, sources, terms, constants, rows)
    }

    fn accumulate(
        &self,
        target: &mut Self::Columns,
        width: usize,
        view: &EvaluatedView<Scalar<C>>,
    ) -> Result<()> {
        linear::accumulate(self.level, target, width, view)
    }

    fn accumulate_sparse(
        &self,
        target: &mut Self::Columns,
        width: usize,
        entries: &[(usize, Scalar<C>)],
    ) -> Result<()> {
        linear::accumulate_sparse(self.level, target, width, entries)
    }

    fn contract(
        &self,
        source: &Self::Columns,
        source_width: usize,
        outer: &[(usize, usize)],
        inner: &EvaluatedView<Scalar<C>>,
        target: &mut Self::Columns,
        target_width: usize,
        start: usize,
    ) -> Result<()> {
        let source = (source, source_width);
        linear::contract(
            self.level,
            source,
            outer,
            inner,
            (target, target_width),
            start,
        )
    }

    fn cross_columns(
        &self,
        f: &Self::Columns,
        a: &Self::Columns,
    ) -> Result<(Scalar<C>, Scalar<C>)> {
        folds::cross_columns(self.level, f, a)
    }

    fn fold_columns(&self, columns: &Self::Columns, u: Scalar<C>) -> Result<Self::Columns> {
        folds::fold_columns(self.level, columns, u)
    }

    fn cross_rows(&self, f: &Self::Columns, a: &Self::Columns) -> Result<(Scalar<C>, Scalar<C>)> {
        folds::cross_rows(self.level, f, a)
    }

    fn fold_rows(&self, columns: &Self::Columns, u: Scalar<C>) -> Result<Self::Columns> {
        folds::fold_rows(self.level, columns, u)
    }

    fn expand(&self, f: &Self::Columns, weights: &[Scalar<C>]) -> Result<Self::Columns> {
        folds::expand(self.level, f, weights)
    }

    fn fold_bases(
        &self,
        bases: &Self::Bases,
        rows: usize,
        weights: &[Scalar<C>],
    ) -> Result<Self::Bases> {
        commit::fold_bases(bases, rows, weights)
    }
}
