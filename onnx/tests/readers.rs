//! Sample readers: every format, and every way to get one wrong.

use proptest::prelude::*;
use zkernel_onnx::{Error, Limits, Model, Options, Samples, dequantize, quantize};

fn model() -> Model {
    let bytes = include_bytes!("../../models/logreg/network.onnx");
    Model::from_bytes(bytes, &Limits::default()).unwrap()
}

fn json(values: &[f32]) -> Vec<u8> {
    format!("{{\"input_data\": [{values:?}]}}").into_bytes()
}

fn npy(kind: &str, shape: &str, body: &[u8]) -> Vec<u8> {
    npy_in_order("False", kind, shape, body)
}

/// An `.npy` of version 1, padded as NumPy does.
fn npy_in_order(fortran: &str, kind: &str, shape: &str, body: &[u8]) -> Vec<u8> {
    let mut header =
        format!("{{'descr': '{kind}', 'fortran_order': {fortran}, 'shape': {shape}, }}");
    while (header.len() + 11) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes());
    bytes.extend(body);
    bytes
}

#[test]
fn json_holds_one_or_several_samples() {
    let model = model();
    let one = Samples::from_bytes(&model, &json(&[0.5; 30])).unwrap();
    assert_eq!(one.single().unwrap(), [vec![0.5; 30]]);
    let three = Samples::from_bytes(&model, &json(&[0.5; 90])).unwrap();
    assert_eq!(three.as_slice().len(), 3);
    assert!(matches!(three.single(), Err(Error::Samples(_))));
}

#[test]
fn npy_of_every_element_type() {
    let model = model();
    let doubles: Vec<u8> = (0..60).flat_map(|i| f64::from(i).to_le_bytes()).collect();
    let samples = Samples::from_bytes(&model, &npy("<f8", "(2, 30)", &doubles)).unwrap();
    assert_eq!(samples.as_slice()[1][0][0], 30.0);
    let ints: Vec<u8> = (0..30i64).flat_map(|i| (-i).to_le_bytes()).collect();
    let samples = Samples::from_bytes(&model, &npy("<i8", "(30,)", &ints)).unwrap();
    assert_eq!(samples.as_slice()[0][0][29], -29.0);
}

/// Element (i, j, k) of a transposed array lies at i + 2 j + 6 k.
#[test]
fn npy_in_fortran_order_is_transposed_back() {
    let model = model();
    let stored: Vec<u8> = (0..60u16).flat_map(u16::to_le_bytes).collect();
    let bytes = npy_in_order("True", "<u2", "(2, 3, 10)", &stored);
    let samples = Samples::from_bytes(&model, &bytes).unwrap();
    for (i, sample) in samples.as_slice().iter().enumerate() {
        for (place, value) in sample[0].iter().enumerate() {
            let (j, k) = (place / 10, place % 10);
            assert_eq!(*value, (i + 2 * j + 6 * k) as f32);
        }
    }
    let line = npy_in_order("True", "<u2", "(30,)", &stored[..60]);
    let samples = Samples::from_bytes(&model, &line).unwrap();
    assert_eq!(samples.single().unwrap()[0][29], 29.0);
    for shape in ["(0, 30)", "(30, 0)", "()"] {
        let empty = npy_in_order("True", "<u2", shape, &stored[..2]);
        assert!(Samples::from_bytes(&model, &empty).is_err(), "{shape}");
    }
}

#[test]
fn wrong_samples_are_errors() {
    let model = model();
    let read = |bytes: &[u8]| Samples::from_bytes(&model, bytes).unwrap_err();
    assert!(matches!(
        read(&json(&[0.0; 31])),
        Error::Length {
            expected: 30,
            found: 31,
            ..
        }
    ));
    assert!(matches!(read(&json(&[])), Error::Length { .. }));
    assert!(matches!(read(b"{}"), Error::Samples(_)));
    assert!(matches!(read(b"PK garbage"), Error::Samples(_)));
    assert!(matches!(read(b"\x93NUMPY"), Error::Samples(_)));
    assert!(matches!(
        read(b"{\"input_data\": [[1],[2]]}"),
        Error::Samples(_)
    ));
    let huge = npy("<f4", "(1152921504606846976, 64)", &[]);
    assert!(matches!(
        read(&huge),
        Error::TooLarge { .. } | Error::Samples(_)
    ));
    assert!(matches!(
        read(&npy("<f4", "(1000000, 30)", &[0; 8])),
        Error::Samples(_)
    ));
    let nan: Vec<u8> = [f32::NAN; 30]
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    assert!(matches!(
        read(&npy("<f4", "(30,)", &nan)),
        Error::NotFinite { index: 0, .. }
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// A quantized input is within half a step of the real one.
    #[test]
    fn inputs_round_to_half_a_step(values in prop::collection::vec(-3.0f32..3.0, 30)) {
        let model = model();
        let samples = Samples::new(&model, vec![vec![values.clone()]]).unwrap();
        let quantized = quantize(&model, &samples, &Options::default()).unwrap();
        let id = quantized.graph.inputs[0];
        let integers = quantized.quantize_input(std::slice::from_ref(&values)).unwrap();
        let scale = quantized.graph.tensors[id.0 as usize].scale;
        for (a, b) in dequantize(&quantized.graph, id, &integers[0]).unwrap().iter().zip(&values) {
            prop_assert!((a - f64::from(*b)).abs() <= 0.5 * scale * (1.0 + 1e-9));
        }
    }
}
