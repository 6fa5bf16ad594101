//! From an ONNX file to the float network.
//!
//! tract decodes the file, infers shapes and folds constants, before any optimisation, so that node names survive; the
//! operators are read from the file's own nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use tract_onnx::pb;
use tract_onnx::prelude::{
    Datum, DatumType, Framework, InferenceFact, InferenceModelExt, IntoRunnable, OutletId,
};
use tract_onnx::tract_hir::infer::{Factoid, InferenceModel};
use zkernel_gadgets::model::Function;

use crate::model::{FloatNode, FloatOp, FloatTensor, Model};
use crate::samples::read_capped;
use crate::{Error, UnsupportedNode};

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

/// A constant of the graph.
struct Constant {
    shape: Vec<usize>,
    values: Vec<f32>,
}

/// Operators whose result is a constant when their inputs are; none of them makes a larger tensor.
const FOLDED: [&str; 8] = [
    "Constant",
    "Identity",
    "Transpose",
    "Reshape",
    "Squeeze",
    "Unsqueeze",
    "Flatten",
    "Cast",
];

impl Model {
    /// Reads an ONNX file with the default [`Limits`].
    ///
    /// # Errors
    /// [`Error::File`], and as [`Model::from_bytes`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        let limits = Limits::default();
        Self::from_bytes(&read_capped(path.as_ref(), limits.file_bytes)?, &limits)
    }

    /// Reads an ONNX model from memory. The first dimension of an input counts samples: where it is symbolic, it is 1.
    ///
    /// # Errors
    /// [`Error::Unsupported`] lists every operator that is not built; [`Error::Malformed`], [`Error::TooLarge`],
    /// [`Error::ExternalData`], [`Error::Dynamic`] otherwise. Bytes that make tract panic are [`Error::Malformed`].
    pub fn from_bytes(bytes: &[u8], limits: &Limits) -> Result<Self, Error> {
        cap("model (bytes)", bytes.len() as u64, limits.file_bytes)?;
        catch_unwind(AssertUnwindSafe(|| read(bytes, limits)))
            .unwrap_or_else(|_| Err(Error::Malformed("the decoder gave up on it".into())))
    }
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

fn read(bytes: &[u8], limits: &Limits) -> Result<Model, Error> {
    let onnx = tract_onnx::onnx()
        .with_ignore_output_shapes(true)
        .with_ignore_output_types(true)
        .with_ignore_value_info(true);
    let mut reader = bytes;
    let proto = onnx.proto_model_for_read(&mut reader).map_err(malformed)?;
    let graph = proto.graph.as_ref().ok_or_else(|| malformed("no graph"))?;
    check(graph, limits)?;
    let unsupported = unsupported(graph);
    if !unsupported.is_empty() {
        return Err(Error::Unsupported(unsupported));
    }
    let parsed = onnx.parse(&proto, None).map_err(malformed)?;
    if !parsed.unresolved_inputs.is_empty() {
        return Err(malformed(format!(
            "undefined tensors {:?}",
            parsed.unresolved_inputs
        )));
    }
    let mut inference = parsed.model;
    fix_inputs(&mut inference, graph, limits)?;
    inference.analyse(false).map_err(malformed)?;
    let names: BTreeMap<String, OutletId> = parsed.outlets_by_name.into_iter().collect();
    Import {
        graph,
        inference,
        names,
    }
    .model()
}

/// Sizes, external data and names, before anything is built from them.
fn check(graph: &pb::GraphProto, limits: &Limits) -> Result<(), Error> {
    cap("number of nodes", graph.node.len() as u64, limits.nodes)?;
    let attributes = graph.node.iter().flat_map(|n| &n.attribute);
    if attributes
        .clone()
        .any(|a| a.g.is_some() || a.sparse_tensor.is_some())
    {
        return Err(malformed("subgraphs and sparse tensors are not read"));
    }
    for tensor in graph
        .initializer
        .iter()
        .chain(attributes.filter_map(|a| a.t.as_ref()))
    {
        if tensor.data_location.unwrap_or(0) != 0 || !tensor.external_data.is_empty() {
            return Err(Error::ExternalData(tensor.name.clone()));
        }
        cap(&tensor.name, product(&tensor.dims)?, limits.tensor_values)?;
    }
    let mut known: BTreeSet<&str> = graph.initializer.iter().map(|t| &*t.name).collect();
    known.extend(graph.input.iter().map(|i| &*i.name));
    for node in &graph.node {
        if let Some(name) = node
            .input
            .iter()
            .find(|n| !n.is_empty() && !known.contains(&***n))
        {
            return Err(malformed(format!(
                "tensor `{name}` is read before it is written"
            )));
        }
        for name in node.output.iter().filter(|n| !n.is_empty()) {
            if !known.insert(name) {
                return Err(malformed(format!("tensor `{name}` is written twice")));
            }
        }
    }
    if graph.output.is_empty() || graph.output.iter().any(|o| !known.contains(&*o.name)) {
        return Err(malformed("an output is missing"));
    }
    Ok(())
}

fn product(dims: &[i64]) -> Result<u64, Error> {
    dims.iter()
        .try_fold(1u64, |p, &d| {
            u64::try_from(d).ok().and_then(|d| p.checked_mul(d))
        })
        .ok_or_else(|| malformed(format!("impossible shape {dims:?}")))
}

fn function(op: &str) -> Option<Function> {
    Some(match op {
        "Relu" => Function::Relu,
        "Sigmoid" => Function::Sigmoid,
        "Tanh" => Function::Tanh,
        "Erf" => Function::Erf,
        "Exp" => Function::Exp,
        "Softplus" => Function::Softplus,
        "Abs" => Function::Abs,
        "Gelu" => Function::Gelu,
        _ => return None,
    })
}

fn display_name(node: &pb::NodeProto) -> String {
    if node.name.is_empty() {
        node.output.first().cloned().unwrap_or_default()
    } else {
        node.name.clone()
    }
}

fn refuse(node: &pb::NodeProto, problem: impl Into<String>) -> UnsupportedNode {
    UnsupportedNode {
        node: display_name(node),
        op: node.op_type.clone(),
        problem: problem.into(),
    }
}

/// Every node that the importer cannot translate, found without running anything.
fn unsupported(graph: &pb::GraphProto) -> Vec<UnsupportedNode> {
    let mut constant: BTreeSet<&str> = graph.initializer.iter().map(|t| &*t.name).collect();
    constant.insert("");
    let mut found = Vec::new();
    for node in &graph.node {
        let fixed: Vec<bool> = node.input.iter().map(|n| constant.contains(&**n)).collect();
        if FOLDED.contains(&&*node.op_type) && fixed.iter().all(|&f| f) {
            constant.extend(node.output.iter().map(|n| &**n));
        } else if let Some(problem) = problem(node, &fixed) {
            found.push(refuse(node, problem));
        }
    }
    found
}

/// Why a node cannot be translated, given which of its inputs are constants.
fn problem(node: &pb::NodeProto, fixed: &[bool]) -> Option<&'static str> {
    if !matches!(&*node.domain, "" | "ai.onnx") {
        return Some("operator of another domain");
    }
    let activations = fixed.iter().filter(|f| !**f).count();
    let (first, second) = (fixed.first() == Some(&false), fixed.get(1) == Some(&true));
    match &*node.op_type {
        "Gemm" if int(node, "transA", 0) != 0 => Some("transA is not built"),
        "Gemm" | "MatMul" if !(first && second && activations == 1) => {
            Some("only an activation times a constant matrix is built")
        }
        "Add" if activations != 1 || fixed.len() != 2 => Some("only a constant bias is built"),
        "Gelu" if attribute(node, "approximate").is_some_and(|a| a.s == b"tanh") => {
            Some("the tanh approximation is not built")
        }
        "Dropout" if fixed.get(2) == Some(&false) => Some("training mode is not built"),
        "ArgMax" if int(node, "select_last_index", 0) != 0 => {
            Some("select_last_index is not built")
        }
        "Gemm" | "MatMul" | "Add" | "ArgMax" | "Flatten" | "Reshape" | "Squeeze" | "Unsqueeze"
        | "Identity" | "Dropout" | "Cast" => None,
        op if function(op).is_some() => None,
        _ => Some("operator not built"),
    }
}

fn attribute<'a>(node: &'a pb::NodeProto, name: &str) -> Option<&'a pb::AttributeProto> {
    node.attribute.iter().find(|a| a.name == name)
}

fn int(node: &pb::NodeProto, name: &str, default: i64) -> i64 {
    attribute(node, name).map_or(default, |a| a.i)
}

fn float(node: &pb::NodeProto, name: &str) -> f32 {
    attribute(node, name).map_or(1.0, |a| a.f)
}

/// Batch 1, `f32`, every other dimension known.
fn fix_inputs(
    inference: &mut InferenceModel,
    graph: &pb::GraphProto,
    limits: &Limits,
) -> Result<(), Error> {
    let initial: BTreeSet<&str> = graph.initializer.iter().map(|t| &*t.name).collect();
    let real = graph.input.iter().filter(|i| !initial.contains(&*i.name));
    for (index, input) in real.enumerate() {
        let shape = input_shape(input)?;
        let dims: Vec<i64> = shape.iter().map(|&d| d as i64).collect();
        cap(&input.name, product(&dims)?, limits.tensor_values)?;
        let fact = InferenceFact::dt_shape(f32::datum_type(), &*shape);
        inference.set_input_fact(index, fact).map_err(malformed)?;
    }
    Ok(())
}

fn input_shape(input: &pb::ValueInfoProto) -> Result<Vec<usize>, Error> {
    use pb::tensor_shape_proto::dimension::Value;
    let kind = input.r#type.as_ref().and_then(|t| t.value.as_ref());
    let Some(pb::type_proto::Value::TensorType(kind)) = kind else {
        return Err(malformed(format!(
            "input `{}` has no tensor type",
            input.name
        )));
    };
    // 1 is FLOAT in the ONNX specification.
    if kind.elem_type != 1 {
        return Err(malformed(format!("input `{}` is not float32", input.name)));
    }
    let dims = kind
        .shape
        .as_ref()
        .map(|s| s.dim.as_slice())
        .unwrap_or_default();
    dims.iter()
        .enumerate()
        .map(|(axis, dim)| match dim.value {
            Some(Value::DimValue(d)) if d > 0 => Ok(d as usize),
            _ if axis == 0 => Ok(1),
            _ => Err(Error::Dynamic {
                tensor: input.name.clone(),
                axis,
            }),
        })
        .collect()
}

struct Import<'a> {
    graph: &'a pb::GraphProto,
    inference: InferenceModel,
    names: BTreeMap<String, OutletId>,
}

impl Import<'_> {
    fn model(self) -> Result<Model, Error> {
        let mut build = Build::default();
        let initial: BTreeSet<&str> = self.graph.initializer.iter().map(|t| &*t.name).collect();
        for input in self
            .graph
            .input
            .iter()
            .filter(|i| !initial.contains(&*i.name))
        {
            let id = build.tensor(&input.name, self.shape(&input.name)?);
            build.inputs.push(id);
        }
        for node in &self.graph.node {
            self.node(node, &mut build)?;
        }
        if !build.refused.is_empty() {
            return Err(Error::Unsupported(build.refused));
        }
        let mut outputs = Vec::new();
        for output in &self.graph.output {
            outputs.push(
                *build
                    .ids
                    .get(&output.name)
                    .ok_or_else(|| malformed("a constant output"))?,
            );
        }
        self.plan(build, outputs)
    }

    fn plan(mut self, build: Build, outputs: Vec<usize>) -> Result<Model, Error> {
        let watched: Vec<usize> = build.nodes.iter().map(|n| n.output).collect();
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

    fn constant(&self, tensor: &str) -> Result<Constant, Error> {
        let unknown = || malformed(format!("the values of `{tensor}` are not known"));
        let outlet = self.names.get(tensor).ok_or_else(unknown)?;
        let fact = self.inference.outlet_fact(*outlet).map_err(malformed)?;
        let value = fact.value.concretize().ok_or_else(unknown)?;
        let cast = value.cast_to::<f32>().map_err(malformed)?;
        let values: Vec<f32> = cast
            .to_plain_array_view::<f32>()
            .map_err(malformed)?
            .iter()
            .copied()
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

    fn node(&self, node: &pb::NodeProto, build: &mut Build) -> Result<(), Error> {
        let active = node.input.iter().find_map(|n| build.ids.get(n).copied());
        let (Some(input), Some(output)) = (active, node.output.first()) else {
            return Ok(());
        };
        let input_shape = build.tensors[input].shape.clone();
        let output_shape = self.shape(output)?;
        match self.op(node, &input_shape, &output_shape)? {
            Ok(FloatOp::Dense {
                rows: 0,
                bias: Some(bias),
                ..
            }) => {
                self.add(node, input, bias, &output_shape, build);
            }
            Ok(op) => build.push(node, op, input, output_shape),
            Err(problem) => build.refused.push(refuse(node, problem)),
        }
        Ok(())
    }

    /// The op of a node, or what about it is not supported. `Add` is a dense layer without rows until it is fused.
    fn op(
        &self,
        node: &pb::NodeProto,
        input: &[usize],
        output: &[usize],
    ) -> Result<Result<FloatOp, String>, Error> {
        Ok(match &*node.op_type {
            "Gemm" => self.gemm(node, output)?,
            "MatMul" => dense(&self.constant(&node.input[1])?, false, 1.0, None),
            "Add" => {
                let fixed = node.input.iter().find_map(|n| self.constant(n).ok());
                match fixed.and_then(|c| spread(&c, output)) {
                    Some(bias) => Ok(FloatOp::Dense {
                        rows: 0,
                        cols: 0,
                        weights: vec![],
                        bias: Some(bias),
                    }),
                    None => Err("the bias varies along more than the last axis".into()),
                }
            }
            "ArgMax" => {
                let (axis, rank) = (int(node, "axis", 0), input.len() as i64);
                if axis == rank - 1 || axis == -1 {
                    Ok(FloatOp::ArgMax)
                } else {
                    Err("only the last axis is built".into())
                }
            }
            "Cast" if !self.is_float(&node.output[0])? => {
                Err("only float to float is built".into())
            }
            "Flatten" | "Reshape" | "Squeeze" | "Unsqueeze" | "Identity" | "Dropout" | "Cast" => {
                Ok(FloatOp::Reshape)
            }
            op => function(op)
                .map(FloatOp::Function)
                .ok_or_else(|| "operator not built".into()),
        })
    }

    fn is_float(&self, tensor: &str) -> Result<bool, Error> {
        let fact = self
            .inference
            .outlet_fact(self.names[tensor])
            .map_err(malformed)?;
        Ok(fact
            .datum_type
            .concretize()
            .is_some_and(|d: DatumType| d.is_float()))
    }

    fn gemm(
        &self,
        node: &pb::NodeProto,
        output: &[usize],
    ) -> Result<Result<FloatOp, String>, Error> {
        let transposed = int(node, "transB", 0) != 0;
        let beta = float(node, "beta");
        let mut bias = None;
        if let Some(name) = node.input.get(2).filter(|n| !n.is_empty()) {
            match spread(&self.constant(name)?, output) {
                Some(b) => bias = Some(b.into_iter().map(|v| beta * v).collect()),
                None => return Ok(Err("the bias varies along more than the last axis".into())),
            }
        }
        let weights = self.constant(&node.input[1])?;
        Ok(dense(&weights, transposed, float(node, "alpha"), bias))
    }

    /// Fuses a bias into the dense layer before it, if nobody else reads that layer's output.
    fn add(
        &self,
        node: &pb::NodeProto,
        input: usize,
        added: Vec<f32>,
        shape: &[usize],
        build: &mut Build,
    ) {
        let name = &build.tensors[input].name;
        let uses = self
            .graph
            .node
            .iter()
            .flat_map(|n| &n.input)
            .filter(|n| *n == name)
            .count();
        let shown = self.graph.output.iter().any(|o| o.name == *name);
        let same_shape = build.tensors[input].shape.as_slice() == shape;
        let producer = build.nodes.iter().position(|n| n.output == input);
        if let Some(FloatOp::Dense { bias, .. }) = producer
            .filter(|_| uses == 1 && !shown && same_shape)
            .map(|p| &mut build.nodes[p].op)
        {
            *bias = Some(match bias.take() {
                Some(old) => old.iter().zip(&added).map(|(a, b)| a + b).collect(),
                None => added,
            });
            let output = &node.output[0];
            build.ids.insert(output.clone(), input);
            build.tensors[input].name.clone_from(output);
        } else {
            let problem = "only a bias right after a dense layer is built";
            build.refused.push(refuse(node, problem));
        }
    }
}

/// The float network under construction.
#[derive(Default)]
struct Build {
    tensors: Vec<FloatTensor>,
    nodes: Vec<FloatNode>,
    inputs: Vec<usize>,
    ids: BTreeMap<String, usize>,
    refused: Vec<UnsupportedNode>,
}

impl Build {
    fn tensor(&mut self, name: &str, shape: Vec<usize>) -> usize {
        self.tensors.push(FloatTensor {
            name: name.into(),
            shape,
        });
        self.ids.insert(name.into(), self.tensors.len() - 1);
        self.tensors.len() - 1
    }

    fn push(&mut self, node: &pb::NodeProto, op: FloatOp, input: usize, shape: Vec<usize>) {
        let output = self.tensor(&node.output[0], shape);
        self.nodes.push(FloatNode {
            name: display_name(node),
            op,
            inputs: vec![input],
            output,
        });
    }
}

/// The dense layer of a constant matrix, `k x m` unless `transposed`.
fn dense(
    matrix: &Constant,
    transposed: bool,
    alpha: f32,
    bias: Option<Vec<f32>>,
) -> Result<FloatOp, String> {
    let &[a, b] = &*matrix.shape else {
        return Err(format!(
            "the constant has shape {:?}, not that of a matrix",
            matrix.shape
        ));
    };
    let (rows, cols) = if transposed { (a, b) } else { (b, a) };
    if rows == 0 || cols == 0 {
        return Err("an empty matrix".into());
    }
    let at = |i: usize, j: usize| {
        if transposed {
            i * cols + j
        } else {
            j * rows + i
        }
    };
    let weights = (0..rows * cols)
        .map(|p| alpha * matrix.values[at(p / cols, p % cols)])
        .collect();
    Ok(FloatOp::Dense {
        rows,
        cols,
        weights,
        bias,
    })
}

/// A constant broadcast along the last axis of `output`, if it varies along no other.
fn spread(constant: &Constant, output: &[usize]) -> Option<Vec<f32>> {
    let last = *output.last()?;
    match constant.values.as_slice() {
        [one] => Some(vec![*one; last]),
        all if all.len() == last && constant.shape.last() == Some(&last) => Some(all.to_vec()),
        _ => None,
    }
}
