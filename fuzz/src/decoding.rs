//! Invariants of decoders, the transcript, forms and expressions.

use ff::Field as _;
use pasta_curves::{EqAffine, Fp};
use zkernel_gadgets::model::Graph;
use zkernel_verifier::challenge::{Challenge, Challenges, Coefficient};
use zkernel_verifier::encoding::{Reader, Writer};
use zkernel_verifier::expression::{Expression, VirtualId};
use zkernel_verifier::fold::{Folded, RowMajor, Tails, fold_cells};
use zkernel_verifier::form::{Axis, Factor, Source as Reads, Strided, TrackId};
use zkernel_verifier::proof::{Proof, ProofShape};
use zkernel_verifier::system::{Track, TrackKind};
use zkernel_verifier::transcript::Transcript;

use crate::source::Source;

/// Bytes that decode to a proof of some shape encode to themselves, and no other length decodes.
pub fn proof_decode(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let mut part = || source.below(3);
    let shape = ProofShape {
        boundaries: part(),
        commitments: [part(), part(), part(), part()],
        evaluations: part(),
        column_rounds: part(),
        inner_rounds: part(),
    };
    let body = source.rest();
    if let Ok(proof) = Proof::<EqAffine>::decode(body, &shape) {
        assert!(proof.has_shape(&shape));
        assert_eq!(body.len(), shape.bytes());
        assert_eq!(proof.encode(), body);
    }
    // The same bytes repeated to the right length: points and scalars in every slot.
    if !body.is_empty() {
        let filled: Vec<u8> = body.iter().copied().cycle().take(shape.bytes()).collect();
        if let Ok(proof) = Proof::<EqAffine>::decode(&filled, &shape) {
            assert_eq!(proof.encode(), filled);
        }
    }
}

/// A graph that decodes is valid and encodes to the bytes it came from.
pub fn graph_decode(bytes: &[u8]) {
    let mut reader = Reader::new(bytes);
    if let Ok(graph) = Graph::decode(&mut reader) {
        let read = bytes.len() - reader.remaining();
        let mut writer = Writer::new();
        graph.encode(&mut writer);
        assert_eq!(writer.0, bytes[..read]);
        assert!(graph.validate().is_ok());
    }
}

/// Two different lists of items give different challenges; equal ones give equal challenges.
pub fn transcript(bytes: &[u8]) {
    const LABELS: [&str; 3] = ["a", "b", "ab"];
    let mut source = Source::new(bytes);
    let mut list = || {
        let count = source.below(4);
        let item = |_| {
            let label = LABELS[source.below(3)];
            let len = source.below(4);
            (label, (0..len).map(|_| source.byte()).collect::<Vec<u8>>())
        };
        (0..count).map(item).collect::<Vec<_>>()
    };
    let draw = |items: &[(&'static str, Vec<u8>)]| {
        let mut transcript = Transcript::<Fp>::new();
        items
            .iter()
            .for_each(|(label, bytes)| transcript.absorb(label, bytes));
        transcript.challenge("rho")
    };
    let (left, right) = (list(), list());
    assert_eq!(draw(&left) == draw(&right), left == right);
}

fn challenges(source: &mut Source<'_>) -> Challenges<Fp> {
    let mut challenges = Challenges::new();
    for challenge in Challenge::ALL {
        challenges.set(challenge, source.scalar());
    }
    challenges
}

fn factor(source: &mut Source<'_>, len: usize, depth: usize) -> Factor<Fp> {
    match source.below(if depth == 0 { 3 } else { 4 }) {
        0 => Factor::One,
        1 => Factor::Powers {
            challenge: Challenge::ALL[source.below(9)],
            first: u32::from(source.byte()),
            step: u32::from(source.byte()),
        },
        2 => Factor::Values((0..len).map(|_| source.scalar()).collect()),
        _ => {
            let count = source.below(3);
            Factor::Product((0..count).map(|_| factor(source, len, depth - 1)).collect())
        }
    }
}

/// The closed-form fold of a tensor's form equals the sum over its cells, and that the sum of weighted coefficients.
pub fn forms(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let challenges = challenges(&mut source);
    let log_n = 1 + source.below(5);
    let stride = 1 + source.below(1 << log_n);
    let per_column = (1 << log_n) / stride;
    let columns = 1 + source.below(3);
    let width = per_column * stride;
    let kind = [TrackKind::Tensor, TrackKind::Fixed][usize::from(source.below(4) == 0)];
    let track = Track {
        name: "W".into(),
        kind,
        width,
        columns,
        len: width * columns,
        padding: 0,
    };
    let rows =
        per_column * columns - usize::from(source.below(4) == 0).min(per_column * columns - 1);
    let inner = 1 + source.below(stride);
    let inner_stride = if (inner - 1) * 2 < stride && source.below(2) == 1 {
        2
    } else {
        1
    };
    let axes = vec![
        Axis::new(rows, stride, factor(&mut source, rows, 1)),
        Axis::new(inner, inner_stride, factor(&mut source, inner, 1)),
    ];
    let scale = Coefficient::constant(source.scalar());
    let form = Strided {
        source: Reads::Track(TrackId(0)),
        start: 0,
        axes,
        scale,
    };
    let mut fold = |bits: usize| {
        let challenges: Vec<Fp> = (0..bits).map(|_| source.scalar()).collect();
        Folded::new(&challenges)
    };
    let (of_rows, of_columns) = (fold(log_n), fold(3));
    let mut tails = Tails::new(&of_rows);
    let first = source.below(3);
    let mut fold = || fold_cells(&form, &challenges, &track, first, &of_columns, &mut tails);
    let cells = fold();
    // From some number of cells on they are sums that are known.
    (0..4).for_each(|_| assert_eq!(fold(), cells));
    let mut sum = Fp::ZERO;
    form.evaluate(&challenges)
        .for_each(|position, coefficient| {
            let weight =
                of_columns.weight(first + position / width) * of_rows.weight(position % width);
            sum += coefficient * weight;
        });
    assert_eq!(sum, cells);
    if let Some(closed) = RowMajor::recognise(&form, &track, &challenges) {
        assert_eq!(closed.fold(first, &of_columns, &mut tails), cells);
    }
}

fn expression(source: &mut Source<'_>, depth: usize) -> Expression<Fp> {
    let leaves = if depth == 0 { 2 } else { 5 };
    match source.below(leaves) {
        0 => Expression::Virtual(VirtualId(u32::from(source.byte() % 4))),
        1 => Coefficient {
            value: source.scalar(),
            power: Some((Challenge::Beta, u32::from(source.byte()))),
        }
        .into(),
        2 => expression(source, depth - 1) + expression(source, depth - 1),
        3 => expression(source, depth - 1) - expression(source, depth - 1),
        _ => expression(source, depth - 1) * expression(source, depth - 1),
    }
}

fn direct(e: &Expression<Fp>, columns: &[Fp], challenges: &Challenges<Fp>) -> Fp {
    let value = |e| direct(e, columns, challenges);
    match e {
        Expression::Constant(c) => c.evaluate(challenges),
        Expression::Virtual(id) => columns[id.0 as usize],
        Expression::Sum(a, b) => value(a) + value(b),
        Expression::Difference(a, b) => value(a) - value(b),
        Expression::Product(a, b) => value(a) * value(b),
    }
}

/// A compiled program gives what its expression says.
pub fn expressions(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let challenges = challenges(&mut source);
    let columns: Vec<Fp> = (0..4).map(|_| source.scalar()).collect();
    let e = expression(&mut source, 6);
    let Some(gate) = e.compile() else {
        return;
    };
    let inputs: Vec<Fp> = gate
        .inputs
        .iter()
        .map(|id| columns[id.0 as usize])
        .collect();
    let constants: Vec<Fp> = gate
        .constants
        .iter()
        .map(|c| c.evaluate(&challenges))
        .collect();
    let found = gate.program.evaluate(&inputs, &constants);
    assert_eq!(found, Some(direct(&e, &columns, &challenges)));
}
