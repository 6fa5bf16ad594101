//! ONNX in, quantized graph out: the front end (on tract), calibration, and the accuracy report.
//!
//! ```no_run
//! use zkernel_onnx::{Model, Options, Samples, quantize};
//! let model = Model::load("network.onnx".as_ref())?;
//! let samples = Samples::load("calib.npz".as_ref(), model.input_len())?;
//! let quantized = quantize(&model, &samples, &Options::default())?;
//! println!("{}", quantized.report);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod calibrate;
pub mod model;
pub mod report;
pub mod samples;

pub use calibrate::{Options, Quantized, dequantize, quantize, quantize_input};
pub use model::{Model, ModelError};
pub use report::{LayerReport, Report};
pub use samples::{SampleError, Samples};
