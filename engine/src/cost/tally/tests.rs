//! Linear algebra is counted at the shape that it is done on, and all of it.

use ff::Field as _;
use pasta_curves::{EqAffine, Fp};
use zkernel_backend::{Backend, Body, ColumnRef, HostColumns, Term};
use zkernel_verifier::form::{EvaluatedAxis, EvaluatedView};

use super::{Batch, Tally};
use crate::cost::unit::{FULL, Operation, SMALL, Unit};

const ROWS: usize = 1 << 12;
const COLUMNS: usize = 64;

/// A counting backend, for one curve.
struct Counter(Tally);

impl Counter {
    fn new() -> Self {
        Self(Tally::new(2))
    }

    /// What has been counted since the last time, without copies.
    fn counts(&self) -> Vec<(Unit, f64)> {
        let work = self.0.finish(std::time::Instant::now());
        let counts = work.counts.into_iter();
        counts
            .filter(|(unit, _)| unit.operation != Operation::Copy)
            .collect()
    }

    fn batch(&self, columns: usize, body: Body<Fp>) -> Batch {
        let host = HostColumns {
            rows: ROWS,
            columns,
            body,
            tail: Vec::new(),
        };
        Backend::<EqAffine>::upload(&self.0, &host).unwrap()
    }

    fn small(&self, columns: usize) -> Batch {
        self.batch(columns, Body::small(vec![5; columns * ROWS]))
    }

    fn full(&self, columns: usize) -> Batch {
        self.batch(columns, Body::Full(vec![Fp::ONE; columns * ROWS]))
    }
}

fn unit(operation: Operation, width: u32, lanes: u32) -> Unit {
    Unit {
        operation,
        log_rows: 12,
        width,
        lanes,
    }
}

/// A row of each of so many columns.
fn one_row(columns: usize) -> EvaluatedView<Fp> {
    let axis = |stride, length| EvaluatedAxis {
        stride,
        factor: vec![Fp::ONE; length],
    };
    EvaluatedView {
        start: 0,
        axes: vec![axis(ROWS, columns), axis(1, ROWS)],
        scale: Fp::ONE,
    }
}

/// One term in a batch of zeros makes field elements of all its cells, once: it was counted as if small cells were read, which costs
/// nothing, and layouts of long columns looked cheaper than they were.
#[test]
fn the_first_write_to_zeros_is_counted_for_all_of_them() {
    let counter = Counter::new();
    let mut target = Backend::<EqAffine>::zeros(&counter.0, COLUMNS, ROWS).unwrap();
    for clears in [true, false] {
        Backend::<EqAffine>::accumulate(&counter.0, &mut target, ROWS, &one_row(2)).unwrap();
        let mut expected = vec![(unit(Operation::Accumulate, 1, 1), 2.0 * ROWS as f64)];
        if clears {
            let cells = (COLUMNS * ROWS) as f64;
            expected.insert(0, (unit(Operation::Clear, FULL, 6), cells));
        }
        assert_eq!(counter.counts(), expected, "{clears}");
    }
}

#[test]
fn folds_and_cross_terms_have_the_shape_of_their_columns() {
    let counter = Counter::new();
    let [f, a] = [counter.full(COLUMNS), counter.full(COLUMNS)];
    let pairs = (COLUMNS * ROWS / 2) as f64;
    Backend::<EqAffine>::cross_columns(&counter.0, &f, &a).unwrap();
    assert_eq!(counter.counts(), [(unit(Operation::Cross, FULL, 6), pairs)]);
    let half = Backend::<EqAffine>::fold_columns(&counter.0, &f, Fp::ONE).unwrap();
    assert_eq!(counter.counts(), [(unit(Operation::Fold, FULL, 6), pairs)]);
    Backend::<EqAffine>::fold_columns(&counter.0, &half, Fp::ONE).unwrap();
    assert_eq!(
        counter.counts(),
        [(unit(Operation::Fold, FULL, 5), pairs / 2.0)]
    );
}

#[test]
fn small_columns_are_read_as_they_are_and_widened_beside_others() {
    let counter = Counter::new();
    let (small, full) = (counter.small(4), counter.full(1));
    Backend::<EqAffine>::dot(&counter.0, &small, &full).unwrap();
    let cells = 4.0 * ROWS as f64;
    assert_eq!(counter.counts(), [(unit(Operation::Dot, SMALL, 2), cells)]);
    let term = |batch| Term {
        column: ColumnRef { batch, column: 0 },
        coefficient: Fp::ONE,
    };
    let terms = [vec![term(0), term(1)]];
    Backend::<EqAffine>::combine(&counter.0, &[&small, &full], &terms, &[Fp::ZERO], ROWS).unwrap();
    let products = [SMALL, FULL].map(|width| (unit(Operation::Combine, width, 0), ROWS as f64));
    assert_eq!(counter.counts(), products);
    let chosen = [0, 1].map(|batch| ColumnRef { batch, column: 0 });
    Backend::<EqAffine>::gather(&counter.0, &[&small, &full], &chosen).unwrap();
    assert_eq!(
        counter.counts(),
        [(unit(Operation::Widen, FULL, 1), ROWS as f64)]
    );
}

/// Shapes that are no powers of two are counted at the nearest, and no batch is larger than what is measured.
#[test]
fn shapes_are_rounded() {
    let shape = |rows, columns| {
        let unit = Unit::of_cells(Operation::Fold, rows, columns, FULL);
        (unit.log_rows, unit.lanes)
    };
    assert_eq!(shape(4096, 90), (12, 6));
    assert_eq!(shape(4096, 91), (12, 7));
    assert_eq!(shape(4096, 1 << 20), (12, 7));
    assert_eq!(shape(1 << 24, 2), (19, 0));
    assert_eq!(shape(8, 1), (3, 3));
    assert_eq!(shape(0, 0), (0, 6));
}
