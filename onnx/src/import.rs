//! From an ONNX file to the float network.
//!
//! tract decodes the file, infers shapes and folds constants, before any optimisation, so that node names survive; the
//! operators are read from the file's own nodes.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use tract_onnx::pb;
use tract_onnx::prelude::{
    DatumType, Framework, InferenceFact, InferenceModelExt, IntoRunnable, OutletId,
};
use tract_onnx::tract_hir::infer::{Factoid, InferenceModel};

use crate::Error;
use crate::model::{MASKED, Model, Values};
use crate::samples::read_capped;

mod affine;
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

use build::Build;
use check::check;
use operators::Translated;
use parts::Parts;
use supported::{display_name, is_onnx, refuse, unsupported};

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

/// Shapes, types and constants of a graph, in spite of nodes that do not fit if `obstinate`.
fn analysed(
    onnx: &tract_onnx::Onnx,
    proto: &pb::ModelProto,
    graph: &pb::GraphProto,
    limits: &Limits,
    obstinate: bool,
) -> Result<Analysed, Error> {
    let parsed = onnx.parse(proto, None).map_err(malformed)?;
    if !parsed.unresolved_inputs.is_empty() {
        return Err(malformed(format!(
            "undefined tensors {:?}",
            parsed.unresolved_inputs
        )));
    }
    let mut inference = parsed.model;
    let kinds = inputs::fix(&mut inference, graph, limits)?;
    match inference.analyse(obstinate) {
        Err(_) if obstinate => {}
        outcome => {
            outcome.map_err(malformed)?;
        }
    }
    folding::fold(&mut inference, limits);
    Ok(Analysed {
        inference,
        names: parsed.outlets_by_name.into_iter().collect(),
        kinds,
    })
}

impl Analysed {
    fn fact(&self, tensor: &str) -> Option<&InferenceFact> {
        self.inference.outlet_fact(*self.names.get(tensor)?).ok()
    }

    fn shape(&self, tensor: &str) -> Option<Vec<usize>> {
        let shape = self.fact(tensor)?.shape.as_concrete_finite().ok()??;
        Some(shape.to_vec())
    }

    fn integers(&self, tensor: &str) -> Option<Vec<i64>> {
        let value = self.fact(tensor)?.value.concretize()?;
        let cast = value.cast_to::<i64>().ok()?;
        Some(
            cast.to_plain_array_view::<i64>()
                .ok()?
                .iter()
                .copied()
                .collect(),
        )
    }

    fn is_bool(&self, tensor: &str) -> Option<bool> {
        let kind = self.fact(tensor)?.datum_type.concretize()?;
        Some(kind == DatumType::Bool)
    }
}

struct Import<'a> {
    graph: &'a pb::GraphProto,
    inference: InferenceModel,
    names: BTreeMap<String, OutletId>,
    /// Version of ONNX's own operators.
    opset: i64,
}

impl Import<'_> {
    fn model(self, kinds: Vec<Values>) -> Result<Model, Error> {
        let mut build = Build {
            shown: self.graph.output.iter().map(|o| o.name.clone()).collect(),
            ..Build::default()
        };
        for (input, kind) in inputs::real(self.graph).into_iter().zip(&kinds) {
            let id = build.tensor(&input.name, self.shape(&input.name)?);
            build.inputs.push(id);
            if matches!(kind, Values::Whole(_)) {
                build.whole.insert(id);
            }
        }
        for node in &self.graph.node {
            self.node(node, &mut build)?;
        }
        if !build.refused.is_empty() {
            return Err(Error::Unsupported(build.refused));
        }
        let mut outputs = Vec::new();
        for output in &self.graph.output {
            let id = build.ids.get(&output.name).copied();
            outputs.push(id.ok_or_else(|| self.constant_output(&output.name))?);
        }
        build.simplify(&outputs);
        self.plan(build, outputs, kinds)
    }

    /// The refusal of an output that no input has a part in.
    fn constant_output(&self, name: &str) -> Error {
        let writer = self
            .graph
            .node
            .iter()
            .find(|n| n.output.iter().any(|o| o == name));
        match writer {
            Some(node) => Error::Unsupported(vec![refuse(
                node,
                format!("output `{name}` does not depend on the inputs: there is nothing to prove"),
            )]),
            None => malformed(format!("a constant output `{name}`")),
        }
    }

    fn plan(
        mut self,
        build: Build,
        outputs: Vec<usize>,
        kinds: Vec<Values>,
    ) -> Result<Model, Error> {
        let written = build.nodes.iter().map(|n| n.output);
        let watched = written.filter(|&t| self.names.contains_key(&build.tensors[t].name));
        let watched: Vec<usize> = watched.collect();
        let outlets: Vec<OutletId> = watched
            .iter()
            .map(|&t| self.names[&build.tensors[t].name])
            .collect();
        self.inference
            .select_output_outlets(&outlets)
            .map_err(malformed)?;
        let typed = self.inference.into_typed().map_err(malformed)?;
        let plan = typed
            .into_decluttered()
            .and_then(|m| m.into_runnable())
            .map_err(malformed)?;
        Ok(Model {
            name: self.graph.name.clone(),
            tensors: build.tensors,
            nodes: build.nodes,
            inputs: build.inputs,
            kinds,
            classes: BTreeMap::new(),
            grids: build.grids,
            operators: operators(self.graph),
            outputs,
            plan: Arc::clone(&plan),
            watched,
        })
    }

    fn shape(&self, tensor: &str) -> Result<Vec<usize>, Error> {
        let fact = self
            .inference
            .outlet_fact(self.names[tensor])
            .map_err(malformed)?;
        fact.shape
            .as_concrete_finite()
            .map_err(malformed)?
            .map(|s| s.to_vec())
            .ok_or_else(|| malformed(format!("the shape of `{tensor}` is not known")))
    }

    /// A constant without infinities.
    fn constant(&self, tensor: &str) -> Result<Constant, Error> {
        self.finite_constant(tensor, |v| v)
    }

    /// A constant that is added or chosen, in which minus infinity masks.
    fn masking_constant(&self, tensor: &str) -> Result<Constant, Error> {
        self.finite_constant(tensor, |v| if v == f32::NEG_INFINITY { MASKED } else { v })
    }

    fn finite_constant(&self, tensor: &str, read: impl Fn(f32) -> f32) -> Result<Constant, Error> {
        let unknown = || malformed(format!("the values of `{tensor}` are not known"));
        let outlet = self.names.get(tensor).ok_or_else(unknown)?;
        let fact = self.inference.outlet_fact(*outlet).map_err(malformed)?;
        let value = fact.value.concretize().ok_or_else(unknown)?;
        let cast = value.cast_to::<f32>().map_err(malformed)?;
        let values: Vec<f32> = cast
            .to_plain_array_view::<f32>()
            .map_err(malformed)?
            .iter()
            .map(|v| read(*v))
            .collect();
        match values.iter().position(|v| !v.is_finite()) {
            Some(index) => Err(Error::NotFinite {
                tensor: tensor.into(),
                index,
                value: values[index],
            }),
            None => Ok(Constant {
                shape: value.shape().to_vec(),
                values,
            }),
        }
    }

    /// Integers of a constant tensor, as exact as the file has them.
    fn integers(&self, tensor: &str) -> Result<Vec<i64>, Error> {
        let unknown = || malformed(format!("the values of `{tensor}` are not known"));
        let outlet = self.names.get(tensor).ok_or_else(unknown)?;
        let fact = self.inference.outlet_fact(*outlet).map_err(malformed)?;
        let value = fact.value.concretize().ok_or_else(unknown)?;
        let cast = value.cast_to::<i64>().map_err(malformed)?;
        let view = cast.to_plain_array_view::<i64>().map_err(malformed)?;
        Ok(view.iter().copied().collect())
    }

    fn is_known(&self, tensor: &str) -> bool {
        let fact = self
            .names
            .get(tensor)
            .map(|outlet| self.inference.outlet_fact(*outlet));
        fact.and_then(Result::ok)
            .is_some_and(|fact| fact.value.concretize().is_some())
    }

    fn node(&self, node: &pb::NodeProto, build: &mut Build) -> Result<(), Error> {
        // What reads what a refused node writes says nothing of its own.
        let lost = node.input.iter().any(|name| build.lost.contains(name));
        let before = build.refused.len();
        if !lost {
            self.translated(node, build)?;
        }
        if lost || build.refused.len() > before {
            let written = node.output.iter().filter(|name| !name.is_empty());
            build.lost.extend(written.cloned());
        }
        Ok(())
    }

    fn translated(&self, node: &pb::NodeProto, build: &mut Build) -> Result<(), Error> {
        let active = node.input.iter().filter_map(|n| build.ids.get(n).copied());
        let inputs: Vec<usize> = active.collect();
        let (false, Some(output)) = (inputs.is_empty(), node.output.first()) else {
            return Ok(());
        };
        // Shapes of activations are constants.
        if self.is_known(output) {
            return Ok(());
        }
        // Tensors without elements hold nothing: only concatenations read them, and leave them out.
        if node.output.len() == 1 && self.shape(output)?.contains(&0) {
            return Ok(());
        }
        if quantized::is_quantized(&node.op_type) {
            return self.taken_apart(node, build, |parts| parts.quantized());
        }
        let input_shape = build.tensors[inputs[0]].shape.clone();
        let output_shape = self.shape(output)?;
        let translation = match self.op(node, inputs.len(), &input_shape, &output_shape) {
            // What is wrong is one node's: it is named with the others.
            Err(Error::Malformed(problem)) => {
                build.refused.push(refuse(node, problem));
                return Ok(());
            }
            translation => translation?,
        };
        let problem = match translation {
            Ok(Translated::Op(op)) => {
                let rows = op.linear().map(|(rows, ..)| rows);
                let steps = rows.and_then(|rows| self.weight_steps(node, rows));
                build.push(node, op, inputs, output_shape);
                if let Some(steps) = steps {
                    build.grids.insert(build.tensors.len() - 1, steps);
                }
                return Ok(());
            }
            Ok(Translated::Affine(affine)) => {
                let alone = self.read_once(&build.tensors[inputs[0]].name);
                if build.fuse(node, &affine, inputs[0], &output_shape, alone) {
                    return Ok(());
                }
                if node.input.first() == Some(&build.tensors[inputs[0]].name)
                    && input_shape.len() > 4
                {
                    return self.taken_apart(node, build, |parts| match parts.translate()? {
                        Some(outcome) => Ok(outcome),
                        None => parts.by_channels(&affine),
                    });
                }
                "a constant that varies in a way that is not built".to_owned()
            }
            Err(problem) => problem,
        };
        self.taken_apart(node, build, |parts| {
            Ok(parts.translate()?.unwrap_or(Err(problem)))
        })
    }

    fn taken_apart<'a>(
        &'a self,
        node: &'a pb::NodeProto,
        build: &mut Build,
        translate: impl FnOnce(&mut Parts<'a, '_>) -> Result<parts::Outcome, Error>,
    ) -> Result<(), Error> {
        let outcome = match translate(&mut Parts::new(self, node, build)) {
            Err(Error::Malformed(problem)) => Err(problem),
            outcome => outcome?,
        };
        if let Err(problem) = outcome {
            build.refused.push(refuse(node, problem));
        }
        Ok(())
    }

    /// Whether one node reads the tensor and it is no output.
    fn read_once(&self, name: &str) -> bool {
        let reads = self.graph.node.iter().flat_map(|n| &n.input);
        let shown = self.graph.output.iter().any(|o| o.name == name);
        reads.filter(|n| *n == name).count() == 1 && !shown
    }
}

/// Names and operators of all nodes, by their names and those of what they write.
fn operators(graph: &pb::GraphProto) -> BTreeMap<String, (String, String)> {
    let named = |node: &pb::NodeProto| {
        let own = (display_name(node), node.op_type.clone());
        let names = node.output.iter().cloned().chain([own.0.clone()]);
        names.map(|name| (name, own.clone())).collect::<Vec<_>>()
    };
    graph.node.iter().flat_map(named).collect()
}
