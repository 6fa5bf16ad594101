//! Every kind of error, from a file that nobody should trust to an input that nobody calibrated for.

use std::path::Path;

use tract_onnx::pb::tensor_shape_proto::dimension::Value;
use tract_onnx::pb::type_proto::Value as TypeValue;
use tract_onnx::pb::{AttributeProto, GraphProto, SparseTensorProto, StringStringEntryProto};
use zkernel_gadgets::model::RunError;
use zkernel_onnx::{Error, Limits, Model, Options, Samples, quantize, read_outputs};

use crate::network::{Network, floats, value};

/// `y = relu(x W)` with a `3 x 4` matrix.
fn start() -> Network {
    Network::new(&[1, 3])
        .constant("w", &[3, 4], &[0.5; 12])
        .node("MatMul", &["x", "w"], "a", &[])
        .node("Relu", &["a"], "y", &[])
        .output("y")
}

/// The graph after a change, which makes it malformed in these words.
#[track_caller]
fn malformed(change: impl FnOnce(&mut GraphProto), words: &str) {
    let mut network = start();
    change(&mut network.0);
    match network.read() {
        Err(Error::Malformed(problem)) => assert!(problem.contains(words), "{problem}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn files_that_are_not_there() {
    let path = Path::new("no/such/file");
    let message = |error: Error| match error {
        Error::File { path, problem } => assert!(path == "no/such/file" && !problem.is_empty()),
        other => panic!("{other}"),
    };
    message(Model::load(path).unwrap_err());
    message(Samples::read(&start().read().unwrap(), path).unwrap_err());
    message(read_outputs(path).unwrap_err());
}

#[test]
fn sizes_beyond_the_limits() {
    let bytes = start().bytes();
    let limits = Limits::default();
    let cases = [
        (
            Limits {
                file_bytes: bytes.len() as u64 - 1,
                ..limits
            },
            "model (bytes)",
            bytes.len(),
        ),
        (Limits { nodes: 1, ..limits }, "number of nodes", 2),
        (
            Limits {
                tensor_values: 11,
                ..limits
            },
            "w",
            12,
        ),
    ];
    for (limits, name, size) in cases {
        match Model::from_bytes(&bytes, &limits) {
            Err(Error::TooLarge { what, found, .. }) => {
                assert_eq!((what.as_str(), found), (name, size as u64));
            }
            other => panic!("{other:?}"),
        }
    }
    let mut wide = Network::new(&[1, 1 << 40])
        .node("Relu", &["x"], "y", &[])
        .output("y");
    assert!(matches!(wide.read(), Err(Error::TooLarge { what, .. }) if what == "x"));
    wide.0.input = vec![value("x", &[1 << 40, 1 << 40])];
    match wide.read() {
        Err(Error::Unsupported(nodes)) => assert!(nodes[0].problem.contains("shape")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn graphs_that_contradict_themselves() {
    malformed(|g| g.output.clear(), "output");
    malformed(|g| g.output[0].name = "z".into(), "output");
    malformed(|g| g.output[0].name = "w".into(), "constant output");
    malformed(
        |g| g.node[0].input[0] = "z".into(),
        "`z` is read before it is written",
    );
    malformed(
        |g| g.node[0].input[0] = "y".into(),
        "`y` is read before it is written",
    );
    malformed(|g| g.node[1].output[0] = "a".into(), "`a` is written twice");
    malformed(|g| g.node[1].output[0] = "w".into(), "`w` is written twice");
    malformed(|g| g.initializer[0].dims = vec![-3, 4], "shape");
    malformed(
        |g| g.initializer[0].dims = vec![i64::MAX, i64::MAX],
        "shape",
    );
    malformed(|g| g.initializer[0].dims = vec![4, 4], "");
    let other = |g: &mut GraphProto| g.initializer[0] = floats("w", &[5, 4], &[0.5; 20]);
    refused(other, "node of a", "Inconsistent");
    malformed(|g| g.input[0].r#type = None, "`x` has no");
    refused(text_input, "node of a", "`x` is of strings");
    refused(no_tensor, "node of a", "`x` is no tensor");
    refused(
        |g| g.input[0] = value("x", &[0, 3]),
        "node of a",
        "`x` is empty",
    );
}

/// The graph after a change, of which one node is refused in these words.
#[track_caller]
fn refused(change: impl FnOnce(&mut GraphProto), name: &str, words: &str) {
    let mut network = start();
    change(&mut network.0);
    match network.read() {
        Err(Error::Unsupported(nodes)) => {
            assert_eq!(nodes.len(), 1);
            assert_eq!(nodes[0].node, name);
            assert!(nodes[0].problem.contains(words), "{}", nodes[0].problem);
        }
        other => panic!("{other:?}"),
    }
}

/// `x` as a sequence or an optional, which the decoder has no type for.
fn no_tensor(graph: &mut GraphProto) {
    graph.input[0].r#type.as_mut().unwrap().value = None;
}

/// `x` as texts, number 8 of the ONNX specification.
fn text_input(graph: &mut GraphProto) {
    let kind = graph.input[0].r#type.as_mut().unwrap();
    let Some(TypeValue::TensorType(tensor)) = kind.value.as_mut() else {
        panic!("a tensor");
    };
    tensor.elem_type = 8;
}

#[test]
fn subgraphs_and_sparse_tensors() {
    let add = |attribute: AttributeProto| {
        refused(
            |g| g.node[1].attribute.push(attribute),
            "node of y",
            "subgraphs",
        );
    };
    let (graph, sparse) = (GraphProto::default(), SparseTensorProto::default());
    let empty = AttributeProto::default();
    add(AttributeProto {
        g: Some(graph.clone()),
        ..empty.clone()
    });
    add(AttributeProto {
        graphs: vec![graph],
        ..empty.clone()
    });
    add(AttributeProto {
        sparse_tensor: Some(sparse.clone()),
        ..empty.clone()
    });
    add(AttributeProto {
        sparse_tensors: vec![sparse.clone()],
        ..empty.clone()
    });
    add(AttributeProto {
        tensors: vec![floats("t", &[1], &[1.0])],
        ..empty
    });
    malformed(|g| g.sparse_initializer.push(sparse), "sparse");
}

#[test]
fn files_without_a_graph_and_cut_files() {
    assert!(matches!(
        Model::from_bytes(b"", &Limits::default()),
        Err(Error::Malformed(problem)) if problem.contains("no graph")
    ));
    // The version of the operators comes last: without it the graph is whole, and means nothing.
    let bytes = start().bytes();
    for end in 0..bytes.len() {
        let cut = Model::from_bytes(&bytes[..end], &Limits::default());
        assert!(cut.is_err(), "{end} of {} bytes", bytes.len());
    }
}

/// Any one byte set to any of these values: a model or an error, never a panic or an endless allocation.
#[test]
fn broken_bytes_are_read_or_refused() {
    let limits = Limits {
        tensor_values: 1 << 12,
        ..Limits::default()
    };
    let bytes = start().bytes();
    for at in 0..bytes.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut broken = bytes.clone();
            broken[at] = value;
            if let Ok(model) = Model::from_bytes(&broken, &limits) {
                assert!(model.tensors.iter().all(|t| !t.is_empty()));
            }
        }
    }
}

#[test]
fn values_outside_the_file() {
    let entry = StringStringEntryProto {
        key: "location".into(),
        value: "/etc/passwd".into(),
    };
    let (mut external, mut located) = (start(), start());
    external.0.initializer[0].external_data.push(entry.clone());
    located.0.initializer[0].data_location = Some(1);
    let mut attribute = start();
    let mut tensor = floats("w", &[1], &[]);
    tensor.external_data.push(entry);
    let holder = AttributeProto {
        name: "value".into(),
        t: Some(tensor),
        ..AttributeProto::default()
    };
    attribute.0.node[1].attribute.push(holder);
    for network in [external, located, attribute] {
        match network.read() {
            Err(Error::ExternalData(name)) => assert_eq!(name, "w"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn dimensions_that_are_not_fixed() {
    let mut network = start();
    network.0.input = vec![value("x", &[1, -1])];
    match network.read() {
        Err(Error::Dynamic { tensor, axis }) => assert_eq!((tensor.as_str(), axis), ("x", 1)),
        other => panic!("{other:?}"),
    }
    let kind = network.0.input[0].r#type.as_mut().unwrap();
    let Some(TypeValue::TensorType(tensor)) = kind.value.as_mut() else {
        panic!("a tensor");
    };
    tensor.shape.as_mut().unwrap().dim[1].value = Some(Value::DimValue(-3));
    assert!(matches!(
        network.read(),
        Err(Error::Dynamic { axis: 1, .. })
    ));
}

#[test]
fn numbers_that_are_not_finite() {
    for broken in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut network = start();
        network.0.initializer[0].float_data[5] = broken;
        match network.read() {
            Err(Error::NotFinite { tensor, index, .. }) => {
                assert_eq!((tensor.as_str(), index), ("w", 5));
            }
            other => panic!("{other:?}"),
        }
        let model = start().read().unwrap();
        match model.run(&[vec![0.0, 0.0, broken]]) {
            Err(Error::NotFinite { tensor, index, .. }) => {
                assert_eq!((tensor.as_str(), index), ("x", 2));
            }
            other => panic!("{other:?}"),
        }
    }
    // Finite inputs may still overflow inside.
    let model = start().read().unwrap();
    match model.run(&[vec![f32::MAX, f32::MAX, f32::MAX]]) {
        Err(Error::NotFinite { tensor, .. }) => assert_eq!(tensor, "a"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn samples_that_do_not_fit() {
    let model = start().read().unwrap();
    assert!(matches!(model.run(&[]), Err(Error::Samples(_))));
    assert!(matches!(
        Samples::new(&model, Vec::new()),
        Err(Error::Samples(_))
    ));
    match model.run(&[vec![0.0; 4]]) {
        Err(Error::Length {
            tensor,
            found: 4,
            expected: 3,
            ..
        }) => assert_eq!(tensor, "x"),
        other => panic!("{other:?}"),
    }
    let samples = Samples::new(&model, vec![vec![vec![1.0; 3]]]).unwrap();
    let quantized = quantize(&model, &samples, &Options::default()).unwrap();
    assert!(matches!(
        quantized.quantize_input(&[]),
        Err(Error::Samples(_))
    ));
    assert!(matches!(
        quantized.quantize_input(&[vec![0.0; 2]]),
        Err(Error::Length { found: 2, .. })
    ));
    let nan = [vec![0.0, f32::NAN, 0.0]];
    assert!(matches!(
        quantized.quantize_input(&nan),
        Err(Error::NotFinite { index: 1, .. })
    ));
}

/// Inputs beyond four times the calibrated range, and inputs within it whose layer leaves its own.
#[test]
fn inputs_that_calibration_does_not_cover() {
    let network = Network::new(&[1, 2])
        .constant("w", &[2, 1], &[1.0, -1.0])
        .node("MatMul", &["x", "w"], "a", &[])
        .node("Relu", &["a"], "y", &[])
        .output("y");
    let model = network.read().unwrap();
    let samples = Samples::new(&model, vec![vec![vec![1.0, 1.0]], vec![vec![-0.7, -0.7]]]).unwrap();
    let quantized = quantize(&model, &samples, &Options::default()).unwrap();
    match quantized.quantize_input(&[vec![0.0, 4.5]]) {
        Err(Error::InputRange {
            tensor,
            index: 1,
            value,
            min,
            max,
        }) => {
            assert_eq!((tensor.as_str(), value), ("x", 4.5));
            assert!(min < -3.9 && 3.9 < max && max < 4.5);
        }
        other => panic!("{other:?}"),
    }
    let outside = Samples::new(&model, vec![vec![vec![3.9, -3.9]]]).unwrap();
    match quantized.evaluate(&model, &outside) {
        Err(Error::Run(RunError::OutOfRange {
            node, value, max, ..
        })) => {
            assert_eq!(node, "node of y");
            assert!(value > max);
        }
        other => panic!("{other:?}"),
    }
}

/// A comparison with a threshold that dwarfs the values needs accumulators beyond 62 bits.
#[test]
fn accumulators_that_may_overflow() {
    let network = Network::new(&[1, 2])
        .constant("w", &[2, 1], &[1.0, 1.0])
        .constant("b", &[1], &[1e20])
        .constant("zero", &[1], &[0.0])
        .node("Gemm", &["x", "w", "b"], "a", &[])
        .node("Greater", &["a", "zero"], "y", &[])
        .output("y");
    let model = network.read().unwrap();
    let samples = Samples::new(&model, vec![vec![vec![0.3, 1.0]]]).unwrap();
    match quantize(&model, &samples, &Options::default()) {
        Err(Error::Node { node, op, source }) => {
            assert_eq!((node.as_str(), op.as_str()), ("node of a", "Gemm"));
            assert!(matches!(*source, Error::Overflow { bits, .. } if bits > 62));
        }
        other => panic!("{other:?}"),
    }
}
