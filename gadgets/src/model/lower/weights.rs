//! Where the weights lie: one tensor for each matrix, one for all biases.

use ff::PrimeField;

use super::{Lowering, WeightPlace};
use crate::model::graph::{Op, WeightId};

impl<F: PrimeField> Lowering<'_, F> {
    /// Gives all weights their tensors, in the order of the nodes: the order of the model's commitments.
    pub(crate) fn place_all_weights(&mut self) {
        for node in &self.graph.nodes {
            match node.op {
                Op::Dense { weights, bias } | Op::Conv { weights, bias, .. } => {
                    self.place_weights(weights, bias);
                }
                Op::Constant { weights } | Op::Gather { weights } => {
                    self.place_weights(weights, None);
                }
                _ => {}
            }
        }
    }

    /// Gives the weights of a layer their tensor, and its bias a place among all biases. Shared weights are placed once.
    fn place_weights(&mut self, weights: WeightId, bias: Option<WeightId>) {
        if self.place(weights).is_none() {
            let weight = &self.graph.weights[weights.0 as usize];
            let (track, stride) =
                self.builder
                    .tensor(weight.name.clone(), weight.rows, weight.cols);
            self.weights.push(WeightPlace {
                weight: weights,
                track,
                start: 0,
                stride,
            });
        }
        if bias.is_some_and(|bias| self.place(bias).is_none()) {
            self.place_biases();
        }
    }

    /// All biases of the network share one tensor.
    fn place_biases(&mut self) {
        let mut ids: Vec<WeightId> = Vec::new();
        for node in &self.graph.nodes {
            if let Op::Dense {
                bias: Some(bias), ..
            }
            | Op::Conv {
                bias: Some(bias), ..
            } = node.op
                && !ids.contains(&bias)
            {
                ids.push(bias);
            }
        }
        let len = |id: &WeightId| self.graph.weights[id.0 as usize].cols;
        let track = self.builder.arena("biases", ids.iter().map(len).sum());
        let mut start = 0;
        for weight in ids {
            self.weights.push(WeightPlace {
                weight,
                track,
                start,
                stride: len(&weight),
            });
            start += len(&weight);
        }
    }

    pub(super) fn place(&self, weight: WeightId) -> Option<WeightPlace> {
        self.weights
            .iter()
            .copied()
            .find(|place| place.weight == weight)
    }
}
