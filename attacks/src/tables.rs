//! Secret tables and shared commitments: a secret activation table, a secret embedding folded with alpha, a tensor read
//! by a gate, and a boundary that the inputs are copied from.

use ff::Field as _;
use zkernel_engine::mock::Cells;
use zkernel_verifier::builder::SystemBuilder;
use zkernel_verifier::challenge::{Challenge, Coefficient};
use zkernel_verifier::curve::signed;
use zkernel_verifier::expression::Expression;
use zkernel_verifier::form::{Axis, Factor, LinearForm, Source, Strided, TrackId};
use zkernel_verifier::system::{
    ConstraintSystem, Contraction, ContractionTerm, LookupInput, Phase, Region, TrackKind,
};

use crate::F;
use crate::case::count;
use crate::prover::Secrets;
use crate::trial::Fixture;

/// Rows of the activation table.
const HEIGHT: usize = 20;
/// Rows and columns of the embedding.
const WORDS: usize = 6;
const FEATURES: usize = 3;
/// Inputs and tokens.
const INPUTS: usize = 9;

/// The circuit and where its cells lie.
pub struct Tables {
    /// The system.
    pub system: ConstraintSystem<F>,
    /// Inputs x, activations y = table[x].
    pub x: Region,
    /// The activations.
    pub y: Region,
    /// Tokens.
    pub token: Region,
    /// Embedded tokens, `FEATURES` cells each.
    pub embedded: Region,
    /// The folded embedding and the folded embedded tokens, phase 2.
    pub folded: [Region; 2],
    table: TrackId,
    embedding: TrackId,
    boundary: TrackId,
    factors: [TrackId; 3],
}

/// The one false step of a witness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slip {
    /// None.
    Nothing,
    /// An activation that is not the table's.
    Activation,
    /// Errors added to the features of the first embedded token.
    Embedded([F; FEATURES]),
    /// The wrong product with the tensor.
    Product,
    /// An input that is not the boundary's.
    Boundary,
}

impl Tables {
    /// Builds the circuit.
    ///
    /// # Panics
    /// If it is refused.
    #[must_use]
    pub fn new() -> Self {
        let mut b = SystemBuilder::<F>::new(4, 1);
        let advice = |b: &mut SystemBuilder<F>, name, phase, len| {
            let track = b.advice(name, phase, 0);
            b.region(track, len)
        };
        let x = advice(&mut b, "x", Phase::One, INPUTS);
        let y = advice(&mut b, "y", Phase::One, INPUTS);
        let table = b.masked_tensor("activation", HEIGHT);
        let activation = b.secret_table("activation", HEIGHT, &[table]);
        let used = b.fixed("used", vec![F::ONE; INPUTS]);
        let plain = |region: Region| LookupInput::plain(region.track);
        b.lookup(
            "y = table[x]",
            activation,
            vec![plain(x), plain(y)],
            Some(used),
        );

        let token = advice(&mut b, "token", Phase::One, INPUTS);
        let embedded = advice(&mut b, "embedded", Phase::One, INPUTS * FEATURES);
        let (embedding, stride) = b.tensor("embedding", WORDS, FEATURES);
        let rows = b.tensor_rows(embedding, stride);
        let words = advice(&mut b, "words", Phase::Two, rows);
        let tokens = advice(&mut b, "tokens", Phase::Two, INPUTS);
        b.contract(fold("fold embedding", embedding, rows, stride, words));
        b.contract(fold(
            "fold tokens",
            embedded.track,
            INPUTS,
            FEATURES,
            tokens,
        ));
        let dictionary = b.secret_table("words", WORDS, &[words.track]);
        let pair = vec![plain(token), plain(tokens)];
        b.lookup("embedding", dictionary, pair, Some(used));

        let factor = b.masked_tensor("factor", 10);
        let [a, p] = ["a", "p"].map(|name| advice(&mut b, name, Phase::One, 10).track);
        let [vf, va, vp] = [factor, a, p].map(|track| b.plain(track));
        b.gate("p = factor a", Expression::from(vf) * va - vp);

        let boundary = b.boundary("input", INPUTS);
        let equal = |track, scale: i64| {
            LinearForm::Strided(Strided {
                source: Source::Track(track),
                start: 0,
                axes: vec![Axis::new(INPUTS, 1, Factor::powers(Challenge::Lambda))],
                scale: Coefficient::constant(signed(scale)),
            })
        };
        let copies = vec![equal(boundary, 1), equal(x.track, -1)];
        b.constrain("x = boundary", INPUTS as u32, copies);
        Self {
            system: b.finish().expect("a well-formed circuit"),
            x,
            y,
            token,
            embedded,
            folded: [words, tokens],
            table,
            embedding,
            boundary,
            factors: [factor, a, p],
        }
    }
}

/// Rows of `FEATURES` cells folded with powers of alpha.
fn fold(name: &str, track: TrackId, rows: usize, stride: usize, target: Region) -> Contraction<F> {
    let term = ContractionTerm {
        track,
        start: 0,
        outer: vec![stride],
        inner: vec![1],
        scale: F::ONE,
    };
    Contraction {
        name: name.into(),
        outer: vec![rows],
        inner: vec![(FEATURES, Factor::powers(Challenge::Alpha))],
        terms: vec![term],
        constant: F::ZERO,
        target,
    }
}

impl Default for Tables {
    fn default() -> Self {
        Self::new()
    }
}

impl Fixture for Tables {
    type Slip = Slip;

    fn system(&self) -> &ConstraintSystem<F> {
        &self.system
    }

    fn witness(&self, system: &ConstraintSystem<F>, slip: Slip) -> (Secrets, Vec<Vec<F>>) {
        let value = |i: usize| (i * i * 7 + 3 * i + 1) as i64 % 19 - 9;
        let activation: Vec<i64> = (0..HEIGHT).map(value).collect();
        let embedding: Vec<i64> = (0..WORDS * FEATURES).map(|i| value(i + 5)).collect();
        let x: Vec<usize> = (0..INPUTS).map(|i| (i * 5 + 2) % HEIGHT).collect();
        // The first token's word occurs once.
        let others = (1..INPUTS).map(|i| (i * 4 + 1) % WORDS);
        let token: Vec<usize> = std::iter::once(4).chain(others).collect();
        let factor: Vec<i64> = (0..10).map(|i| value(i + 9)).collect();
        let a: Vec<i64> = (0..10).map(|i| value(i * 2 + 1)).collect();
        let mut y: Vec<F> = x.iter().map(|x| signed(activation[*x])).collect();
        let rows = token
            .iter()
            .flat_map(|t| &embedding[t * FEATURES..][..FEATURES]);
        let mut embedded: Vec<F> = rows.map(|v| signed(*v)).collect();
        let products = factor.iter().zip(&a).map(|(w, a)| signed(w * a));
        let mut p: Vec<F> = products.collect();
        let mut shared: Vec<F> = x.iter().map(|x| F::from(*x as u64)).collect();
        match slip {
            Slip::Nothing => {}
            Slip::Activation => y[0] += F::ONE,
            Slip::Embedded(errors) => embedded.iter_mut().zip(errors).for_each(|(e, d)| *e += d),
            Slip::Product => p[0] += F::ONE,
            Slip::Boundary => shared[0] += F::ONE,
        }
        let fields = |values: &[i64]| values.iter().map(|v| signed(*v)).collect::<Vec<F>>();
        let numbers = |values: &[usize]| values.iter().map(|v| F::from(*v as u64)).collect();
        let [factors, left, right] = self.factors;
        let mut cells: Cells<F> = [
            (self.x.track, numbers(&x)),
            (self.y.track, y),
            (self.token.track, numbers(&token)),
            (self.embedded.track, embedded),
            (self.table, fields(&activation)),
            (self.embedding, fields(&embedding)),
            (self.boundary, shared),
            (factors, fields(&factor)),
            (left, fields(&a)),
            (right, p),
        ]
        .into();
        for (id, values) in &mut cells {
            let track = system.track(*id).expect("exists");
            values.resize(track.columns * track.width, F::ZERO);
        }
        count(system, &mut cells);
        let blinders = |kind, first: u64| {
            let columns = system.columns_of(kind) as u64;
            (first..first + columns)
                .map(|i| F::from(i * i + 11))
                .collect()
        };
        let secrets = Secrets {
            cells,
            blinders: blinders(TrackKind::Tensor, 1000),
            boundary_blinders: blinders(TrackKind::Boundary, 5000),
        };
        (secrets, Vec::new())
    }
}
