//! Files as exporters write them: values beside the model, large constants that other constants make, integers as inputs.

use std::path::PathBuf;

use proptest::prelude::*;
use tract_onnx::pb::{StringStringEntryProto, tensor_proto::DataType};
use zkernel_onnx::{Error, Model, Options, Samples};

use crate::network::{Attribute, Network};
use crate::visibility::proven;

/// A folder of its own for a test.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn entry(key: &str, value: &impl ToString) -> StringStringEntryProto {
    StringStringEntryProto {
        key: key.into(),
        value: value.to_string(),
    }
}

/// Two layers; the values of each constant are moved behind `offset` bytes of `location`.
fn written(location: &str, offset: usize) -> (Network, Vec<u8>, Network) {
    let values = |len: usize| -> Vec<f32> { (0..len).map(|i| i as f32 / 9.0 - 0.6).collect() };
    let inside = Network::new(&[1, 3])
        .constant("w", &[3, 4], &values(12))
        .constant("b", &[4], &values(4))
        .node("Gemm", &["x", "w", "b"], "h", &[])
        .node("Relu", &["h"], "y", &[])
        .output("y");
    let (mut outside, mut data) = (inside.clone(), vec![7; offset]);
    for tensor in &mut outside.0.initializer {
        let raw: Vec<u8> = std::mem::take(&mut tensor.float_data)
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect();
        tensor.data_location = Some(1);
        tensor.external_data = vec![
            entry("location", &location),
            entry("offset", &data.len()),
            entry("length", &raw.len()),
        ];
        data.extend(raw);
    }
    (outside, data, inside)
}

#[test]
fn values_in_files_beside_the_model() {
    let folder = folder("beside");
    std::fs::create_dir_all(folder.join("deep")).unwrap();
    for (location, offset) in [("m.data", 0), ("deep/m.data", 64), ("./m.data", 5)] {
        let (outside, data, inside) = written(location, offset);
        std::fs::write(folder.join("m.onnx"), outside.bytes()).unwrap();
        std::fs::write(folder.join(location), data).unwrap();
        let (model, inside) = (
            Model::load(folder.join("m.onnx")).unwrap(),
            inside.read().unwrap(),
        );
        assert_eq!(model.nodes, inside.nodes);
        assert!(matches!(outside.read(), Err(Error::ExternalData(_))));
    }
}

#[test]
fn values_in_files_elsewhere_are_refused() {
    let folder = folder("elsewhere");
    let refused = |location: &str, edit: &dyn Fn(&mut Network), data: &[u8]| {
        let (mut outside, ..) = written(location, 0);
        edit(&mut outside);
        std::fs::write(folder.join("m.onnx"), outside.bytes()).unwrap();
        std::fs::write(folder.join("m.data"), data).unwrap();
        Model::load(folder.join("m.onnx")).unwrap_err()
    };
    let as_is = |_: &mut Network| {};
    for location in [
        "../m.data",
        "/etc/passwd",
        "missing.data",
        "deep/../../m.data",
    ] {
        let error = refused(location, &as_is, &[0; 64]);
        assert!(matches!(error, Error::File { .. }), "{error}");
    }
    let cut = refused("m.data", &as_is, &[0; 63]);
    assert!(cut.to_string().contains("lies beyond"), "{cut}");
    let set = |key: &'static str, value: &'static str| {
        move |network: &mut Network| {
            let entries = &mut network.0.initializer[0].external_data;
            entries.retain(|entry| entry.key != key);
            entries.push(entry(key, &value));
        }
    };
    let far = refused("m.data", &set("offset", "18446744073709551615"), &[0; 64]);
    assert!(matches!(far, Error::File { .. }), "{far}");
    let odd = refused("m.data", &set("length", "-1"), &[0; 64]);
    assert!(matches!(odd, Error::Malformed(_)), "{odd}");
    let short = refused("m.data", &set("length", "8"), &[0; 64]);
    assert!(!matches!(short, Error::File { .. }), "{short}");
}

#[cfg(unix)]
#[test]
fn links_out_of_the_folder_are_refused() {
    let folder = folder("links");
    let (outside, data, _) = written("m.data", 0);
    std::fs::create_dir_all(folder.join("model")).unwrap();
    std::fs::write(folder.join("secret"), data).unwrap();
    std::fs::write(folder.join("model/m.onnx"), outside.bytes()).unwrap();
    let link = folder.join("model/m.data");
    let _ = std::fs::remove_file(&link);
    std::os::unix::fs::symlink("../secret", link).unwrap();
    let error = Model::load(folder.join("model/m.onnx")).unwrap_err();
    assert!(error.to_string().contains("leads out"), "{error}");
}

/// Weights of more bytes than the decoder folds, transposed and filled by the file.
#[test]
fn large_constants_that_constants_make() {
    let (rows, cols) = (1i64 << 11, 700i64);
    let values: Vec<f32> = (0..rows * cols)
        .map(|i| (i % 17) as f32 / 20.0 - 0.4)
        .collect();
    let model = Network::new(&[1, cols])
        .constant("w", &[rows, cols], &values)
        .integers("shape", &[rows, 2])
        .node(
            "Transpose",
            &["w"],
            "t",
            &[Attribute::Ints("perm", &[1, 0])],
        )
        .node("MatMul", &["x", "t"], "h", &[])
        .node("ConstantOfShape", &["shape"], "zeros", &[])
        .node("Relu", &["h"], "r", &[])
        .node("MatMul", &["r", "zeros"], "y", &[])
        .output("y")
        .read()
        .unwrap();
    let sizes = model.nodes.iter().filter_map(|node| node.op.linear());
    let sizes: Vec<usize> = sizes.map(|(_, weights, _)| weights.len()).collect();
    assert_eq!(sizes, [(rows * cols) as usize, 2 * rows as usize]);
}

/// What is made up for an input of integers that choose rows: numbers of rows there are.
#[test]
fn made_up_integers_choose_rows() {
    let network = Network::new(&[1, 5])
        .constant("wide", &[40, 3], &[0.5; 120])
        .constant("narrow", &[6, 3], &[0.25; 18])
        .integers("shape", &[5])
        .node("Reshape", &["x", "shape"], "flat", &[])
        .node("Gather", &["wide", "flat"], "a", &[])
        .node("Gather", &["narrow", "x"], "b", &[])
        .node("Add", &["a", "b"], "y", &[])
        .output("y")
        .with_type("x", DataType::Int64);
    let model = network.read().unwrap();
    let samples = Samples::guessed(&model);
    let all: Vec<f32> = samples
        .as_slice()
        .iter()
        .flatten()
        .flatten()
        .copied()
        .collect();
    for row in 0..6 {
        assert!(all.contains(&(row as f32)), "{row}");
    }
    assert!(
        all.iter()
            .all(|v| v.fract() == 0.0 && (0.0..6.0).contains(v))
    );
    zkernel_onnx::quantize(&model, &samples, &Options::default()).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// Normalisation by stored statistics, of features without positions as of images and volumes.
    #[test]
    fn batch_normalization_of_any_rank(
        rank in 2usize..5,
        channels in 1i64..4,
        values in prop::collection::vec(0.2f32..2.0, 16),
    ) {
        let mut shape = vec![1, channels, 2, 3, 2];
        shape.truncate(rank);
        let part = |i: usize| &values[i * 4..i * 4 + channels as usize];
        let network = Network::new(&shape)
            .constant("s", &[channels], part(0))
            .constant("b", &[channels], part(1))
            .constant("m", &[channels], part(2))
            .constant("v", &[channels], part(3))
            .node("BatchNormalization", &["x", "s", "b", "m", "v"], "y", &[])
            .output("y");
        let model = network.read().unwrap();
        let samples = crate::visibility::samples(&model, 3);
        for sample in samples.as_slice() {
            let found = model.run(sample).unwrap();
            let places = sample[0].len() / channels as usize;
            for (i, (x, y)) in sample[0].iter().zip(&found[0]).enumerate() {
                let c = i / places;
                let expected = (x - part(2)[c]) / (part(3)[c] + 1e-5).sqrt() * part(0)[c] + part(1)[c];
                prop_assert!((y - expected).abs() < 1e-4);
            }
        }
        proven(&model, Options::default());
    }
}

/// Floats of 16 bits, of either kind, raw or listed, are the floats they stand for; nodes in any order are read.
#[test]
fn short_floats_and_nodes_in_any_order() {
    let (half, brain) = (10, 16);
    for (kind, bits) in [
        (half, [0x3800u16, 0xc000, 0x3555]),
        (brain, [0x3f00, 0xc000, 0x3eab]),
    ] {
        for raw in [true, false] {
            let mut network = Network::new(&[1, 3])
                .constant("w", &[3], &[])
                .node("Mul", &["h", "w"], "y", &[])
                .node("Cast", &["x"], "h", &[Attribute::Int("to", kind)])
                .output("y");
            let w = &mut network.0.initializer[0];
            w.data_type = kind as i32;
            match raw {
                true => w.raw_data = bits.iter().flat_map(|b| b.to_le_bytes()).collect(),
                false => w.int32_data = bits.iter().map(|b| i32::from(*b)).collect(),
            }
            let model = network.read().unwrap();
            let found = model.run(&[vec![1.0, 2.0, 3.0]]).unwrap();
            let expected = [0.5, -4.0, 1.0];
            let far = |(a, b): (&f32, &f32)| (a - b).abs() > 5e-3;
            assert!(!found[0].iter().zip(&expected).any(far), "{found:?}");
        }
    }
}
