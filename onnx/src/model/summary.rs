//! What `inspect` prints about a network, and what a run of it costs.

use super::{FloatNode, FloatOp, FloatTensor, Model};
use crate::UnsupportedNode;

/// Multiply-accumulates that take as long as what is done for each value of a run.
const VALUE_WORK: usize = 64;

impl Model {
    /// Layers, shapes, parameters and multiply-accumulates.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let layers: Vec<Layer> = self.nodes.iter().map(|n| self.layer(n)).collect();
        Summary {
            name: self.name.clone(),
            inputs: self
                .inputs
                .iter()
                .map(|&t| self.tensors[t].clone())
                .collect(),
            outputs: self
                .outputs
                .iter()
                .map(|&t| self.tensors[t].clone())
                .collect(),
            params: layers.iter().map(|l| l.params).sum(),
            macs: layers.iter().map(|l| l.macs).sum(),
            layers,
            unsupported: Vec::new(),
        }
    }

    /// What a run costs, in multiply-accumulates: those of its layers, and so many for each other value.
    pub(crate) fn work(&self) -> u64 {
        let macs = |node: &FloatNode| match node.op {
            FloatOp::MatMul => {
                let inner = self.tensors[node.inputs[0]].shape.last();
                self.tensors[node.output].len() * inner.copied().unwrap_or(1)
            }
            _ => self.layer(node).macs,
        };
        let values: usize = self.tensors.iter().map(FloatTensor::len).sum();
        (self.nodes.iter().map(macs).sum::<usize>() + VALUE_WORK * values) as u64
    }

    fn layer(&self, node: &FloatNode) -> Layer {
        let shape = self.tensors[node.output].shape.clone();
        let (params, macs) = match node.op.linear() {
            Some((rows, weights, bias)) => (
                weights.len() + bias.map_or(0, <[f32]>::len),
                self.tensors[node.output].len() * (weights.len() / rows.max(1)),
            ),
            None => (0, 0),
        };
        Layer {
            name: node.name.clone(),
            op: node.op.name(),
            shape,
            params,
            macs,
        }
    }
}

/// One layer of a [`Summary`].
#[derive(Clone, Debug, serde::Serialize)]
pub struct Layer {
    /// Node name.
    pub name: String,
    /// Operator and size.
    pub op: String,
    /// Output shape.
    pub shape: Vec<usize>,
    /// Weights and biases.
    pub params: usize,
    /// Multiply-accumulates.
    pub macs: usize,
}

/// What `inspect` prints about an ONNX file.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Summary {
    /// Name of the graph.
    pub name: String,
    /// Inputs.
    pub inputs: Vec<FloatTensor>,
    /// Outputs.
    pub outputs: Vec<FloatTensor>,
    /// Layers in order.
    pub layers: Vec<Layer>,
    /// All parameters.
    pub params: usize,
    /// All multiply-accumulates.
    pub macs: usize,
    /// Nodes that cannot be proven; empty for a loaded model.
    pub unsupported: Vec<UnsupportedNode>,
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "{}: {} parameters, {} multiply-accumulates",
            self.name, self.params, self.macs
        )?;
        for t in &self.inputs {
            writeln!(f, "  input  {:<24} {:?}", t.name, t.shape)?;
        }
        for l in &self.layers {
            writeln!(f, "  {:<31} {:<18} {:?}", l.name, l.op, l.shape)?;
        }
        for t in &self.outputs {
            writeln!(f, "  output {:<24} {:?}", t.name, t.shape)?;
        }
        for n in &self.unsupported {
            writeln!(
                f,
                "  unsupported: node `{}` ({}): {}",
                n.node, n.op, n.problem
            )?;
        }
        Ok(())
    }
}
