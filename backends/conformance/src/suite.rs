//! The checks: every operation of a backend against the reference. They panic on the first difference.

use zkernel_backend::{Backend, BackendError, ColumnRef, Curve, HostColumns, Result, Scalar, Term};
use zkernel_backend_reference::Reference;
use zkernel_verifier::expression::{Instruction, Operand, Operation, Program};
use zkernel_verifier::form::{EvaluatedAxis, EvaluatedView};

use crate::inputs::{batches, full, points, scalar, scalars, small};

/// Shapes of batches: none, single, pairs, a power of two and its neighbours.
const SHAPES: [(usize, usize); 8] = [
    (0, 4),
    (1, 1),
    (2, 2),
    (3, 3),
    (2, 7),
    (4, 8),
    (1, 9),
    (2, 300),
];

/// Runs the same closure body on the backend and on the reference and compares.
macro_rules! same {
    ($backend:expr, $what:expr, |$b:ident| $body:expr) => {{
        let ours = {
            let $b = $backend;
            $body
        };
        let reference = {
            let $b = &Reference;
            $body
        };
        assert!(ours == reference, "{} differs from the reference", $what);
    }};
}

/// Shape and cells of a batch.
type Batch<C> = ((usize, usize), Vec<Scalar<C>>);

fn up<C: Curve, B: Backend<C>>(backend: &B, host: &HostColumns<Scalar<C>>) -> B::Columns {
    backend.upload(host).expect("a consistent batch")
}

fn cells<C: Curve, B: Backend<C>>(backend: &B, columns: Result<B::Columns>) -> Result<Batch<C>> {
    let columns = columns?;
    Ok((backend.shape(&columns), backend.read(&columns)?))
}

fn read<C: Curve, B: Backend<C>>(backend: &B, host: &HostColumns<Scalar<C>>) -> Vec<Scalar<C>> {
    let columns = up::<C, B>(backend, host);
    backend.read(&columns).expect("readable")
}

/// Upload, zeros, gather and take.
pub fn columns<C: Curve, B: Backend<C>>(backend: &B) {
    for (columns, rows) in SHAPES {
        same!(backend, "zeros", |b| cells::<C, _>(
            b,
            Backend::<C>::zeros(b, columns, rows)
        ));
        for host in batches::<Scalar<C>>(columns, rows) {
            same!(backend, "upload", |b| read::<C, _>(b, &host));
            let chosen: Vec<ColumnRef> = (0..columns)
                .rev()
                .map(|column| ColumnRef {
                    batch: column % 2,
                    column,
                })
                .collect();
            let other = small(columns, rows, 0, 5);
            same!(backend, "gather", |b| {
                let sources = [&up::<C, _>(b, &host), &up::<C, _>(b, &other)];
                cells::<C, _>(b, Backend::<C>::gather(b, &sources, &chosen))
            });
            let count = (columns * rows) as u32;
            let indices: Vec<u32> = (0..count).map(|i| i * i % count).collect();
            let tails: Vec<_> = (0..columns).map(|c| scalars(c, c.min(rows))).collect();
            same!(backend, "take", |b| {
                let dictionary = up::<C, _>(b, &host);
                cells::<C, _>(
                    b,
                    Backend::<C>::take(b, &indices, &dictionary, &tails, rows),
                )
            });
        }
    }
}

/// Variable-base sums.
pub fn msm<C: Curve, B: Backend<C>>(backend: &B) {
    for count in [0, 1, 2, 3, 7, 8, 9, 31, 33, 64, 257, 600] {
        let points = points::<C>(count);
        for scalars in [
            scalars(0, count),
            scalars(8, count),
            vec![scalar(10); count],
        ] {
            same!(backend, "msm", |b| b.msm(&points, &scalars));
        }
        let equal = vec![C::generator(); count];
        let scalars = scalars(3, count);
        same!(backend, "msm of equal points", |b| b.msm(&equal, &scalars));
    }
}

/// Commitments, direct and by dictionary.
pub fn commit<C: Curve, B: Backend<C>>(backend: &B) {
    for (columns, rows) in SHAPES {
        let points = points::<C>(rows + 2);
        let extra: Vec<_> = (0..columns).map(|c| scalars(c + 7, c % 3)).collect();
        for host in batches::<Scalar<C>>(columns, rows) {
            same!(backend, "commit", |b| {
                let bases = b.load_bases(&points).expect("bases");
                b.commit(&bases, &[&up::<C, _>(b, &host)], &extra)
            });
            let count = (columns * rows) as u32;
            let indices: Vec<u32> = (0..count).map(|i| i * i % count.min(5)).collect();
            let tails: Vec<_> = (0..columns).map(|c| scalars(c, c.min(rows))).collect();
            same!(backend, "commit_dictionary", |b| {
                let bases = b.load_bases(&points).expect("bases");
                let dictionary = up::<C, _>(b, &host);
                b.commit_dictionary(&bases, &indices, &dictionary, &tails, &extra)
            });
        }
    }
}

/// Folded bases, seen through commitments.
pub fn bases<C: Curve, B: Backend<C>>(backend: &B) {
    for (rows, fold) in [(8, 1), (8, 2), (8, 8), (0, 4), (512, 4)] {
        let points = points::<C>(rows + 2);
        let weights = scalars(6, fold);
        let host = full(1, rows / fold);
        let extra = [scalars(9, 2)];
        same!(backend, "fold_bases", |b| {
            let bases = b.load_bases(&points).expect("bases");
            let folded = b.fold_bases(&bases, rows, &weights).expect("foldable");
            b.commit(&folded, &[&up::<C, _>(b, &host)], &extra)
        });
    }
}

/// Transforms.
pub fn ntt<C: Curve, B: Backend<C>>(backend: &B) {
    for log_n in [0, 1, 2, 3, 7, 10] {
        for host in batches::<Scalar<C>>(2, 1 << log_n) {
            same!(backend, "interpolate", |b| {
                cells::<C, _>(b, Backend::<C>::interpolate(b, &up::<C, _>(b, &host)))
            });
            for shift in [0, 1, 2, 11] {
                same!(backend, "coset_evaluate", |b| {
                    let coefficients = up::<C, _>(b, &host);
                    cells::<C, _>(
                        b,
                        Backend::<C>::coset_evaluate(b, &coefficients, scalar(shift)),
                    )
                });
            }
        }
    }
}

/// `(a b - c) k + a` over three inputs and a constant.
fn program() -> Program {
    use Operand::{Constant, Input, Result};
    let instruction = |operation, a, b| Instruction { operation, a, b };
    Program {
        inputs: 3,
        constants: 1,
        instructions: vec![
            instruction(Operation::Mul, Input(0), Input(1)),
            instruction(Operation::Sub, Result(0), Input(2)),
            instruction(Operation::Mul, Result(1), Constant(0)),
            instruction(Operation::Add, Result(2), Input(0)),
        ],
        output: Result(3),
    }
}

/// Gate programs, products and inverses.
pub fn eval<C: Curve, B: Backend<C>>(backend: &B) {
    for (columns, rows) in SHAPES {
        let weights = scalars(1, columns);
        for host in batches::<Scalar<C>>(columns, rows) {
            let (other, start) = (full(columns, rows), small(1, rows, 0, 7));
            same!(backend, "run", |b| {
                let kernel = Backend::<C>::prepare(b, &program()).expect("a program");
                let (x, y) = (up::<C, _>(b, &host), up::<C, _>(b, &other));
                let mut sum = up::<C, _>(b, &start);
                let done =
                    Backend::<C>::run(b, &kernel, &[&x, &y, &x], &[scalar(9)], &weights, &mut sum);
                (done, cells::<C, _>(b, Ok(sum)))
            });
            same!(backend, "multiply", |b| {
                let (x, y) = (up::<C, _>(b, &host), up::<C, _>(b, &other));
                cells::<C, _>(b, Backend::<C>::multiply(b, &x, &y))
            });
            for constant in [0, 1, 9] {
                same!(backend, "invert", |b| {
                    cells::<C, _>(
                        b,
                        Backend::<C>::invert(b, &up::<C, _>(b, &host), scalar(constant)),
                    )
                });
            }
        }
    }
}

fn view<F: zkernel_backend::Field>(lengths: &[(usize, usize)]) -> EvaluatedView<F> {
    let axis = |(length, stride): &(usize, usize)| EvaluatedAxis {
        stride: *stride,
        factor: scalars(*length, *length),
    };
    EvaluatedView {
        start: 1,
        axes: lengths.iter().map(axis).collect(),
        scale: scalar(9),
    }
}

/// Linear algebra.
pub fn linear<C: Curve, B: Backend<C>>(backend: &B) {
    for (columns, rows) in SHAPES {
        let other = full(columns, rows);
        for host in batches::<Scalar<C>>(columns, rows) {
            let vector = full(1, rows);
            let term = |column: usize| Term {
                column: ColumnRef {
                    batch: column % 2,
                    column,
                },
                coefficient: scalar(column + 7),
            };
            let terms = [(0..columns).map(term).collect(), Vec::new()];
            same!(backend, "dot", |b| Backend::<C>::dot(
                b,
                &up::<C, _>(b, &host),
                &up::<C, _>(b, &vector)
            ));
            same!(backend, "combine", |b| {
                let sources = [&up::<C, _>(b, &host), &up::<C, _>(b, &other)];
                cells::<C, _>(
                    b,
                    Backend::<C>::combine(b, &sources, &terms, &scalars(2, 2), rows),
                )
            });
            same!(backend, "cross_columns", |b| {
                Backend::<C>::cross_columns(b, &up::<C, _>(b, &host), &up::<C, _>(b, &other))
            });
            same!(backend, "cross_rows", |b| {
                Backend::<C>::cross_rows(b, &up::<C, _>(b, &host), &up::<C, _>(b, &other))
            });
            same!(backend, "fold_columns", |b| {
                cells::<C, _>(
                    b,
                    Backend::<C>::fold_columns(b, &up::<C, _>(b, &host), scalar(9)),
                )
            });
            same!(backend, "fold_rows", |b| {
                cells::<C, _>(
                    b,
                    Backend::<C>::fold_rows(b, &up::<C, _>(b, &host), scalar(9)),
                )
            });
            same!(backend, "expand", |b| {
                cells::<C, _>(
                    b,
                    Backend::<C>::expand(b, &up::<C, _>(b, &host), &scalars(1, 4)),
                )
            });
            forms::<C, B>(backend, &host, rows.saturating_sub(1).max(1));
        }
    }
}

fn forms<C: Curve, B: Backend<C>>(backend: &B, host: &HostColumns<Scalar<C>>, width: usize) {
    for lengths in [vec![], vec![(2, 3), (3, 1)], vec![(2, 0)], vec![(0, 1)]] {
        let view = view(&lengths);
        same!(backend, "accumulate", |b| {
            let mut target = up::<C, _>(b, host);
            let done = Backend::<C>::accumulate(b, &mut target, width, &view);
            (done, cells::<C, _>(b, Ok(target)))
        });
        for outer in [vec![], vec![(2, 4), (3, 1)], vec![(0, 1)]] {
            same!(backend, "contract", |b| {
                let (source, mut target) = (up::<C, _>(b, host), up::<C, _>(b, host));
                let done =
                    Backend::<C>::contract(b, &source, width, &outer, &view, &mut target, width, 1);
                (done, cells::<C, _>(b, Ok(target)))
            });
        }
    }
    let entries = [(0, scalar(9)), (0, scalar(2)), (width, scalar(10))];
    same!(backend, "accumulate_sparse", |b| {
        let mut target = up::<C, _>(b, host);
        let done = Backend::<C>::accumulate_sparse(b, &mut target, width, &entries);
        (done, cells::<C, _>(b, Ok(target)))
    });
}

#[allow(clippy::needless_pass_by_value)]
fn rejected<T>(result: Result<T>) {
    assert!(
        matches!(result, Err(BackendError::Shape { .. })),
        "a shape error is wanted"
    );
}

/// Arguments that disagree in shape are rejected.
pub fn shapes<C: Curve, B: Backend<C>>(backend: &B) {
    let mut short = full::<Scalar<C>>(2, 3);
    short.rows = 4;
    rejected(backend.upload(&short));
    rejected(backend.zeros(usize::MAX, 2));
    let odd = up::<C, B>(backend, &full(3, 3));
    let one = up::<C, B>(backend, &full(1, 4));
    rejected(backend.interpolate(&odd));
    rejected(backend.multiply(&odd, &one));
    rejected(backend.dot(&odd, &one));
    rejected(backend.fold_columns(&odd, scalar(9)));
    rejected(backend.fold_rows(&odd, scalar(9)));
    rejected(backend.expand(&one, &scalars(0, 3)));
    rejected(backend.gather(&[&odd, &one], &[]));
    rejected(backend.take(&[99], &odd, &[Vec::new()], 1));
    rejected(backend.msm(&points::<C>(2), &scalars(0, 3)));
    let bases = backend.load_bases(&points::<C>(3)).expect("bases");
    rejected(backend.commit(&bases, &[&one], &[Vec::new()]));
    rejected(backend.commit(&bases, &[&odd], &[Vec::new()]));
    rejected(backend.fold_bases(&bases, 3, &scalars(0, 2)));
    let mut bad = program();
    bad.output = Operand::Result(4);
    rejected(backend.prepare(&bad));
}
