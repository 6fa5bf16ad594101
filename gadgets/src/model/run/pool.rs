//! Max pooling on integers, as the running maximum that is proven.

use super::{Assign, Lookup, Owner, Role, RunError, Runner};
use crate::model::geometry::Geometry;
use crate::model::graph::TableId;
use crate::model::lower::outside_elements;

impl<A: Assign> Runner<'_, A> {
    pub(super) fn max_pool(
        &mut self,
        node: usize,
        geometry: &Geometry,
        table: TableId,
    ) -> Result<Vec<i64>, RunError> {
        let input = self.graph.nodes[node].inputs[0];
        let tensor = &self.graph.tensors[input.0 as usize];
        let x = self.read(node, 0);
        self.check(&self.graph.nodes[node].name, &x, tensor.range)?;
        let (_, output) = self.shapes(node);
        let mut maxima = vec![tensor.range.min; output.iter().product()];
        for tap in 0..geometry.taps() {
            let read = self.tap_reads(node, geometry, tap);
            let keys = read.iter().map(|(o, i)| x[*i] - maxima[*o]).collect();
            self.run_tap(node, tap, table, keys, &read, &mut maxima)?;
        }
        Ok(maxima)
    }

    pub(super) fn requantize_max(
        &mut self,
        node: usize,
        shift: u32,
        table: TableId,
        geometry: &Geometry,
    ) -> Result<Vec<i64>, RunError> {
        let half = if shift == 0 { 0 } else { 1i64 << (shift - 1) };
        let x = self.operand(node).to_vec();
        let (input, output) = self.shapes(node);
        let mut maxima = vec![0; output.iter().product()];
        for tap in 0..geometry.taps() {
            let read = self.tap_reads(node, geometry, tap);
            let before: Vec<i64> = read.iter().map(|(o, _)| maxima[*o]).collect();
            let raised = read.iter().map(|(_, i)| x[*i] + half);
            let raised: Vec<i64> = raised.collect();
            let keys = raised.iter().zip(&before).map(|(x, m)| (x >> shift) - m);
            let keys = self.run_tap(node, tap, table, keys.collect(), &read, &mut maxima)?;
            let rest = raised.iter().zip(keys.iter().zip(&before));
            let rest = rest.map(|(x, (d, m))| x - ((d + m) << shift)).collect();
            let role = |limb| Role::TapRemainder(tap, limb);
            self.limbs(Owner::Node(node), &self.graph.limbs(shift), rest, role);
        }
        let outside = outside_elements(geometry, &input, &output);
        let outside: Vec<i64> = outside.iter().map(|i| x[*i]).collect();
        self.cells(Owner::Node(node), Role::Outside, outside);
        Ok(maxima)
    }

    /// `(output, input)` element numbers of every read of a tap, by output.
    fn tap_reads(&self, node: usize, geometry: &Geometry, tap: usize) -> Vec<(usize, usize)> {
        let ([_, _, height, width], [batch, channels, oh, ow]) = self.shapes(node);
        let [a, b] = geometry.tap(tap);
        let read = |output: usize| {
            let plane = output / (oh * ow);
            let row = geometry.read(0, output / ow % oh, a, height)?;
            let column = geometry.read(1, output % ow, b, width)?;
            Some((output, (plane * height + row) * width + column))
        };
        (0..batch * channels * oh * ow).filter_map(read).collect()
    }

    /// Assigns keys and gains of a tap and raises the maxima; returns the keys.
    fn run_tap(
        &mut self,
        node: usize,
        tap: usize,
        table: TableId,
        keys: Vec<i64>,
        read: &[(usize, usize)],
        maxima: &mut [i64],
    ) -> Result<Vec<i64>, RunError> {
        let table = &self.graph.tables[table.0 as usize];
        let [keys, gains] = self.looked_up(node, Lookup::Tap(tap), table, keys)?;
        for ((output, _), gain) in read.iter().zip(gains) {
            maxima[*output] += gain;
        }
        Ok(keys)
    }
}
