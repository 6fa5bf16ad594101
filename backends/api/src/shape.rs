//! The shape rules of every operation, once for all backends.
//!
//! A shape is `(columns, rows)`. Backends call these first: an operation that fails here has changed nothing.

use zkernel_verifier::curve::Field;
use zkernel_verifier::expression::{Operand, Program};
use zkernel_verifier::form::EvaluatedView;

use crate::{BackendError, Body, ColumnRef, HostColumns, Result, Term};

/// Columns and rows of a batch.
pub type Shape = (usize, usize);

/// Largest supported bound of small integers, in bits.
pub const MAX_SMALL_BITS: u32 = 62;

fn ensure(holds: bool, operation: &'static str, problem: impl FnOnce() -> String) -> Result<()> {
    if holds {
        Ok(())
    } else {
        Err(BackendError::shape(operation, problem()))
    }
}

/// Number of cells of a batch of that shape.
pub fn cells(operation: &'static str, columns: usize, rows: usize) -> Result<usize> {
    columns.checked_mul(rows).ok_or_else(|| {
        BackendError::shape(
            operation,
            format!("{columns} columns of {rows} rows overflow"),
        )
    })
}

/// [`crate::Backend::upload`]: cells as many as shape says, small integers within their bound, the bound within
/// [`MAX_SMALL_BITS`].
pub fn upload<F: Field>(host: &HostColumns<F>) -> Result<()> {
    let op = "upload";
    cells(op, host.columns, host.rows)?;
    ensure(host.is_consistent(), op, || {
        format!(
            "{} body and {} tail cells for {} columns of {} rows",
            host.body.len(),
            host.tail.len(),
            host.columns,
            host.rows
        )
    })?;
    let Body::Small { bits, values } = &host.body else {
        return Ok(());
    };
    ensure(*bits <= MAX_SMALL_BITS, op, || {
        format!("small integers of {bits} bits, at most {MAX_SMALL_BITS} are supported")
    })?;
    let outside = values.iter().find(|v| v.unsigned_abs() >> bits != 0);
    ensure(outside.is_none(), op, || {
        format!(
            "value {} needs more than {bits} bits",
            outside.unwrap_or(&0)
        )
    })
}

/// [`crate::Backend::gather`]: sources of equal rows, chosen columns that exist. Gives the new batch's shape.
pub fn gather(sources: &[Shape], chosen: &[ColumnRef]) -> Result<Shape> {
    let rows = sources.first().map_or(0, |(_, rows)| *rows);
    equal_rows("gather", sources, rows)?;
    chosen
        .iter()
        .try_for_each(|c| column_exists("gather", sources, *c))?;
    Ok((chosen.len(), rows))
}

/// [`crate::Backend::commit`]: enough bases for the rows, one list of extra scalars a column, none beyond the bases.
pub fn commit<F>(bases: usize, batches: &[Shape], extra: &[Vec<F>]) -> Result<()> {
    let columns: usize = batches.iter().map(|(columns, _)| columns).sum();
    ensure(columns == extra.len(), "commit", || {
        format!(
            "{} lists of extra scalars for {columns} columns",
            extra.len()
        )
    })?;
    let mut extra = extra.iter();
    batches.iter().try_for_each(|&(columns, rows)| {
        extra_fits("commit", bases, rows, 0)?;
        extra
            .by_ref()
            .take(columns)
            .try_for_each(|list| extra_fits("commit", bases, rows, list.len()))
    })
}

/// [`crate::Backend::commit_dictionary`]: as [`take`] with the rows implied by the indices, and as [`commit`].
/// Gives the rows.
pub fn commit_dictionary<F>(
    bases: usize,
    indices: &[u32],
    dictionary: Shape,
    tails: &[Vec<F>],
    extra: &[Vec<F>],
) -> Result<usize> {
    let op = "commit_dictionary";
    ensure(tails.len() == extra.len(), op, || {
        format!(
            "{} tails but {} lists of extra scalars",
            tails.len(),
            extra.len()
        )
    })?;
    let rows = indices.len().checked_div(tails.len()).unwrap_or(0);
    dictionary_cells(op, indices, dictionary, tails, rows)?;
    extra_fits(op, bases, rows, 0)?;
    extra
        .iter()
        .try_for_each(|list| extra_fits(op, bases, rows, list.len()))?;
    Ok(rows)
}

/// [`crate::Backend::take`]: one tail a column, `rows` indices a column, each within the dictionary (also below the
/// tail), tails no longer than the rows.
pub fn take<F>(indices: &[u32], dictionary: Shape, tails: &[Vec<F>], rows: usize) -> Result<()> {
    dictionary_cells("take", indices, dictionary, tails, rows)
}

/// [`crate::Backend::msm`]: as many scalars as points.
pub fn msm(points: usize, scalars: usize) -> Result<()> {
    ensure(points == scalars, "msm", || {
        format!("{scalars} scalars for {points} points")
    })
}

/// Transforms: rows are a power of two, at most 2^32. Gives the logarithm.
pub fn transform(operation: &'static str, (_, rows): Shape) -> Result<u32> {
    ensure(
        rows.is_power_of_two() && rows.ilog2() <= 32,
        operation,
        || format!("{rows} rows are not a power of two up to 2^32"),
    )?;
    Ok(rows.ilog2())
}

/// [`crate::Backend::prepare`]: every operand exists and precedes its use.
pub fn prepare(program: &Program) -> Result<()> {
    let exists = |operand: Operand, results: usize| match operand {
        Operand::Input(i) => i < program.inputs,
        Operand::Constant(i) => i < program.constants,
        Operand::Result(i) => usize::from(i) < results,
    };
    for (index, instruction) in program.instructions.iter().enumerate() {
        let holds = exists(instruction.a, index) && exists(instruction.b, index);
        ensure(holds, "prepare", || {
            format!("instruction {index} reads what is not there: {instruction:?}")
        })?;
    }
    let results = program.instructions.len();
    ensure(exists(program.output, results), "prepare", || {
        format!("the output reads what is not there: {:?}", program.output)
    })
}

/// [`crate::Backend::run`]: inputs and constants as the program wants them, one column a weight in every input, all
/// with the rows of the single column `accumulator`.
pub fn run(
    program: &Program,
    inputs: &[Shape],
    constants: usize,
    weights: usize,
    accumulator: Shape,
) -> Result<()> {
    let op = "run";
    let arity = (usize::from(program.inputs), usize::from(program.constants));
    ensure(arity == (inputs.len(), constants), op, || {
        format!(
            "{} inputs and {constants} constants for a program of {} and {}",
            inputs.len(),
            arity.0,
            arity.1
        )
    })?;
    single(op, accumulator)?;
    inputs
        .iter()
        .try_for_each(|input| same(op, *input, (weights, accumulator.1)))
}

/// Two batches of the same shape.
pub fn same(operation: &'static str, a: Shape, b: Shape) -> Result<()> {
    ensure(a == b, operation, || {
        format!("shapes (columns, rows) {a:?} and {b:?} differ")
    })
}

/// [`crate::Backend::dot`]: a single vector with the rows of the batch.
pub fn dot(columns: Shape, vector: Shape) -> Result<()> {
    same("dot", (1, columns.1), vector)
}

/// [`crate::Backend::combine`]: one constant an output, sources of `rows` rows, columns that exist.
pub fn combine<F>(
    sources: &[Shape],
    terms: &[Vec<Term<F>>],
    constants: usize,
    rows: usize,
) -> Result<()> {
    let op = "combine";
    cells(op, terms.len(), rows)?;
    ensure(terms.len() == constants, op, || {
        format!("{constants} constants for {} outputs", terms.len())
    })?;
    equal_rows(op, sources, rows)?;
    terms
        .iter()
        .flatten()
        .try_for_each(|term| column_exists(op, sources, term.column))
}

/// [`crate::Backend::accumulate`]: every position of the view lies in the target.
pub fn accumulate<F>(target: Shape, width: usize, view: &EvaluatedView<F>) -> Result<()> {
    let op = "accumulate";
    let end = positions(op, target, width)?;
    match span(op, view)? {
        Some(last) => within(op, last, end),
        None => Ok(()),
    }
}

/// [`crate::Backend::accumulate_sparse`]: every position lies in the target.
pub fn accumulate_sparse<F>(target: Shape, width: usize, entries: &[(usize, F)]) -> Result<()> {
    let op = "accumulate_sparse";
    let end = positions(op, target, width)?;
    entries
        .iter()
        .try_for_each(|(position, _)| within(op, *position, end))
}

/// [`crate::Backend::contract`]: every position read or written exists. Gives the number of outputs, 0 if nothing is
/// to be done.
pub fn contract<F>(
    source: Shape,
    source_width: usize,
    outer: &[(usize, usize)],
    inner: &EvaluatedView<F>,
    target: Shape,
    target_width: usize,
    start: usize,
) -> Result<usize> {
    let op = "contract";
    let source_end = positions(op, source, source_width)?;
    let target_end = positions(op, target, target_width)?;
    let inner_last = span(op, inner)?;
    if outer.iter().any(|(length, _)| *length == 0) {
        return Ok(0);
    }
    let Some(inner_last) = inner_last else {
        return Ok(0);
    };
    let last = reach(op, inner_last, outer.iter().copied())?;
    let count = outer
        .iter()
        .try_fold(1usize, |n, (length, _)| n.checked_mul(*length));
    let written = count.and_then(|n| start.checked_add(n - 1));
    within(op, last, source_end)?;
    within(op, written.unwrap_or(usize::MAX), target_end)?;
    Ok(count.unwrap_or(0))
}

/// [`crate::Backend::cross_columns`]: equal shapes, columns in pairs.
pub fn cross_columns(f: Shape, a: Shape) -> Result<()> {
    same("cross_columns", f, a)?;
    even("cross_columns", "columns", f.0)
}

/// [`crate::Backend::fold_columns`]: columns in pairs.
pub fn fold_columns(shape: Shape) -> Result<()> {
    even("fold_columns", "columns", shape.0)
}

/// [`crate::Backend::cross_rows`]: two single columns of equal, even rows.
pub fn cross_rows(f: Shape, a: Shape) -> Result<()> {
    single("cross_rows", f)?;
    same("cross_rows", f, a)?;
    even("cross_rows", "rows", f.1)
}

/// [`crate::Backend::fold_rows`]: rows in pairs.
pub fn fold_rows(shape: Shape) -> Result<()> {
    even("fold_rows", "rows", shape.1)
}

/// [`crate::Backend::expand`]: a single column of even rows, weights of a power-of-two length.
pub fn expand(f: Shape, weights: usize) -> Result<()> {
    single("expand", f)?;
    even("expand", "rows", f.1)?;
    power_of_two("expand", weights)?;
    cells("expand", f.1, weights).map(|_| ())
}

/// [`crate::Backend::fold_bases`]: `rows` bases exist and are a multiple of the power-of-two length of the weights.
pub fn fold_bases(bases: usize, rows: usize, weights: usize) -> Result<()> {
    let op = "fold_bases";
    power_of_two(op, weights)?;
    ensure(rows <= bases && rows.is_multiple_of(weights), op, || {
        format!("{rows} of {bases} bases by {weights} weights")
    })
}

fn single(operation: &'static str, shape: Shape) -> Result<()> {
    ensure(shape.0 == 1, operation, || {
        format!("a single column is wanted, not {}", shape.0)
    })
}

fn even(operation: &'static str, what: &'static str, count: usize) -> Result<()> {
    ensure(count.is_multiple_of(2), operation, || {
        format!("{count} {what} are not pairs")
    })
}

fn power_of_two(operation: &'static str, weights: usize) -> Result<()> {
    ensure(weights.is_power_of_two(), operation, || {
        format!("{weights} weights are not a power of two")
    })
}

fn equal_rows(operation: &'static str, sources: &[Shape], rows: usize) -> Result<()> {
    sources.iter().try_for_each(|source| {
        ensure(source.1 == rows, operation, || {
            format!("a source of {} rows among {rows}", source.1)
        })
    })
}

fn column_exists(operation: &'static str, sources: &[Shape], column: ColumnRef) -> Result<()> {
    let columns = sources.get(column.batch).map(|(columns, _)| *columns);
    ensure(
        columns.is_some_and(|n| column.column < n),
        operation,
        || format!("{column:?} is not there"),
    )
}

fn extra_fits(operation: &'static str, bases: usize, rows: usize, extra: usize) -> Result<()> {
    let available = bases.checked_sub(rows);
    ensure(available.is_some_and(|n| extra <= n), operation, || {
        format!("{rows} rows and {extra} extra scalars for {bases} bases")
    })
}

fn dictionary_cells<F>(
    op: &'static str,
    indices: &[u32],
    dictionary: Shape,
    tails: &[Vec<F>],
    rows: usize,
) -> Result<()> {
    let wanted = cells(op, tails.len(), rows)?;
    ensure(wanted == indices.len(), op, || {
        format!(
            "{} indices for {} columns of {rows} rows",
            indices.len(),
            tails.len()
        )
    })?;
    let longest = tails.iter().map(Vec::len).max().unwrap_or(0);
    ensure(longest <= rows, op, || {
        format!("a tail of {longest} cells in columns of {rows} rows")
    })?;
    let entries = cells(op, dictionary.0, dictionary.1)?;
    let largest = indices.iter().max().map(|i| usize::try_from(*i));
    let holds = largest.is_none_or(|i| i.is_ok_and(|i| i < entries));
    ensure(holds, op, || {
        format!("index {largest:?} in a dictionary of {entries} entries")
    })
}

/// Positions of a batch whose columns are split by `width`.
fn positions(operation: &'static str, shape: Shape, width: usize) -> Result<usize> {
    ensure(0 < width && width <= shape.1, operation, || {
        format!("width {width} for columns of {} rows", shape.1)
    })?;
    cells(operation, shape.0, width)
}

/// Last position of a view, `None` if it is empty.
fn span<F>(operation: &'static str, view: &EvaluatedView<F>) -> Result<Option<usize>> {
    if view.axes.iter().any(|axis| axis.factor.is_empty()) {
        return Ok(None);
    }
    let axes = view.axes.iter().map(|a| (a.factor.len(), a.stride));
    reach(operation, view.start, axes).map(Some)
}

fn reach(
    operation: &'static str,
    start: usize,
    mut axes: impl Iterator<Item = (usize, usize)>,
) -> Result<usize> {
    axes.try_fold(start, |end, (length, stride)| {
        end.checked_add((length - 1).checked_mul(stride)?)
    })
    .ok_or_else(|| BackendError::shape(operation, "positions overflow"))
}

fn within(operation: &'static str, position: usize, end: usize) -> Result<()> {
    ensure(position < end, operation, || {
        format!("position {position} outside the {end} positions of the batch")
    })
}
