//! The float network under construction.

use std::collections::{BTreeMap, BTreeSet};

use tract_onnx::pb;
use zkernel_gadgets::model::Function;

use super::affine::Affine;
use super::supported::display_name;
use crate::UnsupportedNode;
use crate::float::View;
use crate::model::{FloatNode, FloatOp, FloatTensor};

/// The float network under construction.
#[derive(Default)]
pub(super) struct Build {
    pub(super) tensors: Vec<FloatTensor>,
    pub(super) nodes: Vec<FloatNode>,
    pub(super) inputs: Vec<usize>,
    pub(super) ids: BTreeMap<String, usize>,
    /// Steps of weights that are integers of the file, by the output of their layer.
    pub(super) grids: BTreeMap<usize, Vec<f32>>,
    /// Constants among the tensors, and the nodes that write them.
    pub(super) constants: BTreeMap<usize, usize>,
    pub(super) refused: Vec<UnsupportedNode>,
    /// What refused nodes write, and all that is made of it.
    pub(super) lost: BTreeSet<String>,
    /// Layers whose rows are the channels of a tensor behind views of them.
    pub(super) behind: BTreeMap<usize, usize>,
    /// Inputs of whole numbers.
    pub(super) whole: BTreeSet<usize>,
    /// Names of the network's outputs.
    pub(super) shown: BTreeSet<String>,
}

impl Build {
    pub(super) fn tensor(&mut self, name: &str, shape: Vec<usize>) -> usize {
        self.tensors.push(FloatTensor {
            name: name.into(),
            shape,
        });
        self.ids.insert(name.into(), self.tensors.len() - 1);
        self.tensors.len() - 1
    }

    pub(super) fn push(
        &mut self,
        node: &pb::NodeProto,
        op: FloatOp,
        inputs: Vec<usize>,
        shape: Vec<usize>,
    ) {
        self.add(&node.output[0], display_name(node), op, inputs, shape);
    }

    /// The values of a constant.
    pub(super) fn constant(&self, tensor: usize) -> Option<&[f32]> {
        match &self.nodes.get(*self.constants.get(&tensor)?)?.op {
            FloatOp::Constant(values) => Some(values),
            _ => None,
        }
    }

    /// A node; what constants alone make is a constant.
    pub(super) fn add(
        &mut self,
        tensor: &str,
        name: String,
        op: FloatOp,
        inputs: Vec<usize>,
        shape: Vec<usize>,
    ) -> usize {
        let folded = self.folded(&op, &inputs, &shape);
        let (op, inputs) = match folded.filter(|_| !self.shown.contains(tensor)) {
            Some(values) => (FloatOp::Constant(values), Vec::new()),
            None => (op, inputs),
        };
        let output = self.tensor(tensor, shape);
        if matches!(op, FloatOp::Constant(_)) {
            self.constants.insert(output, self.nodes.len());
        }
        self.nodes.push(FloatNode {
            name,
            op,
            inputs,
            output,
        });
        output
    }

    /// Whether a tensor holds whole numbers whatever the inputs are.
    pub(super) fn is_whole(&self, tensor: usize) -> bool {
        let Some(node) = self.nodes.iter().rfind(|n| n.output == tensor) else {
            return self.whole.contains(&tensor);
        };
        let whole = |values: &[f32]| values.iter().all(|v| v.fract() == 0.0);
        let of_inputs = || node.inputs.iter().all(|t| self.is_whole(*t));
        match &node.op {
            FloatOp::ArgMax | FloatOp::Positive => true,
            FloatOp::TopK { values, .. } => !values || of_inputs(),
            FloatOp::Function(function, parameters) => match function {
                Function::Floor | Function::Ceil | Function::Round => true,
                Function::Trunc => parameters[0] == 1.0,
                _ => false,
            },
            FloatOp::Gather { weights, .. } | FloatOp::Constant(weights) => whole(weights),
            FloatOp::Reshape | FloatOp::Transpose(_) | FloatOp::MaxPool(_) | FloatOp::Product => {
                of_inputs()
            }
            FloatOp::Affine { pieces, constant } => {
                let factors = pieces.iter().map(|(factor, _)| factor).chain([constant]);
                factors.into_iter().all(|f| f.fract() == 0.0) && of_inputs()
            }
            FloatOp::Dense { weights, bias, .. } => {
                whole(weights) && whole(bias.as_deref().unwrap_or_default()) && of_inputs()
            }
            _ => false,
        }
    }

    fn folded(&self, op: &FloatOp, inputs: &[usize], shape: &[usize]) -> Option<Vec<f32>> {
        // What reads nothing of its inputs is a constant, unless it is to be shown.
        if let FloatOp::Affine { pieces, constant } = op
            && pieces.is_empty()
        {
            return Some(vec![*constant as f32; shape.iter().product()]);
        }
        let view = |id: &usize| {
            let values = self.constant(*id)?;
            let shape = &self.tensors[*id].shape;
            Some(View { shape, values })
        };
        let views = inputs.iter().map(view).collect::<Option<Vec<_>>>()?;
        let values = op.evaluate(&views, shape);
        let known = !inputs.is_empty() && values.len() == shape.iter().product::<usize>();
        known.then_some(values)
    }

    /// Steps of integer weights follow a factor that the layer has absorbed.
    fn scale_steps(&mut self, layer: Option<usize>, affine: &Affine) {
        let Some(node) = layer.map(|p| &self.nodes[p]) else {
            return;
        };
        let rows = node.op.linear().map(|(rows, ..)| rows);
        if let (Some(rows), Some(steps)) = (rows, self.grids.remove(&node.output))
            && let Some(scaled) = affine.scaled_steps(&steps, rows)
        {
            self.grids.insert(node.output, scaled);
        }
    }

    /// Fuses `y_c = scale_c x_c + shift_c` into the layer before it, if nobody else reads that layer's output; else it
    /// becomes a view or a layer of its own. False if it can be neither.
    pub(super) fn fuse(
        &mut self,
        node: &pb::NodeProto,
        affine: &Affine,
        input: usize,
        shape: &[usize],
        alone: bool,
    ) -> bool {
        let same_shape = self.tensors[input].shape == shape;
        let written = || self.nodes.iter().position(|n| n.output == input);
        let producer = self.behind.get(&input).copied().or_else(written);
        let layer = producer.filter(|_| alone && same_shape);
        if layer.is_some_and(|p| affine.fold_into(&mut self.nodes[p].op)) {
            self.scale_steps(layer, affine);
            let output = &node.output[0];
            self.ids.insert(output.clone(), input);
            self.tensors[input].name.clone_from(output);
            return true;
        }
        let layer = same_shape.then(|| affine.layer(shape)).flatten();
        let fits = layer.is_some();
        if let Some(op) = layer {
            self.push(node, op, vec![input], shape.to_vec());
        }
        fits
    }
}
