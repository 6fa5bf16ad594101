//! What every operator becomes. The float run is compared with the definition, the integer run with the float run.

use zkernel_gadgets::model::Function;
use zkernel_onnx::{FloatOp, Model, Options};

use crate::network::{Attribute, Network};
use crate::visibility::{proven, samples};

/// Weights without a pattern.
fn values(len: usize) -> Vec<f32> {
    let value = |i| ((i * 37 + 11) % 29) as f32 / 14.0 - 1.0;
    (0..len).map(value).collect()
}

/// `y = x W^T + b`, row by row.
fn affine(x: &[f32], weights: &[f32], bias: &[f32]) -> Vec<f32> {
    let cols = weights.len() / bias.len();
    let row = |x: &[f32], w: &[f32]| -> f32 { w.iter().zip(x).map(|(w, x)| w * x).sum() };
    let rows = x
        .chunks(cols)
        .flat_map(|x| weights.chunks(cols).map(move |w| row(x, w)));
    rows.zip(bias.iter().cycle()).map(|(y, b)| y + b).collect()
}

/// The matrix `k x m` as `m x k`.
fn transposed(matrix: &[f32], m: usize) -> Vec<f32> {
    let k = matrix.len() / m;
    (0..m * k).map(|i| matrix[i % k * m + i / k]).collect()
}

/// One dense layer of these weights (`m x k`) and this bias, in the file's run, in the import, and in integers.
#[track_caller]
fn is_affine(network: &Network, weights: &[f32], bias: &[f32]) {
    let model = network.read().unwrap();
    let [node] = model.nodes.as_slice() else {
        panic!("{} nodes", model.nodes.len());
    };
    let FloatOp::Dense {
        rows,
        cols,
        weights: found,
        bias: found_bias,
    } = &node.op
    else {
        panic!("{:?}", node.op);
    };
    assert_eq!((*rows, rows * cols), (bias.len(), weights.len()));
    assert!(close(found, weights), "{found:?} against {weights:?}");
    let zeros = vec![0.0; bias.len()];
    let found_bias = found_bias.as_ref().unwrap_or(&zeros);
    assert!(close(found_bias, bias), "{found_bias:?} against {bias:?}");
    for sample in samples(&model, 4).as_slice() {
        let (found, expected) = (
            model.run(sample).unwrap(),
            affine(&sample[0], weights, bias),
        );
        assert!(
            close(&found[0], &expected),
            "{found:?} against {expected:?}"
        );
    }
    proven(&model, Options::default());
}

fn close(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4)
}

#[test]
fn matmul() {
    let w = values(12);
    for shape in [&[1i64, 3][..], &[5, 3], &[1, 5, 3], &[-1, 3]] {
        let network = Network::new(shape)
            .constant("w", &[3, 4], &w)
            .node("MatMul", &["x", "w"], "y", &[])
            .output("y");
        is_affine(&network, &transposed(&w, 4), &[0.0; 4]);
    }
}

#[test]
fn gemm_with_every_attribute() {
    let (w, b) = (values(12), [0.5, -0.25, 0.125, 1.0]);
    for (flag, alpha, beta) in [(0, 1.0, 1.0), (1, 1.0, 1.0), (0, 0.5, -2.0), (1, -1.5, 0.0)] {
        let with = [
            Attribute::Int("transB", flag),
            Attribute::Float("alpha", alpha),
            Attribute::Float("beta", beta),
        ];
        let (shape, matrix) = match flag {
            0 => ([3, 4], transposed(&w, 4)),
            _ => ([4, 3], w.clone()),
        };
        let network = Network::new(&[2, 3])
            .constant("w", &shape, &w)
            .constant("b", &[4], &b)
            .node("Gemm", &["x", "w", "b"], "y", &with)
            .output("y");
        let scaled = |values: &[f32], by: f32| values.iter().map(|v| by * v).collect::<Vec<_>>();
        is_affine(&network, &scaled(&matrix, alpha), &scaled(&b, beta));
    }
}

#[test]
fn gemm_with_every_shape_of_bias() {
    let w = values(12);
    let network = Network::new(&[2, 3]).constant("w", &[3, 4], &w);
    let b = [0.5, -0.25, 0.125, 1.0];
    for (shape, bias) in [
        (&[4i64][..], &b[..]),
        (&[1, 4], &b),
        (&[1], &b[..1]),
        (&[1, 1], &b[..1]),
    ] {
        let network = network
            .clone()
            .constant("b", shape, bias)
            .node("Gemm", &["x", "w", "b"], "y", &[])
            .output("y");
        let full: Vec<f32> = bias.iter().copied().cycle().take(4).collect();
        is_affine(&network, &transposed(&w, 4), &full);
    }
    let bare = network.node("Gemm", &["x", "w"], "y", &[]).output("y");
    is_affine(&bare, &transposed(&w, 4), &[0.0; 4]);
}

#[test]
fn a_bias_is_fused_from_either_side() {
    let (w, b) = (values(12), [0.5, -0.25, 0.125, 1.0]);
    for (inputs, shape) in [
        (["a", "b"], &[4i64][..]),
        (["b", "a"], &[1, 4]),
        (["b", "a"], &[1, 1, 4]),
    ] {
        let rank = shape.len().max(2);
        let network = Network::new(&[&vec![1; rank - 2][..], &[2, 3]].concat())
            .constant("w", &[3, 4], &w)
            .constant("b", shape, &b)
            .node("MatMul", &["x", "w"], "a", &[])
            .node("Add", &inputs, "y", &[])
            .output("y");
        is_affine(&network, &transposed(&w, 4), &b);
    }
}

/// Several biases, one of them a single number, add up; names are those of what is written last.
#[test]
fn biases_add_up() {
    let (w, b) = (values(12), [0.5, -0.25, 0.125, 1.0]);
    let network = Network::new(&[1, 3])
        .constant("w", &[3, 4], &w)
        .constant("b", &[4], &b)
        .constant("one", &[], &[2.0])
        .node("Gemm", &["x", "w", "b"], "a", &[])
        .node("Add", &["a", "b"], "c", &[])
        .node("Add", &["one", "c"], "y", &[])
        .output("y");
    is_affine(&network, &transposed(&w, 4), &b.map(|b| 2.0 * b + 2.0));
    let model = network.read().unwrap();
    assert_eq!(model.tensors[model.outputs[0]].name, "y");
}

/// Constants that other operators make: tract folds them, whoever reads them.
#[test]
fn weights_are_folded() {
    let w = values(12);
    let network = Network::new(&[1, 3])
        .constant("w", &[2, 6], &w)
        .integers("shape", &[4, 3])
        .node("Reshape", &["w", "shape"], "square", &[])
        .node("Transpose", &["square"], "turned", &[])
        .node("MatMul", &["x", "turned"], "y", &[])
        .output("y");
    is_affine(&network, &w, &[0.0; 4]);
}

#[test]
fn argmax_along_the_last_axis() {
    let w = values(20);
    for (shape, axis, keep) in [
        (&[1i64, 4][..], 1, 1),
        (&[1, 4], -1, 0),
        (&[3, 4], 1, 0),
        (&[1, 3, 4], 2, 1),
    ] {
        let with = [
            Attribute::Int("axis", axis),
            Attribute::Int("keepdims", keep),
        ];
        let network = Network::new(shape)
            .constant("w", &[4, 5], &w)
            .node("MatMul", &["x", "w"], "a", &[])
            .node("ArgMax", &["a"], "y", &with)
            .output("y");
        let model = network.read().unwrap();
        assert_eq!(model.nodes[1].op, FloatOp::ArgMax);
        for sample in samples(&model, 8).as_slice() {
            let logits = affine(&sample[0], &transposed(&w, 5), &[0.0; 5]);
            let first = |row: &[f32]| {
                let index = (0..5).rev().max_by(|a, b| row[*a].total_cmp(&row[*b]));
                index.unwrap() as f32
            };
            let expected: Vec<f32> = logits.chunks(5).map(first).collect();
            assert_eq!(model.run(sample).unwrap()[0], expected);
        }
        let report = proven(&model, Options::default()).report;
        assert_eq!(
            (report.top1_agreement, report.max_abs_error),
            (1.0, 0.0),
            "{report}"
        );
    }
}

/// Everything that only renames or reshapes.
#[test]
fn views_keep_values() {
    let w = values(12);
    let network = Network::new(&[1, 3, 1])
        .constant("w", &[3, 4], &w)
        .integers("last", &[2])
        .integers("first", &[0])
        .integers("shape", &[2, -1])
        .node("Squeeze", &["x", "last"], "flat", &[])
        .node("Identity", &["flat"], "same", &[])
        .node("MatMul", &["same", "w"], "a", &[])
        .node("Relu", &["a"], "h", &[])
        .node("Dropout", &["h"], "kept", &[])
        .node("Unsqueeze", &["kept", "first"], "deep", &[])
        .node("Cast", &["deep"], "float", &[Attribute::Int("to", 1)])
        .node("Flatten", &["float"], "row", &[Attribute::Int("axis", 1)])
        .node("Reshape", &["row", "shape"], "y", &[])
        .output("y");
    let model = network.read().unwrap();
    let views = model.nodes.iter().filter(|n| n.op == FloatOp::Reshape);
    assert_eq!(views.count(), 7);
    assert_eq!(model.tensors[model.outputs[0]].shape, [2, 2]);
    for sample in samples(&model, 4).as_slice() {
        let expected = affine(&sample[0], &transposed(&w, 4), &[0.0; 4]);
        let expected: Vec<f32> = expected.iter().map(|v| v.max(0.0)).collect();
        assert!(close(&model.run(sample).unwrap()[0], &expected));
    }
    proven(&model, Options::default());
}

#[test]
fn functions_of_one_variable() {
    let w = values(12);
    for (op, function) in [
        ("Relu", Function::Relu),
        ("Sigmoid", Function::Sigmoid),
        ("Tanh", Function::Tanh),
        ("Erf", Function::Erf),
        ("Exp", Function::Exp),
        ("Softplus", Function::Softplus),
        ("Abs", Function::Abs),
        ("Gelu", Function::Gelu),
    ] {
        let network = Network::new(&[1, 3])
            .constant("w", &[3, 4], &w)
            .node("MatMul", &["x", "w"], "a", &[])
            .node(op, &["a"], "y", &[])
            .output("y");
        let model = network.read().unwrap_or_else(|e| panic!("{op}: {e}"));
        assert_eq!(model.nodes[1].op, FloatOp::Function(function, [0.0; 2]));
        for sample in samples(&model, 4).as_slice() {
            let accumulators = affine(&sample[0], &transposed(&w, 4), &[0.0; 4]);
            let reals = accumulators
                .iter()
                .map(|v| function.float(f64::from(*v), [0.0; 2]) as f32);
            let (found, expected) = (model.run(sample).unwrap(), reals.collect::<Vec<_>>());
            assert!(
                close(&found[0], &expected),
                "{op}: {found:?} against {expected:?}"
            );
        }
        proven(&model, Options::default());
    }
}

#[test]
fn names_and_shapes_are_those_of_the_file() {
    let network = Network::new(&[-1, 3])
        .constant("w", &[3, 4], &values(12))
        .node("MatMul", &["x", "w"], "logits", &[])
        .output("logits");
    let model: Model = network.read().unwrap();
    assert_eq!(
        (model.name.as_str(), model.nodes[0].name.as_str()),
        ("written", "node of logits")
    );
    assert_eq!(model.tensors[model.inputs[0]].shape, [1, 3]);
    assert_eq!(model.tensors[model.outputs[0]].shape, [1, 4]);
}
