//! Which cells a tensor is represented by: its own, a view of others, or those that wiring gives.

use ff::PrimeField;
use zkernel_verifier::form::TrackId;
use zkernel_verifier::system::Phase;

use super::super::graph::{Op, TensorId};
use super::super::run::{Owner, Role};
use super::wiring::Representation;
use super::{LowerError, Lowering};

impl<F: PrimeField> Lowering<'_, F> {
    /// Sets the representation of a tensor, and of what it is a view of.
    pub(crate) fn represent(
        &mut self,
        id: TensorId,
        representation: &Representation,
    ) -> Result<(), LowerError> {
        let (mut id, mut representation) = (id, representation.clone());
        loop {
            let writer = self.graph.nodes.iter().position(|node| node.output == id);
            self.representations[id.0 as usize] = Some(representation.clone());
            let Some(index) = writer else { return Ok(()) };
            self.spend(index, representation.terms.len())?;
            let node = &self.graph.nodes[index];
            let Some(&input) = node.inputs.first() else {
                return Ok(());
            };
            let viewed = match &node.op {
                Op::Reshape => representation.reshaped(&self.graph.tensors[input.0 as usize].shape),
                Op::Transpose { axes } => {
                    let mut inverse = vec![0; axes.len()];
                    for (to, from) in axes.iter().enumerate() {
                        inverse[*from] = to;
                    }
                    Some(representation.transposed(&inverse))
                }
                _ => return Ok(()),
            };
            if self.representations[input.0 as usize].is_some() {
                return Ok(());
            }
            let no_view = "its input cannot be seen in that shape";
            representation = viewed.ok_or_else(|| self.unsupported(index, no_view))?;
            id = input;
        }
    }

    /// A view of a tensor that has a representation; otherwise it gets one from whoever reads the view. A shape that wiring
    /// cannot give (a tensor with padding inside, flattened) gets cells, equal to the input's elements one by one.
    pub(super) fn view(&mut self, index: usize) -> Result<(), LowerError> {
        let node = &self.graph.nodes[index];
        let Some(input) = &self.representations[node.inputs[0].0 as usize] else {
            return Ok(());
        };
        let input = input.clone();
        self.spend(index, input.terms.len())?;
        let shape = &self.graph.tensors[node.output.0 as usize].shape;
        let viewed = match &node.op {
            Op::Transpose { axes } => Some(input.transposed(axes)),
            _ => input.reshaped(shape),
        };
        let viewed = match viewed {
            Some(viewed) => viewed,
            None => self.copied(index, &input, shape)?,
        };
        self.representations[node.output.0 as usize] = Some(viewed);
        Ok(())
    }

    pub(super) fn copied(
        &mut self,
        index: usize,
        input: &Representation,
        shape: &[usize],
    ) -> Result<Representation, LowerError> {
        let track = self.plain_track();
        let region = self.builder.region(track, shape.iter().product());
        self.regions
            .push(((Owner::Node(index), Role::Copy), region));
        let name = format!("{}/copy", self.graph.nodes[index].name);
        let tied = self.equal(name, input, &Representation::cells(region, &input.shape));
        tied.ok_or_else(|| self.unsupported(index, "its input is too large"))?;
        Ok(Representation::cells(region, shape))
    }

    /// The track of cells that no lookup reads.
    pub(crate) fn plain_track(&mut self) -> TrackId {
        *self
            .plain
            .get_or_insert_with(|| self.builder.advice("accumulators", Phase::One, 0))
    }

    /// The representation of a tensor that is read in its own right: accumulators get cells of their own.
    pub(crate) fn materialized(&mut self, id: TensorId) -> Result<Representation, LowerError> {
        if let Some(known) = self.representations[id.0 as usize].clone() {
            let writer = self.graph.nodes.iter().position(|node| node.output == id);
            self.spend(writer.unwrap_or(0), known.terms.len())?;
            return Ok(known);
        }
        let (writer, shape) = self.written_by(id);
        let track = self.plain_track();
        let region = self.builder.region(track, self.len(id));
        self.regions
            .push(((Owner::Node(writer), Role::Accumulator), region));
        let mut written = id;
        while self.graph.nodes[writer].output != written {
            let node = self.graph.nodes.iter().find(|node| node.output == written);
            written = node.map_or(written, |node| node.inputs[0]);
        }
        // Cells lie in the order of the layer that writes them; views of it follow.
        self.representations[written.0 as usize] = Some(Representation::cells(region, &shape));
        for index in writer..self.graph.nodes.len() {
            let node = &self.graph.nodes[index];
            let view = matches!(node.op, Op::Reshape | Op::Transpose { .. });
            if view && self.representations[node.output.0 as usize].is_none() {
                self.view(index)?;
            }
        }
        let known = self.representations[id.0 as usize].clone();
        known.ok_or_else(|| self.unsupported(writer, "its output has no representation"))
    }

    /// The node that computes a tensor, seen through views, and the shape it has there.
    fn written_by(&self, id: TensorId) -> (usize, Vec<usize>) {
        let mut id = id;
        loop {
            let writer = self.graph.nodes.iter().position(|node| node.output == id);
            match writer.map(|index| &self.graph.nodes[index]) {
                Some(node) if matches!(node.op, Op::Reshape | Op::Transpose { .. }) => {
                    id = node.inputs[0];
                }
                _ => {
                    let shape = self.graph.tensors[id.0 as usize].shape.clone();
                    return (writer.unwrap_or(0), shape);
                }
            }
        }
    }
}
