//! Samples for calibration, proving and evaluation: JSON, `.npy` and `.npz`.

use std::io::{Cursor, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use npyz::{DType, NpyFile, Order, TypeChar};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};
use zkernel_gadgets::model::Graph;

use crate::search::FEWEST_SAMPLES;
use crate::{Error, Model};

/// Largest sample file, and largest number of values in it.
const MAX_BYTES: u64 = 1 << 30;
/// Number of made-up samples, and the work of all together beyond which they are fewer.
const GUESSED: usize = 64;
const GUESSED_WORK: u64 = 1 << 33;

/// Samples that fit a model: finite, of the right lengths, at least one.
#[derive(Clone, Debug, PartialEq)]
pub struct Samples(Vec<Vec<Vec<f32>>>);

impl Samples {
    /// Reads a file by its extension: `.json`, `.npy` or `.npz`.
    ///
    /// # Errors
    /// [`Error::File`], and as [`Samples::from_bytes`].
    pub fn read(model: &Model, path: &Path) -> Result<Self, Error> {
        let bytes = read_capped(path, MAX_BYTES)?;
        Self::from_bytes(model, &bytes)
    }

    /// Decodes samples; the format is recognised by the first bytes (zip, npy, else JSON).
    ///
    /// JSON is `{"input_data": [[...], ...]}`, flat row-major per input; an inner array may hold several samples one
    /// after the other. An array of NumPy (`x` in an `.npz`) has shape `(N, ...)` or that of a single sample, for models
    /// with one input.
    ///
    /// ```
    /// use zkernel_onnx::{Error, Limits, Model, Samples};
    ///
    /// let bytes = include_bytes!("../../models/logreg/network.onnx");
    /// let model = Model::from_bytes(bytes, &Limits::default())?;
    /// let json = format!("{{\"input_data\": [{:?}]}}", [0.25; 60]);
    /// let samples = Samples::from_bytes(&model, json.as_bytes())?;
    /// assert_eq!(samples.as_slice().len(), 2, "60 values are two samples of 30");
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Samples`] for a broken file, [`Error::Length`] for other shapes, [`Error::NotFinite`].
    pub fn from_bytes(model: &Model, bytes: &[u8]) -> Result<Self, Error> {
        let inputs: Vec<_> = model.inputs.iter().map(|&t| &model.tensors[t]).collect();
        let shapes: Vec<_> = inputs
            .iter()
            .map(|t| (t.name.as_str(), t.shape.as_slice()))
            .collect();
        Self::new(model, split(&shapes, &decode_flat(bytes)?)?)
    }

    /// Reads samples for a quantized graph, whose float model is not at hand. Values are checked when quantized. For a graph
    /// that runs a network on several inputs at once ([`Graph::batch`]), the file holds as many samples of the network, and
    /// together they are one sample of the graph.
    ///
    /// # Errors
    /// As [`Samples::read`].
    pub fn read_for(graph: &Graph, path: &Path) -> Result<Self, Error> {
        let bytes = read_capped(path, MAX_BYTES)?;
        let inputs: Vec<_> = graph
            .inputs
            .iter()
            .map(|id| &graph.tensors[id.0 as usize])
            .collect();
        let shapes: Vec<_> = inputs
            .iter()
            .map(|t| (t.name.as_str(), t.shape.as_slice()))
            .collect();
        let flat = decode_flat(&bytes)?;
        let count = batch_size(&shapes, flat.len());
        if count == 1 {
            return Ok(Self(split(&shapes, &flat)?));
        }
        let samples = split(&shapes[..flat.len()], &flat)?;
        if samples.len() != count {
            let found = samples.len();
            return Err(Error::Samples(format!(
                "{found} samples given, the model runs on {count} at once"
            )));
        }
        Ok(Self(vec![samples.into_iter().flatten().collect()]))
    }

    /// Wraps samples that are already split: sample, input, value.
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::NotFinite`], [`Error::Samples`] if there is none.
    pub fn new(model: &Model, samples: Vec<Vec<Vec<f32>>>) -> Result<Self, Error> {
        if samples.is_empty() {
            return Err(Error::Samples("no sample".into()));
        }
        samples.iter().try_for_each(|s| model.check_inputs(s))?;
        Ok(Self(samples))
    }

    /// Made-up samples, for a model of whose inputs nothing is known: half of them uniform in 0..1, half about standard
    /// normal; integers uniform among those that their type has or the rows that they choose, bits if neither is known; always
    /// the same ones. Ranges measured on them are a guess.
    #[must_use]
    pub fn guessed(model: &Model) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut uniform = move || (rng.next_u32() >> 8) as f32 / (1 << 24) as f32;
        let mut value = |whole: Option<[i64; 2]>, normal: bool| match whole {
            Some([low, high]) => {
                let count = (high - low + 1) as f32;
                low as f32 + (uniform() * count).floor().min(count - 1.0)
            }
            // A sum of 12 uniforms has variance 1.
            None if normal => (0..12).map(|_| uniform()).sum::<f32>() - 6.0,
            None => uniform(),
        };
        let inputs = model.inputs.iter().zip(&model.kinds);
        let inputs: Vec<(usize, Option<[i64; 2]>)> = inputs
            .map(|(&t, kind)| (model.tensors[t].len(), model.guessed_range(t, *kind)))
            .collect();
        let sample = |i: usize| {
            let of = |(len, whole): &(usize, Option<[i64; 2]>)| {
                (0..*len).map(|_| value(*whole, i % 2 == 1)).collect()
            };
            inputs.iter().map(of).collect()
        };
        let fit = usize::try_from(GUESSED_WORK / model.work().max(1)).unwrap_or(GUESSED);
        let count = fit.clamp(FEWEST_SAMPLES, GUESSED);
        let all: Vec<Vec<Vec<f32>>> = (0..count).map(sample).collect();
        // Made-up masks may hide everything, or made-up numbers be out of a function's domain.
        let sound = |sample: &&Vec<Vec<f32>>| model.run_all(sample).is_ok();
        let kept: Vec<_> = all.iter().filter(sound).cloned().collect();
        Self(if kept.is_empty() { all } else { kept })
    }

    /// All samples: sample, input, value.
    #[must_use]
    pub fn as_slice(&self) -> &[Vec<Vec<f32>>] {
        &self.0
    }

    /// The only sample, as an input to prove must be.
    ///
    /// # Errors
    /// [`Error::Samples`] if there are several.
    pub fn single(&self) -> Result<&[Vec<f32>], Error> {
        match self.0.as_slice() {
            [one] => Ok(one),
            all => Err(Error::Samples(format!(
                "{} samples where one input is expected",
                all.len()
            ))),
        }
    }
}

/// Expected outputs, `{"output_data": [[...], ...]}`, flat.
///
/// # Errors
/// [`Error::File`], [`Error::Samples`].
pub fn read_outputs(path: &Path) -> Result<Vec<f64>, Error> {
    let bytes = read_capped(path, MAX_BYTES)?;
    let json: JsonOutputs = serde_json::from_slice(&bytes)
        .map_err(|e| Error::Samples(format!("{e}; expected {{\"output_data\": [[...], ...]}}")))?;
    Ok(json.output_data.into_iter().flatten().collect())
}

fn decode_flat(bytes: &[u8]) -> Result<Vec<Vec<f32>>, Error> {
    if bytes.starts_with(b"PK") {
        Ok(vec![array(bytes, "x")?])
    } else if bytes.starts_with(b"\x93NUMPY") {
        Ok(vec![guarded(|| read_npy(bytes))?])
    } else {
        read_json(bytes)
    }
}

/// How many times inputs of the shapes of the first `given` ones follow one another; 1 if they do not.
fn batch_size(shapes: &[(&str, &[usize])], given: usize) -> usize {
    let repeat = |rows: &[(&str, &[usize])]| rows.iter().zip(shapes).all(|(a, b)| a.1 == b.1);
    if given > 0 && shapes.len().is_multiple_of(given) && shapes.chunks(given).all(repeat) {
        return shapes.len() / given;
    }
    1
}

/// Cuts flat inputs into samples: sample, input, value.
fn split(shapes: &[(&str, &[usize])], flat: &[Vec<f32>]) -> Result<Vec<Vec<Vec<f32>>>, Error> {
    if flat.len() != shapes.len() {
        let (found, expected) = (flat.len(), shapes.len());
        return Err(Error::Samples(format!(
            "{found} inputs given, the model has {expected}"
        )));
    }
    let mut samples: Vec<Vec<Vec<f32>>> = Vec::new();
    for (i, ((name, shape), values)) in shapes.iter().zip(flat).enumerate() {
        let size: usize = shape.iter().product();
        let count = values.len() / size.max(1);
        if count == 0 || count * size != values.len() || (i > 0 && count != samples.len()) {
            return Err(Error::Length {
                tensor: (*name).to_owned(),
                found: values.len(),
                expected: size,
                shape: shape.to_vec(),
                hint: ", or a multiple of it for several samples, as many for every input",
            });
        }
        samples.resize(count, Vec::new());
        for (sample, chunk) in samples.iter_mut().zip(values.chunks(size)) {
            sample.push(chunk.to_vec());
        }
    }
    Ok(samples)
}

/// Reads a whole file of at most `limit` bytes.
pub(crate) fn read_capped(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let failed = |e: std::io::Error| Error::File {
        path: path.display().to_string(),
        problem: e.to_string(),
    };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(Error::TooLarge {
            what: format!("`{}` (bytes)", path.display()),
            found: bytes.len() as u64,
            limit,
        });
    }
    Ok(bytes)
}

#[derive(serde::Deserialize)]
struct JsonOutputs {
    output_data: Vec<Vec<f64>>,
}

#[derive(serde::Deserialize)]
struct Json {
    input_data: Vec<Vec<f64>>,
}

#[allow(clippy::cast_possible_truncation)] // f32 is the precision of the model
fn read_json(bytes: &[u8]) -> Result<Vec<Vec<f32>>, Error> {
    let json: Json = serde_json::from_slice(bytes)
        .map_err(|e| Error::Samples(format!("{e}; expected {{\"input_data\": [[...], ...]}}")))?;
    Ok(json
        .input_data
        .into_iter()
        .map(|values| values.into_iter().map(|v| v as f32).collect())
        .collect())
}

/// The NumPy decoder multiplies the dimensions of a header unchecked: a panic there is a broken file.
fn guarded(read: impl FnOnce() -> Result<Vec<f32>, Error>) -> Result<Vec<f32>, Error> {
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(Error::Samples("impossible array header".into())))
}

/// The array `name` of an `.npz` file, flat and row-major, as `f32`: labels or reference outputs beside the samples.
///
/// # Errors
/// [`Error::Samples`] if it is not there or not numeric.
pub fn array(bytes: &[u8], name: &str) -> Result<Vec<f32>, Error> {
    let failed = |e: &dyn std::fmt::Display| Error::Samples(format!("array `{name}`: {e}"));
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|e| failed(&e))?;
    let file = archive
        .by_name(&format!("{name}.npy"))
        .map_err(|e| failed(&e))?;
    guarded(|| decode(NpyFile::new(file).map_err(|e| failed(&e))?))
}

fn read_npy(bytes: &[u8]) -> Result<Vec<f32>, Error> {
    decode(NpyFile::new(bytes).map_err(|e| Error::Samples(e.to_string()))?)
}

fn decode<R: Read>(npy: NpyFile<R>) -> Result<Vec<f32>, Error> {
    let len = npy
        .shape()
        .iter()
        .try_fold(1u64, |product, &d| product.checked_mul(d))
        .unwrap_or(u64::MAX);
    if len > MAX_BYTES / 4 {
        return Err(Error::TooLarge {
            what: "array".into(),
            found: len,
            limit: MAX_BYTES / 4,
        });
    }
    let columns_first = (npy.order() == Order::Fortran).then(|| npy.shape().to_vec());
    let values = elements(npy)?;
    Ok(match columns_first {
        Some(shape) => row_major(&shape, &values),
        None => values,
    })
}

/// Values stored with the first axis fastest, put into row-major order.
fn row_major(shape: &[u64], values: &[f32]) -> Vec<f32> {
    let element = |mut index: usize| {
        let (mut position, mut stride) = (0, values.len());
        for len in shape.iter().rev().map(|len| *len as usize) {
            stride /= len;
            position += index % len * stride;
            index /= len;
        }
        values[position]
    };
    (0..values.len()).map(element).collect()
}

fn elements<R: Read>(npy: NpyFile<R>) -> Result<Vec<f32>, Error> {
    let DType::Plain(kind) = npy.dtype() else {
        return Err(Error::Samples("structured arrays are not samples".into()));
    };
    let (letter, size) = (kind.type_char(), kind.size_field());
    match (letter, size) {
        (TypeChar::Float, 4) => values::<f32, R>(npy, f64::from),
        (TypeChar::Float, 8) => values::<f64, R>(npy, |v| v),
        (TypeChar::Int, 1) => values::<i8, R>(npy, f64::from),
        (TypeChar::Int, 2) => values::<i16, R>(npy, f64::from),
        (TypeChar::Int, 4) => values::<i32, R>(npy, f64::from),
        (TypeChar::Int, 8) => values::<i64, R>(npy, |v| v as f64),
        (TypeChar::Uint, 1) => values::<u8, R>(npy, f64::from),
        (TypeChar::Uint, 2) => values::<u16, R>(npy, f64::from),
        (TypeChar::Uint, 4) => values::<u32, R>(npy, f64::from),
        (TypeChar::Uint, 8) => values::<u64, R>(npy, |v| v as f64),
        _ => Err(Error::Samples(format!(
            "element type `{}` is neither f32, f64 nor an integer",
            npy.dtype().descr()
        ))),
    }
}

/// Reads value by value: a header that promises more than the file holds allocates nothing.
fn values<T: npyz::Deserialize, R: Read>(
    npy: NpyFile<R>,
    convert: impl Fn(T) -> f64,
) -> Result<Vec<f32>, Error> {
    let failed = |e: &dyn std::fmt::Display| Error::Samples(e.to_string());
    let mut out = Vec::new();
    for value in npy.data::<T>().map_err(|e| failed(&e))? {
        out.push(convert(value.map_err(|e| failed(&e))?) as f32);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::row_major;

    #[test]
    fn columns_first_arrays_are_put_in_row_major_order() {
        // [[0, 1, 2], [3, 4, 5]] stored column by column.
        let stored = [0.0, 3.0, 1.0, 4.0, 2.0, 5.0];
        assert_eq!(row_major(&[2, 3], &stored), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        let cube: Vec<f32> = (0..24).map(|i| i as f32).collect();
        let stored: Vec<f32> = (0..24)
            .map(|p| (p % 2 * 12 + p / 2 % 3 * 4 + p / 6) as f32)
            .collect();
        assert_eq!(row_major(&[2, 3, 4], &stored), cube);
        assert_eq!(row_major(&[0, 3], &[]), [0f32; 0]);
    }
}
