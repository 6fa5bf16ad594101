//! A graph that has been analysed, read node by node into the float network.

use std::collections::BTreeMap;
use std::sync::Arc;

use tract_onnx::pb;
use tract_onnx::prelude::{InferenceModelExt, IntoRunnable, OutletId};
use tract_onnx::tract_hir::infer::Factoid;

use super::build::Build;
use super::operators::Translated;
use super::parts::{Outcome, Parts};
use super::supported::{display_name, refuse};
use super::{Constant, Import, inputs, malformed, quantized};
use crate::Error;
use crate::model::{MASKED, Model, Values};

impl Import<'_> {
    pub(super) fn model(self, kinds: Vec<Values>) -> Result<Model, Error> {
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

    pub(super) fn shape(&self, tensor: &str) -> Result<Vec<usize>, Error> {
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
    pub(super) fn constant(&self, tensor: &str) -> Result<Constant, Error> {
        self.finite_constant(tensor, |v| v)
    }

    /// A constant that is added or chosen, in which minus infinity masks.
    pub(super) fn masking_constant(&self, tensor: &str) -> Result<Constant, Error> {
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
    pub(super) fn integers(&self, tensor: &str) -> Result<Vec<i64>, Error> {
        let unknown = || malformed(format!("the values of `{tensor}` are not known"));
        let outlet = self.names.get(tensor).ok_or_else(unknown)?;
        let fact = self.inference.outlet_fact(*outlet).map_err(malformed)?;
        let value = fact.value.concretize().ok_or_else(unknown)?;
        let cast = value.cast_to::<i64>().map_err(malformed)?;
        let view = cast.to_plain_array_view::<i64>().map_err(malformed)?;
        Ok(view.iter().copied().collect())
    }

    pub(super) fn is_known(&self, tensor: &str) -> bool {
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
        translate: impl FnOnce(&mut Parts<'a, '_>) -> Result<Outcome, Error>,
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
