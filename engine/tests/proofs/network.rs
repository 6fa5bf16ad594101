//! A two-layer network written directly on the builder:
//! `W1 x + b1 = 4 q + rem`, `r = relu(q)`, `W2 r + b2 = y` public, x in 0..16, rem in 0..4, weights private.

use pasta_curves::{EqAffine, Fp};
use zkernel_engine::{Tensors, Witness};
use zkernel_verifier::builder::SystemBuilder;
use zkernel_verifier::challenge::{Challenge, Coefficient};
use zkernel_verifier::curve::{Generators, signed};
use zkernel_verifier::form::{Axis, Factor, LinearForm, Source, Strided, TrackId};
use zkernel_verifier::system::{
    ConstraintSystem, Contraction, ContractionTerm, LookupInput, Phase, Region,
};

/// Sizes of the network.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub log_n: u32,
    pub inputs: usize,
    pub hidden: usize,
    pub outputs: usize,
}

/// The small default: several columns a tensor, several lanes a track.
pub const SMALL: Shape = Shape {
    log_n: 4,
    inputs: 5,
    hidden: 21,
    outputs: 3,
};

/// The system and where the cells of its witness lie.
pub struct Network {
    pub shape: Shape,
    pub system: ConstraintSystem<Fp>,
    pub x: Region,
    pub rem: Region,
    pub q: Region,
    pub r: Region,
    pub weights: [(TrackId, usize); 2],
    pub biases: TrackId,
}

/// Values of a run: the witness generator, with a hook through which every cell passes.
pub struct Run {
    pub x: Vec<i64>,
    pub q: Vec<i64>,
    pub rem: Vec<i64>,
    pub r: Vec<i64>,
    pub y: Vec<i64>,
}

/// The weights.
#[derive(Clone)]
pub struct Model {
    pub w1: Vec<i64>,
    pub b1: Vec<i64>,
    pub w2: Vec<i64>,
    pub b2: Vec<i64>,
}

const RELU: i64 = 128;

struct Linear<'a> {
    name: &'a str,
    weights: (TrackId, usize),
    bias: Region,
    x: Region,
    rows: usize,
    vzp: [TrackId; 3],
}

impl Network {
    pub fn new(shape: Shape) -> Self {
        let mut b = SystemBuilder::<Fp>::new(shape.log_n, 1);
        let [range_track, q_track, r_track] =
            ["range", "q", "r"].map(|name| b.advice(name, Phase::One, 0));
        let small_track = b.advice("rem", Phase::One, 0);
        let x = b.region(range_track, shape.inputs);
        let rem = b.region(small_track, shape.hidden);
        let (q, r) = (
            b.region(q_track, shape.hidden),
            b.region(r_track, shape.hidden),
        );
        let range = b.table("range 16", 1, (0..16).collect());
        let four = b.table("range 4", 1, (0..4).collect());
        let relu = b.table(
            "relu",
            2,
            (-RELU..RELU).flat_map(|q| [q, q.max(0)]).collect(),
        );
        b.lookup(
            "x in 0..16",
            range,
            vec![LookupInput::plain(range_track)],
            None,
        );
        b.lookup(
            "rem in 0..4",
            four,
            vec![LookupInput::plain(small_track)],
            None,
        );
        b.lookup(
            "r = relu(q)",
            relu,
            vec![LookupInput::plain(q_track), LookupInput::plain(r_track)],
            None,
        );
        let weights = [
            b.tensor("W1", shape.hidden, shape.inputs),
            b.tensor("W2", shape.outputs, shape.hidden),
        ];
        let biases = b.arena("biases", shape.hidden + shape.outputs);
        let vzp = ["V", "Z", "P"].map(|name| b.advice(name, Phase::Two, 0));
        let b1 = Region {
            track: biases,
            start: 0,
            len: shape.hidden,
        };
        let b2 = Region {
            track: biases,
            start: shape.hidden,
            len: shape.outputs,
        };
        let output = b.instance("y", shape.outputs);
        let y1 = vec![
            (Source::Track(q.track), q.start, 4),
            (Source::Track(rem.track), rem.start, 1),
        ];
        let first = Linear {
            name: "layer 1",
            weights: weights[0],
            bias: b1,
            x,
            rows: shape.hidden,
            vzp,
        };
        linear(&mut b, &first, &y1);
        let second = Linear {
            name: "layer 2",
            weights: weights[1],
            bias: b2,
            x: r,
            rows: shape.outputs,
            vzp,
        };
        linear(&mut b, &second, &[(Source::Instance(output), 0, 1)]);
        b.product("P = V Z", vzp[0], vzp[1], vzp[2]);
        let system = b.finish().expect("a well-formed system");
        Self {
            shape,
            system,
            x,
            rem,
            q,
            r,
            weights,
            biases,
        }
    }

    /// A model and an input, small enough for the tables.
    pub fn example(&self, seed: i64) -> (Model, Vec<i64>) {
        let value = |i: usize, span: i64| {
            (i as i64 * 7919 + seed * 104_729 + 13).rem_euclid(2 * span + 1) - span
        };
        let Shape {
            inputs,
            hidden,
            outputs,
            ..
        } = self.shape;
        let model = Model {
            w1: (0..hidden * inputs).map(|i| value(i * i, 3)).collect(),
            b1: (0..hidden).map(|i| value(i, 4)).collect(),
            w2: (0..outputs * hidden)
                .map(|i| value(i * 3 + i * i, 5))
                .collect(),
            b2: (0..outputs).map(|i| value(i, 9)).collect(),
        };
        (
            model,
            (0..inputs)
                .map(|i| value(i * i + 2, 8) + 7)
                .map(|v| v.clamp(0, 15))
                .collect(),
        )
    }

    pub fn run(&self, model: &Model, x: &[i64]) -> Run {
        let dense = |w: &[i64], b: &[i64], x: &[i64]| -> Vec<i64> {
            let rows = w.chunks(x.len()).zip(b);
            rows.map(|(row, b)| row.iter().zip(x).map(|(w, x)| w * x).sum::<i64>() + b)
                .collect()
        };
        let acc = dense(&model.w1, &model.b1, x);
        let q: Vec<i64> = acc.iter().map(|a| a >> 2).collect();
        let rem = acc.iter().map(|a| a & 3).collect();
        let r: Vec<i64> = q.iter().map(|q| (*q).max(0)).collect();
        let y = dense(&model.w2, &model.b2, &r);
        Run {
            x: x.to_vec(),
            q,
            rem,
            r,
            y,
        }
    }

    pub fn witness(&self, run: &Run) -> Witness<Fp> {
        let mut witness = Witness::default();
        for (region, values) in [
            (self.x, &run.x),
            (self.rem, &run.rem),
            (self.q, &run.q),
            (self.r, &run.r),
        ] {
            witness.assign(region.track, values.clone());
        }
        witness
    }

    pub fn instances(&self, run: &Run) -> Vec<Vec<Fp>> {
        vec![run.y.iter().map(|y| signed(*y)).collect()]
    }

    pub fn tensors(&self, model: &Model) -> Tensors<Fp> {
        let biases = model.b1.iter().chain(&model.b2).copied().collect();
        let matrix = |weights: &[i64], cols: usize, stride: usize| {
            let row = |row: &[i64]| [row, &vec![0; stride - cols]].concat();
            weights.chunks(cols).flat_map(row).collect::<Vec<_>>()
        };
        let [(t1, s1), (t2, s2)] = self.weights;
        let values = vec![
            (t1, matrix(&model.w1, self.shape.inputs, s1)),
            (t2, matrix(&model.w2, self.shape.hidden, s2)),
            (self.biases, biases),
        ];
        Tensors::blinded(&self.system, values).expect("randomness")
    }

    pub fn generators(&self) -> Generators<EqAffine> {
        Generators::derive(self.shape.log_n)
    }
}

/// The constraints of one linear layer whose accumulators are `sum coefficient * source`.
fn linear(b: &mut SystemBuilder<Fp>, layer: &Linear<'_>, y: &[(Source, usize, i64)]) {
    let (tensor, stride) = layer.weights;
    let [v, z, p] = layer.vzp.map(|track| b.region(track, layer.x.len));
    let k = layer.x.len;
    let contract = |name: &str, inner, terms, target| Contraction {
        name: format!("{}/{name}", layer.name),
        outer: vec![k],
        inner: vec![inner],
        terms: vec![terms],
        constant: Fp::zero(),
        target,
    };
    let one = Fp::one();
    let rows = b.tensor_rows(tensor, stride);
    let weights = ContractionTerm {
        track: tensor,
        start: 0,
        outer: vec![1],
        inner: vec![stride],
        scale: one,
    };
    b.contract(contract(
        "V",
        (rows, Factor::powers(Challenge::Rho)),
        weights,
        v,
    ));
    let x = ContractionTerm {
        track: layer.x.track,
        start: layer.x.start,
        outer: vec![1],
        inner: vec![0],
        scale: one,
    };
    b.contract(contract("Z", (1, Factor::powers(Challenge::Tau)), x, z));
    let form = |source, start, len, factor, scale: i64| {
        let axes = vec![Axis::new(len, 1, factor)];
        LinearForm::Strided(Strided {
            source,
            start,
            axes,
            scale: Coefficient::constant(signed(scale)),
        })
    };
    let rho = || Factor::powers(Challenge::Rho);
    let mut forms = vec![
        form(Source::Track(p.track), p.start, k, Factor::One, 1),
        form(
            Source::Track(layer.bias.track),
            layer.bias.start,
            layer.rows,
            rho(),
            1,
        ),
    ];
    forms.extend(
        y.iter()
            .map(|(source, start, c)| form(*source, *start, layer.rows, rho(), -c)),
    );
    b.constrain(format!("{}/Y", layer.name), 1, forms);
}
