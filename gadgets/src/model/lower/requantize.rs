//! Requantization and activation: `acc + 2^(s-1) = 2^s q + rem` with every limb of rem looked up in its range, and
//! `(q, y)` looked up in the table (or q in its range).
//!
//! Cost per element: 1 cell and 1 lookup for each limb of rem (none for s = 0), and what the [`super::table`] costs: 2 cells and 1
//! lookup, a split one 5 and 2, a range 1 and 1. Error against the real function at the rounded key: that of [`Table::value`]; the
//! key itself is half a step off.
//!
//! [`Table::value`]: crate::model::graph::Table::value

use ff::PrimeField;

use super::wiring::Representation;
use super::{LowerError, Lowering};
use crate::model::graph::TableId;
use crate::model::run::{Lookup, Owner, Role};

impl<F: PrimeField> Lowering<'_, F> {
    pub(super) fn requantize(
        &mut self,
        node: usize,
        shift: u32,
        table: TableId,
    ) -> Result<(), LowerError> {
        let (input, output) = (
            self.graph.nodes[node].inputs[0],
            self.graph.nodes[node].output,
        );
        let owner = Owner::Node(node);
        let shape = self.graph.tensors[input.0 as usize].shape.clone();
        let half = if shift == 0 { 0 } else { 1 << (shift - 1) };
        let [q, value] = self.table_cells(owner, Lookup::Only, table, &shape);
        let rest = self.limb_cells(owner, &shape, &self.graph.limbs(shift), Role::Remainder);
        let accumulator = q
            .times(1 << shift)
            .plus(Representation::constant(-half, &shape))
            .plus(rest);
        self.read_as(node, &accumulator)?;
        let shape = &self.graph.tensors[output.0 as usize].shape;
        let value = value.reshaped(shape);
        let value = value.ok_or_else(|| self.unsupported(node, "its output has another shape"))?;
        self.represent(output, &value)
    }

    /// A node reads its input as `by`: that becomes the input's representation, or must equal the one it has.
    pub(super) fn read_as(&mut self, node: usize, by: &Representation) -> Result<(), LowerError> {
        let input = self.graph.nodes[node].inputs[0];
        let Some(known) = self.representations[input.0 as usize].clone() else {
            return self.represent(input, by);
        };
        self.spend(node, known.terms.len())?;
        let name = format!("{}/input", self.graph.nodes[node].name);
        let tied = self.equal(name, &known, by);
        tied.ok_or_else(|| self.unsupported(node, "its input is too large"))
    }
}
