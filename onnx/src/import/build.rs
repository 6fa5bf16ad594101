//! From the file's nodes to the float network, biases fused.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tract_onnx::pb;
use tract_onnx::prelude::{DatumType, InferenceModelExt, IntoRunnable, OutletId};
use tract_onnx::tract_hir::infer::{Factoid, InferenceModel};

use super::check::{display_name, float, function, int, refuse};
use super::malformed;
use crate::model::{FloatNode, FloatOp, FloatTensor, Model};
use crate::{Error, UnsupportedNode};

/// A constant of the graph.
struct Constant {
    shape: Vec<usize>,
    values: Vec<f32>,
}

/// A file whose shapes are known and whose constants are folded.
pub(super) struct Import<'a> {
    pub(super) graph: &'a pb::GraphProto,
    pub(super) inference: InferenceModel,
    pub(super) names: BTreeMap<String, OutletId>,
}

impl Import<'_> {
    /// The float network.
    pub(super) fn model(self) -> Result<Model, Error> {
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
