//! Operators of `ai.onnx.ml`: the float run is what the standard and ONNX Runtime say, the integer run follows it, and the circuit
//! accepts it.

use proptest::prelude::*;
use zkernel_onnx::{Error, Model, Options};

use crate::network::{Attribute, Attribute::*, Network, value};
use crate::visibility::{proven, samples};

/// Numbers without a pattern, in -1..1.
pub fn values(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// The float run on samples gives what the reference gives, in every output.
#[track_caller]
pub fn runs_as(model: &Model, reference: impl Fn(&[f32]) -> Vec<Vec<f32>>) {
    for sample in samples(model, 16).as_slice() {
        let (found, expected) = (model.run(sample).unwrap(), reference(&sample[0]));
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found.len(), expected.len());
            let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-4 * (1.0 + b.abs());
            assert!(
                found.iter().zip(expected).all(near),
                "{found:?} is not {expected:?} of {sample:?}"
            );
        }
    }
}

/// As the reference, as floats and as integers.
#[track_caller]
fn checked(network: &Network, reference: impl Fn(&[f32]) -> Vec<Vec<f32>>) {
    let model = network.read().unwrap();
    runs_as(&model, reference);
    proven(&model, Options::default());
}

fn columns(network: Network, op: &str, with: &[Attribute]) -> Network {
    network.classic(op, &["x"], &["y"], with).output("y")
}

fn each(x: &[f32], f: impl Fn(usize, f32) -> f32) -> Vec<Vec<f32>> {
    vec![x.iter().enumerate().map(|(i, v)| f(i, *v)).collect()]
}

fn softmax(row: &[f32]) -> Vec<f32> {
    let sum: f32 = row.iter().map(|v| v.exp()).sum();
    row.iter().map(|v| v.exp() / sum).collect()
}

fn logistic(v: f32) -> f32 {
    1.0 / (1.0 + (-v).exp())
}

fn first_largest(row: &[f32]) -> usize {
    (0..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best })
}

/// `x w^T + b`.
fn linear(x: &[f32], weights: &[f32], bias: &[f32]) -> Vec<f32> {
    let dot = |row: &[f32]| row.iter().zip(x).map(|(w, x)| w * x).sum::<f32>();
    weights
        .chunks(x.len())
        .zip(bias)
        .map(|(row, b)| dot(row) + b)
        .collect()
}

fn transformed(kind: &str, scores: &[f32]) -> Vec<f32> {
    match kind {
        "LOGISTIC" => scores.iter().map(|v| logistic(*v)).collect(),
        "SOFTMAX" => softmax(scores),
        "SOFTMAX_ZERO" => softmax(scores),
        _ => scores.to_vec(),
    }
}

const TRANSFORMS: [&str; 4] = ["NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO"];

#[test]
fn scaling() {
    let (offset, scale) = (values(1, 5), values(2, 5));
    let with = [
        Floats("offset", offset.clone()),
        Floats("scale", scale.clone()),
    ];
    checked(&columns(Network::new(&[1, 5]), "Scaler", &with), |x| {
        each(x, |i, v| (v - offset[i]) * scale[i])
    });
    let with = [Floats("offset", vec![0.5]), Floats("scale", vec![-3.0])];
    checked(&columns(Network::new(&[1, 5]), "Scaler", &with), |x| {
        each(x, |_, v| (v - 0.5) * -3.0)
    });
    let with = [Float("threshold", 0.25)];
    checked(&columns(Network::new(&[2, 3]), "Binarizer", &with), |x| {
        each(x, |_, v| f32::from(u8::from(v > 0.25)))
    });
    let part = Network::new(&[1, 4]).classic("ArrayFeatureExtractor", &["x", "i"], &["y"], &[]);
    checked(&part.positions("i", &[1, 3], &[2, 0, 2]).output("y"), |x| {
        vec![vec![x[2], x[0], x[2]]]
    });
    let with = [List("inputdimensions", vec![3, 3])];
    let beside = Network::new(&[1, 3]).node("Neg", &["x"], "z", &[]);
    let beside = beside
        .classic("FeatureVectorizer", &["x", "z"], &["y"], &with)
        .output("y");
    checked(&beside, |x| {
        vec![x.iter().copied().chain(x.iter().map(|v| -v)).collect()]
    });
}

#[test]
fn norms() {
    for (norm, by) in [
        (
            "L1",
            (|x| x.iter().map(|v| v.abs()).sum()) as fn(&[f32]) -> f32,
        ),
        ("L2", |x| x.iter().map(|v| v * v).sum::<f32>().sqrt()),
    ] {
        checked(
            &columns(Network::new(&[1, 6]), "Normalizer", &[Text("norm", norm)]),
            |x| each(x, |_, v| v / by(x)),
        );
    }
    // The largest value, not the largest magnitude.
    let above =
        Network::new(&[1, 6])
            .constant("two", &[1], &[2.0])
            .node("Add", &["x", "two"], "z", &[]);
    let above = above
        .classic("Normalizer", &["z"], &["y"], &[Text("norm", "MAX")])
        .output("y");
    let largest = |x: &[f32]| x.iter().fold(f32::MIN, |m, v| m.max(v + 2.0));
    checked(&above, |x| each(x, |_, v| (v + 2.0) / largest(x)));
}

/// Whole numbers 0, 1 and 2 of an input in -1..1.
fn whole(shape: &[i64]) -> Network {
    let network =
        Network::new(shape)
            .constant("by", &[1], &[1.5])
            .node("Mul", &["x", "by"], "s", &[]);
    let network = network
        .constant("one", &[1], &[1.5])
        .node("Add", &["s", "one"], "t", &[]);
    network.node("Floor", &["t"], "n", &[])
}

fn floor(v: f32) -> f32 {
    (v * 1.5 + 1.5).floor()
}

#[test]
fn categories() {
    let with = [List("cats_int64s", vec![2, 0, 7]), Int("zeros", 1)];
    let one_hot = whole(&[1, 3])
        .classic("OneHotEncoder", &["n"], &["y"], &with)
        .output("y");
    let bits = |v: f32| [2.0, 0.0, 7.0].map(|c| f32::from(u8::from(floor(v) == c)));
    checked(&one_hot, |x| {
        vec![x.iter().flat_map(|v| bits(*v)).collect()]
    });
    let with = [
        Floats("keys_floats", vec![0.0, 2.0]),
        Floats("values_floats", vec![0.25, -0.5]),
        Float("default_float", 3.0),
    ];
    let encoded = whole(&[1, 3])
        .classic("LabelEncoder", &["n"], &["y"], &with)
        .output("y");
    let value = |v: f32| match floor(v) as i32 {
        0 => 0.25,
        2 => -0.5,
        _ => 3.0,
    };
    checked(&encoded, |x| each(x, |_, v| value(v)));
    let with = [
        Floats("imputed_value_floats", vec![5.0, 6.0, 7.0]),
        Float("replaced_value_float", 1.0),
    ];
    let imputed = whole(&[1, 3])
        .classic("Imputer", &["n"], &["y"], &with)
        .output("y");
    checked(&imputed, |x| {
        each(x, |i, v| {
            if floor(v) == 1.0 {
                5.0 + i as f32
            } else {
                floor(v)
            }
        })
    });
    // Nothing that is proven is no number.
    let with = [
        Floats("imputed_value_floats", vec![9.0]),
        Float("replaced_value_float", f32::NAN),
    ];
    checked(&columns(Network::new(&[1, 3]), "Imputer", &with), |x| {
        vec![x.to_vec()]
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn linear_models((seed, features, classes, kind) in (0u64..1000, 1usize..7, 2usize..5, 0usize..4)) {
        let (weights, bias) = (values(seed, features * classes), values(seed + 1, classes));
        let labels: Vec<i64> = (0..classes as i64).map(|i| (i * 5) % 7 - 1).collect();
        let with = [
            Floats("coefficients", weights.clone()),
            Floats("intercepts", bias.clone()),
            Text("post_transform", TRANSFORMS[kind]),
            List("classlabels_ints", labels.clone()),
        ];
        let network = Network::new(&[1, features as i64]).classic("LinearClassifier", &["x"], &["l", "y"], &with);
        let model = network.output("l").output("y").read().unwrap();
        runs_as(&model, |x| {
            let scores = linear(x, &weights, &bias);
            vec![vec![labels[first_largest(&scores)] as f32], transformed(TRANSFORMS[kind], &scores)]
        });
        let with = [
            Floats("coefficients", weights.clone()),
            Floats("intercepts", bias.clone()),
            Int("targets", classes as i64),
        ];
        let network = columns(Network::new(&[1, features as i64]), "LinearRegressor", &with);
        runs_as(&network.read().unwrap(), |x| vec![linear(x, &weights, &bias)]);
    }

    #[test]
    fn kernels((seed, kernel, classes) in (0u64..1000, 0usize..4, 2usize..5)) {
        let (network, reference) = machine(seed, ["LINEAR", "POLY", "RBF", "SIGMOID"][kernel], classes);
        runs_as(&network.read().unwrap(), reference);
    }
}

/// One row of coefficients for two classes: the score of the second, and its complement.
#[test]
fn one_score_of_two_classes() {
    let (weights, bias) = (values(7, 4), [0.1]);
    for kind in ["NONE", "LOGISTIC"] {
        let with = [
            Floats("coefficients", weights.clone()),
            Floats("intercepts", bias.to_vec()),
            Text("post_transform", kind),
            Texts("classlabels_strings", vec!["no", "yes"]),
        ];
        let network = Network::new(&[1, 4]).classic("LinearClassifier", &["x"], &["l", "y"], &with);
        checked(&network.output("l").output("y"), |x| {
            let score = linear(x, &weights, &bias)[0];
            let second = if kind == "NONE" {
                score
            } else {
                logistic(score)
            };
            vec![
                vec![f32::from(u8::from(score > 0.0))],
                vec![1.0 - second, second],
            ]
        });
    }
}

/// A support vector machine with the definition of its labels and scores.
fn machine(
    seed: u64,
    kernel: &'static str,
    classes: usize,
) -> (Network, impl Fn(&[f32]) -> Vec<Vec<f32>>) {
    let (features, of_class) = (3, 2);
    let vectors = classes * of_class;
    let support = values(seed, vectors * features);
    let coefficients = values(seed + 1, vectors * (classes - 1));
    let rho = values(seed + 2, classes * (classes - 1) / 2);
    let with = [
        Floats("support_vectors", support.clone()),
        Floats("coefficients", coefficients.clone()),
        Floats("rho", rho.clone()),
        Floats("kernel_params", vec![0.5, 0.25, 2.0]),
        Text("kernel_type", kernel),
        List("vectors_per_class", vec![of_class as i64; classes]),
        List("classlabels_ints", (0..classes as i64).collect()),
    ];
    let network =
        Network::new(&[1, features as i64]).classic("SVMClassifier", &["x"], &["l", "y"], &with);
    let reference = move |x: &[f32]| {
        let kernels: Vec<f32> = support
            .chunks(features)
            .map(|v| kernel_of(kernel, x, v))
            .collect();
        let (mut votes, mut decisions) = (vec![0.0; classes], Vec::new());
        for i in 0..classes {
            for j in i + 1..classes {
                let part = |class: usize, row: usize| -> f32 {
                    let own = class * of_class..(class + 1) * of_class;
                    own.map(|v| coefficients[row * vectors + v] * kernels[v])
                        .sum()
                };
                let decision = part(i, j - 1) + part(j, i) + rho[decisions.len()];
                votes[if decision > 0.0 { i } else { j }] += 1.0;
                decisions.push(decision);
            }
        }
        if let [one] = decisions[..] {
            decisions = vec![-one, one];
        }
        vec![vec![first_largest(&votes) as f32], decisions]
    };
    (network.output("l").output("y"), reference)
}

fn kernel_of(kernel: &str, x: &[f32], v: &[f32]) -> f32 {
    let (gamma, offset, degree) = (0.5, 0.25, 2);
    let dot: f32 = x.iter().zip(v).map(|(x, v)| x * v).sum();
    let square: f32 = x.iter().zip(v).map(|(x, v)| (x - v) * (x - v)).sum();
    match kernel {
        "LINEAR" => dot,
        "POLY" => (gamma * dot + offset).powi(degree),
        "RBF" => (-gamma * square).exp(),
        _ => (gamma * dot + offset).tanh(),
    }
}

#[test]
fn support_vector_machines() {
    for (kernel, classes) in [("LINEAR", 3), ("POLY", 2), ("RBF", 3), ("SIGMOID", 2)] {
        let (network, reference) = machine(5, kernel, classes);
        checked(&network, reference);
    }
    let (support, coefficients) = (values(8, 6), values(9, 3));
    let with = [
        Floats("support_vectors", support.clone()),
        Floats("coefficients", coefficients.clone()),
        Floats("rho", vec![0.2]),
        Floats("kernel_params", vec![0.5, 0.25, 2.0]),
        Text("kernel_type", "RBF"),
        Int("n_supports", 3),
    ];
    checked(
        &columns(Network::new(&[1, 2]), "SVMRegressor", &with),
        |x| {
            let kernels = support.chunks(2).map(|v| kernel_of("RBF", x, v));
            vec![vec![
                kernels.zip(&coefficients).map(|(k, c)| k * c).sum::<f32>() + 0.2,
            ]]
        },
    );
}

/// Maps of classes are their scores, names of classes their numbers.
#[test]
fn names_of_classes() {
    let (weights, bias) = (values(3, 12), values(4, 3));
    let with = [
        Floats("coefficients", weights.clone()),
        Floats("intercepts", bias.clone()),
        Text("post_transform", "SOFTMAX"),
        Texts(
            "classlabels_strings",
            vec!["setosa", "versicolor", "virginica"],
        ),
    ];
    let names = vec!["setosa", "versicolor", "virginica"];
    let network = Network::new(&[1, 4]).classic("LinearClassifier", &["x"], &["l", "p"], &with);
    let mut network = network.classic(
        "ZipMap",
        &["p"],
        &["y"],
        &[Texts("classlabels_strings", names.clone())],
    );
    for (name, kind) in [("l", Some(8)), ("y", None)] {
        let mut output = value(name, &[]);
        match (kind, output.r#type.as_mut().and_then(|t| t.value.as_mut())) {
            (Some(kind), Some(tract_onnx::pb::type_proto::Value::TensorType(tensor))) => {
                tensor.elem_type = kind;
            }
            _ => output.r#type = None,
        }
        network.0.output.push(output);
    }
    let model = network.read().unwrap();
    assert_eq!(model.classes["l"], names);
    let reference = |x: &[f32]| {
        let scores = linear(x, &weights, &bias);
        vec![vec![first_largest(&scores) as f32], softmax(&scores)]
    };
    runs_as(&model, reference);
    let graph = proven(&model, Options::default()).graph;
    let label = &graph.tensors[graph.outputs[0].0 as usize].name;
    assert_eq!(label, "l (0: setosa, 1: versicolor, 2: virginica)");
}

#[test]
fn refusals_name_the_node() {
    let refused = |network: Network| match network.read().unwrap_err() {
        Error::Unsupported(nodes) => format!("{:?}", nodes[0]),
        other => panic!("{other}"),
    };
    let text = refused(columns(Network::new(&[1, 2]), "DictVectorizer", &[]));
    assert!(
        text.contains("node of y") && text.contains("DictVectorizer"),
        "{text}"
    );
    let with = [Floats("coefficients", vec![1.0; 5]), Int("targets", 2)];
    let text = refused(columns(Network::new(&[1, 2]), "LinearRegressor", &with));
    assert!(text.contains("5 coefficients for 2 rows"), "{text}");
    let with = [
        Floats("coefficients", vec![1.0; 4]),
        Floats("intercepts", vec![0.0; 2]),
        List("classlabels_ints", vec![0, 1]),
        Text("post_transform", "PROBIT"),
    ];
    let text = refused(columns(Network::new(&[1, 2]), "LinearClassifier", &with));
    assert!(text.contains("PROBIT"), "{text}");
}
