//! Lookups in tables, whole or split, on integers.

use super::{Assign, Lookup, Owner, Role, RunError, Runner};
use crate::model::graph::Table;

impl<A: Assign> Runner<'_, A> {
    /// Assigns the cells of lookups in a table; the keys and values that they make.
    pub(super) fn looked_up(
        &mut self,
        node: usize,
        lookup: Lookup,
        table: &Table,
        keys: Vec<i64>,
    ) -> Result<[Vec<i64>; 2], RunError> {
        let owner = Owner::Node(node);
        if table.low > 0 {
            self.check(&self.graph.nodes[node].name, &keys, table.keys)?;
            let min = table.keys.min;
            if table.is_range() {
                let above = keys.iter().map(|key| key - min).collect();
                let bits = self.graph.limbs(table.span_bits());
                let above = self.limbs(owner, &bits, above, Role::QuotientLimb);
                let keys: Vec<i64> = above.iter().map(|above| min + above).collect();
                return Ok([keys.clone(), keys]);
            }
            return Ok(self.looked_up_in_segments(owner, lookup, table, &keys));
        }
        let [key, value] = lookup.whole();
        let keys = self.cells(owner, key, keys);
        self.check(&self.graph.nodes[node].name, &keys, table.keys)?;
        if table.is_range() {
            return Ok([keys.clone(), keys]);
        }
        let values = keys.iter().map(|key| table.value(*key));
        let values = self.cells(owner, value, values.collect::<Vec<_>>());
        Ok([keys, values])
    }

    fn looked_up_in_segments(
        &mut self,
        owner: Owner,
        lookup: Lookup,
        table: &Table,
        keys: &[i64],
    ) -> [Vec<i64>; 2] {
        let [high, low, base, slope, rise] = lookup.split();
        let highs = self.cells(owner, high, keys.iter().map(|key| table.split(*key).0));
        let start = |high: &i64| table.keys.min + (high << table.low);
        let rests = keys.iter().zip(&highs).map(|(key, high)| key - start(high));
        let rests = self.cells(owner, low, rests.collect::<Vec<_>>());
        let keys = highs.iter().map(start).zip(&rests);
        let keys: Vec<i64> = keys.map(|(start, rest)| start + rest).collect();
        let lines: Vec<[i64; 2]> = highs.iter().map(|high| table.segment(*high)).collect();
        let bases = self.cells(owner, base, lines.iter().map(|line| line[0]));
        let slopes = self.cells(owner, slope, lines.iter().map(|line| line[1]));
        let rises = slopes
            .iter()
            .zip(&rests)
            .map(|(slope, rest)| slope.saturating_mul(*rest));
        let rises = self.cells(owner, rise, rises.collect::<Vec<_>>());
        let values = bases
            .iter()
            .zip(&rises)
            .map(|(base, rise)| base.saturating_add(*rise));
        [keys, values.collect()]
    }
}
