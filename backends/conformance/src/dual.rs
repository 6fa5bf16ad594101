//! Two backends run side by side, every result compared.

use core::fmt::Debug;

use zkernel_backend::{
    Backend, Body, ColumnRef, Curve, HostColumns, Result, Scalar, Term, shape::Shape,
};
use zkernel_verifier::curve::powers;
use zkernel_verifier::expression::Program;
use zkernel_verifier::form::EvaluatedView;

/// Runs every operation on both backends and returns the results of both. Batches are read back after every operation,
/// bases are compared by committing to `1, 3, 9, ..` on them.
///
/// # Panics
/// At the first difference of values, points, shapes or errors, naming the operation and the first differing index: a
/// differential test ends there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dual<A, B> {
    /// The first backend.
    pub a: A,
    /// The second backend.
    pub b: B,
}

/// The same thing on both backends.
pub struct Both<A, B> {
    a: A,
    b: B,
}

/// The same bases on both backends.
pub struct BothBases<A, B> {
    both: Both<A, B>,
    len: usize,
}

/// The same batch on both backends.
type Batch<C, A, B> = Both<<A as Backend<C>>::Columns, <B as Backend<C>>::Columns>;

/// Both results, if both succeeded; the error, if both failed alike.
fn both<A, B>(operation: &str, a: Result<A>, b: Result<B>) -> Result<Both<A, B>> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok(Both { a, b }),
        (Err(a), Err(b)) if a == b => Err(a),
        (a, b) => panic!(
            "{operation}: errors differ: {:?} and {:?}",
            a.err(),
            b.err()
        ),
    }
}

fn equal<T: PartialEq + Debug>(operation: &str, a: &[T], b: &[T]) {
    assert_eq!(a.len(), b.len(), "{operation}: numbers of elements differ");
    if let Some(index) = a.iter().zip(b).position(|(a, b)| a != b) {
        panic!(
            "{operation}: index {index} differs: {:?} and {:?}",
            a[index], b[index]
        );
    }
}

/// Host values of both, compared.
fn values<T: PartialEq + Debug>(
    operation: &str,
    a: Result<Vec<T>>,
    b: Result<Vec<T>>,
) -> Result<Vec<T>> {
    let Both { a, b } = both(operation, a, b)?;
    equal(operation, &a, &b);
    Ok(a)
}

fn pair<T: PartialEq + Debug>(
    operation: &str,
    a: Result<(T, T)>,
    b: Result<(T, T)>,
) -> Result<(T, T)> {
    let Both { a, b } = both(operation, a, b)?;
    assert_eq!(a, b, "{operation}: cross terms differ");
    Ok(a)
}

impl<A, B> Dual<A, B> {
    fn same_cells<C: Curve>(&self, operation: &str, x: &Batch<C, A, B>)
    where
        A: Backend<C>,
        B: Backend<C>,
    {
        let shapes: [Shape; 2] = [self.a.shape(&x.a), self.b.shape(&x.b)];
        assert_eq!(shapes[0], shapes[1], "{operation}: shapes differ");
        let cells = both(operation, self.a.read(&x.a), self.b.read(&x.b));
        if let Ok(Both { a, b }) = cells {
            equal(operation, &a, &b);
        }
    }

    fn columns<C: Curve>(
        &self,
        operation: &str,
        a: Result<A::Columns>,
        b: Result<B::Columns>,
    ) -> Result<Batch<C, A, B>>
    where
        A: Backend<C>,
        B: Backend<C>,
    {
        let columns = both(operation, a, b)?;
        self.same_cells(operation, &columns);
        Ok(columns)
    }

    fn adds<C: Curve>(
        &self,
        operation: &str,
        target: &mut Batch<C, A, B>,
        on_a: impl FnOnce(&mut A::Columns) -> Result<()>,
        on_b: impl FnOnce(&mut B::Columns) -> Result<()>,
    ) -> Result<()>
    where
        A: Backend<C>,
        B: Backend<C>,
    {
        let done = both(operation, on_a(&mut target.a), on_b(&mut target.b));
        self.same_cells(operation, target);
        done.map(|_| ())
    }

    fn bases<C: Curve>(
        &self,
        operation: &str,
        a: Result<A::Bases>,
        b: Result<B::Bases>,
        len: usize,
    ) -> Result<BothBases<A::Bases, B::Bases>>
    where
        A: Backend<C>,
        B: Backend<C>,
    {
        let both = both(operation, a, b)?;
        let probe = HostColumns {
            rows: len,
            columns: 1,
            body: Body::Full(powers(Scalar::<C>::from(3), len)),
            tail: Vec::new(),
        };
        let extra = [Vec::new()];
        let on_a = self.a.upload(&probe);
        let on_a = on_a.and_then(|x| self.a.commit(&both.a, &[&x], &extra));
        let on_b = self.b.upload(&probe);
        let on_b = on_b.and_then(|x| self.b.commit(&both.b, &[&x], &extra));
        values(operation, on_a, on_b)?;
        Ok(BothBases { both, len })
    }
}

/// The halves of a list of batches.
fn split<'a, A, B>(sources: &[&'a Both<A, B>]) -> (Vec<&'a A>, Vec<&'a B>) {
    sources.iter().map(|x| (&x.a, &x.b)).unzip()
}

impl<C: Curve, A: Backend<C>, B: Backend<C>> Backend<C> for Dual<A, B> {
    type Columns = Batch<C, A, B>;
    type Bases = BothBases<A::Bases, B::Bases>;
    type Kernel = Both<A::Kernel, B::Kernel>;

    fn name(&self) -> String {
        format!("{} and {}", self.a.name(), self.b.name())
    }

    fn upload(&self, host: &HostColumns<Scalar<C>>) -> Result<Self::Columns> {
        self.columns("upload", self.a.upload(host), self.b.upload(host))
    }

    fn zeros(&self, columns: usize, rows: usize) -> Result<Self::Columns> {
        let (a, b) = (self.a.zeros(columns, rows), self.b.zeros(columns, rows));
        self.columns("zeros", a, b)
    }

    fn shape(&self, columns: &Self::Columns) -> Shape {
        let shapes = (self.a.shape(&columns.a), self.b.shape(&columns.b));
        assert_eq!(shapes.0, shapes.1, "shape: shapes differ");
        shapes.0
    }

    fn read(&self, x: &Self::Columns) -> Result<Vec<Scalar<C>>> {
        values("read", self.a.read(&x.a), self.b.read(&x.b))
    }

    fn gather(&self, sources: &[&Self::Columns], chosen: &[ColumnRef]) -> Result<Self::Columns> {
        let (a, b) = split(sources);
        let (a, b) = (self.a.gather(&a, chosen), self.b.gather(&b, chosen));
        self.columns("gather", a, b)
    }

    fn load_bases(&self, points: &[C]) -> Result<Self::Bases> {
        let (a, b) = (self.a.load_bases(points), self.b.load_bases(points));
        self.bases("load_bases", a, b, points.len())
    }

    fn commit(
        &self,
        bases: &Self::Bases,
        batches: &[&Self::Columns],
        extra: &[Vec<Scalar<C>>],
    ) -> Result<Vec<C>> {
        let (a, b) = split(batches);
        let a = self.a.commit(&bases.both.a, &a, extra);
        let b = self.b.commit(&bases.both.b, &b, extra);
        values("commit", a, b)
    }

    fn commit_dictionary(
        &self,
        bases: &Self::Bases,
        indices: &[u32],
        dictionary: &Self::Columns,
        tails: &[Vec<Scalar<C>>],
        extra: &[Vec<Scalar<C>>],
    ) -> Result<Vec<C>> {
        let (bases, dict) = (&bases.both, dictionary);
        let a = self
            .a
            .commit_dictionary(&bases.a, indices, &dict.a, tails, extra);
        let b = self
            .b
            .commit_dictionary(&bases.b, indices, &dict.b, tails, extra);
        values("commit_dictionary", a, b)
    }

    fn msm(&self, points: &[C], scalars: &[Scalar<C>]) -> Result<C> {
        let (a, b) = (self.a.msm(points, scalars), self.b.msm(points, scalars));
        let Both { a, b } = both("msm", a, b)?;
        assert_eq!(a, b, "msm: points differ");
        Ok(a)
    }

    fn interpolate(&self, x: &Self::Columns) -> Result<Self::Columns> {
        let (a, b) = (self.a.interpolate(&x.a), self.b.interpolate(&x.b));
        self.columns("interpolate", a, b)
    }

    fn coset_evaluate(&self, x: &Self::Columns, shift: Scalar<C>) -> Result<Self::Columns> {
        let a = self.a.coset_evaluate(&x.a, shift);
        let b = self.b.coset_evaluate(&x.b, shift);
        self.columns("coset_evaluate", a, b)
    }

    fn prepare(&self, program: &Program) -> Result<Self::Kernel> {
        both("prepare", self.a.prepare(program), self.b.prepare(program))
    }

    fn run(
        &self,
        kernel: &Self::Kernel,
        inputs: &[&Self::Columns],
        constants: &[Scalar<C>],
        weights: &[Scalar<C>],
        accumulator: &mut Self::Columns,
    ) -> Result<()> {
        let (a, b) = split(inputs);
        self.adds::<C>(
            "run",
            accumulator,
            |sum| self.a.run(&kernel.a, &a, constants, weights, sum),
            |sum| self.b.run(&kernel.b, &b, constants, weights, sum),
        )
    }

    fn multiply(&self, x: &Self::Columns, y: &Self::Columns) -> Result<Self::Columns> {
        let (a, b) = (self.a.multiply(&x.a, &y.a), self.b.multiply(&x.b, &y.b));
        self.columns("multiply", a, b)
    }

    fn invert(&self, x: &Self::Columns, constant: Scalar<C>) -> Result<Self::Columns> {
        let a = self.a.invert(&x.a, constant);
        let b = self.b.invert(&x.b, constant);
        self.columns("invert", a, b)
    }

    fn take(
        &self,
        indices: &[u32],
        dictionary: &Self::Columns,
        tails: &[Vec<Scalar<C>>],
        rows: usize,
    ) -> Result<Self::Columns> {
        let a = self.a.take(indices, &dictionary.a, tails, rows);
        let b = self.b.take(indices, &dictionary.b, tails, rows);
        self.columns("take", a, b)
    }

    fn dot(&self, x: &Self::Columns, vector: &Self::Columns) -> Result<Vec<Scalar<C>>> {
        let (a, b) = (self.a.dot(&x.a, &vector.a), self.b.dot(&x.b, &vector.b));
        values("dot", a, b)
    }

    fn combine(
        &self,
        sources: &[&Self::Columns],
        terms: &[Vec<Term<Scalar<C>>>],
        constants: &[Scalar<C>],
        rows: usize,
    ) -> Result<Self::Columns> {
        let (a, b) = split(sources);
        let a = self.a.combine(&a, terms, constants, rows);
        let b = self.b.combine(&b, terms, constants, rows);
        self.columns("combine", a, b)
    }

    fn accumulate(
        &self,
        target: &mut Self::Columns,
        width: usize,
        view: &EvaluatedView<Scalar<C>>,
    ) -> Result<()> {
        self.adds::<C>(
            "accumulate",
            target,
            |target| self.a.accumulate(target, width, view),
            |target| self.b.accumulate(target, width, view),
        )
    }

    fn accumulate_sparse(
        &self,
        target: &mut Self::Columns,
        width: usize,
        entries: &[(usize, Scalar<C>)],
    ) -> Result<()> {
        self.adds::<C>(
            "accumulate_sparse",
            target,
            |target| self.a.accumulate_sparse(target, width, entries),
            |target| self.b.accumulate_sparse(target, width, entries),
        )
    }

    fn contract(
        &self,
        source: &Self::Columns,
        source_width: usize,
        outer: &[(usize, usize)],
        inner: &EvaluatedView<Scalar<C>>,
        target: &mut Self::Columns,
        width: usize,
        start: usize,
    ) -> Result<()> {
        let (a, b) = (&source.a, &source.b);
        self.adds::<C>(
            "contract",
            target,
            |to| (self.a).contract(a, source_width, outer, inner, to, width, start),
            |to| (self.b).contract(b, source_width, outer, inner, to, width, start),
        )
    }

    fn cross_columns(
        &self,
        f: &Self::Columns,
        a: &Self::Columns,
    ) -> Result<(Scalar<C>, Scalar<C>)> {
        let on_a = self.a.cross_columns(&f.a, &a.a);
        pair("cross_columns", on_a, self.b.cross_columns(&f.b, &a.b))
    }

    fn fold_columns(&self, x: &Self::Columns, u: Scalar<C>) -> Result<Self::Columns> {
        let (a, b) = (self.a.fold_columns(&x.a, u), self.b.fold_columns(&x.b, u));
        self.columns("fold_columns", a, b)
    }

    fn cross_rows(&self, f: &Self::Columns, a: &Self::Columns) -> Result<(Scalar<C>, Scalar<C>)> {
        let on_a = self.a.cross_rows(&f.a, &a.a);
        pair("cross_rows", on_a, self.b.cross_rows(&f.b, &a.b))
    }

    fn fold_rows(&self, x: &Self::Columns, u: Scalar<C>) -> Result<Self::Columns> {
        let (a, b) = (self.a.fold_rows(&x.a, u), self.b.fold_rows(&x.b, u));
        self.columns("fold_rows", a, b)
    }

    fn expand(&self, f: &Self::Columns, weights: &[Scalar<C>]) -> Result<Self::Columns> {
        let (a, b) = (self.a.expand(&f.a, weights), self.b.expand(&f.b, weights));
        self.columns("expand", a, b)
    }

    fn fold_bases(
        &self,
        bases: &Self::Bases,
        rows: usize,
        weights: &[Scalar<C>],
    ) -> Result<Self::Bases> {
        let a = self.a.fold_bases(&bases.both.a, rows, weights);
        let b = self.b.fold_bases(&bases.both.b, rows, weights);
        let kept = bases.len.saturating_sub(rows);
        let folded = rows.checked_div(weights.len()).unwrap_or(0);
        self.bases("fold_bases", a, b, folded + kept)
    }
}
