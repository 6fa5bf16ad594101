//! Categories and labels: each is compared with every value that it may have.

use tract_onnx::pb::tensor_proto::DataType;

use super::super::attributes::{attribute, float, floats, int, ints, strings};
use super::numbers;
use super::writer::Writer;

/// `OneHotEncoder`: one column for each category along a new last axis.
pub(super) fn one_hot(w: &mut Writer<'_>) -> Result<(), String> {
    let categories = keys(w, "cats");
    if categories.is_empty() {
        return Err("it has no categories".into());
    }
    // Categories are whole numbers: of others what is before the point counts.
    let whole = w.cast(&w.node.input[0].clone(), DataType::Int64);
    let x = w.cast(&whole, DataType::Float);
    let y = which(w, &x, &categories);
    w.finish_float(0, &y);
    Ok(())
}

/// `LabelEncoder`: the value of the key that x is, or the default.
pub(super) fn label_encoder(w: &mut Writer<'_>) -> Result<(), String> {
    let (keys, values) = (keys(w, "keys"), keys(w, "values"));
    let (default, kind) = default(w);
    mapped(w, &keys, &values, default, kind)
}

/// `CategoryMapper`: from numbers to names; from names, which no input can be, it is refused where they are read.
pub(super) fn category_mapper(w: &mut Writer<'_>) -> Result<(), String> {
    let numbers: Vec<f64> = ints(w.node, "cats_int64s")
        .iter()
        .map(|v| *v as f64)
        .collect();
    let names = of_strings(w, "cats_strings");
    let default = attribute(w.node, "default_string").map_or(-1, |a| w.strings.number(&a.s));
    mapped(w, &numbers, &names, default as f64, DataType::Int64)
}

/// `default + sum of (value - default) [x = key]`.
fn mapped(
    w: &mut Writer<'_>,
    keys: &[f64],
    values: &[f64],
    default: f64,
    kind: DataType,
) -> Result<(), String> {
    if keys.is_empty() || keys.len() != values.len() {
        return Err(format!("{} keys and {} values", keys.len(), values.len()));
    }
    // Nothing that is proven is no number, and of equal keys the first counts.
    let mut known: Vec<(f64, f64)> = Vec::new();
    for (key, value) in keys.iter().zip(values) {
        if !key.is_nan() && known.iter().all(|(other, _)| other != key) {
            known.push((*key, *value));
        }
    }
    let (keys, values): (Vec<f64>, Vec<f64>) = known.into_iter().unzip();
    let x = w.float(0);
    let bits = which(w, &x, &keys);
    let gains: Vec<f32> = values
        .iter()
        .map(|value| (value - default) as f32)
        .collect();
    let gains = w.constant(&[gains.len(), 1], &gains);
    let sum = w.op("MatMul", &[&bits, &gains], &[]);
    let flat = w.reduce("ReduceSum", &sum, &[-1], false);
    let y = w.with_row("Add", &flat, &[default as f32]);
    match kind {
        DataType::Float => w.finish_float(0, &y),
        kind => {
            let y = w.cast(&y, kind);
            w.finish(0, &y);
        }
    }
    Ok(())
}

/// One bit for each of those values, along a new last axis.
fn which(w: &mut Writer<'_>, x: &str, values: &[f64]) -> String {
    let x = w.unsqueezed(x);
    let values: Vec<f32> = values.iter().map(|v| *v as f32).collect();
    let values = w.constant(&[values.len()], &values);
    let bits = w.op("Equal", &[&x, &values], &[]);
    w.cast(&bits, DataType::Float)
}

/// Keys or values, in whichever attribute the file has them: `NAME_int64s`, `NAME_floats`, `NAME_strings`, `NAME_tensor`.
fn keys(w: &Writer<'_>, name: &str) -> Vec<f64> {
    let of = |kind: &str| format!("{name}_{kind}");
    let whole = ints(w.node, &of("int64s"));
    let real = floats(w.node, &of("floats"));
    let names = of_strings(w, &of("strings"));
    if !whole.is_empty() {
        whole.iter().map(|v| *v as f64).collect()
    } else if !real.is_empty() {
        real.iter().map(|v| f64::from(*v)).collect()
    } else if !names.is_empty() {
        names
    } else {
        numbers(w.node, &of("tensor"))
    }
}

fn of_strings(w: &Writer<'_>, name: &str) -> Vec<f64> {
    let all = strings(w.node, name).into_iter();
    all.map(|name| w.strings.number(name) as f64).collect()
}

/// The value of other keys, and the type of values.
fn default(w: &Writer<'_>) -> (f64, DataType) {
    let tensor = numbers(w.node, "default_tensor").first().copied();
    if attribute(w.node, "values_strings").is_some() {
        let name = attribute(w.node, "default_string").map_or(-1, |a| w.strings.number(&a.s));
        return (name as f64, DataType::Int64);
    }
    if attribute(w.node, "values_floats").is_some() {
        let given = attribute(w.node, "default_float").is_some();
        let value = if given {
            float(w.node, "default_float")
        } else {
            0.0
        };
        return (tensor.unwrap_or(f64::from(value)), DataType::Float);
    }
    let of_tensor = attribute(w.node, "values_tensor").and_then(|a| a.t.as_ref());
    let kind = of_tensor.map_or(DataType::Int64, |t| {
        DataType::try_from(t.data_type).unwrap_or(DataType::Float)
    });
    let whole = int(w.node, "default_int64", -1) as f64;
    let other = match kind {
        DataType::Int64 => whole,
        _ => 0.0,
    };
    (tensor.unwrap_or(other), kind)
}
