//! # The backend contract
//!
//! A backend runs the prover's heavy operations on **device-resident batches of columns**. Port the operations, not the
//! protocol: a device needs MSM, NTT, gate programs and a little linear algebra.
//!
//! * **Layout.** A batch is `columns x rows` elements of the scalar field; all columns of a batch have the same number of
//!   rows, and either number may be 0. How they lie in device memory is private.
//! * **Order.** At the boundary elements are canonical and in natural order, column by column: cell (c, j) is element
//!   `c * rows + j`. Outputs come in the order of their arguments. A *position* p with a *width* w is column `p / w`, row
//!   `p mod w`: forms address the first w rows of each column and skip the rest.
//! * **Small integers** stay small from upload to MSM: a batch uploaded as [`Body::Small`] carries the signed bit bound.
//!   Every operation accepts small and full batches alike and gives the same results for equal values.
//! * **Ownership.** Batches are values: operations read them by reference and return new ones; only [`Backend::run`],
//!   [`Backend::accumulate`], [`Backend::accumulate_sparse`] and [`Backend::contract`] take `&mut`, to add. Dropping a batch
//!   frees it. A backend is stateless across calls but for caches that cannot be observed; batches, bases and kernels
//!   belong to the backend value that made them.
//! * **Who blocks.** Signatures are synchronous, execution may be lazy: only operations that return host values wait
//!   (marked *Waits*). A lazy backend may report a failure of the device at the next operation that waits.
//! * **Determinism.** Field operations are exact and points are returned in affine form, so for a fixed seed every
//!   backend gives the same proof bytes, on any number of threads, every time. The host draws all randomness.
//!   `0^-1 = 0` everywhere.
//! * **Errors.** One enum. No default bodies: a missing operation is a compile error, never a hidden trip to the host. Any
//!   operation may give [`BackendError::OutOfMemory`] or [`BackendError::DeviceLost`]; the methods' pages name only the rest.
//! * **Shapes.** Arguments that disagree in shape give [`BackendError::Shape`], never a panic or a wrong result, and leave a
//!   `&mut` target as it was; the rules are in [`shape`], for every backend to call.
//!
//! ```
//! use pasta_curves::{EqAffine, Fp};
//! use zkernel_backend::{Backend, Body, HostColumns};
//! use zkernel_backend_reference::Reference;
//!
//! // Two columns of four small cells, transformed to coefficients and back.
//! let host = HostColumns { rows: 4, columns: 2, body: Body::small((0..8).collect()), tail: vec![] };
//! let backend = Reference;
//! let columns = Backend::<EqAffine>::upload(&backend, &host)?;
//! let coefficients = Backend::<EqAffine>::interpolate(&backend, &columns)?;
//! let values = Backend::<EqAffine>::coset_evaluate(&backend, &coefficients, Fp::one())?;
//! let cells = Backend::<EqAffine>::read(&backend, &values)?;
//! assert_eq!(cells, (0..8).map(Fp::from).collect::<Vec<_>>());
//! # Ok::<(), zkernel_backend::BackendError>(())
//! ```
//!
//! A new backend is right when `zkernel-backend-conformance` passes against `zkernel-backend-reference`, which
//! implements every operation by its definition: read that crate first.

pub mod columns;
pub mod error;
pub mod shape;

pub use columns::{Body, ColumnRef, HostColumns, Term};
pub use error::BackendError;
pub use zkernel_verifier::curve::{Curve, Field, Scalar};
use zkernel_verifier::expression::Program;
use zkernel_verifier::form::EvaluatedView;

/// Result of a backend operation.
pub type Result<T> = core::result::Result<T, BackendError>;

/// The operations of a device, for commitments on `C`. F below is `C`'s scalar field, n the rows of a batch.
pub trait Backend<C: Curve>: Send + Sync {
    /// A batch of columns on the device.
    type Columns: Send + Sync;
    /// Bases of an MSM on the device, with whatever tables the backend likes.
    type Bases: Send + Sync;
    /// A gate program made ready.
    type Kernel: Send + Sync;

    /// Name, for reports.
    fn name(&self) -> String;

    // ---- columns

    /// Copies columns to the device: cell (c, j) of the batch is [`HostColumns::get`]`(c, j)`, the tail below the body.
    /// The batch keeps the bit bound of a small body.
    ///
    /// # Errors
    /// [`shape::upload`]: cells that do not fill the shape, a bound above [`shape::MAX_SMALL_BITS`], a value beyond it.
    fn upload(&self, columns: &HostColumns<Scalar<C>>) -> Result<Self::Columns>;

    /// A batch of `columns x rows` zeros.
    ///
    /// # Errors
    /// [`shape::cells`]: a number of cells that overflows.
    fn zeros(&self, columns: usize, rows: usize) -> Result<Self::Columns>;

    /// `(columns, rows)` of a batch. Known to the host: does not wait and cannot fail.
    fn shape(&self, columns: &Self::Columns) -> (usize, usize);

    /// Copies a batch to the host as `columns * rows` field elements, column by column. Waits.
    fn read(&self, columns: &Self::Columns) -> Result<Vec<Scalar<C>>>;

    /// A new batch of the chosen columns, in order, repetitions allowed: column q is column `chosen[q].column` of
    /// `sources[chosen[q].batch]`. All sources have the same number of rows, also those not chosen from.
    ///
    /// # Errors
    /// [`shape::gather`]: sources of other rows, a column that is not there.
    fn gather(&self, sources: &[&Self::Columns], chosen: &[ColumnRef]) -> Result<Self::Columns>;

    // ---- multi-scalar multiplication

    /// Loads bases `P_0 .. P_{len-1}`: the row generators followed by any extra ones. Any points of the curve, the
    /// identity, repetitions and opposites included.
    fn load_bases(&self, points: &[C]) -> Result<Self::Bases>;

    /// One point per column of each batch, in order: `sum_j column[j] P_j + sum_i extra[c][i] P_{rows+i}`.
    ///
    /// `extra` has one list per column (over all batches), each no longer than the bases beyond the rows; batches may
    /// differ in rows. Cheap in proportion to the bit bound of small batches. Waits.
    ///
    /// # Errors
    /// [`shape::commit`]: fewer bases than rows and extra scalars, another number of lists than of columns.
    fn commit(
        &self,
        bases: &Self::Bases,
        batches: &[&Self::Columns],
        extra: &[Vec<Scalar<C>>],
    ) -> Result<Vec<C>>;

    /// Commits columns whose cells are entries of a dictionary: cell (c, j) is `dictionary[indices[c * rows + j]]`,
    /// the dictionary being all cells of a batch, column by column; then the last cells of the column, as many as
    /// `tails[c]` has, are replaced by it. Generators are added up per entry, then one MSM over the entries used. Waits.
    ///
    /// Same points as [`Backend::commit`] of [`Backend::take`] of the same arguments; the rows are
    /// `indices.len() / tails.len()`.
    ///
    /// # Errors
    /// [`shape::commit_dictionary`]: as [`Backend::take`] and [`Backend::commit`].
    fn commit_dictionary(
        &self,
        bases: &Self::Bases,
        indices: &[u32],
        dictionary: &Self::Columns,
        tails: &[Vec<Scalar<C>>],
        extra: &[Vec<Scalar<C>>],
    ) -> Result<Vec<C>>;

    /// A plain variable-base `sum_i scalars[i] points[i]`, for verifiers and benchmarks; the identity if there are none.
    /// Waits.
    ///
    /// # Errors
    /// [`shape::msm`]: another number of scalars than of points.
    fn msm(&self, points: &[C], scalars: &[Scalar<C>]) -> Result<C>;

    // ---- number-theoretic transform

    /// Values on `H = <omega>` in natural order to coefficients, column by column: with n rows, output row i is
    /// `c_i = 1/n sum_j omega^(-ij) v_j`, so that `v_j = sum_i c_i omega^(ij)`. Rows are a power of two, at most 2^32,
    /// `omega = ROOT_OF_UNITY^(2^32 / rows)`.
    ///
    /// # Errors
    /// [`shape::transform`]: other rows.
    fn interpolate(&self, values: &Self::Columns) -> Result<Self::Columns>;

    /// Coefficients to values on the coset `shift * H`: for a column f, row i is `f(shift * omega^i)`, that is
    /// `sum_j f_j shift^j omega^(ij)`, for any shift, 0 included. Omega and rows as in [`Backend::interpolate`].
    ///
    /// # Errors
    /// [`shape::transform`]: other rows.
    fn coset_evaluate(
        &self,
        coefficients: &Self::Columns,
        shift: Scalar<C>,
    ) -> Result<Self::Columns>;

    // ---- gate programs

    /// Makes a program ready to run; its meaning is [`Program::evaluate`], row by row.
    ///
    /// # Errors
    /// [`shape::prepare`]: an operand that is not there or not yet computed.
    fn prepare(&self, program: &Program) -> Result<Self::Kernel>;

    /// `accumulator += sum_lanes weights[lane] * program(inputs[..][lane], constants)`, row by row, into the single
    /// column `accumulator`: the gates of a column group with the powers of y as weights. Each input batch has as many
    /// columns as there are weights and the rows of the accumulator.
    ///
    /// # Errors
    /// [`shape::run`]: inputs or constants other than the program's, other lanes or rows, several accumulators.
    fn run(
        &self,
        kernel: &Self::Kernel,
        inputs: &[&Self::Columns],
        constants: &[Scalar<C>],
        weights: &[Scalar<C>],
        accumulator: &mut Self::Columns,
    ) -> Result<()>;

    /// Cell by cell product of two batches of the same shape: `a[c][j] * b[c][j]`.
    ///
    /// # Errors
    /// [`shape::same`]: other shapes.
    fn multiply(&self, a: &Self::Columns, b: &Self::Columns) -> Result<Self::Columns>;

    /// The inverse of `value + constant` for every cell value, 0 for 0: the denominators of logarithmic derivatives.
    fn invert(&self, columns: &Self::Columns, constant: Scalar<C>) -> Result<Self::Columns>;

    /// The columns that [`Backend::commit_dictionary`] commits to, of `rows` rows each: cell (c, j) is
    /// `dictionary[indices[c * rows + j]]`, the dictionary being all cells of a batch, column by column; then the last
    /// cells of the column, as many as `tails[c]` has, are replaced by it. One column per tail.
    ///
    /// # Errors
    /// [`shape::take`]: an index beyond the dictionary (also below a tail), other than `rows` indices a column, a tail longer
    /// than the rows.
    fn take(
        &self,
        indices: &[u32],
        dictionary: &Self::Columns,
        tails: &[Vec<Scalar<C>>],
        rows: usize,
    ) -> Result<Self::Columns>;

    // ---- linear algebra

    /// Inner product of every column of a batch with the single column `vector`: `sum_j columns[c][j] vector[j]` for
    /// every c. Waits.
    ///
    /// # Errors
    /// [`shape::dot`]: a vector of several columns or other rows.
    fn dot(&self, columns: &Self::Columns, vector: &Self::Columns) -> Result<Vec<Scalar<C>>>;

    /// One output column per entry of `terms`: `constants[o] + sum coefficient * sources[batch][column]`, row by row.
    /// All sources have `rows` rows; an output without terms is constant; a column may appear more than once.
    ///
    /// # Errors
    /// [`shape::combine`]: another number of constants than of outputs, sources of other rows, a column that is not there.
    fn combine(
        &self,
        sources: &[&Self::Columns],
        terms: &[Vec<Term<Scalar<C>>>],
        constants: &[Scalar<C>],
        rows: usize,
    ) -> Result<Self::Columns>;

    /// Adds a linear form to dense coefficients: `target[p] += coefficient(p)` for every position p of the view, where
    /// position p is column `p / width`, row `p mod width` of `target`. The view's positions and coefficients are those of
    /// [`EvaluatedView::for_each`]; one met more than once adds up.
    ///
    /// # Errors
    /// [`shape::accumulate`]: a width of 0 or above the rows, a position beyond the target.
    fn accumulate(
        &self,
        target: &mut Self::Columns,
        width: usize,
        view: &EvaluatedView<Scalar<C>>,
    ) -> Result<()>;

    /// Adds a sparse form: `target[p] += coefficient` for every `(p, coefficient)`; equal positions add up.
    ///
    /// # Errors
    /// [`shape::accumulate_sparse`]: a width of 0 or above the rows, a position beyond the target.
    fn accumulate_sparse(
        &self,
        target: &mut Self::Columns,
        width: usize,
        entries: &[(usize, Scalar<C>)],
    ) -> Result<()>;

    /// A small-by-full matrix product: with `inner` the view's dimensions and `outer` `(length, stride)` pairs,
    /// `target[start + j] += sum_i coefficient(i) * source[position(i) + <j, outer>]`, j row-major over `outer`.
    /// Source positions are split by `source_width`, target positions by `target_width`. Nothing is done if an outer
    /// length is 0 or the view is empty.
    ///
    /// # Errors
    /// [`shape::contract`]: a width of 0 or above the rows, a position read or written beyond its batch.
    #[allow(clippy::too_many_arguments)]
    fn contract(
        &self,
        source: &Self::Columns,
        source_width: usize,
        outer: &[(usize, usize)],
        inner: &EvaluatedView<Scalar<C>>,
        target: &mut Self::Columns,
        target_width: usize,
        start: usize,
    ) -> Result<()>;

    /// Cross terms of a column round over neighbours: `(sum_q <f_{2q+1}, a_{2q}>, sum_q <f_{2q}, a_{2q+1}>)` over two
    /// batches of the same shape with an even number of columns. Waits.
    ///
    /// # Errors
    /// [`shape::cross_columns`]: other shapes, columns that are not pairs.
    fn cross_columns(&self, f: &Self::Columns, a: &Self::Columns)
    -> Result<(Scalar<C>, Scalar<C>)>;

    /// `columns[2q] + u * columns[2q+1]` for every pair of neighbours: half as many columns.
    ///
    /// # Errors
    /// [`shape::fold_columns`]: columns that are not pairs.
    fn fold_columns(&self, columns: &Self::Columns, u: Scalar<C>) -> Result<Self::Columns>;

    /// Cross terms of an inner round over neighbouring rows of two single columns:
    /// `(sum_i f_{2i+1} a_{2i}, sum_i f_{2i} a_{2i+1})`. Waits.
    ///
    /// # Errors
    /// [`shape::cross_rows`]: several columns, other shapes, rows that are not pairs.
    fn cross_rows(&self, f: &Self::Columns, a: &Self::Columns) -> Result<(Scalar<C>, Scalar<C>)>;

    /// `column[2i] + u * column[2i+1]` for every pair of neighbouring rows of every column: half as many rows.
    ///
    /// # Errors
    /// [`shape::fold_rows`]: rows that are not pairs.
    fn fold_rows(&self, columns: &Self::Columns, u: Scalar<C>) -> Result<Self::Columns>;

    /// The scalars of an inner round on unfolded bases. For a single column f of m rows and `weights` of length 2^r (the
    /// bases are folded r times: folded base i is `sum_b weights[b] P_{i 2^r + b}`), returns two columns of m 2^r rows:
    /// the scalars of L = <f_hi, G_lo> and of R = <f_lo, G_hi>, that is
    /// L at `(2i) 2^r + b` is `f[2i+1] weights[b]`, R at `(2i+1) 2^r + b` is `f[2i] weights[b]`, zero elsewhere.
    ///
    /// # Errors
    /// [`shape::expand`]: several columns, rows that are not pairs, weights of no power of two.
    fn expand(&self, f: &Self::Columns, weights: &[Scalar<C>]) -> Result<Self::Columns>;

    /// Writes folded bases out: of the first `rows` bases, `P'_i = sum_b weights[b] P_{i 2^r + b}`, `rows / 2^r` of them;
    /// bases beyond `rows` are kept, in order, after the folded ones.
    ///
    /// # Errors
    /// [`shape::fold_bases`]: weights of no power of two, fewer bases than rows, rows that are no multiple of the weights.
    fn fold_bases(
        &self,
        bases: &Self::Bases,
        rows: usize,
        weights: &[Scalar<C>],
    ) -> Result<Self::Bases>;
}
