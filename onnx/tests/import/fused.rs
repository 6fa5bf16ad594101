//! Attention as one operator, what ONNX Runtime fuses, functions of a model and conditions: against what they stand for.

use tract_onnx::pb::{AttributeProto, FunctionProto, GraphProto, NodeProto, OperatorSetIdProto};
use tract_onnx::pb::{ModelProto, attribute_proto::AttributeType};

use prost::Message as _;
use zkernel_onnx::{Error, Limits, Model, Options};

use crate::network::{Attribute, Network};
use crate::visibility::{proven, samples};

/// Weights without a pattern.
pub fn values(len: usize, seed: usize) -> Vec<f32> {
    let value = |i: usize| ((i * 37 + seed * 11 + 5) % 31) as f32 / 21.0 - 0.7;
    (0..len).map(value).collect()
}

/// The last node is one of ONNX Runtime.
pub fn of_runtime(mut network: Network) -> Network {
    network.0.node.last_mut().unwrap().domain = "com.microsoft".into();
    network
}

/// Two networks that compute the same; the first is proven.
#[track_caller]
pub fn same(fused: Network, plain: Network) {
    let (fused, plain) = (
        fused.output("y").read().unwrap(),
        plain.output("y").read().unwrap(),
    );
    for sample in samples(&fused, 3).as_slice() {
        let (a, b) = (fused.run(sample).unwrap(), plain.run(sample).unwrap());
        let far = |(a, b): (&f32, &f32)| (a - b).abs() > 1e-4;
        assert_eq!(a[0].len(), b[0].len());
        assert!(!a[0].iter().zip(&b[0]).any(far), "{a:?} against {b:?}");
    }
    proven(&fused, Options::default());
}

pub fn start() -> Network {
    Network::new(&[1, 3, 4])
        .constant("w", &[4, 4], &values(16, 1))
        .constant("b", &[4], &values(4, 2))
        .constant("g", &[4], &values(4, 3))
        .node("MatMul", &["x", "w"], "a", &[])
}

#[test]
fn functions_with_biases() {
    let bias = || start().node("Add", &["a", "b"], "s", &[]);
    let plain = bias().node("Gelu", &["s"], "y", &[]);
    same(
        of_runtime(start().node("BiasGelu", &["a", "b"], "y", &[])),
        plain,
    );
    let tanh = [Attribute::Text("approximate", "tanh")];
    let plain = bias().node("Gelu", &["s"], "y", &tanh);
    same(
        of_runtime(start().node("FastGelu", &["a", "b"], "y", &[])),
        plain,
    );
    let plain = start()
        .constant("alpha", &[1], &[1.5])
        .node("Mul", &["a", "alpha"], "t", &[])
        .node("Sigmoid", &["t"], "u", &[])
        .node("Mul", &["a", "u"], "y", &[]);
    let alpha = [Attribute::Float("alpha", 1.5)];
    same(
        of_runtime(start().node("QuickGelu", &["a"], "y", &alpha)),
        plain,
    );
}

#[test]
fn sums_that_are_normalised() {
    let names = ["a", "x", "g", "b", "b"];
    let fused = of_runtime(start().node("SkipLayerNormalization", &names, "y", &[]));
    let plain = start().node("Sum", &["a", "x", "b"], "s", &[]).node(
        "LayerNormalization",
        &["s", "g", "b"],
        "y",
        &[],
    );
    same(fused, plain);
    let fused = start().node(
        "SkipSimplifiedLayerNormalization",
        &["a", "x", "g"],
        "n",
        &[],
    );
    let mut fused = of_runtime(fused);
    fused = fused.and("").and("").and("sum");
    let fused = fused.node("Add", &["n", "sum"], "y", &[]);
    let plain = start()
        .node("Sum", &["a", "x"], "s", &[])
        .node("RMSNormalization", &["s", "g"], "n", &[])
        .node("Add", &["n", "s"], "y", &[]);
    same(fused, plain);
}

#[test]
fn products_and_layers() {
    let with = [Attribute::Int("transB", 1), Attribute::Float("alpha", 0.5)];
    let fused = of_runtime(start().node("FusedMatMul", &["a", "x"], "y", &with));
    let plain = start()
        .constant("half", &[1], &[0.5])
        .node(
            "Transpose",
            &["x"],
            "t",
            &[Attribute::Ints("perm", &[0, 2, 1])],
        )
        .node("MatMul", &["a", "t"], "p", &[])
        .node("Mul", &["p", "half"], "y", &[]);
    same(fused, plain);
    let image = || {
        Network::new(&[1, 2, 3, 3])
            .constant("w", &[2, 2, 2, 2], &values(16, 1))
            .constant("b", &[2], &values(2, 2))
            .node("Conv", &["x", "w", "b"], "a", &[])
    };
    let with = [Attribute::Text("activation", "Relu")];
    let fused = image().node("FusedConv", &["x", "w", "b", "a"], "y", &with);
    let plain = image()
        .node("Conv", &["x", "w", "b"], "c", &[])
        .node("Add", &["c", "a"], "s", &[])
        .node("Relu", &["s"], "y", &[]);
    same(of_runtime(fused), plain);
}

#[test]
fn what_of_the_runtime_is_not_built_is_named() {
    let network = of_runtime(start().node("GroupQueryAttention", &["a"], "y", &[])).output("y");
    match network.read() {
        Err(Error::Unsupported(nodes)) => assert_eq!(nodes[0].op, "GroupQueryAttention"),
        other => panic!("{other:?}"),
    }
}

/// Attention of two heads, query by query.
fn attention([q, k, v]: [&[f32]; 3], heads: usize, add: impl Fn(usize, usize) -> f32) -> Vec<f32> {
    let width = 4;
    let (rows, keys, each) = (q.len() / width, k.len() / width, width / heads);
    let mut y = vec![0.0; q.len()];
    for (row, head) in (0..rows).flat_map(|row| (0..heads).map(move |head| (row, head))) {
        let at = |x: &[f32], row: usize| x[row * width + head * each..][..each].to_vec();
        let score = |key: usize| {
            let dot: f32 = at(q, row).iter().zip(at(k, key)).map(|(a, b)| a * b).sum();
            (dot / (each as f32).sqrt() + add(row, key)).exp()
        };
        let total: f32 = (0..keys).map(score).sum();
        for key in 0..keys {
            for (i, v) in at(v, key).iter().enumerate() {
                y[row * width + head * each + i] += score(key) / total * v;
            }
        }
    }
    y
}

#[track_caller]
fn attends(network: Network, expected: impl Fn(&[f32]) -> Vec<f32>) {
    let model = network.output("y").read().unwrap();
    for sample in samples(&model, 3).as_slice() {
        let (found, expected) = (model.run(sample).unwrap(), expected(&sample[0]));
        let far = |(a, b): (&f32, &f32)| (a - b).abs() > 1e-4;
        assert_eq!(found[0].len(), expected.len());
        assert!(
            !found[0].iter().zip(&expected).any(far),
            "{found:?} against {expected:?}"
        );
    }
    proven(&model, Options::default());
}

fn project(x: &[f32], w: &[f32], cols: usize, from: usize) -> Vec<f32> {
    let row = |x: &[f32]| -> Vec<f32> {
        let of = |j: usize| {
            x.iter()
                .enumerate()
                .map(|(i, v)| v * w[i * cols + from + j])
                .sum()
        };
        (0..4).map(of).collect()
    };
    x.chunks(4).flat_map(row).collect()
}

#[test]
fn attention_of_onnx() {
    let heads = |causal| {
        [
            Attribute::Int("q_num_heads", 2),
            Attribute::Int("kv_num_heads", 2),
            Attribute::Int("is_causal", causal),
        ]
    };
    let w = values(16, 1);
    let plain = start().node("Attention", &["a", "x", "x"], "y", &heads(0));
    attends(plain, |x| {
        attention([&project(x, &w, 4, 0), x, x], 2, |_, _| 0.0)
    });
    let later = |row: usize, key: usize| if key > row { -1e9 } else { 0.0 };
    let causal = start().node("Attention", &["a", "x", "x"], "y", &heads(1));
    attends(causal, |x| {
        attention([&project(x, &w, 4, 0), x, x], 2, later)
    });
    let mask = values(9, 7);
    let masked = start().constant("m", &[3, 3], &mask);
    let masked = masked.node("Attention", &["a", "x", "x", "m"], "y", &heads(0));
    attends(masked, |x| {
        attention([&project(x, &w, 4, 0), x, x], 2, |row, key| {
            mask[row * 3 + key]
        })
    });
}

/// Fewer heads of keys than of queries: each serves several.
#[test]
fn heads_that_share_keys() {
    let with = [
        Attribute::Int("q_num_heads", 2),
        Attribute::Int("kv_num_heads", 1),
    ];
    let network = start()
        .constant("n", &[4, 2], &values(8, 4))
        .node("MatMul", &["x", "n"], "k", &[])
        .node("Attention", &["a", "k", "k"], "y", &with);
    let (w, n) = (values(16, 1), values(8, 4));
    attends(network, |x| {
        let both = |x: &[f32]| -> Vec<f32> {
            let of = |j: usize| {
                x.iter()
                    .enumerate()
                    .map(|(i, v)| v * n[i * 2 + j % 2])
                    .sum()
            };
            (0..4).map(of).collect()
        };
        let k: Vec<f32> = x.chunks(4).flat_map(both).collect();
        attention([&project(x, &w, 4, 0), &k, &k], 2, |_, _| 0.0)
    });
}

#[test]
fn attention_of_the_runtime() {
    let (all, bias) = (values(48, 5), values(12, 6));
    let network = Network::new(&[1, 3, 4])
        .constant("all", &[4, 12], &all)
        .constant("bias", &[12], &bias)
        .node(
            "Attention",
            &["x", "all", "bias"],
            "y",
            &[Attribute::Int("num_heads", 2)],
        );
    let parts = |x: &[f32]| {
        [0, 1, 2].map(|part| {
            let own = project(x, &all, 12, part * 4);
            let biased = own.iter().zip(bias[part * 4..][..4].iter().cycle());
            biased.map(|(v, b)| v + b).collect::<Vec<f32>>()
        })
    };
    attends(of_runtime(network), |x| {
        let [q, k, v] = parts(x);
        attention([&q, &k, &v], 2, |_, _| 0.0)
    });
    let (v, u) = (values(16, 8), values(16, 9));
    let heads = [Attribute::Int("num_heads", 2)];
    let network = start()
        .constant("bias", &[12], &bias)
        .constant("v", &[4, 4], &v)
        .constant("u", &[4, 4], &u)
        .node("MatMul", &["x", "v"], "k", &[])
        .node("MatMul", &["x", "u"], "l", &[])
        .node("MultiHeadAttention", &["a", "k", "l", "bias"], "y", &heads);
    let w = values(16, 1);
    attends(of_runtime(network), |x| {
        let sides = [&w, &v, &u].map(|w| project(x, w, 4, 0));
        let [q, k, v] = [0, 1, 2].map(|part| {
            let biased = sides[part].iter().zip(bias[part * 4..][..4].iter().cycle());
            biased.map(|(v, b)| v + b).collect::<Vec<f32>>()
        });
        attention([&q, &k, &v], 2, |_, _| 0.0)
    });
}

/// A mask of bits of the input, as deep as floats go: what is masked counts for nothing, the rest keeps its digits.
#[test]
fn masks_of_the_input() {
    for depth in [-10_000.0, f32::MIN] {
        let exchanged = || [Attribute::Ints("perm", &[0, 2, 1])];
        let network = start()
            .constant("zero", &[1], &[0.0])
            .constant("depth", &[1], &[depth])
            .integers("first", &[0])
            .node(
                "Gather",
                &["x", "first"],
                "column",
                &[Attribute::Int("axis", 2)],
            )
            .node("Transpose", &["column"], "row", &exchanged())
            .constant("never", &[3], &[-5.0, 0.0, 0.0])
            .node("Add", &["row", "never"], "moved", &[])
            .node("Greater", &["moved", "zero"], "bits", &[])
            .node("Where", &["bits", "depth", "zero"], "mask", &[])
            .node("Transpose", &["a"], "t", &exchanged())
            .node("MatMul", &["a", "t"], "scores", &[])
            .node("Add", &["scores", "mask"], "masked", &[])
            .node("Softmax", &["masked"], "y", &[]);
        let w = values(16, 1);
        let model = network.output("y").read().unwrap();
        let mut compared = 0;
        for sample in samples(&model, 8).as_slice() {
            let (x, y) = (&sample[0], &model.run(sample).unwrap()[0]);
            let a = project(x, &w, 4, 0);
            let score = |row: usize, key: usize| -> f32 {
                let dot: f32 = (0..4).map(|i| a[row * 4 + i] * a[key * 4 + i]).sum();
                if key == 0 || x[key * 4] <= 0.0 {
                    dot.exp()
                } else {
                    0.0
                }
            };
            for row in 0..3 {
                let total: f32 = (0..3).map(|key| score(row, key)).sum();
                for key in (0..3).filter(|_| total > 0.0) {
                    assert!((y[row * 3 + key] - score(row, key) / total).abs() < 1e-4);
                    compared += 1;
                }
            }
        }
        assert!(compared > 0);
        proven(&model, Options::default());
    }
}

/// Pairs of each head turned by the angles of their position, neighbours or half a head apart.
#[test]
fn rotary_positions() {
    let angles = [0.3f32, 1.1, 2.0, -0.4, 0.9, 1.7];
    let table = |f: fn(f32) -> f32| angles.iter().map(|a| f(*a)).collect::<Vec<f32>>();
    for interleaved in [0, 1] {
        let with = [Attribute::Int("interleaved", interleaved)];
        let network = Network::new(&[1, 1, 3, 4])
            .constant("cos", &[3, 2], &table(f32::cos))
            .constant("sin", &[3, 2], &table(f32::sin))
            .positions("at", &[1, 3], &[2, 0, 1])
            .node("RotaryEmbedding", &["x", "cos", "sin", "at"], "y", &with);
        attends(network, |x| {
            let mut y = vec![0.0; 12];
            for (row, position) in [2, 0, 1].into_iter().enumerate() {
                for pair in 0..2 {
                    let (a, b) = match interleaved {
                        1 => (2 * pair, 2 * pair + 1),
                        _ => (pair, pair + 2),
                    };
                    let (sin, cos) = angles[position * 2 + pair].sin_cos();
                    let (left, right) = (x[row * 4 + a], x[row * 4 + b]);
                    y[row * 4 + a] = left * cos - right * sin;
                    y[row * 4 + b] = left * sin + right * cos;
                }
            }
            y
        });
    }
}

fn plain_node(op: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: op.into(),
        input: inputs.iter().map(|n| (*n).into()).collect(),
        output: vec![output.into()],
        ..NodeProto::default()
    }
}

/// A function called within a function, an attribute handed through.
#[test]
fn functions_of_a_model() {
    let leaky = NodeProto {
        attribute: vec![AttributeProto {
            name: "alpha".into(),
            ref_attr_name: "slope".into(),
            r#type: AttributeType::Float as i32,
            ..AttributeProto::default()
        }],
        ..plain_node("LeakyRelu", &["u"], "v")
    };
    let function = |name: &str, inputs: &[&str], node: Vec<NodeProto>| FunctionProto {
        name: Some(name.into()),
        domain: Some("local".into()),
        input: inputs.iter().map(|n| (*n).into()).collect(),
        output: vec!["v".into()],
        node,
        opset_import: vec![OperatorSetIdProto::default()],
        ..FunctionProto::default()
    };
    let call = |name: &str, inputs: &[&str], output: &str| NodeProto {
        domain: "local".into(),
        attribute: vec![AttributeProto {
            name: "slope".into(),
            f: 0.25,
            r#type: AttributeType::Float as i32,
            ..AttributeProto::default()
        }],
        ..plain_node(name, inputs, output)
    };
    let inner = function("inner", &["u"], vec![leaky]);
    let body = vec![
        plain_node("Add", &["u", "w"], "t"),
        call("inner", &["t"], "v"),
    ];
    let outer = function("outer", &["u", "w"], body);
    let mut network = start();
    network.0.node.push(call("outer", &["a", "b"], "h"));
    network.0.node.push(call("outer", &["h", "g"], "y"));
    let mut file = ModelProto::decode(&*network.output("y").bytes()).unwrap();
    file.functions = vec![inner.clone(), outer];
    let model = Model::from_bytes(&file.encode_to_vec(), &Limits::default()).unwrap();
    let leaky = [Attribute::Float("alpha", 0.25)];
    let plain = start()
        .node("Add", &["a", "b"], "s", &[])
        .node("LeakyRelu", &["s"], "h", &leaky)
        .node("Add", &["h", "g"], "t", &[])
        .node("LeakyRelu", &["t"], "y", &leaky)
        .output("y")
        .read()
        .unwrap();
    for sample in samples(&model, 3).as_slice() {
        assert_eq!(model.run(sample).unwrap(), plain.run(sample).unwrap());
    }
    file.functions[1].node = vec![call("outer", &["u"], "v")];
    let endless = Model::from_bytes(&file.encode_to_vec(), &Limits::default());
    assert!(matches!(endless, Err(Error::Malformed(p)) if p.contains("without end")));
}

/// The branch that the shape of the input chooses, with names that the graph has too.
#[test]
fn conditions_on_shapes() {
    let branch = |op: &str| GraphProto {
        node: vec![
            plain_node(op, &["a"], "s"),
            plain_node("Neg", &["s"], "out"),
        ],
        output: vec![crate::network::value("out", &[])],
        ..GraphProto::default()
    };
    for (rows, op) in [(3, "Relu"), (4, "Tanh")] {
        let mut network = start()
            .integers("three", &[rows])
            .integers("one", &[1])
            .node("Shape", &["x"], "shape", &[])
            .node("Gather", &["shape", "one"], "rows", &[])
            .node("Equal", &["rows", "three"], "is", &[])
            .node("Add", &["a", "b"], "s", &[])
            .node("If", &["is"], "c", &[])
            .node("Add", &["c", "s"], "y", &[]);
        let at = network.0.node.len() - 2;
        for (name, op) in [("then_branch", "Relu"), ("else_branch", "Tanh")] {
            network.0.node[at].attribute.push(AttributeProto {
                name: name.into(),
                g: Some(branch(op)),
                r#type: AttributeType::Graph as i32,
                ..AttributeProto::default()
            });
        }
        let plain = start()
            .node(op, &["a"], "t", &[])
            .node("Neg", &["t"], "n", &[])
            .node("Sum", &["n", "a", "b"], "y", &[]);
        same(network, plain);
    }
}
