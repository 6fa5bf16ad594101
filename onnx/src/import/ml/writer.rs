//! The nodes that stand in the place of one.

use std::collections::{BTreeMap, BTreeSet};

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, NodeProto, TensorProto};

use super::super::supported::display_name;
use super::strings::Strings;
use super::sums::Writers;

/// An attribute of a node that is written.
pub(super) enum With<'a> {
    Int(&'a str, i64),
    Ints(&'a str, &'a [i64]),
}

/// What is known of the tensors of a graph before it is read.
#[derive(Default)]
pub(super) struct Known {
    /// Those that are floats of 32 bits.
    pub(super) floats: BTreeSet<String>,
    /// Shapes of inputs and constants, -1 where the file does not say.
    pub(super) shapes: BTreeMap<String, Vec<i64>>,
    /// Constants, by their values.
    pub(super) constants: BTreeMap<String, Vec<f64>>,
    /// Nodes that others are recognised by.
    pub(super) writers: Writers,
}

/// What was written: nodes in order, their constants, and which of their tensors are floats.
pub(super) struct Written {
    pub(super) nodes: Vec<NodeProto>,
    pub(super) constants: Vec<TensorProto>,
    pub(super) floats: Vec<String>,
}

/// Writes the nodes that one node becomes. Tensors are known by their names.
pub(super) struct Writer<'a> {
    pub(super) node: &'a NodeProto,
    pub(super) strings: &'a Strings,
    opset: i64,
    known: &'a Known,
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
    floats: Vec<String>,
    /// Which tensor each output is.
    finished: Vec<(usize, String)>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        node: &'a NodeProto,
        opset: i64,
        known: &'a Known,
        strings: &'a Strings,
    ) -> Self {
        Self {
            node,
            strings,
            opset,
            known,
            nodes: Vec::new(),
            constants: Vec::new(),
            floats: Vec::new(),
            finished: Vec::new(),
        }
    }

    pub(super) fn written(mut self) -> Written {
        for (output, tensor) in self.finished.clone() {
            self.name(output, &tensor);
        }
        Written {
            nodes: self.nodes,
            constants: self.constants,
            floats: self.floats,
        }
    }

    /// An operator on those tensors; gives the tensor it writes.
    pub(super) fn op(&mut self, op: &str, inputs: &[&str], with: &[With<'_>]) -> String {
        let output = format!("{}/{}", self.node.output[0], self.nodes.len());
        self.nodes.push(NodeProto {
            name: format!("{}/{}", display_name(self.node), self.nodes.len()),
            op_type: op.into(),
            input: inputs.iter().map(|name| (*name).into()).collect(),
            output: vec![output.clone()],
            attribute: with.iter().map(With::proto).collect(),
            ..NodeProto::default()
        });
        output
    }

    /// A constant of floats.
    pub(super) fn constant(&mut self, shape: &[usize], values: &[f32]) -> String {
        self.tensor(TensorProto {
            dims: shape.iter().map(|d| *d as i64).collect(),
            data_type: DataType::Float as i32,
            float_data: values.to_vec(),
            ..TensorProto::default()
        })
    }

    /// A constant of integers.
    pub(super) fn integers(&mut self, shape: &[usize], values: &[i64]) -> String {
        self.tensor(TensorProto {
            dims: shape.iter().map(|d| *d as i64).collect(),
            data_type: DataType::Int64 as i32,
            int64_data: values.to_vec(),
            ..TensorProto::default()
        })
    }

    fn tensor(&mut self, tensor: TensorProto) -> String {
        let name = format!("{}/constant {}", self.node.output[0], self.constants.len());
        self.constants.push(TensorProto {
            name: name.clone(),
            ..tensor
        });
        name
    }

    /// Nodes that others are recognised by.
    pub(super) fn writers(&self) -> &'a Writers {
        &self.known.writers
    }

    /// Whether a softmax is along one axis: before version 13 it was along all from one on.
    pub(super) fn has_axes(&self) -> bool {
        self.opset >= 13
    }

    /// The values of a constant.
    pub(super) fn values(&self, tensor: &str) -> Option<&'a [f64]> {
        self.known.constants.get(tensor).map(Vec::as_slice)
    }

    /// The shape of an input or of a constant.
    pub(super) fn shape(&self, tensor: &str) -> Option<&'a [i64]> {
        self.known.shapes.get(tensor).map(Vec::as_slice)
    }

    /// Whether a tensor is known to have one axis.
    pub(super) fn is_vector(&self, tensor: &str) -> bool {
        self.known
            .shapes
            .get(tensor)
            .is_some_and(|shape| shape.len() == 1)
    }

    /// Whether a tensor is known to have so many columns.
    pub(super) fn has_columns(&self, tensor: &str, count: usize) -> bool {
        let shape = self.known.shapes.get(tensor);
        shape.is_some_and(|shape| shape.last() == Some(&(count as i64)))
    }

    /// An input as floats.
    pub(super) fn float(&mut self, index: usize) -> String {
        let name = self.node.input[index].clone();
        match self.known.floats.contains(&name) {
            true => name,
            false => self.cast(&name, DataType::Float),
        }
    }

    pub(super) fn cast(&mut self, tensor: &str, to: DataType) -> String {
        self.op("Cast", &[tensor], &[With::Int("to", to as i64)])
    }

    /// `x w^T + b` for rows of `cols` values, one output for each row of w.
    pub(super) fn layer(&mut self, x: &str, weights: &[f32], cols: usize, bias: &[f32]) -> String {
        let rows = weights.len() / cols.max(1);
        let turned: Vec<f32> = (0..weights.len())
            .map(|p| weights[p % rows * cols + p / rows])
            .collect();
        let matrix = self.constant(&[cols, rows], &turned);
        let y = self.op("MatMul", &[x, &matrix], &[]);
        if bias.iter().all(|b| *b == 0.0) {
            return y;
        }
        let bias = self.constant(&[rows], bias);
        self.op("Add", &[&y, &bias], &[])
    }

    /// An operator of a tensor and a row of constants, or one constant for all.
    pub(super) fn with_row(&mut self, op: &str, x: &str, row: &[f32]) -> String {
        let row = self.constant(&[row.len()], row);
        self.op(op, &[x, &row], &[])
    }

    /// 1 where it is positive, else 0, as floats.
    pub(super) fn positive(&mut self, x: &str) -> String {
        let zero = self.constant(&[1], &[0.0]);
        let bits = self.op("Greater", &[x, &zero], &[]);
        self.cast(&bits, DataType::Float)
    }

    /// The largest value of every row, its axis kept.
    pub(super) fn largest(&mut self, x: &str) -> String {
        self.reduce("ReduceMax", x, &[-1], true)
    }

    /// A reduction of axes, written as the version of the operators has it.
    pub(super) fn reduce(&mut self, op: &str, x: &str, axes: &[i64], keep: bool) -> String {
        let keep = With::Int("keepdims", i64::from(keep));
        let by_input = if op == "ReduceSum" { 13 } else { 18 };
        if self.opset < by_input {
            return self.op(op, &[x], &[With::Ints("axes", axes), keep]);
        }
        let axes = self.integers(&[axes.len()], axes);
        self.op(op, &[x, &axes], &[keep])
    }

    /// Without axes of length 1.
    pub(super) fn squeezed(&mut self, x: &str, axes: &[i64]) -> String {
        if self.opset < 13 {
            return self.op("Squeeze", &[x], &[With::Ints("axes", axes)]);
        }
        let axes = self.integers(&[axes.len()], axes);
        self.op("Squeeze", &[x, &axes], &[])
    }

    /// A new last axis.
    pub(super) fn unsqueezed(&mut self, x: &str) -> String {
        if self.opset < 13 {
            return self.op("Unsqueeze", &[x], &[With::Ints("axes", &[-1])]);
        }
        let axes = self.integers(&[1], &[-1]);
        self.op("Unsqueeze", &[x, &axes], &[])
    }

    pub(super) fn reshaped(&mut self, x: &str, shape: &[i64]) -> String {
        let shape = self.integers(&[shape.len()], shape);
        self.op("Reshape", &[x, &shape], &[])
    }

    /// Some columns that follow one another.
    pub(super) fn columns(&mut self, x: &str, first: usize, len: usize) -> String {
        let columns: Vec<i64> = (first as i64..(first + len) as i64).collect();
        let columns = self.integers(&[len], &columns);
        self.op("Gather", &[x, &columns], &[With::Int("axis", -1)])
    }

    /// Columns side by side.
    pub(super) fn beside(&mut self, parts: &[&str]) -> String {
        self.op("Concat", parts, &[With::Int("axis", -1)])
    }

    /// That tensor, of floats, is the node's output.
    pub(super) fn finish_float(&mut self, output: usize, tensor: &str) {
        self.finish(output, tensor);
        self.floats.extend(self.node.output.get(output).cloned());
    }

    /// That tensor is the node's output, if the node has it.
    pub(super) fn finish(&mut self, output: usize, tensor: &str) {
        if self
            .node
            .output
            .get(output)
            .is_some_and(|name| !name.is_empty())
        {
            self.finished.push((output, tensor.to_owned()));
        }
    }

    /// Gives a tensor the name of an output; one that has another name by now, or is none of the node's own, is copied.
    fn name(&mut self, output: usize, tensor: &str) {
        let name = self.node.output[output].clone();
        if !self.nodes.iter().any(|node| node.output[0] == tensor) {
            let named = self
                .finished
                .iter()
                .rev()
                .find(|(other, same)| *other != output && same == tensor);
            let from = named
                .map_or(tensor, |(other, _)| &self.node.output[*other])
                .to_owned();
            self.op("Identity", &[&from], &[]);
            if let Some(last) = self.nodes.last_mut() {
                last.output = vec![name];
            }
            return;
        }
        for node in &mut self.nodes {
            let names = node.input.iter_mut().chain(&mut node.output);
            names
                .filter(|n| *n == tensor)
                .for_each(|n| n.clone_from(&name));
        }
    }
}

impl With<'_> {
    fn proto(&self) -> AttributeProto {
        let (name, kind, i, ints) = match self {
            Self::Int(name, value) => (name, AttributeType::Int, *value, Vec::new()),
            Self::Ints(name, values) => (name, AttributeType::Ints, 0, values.to_vec()),
        };
        AttributeProto {
            name: (*name).into(),
            r#type: kind as i32,
            i,
            ints,
            ..AttributeProto::default()
        }
    }
}
