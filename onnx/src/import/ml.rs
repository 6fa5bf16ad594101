//! The operators of `ai.onnx.ml`, written in those of ONNX before the file is read: the reference run, the shapes and the translation
//! are then those of the operators they become.
//!
//! Where the standard says little (labels of two classes, the order of scores), the meaning is that of ONNX Runtime, which exporters
//! are tested with.

use std::collections::BTreeMap;

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, NodeProto, TensorProto};

use super::attributes::{attribute, int, string};
use super::inputs::{declared_shape, element_type, set_element_type};
use super::supported::{display_name, is_onnx, refuse};
use crate::UnsupportedNode;

mod blocks;
mod distances;
mod encoders;
mod ensemble;
mod forest;
mod labels;
mod linear;
mod scaling;
mod strings;
mod sums;
mod svm;
mod writer;

use strings::Strings;
use writer::{Known, Writer};

/// The domain of these operators.
pub(super) const DOMAIN: &str = "ai.onnx.ml";

/// Most values of a constant that is looked into.
const MOST_KNOWN: i64 = 1 << 18;

/// What became of a graph's operators of this domain.
#[derive(Default)]
pub(super) struct Rewriting {
    /// Names and operators of nodes that are gone, by the names of what stands in their place.
    pub(super) gone: BTreeMap<String, (String, String)>,
    /// Nodes that are not built, and why.
    pub(super) refused: Vec<UnsupportedNode>,
    /// The names of classes, by the output that holds their numbers.
    pub(super) classes: BTreeMap<String, Vec<String>>,
}

impl Rewriting {
    /// Refusals of parts as those of the nodes that they are parts of.
    pub(super) fn home(&self, refused: Vec<UnsupportedNode>) -> Vec<UnsupportedNode> {
        let mut all: Vec<UnsupportedNode> = Vec::new();
        for mut node in refused {
            if let Some((name, op)) = self.gone.get(&node.node) {
                (node.node, node.op) = (name.clone(), op.clone());
                if all
                    .iter()
                    .any(|other| (&other.node, &other.op) == (&node.node, &node.op))
                {
                    continue;
                }
            }
            all.push(node);
        }
        all
    }
}

/// Writes all nodes of the domain in operators of ONNX, of that version. Strings become numbers.
pub(super) fn rewrite(graph: &mut GraphProto, opset: i64) -> Rewriting {
    doubles_are_floats(graph);
    let strings = Strings::code(graph);
    let mut all = Rewriting {
        classes: strings.outputs(graph),
        ..Rewriting::default()
    };
    let mut known = known(graph);
    let mut nodes = Vec::with_capacity(graph.node.len());
    for node in std::mem::take(&mut graph.node) {
        let mut writer = Writer::new(&node, opset, &known, &strings);
        match write(&mut writer) {
            Ok(false) => nodes.push(node),
            Ok(true) => {
                let written = writer.written();
                graph.initializer.extend(written.constants);
                known.floats.extend(written.floats);
                let own = (display_name(&node), node.op_type.clone());
                for part in &written.nodes {
                    let keys = part.output.iter().chain([&part.name]);
                    all.gone.extend(keys.map(|key| (key.clone(), own.clone())));
                }
                nodes.extend(written.nodes);
            }
            Err(problem) => {
                all.refused.push(refuse(&node, problem));
                nodes.push(node);
            }
        }
    }
    graph.node = nodes;
    strings.outputs_are_numbers(graph);
    all
}

/// Numbers of 64 bits become those of 32: integers stand for either.
fn doubles_are_floats(graph: &mut GraphProto) {
    let (double, float) = (DataType::Double, DataType::Float);
    for input in graph
        .input
        .iter_mut()
        .filter(|i| element_type(i) == Some(double as i32))
    {
        set_element_type(input, float);
    }
    let of_nodes = graph.node.iter_mut().flat_map(|node| &mut node.attribute);
    for attribute in of_nodes.filter(|a| a.name == "to" && a.i == i64::from(double as i32)) {
        attribute.i = i64::from(float as i32);
    }
    let onnx = graph.node.iter_mut().filter(|node| is_onnx(&node.domain));
    let tensors = onnx
        .flat_map(|node| &mut node.attribute)
        .filter_map(|a| a.t.as_mut());
    let tensors = tensors.chain(&mut graph.initializer);
    for tensor in tensors.filter(|t| t.data_type == double as i32 && t.external_data.is_empty()) {
        let values = tensor_values(tensor).into_iter().map(|v| v as f32);
        *tensor = TensorProto {
            name: tensor.name.clone(),
            dims: tensor.dims.clone(),
            data_type: float as i32,
            float_data: values.collect(),
            ..TensorProto::default()
        };
    }
}

/// What is known of inputs, constants, and what casts write.
fn known(graph: &GraphProto) -> Known {
    let mut known = Known {
        writers: sums::writers(graph),
        ..Known::default()
    };
    let float = DataType::Float as i32;
    let inputs = graph
        .input
        .iter()
        .map(|i| (&i.name, element_type(i), declared_shape(i)));
    let constants = graph
        .initializer
        .iter()
        .map(|t| (&t.name, Some(t.data_type), t.dims.clone()));
    for (name, kind, shape) in inputs.chain(constants) {
        known.shapes.insert(name.clone(), shape);
        if kind == Some(float) {
            known.floats.insert(name.clone());
        }
    }
    let few = graph
        .initializer
        .iter()
        .filter(|t| t.dims.iter().fold(1i64, |p, d| p.saturating_mul(*d)) <= MOST_KNOWN);
    known.constants = few.map(|t| (t.name.clone(), tensor_values(t))).collect();
    let casts = graph
        .node
        .iter()
        .filter(|node| node.op_type == "Cast" && int(node, "to", 0) == i64::from(float));
    known
        .floats
        .extend(casts.flat_map(|node| node.output.clone()));
    known
}

/// Writes one node; false for one that stays as it is.
fn write(w: &mut Writer<'_>) -> Result<bool, String> {
    let empty = w.node.input.is_empty() || w.node.output.is_empty();
    if w.node.domain == DOMAIN {
        return match empty {
            true => Err("it has no input or no output".into()),
            false => write_classic(w).map(|()| true),
        };
    }
    Ok(match &*w.node.op_type {
        _ if empty || !is_onnx(&w.node.domain) => false,
        "ReduceLogSumExp" => sums::log_sum_exp(w),
        "Exp" => sums::softmax(w),
        "Scan" => distances::scan(w),
        _ => false,
    })
}

/// Writes one node of the domain.
fn write_classic(w: &mut Writer<'_>) -> Result<(), String> {
    match &*w.node.op_type {
        "Scaler" => scaling::scaler(w),
        "Normalizer" => scaling::normalizer(w),
        "Imputer" => scaling::imputer(w),
        "Binarizer" => scaling::binarizer(w),
        "FeatureVectorizer" => scaling::feature_vectorizer(w),
        "ArrayFeatureExtractor" => scaling::array_feature_extractor(w),
        "OneHotEncoder" => encoders::one_hot(w),
        "LabelEncoder" => encoders::label_encoder(w),
        "CategoryMapper" => encoders::category_mapper(w),
        "LinearClassifier" => linear::classifier(w),
        "LinearRegressor" => linear::regressor(w),
        "SVMClassifier" => svm::classifier(w),
        "SVMRegressor" => svm::regressor(w),
        "TreeEnsembleClassifier" => ensemble::classifier(w),
        "TreeEnsembleRegressor" => ensemble::regressor(w),
        "TreeEnsemble" => ensemble::general(w),
        // Maps from names to scores: the scores are what is proven.
        "ZipMap" => {
            let scores = w.node.input[0].clone();
            w.finish(0, &scores);
            Ok(())
        }
        _ => Err("operator not built".into()),
    }
}

/// A list of numbers: of an attribute of floats, or of the tensor that later versions have instead, `NAME_as_tensor`.
fn numbers(node: &NodeProto, name: &str) -> Vec<f64> {
    let tensor = attribute(node, &format!("{name}_as_tensor")).or_else(|| attribute(node, name));
    match tensor.and_then(|a| a.t.as_ref()) {
        Some(tensor) => tensor_values(tensor),
        None => attribute(node, name).map_or_else(Vec::new, |a| {
            a.floats.iter().map(|v| f64::from(*v)).collect()
        }),
    }
}

/// The values of a tensor of numbers, in whichever field the file keeps them.
fn tensor_values(tensor: &TensorProto) -> Vec<f64> {
    let raw = |size: usize, value: &dyn Fn(&[u8]) -> f64| {
        tensor
            .raw_data
            .chunks_exact(size)
            .map(value)
            .collect::<Vec<f64>>()
    };
    let wide = |bytes: &[u8]| <[u8; 8]>::try_from(bytes).unwrap_or_default();
    let narrow = |bytes: &[u8]| <[u8; 4]>::try_from(bytes).unwrap_or_default();
    let kind = DataType::try_from(tensor.data_type);
    if !tensor.raw_data.is_empty() {
        return match kind {
            Ok(DataType::Float) => raw(4, &|b| f64::from(f32::from_le_bytes(narrow(b)))),
            Ok(DataType::Double) => raw(8, &|b| f64::from_le_bytes(wide(b))),
            Ok(DataType::Int64) => raw(8, &|b| i64::from_le_bytes(wide(b)) as f64),
            Ok(DataType::Int32) => raw(4, &|b| f64::from(i32::from_le_bytes(narrow(b)))),
            Ok(DataType::Uint8) => raw(1, &|b| f64::from(b[0])),
            _ => Vec::new(),
        };
    }
    match kind {
        Ok(DataType::Float) => tensor.float_data.iter().map(|v| f64::from(*v)).collect(),
        Ok(DataType::Double) => tensor.double_data.clone(),
        Ok(DataType::Int64) => tensor.int64_data.iter().map(|v| *v as f64).collect(),
        _ => tensor.int32_data.iter().map(|v| f64::from(*v)).collect(),
    }
}

/// An attribute that is text, if it is given and not empty.
fn text(node: &NodeProto, name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(string(node, name)).into_owned();
    Some(text).filter(|text| !text.is_empty())
}
