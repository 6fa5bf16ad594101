//! What is done to columns of features before a model reads them.

use tract_onnx::pb::tensor_proto::DataType;

use super::super::attributes::{float, floats, ints};
use super::text;
use super::writer::{With, Writer};

/// Denominators of rows that are zero, which stay zero.
const TINY: f32 = 1e-6;

/// `Scaler`: `(x - offset) scale`, one of each for all columns or one for each.
pub(super) fn scaler(w: &mut Writer<'_>) -> Result<(), String> {
    let (offset, scale) = (floats(w.node, "offset"), floats(w.node, "scale"));
    let mut y = w.float(0);
    if offset.iter().any(|v| *v != 0.0) {
        y = w.with_row("Sub", &y, offset);
    }
    if scale.iter().any(|v| *v != 1.0) {
        y = w.with_row("Mul", &y, scale);
    }
    w.finish_float(0, &y);
    Ok(())
}

/// `Normalizer`: rows divided by their largest value, by the sum of their magnitudes or by their length; rows of zeros stay.
pub(super) fn normalizer(w: &mut Writer<'_>) -> Result<(), String> {
    let x = w.float(0);
    let by = match text(w.node, "norm").as_deref() {
        None | Some("MAX") => w.largest(&x),
        Some("L1") => {
            let sizes = w.op("Abs", &[&x], &[]);
            let sum = w.reduce("ReduceSum", &sizes, &[-1], true);
            w.with_row("Max", &sum, &[TINY])
        }
        Some("L2") => {
            let squares = w.op("Mul", &[&x, &x], &[]);
            let sum = w.reduce("ReduceSum", &squares, &[-1], true);
            let sum = w.with_row("Max", &sum, &[TINY * TINY]);
            w.op("Sqrt", &[&sum], &[])
        }
        Some(other) => return Err(format!("norm {other} is not built")),
    };
    let y = w.op("Div", &[&x, &by], &[]);
    w.finish_float(0, &y);
    Ok(())
}

/// `Imputer`: another value where x is the one that stands for none. Inputs are numbers, so where that is "not a number" nothing changes.
pub(super) fn imputer(w: &mut Writer<'_>) -> Result<(), String> {
    let whole = ints(w.node, "imputed_value_int64s");
    let (values, missing) = if whole.is_empty() {
        let missing = super::attribute(w.node, "replaced_value_float").map_or(0.0, |a| a.f);
        (floats(w.node, "imputed_value_floats").to_vec(), missing)
    } else {
        let values = whole.iter().map(|v| *v as f32).collect();
        let missing = super::int(w.node, "replaced_value_int64", 0);
        (values, missing as f32)
    };
    let x = w.float(0);
    if missing.is_nan() {
        w.finish_float(0, &x);
        return Ok(());
    }
    let by = w.constant(&[values.len()], &values);
    let missing = w.constant(&[1], &[missing]);
    let is_missing = w.op("Equal", &[&x, &missing], &[]);
    let y = w.op("Where", &[&is_missing, &by, &x], &[]);
    w.finish_float(0, &y);
    Ok(())
}

/// `Binarizer`: 1 above the threshold, else 0.
pub(super) fn binarizer(w: &mut Writer<'_>) -> Result<(), String> {
    let threshold = match super::attribute(w.node, "threshold") {
        Some(_) => float(w.node, "threshold"),
        None => 0.0,
    };
    let x = w.float(0);
    let threshold = w.constant(&[1], &[threshold]);
    let bits = w.op("Greater", &[&x, &threshold], &[]);
    let y = w.cast(&bits, DataType::Float);
    w.finish_float(0, &y);
    Ok(())
}

/// `FeatureVectorizer`: columns of all inputs side by side, as many of each as its dimension says.
pub(super) fn feature_vectorizer(w: &mut Writer<'_>) -> Result<(), String> {
    let parts: Vec<String> = (0..w.node.input.len()).map(|i| w.float(i)).collect();
    let parts: Vec<&str> = parts.iter().map(|part| &**part).collect();
    let y = w.beside(&parts);
    w.finish_float(0, &y);
    Ok(())
}

/// `ArrayFeatureExtractor`: some columns; of a vector a row of them.
pub(super) fn array_feature_extractor(w: &mut Writer<'_>) -> Result<(), String> {
    let [x, columns] = w.node.input.as_slice() else {
        return Err("two inputs are expected".into());
    };
    let (x, columns) = (x.clone(), columns.clone());
    let columns = w.reshaped(&columns, &[-1]);
    let chosen = w.op("Gather", &[&x, &columns], &[With::Int("axis", -1)]);
    let y = match w.is_vector(&x) {
        true => w.reshaped(&chosen, &[1, -1]),
        false => chosen,
    };
    w.finish(0, &y);
    Ok(())
}
