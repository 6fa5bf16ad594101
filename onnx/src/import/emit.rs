//! Nodes written in the place of one node of the file.

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, NodeProto, TensorProto};

use super::supported::display_name;

/// The nodes that one node becomes, with their constants; operators whose form has changed between versions are avoided.
pub(super) struct Emit {
    name: String,
    /// What names of its own begin with.
    prefix: String,
    pub(super) nodes: Vec<NodeProto>,
    pub(super) constants: Vec<TensorProto>,
}

impl Emit {
    pub(super) fn new(node: &NodeProto) -> Self {
        let first = node.output.iter().find(|name| !name.is_empty());
        Self {
            name: display_name(node),
            prefix: first.cloned().unwrap_or_default(),
            nodes: Vec::new(),
            constants: Vec::new(),
        }
    }

    /// Under names of that part, for a node whose last one is written in others later.
    pub(super) fn within(mut self, part: &str) -> Self {
        for name in [&mut self.name, &mut self.prefix] {
            *name = format!("{name}/{part}");
        }
        self
    }

    /// A node on those inputs, and the tensor that it writes; inputs without a name are absent.
    pub(super) fn op(&mut self, op: &str, inputs: &[&str], with: Vec<AttributeProto>) -> String {
        let number = self.nodes.len();
        let output = format!("{}/{number}", self.prefix);
        let last = inputs.iter().rposition(|name| !name.is_empty());
        let inputs = &inputs[..last.map_or(0, |last| last + 1)];
        self.nodes.push(NodeProto {
            name: format!("{}/{number}", self.name),
            op_type: op.into(),
            input: inputs.iter().map(|name| (*name).into()).collect(),
            output: vec![output.clone()],
            attribute: with,
            ..NodeProto::default()
        });
        output
    }

    /// A constant of floats.
    pub(super) fn floats(&mut self, shape: &[i64], values: Vec<f32>) -> String {
        let name = self.constant_name();
        self.constants.push(floats(&name, shape, values));
        name
    }

    /// A scalar.
    pub(super) fn float(&mut self, value: f32) -> String {
        self.floats(&[], vec![value])
    }

    /// A vector of integers.
    pub(super) fn integers(&mut self, values: &[i64]) -> String {
        let same = |t: &&TensorProto| t.dims.len() == 1 && t.int64_data == values;
        if let Some(known) = self.constants.iter().find(same) {
            return known.name.clone();
        }
        let name = self.constant_name();
        self.constants.push(integers(&name, values));
        name
    }

    /// A scalar integer.
    pub(super) fn integer(&mut self, value: i64) -> String {
        let name = self.constant_name();
        let mut scalar = integers(&name, &[value]);
        scalar.dims.clear();
        self.constants.push(scalar);
        name
    }

    fn constant_name(&self) -> String {
        format!("{}/constant {}", self.prefix, self.constants.len())
    }

    /// Positions `from..to` of an axis.
    pub(super) fn part(&mut self, x: &str, axis: i64, from: usize, to: usize) -> String {
        let positions: Vec<i64> = (from as i64..to as i64).collect();
        let positions = self.integers(&positions);
        self.op("Gather", &[x, &positions], vec![int("axis", axis)])
    }

    /// Another shape: 0 keeps the length of an axis, -1 is what is left.
    pub(super) fn reshape(&mut self, x: &str, shape: &[i64]) -> String {
        let shape = self.integers(shape);
        self.op("Reshape", &[x, &shape], Vec::new())
    }

    pub(super) fn transpose(&mut self, x: &str, axes: &[i64]) -> String {
        self.op("Transpose", &[x], vec![ints("perm", axes)])
    }

    /// The length of an axis, as a scalar.
    pub(super) fn length(&mut self, x: &str, axis: i64) -> String {
        let shape = self.op("Shape", &[x], Vec::new());
        let axis = self.integer(axis);
        self.op("Gather", &[&shape, &axis], vec![int("axis", 0)])
    }

    /// A copy of a tensor that is read again is an output of the node that is replaced.
    pub(super) fn give_copy(&mut self, output: Option<&String>, tensor: &str) {
        if let Some(output) = output.filter(|name| !name.is_empty()) {
            let copy = self.op("Identity", &[tensor], Vec::new());
            self.give(Some(output), &copy);
        }
    }

    /// A tensor that has been written becomes an output of the node that is replaced.
    pub(super) fn give(&mut self, output: Option<&String>, tensor: &str) {
        let Some(output) = output.filter(|name| !name.is_empty()) else {
            return;
        };
        let read = self
            .nodes
            .iter()
            .any(|n| n.input.iter().any(|i| i == tensor));
        // Several outputs are several nodes, and names of nodes are unique.
        let name = match self.nodes.iter().any(|n| n.name == self.name) {
            true => format!("{}/{output}", self.name),
            false => self.name.clone(),
        };
        let writer = self.nodes.iter_mut().rfind(|n| n.output[0] == tensor);
        match writer.filter(|_| !read) {
            Some(writer) => {
                writer.output[0].clone_from(output);
                writer.name = name;
            }
            None => {
                self.op("Identity", &[tensor], Vec::new());
                if let Some(last) = self.nodes.last_mut() {
                    last.output[0].clone_from(output);
                    last.name = name;
                }
            }
        }
    }
}

pub(super) fn floats(name: &str, shape: &[i64], values: Vec<f32>) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: shape.to_vec(),
        data_type: DataType::Float as i32,
        float_data: values,
        ..TensorProto::default()
    }
}

fn integers(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: vec![values.len() as i64],
        data_type: DataType::Int64 as i32,
        int64_data: values.to_vec(),
        ..TensorProto::default()
    }
}

fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: kind as i32,
        ..AttributeProto::default()
    }
}

pub(super) fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto {
        i,
        ..attribute(name, AttributeType::Int)
    }
}

pub(super) fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        ints: values.to_vec(),
        ..attribute(name, AttributeType::Ints)
    }
}

pub(super) fn real(name: &str, f: f32) -> AttributeProto {
    AttributeProto {
        f,
        ..attribute(name, AttributeType::Float)
    }
}

pub(super) fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto {
        s: value.as_bytes().to_vec(),
        ..attribute(name, AttributeType::String)
    }
}
