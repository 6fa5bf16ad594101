//! ONNX front end: reads a network, calibrates it on samples and turns it into integers, with an accuracy report.
//!
//! ```
//! use zkernel_onnx::{Model, Options, Samples, quantize};
//!
//! # fn main() -> Result<(), zkernel_onnx::Error> {
//! # let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/mlp_digits");
//! let model = Model::load(format!("{folder}/network.onnx"))?;
//! let calibration = Samples::read(&model, format!("{folder}/calib.npz").as_ref())?;
//! let quantized = quantize(&model, &calibration, &Options::default())?;
//! println!("{}", quantized.report);
//!
//! let input = Samples::read(&model, format!("{folder}/input.json").as_ref())?;
//! let integers = quantized.quantize_input(input.single()?)?;
//! assert_eq!(integers[0].len(), 64);
//! # Ok(())
//! # }
//! ```

mod deciding;
mod error;
mod float;
mod import;
mod model;
mod plan;
mod quantize;
mod report;
mod samples;
mod search;

pub use error::{Error, UnsupportedNode};
pub use import::Limits;
pub use model::{FloatNode, FloatOp, FloatTensor, Layer, Mode, Model, Rounding, Summary};
pub use plan::Widths;
pub use quantize::{Options, Quantized, dequantize, quantize, quantize_input};
pub use report::{HISTOGRAM_BINS, LayerReport, Report, evaluate};
pub use samples::{Samples, array, read_outputs};
pub use search::{Goal, calibration_bytes, quantize_for};
