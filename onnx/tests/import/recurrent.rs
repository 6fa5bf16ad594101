//! Recurrent layers against their definition in the ONNX specification, computed plainly.

use proptest::prelude::*;
use zkernel_onnx::{Error, Model, Options};

use crate::network::{Attribute, Network};
use crate::visibility::{proven, samples};

/// Sizes and choices of a layer.
#[derive(Clone, Debug)]
struct Case {
    op: &'static str,
    steps: usize,
    input: usize,
    hidden: usize,
    direction: &'static str,
    batch_first: bool,
    biased: bool,
    initial: bool,
    peepholes: bool,
    after: bool,
}

fn case() -> impl Strategy<Value = Case> {
    let op = prop::sample::select(vec!["LSTM", "GRU", "RNN"]);
    let direction = prop::sample::select(vec!["forward", "reverse", "bidirectional"]);
    let sizes = (1usize..4, 1usize..4, 1usize..4);
    let choices = (
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
    );
    (op, direction, sizes, choices).prop_map(|(op, direction, sizes, choices)| Case {
        op,
        direction,
        steps: sizes.0,
        input: sizes.1,
        hidden: sizes.2,
        batch_first: choices.0,
        biased: choices.1,
        initial: choices.2,
        peepholes: choices.3 && op == "LSTM",
        after: choices.4,
    })
}

/// Weights without a pattern.
fn values(len: usize, seed: usize) -> Vec<f32> {
    let value = |i: usize| ((i * 37 + seed * 11 + 5) % 31) as f32 / 21.0 - 0.7;
    (0..len).map(value).collect()
}

impl Case {
    fn gates(&self) -> usize {
        match self.op {
            "LSTM" => 4,
            "GRU" => 3,
            _ => 1,
        }
    }

    fn directions(&self) -> usize {
        1 + usize::from(self.direction == "bidirectional")
    }

    /// Values of inputs 1 to 7, and their shapes.
    fn constants(&self) -> Vec<(usize, Vec<i64>, Vec<f32>)> {
        let (g, d, h) = (self.gates(), self.directions(), self.hidden);
        let state = match self.batch_first {
            true => [1, d, h],
            false => [d, 1, h],
        };
        let mut all = vec![(1, vec![d, g * h, self.input]), (2, vec![d, g * h, h])];
        if self.biased {
            all.push((3, vec![d, 2 * g * h]));
        }
        if self.initial {
            all.push((5, state.to_vec()));
        }
        if self.initial && self.op == "LSTM" {
            all.push((6, state.to_vec()));
        }
        if self.peepholes {
            all.push((7, vec![d, 3 * h]));
        }
        let with_values = |(index, shape): (usize, Vec<usize>)| {
            let len = shape.iter().product();
            (
                index,
                shape.iter().map(|d| *d as i64).collect(),
                values(len, index),
            )
        };
        all.into_iter().map(with_values).collect()
    }

    fn network(&self) -> Network {
        let shape = match self.batch_first {
            true => [1, self.steps as i64, self.input as i64],
            false => [self.steps as i64, 1, self.input as i64],
        };
        let names = ["x", "w", "r", "b", "lengths", "h", "c", "p"];
        let mut network = Network::new(&shape);
        let mut inputs = vec!["x"; 1];
        for (index, shape, values) in self.constants() {
            inputs.resize(index, "");
            inputs.push(names[index]);
            network = network.constant(names[index], &shape, &values);
        }
        let mut with = vec![
            Attribute::Text("direction", self.direction),
            Attribute::Int("hidden_size", self.hidden as i64),
        ];
        if self.batch_first {
            with.push(Attribute::Int("layout", 1));
        }
        if self.op == "GRU" {
            with.push(Attribute::Int("linear_before_reset", i64::from(self.after)));
        }
        let network = network.node(self.op, &inputs, "y", &with).and("last");
        match self.op {
            "LSTM" => network.and("cell"),
            _ => network,
        }
    }

    /// Y, Y_h and Y_c by the equations of the specification, batch one: the axes of a batch first do not change the order of values but
    /// for those of directions and steps, which Y has in that order either way.
    fn reference(&self, x: &[f32]) -> [Vec<f32>; 3] {
        let constants = self.constants();
        let given = |index: usize, direction: usize, len: usize| -> Vec<f32> {
            let found = constants.iter().find(|c| c.0 == index);
            found.map_or(vec![0.0; len], |c| c.2[direction * len..][..len].to_vec())
        };
        let (g, h) = (self.gates(), self.hidden);
        let d = self.directions();
        let mut y = vec![0.0; self.steps * d * h];
        let (mut last, mut cells) = (Vec::new(), Vec::new());
        for direction in 0..d {
            let w = given(1, direction, g * h * self.input);
            let r = given(2, direction, g * h * h);
            let b = given(3, direction, 2 * g * h);
            let p = given(7, direction, 3 * h);
            let (mut hidden, mut cell) = (given(5, direction, h), given(6, direction, h));
            let backwards = self.direction == "reverse" || direction == 1;
            for step in 0..self.steps {
                let time = if backwards {
                    self.steps - 1 - step
                } else {
                    step
                };
                let x = &x[time * self.input..][..self.input];
                let of_x = |row: usize| dot(&w[row * self.input..][..self.input], x) + b[row];
                let of =
                    |row: usize, state: &[f32]| dot(&r[row * h..][..h], state) + b[g * h + row];
                let both = |gate: usize, i: usize| of_x(gate * h + i) + of(gate * h + i, &hidden);
                let unit = |i: usize| match self.op {
                    "LSTM" => {
                        let input = sigmoid(both(0, i) + p[i] * cell[i]);
                        let forget = sigmoid(both(2, i) + p[2 * h + i] * cell[i]);
                        let next = forget * cell[i] + input * both(3, i).tanh();
                        let output = sigmoid(both(1, i) + p[h + i] * next);
                        (output * next.tanh(), next)
                    }
                    "GRU" => {
                        let update = sigmoid(both(0, i));
                        let resets: Vec<f32> = (0..h).map(|j| sigmoid(both(1, j))).collect();
                        let new = match self.after {
                            true => of_x(2 * h + i) + resets[i] * of(2 * h + i, &hidden),
                            false => {
                                let kept: Vec<f32> =
                                    resets.iter().zip(&hidden).map(|(r, h)| r * h).collect();
                                of_x(2 * h + i) + of(2 * h + i, &kept)
                            }
                        };
                        ((1.0 - update) * new.tanh() + update * hidden[i], 0.0)
                    }
                    _ => (both(0, i).tanh(), 0.0),
                };
                let (next, kept): (Vec<f32>, Vec<f32>) = (0..h).map(unit).unzip();
                y[(time * d + direction) * h..][..h].copy_from_slice(&next);
                (hidden, cell) = (next, kept);
            }
            last.extend(hidden);
            cells.extend(cell);
        }
        [y, last, cells]
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

#[track_caller]
fn follows(model: &Model, expected: impl Fn(&[f32]) -> Vec<f32>) {
    for sample in samples(model, 3).as_slice() {
        let (found, expected) = (model.run(sample).unwrap(), expected(&sample[0]));
        assert_eq!(found[0].len(), expected.len());
        let far = |(a, b): (&f32, &f32)| (a - b).abs() > 1e-4;
        assert!(
            !found[0].iter().zip(&expected).any(far),
            "{found:?} against {expected:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn layers_are_what_the_specification_says(case in case()) {
        let outputs = ["y", "last", "cell"];
        let count = if case.op == "LSTM" { 3 } else { 2 };
        for (index, output) in outputs.iter().enumerate().take(count) {
            let model = case.network().output(output).read().unwrap();
            follows(&model, |x| case.reference(x)[index].clone());
        }
    }
}

#[test]
fn layers_are_proven() {
    for (op, direction) in [
        ("LSTM", "bidirectional"),
        ("GRU", "reverse"),
        ("RNN", "forward"),
    ] {
        let case = Case {
            op,
            direction,
            steps: 4,
            input: 3,
            hidden: 3,
            batch_first: false,
            biased: true,
            initial: false,
            peepholes: false,
            after: true,
        };
        let model = case.network().output("y").read().unwrap();
        proven(&model, Options::default());
    }
}

/// Functions by name, with parameters, of any case; cells clipped; gates coupled.
#[test]
fn functions_of_gates() {
    let w = values(3, 1);
    let layer = |with: &[Attribute], strings: &[&str]| {
        let mut network = Network::new(&[2, 1, 3])
            .constant("w", &[1, 1, 3], &w)
            .constant("r", &[1, 1, 1], &[0.5])
            .node("RNN", &["x", "w", "r"], "y", with)
            .output("y");
        let node = network.0.node.last_mut().unwrap();
        node.attribute.push(tract_onnx::pb::AttributeProto {
            name: "activations".into(),
            strings: strings.iter().map(|s| s.as_bytes().to_vec()).collect(),
            ..Default::default()
        });
        network.read()
    };
    let run = |f: &dyn Fn(f32) -> f32, x: &[f32]| {
        let first = f(dot(&x[..3], &w));
        vec![first, f(dot(&x[3..], &w) + 0.5 * first)]
    };
    let relu = layer(&[], &["Relu"]).unwrap();
    follows(&relu, |x| run(&|v| v.max(0.0), x));
    let clipped = layer(&[Attribute::Float("clip", 0.25)], &["softsign"]).unwrap();
    let softsign = |v: f32| {
        let v = v.clamp(-0.25, 0.25);
        v / (1.0 + v.abs())
    };
    follows(&clipped, |x| run(&softsign, x));
    for names in [&["Spline"][..], &["Relu", "Tanh"]] {
        match layer(&[], names) {
            Err(Error::Unsupported(nodes)) => assert_eq!(nodes[0].op, "RNN"),
            other => panic!("{other:?}"),
        }
    }
}
