//! A small circuit with every kind of constraint, and its honest and forged witnesses.
//!
//! Two linear layers over two samples, `W1 X + b1 = 4 q + rem`, `r = relu(q)`, `W2 r + b2 = y`; then `a b = c` on a row
//! with a copy of `y_0` as a, a secret b, and c public. Every step after a lie is computed consistently with it, so that
//! a forged witness breaks the one constraint it is named after.

use ff::Field as _;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use zkernel_engine::mock::Cells;
use zkernel_verifier::builder::SystemBuilder;
use zkernel_verifier::challenge::{Challenge, Coefficient};
use zkernel_verifier::curve::signed;
use zkernel_verifier::expression::Expression;
use zkernel_verifier::form::{
    Axis, Cell, Factor, LinearForm, Source, SparseEntry, Strided, TrackId,
};
use zkernel_verifier::system::{
    ConstraintSystem, Contraction, ContractionTerm, LookupInput, Phase, Region, TrackKind,
};

use crate::F;
use crate::case::{Case, count};
use crate::prover::Secrets;
use crate::trial::Fixture;

/// log2 of the rows.
pub const LOG_N: u32 = 4;
const SAMPLES: usize = 2;
const INPUTS: usize = 3;
const HIDDEN: usize = 4;
const OUTPUTS: usize = 2;
/// The row of the multiplication: no layer uses it in V, Z, P.
const PRODUCT_ROW: usize = 10;
/// Quotients lie in -8..8.
const RELU: i64 = 8;

/// The system and where its cells lie.
#[derive(Clone)]
pub struct Circuit {
    /// The system.
    pub system: ConstraintSystem<F>,
    /// Inputs X, features by samples.
    pub x: Region,
    /// Quotients of the first layer.
    pub q: Region,
    /// Remainders of the first layer.
    pub rem: Region,
    /// relu(q).
    pub r: Region,
    /// Outputs of the second layer, on the track of a.
    pub y: Region,
    /// The row of the multiplication: cells a, b, c.
    pub product: [Region; 3],
    /// W1, W2 with the distance of their rows.
    pub weights: [(TrackId, usize); 2],
    /// b1, then b2.
    pub biases: TrackId,
    /// V, Z and P.
    pub phase_two: [TrackId; 3],
    /// Cells of the layers in V, Z and P.
    pub layers: [usize; 2],
}

/// The one false step of a forged witness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// None: an honest witness.
    Nothing,
    /// `c = a b + 1`.
    Product,
    /// a is not a copy of y_0.
    Copy,
    /// Another public output.
    Public,
    /// A wrong remainder, in range.
    Remainder,
    /// The right accumulator from `q - k` and `rem + 4 k`.
    RemainderRange(i64),
    /// An error added to the first activation.
    Relu(F),
    /// Errors added to the four outputs y.
    Output([F; OUTPUTS * SAMPLES]),
}

struct Layer<'a> {
    name: &'a str,
    weights: (TrackId, usize),
    bias: Region,
    x: Region,
    y: &'a [(Region, i64)],
}

impl Circuit {
    /// Builds the circuit.
    ///
    /// # Panics
    /// If the builder refuses it.
    #[must_use]
    pub fn new() -> Self {
        let mut b = SystemBuilder::<F>::new(LOG_N, 1);
        let advice = |b: &mut SystemBuilder<F>, name| b.advice(name, Phase::One, 0);
        let [xs, qs, rems, rs] = ["x", "q", "rem", "r"].map(|name| advice(&mut b, name));
        let [aa, bb, cc] = ["a", "b", "c"].map(|name| advice(&mut b, name));
        let hidden = HIDDEN * SAMPLES;
        let (x, q) = (b.region(xs, INPUTS * SAMPLES), b.region(qs, hidden));
        let (rem, r) = (b.region(rems, hidden), b.region(rs, hidden));
        let y = b.region(aa, OUTPUTS * SAMPLES);
        let product = [aa, bb, cc].map(|track| {
            let skip = if track == aa { y.len } else { 0 };
            b.region(track, PRODUCT_ROW - skip);
            b.region(track, 1)
        });
        lookups(&mut b, [x, q, rem, r]);
        let weights = [
            b.tensor("W1", HIDDEN, INPUTS),
            b.tensor("W2", OUTPUTS, HIDDEN),
        ];
        let biases = b.arena("biases", HIDDEN + OUTPUTS);
        let phase_two = ["V", "Z", "P"].map(|name| b.advice(name, Phase::Two, 0));
        let bias = |start, len| Region {
            track: biases,
            start,
            len,
        };
        let first = Layer {
            name: "layer 1",
            weights: weights[0],
            bias: bias(0, HIDDEN),
            x,
            y: &[(q, 4), (rem, 1)],
        };
        let second = Layer {
            name: "layer 2",
            weights: weights[1],
            bias: bias(HIDDEN, OUTPUTS),
            x: r,
            y: &[(y, 1)],
        };
        let layers = [first, second].map(|l| layer(&mut b, &l, phase_two));
        b.product("P = V Z", phase_two[0], phase_two[1], phase_two[2]);
        let [va, vb, vc] = [aa, bb, cc].map(|track| b.plain(track));
        b.gate("product", Expression::from(va) * vb - vc);
        copies(&mut b, y, product);
        let system = b.finish().expect("a well-formed system");
        Self {
            system,
            x,
            q,
            rem,
            r,
            y,
            product,
            weights,
            biases,
            phase_two,
            layers,
        }
    }

    /// A statement and a witness with that lie.
    #[must_use]
    pub fn case(&self, seed: u64, lie: Lie) -> Case {
        self.case_with(seed, lie, |_| {})
    }

    /// As [`Circuit::case`], for the system changed by `edit` (a constraint deleted).
    ///
    /// # Panics
    /// If the changed system is refused.
    #[must_use]
    pub fn case_with(
        &self,
        seed: u64,
        lie: Lie,
        edit: impl FnOnce(&mut ConstraintSystem<F>),
    ) -> Case {
        let mut system = self.system.clone();
        edit(&mut system);
        let (secrets, output) = self.seeded(&system, seed, lie);
        Case::new(system, vec![vec![output]], secrets)
    }

    fn seeded(&self, system: &ConstraintSystem<F>, seed: u64, lie: Lie) -> (Secrets, F) {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut some = |len: usize, low: i64, high: i64| -> Vec<i64> {
            let span = (high - low + 1) as u64;
            (0..len)
                .map(|_| low + (rng.next_u64() % span) as i64)
                .collect()
        };
        let w1 = some(HIDDEN * INPUTS, -3, 3);
        let w2 = some(OUTPUTS * HIDDEN, -3, 3);
        let biases = some(HIDDEN + OUTPUTS, -4, 4);
        let x = some(INPUTS * SAMPLES, 0, 3);
        let factor = signed::<F>(some(1, 1, 9)[0]);
        let fields = |values: &[i64]| values.iter().map(|v| signed(*v)).collect::<Vec<F>>();
        let (mut q, mut rem): (Vec<i64>, Vec<i64>) = integer_layer(&w1, &biases[..HIDDEN], &x)
            .into_iter()
            .map(|acc| (acc >> 2, acc & 3))
            .unzip();
        match lie {
            Lie::Remainder => rem[0] ^= 1,
            Lie::RemainderRange(k) => (q[0], rem[0]) = (q[0] - k, rem[0] + 4 * k),
            _ => {}
        }
        let mut r = fields(&q.iter().map(|q| (*q).max(0)).collect::<Vec<_>>());
        if let Lie::Relu(error) = lie {
            r[0] += error;
        }
        let mut y = field_layer(&fields(&w2), &fields(&biases[HIDDEN..]), &r);
        if let Lie::Output(errors) = lie {
            y.iter_mut().zip(errors).for_each(|(y, error)| *y += error);
        }
        let one = |yes| if yes { F::ONE } else { F::ZERO };
        let a = y[0] + one(lie == Lie::Copy);
        let c = a * factor + one(lie == Lie::Product);
        let mut cells = Cells::new();
        let mut put = |region: Region, values: &[F]| {
            let track: &mut Vec<F> = cells.entry(region.track).or_default();
            track.resize(region.start.max(track.len()), F::ZERO);
            track.truncate(region.start);
            track.extend(values);
        };
        put(self.x, &fields(&x));
        put(self.q, &fields(&q));
        put(self.rem, &fields(&rem));
        put(self.r, &r);
        put(self.y, &y);
        for (region, value) in self.product.into_iter().zip([a, factor, c]) {
            put(region, &[value]);
        }
        for ((track, stride), (weights, cols)) in
            self.weights.into_iter().zip([(&w1, INPUTS), (&w2, HIDDEN)])
        {
            let padded = weights.chunks(cols).flat_map(|row| {
                let padding = vec![0; stride - cols];
                [row, &padding].concat()
            });
            let all = padded.collect::<Vec<_>>();
            cells.insert(track, fields(&all));
        }
        cells.insert(self.biases, fields(&biases));
        for (id, values) in &mut cells {
            let track = system.track(*id).expect("exists");
            values.resize(track.columns * track.width, F::ZERO);
        }
        count(system, &mut cells);
        let blinders = (0..system.columns_of(TrackKind::Tensor))
            .map(|_| F::from(rng.next_u64()))
            .collect();
        let secrets = Secrets {
            cells,
            blinders,
            ..Secrets::default()
        };
        (secrets, c + one(lie == Lie::Public))
    }
}

impl Default for Circuit {
    fn default() -> Self {
        Self::new()
    }
}

/// `x, rem in 0..4`, `r = relu(q)`; the lookup of x has disabled rows.
fn lookups(b: &mut SystemBuilder<F>, [x, q, rem, r]: [Region; 4]) {
    let range = b.table("range 4", 1, (0..4).collect());
    let rows = (-RELU..RELU).flat_map(|q| [q, q.max(0)]);
    let relu = b.table("relu", 2, rows.collect());
    let enabled = b.fixed("x enabled", vec![F::ONE; x.len]);
    let plain = |region: Region| vec![LookupInput::plain(region.track)];
    b.lookup("x in range", range, plain(x), Some(enabled));
    b.lookup("rem in range", range, plain(rem), None);
    let pair = [plain(q), plain(r)].concat();
    b.lookup("relu", relu, pair, None);
}

/// `a = y_0`, `c = output`.
fn copies(b: &mut SystemBuilder<F>, y: Region, product: [Region; 3]) {
    let entry = |region: Region, coefficient: F| SparseEntry {
        cell: Cell {
            track: region.track,
            position: region.start,
        },
        coefficient,
        claim: 0,
    };
    let copy = vec![entry(product[0], F::ONE), entry(y, -F::ONE)];
    b.constrain("copy", 1, vec![LinearForm::Sparse(copy)]);
    let output = b.instance("output", 1);
    let public = Strided {
        source: Source::Instance(output),
        start: 0,
        axes: Vec::new(),
        scale: Coefficient::constant(-F::ONE),
    };
    let cell = LinearForm::Sparse(vec![entry(product[2], F::ONE)]);
    b.constrain("public", 1, vec![cell, LinearForm::Strided(public)]);
}

/// The constraints of one linear layer; returns where its cells lie in V, Z and P.
fn layer(b: &mut SystemBuilder<F>, layer: &Layer<'_>, phase_two: [TrackId; 3]) -> usize {
    let (tensor, stride) = layer.weights;
    let (k, rows) = (layer.x.len / SAMPLES, layer.bias.len);
    let [v, z, p] = phase_two.map(|track| b.region(track, k));
    let contract = |name: &str, inner, term, target| Contraction {
        name: format!("{}/{name}", layer.name),
        outer: vec![k],
        inner: vec![inner],
        terms: vec![term],
        constant: F::ZERO,
        target,
    };
    let term = |track, start, outer, inner| ContractionTerm {
        track,
        start,
        outer: vec![outer],
        inner: vec![inner],
        scale: F::ONE,
    };
    let rho = || Factor::powers(Challenge::Rho);
    let tau = || Factor::powers(Challenge::Tau);
    let all_rows = b.tensor_rows(tensor, stride);
    let weights = term(tensor, 0, 1, stride);
    b.contract(contract("V", (all_rows, rho()), weights, v));
    let x = term(layer.x.track, layer.x.start, SAMPLES, 1);
    b.contract(contract("Z", (SAMPLES, tau()), x, z));
    let form = |region: Region, axes, scale: i64| {
        LinearForm::Strided(Strided {
            source: Source::Track(region.track),
            start: region.start,
            axes,
            scale: Coefficient::constant(signed(scale)),
        })
    };
    let outputs = |stride, step| {
        vec![
            Axis::new(rows, stride, rho()),
            Axis::new(SAMPLES, step, tau()),
        ]
    };
    let mut forms = vec![
        form(p, vec![Axis::new(k, 1, Factor::One)], 1),
        form(layer.bias, outputs(1, 0), 1),
    ];
    let y = layer.y.iter();
    forms.extend(y.map(|(region, c)| form(*region, outputs(SAMPLES, 1), -c)));
    b.constrain(format!("{}/Y", layer.name), 1, forms);
    v.start
}

fn integer_layer(weights: &[i64], biases: &[i64], x: &[i64]) -> Vec<i64> {
    let cols = x.len() / SAMPLES;
    let output = |i: usize, sample: usize| {
        let row = &weights[i * cols..][..cols];
        let products = row.iter().enumerate();
        biases[i]
            + products
                .map(|(j, w)| w * x[j * SAMPLES + sample])
                .sum::<i64>()
    };
    (0..biases.len() * SAMPLES)
        .map(|i| output(i / SAMPLES, i % SAMPLES))
        .collect()
}

fn field_layer(weights: &[F], biases: &[F], x: &[F]) -> Vec<F> {
    let cols = x.len() / SAMPLES;
    let output = |i: usize, sample: usize| {
        let row = &weights[i * cols..][..cols];
        let products = row.iter().enumerate();
        biases[i]
            + products
                .map(|(j, w)| w * x[j * SAMPLES + sample])
                .sum::<F>()
    };
    (0..biases.len() * SAMPLES)
        .map(|i| output(i / SAMPLES, i % SAMPLES))
        .collect()
}

impl Fixture for Circuit {
    type Slip = Lie;

    fn system(&self) -> &ConstraintSystem<F> {
        &self.system
    }

    fn witness(&self, system: &ConstraintSystem<F>, lie: Lie) -> (Secrets, Vec<Vec<F>>) {
        let (secrets, output) = self.seeded(system, 0, lie);
        (secrets, vec![vec![output]])
    }
}
