//! Closed forms against definitions: folds of linear forms, compiled gate programs.

use zkernel_verifier::challenge::{Challenge, Challenges, Coefficient};
use zkernel_verifier::expression::{Expression, VirtualId};
use zkernel_verifier::fold::{Folded, RowMajor, Tails, fold_cells};
use zkernel_verifier::form::{Axis, Factor, Source as Cells, Strided, TrackId};
use zkernel_verifier::system::{Track, TrackKind};

use crate::F;
use crate::source::Source;

fn challenges(source: &mut Source<'_>) -> Challenges<F> {
    let mut challenges = Challenges::new();
    for challenge in Challenge::ALL {
        challenges.set(challenge, source.field() + F::from(2));
    }
    challenges
}

/// The closed-form fold of a tensor's form is the sum over its cells, and so is the column vector times scalars that the
/// prover streams.
pub fn forms(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let log_n = 2 + source.below(4);
    let n = 1usize << log_n;
    let cols = 1 + source.below(2 * n);
    let (width, stride) = match n / cols {
        0 => (n, cols.div_ceil(n) * n),
        per_column => (per_column * cols, cols),
    };
    let columns = 1 + source.below(6);
    let columns = if stride > n {
        columns * stride / n
    } else {
        columns
    };
    let track = Track {
        name: "tensor".into(),
        kind: TrackKind::Tensor,
        width,
        columns,
        len: columns * width,
        padding: 0,
    };
    let power = |challenge, source: &mut Source<'_>| Factor::Powers {
        challenge,
        first: source.byte().into(),
        step: u32::from(source.byte()) % 5,
    };
    let rows = power(Challenge::Rho, &mut source);
    let inner = match source.below(3) {
        0 => Factor::Values((0..cols).map(|_| source.field()).collect()),
        1 => Factor::One,
        _ => power(Challenge::Sigma, &mut source),
    };
    let form = Strided {
        source: Cells::Track(TrackId(0)),
        start: 0,
        axes: vec![
            Axis::new(columns * width / stride, stride, rows),
            Axis::new(cols, 1, inner),
        ],
        scale: Coefficient::constant(source.field()),
    };
    let challenges = challenges(&mut source);
    let first = source.below(4) * columns.next_power_of_two();
    let log_columns = (first + columns).next_power_of_two().trailing_zeros();
    let mut fold = |bits: u32| {
        let challenges: Vec<F> = (0..bits).map(|_| source.field()).collect();
        Folded::new(&challenges)
    };
    let (of_columns, of_rows) = (fold(log_columns), fold(log_n as u32));
    let mut tails = Tails::new(&of_rows);
    let mut cells = || fold_cells(&form, &challenges, &track, first, &of_columns, &mut tails);
    let by_cells = cells();
    // From some number of cells on they are sums that are known.
    (0..4).for_each(|_| assert_eq!(cells(), by_cells));
    let Some(closed) = RowMajor::recognise(&form, &track, &challenges) else {
        assert!(stride > n, "rows within a column are always recognised");
        return;
    };
    assert_eq!(closed.fold(first, &of_columns, &mut tails), by_cells);
    let vector = of_rows.dot(&closed.vector(n));
    let scalars = closed
        .column_scalars()
        .into_iter()
        .zip(first + closed.first_column..);
    let streamed: F = scalars.map(|(s, q)| s * of_columns.weight(q)).sum();
    assert_eq!(streamed * vector, by_cells);
}

/// A compiled gate gives what its expression gives, and its degree bounds the expression's growth.
pub fn expressions(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let challenges = challenges(&mut source);
    let values: Vec<F> = (0..5).map(|_| source.field()).collect();
    let expression = expression(&mut source, 5);
    let compiled = expression.compile().expect("small");
    let constants: Vec<F> = compiled
        .constants
        .iter()
        .map(|c| c.evaluate(&challenges))
        .collect();
    let inputs: Vec<F> = compiled
        .inputs
        .iter()
        .map(|id| values[id.0 as usize])
        .collect();
    let direct = evaluate(&expression, &values, &challenges);
    assert_eq!(compiled.program.evaluate(&inputs, &constants), Some(direct));
    assert!(expression.degree() <= 32);
}

fn expression(source: &mut Source<'_>, depth: usize) -> Expression<F> {
    match source.below(if depth == 0 { 2 } else { 5 }) {
        0 => Expression::Virtual(VirtualId(source.below(5) as u32)),
        1 => Expression::Constant(match source.below(2) {
            0 => Coefficient::constant(source.field()),
            _ => Coefficient::power(Challenge::Beta, source.below(4) as u32),
        }),
        kind => {
            let (a, b) = (expression(source, depth - 1), expression(source, depth - 1));
            match kind {
                2 => a + b,
                3 => a - b,
                _ => a * b,
            }
        }
    }
}

fn evaluate(expression: &Expression<F>, values: &[F], challenges: &Challenges<F>) -> F {
    let of = |e: &Expression<F>| evaluate(e, values, challenges);
    match expression {
        Expression::Constant(c) => c.evaluate(challenges),
        Expression::Virtual(id) => values[id.0 as usize],
        Expression::Sum(a, b) => of(a) + of(b),
        Expression::Difference(a, b) => of(a) - of(b),
        Expression::Product(a, b) => of(a) * of(b),
    }
}
