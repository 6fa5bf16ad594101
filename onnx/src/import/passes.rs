//! Rewrites of the float network after it has been read: activations that exporters take apart, scalings that the next layer
//! absorbs, and nodes that nobody reads.

use zkernel_gadgets::model::Function;

use super::Build;
use super::tables::scale_columns;
use crate::model::{FloatNode, FloatOp, MASKING, Rounding};

/// What a mask that is computed takes off scores: `exp` of it is nothing, and it leaves the scores their digits.
const MASK_DEPTH: f64 = 40.0;

impl Build {
    /// All rewrites; `outputs` are the tensors to keep.
    pub(super) fn simplify(&mut self, outputs: &[usize]) {
        for index in 0..self.nodes.len() {
            self.gelu(index, outputs);
            self.logistic(index);
            self.silu(index);
            self.saturate(index, outputs);
        }
        self.bound_masks(outputs);
        self.rank_by_source();
        self.drop_unread(outputs);
        self.square_distances(outputs);
        self.absorb_scales(outputs);
        self.absorb_through_views(outputs);
        self.drop_unread(outputs);
        self.fold_layers(outputs);
        self.drop_unread(outputs);
        self.unit_comparisons(outputs);
    }

    pub(super) fn writer(&self, tensor: usize) -> Option<&FloatNode> {
        self.nodes.iter().find(|n| n.output == tensor)
    }

    pub(super) fn readers(&self, tensor: usize) -> Vec<usize> {
        let reads = |i: &usize| self.nodes[*i].inputs.contains(&tensor);
        (0..self.nodes.len()).filter(reads).collect()
    }

    /// `(factor, x, constant)` of a tensor that is `factor x + constant` of one other of its shape; itself otherwise.
    fn scaled(&self, tensor: usize) -> (f64, usize, f64) {
        let itself = (1.0, tensor, 0.0);
        let Some(node) = self.writer(tensor) else {
            return itself;
        };
        let FloatOp::Affine { pieces, constant } = &node.op else {
            return itself;
        };
        let same = self.tensors[node.inputs[0]].shape == self.tensors[tensor].shape;
        match pieces.as_slice() {
            [(factor, piece)]
                if same
                    && piece
                        .axes
                        .iter()
                        .all(|a| a.source.is_none_or(|s| s.1 == 0 && s.2 == 1)) =>
            {
                (*factor, node.inputs[0], *constant)
            }
            _ => itself,
        }
    }

    /// `x (1 + erf(x / sqrt 2)) / 2`, the half before or after the product.
    fn gelu(&mut self, index: usize, outputs: &[usize]) {
        let node = &self.nodes[index];
        let (FloatOp::Product, &[a, b]) = (&node.op, node.inputs.as_slice()) else {
            return;
        };
        let output = node.output;
        for (left, right) in [(a, b), (b, a)] {
            let Some((x, factor)) = self.gelu_of(left, right) else {
                continue;
            };
            let gelu = FloatOp::Function(Function::Gelu, [0.0; 2]);
            if factor == 0.5 {
                (self.nodes[index].op, self.nodes[index].inputs) = (gelu, vec![x]);
                return;
            }
            // The half comes after: the node that halves the product is the function.
            let halves = self.readers(output);
            if let ([half], false) = (halves.as_slice(), outputs.contains(&output))
                && self.scaled(self.nodes[*half].output) == (0.5, output, 0.0)
            {
                let half = *half;
                (self.nodes[half].op, self.nodes[half].inputs) = (gelu, vec![x]);
            }
            return;
        }
    }

    /// x and c with `left right = c x (1 + erf(x / sqrt 2))`, c = 1 or 1/2.
    fn gelu_of(&self, left: usize, right: usize) -> Option<(usize, f64)> {
        let (factor, x, offset) = self.scaled(left);
        let (one, erf, constant) = self.scaled(right);
        let close = |a: f64, b: f64| (a - b).abs() < 1e-5;
        let total = factor * one;
        if offset != 0.0 || !close(constant, one) || !(close(total, 1.0) || close(total, 0.5)) {
            return None;
        }
        let node = self.writer(erf)?;
        let FloatOp::Function(Function::Erf, _) = node.op else {
            return None;
        };
        let (slope, of, shift) = self.scaled(node.inputs[0]);
        let fits = of == x && shift == 0.0 && close(slope, std::f64::consts::FRAC_1_SQRT_2);
        fits.then_some((x, if close(total, 0.5) { 0.5 } else { 1.0 }))
    }

    /// `1 / (1 + exp(x)) = sigmoid(-x)`: of the file's operators the first would be large where the last is small.
    fn logistic(&mut self, index: usize) {
        let node = &self.nodes[index];
        let reciprocal = matches!(
            node.op,
            FloatOp::Reciprocal | FloatOp::Function(Function::Reciprocal, _)
        );
        let of = node.inputs.first().filter(|_| reciprocal);
        let Some((1.0, exponential, 1.0)) = of.map(|d| self.scaled(*d)) else {
            return;
        };
        let writer = self.writer(exponential);
        let Some(x) = writer
            .filter(|node| matches!(node.op, FloatOp::Function(Function::Exp, _)))
            .map(|node| node.inputs[0])
        else {
            return;
        };
        // The minus goes into the view or the layer before.
        let shape = self.tensors[x].shape.clone();
        let name = format!("{} turned", self.tensors[node.output].name);
        let name_of_node = node.name.clone();
        let turned = self.tensor(&name, shape.clone());
        let minus = FloatNode {
            name: name_of_node,
            op: super::parts::whole(&[(-1.0, 0)], 0.0, &[&shape], &shape),
            inputs: vec![x],
            output: turned,
        };
        self.nodes[index].op = FloatOp::Function(Function::Sigmoid, [0.0; 2]);
        self.nodes[index].inputs = vec![turned];
        self.nodes.insert(index, minus);
    }

    /// `x sigmoid(x)`.
    fn silu(&mut self, index: usize) {
        let node = &self.nodes[index];
        let (FloatOp::Product, &[a, b]) = (&node.op, node.inputs.as_slice()) else {
            return;
        };
        let sigmoid_of = |tensor: usize| {
            let node = self.writer(tensor)?;
            matches!(node.op, FloatOp::Function(Function::Sigmoid, _)).then(|| node.inputs[0])
        };
        let x = match (sigmoid_of(a), sigmoid_of(b)) {
            (Some(x), _) if x == b => b,
            (_, Some(x)) if x == a => a,
            _ => return,
        };
        self.nodes[index].op = FloatOp::Function(Function::Silu, [0.0; 2]);
        self.nodes[index].inputs = vec![x];
    }

    /// What is clipped before it is rounded saturates instead: rounding keeps the order, so `round(clip(x)) = clip'(round(x))` with
    /// the ends rounded. Integers of the file stay integers.
    fn saturate(&mut self, index: usize, outputs: &[usize]) {
        let node = &self.nodes[index];
        let (FloatOp::Round(rounding), &[input]) = (&node.op, node.inputs.as_slice()) else {
            return;
        };
        let alone = self.readers(input).len() == 1 && !outputs.contains(&input);
        let Some((range, [_])) = rounding
            .range
            .zip(rounding.steps.first_chunk::<1>())
            .filter(|_| alone)
        else {
            return;
        };
        let Some(writer) = self.writer(input).filter(|_| rounding.steps.len() == 1) else {
            return;
        };
        let [low, high] = match writer.op {
            FloatOp::Function(Function::Relu, _) => [0.0, f64::from(f32::MAX)],
            FloatOp::Function(Function::Relu6, _) => [0.0, 6.0],
            FloatOp::Function(Function::Clip, ends) => ends,
            _ => return,
        };
        let end = |x: f64| (rounding.value(x as f32, 0) as i64).clamp(range[0], range[1]);
        let kept = Rounding {
            range: Some([end(low), end(high)]),
            ..rounding.clone()
        };
        let from = writer.inputs.clone();
        (self.nodes[index].op, self.nodes[index].inputs) = (FloatOp::Round(kept), from);
    }

    /// Masks made of bits of the input, `(1 - bit) -10000` and the like, take less off what softmaxes alone read: no integers hold both
    /// them and the scores. What lies between is then ours, not the reference's.
    fn bound_masks(&mut self, outputs: &[usize]) {
        for index in 0..self.nodes.len() {
            let node = &self.nodes[index];
            let (FloatOp::Affine { pieces, constant }, [_]) = (&node.op, node.inputs.as_slice())
            else {
                continue;
            };
            let deepest = pieces.iter().map(|(factor, _)| factor.abs());
            let deepest = deepest.fold(constant.abs(), f64::max);
            let mut between = Vec::new();
            if deepest < -f64::from(MASKING) || !self.is_mask(node.output, outputs, &mut between) {
                continue;
            }
            let share = MASK_DEPTH / deepest;
            if let FloatOp::Affine { pieces, constant } = &mut self.nodes[index].op {
                pieces.iter_mut().for_each(|(factor, _)| *factor *= share);
                *constant *= share;
            }
            for tensor in between {
                self.tensors[tensor].name.push_str("#masked");
            }
        }
    }

    /// Whether softmaxes alone read a tensor, seen through sums and views, which are collected.
    fn is_mask(&self, tensor: usize, outputs: &[usize], between: &mut Vec<usize>) -> bool {
        between.push(tensor);
        let readers = self.readers(tensor);
        !readers.is_empty()
            && !outputs.contains(&tensor)
            && readers.into_iter().all(|reader| {
                let node = &self.nodes[reader];
                match node.op {
                    FloatOp::Softmax => true,
                    FloatOp::Affine { .. } | FloatOp::Reshape | FloatOp::Transpose(_) => {
                        self.is_mask(node.output, outputs, between)
                    }
                    _ => false,
                }
            })
    }

    /// A scaling along the last axis that dense layers alone read becomes part of their weights.
    fn absorb_scales(&mut self, outputs: &[usize]) {
        for index in 0..self.nodes.len() {
            let FloatOp::Scale { scale, shift } = self.nodes[index].op.clone() else {
                continue;
            };
            let (from, to) = (self.nodes[index].inputs[0], self.nodes[index].output);
            let readers = self.readers(to);
            let dense = |i: &usize| matches!(self.nodes[*i].op, FloatOp::Dense { .. });
            if outputs.contains(&to) || readers.is_empty() || !readers.iter().all(dense) {
                continue;
            }
            for reader in readers {
                self.nodes[reader].inputs = vec![from];
                absorb(&mut self.nodes[reader].op, &scale, &shift);
            }
        }
    }

    /// A dense layer of a dense layer is one, where that has no more weights: projections before a linear model.
    fn fold_layers(&mut self, outputs: &[usize]) {
        for index in 0..self.nodes.len() {
            let (input, output) = (
                self.nodes[index].inputs.first().copied(),
                self.nodes[index].output,
            );
            let Some(first) = input.and_then(|t| self.nodes.iter().position(|n| n.output == t))
            else {
                continue;
            };
            let between = self.nodes[first].output;
            let whole = [between, output].iter().any(|t| self.grids.contains_key(t));
            if whole || outputs.contains(&between) || self.readers(between).len() > 1 {
                continue;
            }
            if let Some(op) = product(&self.nodes[index].op, &self.nodes[first].op) {
                self.nodes[index].op = op;
                self.nodes[index].inputs = self.nodes[first].inputs.clone();
            }
        }
    }

    /// Rows of which only the sign is read, and which read one value, read it as it is: `w x + b > 0` as `x + b / w > 0`, or less. What
    /// the tensor holds is then another multiple than the reference run has: it gets a name of its own.
    fn unit_comparisons(&mut self, outputs: &[usize]) {
        for index in 0..self.nodes.len() {
            let output = self.nodes[index].output;
            let readers = self.readers(output);
            let signs = readers
                .iter()
                .all(|i| matches!(self.nodes[*i].op, FloatOp::Positive));
            if readers.is_empty() || !signs || outputs.contains(&output) {
                continue;
            }
            if unit_rows(&mut self.nodes[index].op) {
                self.rename(output, " in units");
            }
        }
    }

    fn drop_unread(&mut self, outputs: &[usize]) {
        let mut read: std::collections::BTreeSet<usize> = outputs.iter().copied().collect();
        for node in self.nodes.iter().rev() {
            if read.contains(&node.output) {
                read.extend(&node.inputs);
            }
        }
        self.nodes.retain(|node| read.contains(&node.output));
    }
}

/// `W (s x + t) + b = (W s) x + (W t + b)`.
fn absorb(op: &mut FloatOp, scale: &[f32], shift: &[f32]) {
    let places: Vec<Option<usize>> = (0..scale.len()).map(Some).collect();
    scale_columns(op, &places, scale, shift);
}

/// `A (B x + c) + d = (A B) x + (A c + d)`, if it has no more weights.
fn product(second: &FloatOp, first: &FloatOp) -> Option<FloatOp> {
    let (
        FloatOp::Dense {
            rows,
            cols: inner,
            weights: a,
            bias: d,
        },
        FloatOp::Dense {
            rows: between,
            cols,
            weights: b,
            bias: c,
        },
    ) = (second, first)
    else {
        return None;
    };
    if inner != between || rows * cols > a.len() + b.len() {
        return None;
    }
    let entry = |p: usize| -> f32 {
        let (row, column) = (
            &a[p / cols * inner..][..*inner],
            b.iter().skip(p % cols).step_by(*cols),
        );
        let terms = row
            .iter()
            .zip(column)
            .map(|(a, b)| f64::from(*a) * f64::from(*b));
        terms.sum::<f64>() as f32
    };
    let offset = |i: usize| -> f32 {
        let row = a[i * inner..][..*inner].iter();
        let terms = row
            .zip(c.iter().flatten())
            .map(|(a, c)| f64::from(*a) * f64::from(*c));
        (terms.sum::<f64>() + d.as_ref().map_or(0.0, |d| f64::from(d[i]))) as f32
    };
    let bias = (c.is_some() || d.is_some()).then(|| (0..*rows).map(offset).collect());
    Some(FloatOp::Dense {
        rows: *rows,
        cols: *cols,
        weights: (0..rows * cols).map(entry).collect(),
        bias,
    })
}

/// Divides rows with one weight that is not zero by its magnitude; whether anything changed.
fn unit_rows(op: &mut FloatOp) -> bool {
    let FloatOp::Dense {
        cols,
        weights,
        bias: Some(bias),
        ..
    } = op
    else {
        return false;
    };
    let one = |row: &[f32]| row.iter().filter(|w| **w != 0.0).count() <= 1;
    let units = weights.iter().all(|w| matches!(w.abs(), 0.0 | 1.0));
    if units || !weights.chunks(*cols).all(one) {
        return false;
    }
    for (row, b) in weights.chunks_mut(*cols).zip(bias) {
        if let Some(w) = row.iter_mut().find(|w| **w != 0.0) {
            *b = (f64::from(*b) / f64::from(w.abs())) as f32;
            *w = w.signum();
        }
    }
    true
}
