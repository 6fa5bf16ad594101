//! Requantization and activation: `acc + 2^(s-1) = 2^s q + rem` with every limb of rem looked up in its range, and
//! `(q, y)` looked up in the table (or q in its range).
//!
//! Cost per element: 1 cell and 1 lookup for each limb of rem (none for s = 0, one up to s = 8, two up to s = 16), and 2
//! cells and 1 lookup for a table, 1 cell and 1 lookup for a range. Error against the real function at the rounded key:
//! half a step of the output; the key itself is half a step off.

use ff::PrimeField;
use zkernel_verifier::challenge::Challenge;
use zkernel_verifier::form::{Axis, Factor, Source};

use super::{LowerError, Lowering, Representation, Spread, Term};
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
        let mut accumulator = Representation::cells(q);
        accumulator.terms[0].scale = 1 << shift;
        accumulator.constant = if shift == 0 { 0 } else { -(1 << (shift - 1)) };
        let mut position = 0;
        for (limb, bits) in remainder_limbs(shift).into_iter().enumerate() {
            let track = self.range_track(Interval::new(0, (1 << bits) - 1));
            let region = self.builder.region(track, len);
            self.regions.push(((owner, Role::Remainder(limb)), region));
            let (source, start) = (Source::Track(region.track), region.start);
            accumulator.terms.push(Term {
                source,
                start,
                spread: Spread::Elements,
                scale: 1 << position,
            });
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
        self.represent(output, &Representation::cells(value));
        Ok(())
    }

    /// A node reads its input as `by`: that becomes the input's representation, or must equal the one it has.
    pub(super) fn read_as(&mut self, node: usize, by: &Representation) -> Result<(), LowerError> {
        let input = self.graph.nodes[node].inputs[0];
        let Some(known) = self.representations[input.0 as usize].clone() else {
            self.represent(input, by);
            return Ok(());
        };
        let len = self.len(input);
        let features = self.graph.tensors[input.0 as usize]
            .shape
            .last()
            .copied()
            .unwrap_or(1)
            .max(1);
        let rows = len / features;
        let claims =
            u32::try_from(len).map_err(|_| self.unsupported(node, "its input is too large"))?;
        let outer = Factor::Powers {
            challenge: Challenge::Lambda,
            first: 0,
            step: u32::try_from(features).unwrap_or(0),
        };
        let axes = |strides: [usize; 2]| {
            vec![
                Axis::new(rows, strides[0], outer.clone()),
                Axis::new(features, strides[1], Factor::powers(Challenge::Lambda)),
            ]
        };
        let mut forms = Vec::new();
        for (representation, sign) in [(&known, 1), (by, -1)] {
            for term in &representation.terms {
                let strides = match term.spread {
                    Spread::Elements => [features, 1],
                    Spread::Rows => [1, 0],
                };
                forms.push(self.form(term.source, term.start, axes(strides), sign * term.scale));
            }
        }
        if known.constant != by.constant {
            forms.push(self.form(Source::One, 0, axes([0, 0]), known.constant - by.constant));
        }
        let name = format!("{}/input", self.graph.nodes[node].name);
        self.builder.constrain(name, claims, forms);
        Ok(())
    }
}
