//! The float model: ONNX nodes as tract parses them, in our own small form with names kept.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use tract_onnx::pb::{self, NodeProto};
use tract_onnx::prelude::*;
use zkernel_gadgets::model::Function;

/// Largest ONNX file read, in bytes.
pub const MAX_BYTES: u64 = 1 << 30;
/// Most elements of a tensor.
pub const MAX_ELEMENTS: usize = 1 << 28;
/// Most nodes of a graph.
pub const MAX_NODES: usize = 1 << 16;

/// Why an ONNX file was not understood.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Not an ONNX model, or one tract cannot parse.
    #[error("not a readable ONNX model: {0}")]
    Parse(String),
    /// Operators that are not built; all of them at once.
    #[error("operators that zkernel cannot prove yet: {}", .0.iter().map(|(op, node)| format!("{op} (node `{node}`)")).collect::<Vec<_>>().join(", "))]
    Unsupported(Vec<(String, String)>),
    /// A node uses a known operator in a way that is not built.
    #[error("node `{node}` ({op}): {problem}")]
    Node {
        /// The node.
        node: String,
        /// Its operator.
        op: String,
        /// What is not possible.
        problem: String,
    },
    /// A model beyond the limits of this front end.
    #[error("the model is too large: {0}")]
    TooLarge(String),
    /// The float run failed.
    #[error("float run: {0}")]
    Run(String),
}

/// What a layer computes on reals.
#[derive(Clone, Debug, PartialEq)]
pub enum Layer {
    /// `y = W x + b` over the last axis.
    Dense {
        /// Output features.
        rows: usize,
        /// Input features.
        cols: usize,
        /// W, row-major.
        weights: Vec<f32>,
        /// b, if not zero.
        bias: Option<Vec<f32>>,
    },
    /// A function of each element.
    Activation(Function),
    /// Index of the first maximum along the last axis.
    ArgMax,
    /// The same elements under another shape.
    Reshape,
}

/// A node of the float model.
#[derive(Clone, Debug)]
pub struct LayerNode {
    /// Name from the ONNX graph.
    pub name: String,
    /// What it computes.
    pub layer: Layer,
    /// Index of the tensor it reads: 0 is the input, i + 1 the output of node i.
    pub input: usize,
    /// Shape of its output.
    pub shape: Vec<usize>,
}

/// A float model with one input and one output.
#[derive(Clone)]
pub struct Model {
    /// Name of the model.
    pub name: String,
    /// Name of the input tensor.
    pub input_name: String,
    /// Shape of the input.
    pub input_shape: Vec<usize>,
    /// The layers in topological order; the last one is the output.
    pub layers: Vec<LayerNode>,
    reference: Reference,
}

impl Model {
    /// Reads a model from a file.
    ///
    /// # Errors
    /// [`ModelError`]; unsupported operators are all named at once.
    pub fn load(path: &Path) -> Result<Self, ModelError> {
        let io = |source| ModelError::Io {
            path: path.display().to_string(),
            source,
        };
        let size = std::fs::metadata(path).map_err(io)?.len();
        if size > MAX_BYTES {
            return Err(ModelError::TooLarge(format!(
                "{size} bytes, the limit is {MAX_BYTES}"
            )));
        }
        let bytes = std::fs::read(path).map_err(io)?;
        let name = path.file_stem().map_or_else(
            || "model".into(),
            |stem| stem.to_string_lossy().into_owned(),
        );
        Self::parse(&bytes, &name)
    }

    /// Reads a model from bytes.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn parse(bytes: &[u8], name: &str) -> Result<Self, ModelError> {
        let parse = |e: TractError| ModelError::Parse(format!("{e:#}"));
        let onnx = onnx();
        let proto = onnx.proto_model_for_read(&mut &*bytes).map_err(parse)?;
        let graph = proto
            .graph
            .as_ref()
            .ok_or_else(|| ModelError::Parse("no graph".into()))?;
        let mut reader = GraphReader::new(graph)?;
        let (input_name, input_shape) = reader.input(graph)?;
        let layers = reader.layers(graph, &input_name, &input_shape)?;
        let reference = reference_run(&onnx, &proto, &input_shape)?;
        Ok(Self {
            name: name.into(),
            input_name,
            input_shape,
            layers,
            reference,
        })
    }

    /// Elements of the input.
    #[must_use]
    pub fn input_len(&self) -> usize {
        self.input_shape.iter().product()
    }

    /// Number of parameters.
    #[must_use]
    pub fn parameters(&self) -> usize {
        let of = |layer: &LayerNode| match &layer.layer {
            Layer::Dense { weights, bias, .. } => weights.len() + bias.as_ref().map_or(0, Vec::len),
            _ => 0,
        };
        self.layers.iter().map(of).sum()
    }

    /// Outputs by tract: the float reference.
    ///
    /// # Errors
    /// [`ModelError::Run`].
    pub fn run(&self, input: &[f32]) -> Result<Vec<f32>, ModelError> {
        (self.reference)(input)
    }

    /// Values of all tensors, the input first, by our own float evaluation.
    #[must_use]
    pub fn run_layers(&self, input: &[f32]) -> Vec<Vec<f32>> {
        let mut values = vec![input.to_vec()];
        for node in &self.layers {
            let x = &values[node.input];
            values.push(node.layer.float(x, node.shape.iter().product()));
        }
        values
    }
}

impl Layer {
    /// The layer on reals.
    fn float(&self, x: &[f32], len: usize) -> Vec<f32> {
        match self {
            Self::Dense {
                cols,
                weights,
                bias,
                ..
            } => {
                let row = |x: &[f32]| {
                    let rows = weights.chunks(*cols).enumerate();
                    let dot = |(i, w): (usize, &[f32])| {
                        let sum: f64 = w
                            .iter()
                            .zip(x)
                            .map(|(w, x)| f64::from(*w) * f64::from(*x))
                            .sum();
                        (sum + bias.as_ref().map_or(0.0, |b| f64::from(b[i]))) as f32
                    };
                    rows.map(dot).collect::<Vec<_>>()
                };
                x.chunks(*cols).flat_map(row).collect()
            }
            Self::Activation(function) => x
                .iter()
                .map(|x| function.float(f64::from(*x)) as f32)
                .collect(),
            Self::ArgMax => {
                let classes = x.len() / len.max(1);
                let first = |row: &[f32]| {
                    (0..row.len())
                        .rev()
                        .max_by(|a, b| row[*a].total_cmp(&row[*b]))
                        .unwrap_or(0)
                };
                x.chunks(classes.max(1))
                    .map(|row| first(row) as f32)
                    .collect()
            }
            Self::Reshape => x.to_vec(),
        }
    }
}

/// A float run by tract.
type Reference = Arc<dyn Fn(&[f32]) -> Result<Vec<f32>, ModelError> + Send + Sync>;

/// tract's own run of the model, as written, with the batch dimension set to one.
fn reference_run(
    onnx: &tract_onnx::Onnx,
    proto: &pb::ModelProto,
    shape: &[usize],
) -> Result<Reference, ModelError> {
    let parse = |e: TractError| ModelError::Parse(format!("{e:#}"));
    let model = onnx.model_for_proto_model(proto).map_err(parse)?;
    let model = model
        .with_input_fact(0, f32::fact(shape).into())
        .map_err(parse)?;
    let model = model
        .into_typed()
        .and_then(|m| m.into_decluttered())
        .and_then(|m| m.into_runnable())
        .map_err(parse)?;
    let shape = shape.to_vec();
    Ok(Arc::new(move |input| {
        let run = |e: TractError| ModelError::Run(format!("{e:#}"));
        let tensor = Tensor::from_shape(&shape, input).map_err(run)?;
        let outputs = model.run(tvec!(tensor.into())).map_err(run)?;
        let first = outputs
            .first()
            .ok_or_else(|| ModelError::Run("no output".into()))?;
        let output = first.cast_to::<f32>().map_err(run)?;
        let view = output.to_plain_array_view::<f32>().map_err(run)?;
        Ok(view.iter().copied().collect())
    }))
}

/// A float constant of the graph.
#[derive(Clone)]
struct Constant {
    dims: Vec<usize>,
    values: Vec<f32>,
}

struct GraphReader {
    constants: HashMap<String, Constant>,
}

impl GraphReader {
    fn new(graph: &pb::GraphProto) -> Result<Self, ModelError> {
        if graph.node.len() > MAX_NODES {
            return Err(ModelError::TooLarge(format!(
                "{} nodes, the limit is {MAX_NODES}",
                graph.node.len()
            )));
        }
        let mut constants = HashMap::new();
        for tensor in &graph.initializer {
            constants.insert(tensor.name.clone(), constant(tensor)?);
        }
        for node in graph.node.iter().filter(|node| node.op_type == "Constant") {
            if let (Some(output), Some(value)) = (
                node.output.first(),
                attribute(node, "value").and_then(|a| a.t.as_ref()),
            ) {
                constants.insert(output.clone(), constant(value)?);
            }
        }
        Ok(Self { constants })
    }

    /// Name and shape of the one input; symbolic dimensions become one.
    fn input(&self, graph: &pb::GraphProto) -> Result<(String, Vec<usize>), ModelError> {
        let inputs: Vec<_> = graph
            .input
            .iter()
            .filter(|i| !self.constants.contains_key(&i.name))
            .collect();
        let [input] = inputs.as_slice() else {
            return Err(ModelError::Parse(format!(
                "{} inputs, exactly one is supported",
                inputs.len()
            )));
        };
        use pb::tensor_shape_proto::dimension::Value;
        use pb::type_proto::Value as Type;
        let shape = input
            .r#type
            .as_ref()
            .and_then(|t| t.value.as_ref())
            .and_then(|value| match value {
                Type::TensorType(tensor) => tensor.shape.as_ref(),
                #[allow(unreachable_patterns)]
                _ => None,
            });
        let shape = shape
            .ok_or_else(|| ModelError::Parse(format!("input `{}` has no shape", input.name)))?;
        let dimension = |d: &pb::tensor_shape_proto::Dimension| match d.value {
            Some(Value::DimValue(n)) if n > 0 => usize::try_from(n).unwrap_or(1),
            _ => 1,
        };
        let shape: Vec<usize> = shape.dim.iter().map(dimension).collect();
        elements(&shape, &input.name)?;
        Ok((input.name.clone(), shape))
    }

    fn layers(
        &mut self,
        graph: &pb::GraphProto,
        input: &str,
        shape: &[usize],
    ) -> Result<Vec<LayerNode>, ModelError> {
        let unsupported = unsupported(graph);
        if !unsupported.is_empty() {
            return Err(ModelError::Unsupported(unsupported));
        }
        let mut layers: Vec<LayerNode> = Vec::new();
        let mut tensors: HashMap<String, usize> = HashMap::from([(input.to_owned(), 0)]);
        for (index, node) in graph
            .node
            .iter()
            .enumerate()
            .filter(|(_, node)| node.op_type != "Constant")
        {
            let name = if node.name.is_empty() {
                format!("{}_{index}", node.op_type)
            } else {
                node.name.clone()
            };
            let fail = |problem: &str| ModelError::Node {
                node: name.clone(),
                op: node.op_type.clone(),
                problem: problem.into(),
            };
            let source = node.input.iter().find_map(|i| tensors.get(i).copied());
            let source = source.ok_or_else(|| fail("reads no tensor that depends on the input"))?;
            let of_source = if source == 0 {
                shape.to_vec()
            } else {
                layers[source - 1].shape.clone()
            };
            let (layer, shape) = self
                .layer(node, &of_source)
                .map_err(|problem| fail(&problem))?;
            let output = node.output.first().cloned().unwrap_or_default();
            match (layer, source) {
                (Built::Bias(added), source) if source > 0 => {
                    let Layer::Dense {
                        rows,
                        bias: bias @ None,
                        ..
                    } = &mut layers[source - 1].layer
                    else {
                        return Err(fail(
                            "adds a constant to something that is not a product with a matrix",
                        ));
                    };
                    if added.len() != *rows {
                        return Err(fail(
                            "adds a constant of another length than the product has features",
                        ));
                    }
                    *bias = Some(added);
                    tensors.insert(output, source);
                }
                (Built::Bias(_), _) => return Err(fail("adds a constant to the input")),
                (Built::Same, source) => {
                    tensors.insert(output, source);
                }
                (Built::Layer(layer), input) => {
                    layers.push(LayerNode {
                        name,
                        layer,
                        input,
                        shape,
                    });
                    tensors.insert(output, layers.len());
                }
            }
        }
        let output = graph
            .output
            .first()
            .and_then(|o| tensors.get(&o.name).copied());
        match output {
            Some(last) if last == layers.len() && last > 0 => Ok(layers),
            _ => Err(ModelError::Parse(
                "the first output must be the last thing that is computed".into(),
            )),
        }
    }

    fn layer(&self, node: &NodeProto, shape: &[usize]) -> Result<(Built, Vec<usize>), String> {
        let same = |function| Ok((Built::Layer(Layer::Activation(function)), shape.to_vec()));
        match node.op_type.as_str() {
            "Relu" => same(Function::Relu),
            "Sigmoid" => same(Function::Sigmoid),
            "Tanh" => same(Function::Tanh),
            "Erf" => same(Function::Erf),
            "Gelu" => same(Function::Gelu),
            "Softplus" => same(Function::Softplus),
            "Exp" => same(Function::Exp),
            "Abs" => same(Function::Abs),
            "Identity" | "Dropout" | "Cast" => Ok((Built::Same, shape.to_vec())),
            "Gemm" => self.gemm(node, shape),
            "MatMul" => self.matmul(node, shape),
            "Add" => Ok((Built::Bias(self.operand(node)?.values), shape.to_vec())),
            "ArgMax" => argmax(node, shape),
            _ => self.reshape(node, shape),
        }
    }

    /// The constant operand of a node.
    fn operand(&self, node: &NodeProto) -> Result<Constant, String> {
        let constant = node.input.iter().find_map(|name| self.constants.get(name));
        constant
            .cloned()
            .ok_or_else(|| "needs one constant operand".into())
    }

    fn gemm(&self, node: &NodeProto, shape: &[usize]) -> Result<(Built, Vec<usize>), String> {
        let float = |name, default| attribute(node, name).map_or(default, |a| a.f);
        let int = |name| attribute(node, name).is_some_and(|a| a.i != 0);
        if int("transA") {
            return Err("transA is not supported".into());
        }
        let matrix = node.input.get(1).and_then(|name| self.constants.get(name));
        let matrix = matrix.ok_or("its second operand must be constant")?;
        let (alpha, beta) = (float("alpha", 1.0), float("beta", 1.0));
        let mut built = dense(matrix, int("transB"), shape)?;
        if let (
            Built::Layer(Layer::Dense {
                rows,
                weights,
                bias,
                ..
            }),
            _,
        ) = &mut built
        {
            weights.iter_mut().for_each(|w| *w *= alpha);
            if let Some(name) = node.input.get(2).filter(|name| !name.is_empty()) {
                let c = self
                    .constants
                    .get(name)
                    .ok_or("its third operand must be constant")?;
                let values: Vec<f32> = c.values.iter().map(|v| v * beta).collect();
                *bias = match values.len() {
                    1 => Some(vec![values[0]; *rows]),
                    n if n == *rows => Some(values),
                    _ => {
                        return Err(
                            "its third operand must have one value per output feature".into()
                        );
                    }
                };
            }
        }
        Ok(built)
    }

    fn matmul(&self, node: &NodeProto, shape: &[usize]) -> Result<(Built, Vec<usize>), String> {
        let matrix = node.input.get(1).and_then(|name| self.constants.get(name));
        dense(
            matrix.ok_or("its second operand must be constant")?,
            false,
            shape,
        )
    }

    /// Flatten, Reshape, Squeeze, Unsqueeze: the same elements.
    fn reshape(&self, node: &NodeProto, shape: &[usize]) -> Result<(Built, Vec<usize>), String> {
        let total: usize = shape.iter().product();
        let target = node.input.get(1).and_then(|name| self.constants.get(name));
        let axes: Vec<i64> = target.map_or_else(
            || attribute(node, "axes").map_or_else(Vec::new, |a| a.ints.clone()),
            |c| c.values.iter().map(|v| *v as i64).collect(),
        );
        let out = match node.op_type.as_str() {
            "Flatten" => {
                let axis = attribute(node, "axis").map_or(1, |a| a.i);
                let axis = if axis < 0 {
                    axis + shape.len() as i64
                } else {
                    axis
                } as usize;
                let outer: usize = shape.iter().take(axis).product();
                vec![outer, total / outer.max(1)]
            }
            "Reshape" => {
                let known: usize = axes
                    .iter()
                    .zip(0..)
                    .filter(|(d, _)| **d != -1)
                    .map(|(d, i)| dim(*d, shape, i))
                    .product();
                let fill = total / known.max(1);
                axes.iter()
                    .zip(0..)
                    .map(|(d, i)| if *d == -1 { fill } else { dim(*d, shape, i) })
                    .collect()
            }
            "Squeeze" => shape.iter().copied().filter(|d| *d != 1).collect(),
            _ => {
                let mut out = shape.to_vec();
                for axis in axes {
                    let at = if axis < 0 {
                        axis + out.len() as i64 + 1
                    } else {
                        axis
                    };
                    out.insert((at as usize).min(out.len()), 1);
                }
                out
            }
        };
        if out.iter().product::<usize>() != total {
            return Err(format!("cannot reshape {shape:?} to {out:?}"));
        }
        Ok((Built::Layer(Layer::Reshape), out))
    }
}

enum Built {
    Layer(Layer),
    Bias(Vec<f32>),
    Same,
}

fn dim(d: i64, shape: &[usize], index: usize) -> usize {
    if d == 0 {
        shape.get(index).copied().unwrap_or(1)
    } else {
        usize::try_from(d).unwrap_or(1)
    }
}

fn dense(
    matrix: &Constant,
    transposed: bool,
    shape: &[usize],
) -> Result<(Built, Vec<usize>), String> {
    let [a, b] = matrix.dims.as_slice() else {
        return Err("its matrix must have two dimensions".into());
    };
    let (rows, cols) = if transposed { (*a, *b) } else { (*b, *a) };
    if shape.last() != Some(&cols) {
        return Err(format!(
            "multiplies {shape:?} by a matrix of {cols} input features"
        ));
    }
    let at = |i: usize, j: usize| {
        matrix.values[if transposed {
            i * cols + j
        } else {
            j * rows + i
        }]
    };
    let weights = (0..rows)
        .flat_map(|i| (0..cols).map(move |j| (i, j)))
        .map(|(i, j)| at(i, j))
        .collect();
    let mut out = shape.to_vec();
    if let Some(last) = out.last_mut() {
        *last = rows;
    }
    Ok((
        Built::Layer(Layer::Dense {
            rows,
            cols,
            weights,
            bias: None,
        }),
        out,
    ))
}

fn argmax(node: &NodeProto, shape: &[usize]) -> Result<(Built, Vec<usize>), String> {
    let axis = attribute(node, "axis").map_or(0, |a| a.i);
    if axis != -1 && axis != shape.len() as i64 - 1 {
        return Err("only the last axis is supported".into());
    }
    if attribute(node, "select_last_index").is_some_and(|a| a.i != 0) {
        return Err("select_last_index is not supported".into());
    }
    let mut out = shape.to_vec();
    out.pop();
    if attribute(node, "keepdims").is_none_or(|a| a.i != 0) {
        out.push(1);
    }
    Ok((Built::Layer(Layer::ArgMax), out))
}

const SUPPORTED: [&str; 20] = [
    "Constant",
    "Relu",
    "Sigmoid",
    "Tanh",
    "Erf",
    "Gelu",
    "Softplus",
    "Exp",
    "Abs",
    "Identity",
    "Dropout",
    "Cast",
    "Gemm",
    "MatMul",
    "Add",
    "ArgMax",
    "Flatten",
    "Reshape",
    "Squeeze",
    "Unsqueeze",
];

fn unsupported(graph: &pb::GraphProto) -> Vec<(String, String)> {
    let nodes = graph
        .node
        .iter()
        .filter(|node| !SUPPORTED.contains(&node.op_type.as_str()));
    nodes
        .map(|node| (node.op_type.clone(), node.name.clone()))
        .collect()
}

fn attribute<'a>(node: &'a NodeProto, name: &str) -> Option<&'a pb::AttributeProto> {
    node.attribute.iter().find(|a| a.name == name)
}

fn elements(dims: &[usize], name: &str) -> Result<usize, ModelError> {
    let total = dims
        .iter()
        .try_fold(1usize, |n, d| n.checked_mul(*d))
        .filter(|n| *n <= MAX_ELEMENTS);
    total.ok_or_else(|| {
        ModelError::TooLarge(format!(
            "`{name}` has shape {dims:?}, the limit is {MAX_ELEMENTS} elements"
        ))
    })
}

/// A float or integer constant stored inside the file.
fn constant(tensor: &pb::TensorProto) -> Result<Constant, ModelError> {
    let bad = |problem: &str| ModelError::Parse(format!("constant `{}`: {problem}", tensor.name));
    if !tensor.external_data.is_empty() {
        return Err(bad("external data is not read"));
    }
    let dims: Option<Vec<usize>> = tensor
        .dims
        .iter()
        .map(|d| usize::try_from(*d).ok())
        .collect();
    let dims = dims.ok_or_else(|| bad("negative dimension"))?;
    let len = elements(&dims, &tensor.name)?;
    let raw = &tensor.raw_data;
    let values: Vec<f32> = match tensor.data_type {
        1 if raw.is_empty() => tensor.float_data.clone(),
        1 => raw
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect(),
        11 if raw.is_empty() => tensor.double_data.iter().map(|v| *v as f32).collect(),
        7 if raw.is_empty() => tensor.int64_data.iter().map(|v| *v as f32).collect(),
        7 | 11 => {
            let word = |b: &[u8]| <[u8; 8]>::try_from(b).unwrap_or_default();
            let is_int = tensor.data_type == 7;
            let value = |b| {
                if is_int {
                    i64::from_le_bytes(word(b)) as f32
                } else {
                    f64::from_le_bytes(word(b)) as f32
                }
            };
            raw.chunks_exact(8).map(value).collect()
        }
        other => return Err(bad(&format!("element type {other} is not supported"))),
    };
    if values.len() != len {
        return Err(bad(&format!("{} values for shape {dims:?}", values.len())));
    }
    if values.iter().any(|v| !v.is_finite()) {
        return Err(bad("holds a value that is not finite"));
    }
    Ok(Constant { dims, values })
}
