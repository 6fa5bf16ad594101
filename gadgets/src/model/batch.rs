//! One network on several inputs under one proof: its nodes again for every input, its weights and tables once.
//!
//! Cost of another input: its cells and lookups, and one form for each layer. Columns, tables, weight commitments and most of the
//! proof's bytes are shared.

use super::encode::GraphError;
use super::graph::{Graph, Node, Tensor, TensorId};

impl Graph {
    /// The network on `count` inputs at once. Inputs and outputs of the first come first; tensor and node `x` of input number i is
    /// named `x#i`.
    ///
    /// # Errors
    /// [`GraphError::Invalid`] if that is more than a graph may hold.
    pub fn batch(&self, count: usize) -> Result<Self, GraphError> {
        let mut graph = Self {
            tensors: Vec::new(),
            nodes: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            ..self.clone()
        };
        for number in 0..count {
            let first = graph.tensors.len() as u32;
            let own = |id: &TensorId| TensorId(first + id.0);
            graph
                .tensors
                .extend(self.tensors.iter().map(|tensor| Tensor {
                    name: format!("{}#{number}", tensor.name),
                    ..tensor.clone()
                }));
            graph.nodes.extend(self.nodes.iter().map(|node| Node {
                name: format!("{}#{number}", node.name),
                op: node.op.clone(),
                inputs: node.inputs.iter().map(own).collect(),
                output: own(&node.output),
            }));
            graph.inputs.extend(self.inputs.iter().map(own));
            graph.outputs.extend(self.outputs.iter().map(own));
        }
        graph.validate()?;
        Ok(graph)
    }
}
