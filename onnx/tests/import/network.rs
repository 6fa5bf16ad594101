//! ONNX files, written node by node.

use prost::Message;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension::Value};
use tract_onnx::pb::type_proto::{Tensor as TensorType, Value as TypeValue};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto, attribute_proto::AttributeType,
};
use zkernel_onnx::{Error, Limits, Model};

/// An ONNX graph; fields may be broken before it is encoded.
#[derive(Clone, Default)]
pub struct Network(pub GraphProto);

impl Network {
    /// A graph with the float input `x`.
    pub fn new(shape: &[i64]) -> Self {
        let graph = GraphProto {
            name: "written".into(),
            input: vec![value("x", shape)],
            ..GraphProto::default()
        };
        Self(graph)
    }

    /// A float constant.
    pub fn constant(mut self, name: &str, shape: &[i64], values: &[f32]) -> Self {
        self.0.initializer.push(floats(name, shape, values));
        self
    }

    /// A vector of integers: shapes and axes.
    pub fn integers(mut self, name: &str, values: &[i64]) -> Self {
        self.0.initializer.push(TensorProto {
            name: name.into(),
            dims: vec![values.len() as i64],
            data_type: DataType::Int64 as i32,
            int64_data: values.to_vec(),
            ..TensorProto::default()
        });
        self
    }

    /// A constant of integers of few bits.
    pub fn small(mut self, name: &str, shape: &[i64], kind: DataType, values: &[i32]) -> Self {
        self.0.initializer.push(TensorProto {
            name: name.into(),
            dims: shape.to_vec(),
            data_type: kind as i32,
            int32_data: values.to_vec(),
            ..TensorProto::default()
        });
        self
    }

    /// A tensor of integers: positions.
    pub fn positions(mut self, name: &str, shape: &[i64], values: &[i64]) -> Self {
        self = self.integers(name, values);
        if let Some(last) = self.0.initializer.last_mut() {
            last.dims = shape.to_vec();
        }
        self
    }

    /// Another output of the last node.
    pub fn and(mut self, output: &str) -> Self {
        if let Some(last) = self.0.node.last_mut() {
            last.output.push(output.into());
        }
        self
    }

    /// A node that writes a tensor of its own name, made of the operator and a number.
    pub fn node(mut self, op: &str, inputs: &[&str], output: &str, with: &[Attribute]) -> Self {
        self.0.node.push(NodeProto {
            name: format!("node of {output}"),
            op_type: op.into(),
            input: inputs.iter().map(|name| (*name).into()).collect(),
            output: vec![output.into()],
            attribute: with.iter().map(Attribute::proto).collect(),
            ..NodeProto::default()
        });
        self
    }

    /// A node of `ai.onnx.ml` with several outputs.
    pub fn classic(
        mut self,
        op: &str,
        inputs: &[&str],
        outputs: &[&str],
        with: &[Attribute],
    ) -> Self {
        self = self.node(op, inputs, outputs[0], with);
        if let Some(last) = self.0.node.last_mut() {
            last.domain = "ai.onnx.ml".into();
            last.output = outputs.iter().map(|name| (*name).into()).collect();
        }
        self
    }

    /// Makes an input one of bytes.
    pub fn with_bytes(self, name: &str) -> Self {
        self.with_type(name, DataType::Uint8)
    }

    /// Makes an input one of that type.
    pub fn with_type(mut self, name: &str, kind: DataType) -> Self {
        let input = self
            .0
            .input
            .iter_mut()
            .find(|input| input.name == name)
            .unwrap();
        let Some(TypeValue::TensorType(tensor)) =
            input.r#type.as_mut().and_then(|t| t.value.as_mut())
        else {
            panic!("a tensor");
        };
        tensor.elem_type = kind as i32;
        self
    }

    /// Declares an output.
    pub fn output(mut self, name: &str) -> Self {
        self.0.output.push(value(name, &[]));
        self
    }

    /// The bytes of the file.
    pub fn bytes(&self) -> Vec<u8> {
        let set = |domain: &str, version| OperatorSetIdProto {
            domain: domain.into(),
            version,
        };
        let model = ModelProto {
            ir_version: 9,
            opset_import: match self.0.node.iter().any(|n| n.domain == "ai.onnx.ml") {
                true => vec![set("", 20), set("ai.onnx.ml", 5)],
                false => vec![set("", 20)],
            },
            graph: Some(self.0.clone()),
            ..ModelProto::default()
        };
        model.encode_to_vec()
    }

    /// The model read from the file.
    pub fn read(&self) -> Result<Model, Error> {
        Model::from_bytes(&self.bytes(), &Limits::default())
    }
}

/// An attribute of a node.
pub enum Attribute {
    Int(&'static str, i64),
    Float(&'static str, f32),
    Text(&'static str, &'static str),
    Ints(&'static str, &'static [i64]),
    List(&'static str, Vec<i64>),
    Floats(&'static str, Vec<f32>),
    Texts(&'static str, Vec<&'static str>),
    Tensor(&'static str, Box<TensorProto>),
}

impl Attribute {
    fn proto(&self) -> AttributeProto {
        let mut proto = AttributeProto::default();
        let (name, kind) = match self {
            Self::Int(name, value) => {
                proto.i = *value;
                (name, AttributeType::Int)
            }
            Self::Float(name, value) => {
                proto.f = *value;
                (name, AttributeType::Float)
            }
            Self::Ints(name, values) => {
                proto.ints = values.to_vec();
                (name, AttributeType::Ints)
            }
            Self::List(name, values) => {
                proto.ints = values.clone();
                (name, AttributeType::Ints)
            }
            Self::Floats(name, values) => {
                proto.floats = values.clone();
                (name, AttributeType::Floats)
            }
            Self::Texts(name, values) => {
                proto.strings = values.iter().map(|v| v.as_bytes().to_vec()).collect();
                (name, AttributeType::Strings)
            }
            Self::Tensor(name, tensor) => {
                proto.t = Some((**tensor).clone());
                (name, AttributeType::Tensor)
            }
            Self::Text(name, value) => {
                proto.s = value.as_bytes().to_vec();
                (name, AttributeType::String)
            }
        };
        proto.name = (*name).into();
        proto.r#type = kind as i32;
        proto
    }
}

/// A float tensor.
pub fn floats(name: &str, shape: &[i64], values: &[f32]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: shape.to_vec(),
        data_type: DataType::Float as i32,
        float_data: values.to_vec(),
        ..TensorProto::default()
    }
}

/// The declaration of a float tensor; dimensions below 0 have a name instead of a size.
pub fn value(name: &str, shape: &[i64]) -> ValueInfoProto {
    let dimension = |d: &i64| Dimension {
        value: Some(if *d < 0 {
            Value::DimParam("N".into())
        } else {
            Value::DimValue(*d)
        }),
        ..Dimension::default()
    };
    let tensor = TensorType {
        elem_type: DataType::Float as i32,
        shape: Some(TensorShapeProto {
            dim: shape.iter().map(dimension).collect(),
        }),
    };
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto {
            value: Some(TypeValue::TensorType(tensor)),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}
