//! Rewrites of what is done to the columns of a table, so that linear layers read the columns as they come: their units then do not
//! matter, since a layer's input keeps the bits that each column needs.

use zkernel_gadgets::model::Piece;

use super::Build;
use crate::float::View;
use crate::model::{FloatNode, FloatOp};

/// Most weights of a layer that stands for differences of a row from several others.
const MOST_WEIGHTS: usize = 1 << 16;

impl Build {
    /// A scaling of columns that are put beside others, or chosen from, and then read by dense layers alone becomes part of their
    /// weights.
    pub(super) fn absorb_through_views(&mut self, outputs: &[usize]) {
        for index in 0..self.nodes.len() {
            let FloatOp::Scale { scale, shift } = self.nodes[index].op.clone() else {
                continue;
            };
            let (from, to) = (self.nodes[index].inputs[0], self.nodes[index].output);
            if !self.is_row(to) || outputs.contains(&to) {
                continue;
            }
            let Some(layers) = self.layers_behind(to, outputs) else {
                continue;
            };
            self.rename_views(to);
            for (layer, places) in layers {
                scale_columns(&mut self.nodes[layer].op, &places, &scale, &shift);
            }
            for reader in self.readers(to) {
                let inputs = self.nodes[reader].inputs.iter_mut();
                inputs
                    .filter(|input| **input == to)
                    .for_each(|input| *input = from);
            }
        }
    }

    /// Views of a tensor hold other values than the reference run has under their names: they get names of their own.
    fn rename_views(&mut self, tensor: usize) {
        for reader in self.readers(tensor) {
            let node = &self.nodes[reader];
            if !matches!(node.op, FloatOp::Dense { .. }) {
                let output = node.output;
                self.rename(output, " in units");
                self.rename_views(output);
            }
        }
    }

    /// Another name for a tensor that holds another multiple than the reference run has under its own.
    pub(super) fn rename(&mut self, tensor: usize, suffix: &str) {
        let name = &mut self.tensors[tensor].name;
        self.ids.remove(&*name);
        name.push_str(suffix);
        self.ids.insert(name.clone(), tensor);
    }

    /// A tensor of one row.
    fn is_row(&self, tensor: usize) -> bool {
        let shape = &self.tensors[tensor].shape;
        shape.len() == 2 && shape[0] == 1
    }

    /// The dense layers that read a row through views, and the column of the row that each of their inputs is, if any; `None` if
    /// something else reads it.
    fn layers_behind(
        &self,
        row: usize,
        outputs: &[usize],
    ) -> Option<Vec<(usize, Vec<Option<usize>>)>> {
        let mut found = Vec::new();
        for reader in self.readers(row) {
            let node = &self.nodes[reader];
            if let FloatOp::Dense { cols, .. } = node.op {
                found.push((reader, (0..cols).map(Some).collect()));
                continue;
            }
            if outputs.contains(&node.output) || !self.is_row(node.output) {
                return None;
            }
            let places = self.places(node, row)?;
            for (layer, of_view) in self.layers_behind(node.output, outputs)? {
                let through = of_view.iter().map(|place| place.and_then(|j| places[j]));
                found.push((layer, through.collect()));
            }
        }
        (!found.is_empty()).then_some(found)
    }

    /// Which column of a row each column of a view is.
    fn places(&self, node: &FloatNode, row: usize) -> Option<Vec<Option<usize>>> {
        let (pieces, constant) = match &node.op {
            FloatOp::Affine { pieces, constant } => (pieces, constant),
            FloatOp::Reshape => return Some((0..self.tensors[row].shape[1]).map(Some).collect()),
            _ => return None,
        };
        let (count, width) = (
            self.tensors[row].shape[1],
            self.tensors[node.output].shape[1],
        );
        let once = |pieces: &[(f64, Piece)]| {
            pieces
                .iter()
                .all(|(factor, piece)| *factor == 1.0 && piece.scale == 1)
        };
        if *constant != 0.0 || !once(pieces) || pieces.iter().any(|(_, piece)| sums(piece)) {
            return None;
        }
        // Numbered columns show where they go, columns of ones that nothing else is added to them.
        let run = |of_row: &dyn Fn(usize) -> f32, of_others: f32| {
            let values = node.inputs.iter().map(|t| match *t == row {
                true => (0..count).map(of_row).collect(),
                false => vec![of_others; self.tensors[*t].len()],
            });
            let values: Vec<Vec<f32>> = values.collect();
            let views = node.inputs.iter().zip(&values).map(|(t, values)| View {
                shape: &self.tensors[*t].shape,
                values,
            });
            let views: Vec<View<'_>> = views.collect();
            node.op.evaluate(&views, &[1, width])
        };
        let (numbers, ones) = (run(&|j| j as f32 + 1.0, 0.0), run(&|_| 1.0, 1.0));
        if ones.iter().any(|v| *v > 1.0) {
            return None;
        }
        let place = |v: &f32| (*v > 0.0).then(|| *v as usize - 1);
        Some(numbers.iter().map(place).collect())
    }

    /// `k (x - m)^2` for several rows m, with factors k of every column that are not negative, as the square of one linear layer of the
    /// row x: `sqrt(k) x - sqrt(k) m`.
    pub(super) fn square_distances(&mut self, outputs: &[usize]) {
        let mut index = 0;
        while index < self.nodes.len() {
            if let Some((square, x, op)) = self.square_distance(index, outputs) {
                let squares = self.nodes[square].output;
                let count = self.tensors[squares].len();
                let mut shape = self.tensors[x].shape.clone();
                shape.pop();
                shape.push(count);
                let name = format!("{} in units", self.tensors[squares].name);
                let layer = self.tensor(&name, shape);
                let node = FloatNode {
                    name: self.nodes[square].name.clone(),
                    op,
                    inputs: vec![x],
                    output: layer,
                };
                self.nodes[square].op = FloatOp::Reshape;
                self.nodes[square].inputs = vec![layer];
                self.rename(squares, " root");
                self.nodes[index].inputs = vec![squares, squares];
                self.nodes.insert(square, node);
                index += 1;
            }
            index += 1;
        }
    }

    fn values_of(&self, tensor: usize) -> Option<&[f32]> {
        match &self.writer(tensor)?.op {
            FloatOp::Constant(values) => Some(values),
            _ => None,
        }
    }

    /// The node of the squares, the row, and the layer of it that is squared.
    fn square_distance(&self, index: usize, outputs: &[usize]) -> Option<(usize, usize, FloatOp)> {
        let (FloatOp::Product, &[a, b]) =
            (&self.nodes[index].op, self.nodes[index].inputs.as_slice())
        else {
            return None;
        };
        let of_constant = |squares: usize, k: usize| self.values_of(k).map(|k| (squares, k));
        let (squares, factors) = of_constant(a, b).or_else(|| of_constant(b, a))?;
        let square = self.nodes.iter().position(|n| n.output == squares)?;
        let &[difference, same] = self.nodes[square].inputs.as_slice() else {
            return None;
        };
        let product = difference == same && self.nodes[square].op == FloatOp::Product;
        let alone = !outputs.contains(&squares) && self.readers(squares).len() == 1;
        if !product || !alone || factors.iter().any(|k| *k < 0.0) {
            return None;
        }
        let (x, offsets) = self.difference_of_row(difference)?;
        let cols = self.tensors[x].len();
        if factors.len() != offsets.len() || offsets.len() * cols > MOST_WEIGHTS {
            return None;
        }
        let roots: Vec<f32> = factors.iter().map(|k| k.sqrt()).collect();
        let mut weights = vec![0.0; offsets.len() * cols];
        for (row, root) in roots.iter().enumerate() {
            weights[row * cols + row % cols] = *root;
        }
        let bias = roots
            .iter()
            .zip(&offsets)
            .map(|(root, m)| root * m)
            .collect();
        let op = FloatOp::Dense {
            rows: offsets.len(),
            cols,
            weights,
            bias: Some(bias),
        };
        Some((square, x, op))
    }

    /// A row x and constants m of a tensor that is `x + m`, row by row.
    fn difference_of_row(&self, tensor: usize) -> Option<(usize, Vec<f32>)> {
        let node = self.writer(tensor)?;
        let shape = &self.tensors[tensor].shape;
        let x = *node.inputs.iter().find(|t| self.values_of(**t).is_none())?;
        let cols = *self.tensors[x].shape.last()?;
        let others = node.inputs.iter().filter(|t| **t != x);
        let fits = matches!(node.op, FloatOp::Affine { .. }) && cols == self.tensors[x].len();
        if !fits
            || shape.last() != Some(&cols)
            || others.clone().any(|t| self.values_of(*t).is_none())
        {
            return None;
        }
        let run = |of_x: &dyn Fn(usize) -> f32| {
            let row: Vec<f32> = (0..cols).map(of_x).collect();
            let views = node.inputs.iter().map(|t| View {
                shape: &self.tensors[*t].shape,
                values: self.values_of(*t).unwrap_or(&row),
            });
            node.op.evaluate(&views.collect::<Vec<_>>(), shape)
        };
        let (offsets, ones) = (run(&|_| 0.0), run(&|j| (j % 2) as f32 + 1.0));
        // Every element reads the element of its own column, once.
        let own = |(i, (one, offset)): (usize, (&f32, &f32))| {
            let expected = (i % cols % 2) as f32 + 1.0;
            (one - offset - expected).abs() <= 1e-4 * (1.0 + offset.abs())
        };
        let pairs = ones.iter().zip(&offsets).enumerate();
        pairs.clone().all(own).then_some((x, offsets))
    }
}

/// Whether a piece adds up elements.
fn sums(piece: &Piece) -> bool {
    piece
        .axes
        .iter()
        .filter(|along| along.source.is_some())
        .count()
        < 2
}

/// `W (S x + t) = (W S) x + W t` for the columns that are scaled ones.
pub(super) fn scale_columns(
    op: &mut FloatOp,
    places: &[Option<usize>],
    scale: &[f32],
    shift: &[f32],
) {
    let FloatOp::Dense {
        rows,
        cols,
        weights,
        bias,
    } = op
    else {
        return;
    };
    let mut moved = bias.take().unwrap_or_else(|| vec![0.0; *rows]);
    for (row, b) in weights.chunks_mut(*cols).zip(&mut moved) {
        let mut sum = f64::from(*b);
        for (w, place) in row.iter_mut().zip(places) {
            if let Some(j) = place {
                sum += f64::from(*w) * f64::from(shift[*j]);
                *w *= scale[*j];
            }
        }
        *b = sum as f32;
    }
    *bias = Some(moved);
}
