//! From an ONNX file to the float network.
//!
//! tract decodes the file, infers shapes and folds constants, before any optimisation, so that node names survive; the
//! operators are read from the file's own nodes.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use tract_onnx::pb;
use tract_onnx::prelude::{Framework, OutletId};
use tract_onnx::tract_hir::infer::InferenceModel;

use crate::Error;
use crate::model::{Model, Values};
use crate::samples::read_capped;

mod affine;
mod analysed;
mod arithmetic;
mod attention;
mod attributes;
mod build;
mod check;
mod chosen;
mod contrib;
mod counted;
mod dynamic;
mod einsum;
mod emit;
mod external;
mod folding;
mod functions;
mod gathers;
mod halves;
mod images;
mod inputs;
mod logic;
mod maps;
mod ml;
mod named;
mod normalize;
mod operators;
mod order;
mod parts;
mod passes;
mod pools;
mod quantized;
mod ranked;
mod reading;
mod recurrent;
mod reduce;
mod rewrite;
mod selection;
mod staged;
mod stepped;
mod supported;
mod tables;
mod views;
mod volumes;
mod wide;
mod windows;

use analysed::analysed;
use build::Build;
use check::check;
use supported::{display_name, is_onnx, unsupported};

/// Bounds on what is read from a file that nobody vouches for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Values of one tensor.
    pub tensor_values: u64,
    /// Nodes of the graph.
    pub nodes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file_bytes: 1 << 30,
            tensor_values: 1 << 27,
            nodes: 100_000,
        }
    }
}

/// The version in which operators are written where a file does not say.
const OPSET: i64 = 17;

/// A constant of the graph.
struct Constant {
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl Model {
    /// Reads an ONNX file with the default [`Limits`], and the files in its folder that keep its values (`NAME.onnx.data`).
    ///
    /// # Errors
    /// [`Error::File`], and as [`Model::from_bytes`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        let (path, limits) = (path.as_ref(), Limits::default());
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        guarded(
            &read_capped(path, limits.file_bytes)?,
            Some(folder),
            &limits,
        )
    }

    /// Reads an ONNX model from memory. The first dimension of an input counts samples: where it is symbolic, it is 1.
    ///
    /// ```
    /// use zkernel_onnx::{Error, Limits, Model};
    ///
    /// let bytes = include_bytes!("../../models/logreg/network.onnx");
    /// let model = Model::from_bytes(bytes, &Limits::default())?;
    /// let outputs = model.run(&[vec![0.5; 30]])?;
    /// assert_eq!(outputs.len(), 1);
    /// let few = Limits { nodes: 0, ..Limits::default() };
    /// assert!(matches!(Model::from_bytes(bytes, &few), Err(Error::TooLarge { .. })));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Unsupported`] lists every operator that is not built; [`Error::Malformed`], [`Error::TooLarge`],
    /// [`Error::ExternalData`], [`Error::Dynamic`] otherwise. Bytes that make tract panic are [`Error::Malformed`].
    pub fn from_bytes(bytes: &[u8], limits: &Limits) -> Result<Self, Error> {
        guarded(bytes, None, limits)
    }
}

/// Reads a model, with the files in that folder, whatever the decoder does.
fn guarded(bytes: &[u8], folder: Option<&Path>, limits: &Limits) -> Result<Model, Error> {
    cap("model (bytes)", bytes.len() as u64, limits.file_bytes)?;
    catch_unwind(AssertUnwindSafe(|| read(bytes, folder, limits)))
        .unwrap_or_else(|_| Err(Error::Malformed("the decoder gave up on it".into())))
}

fn malformed(problem: impl std::fmt::Display) -> Error {
    Error::Malformed(format!("{problem:#}"))
}

fn cap(what: &str, found: u64, limit: u64) -> Result<(), Error> {
    if found <= limit {
        return Ok(());
    }
    Err(Error::TooLarge {
        what: what.into(),
        found,
        limit,
    })
}

fn read(bytes: &[u8], folder: Option<&Path>, limits: &Limits) -> Result<Model, Error> {
    let onnx = rewrite::decoder();
    let mut reader = bytes;
    let mut proto = onnx.proto_model_for_read(&mut reader).map_err(malformed)?;
    if let Some(folder) = folder {
        external::inline(&mut proto, folder, limits.file_bytes)?;
    }
    halves::widen(&mut proto);
    functions::inline(&mut proto, limits)?;
    let opset = opset(&mut proto);
    if let Some(graph) = &mut proto.graph {
        order::sort(graph);
    }
    let rewriting = proto.graph.as_mut().map(|graph| ml::rewrite(graph, opset));
    let rewriting = rewriting.unwrap_or_default();
    let mut gone = proto.graph.as_mut().map(rewrite::rewrite);
    if let (Some(graph), Some(gone)) = (&proto.graph, &mut gone) {
        check(graph, limits)?;
        staged::expand(&onnx, &mut proto, limits, gone, rewrite::rewrite)?;
    }
    let graph = proto.graph.as_ref().ok_or_else(|| malformed("no graph"))?;
    let versioned = proto.opset_import.iter().any(|set| is_onnx(&set.domain));
    if !versioned && (graph.node.is_empty() || graph.node.iter().any(|n| is_onnx(&n.domain))) {
        return Err(malformed(
            "it does not say which version of the operators it means",
        ));
    }
    check(graph, limits)?;
    let folds = |op: &str| onnx.op_register.0.contains_key(op);
    let mut unsupported = [rewriting.refused.clone(), unsupported(graph, folds)].concat();
    if unsupported.is_empty() {
        unsupported = inputs::refused(graph);
    }
    if !unsupported.is_empty() {
        return Err(Error::Unsupported(rewriting.home(unsupported)));
    }
    let model = translated(&onnx, &proto, graph, limits);
    let gone = gone.unwrap_or_default();
    let mut model =
        model.map_err(
            |error| match named::as_in_file(named::named(graph, error), &gone) {
                Error::Unsupported(nodes) => Error::Unsupported(rewriting.home(nodes)),
                error => error,
            },
        )?;
    model.operators.extend(gone);
    model.operators.extend(rewriting.gone);
    model.classes = rewriting.classes;
    Ok(model)
}

/// The version of ONNX's own operators that a file means. One with operators of `ai.onnx.ml` alone may not say: then any will do.
fn opset(proto: &mut pb::ModelProto) -> i64 {
    let mut nodes = proto.graph.iter().flat_map(|g| &g.node).peekable();
    let classic = nodes.peek().is_some() && nodes.all(|n| n.domain == ml::DOMAIN);
    let versions = proto.opset_import.iter().filter(|set| is_onnx(&set.domain));
    match versions.map(|set| set.version).max() {
        Some(version) => version,
        None if !classic => 1,
        None => {
            proto.opset_import.push(pb::OperatorSetIdProto {
                domain: String::new(),
                version: OPSET,
            });
            OPSET
        }
    }
}

/// What tract makes of a graph, and we of it.
fn translated(
    onnx: &tract_onnx::Onnx,
    proto: &pb::ModelProto,
    graph: &pb::GraphProto,
    limits: &Limits,
) -> Result<Model, Error> {
    let Analysed {
        inference,
        names,
        kinds,
    } = analysed(onnx, proto, graph, limits, false)?;
    let versions = proto.opset_import.iter().filter(|set| is_onnx(&set.domain));
    Import {
        graph,
        inference,
        names,
        opset: versions.map(|set| set.version).max().unwrap_or(1),
    }
    .model(kinds)
}

/// What the decoder infers of a graph.
struct Analysed {
    inference: InferenceModel,
    names: BTreeMap<String, OutletId>,
    /// What values each input can have.
    kinds: Vec<Values>,
}

struct Import<'a> {
    graph: &'a pb::GraphProto,
    inference: InferenceModel,
    names: BTreeMap<String, OutletId>,
    /// Version of ONNX's own operators.
    opset: i64,
}
