//! A network cut in two at one of its tensors: segments that are proven apart and share a commitment to that tensor.
//!
//! The integers of both segments are those of the whole network, whatever they are cut out of: the second half reads the very
//! tensor that the first one writes, at the same scale. Costs one committed vector of the tensor's length in each proof.

use std::collections::BTreeSet;

use super::encode::GraphError;
use super::graph::{
    Graph, Node, Op, TableId, Tensor, TensorId, Visibility, WeightId, WeightValues,
};

/// A graph and its weights.
pub type Segment = (Graph, WeightValues);

/// Why a network cannot be cut at a tensor.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SplitError {
    /// No tensor of that name separates the network.
    #[error(
        "`{name}` is no tensor that alone separates what comes before it from what comes after; these do: {}",
        or_none(cuts)
    )]
    Name {
        /// The name asked for.
        name: String,
        /// Every name that can be cut at.
        cuts: Vec<String>,
    },
    /// A segment is not a valid graph of its own.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

impl Graph {
    /// The tensors that the network can be cut at, in order: everything after reads nothing else from before, and no
    /// output of the network lies before.
    #[must_use]
    pub fn cuts(&self) -> Vec<TensorId> {
        let written = self.nodes.iter().map(|node| node.output);
        written.filter(|at| self.separates(*at)).collect()
    }

    /// Cuts the network at the last tensor of that name that separates it. The tensor becomes the committed output of the
    /// first segment and the committed input of the second.
    ///
    /// # Errors
    /// [`SplitError::Name`] lists the names that can be cut at.
    pub fn split(&self, weights: &WeightValues, name: &str) -> Result<[Segment; 2], SplitError> {
        let cuts = self.cuts();
        let named = |id: &&TensorId| self.tensors[id.0 as usize].name == name;
        let Some(&at) = cuts.iter().rfind(named) else {
            let names = cuts
                .iter()
                .map(|id| self.tensors[id.0 as usize].name.clone());
            return Err(SplitError::Name {
                name: name.into(),
                cuts: names.collect(),
            });
        };
        let (before, after) = self.sides(at);
        let first = self.part(&before, &self.inputs, &[at]);
        let second = self.part(&after, &[at], &self.outputs);
        let mut segments = [("to", first), ("from", second)].map(|(side, mut part)| {
            part.graph.name = format!("{} {side} {name}", self.name);
            let values = part.weight_values(weights);
            (part.graph, values)
        });
        let [(first, _), (second, _)] = &mut segments;
        commit(first, first.outputs[0]);
        commit(second, second.inputs[0]);
        first.validate()?;
        second.validate()?;
        Ok(segments)
    }

    /// The graph and its weights without what the outputs do not need.
    pub(super) fn needed_part(&self, weights: &WeightValues) -> Segment {
        let part = self.part(
            &self.needed(&self.outputs, &[]),
            &self.inputs,
            &self.outputs,
        );
        let values = part.weight_values(weights);
        (part.graph, values)
    }

    /// Nodes that a tensor is computed by, and nodes that compute the outputs from it. One that reads nothing may be both.
    fn sides(&self, at: TensorId) -> (BTreeSet<usize>, BTreeSet<usize>) {
        let before = self.needed(&[at], &[]);
        let after = self.needed(&self.outputs, &[at]);
        (before, after)
    }

    /// Nodes that those tensors are computed by, those that are known left out.
    fn needed(&self, tensors: &[TensorId], known: &[TensorId]) -> BTreeSet<usize> {
        let mut wanted: BTreeSet<TensorId> = tensors.iter().copied().collect();
        let mut nodes = BTreeSet::new();
        for (index, node) in self.nodes.iter().enumerate().rev() {
            if wanted.contains(&node.output) && !known.contains(&node.output) {
                wanted.extend(&node.inputs);
                nodes.insert(index);
            }
        }
        nodes
    }

    fn separates(&self, at: TensorId) -> bool {
        let (before, after) = self.sides(at);
        let reads = |index: &usize| self.nodes[*index].inputs.contains(&at);
        let from_before = |index: &usize| {
            let mut inputs = self.nodes[*index].inputs.iter();
            inputs.any(|id| self.inputs.contains(id))
                || before.contains(index) && !self.nodes[*index].inputs.is_empty()
        };
        let written = |id: &TensorId| after.iter().any(|n| self.nodes[*n].output == *id);
        after.iter().any(reads)
            && !after.iter().any(from_before)
            && self.outputs.iter().all(written)
    }

    /// Those nodes as a graph of their own, with nothing in it that they do not use.
    fn part(&self, nodes: &BTreeSet<usize>, inputs: &[TensorId], outputs: &[TensorId]) -> Part {
        let mut part = Part {
            graph: Self {
                name: self.name.clone(),
                limb_bits: self.limb_bits,
                tensors: Vec::new(),
                weights: Vec::new(),
                tables: Vec::new(),
                nodes: Vec::new(),
                inputs: Vec::new(),
                outputs: Vec::new(),
            },
            tensors: Vec::new(),
            weights: Vec::new(),
            tables: Vec::new(),
        };
        part.graph.inputs = part.tensors_of(self, inputs);
        for node in nodes {
            let node = part.node_of(self, &self.nodes[*node]);
            part.graph.nodes.push(node);
        }
        part.graph.outputs = part.tensors_of(self, outputs);
        part
    }
}

/// A part of a graph, and which tensor, weight and table of the whole each of its own is.
struct Part {
    graph: Graph,
    tensors: Vec<TensorId>,
    weights: Vec<WeightId>,
    tables: Vec<TableId>,
}

impl Part {
    fn node_of(&mut self, whole: &Graph, node: &Node) -> Node {
        let mut op = node.op.clone();
        for weights in op.weights_mut() {
            let weight = || whole.weights[weights.0 as usize].clone();
            *weights = WeightId(own(
                &mut self.weights,
                &mut self.graph.weights,
                *weights,
                weight,
            ));
        }
        if let Some(table) = op.table_mut() {
            let copy = || whole.tables[table.0 as usize].clone();
            *table = TableId(own(&mut self.tables, &mut self.graph.tables, *table, copy));
        }
        Node {
            name: node.name.clone(),
            op,
            inputs: self.tensors_of(whole, &node.inputs),
            output: self.tensors_of(whole, &[node.output])[0],
        }
    }

    fn tensors_of(&mut self, whole: &Graph, ids: &[TensorId]) -> Vec<TensorId> {
        let mut one = |id: &TensorId| {
            let tensor = || whole.tensors[id.0 as usize].clone();
            TensorId(own(&mut self.tensors, &mut self.graph.tensors, *id, tensor))
        };
        ids.iter().map(&mut one).collect()
    }

    fn weight_values(&self, whole: &WeightValues) -> WeightValues {
        let values = self.weights.iter().map(|id| whole.0[id.0 as usize].clone());
        WeightValues(values.collect())
    }
}

/// Position of an item of the whole among the own ones; appended if it is new.
fn own<Id: PartialEq, Item>(
    ids: &mut Vec<Id>,
    items: &mut Vec<Item>,
    id: Id,
    item: impl FnOnce() -> Item,
) -> u32 {
    let known = ids.iter().position(|known| *known == id);
    let index = known.unwrap_or_else(|| {
        ids.push(id);
        items.push(item());
        ids.len() - 1
    });
    index as u32
}

fn commit(graph: &mut Graph, id: TensorId) {
    let tensor: &mut Tensor = &mut graph.tensors[id.0 as usize];
    tensor.visibility = Visibility::Committed;
}

fn or_none(names: &[String]) -> String {
    if names.is_empty() {
        return "none".into();
    }
    names.join(", ")
}

impl Op {
    /// The weights that an op reads.
    fn weights_mut(&mut self) -> Vec<&mut WeightId> {
        match self {
            Self::Dense { weights, bias } | Self::Conv { weights, bias, .. } => {
                [weights].into_iter().chain(bias).collect()
            }
            Self::Constant { weights } | Self::Gather { weights } => vec![weights],
            _ => Vec::new(),
        }
    }

    /// The table that an op looks values up in.
    const fn table_mut(&mut self) -> Option<&mut TableId> {
        match self {
            Self::Requantize { table, .. }
            | Self::MaxPool { table, .. }
            | Self::RequantizeMax { table, .. }
            | Self::MaxTable { table } => Some(table),
            _ => None,
        }
    }
}
