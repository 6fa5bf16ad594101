//! Requantization and activation: `acc + 2^(s-1) = 2^s q + rem` with every limb of rem looked up in its range, and
//! `(q, y)` looked up in the table (or q in its range).
//!
//! Cost per element: 1 cell and 1 lookup for each limb of rem (none for s = 0, one up to s = 8, two up to s = 16), and 2
//! cells and 1 lookup for a table, 1 cell and 1 lookup for a range. Error against the real function at the rounded key:
//! half a step of the output; the key itself is half a step off.

use ff::PrimeField;

use super::wiring::Representation;
use super::{LowerError, Lowering};
use crate::model::graph::{Interval, TableId};
use crate::model::run::{Owner, Role, remainder_limbs};

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
        let (len, owner) = (self.len(input), Owner::Node(node));
        let definition = &self.graph.tables[table.0 as usize];
        let (keys, is_range) = (definition.keys, definition.is_range());
        let key_track = if is_range {
            self.range_track(keys)
        } else {
            self.table_tracks(table)[0]
        };
        let q = self.builder.region(key_track, len);
        self.regions.push(((owner, Role::Quotient), q));
        let shape = self.graph.tensors[input.0 as usize].shape.clone();
        let half = if shift == 0 { 0 } else { 1 << (shift - 1) };
        let mut accumulator = Representation::cells(q, &shape)
            .times(1 << shift)
            .plus(Representation::constant(-half, &shape));
        let mut position = 0;
        for (limb, bits) in remainder_limbs(shift).into_iter().enumerate() {
            let track = self.range_track(Interval::new(0, (1 << bits) - 1));
            let region = self.builder.region(track, len);
            self.regions.push(((owner, Role::Remainder(limb)), region));
            let limb = Representation::cells(region, &shape).times(1 << position);
            accumulator = accumulator.plus(limb);
            position += bits;
        }
        self.read_as(node, &accumulator)?;
        let value = if is_range {
            q
        } else {
            let value_track = self.table_tracks(table)[1];
            let value = self.builder.region(value_track, len);
            self.regions.push(((owner, Role::Value), value));
            value
        };
        let shape = &self.graph.tensors[output.0 as usize].shape;
        self.represent(output, &Representation::cells(value, shape))
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
