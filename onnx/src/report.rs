//! What quantization cost: per layer and for the whole model, measured on samples.

use std::fmt;

use serde::Serialize;

/// Errors of one layer against the float run.
#[derive(Clone, Debug, Serialize, PartialEq)]
pub struct LayerReport {
    /// The node.
    pub node: String,
    /// Largest absolute error.
    pub max_abs_error: f64,
    /// Mean absolute error.
    pub mean_abs_error: f64,
    /// Largest absolute float value.
    pub max_abs_value: f64,
    /// Largest integer seen, as a share of what the proof covers.
    pub range_used: f64,
}

/// The accuracy of a quantized model on samples.
#[derive(Clone, Debug, Serialize, PartialEq)]
pub struct Report {
    /// Samples measured.
    pub samples: usize,
    /// Samples whose class agrees with float.
    pub top1_agreement: usize,
    /// Largest absolute error of an output.
    pub max_abs_error: f64,
    /// Each layer.
    pub layers: Vec<LayerReport>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<32} {:>12} {:>12} {:>12} {:>8}",
            "layer", "max error", "mean error", "max value", "range"
        )?;
        for layer in &self.layers {
            let LayerReport {
                node,
                max_abs_error,
                mean_abs_error,
                max_abs_value,
                range_used,
            } = layer;
            let range = 100.0 * range_used;
            writeln!(
                f,
                "{node:<32} {max_abs_error:>12.6} {mean_abs_error:>12.6} {max_abs_value:>12.4} {range:>7.1}%"
            )?;
        }
        write!(
            f,
            "top-1 as float on {} of {} samples, largest output error {:.6}",
            self.top1_agreement, self.samples, self.max_abs_error
        )
    }
}

/// The class an output stands for: the first maximum, or one side of 0.5 for a single value.
#[must_use]
pub fn class(output: &[f64]) -> usize {
    match output {
        [single] => usize::from(*single > 0.5),
        _ => (0..output.len())
            .rev()
            .max_by(|a, b| output[*a].total_cmp(&output[*b]))
            .unwrap_or(0),
    }
}
