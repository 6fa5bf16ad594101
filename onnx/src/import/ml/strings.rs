//! Strings of a file, as numbers: names of classes and categories. Each has the number of its first appearance, those of classes first,
//! so that the number of a class's name is the index of the class.

use std::collections::BTreeMap;

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, NodeProto, TensorProto};

use super::super::attributes::{attribute, strings};
use super::super::inputs::{element_type, set_element_type};

/// All strings of a file and their numbers.
#[derive(Default)]
pub(super) struct Strings {
    numbers: BTreeMap<Vec<u8>, i64>,
}

/// Lists of names in attributes.
const LISTS: [&str; 5] = [
    "classlabels_strings",
    "cats_strings",
    "values_strings",
    "keys_strings",
    "keys_as_tensor",
];

impl Strings {
    /// Numbers all strings of a graph. Its tensors of strings become tensors of numbers, and casts to strings casts to numbers.
    pub(super) fn code(graph: &mut GraphProto) -> Self {
        let mut strings = Self::default();
        for list in LISTS {
            for node in &graph.node {
                strings.note_all(attributes(node, list));
            }
        }
        let text = DataType::String as i32;
        let of_nodes = graph.node.iter_mut().flat_map(|node| &mut node.attribute);
        let tensors = of_nodes
            .filter_map(|a| a.t.as_mut())
            .chain(&mut graph.initializer);
        for tensor in tensors.filter(|tensor| tensor.data_type == text) {
            strings.note_all(tensor.string_data.iter().map(AsRef::as_ref).collect());
            let numbers = tensor
                .string_data
                .iter()
                .map(|s| strings.number(s.as_ref()));
            *tensor = TensorProto {
                name: tensor.name.clone(),
                dims: tensor.dims.clone(),
                data_type: DataType::Int64 as i32,
                int64_data: numbers.collect(),
                ..TensorProto::default()
            };
        }
        for node in graph.node.iter_mut().filter(|node| node.op_type == "Cast") {
            let to = node.attribute.iter_mut().filter(|a| a.name == "to");
            to.filter(|a| a.i == i64::from(text))
                .for_each(|a| a.i = DataType::Int64 as i64);
        }
        strings
    }

    fn note_all(&mut self, all: Vec<&[u8]>) {
        for string in all {
            let next = self.numbers.len() as i64;
            self.numbers.entry(string.to_vec()).or_insert(next);
        }
    }

    /// The number of a string, -1 for one that the file does not have.
    pub(super) fn number(&self, string: &[u8]) -> i64 {
        self.numbers.get(string).copied().unwrap_or(-1)
    }

    /// The names in order, by the outputs that the file declares as strings.
    pub(super) fn outputs(&self, graph: &GraphProto) -> BTreeMap<String, Vec<String>> {
        let mut names = vec![String::new(); self.numbers.len()];
        for (string, number) in &self.numbers {
            names[*number as usize] = String::from_utf8_lossy(string).into_owned();
        }
        let text = |output: &&_| element_type(output) == Some(DataType::String as i32);
        let outputs = graph.output.iter().filter(text);
        outputs
            .map(|output| (output.name.clone(), names.clone()))
            .collect()
    }

    /// Declares outputs of strings and of maps as what they are now: numbers and scores.
    pub(super) fn outputs_are_numbers(&self, graph: &mut GraphProto) {
        for output in &mut graph.output {
            match element_type(output) {
                Some(kind) if kind == DataType::String as i32 => {
                    set_element_type(output, DataType::Int64);
                }
                None => output.r#type = None,
                _ => {}
            }
        }
    }
}

fn attributes<'a>(node: &'a NodeProto, name: &str) -> Vec<&'a [u8]> {
    match attribute(node, name) {
        Some(_) => strings(node, name),
        None => Vec::new(),
    }
}
