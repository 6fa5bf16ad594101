//! Tensors of the cases as real numbers.

use prost::Message;
use tract_onnx::pb::TensorProto;
use tract_onnx::pb::tensor_proto::DataType;

/// A decoded tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Values {
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// Whether the file has them as integers or bits.
    pub whole: bool,
    /// Row-major.
    pub values: Vec<f64>,
}

/// A tensor from its file; `None` for strings, formats of four or eight bits that are no integers, sequences, and broken files.
///
/// ```
/// use prost::Message;
/// use tract_onnx::pb::TensorProto;
/// use zkernel_onnx_conformance::values::decode;
///
/// let tensor = TensorProto { dims: vec![2], data_type: 3, int32_data: vec![-1, 7], ..TensorProto::default() };
/// let values = decode(&tensor.encode_to_vec()).unwrap();
/// assert_eq!((values.values, values.whole), (vec![-1.0, 7.0], true));
/// ```
#[must_use]
pub fn decode(bytes: &[u8]) -> Option<Values> {
    values(&TensorProto::decode(bytes).ok()?)
}

/// As [`decode`], of a tensor at hand.
#[must_use]
pub fn values(tensor: &TensorProto) -> Option<Values> {
    let shape = tensor
        .dims
        .iter()
        .map(|d| usize::try_from(*d).ok())
        .collect::<Option<Vec<_>>>()?;
    let kind = DataType::try_from(tensor.data_type).ok()?;
    let values = match tensor.raw_data.is_empty() {
        true => listed(tensor, kind)?,
        false => raw(&tensor.raw_data, kind)?,
    };
    let whole = !matches!(
        kind,
        DataType::Float | DataType::Double | DataType::Float16 | DataType::Bfloat16
    );
    (values.len() == shape.iter().product::<usize>()).then_some(Values {
        shape,
        whole,
        values,
    })
}

fn listed(tensor: &TensorProto, kind: DataType) -> Option<Vec<f64>> {
    Some(match kind {
        DataType::Float => tensor.float_data.iter().map(|v| f64::from(*v)).collect(),
        DataType::Double => tensor.double_data.clone(),
        DataType::Int64 => tensor.int64_data.iter().map(|v| *v as f64).collect(),
        DataType::Uint32 | DataType::Uint64 => {
            tensor.uint64_data.iter().map(|v| *v as f64).collect()
        }
        DataType::Float16 => tensor.int32_data.iter().map(|v| half(*v as u16)).collect(),
        DataType::Bfloat16 => tensor.int32_data.iter().map(|v| brain(*v as u16)).collect(),
        DataType::Bool
        | DataType::Int8
        | DataType::Uint8
        | DataType::Int16
        | DataType::Uint16
        | DataType::Int32 => tensor.int32_data.iter().map(|v| f64::from(*v)).collect(),
        _ => return None,
    })
}

fn raw(bytes: &[u8], kind: DataType) -> Option<Vec<f64>> {
    fn each<const N: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> f64) -> Vec<f64> {
        let (chunks, _) = bytes.as_chunks::<N>();
        chunks.iter().map(|chunk| read(*chunk)).collect()
    }
    Some(match kind {
        DataType::Float => each(bytes, |b| f64::from(f32::from_le_bytes(b))),
        DataType::Double => each(bytes, f64::from_le_bytes),
        DataType::Int64 => each(bytes, |b| i64::from_le_bytes(b) as f64),
        DataType::Uint64 => each(bytes, |b| u64::from_le_bytes(b) as f64),
        DataType::Int32 => each(bytes, |b| f64::from(i32::from_le_bytes(b))),
        DataType::Uint32 => each(bytes, |b| f64::from(u32::from_le_bytes(b))),
        DataType::Int16 => each(bytes, |b| f64::from(i16::from_le_bytes(b))),
        DataType::Uint16 => each(bytes, |b| f64::from(u16::from_le_bytes(b))),
        DataType::Int8 => each(bytes, |b| f64::from(i8::from_le_bytes(b))),
        DataType::Uint8 | DataType::Bool => each(bytes, |[b]: [u8; 1]| f64::from(b)),
        DataType::Float16 => each(bytes, |b| half(u16::from_le_bytes(b))),
        DataType::Bfloat16 => each(bytes, |b| brain(u16::from_le_bytes(b))),
        _ => return None,
    })
}

/// IEEE binary16.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + fraction) * 2f64.powi(exponent - 25),
    }
}

/// The upper half of a float.
fn brain(bits: u16) -> f64 {
    f64::from(f32::from_bits(u32::from(bits) << 16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_floats() {
        let known = [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x0001, 2f64.powi(-24)),
            (0x7bff, 65504.0),
            (0x7c00, f64::INFINITY),
        ];
        for (bits, value) in known {
            assert_eq!(half(bits), value);
        }
        assert!(half(0x7e00).is_nan());
        assert_eq!(brain(0x3f80), 1.0);
    }
}
