//! Views, products, quotients, comparisons and gathers on integers.

use super::contraction;
use super::linear::largest;
use super::{Assign, Lookup, Owner, Role, RunError, Runner};
use crate::model::graph::{Interval, Node, Piece, TableId, WeightId};
use crate::model::statement::ASSERTED;

impl<A: Assign> Runner<'_, A> {
    fn shape(&self, node: usize, operand: Option<usize>) -> &[usize] {
        let node = &self.graph.nodes[node];
        let id = operand.map_or(node.output, |i| node.inputs[i]);
        &self.graph.tensors[id.0 as usize].shape
    }

    pub(super) fn affine(
        &self,
        node: usize,
        pieces: &[Piece],
        constant: i64,
    ) -> Result<Vec<i64>, RunError> {
        let shape = self.shape(node, None).to_vec();
        let mut out = vec![constant; shape.iter().product()];
        for piece in pieces {
            let input = self.graph.nodes[node].inputs[piece.input];
            let x = &self.trace.values[input.0 as usize];
            for (to, from) in piece.reads(&shape, self.shape(node, Some(piece.input))) {
                out[to] = self.sum(node, out[to], [(piece.scale, x[from])].into_iter())?;
            }
        }
        Ok(out)
    }

    pub(super) fn constant(&self, node: usize, id: WeightId) -> Result<Vec<i64>, RunError> {
        let values = self.weights.0[id.0 as usize].clone();
        let expected = self.shape(node, None).iter().product();
        if values.len() == expected {
            return Ok(values);
        }
        Err(RunError::Length {
            name: self.graph.weights[id.0 as usize].name.clone(),
            expected,
            found: values.len(),
        })
    }

    pub(super) fn product(&mut self, node: usize) -> Result<Vec<i64>, RunError> {
        let (a, b) = (self.read(node, 0), self.read(node, 1));
        let products = a.into_iter().zip(b);
        let products = products.map(|pair| self.sum(node, 0, [pair].into_iter()));
        let products = products.collect::<Result<Vec<_>, _>>()?;
        Ok(self.cells(Owner::Node(node), Role::Product, products))
    }

    pub(super) fn matmul(&mut self, node: usize) -> Result<Vec<i64>, RunError> {
        let (a, b) = (self.read(node, 0), self.read(node, 1));
        let [.., inner, columns] = *self.shape(node, Some(1)) else {
            return Ok(Vec::new());
        };
        let rows = self
            .shape(node, Some(0))
            .iter()
            .rev()
            .nth(1)
            .copied()
            .unwrap_or(1);
        let mut out = Vec::new();
        let most = [&a, &b].map(|x| largest(x));
        let most = u128::from(most[0]) * u128::from(most[1]) * inner as u128;
        for (a, b) in a.chunks(rows * inner).zip(b.chunks(inner * columns)) {
            if most < 1 << 63
                && let Some(products) = contraction::matmul(a, b, inner)
            {
                out.extend(products);
                continue;
            }
            for (row, j) in a
                .chunks(inner)
                .flat_map(|row| (0..columns).map(move |j| (row, j)))
            {
                let column = b[j..].iter().step_by(columns).copied();
                out.push(self.sum(node, 0, row.iter().copied().zip(column))?);
            }
        }
        Ok(self.cells(Owner::Node(node), Role::Accumulator, out))
    }

    pub(super) fn reciprocal(&mut self, node: usize, k: i64) -> Result<Vec<i64>, RunError> {
        let owner = Owner::Node(node);
        let x = self.read(node, 0);
        let input = self.graph.nodes[node].inputs[0];
        let range = self.graph.tensors[input.0 as usize].range;
        let covered = Interval::new(range.min.max(1), range.max);
        self.check(&self.graph.nodes[node].name, &x, covered)?;
        let y = x.iter().map(|x| if *x > 0 { k / x } else { 0 });
        let y = self.cells(owner, Role::Operand(1), y.collect::<Vec<_>>());
        let pairs = x.iter().copied().zip(y.iter().copied());
        let p = pairs.map(|pair| self.sum(node, 0, [pair].into_iter()));
        let p = p.collect::<Result<Vec<_>, _>>()?;
        let p = self.cells(owner, Role::Product, p);
        let [quotient, remainder] = self.graph.reciprocal_limbs(k, range);
        self.limbs(owner, &quotient, y.clone(), Role::QuotientLimb);
        let rest: Vec<i64> = p.iter().map(|p| k - p).collect();
        let below = x.iter().zip(&rest).map(|(x, r)| x - 1 - r).collect();
        self.limbs(owner, &remainder, rest, Role::Remainder);
        self.limbs(owner, &remainder, below, Role::Margin);
        Ok(y)
    }

    pub(super) fn root(&mut self, node: usize) -> Result<Vec<i64>, RunError> {
        let owner = Owner::Node(node);
        let x = self.operand(node).to_vec();
        let input = self.graph.nodes[node].inputs[0];
        let range = self.graph.tensors[input.0 as usize].range;
        let covered = Interval::new(0, range.max);
        self.check(&self.graph.nodes[node].name, &x, covered)?;
        let y = x.iter().map(|x| x.max(&0).isqrt());
        let y = self.cells(owner, Role::Operand(0), y.collect::<Vec<_>>());
        let again = self.cells(owner, Role::Operand(1), y.clone());
        let pairs = y.iter().copied().zip(again);
        let p = pairs.map(|pair| self.sum(node, 0, [pair].into_iter()));
        let p = p.collect::<Result<Vec<_>, _>>()?;
        let p = self.cells(owner, Role::Product, p);
        let remainder = self.graph.root_limbs(range);
        let rest = x.iter().zip(&p).map(|(x, p)| x - p).collect();
        let rest = self.limbs(owner, &remainder, rest, Role::Remainder);
        let below = y.iter().zip(&rest).map(|(y, r)| 2 * y - r).collect();
        self.limbs(owner, &remainder, below, Role::Margin);
        Ok(y)
    }

    pub(super) fn positive(&mut self, node: usize, bits: u32) -> Result<Vec<i64>, RunError> {
        let owner = Owner::Node(node);
        let Node { name, output, .. } = &self.graph.nodes[node];
        let x = self.operand(node).to_vec();
        let half = 1i64 << bits;
        let asserted = self.graph.tensors[output.0 as usize].range == ASSERTED;
        if asserted && !self.assign.lenient() && x.iter().any(|x| *x <= 0) {
            return Err(RunError::Untrue(name.clone()));
        }
        let above = if asserted { 0 } else { -half };
        self.check(name, &x, Interval::new(1 + above, half))?;
        let y = if asserted {
            vec![1; x.len()]
        } else {
            let y = x.iter().map(|x| (x - 1 + half) >> bits);
            let y: Vec<i64> = y.collect();
            self.cells(owner, Role::Value, y)
        };
        let low = x.iter().zip(&y).map(|(x, y)| x - 1 + half - y * half);
        let limbs = self.graph.limbs(bits);
        self.limbs(owner, &limbs, low.collect(), Role::Remainder);
        Ok(y)
    }

    pub(super) fn max_table(&mut self, node: usize, id: TableId) -> Result<Vec<i64>, RunError> {
        let owner = Owner::Node(node);
        let classes = self.shape(node, None).last().copied().unwrap_or(1).max(1);
        let x = self.operand(node).to_vec();
        let maxima = x
            .chunks(classes)
            .map(|row| row.iter().copied().max().unwrap_or(0));
        let maxima = self.cells(owner, Role::Maximum, maxima.collect::<Vec<_>>());
        let mut marks = vec![0; x.len()];
        for (row, (values, max)) in x.chunks(classes).zip(&maxima).enumerate() {
            let first = values.iter().position(|v| v == max).unwrap_or(0);
            marks[row * classes + first] = 1;
        }
        self.cells(owner, Role::OneHot, marks);
        let keys = x.iter().enumerate().map(|(i, x)| x - maxima[i / classes]);
        let table = &self.graph.tables[id.0 as usize];
        let [_, values] = self.looked_up(node, Lookup::Only, table, keys.collect())?;
        Ok(values)
    }

    pub(super) fn gather(&mut self, node: usize, id: WeightId) -> Result<Vec<i64>, RunError> {
        let numbers = self.read(node, 0);
        let weight = &self.graph.weights[id.0 as usize];
        let rows = Interval::new(0, weight.rows as i64 - 1);
        self.check(&self.graph.nodes[node].name, &numbers, rows)?;
        let matrix = &self.weights.0[id.0 as usize];
        let row = |number: &i64| {
            let number = usize::try_from(*number).unwrap_or(0).min(weight.rows - 1);
            matrix[number * weight.cols..][..weight.cols]
                .iter()
                .copied()
        };
        let values: Vec<i64> = numbers.iter().flat_map(row).collect();
        Ok(self.cells(Owner::Node(node), Role::Value, values))
    }
}
