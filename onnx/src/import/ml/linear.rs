//! Linear models.

use super::super::attributes::{floats, int};
use super::writer::Writer;
use super::{labels, text};

/// `LinearClassifier`: scores `x w^T + b`, one for each row of coefficients; one alone is that of the second of two classes.
pub(super) fn classifier(w: &mut Writer<'_>) -> Result<(), String> {
    let labels = labels::labels(w, "classlabels_ints")?;
    let (weights, bias) = (floats(w.node, "coefficients"), floats(w.node, "intercepts"));
    let rows = match bias.len() {
        0 => labels.len(),
        rows => rows,
    };
    let cols = columns(weights, rows)?;
    let x = w.float(0);
    let scores = w.layer(&x, weights, cols, &padded(bias, rows));
    if rows == 1 && labels.len() == 2 {
        let both = labels::both(w, &scores, 1.0)?;
        w.finish_float(1, &both);
        labels::of_sign(w, &scores, &labels);
        return Ok(());
    }
    if rows != labels.len() || rows == 1 {
        return Err(format!(
            "{rows} rows of coefficients for {} classes",
            labels.len()
        ));
    }
    let transformed = labels::transformed(w, &scores)?;
    w.finish_float(1, &transformed);
    labels::of_largest(w, &scores, &labels);
    Ok(())
}

/// `LinearRegressor`: `x w^T + b`; one target alone is not transformed.
pub(super) fn regressor(w: &mut Writer<'_>) -> Result<(), String> {
    let weights = floats(w.node, "coefficients");
    let rows = usize::try_from(int(w.node, "targets", 1)).unwrap_or(0);
    let cols = columns(weights, rows)?;
    let x = w.float(0);
    let mut y = w.layer(
        &x,
        weights,
        cols,
        &padded(floats(w.node, "intercepts"), rows),
    );
    if rows > 1 || text(w.node, "post_transform").as_deref() == Some("PROBIT") {
        y = labels::transformed(w, &y)?;
    }
    w.finish_float(0, &y);
    Ok(())
}

fn columns(weights: &[f32], rows: usize) -> Result<usize, String> {
    match weights.len().checked_div(rows) {
        Some(cols) if cols > 0 && cols * rows == weights.len() => Ok(cols),
        _ => Err(format!("{} coefficients for {rows} rows", weights.len())),
    }
}

fn padded(bias: &[f32], rows: usize) -> Vec<f32> {
    let mut bias = bias.to_vec();
    bias.resize(rows, 0.0);
    bias
}
