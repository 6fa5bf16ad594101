//! The largest values of rows, on integers.

use super::{Assign, Owner, Role, RunError, Runner};
use crate::model::graph::Graph;

impl<A: Assign> Runner<'_, A> {
    /// Values and positions of the k largest or smallest of every row.
    pub(super) fn top_k(
        &mut self,
        node: usize,
        k: usize,
        largest: bool,
    ) -> Result<Vec<i64>, RunError> {
        let owner = Owner::Node(node);
        let input = &self.graph.tensors[self.graph.nodes[node].inputs[0].0 as usize];
        let n = input.shape.last().copied().unwrap_or(1).max(1);
        let range = input.range;
        let x = self.read(node, 0);
        self.check(&self.graph.nodes[node].name, &x, range)?;
        let sign = if largest { n as i64 } else { -(n as i64) };
        let chosen = x.chunks(n).enumerate().flat_map(|(row, values)| {
            let mut order: Vec<usize> = (0..n).collect();
            order.sort_by_key(|i| (-sign.signum() * values[*i], *i));
            order.into_iter().take(k).map(move |i| (row * n + i) as i64)
        });
        let chosen: Vec<i64> = chosen.collect();
        let chosen = self.cells(owner, Role::Position, chosen);
        let at = |position: &i64| usize::try_from(*position).ok().and_then(|i| x.get(i));
        let values = chosen
            .iter()
            .map(|position| at(position).copied().unwrap_or(0));
        let values = self.cells(owner, Role::Value, values.collect::<Vec<_>>());
        let own = chosen.iter().enumerate();
        let positions: Vec<i64> = own.map(|(i, g)| g - (i / k * n) as i64).collect();
        let limbs = self.graph.position_limbs(n);
        self.limbs(owner, &limbs, positions.clone(), Role::PositionLimb);
        let after = positions.iter().map(|i| n as i64 - 1 - i).collect();
        self.limbs(owner, &limbs, after, Role::AfterLimb);
        let bits = Graph::order_bits(range, n);
        let limbs = self.graph.limbs(bits);
        let pairs = values.chunks(k).zip(positions.chunks(k));
        let gaps = pairs.flat_map(|(v, i)| {
            let gap = |r: usize| sign * (v[r] - v[r + 1]) + i[r + 1] - i[r] - 1;
            (0..k - 1).map(gap).collect::<Vec<_>>()
        });
        self.limbs(owner, &limbs, gaps.collect(), Role::Remainder);
        let half = 1i64 << bits;
        let ahead: Vec<i64> = (0..x.len())
            .map(|at| {
                let (row, place) = (at / n, (at % n) as i64);
                let last = row * k + k - 1;
                sign * (x[at] - values[last]) + positions[last] - place
            })
            .collect();
        let marks = ahead.iter().map(|d| (d + half) >> bits);
        let marks = self.cells(owner, Role::OneHot, marks.collect::<Vec<_>>());
        let low = ahead
            .iter()
            .zip(&marks)
            .map(|(d, mark)| d + half - (mark << bits));
        self.limbs(owner, &limbs, low.collect(), Role::Margin);
        Ok([values, positions].concat())
    }
}
