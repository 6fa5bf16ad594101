//! Linear forms and their folds against brute force over every cell.

use std::collections::BTreeMap;

use ff::Field as _;
use pasta_curves::Fp;
use proptest::prelude::*;
use zkernel_verifier::challenge::{Challenge, Challenges, Coefficient};
use zkernel_verifier::claims::fold_weights;
use zkernel_verifier::fold::{Folded, RowMajor, Tails, cell_weight, fold_cells};
use zkernel_verifier::form::{Axis, Factor, Geometric, Source, Strided, TrackId, Window};
use zkernel_verifier::system::{Track, TrackKind};

fn challenges() -> Challenges<Fp> {
    let mut challenges = Challenges::new();
    for (challenge, i) in Challenge::ALL.into_iter().zip(0u64..) {
        challenges.set(challenge, Fp::from(i + 2).square() + Fp::DELTA_SEED);
    }
    challenges
}

/// A constant that makes challenges large.
trait Seed {
    const DELTA_SEED: Fp;
}
impl Seed for Fp {
    const DELTA_SEED: Fp = <Fp as ff::PrimeField>::DELTA;
}

fn value(seed: usize) -> Fp {
    Fp::from(seed as u64 * 0x9e37_79b9 + 1).square()
}

/// A random factor for `len` entries.
fn factors(len: usize) -> impl Strategy<Value = Factor<Fp>> {
    let powers = (0usize..4, 0u32..5, 0u32..4).prop_map(|(c, first, step)| Factor::Powers {
        challenge: Challenge::ALL[c],
        first,
        step,
    });
    let values = (0usize..100).prop_map(move |s| Factor::Values((s..s + len).map(value).collect()));
    let window = (1usize..4, 1usize..4, 1usize..3, 1usize..3, 0usize..3).prop_map(
        |(outputs, taps, stride, dilation, offset)| {
            Factor::Window(Box::new(Window {
                outer: Factor::powers(Challenge::Rho),
                outputs,
                kernel: Factor::powers(Challenge::Sigma),
                taps,
                stride,
                dilation,
                offset,
            }))
        },
    );
    let leaf = prop_oneof![Just(Factor::One), powers, values, window];
    leaf.prop_recursive(2, 4, 3, |inner| {
        prop::collection::vec(inner, 1..3).prop_map(Factor::Product)
    })
}

/// Entry i of a factor, by its definition.
fn entry(factor: &Factor<Fp>, i: usize, challenges: &Challenges<Fp>) -> Fp {
    match factor {
        Factor::One => Fp::ONE,
        Factor::Powers {
            challenge,
            first,
            step,
        } => challenges
            .get(*challenge)
            .pow_vartime([u64::from(*first) + u64::from(*step) * i as u64]),
        Factor::Values(values) => values[i],
        Factor::Product(factors) => factors.iter().map(|f| entry(f, i, challenges)).product(),
        Factor::Window(w) => {
            let mut sum = Fp::ZERO;
            for o in 0..w.outputs {
                for k in 0..w.taps {
                    if o * w.stride + k * w.dilation == i + w.offset {
                        sum += entry(&w.outer, o, challenges) * entry(&w.kernel, k, challenges);
                    }
                }
            }
            sum
        }
    }
}

fn axes() -> impl Strategy<Value = Vec<Axis<Fp>>> {
    let axis = (1usize..5, 0usize..9).prop_flat_map(|(len, stride)| {
        factors(len).prop_map(move |factor| Axis::new(len, stride, factor))
    });
    prop::collection::vec(axis, 0..4)
}

/// A form along the rows of a matrix whose rows are `stride` cells apart, with a column holding `per_column` of them.
#[derive(Clone, Debug)]
struct Matrix {
    log_n: u32,
    per_column: usize,
    stride: usize,
    columns: usize,
    first_column: usize,
    form: Strided<Fp>,
}

fn matrices() -> impl Strategy<Value = Matrix> {
    (2u32..6, 1usize..9, 1usize..4, 0usize..2).prop_flat_map(
        |(log_n, stride, columns, first_column)| {
            let n = 1usize << log_n;
            let stride = stride.min(n);
            let per_column = n / stride;
            (1..=stride, 0u32..3, 0u32..4).prop_flat_map(move |(len, first, step)| {
                factors(len).prop_map(move |inner| {
                    let rows = Factor::Powers {
                        challenge: Challenge::Rho,
                        first,
                        step,
                    };
                    let form = Strided {
                        source: Source::Track(TrackId(0)),
                        start: first_column * per_column * stride,
                        axes: vec![
                            Axis::new(columns * per_column, stride, rows),
                            Axis::new(len, 1, inner),
                        ],
                        scale: Coefficient {
                            value: value(len),
                            power: Some((Challenge::Tau, 2)),
                        },
                    };
                    Matrix {
                        log_n,
                        per_column,
                        stride,
                        columns,
                        first_column,
                        form,
                    }
                })
            })
        },
    )
}

fn tensor(matrix: &Matrix) -> Track {
    let width = matrix.per_column * matrix.stride;
    let columns = matrix.columns + matrix.first_column;
    Track {
        name: "W".into(),
        kind: TrackKind::Tensor,
        width,
        columns,
        len: width * columns,
        padding: 0,
    }
}

fn by_position(terms: &[(usize, Fp)]) -> BTreeMap<usize, Fp> {
    let mut sums = BTreeMap::new();
    for (position, coefficient) in terms {
        *sums.entry(*position).or_insert(Fp::zero()) += coefficient;
    }
    sums
}

proptest! {
    #[test]
    fn factors_by_definition((len, factor) in (1usize..6).prop_flat_map(|len| (Just(len), factors(len)))) {
        let challenges = challenges();
        let values = factor.evaluate(len, &challenges);
        prop_assert_eq!(values.len(), len);
        prop_assert_eq!(factor.sum(len, &challenges), values.iter().sum::<Fp>());
        for (i, found) in values.iter().enumerate() {
            prop_assert_eq!(*found, entry(&factor, i, &challenges));
        }
        if let Some(Geometric { first, ratio }) = factor.geometric(&challenges) {
            prop_assert_eq!(values[0], first);
            for pair in values.windows(2) {
                prop_assert_eq!(pair[0] * ratio, pair[1]);
            }
        }
    }

    #[test]
    fn strided_by_definition(start in 0usize..20, axes in axes()) {
        let challenges = challenges();
        let scale = Coefficient { value: value(start), power: Some((Challenge::Lambda, 1)) };
        let form = Strided { source: Source::One, start, axes, scale };
        let mut found = Vec::new();
        form.evaluate(&challenges).for_each(|position, c| found.push((position, c)));
        let mut expected = vec![(start, scale.evaluate(&challenges))];
        for axis in &form.axes {
            expected = expected.iter().flat_map(|(position, c)| {
                let entries = (0..axis.len).map(|i| (position + i * axis.stride, *c * entry(&axis.factor, i, &challenges)));
                entries.collect::<Vec<_>>()
            }).collect();
        }
        prop_assert_eq!(form.terms(), expected.len());
        prop_assert_eq!(form.last_position(), expected.iter().map(|(p, _)| *p).max());
        // Repeated cells are summed before they are visited.
        let repeated = form.axes.iter().filter(|axis| axis.stride == 0).map(|axis| axis.len);
        prop_assert_eq!(found.len() * repeated.product::<usize>(), expected.len());
        prop_assert_eq!(by_position(&found), by_position(&expected));
    }

    #[test]
    fn fold_weights_are_products_of_bits(bits in 0usize..6) {
        let challenges: Vec<Fp> = (0..bits).map(value).collect();
        for (i, weight) in fold_weights(&challenges).into_iter().enumerate() {
            let expected: Fp = (0..bits).filter(|b| i >> b & 1 == 1).map(|b| challenges[b]).product();
            prop_assert_eq!(weight, expected);
        }
    }

    /// The closed form equals the sum over cells, on random shapes, factors and positions in the list.
    #[test]
    fn closed_form_equals_cell_by_cell(matrix in matrices(), first in 0usize..3) {
        let challenges = challenges();
        let track = tensor(&matrix);
        let folded = |of: core::ops::Range<usize>| Folded::new(&of.map(value).collect::<Vec<Fp>>());
        let (rows, columns) = (folded(0..matrix.log_n as usize), folded(20..24));
        let mut tails = Tails::new(&rows);
        let mut cells = || fold_cells(&matrix.form, &challenges, &track, first, &columns, &mut tails);
        let expected = cells();
        // From some number of cells on they are differences of sums that are known.
        (0..1 << matrix.log_n).for_each(|_| assert_eq!(cells(), expected));
        // Brute force: every cell's weight times its coefficient.
        let mut sum = Fp::ZERO;
        matrix.form.evaluate(&challenges).for_each(|position, c| {
            let (column, row) = (position / track.width, position % track.width);
            sum += c * columns.weights[first + column] * rows.weights[row];
            assert_eq!(cell_weight(position, &track, first, &columns, &rows), columns.weight(first + column) * rows.weight(row));
        });
        prop_assert_eq!(sum, expected);
        let closed = RowMajor::recognise(&matrix.form, &track, &challenges).expect("whole columns of whole rows");
        prop_assert_eq!(closed.fold(first, &columns, &mut tails), expected);
        // And the prover's dense version of the same form.
        let n = 1usize << matrix.log_n;
        let vector = closed.vector(n);
        let scalars = closed.column_scalars();
        let mut dense = vec![Fp::ZERO; n * track.columns];
        matrix.form.evaluate(&challenges).for_each(|p, c| dense[p / track.width * n + p % track.width] += c);
        for (column, chunk) in dense.chunks(n).enumerate().skip(matrix.first_column) {
            for (cell, v) in chunk.iter().zip(&vector) {
                prop_assert_eq!(*cell, scalars[column - matrix.first_column] * v);
            }
        }
    }

    /// What is not whole columns of whole rows is left to the sum over cells.
    #[test]
    fn partial_matrices_are_not_recognised(matrix in matrices()) {
        let challenges = challenges();
        let track = tensor(&matrix);
        let mut shifted = matrix.form.clone();
        shifted.start += 1;
        if track.width > 1 {
            prop_assert!(RowMajor::recognise(&shifted, &track, &challenges).is_none());
        }
        let mut short = matrix.form.clone();
        short.axes[0].len -= 1;
        if matrix.per_column > 1 {
            prop_assert!(RowMajor::recognise(&short, &track, &challenges).is_none());
        }
        let advice = Track { kind: TrackKind::Fixed, ..track.clone() };
        prop_assert!(RowMajor::recognise(&matrix.form, &advice, &challenges).is_none());
        let mut irregular = matrix.form.clone();
        let rows = irregular.axes[0].len;
        irregular.axes[0].factor = Factor::Values((0..rows).map(value).collect());
        prop_assert!(RowMajor::recognise(&irregular, &track, &challenges).is_none());
    }
}

#[test]
fn empty_and_overflowing_views_have_no_last_position() {
    let form = |start, len, stride| Strided::<Fp> {
        source: Source::One,
        start,
        axes: vec![Axis::new(len, stride, Factor::One)],
        scale: Coefficient::constant(Fp::ONE),
    };
    assert_eq!(form(3, 0, 1).last_position(), None);
    assert_eq!(form(1, 2, usize::MAX).last_position(), None);
    assert_eq!(form(0, usize::MAX, 2).last_position(), None);
    assert_eq!(form(5, 1, usize::MAX).last_position(), Some(5));
}
