//! Inputs and calibration data: JSON as other tools write it, `.npy` and `.npz`.

use std::io::Read;
use std::path::Path;

use npyz::{NpyFile, npz::NpzArchive};
use serde::Deserialize;

/// Why data was not understood.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The content is not what the name says.
    #[error("{path}: {problem}")]
    Format {
        /// The file.
        path: String,
        /// What is wrong.
        problem: String,
    },
}

/// Samples, each one input of the model, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Samples(pub Vec<Vec<f32>>);

#[derive(Deserialize)]
struct Json {
    input_data: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct JsonOutput {
    output_data: Vec<Vec<f64>>,
}

impl Samples {
    /// Reads samples of `len` values: `{"input_data": [[..], ..]}`, `.npy`, or array `x` of an `.npz`.
    ///
    /// # Errors
    /// [`SampleError`] says what was expected.
    pub fn load(path: &Path, len: usize) -> Result<Self, SampleError> {
        let values = match path.extension().and_then(|e| e.to_str()) {
            Some("npy") => numpy(path, open(path)?)?,
            Some("npz") => {
                let mut archive = NpzArchive::open(path).map_err(|e| io(path, e))?;
                let array = archive.by_name("x").map_err(|e| io(path, e))?;
                floats(path, array.ok_or_else(|| format(path, "has no array `x`"))?)?
            }
            _ => {
                let text = std::fs::read_to_string(path).map_err(|e| io(path, e))?;
                let json: Json = serde_json::from_str(&text).map_err(|e| {
                    format(
                        path,
                        format!("expected {{\"input_data\": [[..], ..]}}: {e}"),
                    )
                })?;
                json.input_data
                    .into_iter()
                    .flatten()
                    .map(|v| v as f32)
                    .collect()
            }
        };
        Self::split(path, &values, len)
    }

    /// Reads the expected outputs of a JSON file, `{"output_data": [[..], ..]}`.
    ///
    /// # Errors
    /// [`SampleError`].
    pub fn outputs(path: &Path) -> Result<Vec<f64>, SampleError> {
        let text = std::fs::read_to_string(path).map_err(|e| io(path, e))?;
        let json: JsonOutput = serde_json::from_str(&text).map_err(|e| {
            format(
                path,
                format!("expected {{\"output_data\": [[..], ..]}}: {e}"),
            )
        })?;
        Ok(json.output_data.into_iter().flatten().collect())
    }

    fn split(path: &Path, values: &[f32], len: usize) -> Result<Self, SampleError> {
        if values.is_empty() || len == 0 || !values.len().is_multiple_of(len) {
            let problem = format!(
                "has {} values; the model's input has {len}, give a multiple of that",
                values.len()
            );
            return Err(format(path, problem));
        }
        if let Some(index) = values.iter().position(|v| !v.is_finite()) {
            return Err(format(path, format!("value {index} is not finite")));
        }
        Ok(Self(values.chunks(len).map(<[f32]>::to_vec).collect()))
    }
}

fn open(path: &Path) -> Result<std::io::BufReader<std::fs::File>, SampleError> {
    Ok(std::io::BufReader::new(
        std::fs::File::open(path).map_err(|e| io(path, e))?,
    ))
}

fn numpy<R: Read>(path: &Path, reader: R) -> Result<Vec<f32>, SampleError> {
    floats(path, NpyFile::new(reader).map_err(|e| io(path, e))?)
}

/// All elements as floats, whatever the element type.
fn floats<R: Read>(path: &Path, file: NpyFile<R>) -> Result<Vec<f32>, SampleError> {
    let dtype = file.dtype().descr();
    let wrong = |e: std::io::Error| io(path, e);
    match dtype.trim_matches('\'') {
        "<f4" => file.into_vec::<f32>().map_err(wrong),
        "<f8" => Ok(file
            .into_vec::<f64>()
            .map_err(wrong)?
            .into_iter()
            .map(|v| v as f32)
            .collect()),
        "<i8" => Ok(file
            .into_vec::<i64>()
            .map_err(wrong)?
            .into_iter()
            .map(|v| v as f32)
            .collect()),
        "<i4" => Ok(file
            .into_vec::<i32>()
            .map_err(wrong)?
            .into_iter()
            .map(|v| v as f32)
            .collect()),
        "|u1" => Ok(file
            .into_vec::<u8>()
            .map_err(wrong)?
            .into_iter()
            .map(f32::from)
            .collect()),
        other => Err(format(
            path,
            format!("element type {other} is not supported; use float32"),
        )),
    }
}

fn io(path: &Path, source: std::io::Error) -> SampleError {
    SampleError::Io {
        path: path.display().to_string(),
        source,
    }
}

fn format(path: &Path, problem: impl Into<String>) -> SampleError {
    SampleError::Format {
        path: path.display().to_string(),
        problem: problem.into(),
    }
}
