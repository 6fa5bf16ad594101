//! Operators on several activations, and those that are taken apart into simpler ones.

use tract_onnx::pb;
use zkernel_gadgets::model::{Along, Function, Piece};

use super::attributes::{attribute, int};
use super::{Build, Import};
use crate::Error;
use crate::model::FloatOp;

/// What became of a node: nothing more to do, or why it cannot be translated.
pub(super) type Outcome = Result<(), String>;

/// A node that is being taken apart: where its parts and its output go.
pub(super) struct Parts<'a, 'b> {
    pub(super) import: &'a Import<'a>,
    pub(super) node: &'a pb::NodeProto,
    pub(super) build: &'b mut Build,
    /// Parts so far, for their names.
    count: usize,
}

impl<'a, 'b> Parts<'a, 'b> {
    pub(super) const fn new(
        import: &'a Import<'a>,
        node: &'a pb::NodeProto,
        build: &'b mut Build,
    ) -> Self {
        Self {
            import,
            node,
            build,
            count: 0,
        }
    }

    /// Translates the node; `None` if it is of another kind.
    pub(super) fn translate(&mut self) -> Result<Option<Outcome>, Error> {
        Ok(Some(match &*self.node.op_type {
            "Add" | "Sum" => self.sum(1.0, 1.0)?,
            "Sub" => self.sum(1.0, -1.0)?,
            "Mean" => self.sum(1.0, self.node.input.len() as f64)?,
            "Mul" => {
                let operands = self.operands()?;
                self.products(&operands)
            }
            "Div" => self.quotient()?,
            "Neg" => self.view_of(-1.0, 0.0)?,
            "Pow" => self.power()?,
            "MatMul" => self.matmul()?,
            "Gemm" => self.gemm_of_activations()?,
            "Max" => self.extreme(1.0)?,
            "Min" => self.extreme(-1.0)?,
            "Greater" => self.compare([1.0, -1.0], 0.0, false)?,
            "Less" => self.compare([-1.0, 1.0], 0.0, false)?,
            "GreaterOrEqual" => self.compare([-1.0, 1.0], 0.0, true)?,
            "LessOrEqual" => self.compare([1.0, -1.0], 0.0, true)?,
            "Equal" => self.equal()?,
            "Not" => self.view_of(-1.0, 1.0)?,
            "And" => {
                let operands = self.operands()?;
                self.products(&operands)
            }
            "Or" => self.logic(-1.0)?,
            "Xor" => self.logic(-2.0)?,
            "Where" => self.choose()?,
            "Softmax" | "LogSoftmax" => self.softmax()?,
            "LayerNormalization" => self.layer_normalization()?,
            "ReduceMean" | "ReduceSum" => self.reduce()?,
            "ReduceMax" => self.reduce_extreme(1.0)?,
            "ReduceMin" => self.reduce_extreme(-1.0)?,
            "ArgMax" => self.arg_extreme(1.0)?,
            "ArgMin" => self.arg_extreme(-1.0)?,
            _ => return self.views(),
        }))
    }

    /// The tensor of an input, a constant of the file included.
    pub(super) fn operand(&mut self, index: usize) -> Result<usize, Error> {
        let name = &self.node.input[index];
        if let Some(id) = self.build.ids.get(name) {
            return Ok(*id);
        }
        let constant = self.import.masking_constant(name)?;
        Ok(self.constant(constant.shape, constant.values))
    }

    fn operands(&mut self) -> Result<Vec<usize>, Error> {
        (0..self.node.input.len())
            .map(|i| self.operand(i))
            .collect()
    }

    pub(super) fn shape(&self, id: usize) -> Vec<usize> {
        self.build.tensors[id].shape.clone()
    }

    /// The shape of the node's output.
    pub(super) fn target(&self, output: usize) -> Result<Vec<usize>, Error> {
        self.import.shape(&self.node.output[output])
    }

    /// A part of the node: a tensor that the file does not name.
    pub(super) fn part(&mut self, op: FloatOp, inputs: Vec<usize>, shape: Vec<usize>) -> usize {
        let name = format!("{}#{}", super::display_name(self.node), self.count);
        self.count += 1;
        self.build.add(&name.clone(), name, op, inputs, shape)
    }

    /// The last part: the node's output.
    pub(super) fn finish(&mut self, op: FloatOp, inputs: Vec<usize>) -> Result<Outcome, Error> {
        self.finish_output(0, op, inputs)
    }

    pub(super) fn finish_output(
        &mut self,
        output: usize,
        op: FloatOp,
        inputs: Vec<usize>,
    ) -> Result<Outcome, Error> {
        let shape = self.target(output)?;
        let name = super::display_name(self.node);
        let tensor = self.node.output[output].clone();
        self.build.add(&tensor, name, op, inputs, shape);
        Ok(Ok(()))
    }

    pub(super) fn constant(&mut self, shape: Vec<usize>, values: Vec<f32>) -> usize {
        self.part(FloatOp::Constant(values), Vec::new(), shape)
    }

    /// `factor x + constant` element by element.
    pub(super) fn scaled(&mut self, x: usize, factor: f64, constant: f64) -> usize {
        let shape = self.shape(x);
        let op = whole(&[(factor, 0)], constant, &[&shape], &shape);
        self.part(op, vec![x], shape)
    }

    pub(super) fn apply(&mut self, x: usize, function: Function) -> usize {
        let shape = self.shape(x);
        self.part(FloatOp::Function(function, [0.0; 2]), vec![x], shape)
    }

    fn view_of(&mut self, factor: f64, constant: f64) -> Result<Outcome, Error> {
        let x = self.operand(0)?;
        let shape = self.shape(x);
        let op = whole(&[(factor, 0)], constant, &[&shape], &self.target(0)?);
        self.finish(op, vec![x])
    }

    /// `first x_0 + other (x_1 + x_2 + ..)`, or the mean for a negative count.
    fn sum(&mut self, first: f64, other: f64) -> Result<Outcome, Error> {
        let inputs = self.operands()?;
        let shapes: Vec<Vec<usize>> = inputs.iter().map(|id| self.shape(*id)).collect();
        let mean = self.node.op_type == "Mean";
        let factor = |i: usize| match (mean, i) {
            (true, _) => 1.0 / other,
            (false, 0) => first,
            _ => other,
        };
        let factors: Vec<(f64, usize)> = (0..inputs.len()).map(|i| (factor(i), i)).collect();
        let shapes: Vec<&[usize]> = shapes.iter().map(Vec::as_slice).collect();
        let op = whole(&factors, 0.0, &shapes, &self.target(0)?);
        self.finish(op, inputs)
    }

    /// A tensor in another shape by broadcasting; itself if it has that shape.
    pub(super) fn broadcast(&mut self, id: usize, shape: &[usize]) -> usize {
        let own = self.shape(id);
        if own == shape {
            return id;
        }
        if let Some(values) = self.constant_of(id) {
            let piece = Piece::broadcast(0, 1, &own, shape);
            let mut spread = vec![0.0; shape.iter().product()];
            for (to, from) in piece.reads(shape, &own) {
                spread[to] = values[from];
            }
            return self.constant(shape.to_vec(), spread);
        }
        let op = whole(&[(1.0, 0)], 0.0, &[&own], shape);
        self.part(op, vec![id], shape.to_vec())
    }

    fn constant_of(&self, id: usize) -> Option<Vec<f32>> {
        let node = self.build.nodes.iter().find(|n| n.output == id)?;
        match &node.op {
            FloatOp::Constant(values) => Some(values.clone()),
            _ => None,
        }
    }

    fn products(&mut self, operands: &[usize]) -> Outcome {
        let &[a, b] = operands else {
            return Err("two inputs are expected".into());
        };
        let shape = self.target(0).map_err(|e| e.to_string())?;
        let (a, b) = (self.broadcast(a, &shape), self.broadcast(b, &shape));
        self.finish(FloatOp::Product, vec![a, b])
            .map_err(|e| e.to_string())?
    }

    fn quotient(&mut self) -> Result<Outcome, Error> {
        if !self.import.is_float(&self.node.output[0])? {
            return Ok(Err("a division of integers is not built".into()));
        }
        let (a, b) = (self.operand(0)?, self.operand(1)?);
        if let Some(values) = self.constant_of(b) {
            let inverse: Vec<f32> = values.iter().map(|v| 1.0 / v).collect();
            if inverse.iter().any(|v| !v.is_finite()) {
                return Ok(Err("a division by zero".into()));
            }
            let shape = self.shape(b);
            let b = self.constant(shape, inverse);
            return Ok(self.products(&[a, b]));
        }
        let shape = self.shape(b);
        let inverse = self.part(FloatOp::Reciprocal, vec![b], shape);
        if let Some([one]) = self.constant_of(a).as_deref() {
            let (factor, shape) = (f64::from(*one), self.shape(inverse));
            let op = whole(&[(factor, 0)], 0.0, &[&shape], &self.target(0)?);
            return self.finish(op, vec![inverse]);
        }
        Ok(self.products(&[a, inverse]))
    }

    fn power(&mut self) -> Result<Outcome, Error> {
        let exponent = self.import.constant(&self.node.input[1]).ok();
        let Some([exponent]) = exponent.as_ref().map(|c| c.values.as_slice()) else {
            return Ok(Err("only one constant exponent is built".into()));
        };
        let x = self.operand(0)?;
        let function = |f, a: f64| FloatOp::Function(f, [a, 0.0]);
        match *exponent {
            2.0 => self.finish(FloatOp::Product, vec![x, x]),
            1.0 => self.view_of(1.0, 0.0),
            0.5 => self.finish(function(Function::Sqrt, 0.0), vec![x]),
            -0.5 => self.finish(function(Function::Rsqrt, 0.0), vec![x]),
            exponent => self.finish(function(Function::Pow, f64::from(exponent)), vec![x]),
        }
    }

    /// Leading axes broadcast to each other.
    fn matmul(&mut self) -> Result<Outcome, Error> {
        let (a, b) = (self.operand(0)?, self.operand(1)?);
        let (left, right, shape) = (self.shape(a), self.shape(b), self.target(0)?);
        let ([.., i, k], [.., _, j]) = (left.as_slice(), right.as_slice()) else {
            return Ok(Err("a product with a vector is not built".into()));
        };
        let lead = &shape[..shape.len() - 2];
        let a = self.broadcast(a, &[lead, &[*i, *k]].concat());
        let b = self.broadcast(b, &[lead, &[*k, *j]].concat());
        self.finish(FloatOp::MatMul, vec![a, b])
    }

    fn gemm_of_activations(&mut self) -> Result<Outcome, Error> {
        let (mut a, mut b) = (self.operand(0)?, self.operand(1)?);
        if int(self.node, "transA", 0) != 0 {
            a = self.transpose(a, vec![1, 0]);
        }
        if int(self.node, "transB", 0) != 0 {
            b = self.transpose(b, vec![1, 0]);
        }
        let shape = self.target(0)?;
        let product = self.part(FloatOp::MatMul, vec![a, b], shape.clone());
        let factor = |name| attribute(self.node, name).map_or(1.0, |a| f64::from(a.f));
        let (alpha, beta) = (factor("alpha"), factor("beta"));
        let biased = self.node.input.get(2).is_some_and(|n| !n.is_empty());
        let mut inputs = vec![product];
        let mut factors = vec![(alpha, 0)];
        if biased {
            inputs.push(self.operand(2)?);
            factors.push((beta, 1));
        }
        let shapes: Vec<Vec<usize>> = inputs.iter().map(|id| self.shape(*id)).collect();
        let shapes: Vec<&[usize]> = shapes.iter().map(Vec::as_slice).collect();
        self.finish(whole(&factors, 0.0, &shapes, &shape), inputs)
    }

    pub(super) fn transpose(&mut self, x: usize, axes: Vec<usize>) -> usize {
        let own = self.shape(x);
        let shape = axes.iter().map(|axis| own[*axis]).collect();
        self.part(FloatOp::Transpose(axes), vec![x], shape)
    }

    /// `max(a, b) = b + relu(a - b)`; with sign -1 the minimum, `b - relu(b - a)`.
    fn extreme(&mut self, sign: f64) -> Result<Outcome, Error> {
        let operands = self.operands()?;
        let &[a, b] = operands.as_slice() else {
            return Ok(Err("two inputs are built".into()));
        };
        let shape = self.target(0)?;
        let difference = self.difference([a, b], [sign, -sign], 0.0, &shape);
        let gain = self.apply(difference, Function::Relu);
        let shapes = [&*self.shape(b), &shape].map(<[usize]>::to_vec);
        let shapes: Vec<&[usize]> = shapes.iter().map(Vec::as_slice).collect();
        self.finish(
            whole(&[(1.0, 0), (sign, 1)], 0.0, &shapes, &shape),
            vec![b, gain],
        )
    }

    pub(super) fn difference(
        &mut self,
        operands: [usize; 2],
        factors: [f64; 2],
        constant: f64,
        shape: &[usize],
    ) -> usize {
        let shapes = operands.map(|id| self.shape(id));
        let shapes = [shapes[0].as_slice(), shapes[1].as_slice()];
        let op = whole(
            &[(factors[0], 0), (factors[1], 1)],
            constant,
            &shapes,
            shape,
        );
        self.part(op, operands.to_vec(), shape.to_vec())
    }

    /// Whether `factors[0] a + factors[1] b + constant > 0`, or not.
    fn compare(&mut self, factors: [f64; 2], constant: f64, not: bool) -> Result<Outcome, Error> {
        let (a, b, shape) = (self.operand(0)?, self.operand(1)?, self.target(0)?);
        let difference = self.difference([a, b], factors, constant, &shape);
        if !not {
            return self.finish(FloatOp::Positive, vec![difference]);
        }
        let less = self.part(FloatOp::Positive, vec![difference], shape.clone());
        self.finish(whole(&[(-1.0, 0)], 1.0, &[&shape], &shape), vec![less])
    }

    /// `1 - [a > b] - [b > a]`.
    fn equal(&mut self) -> Result<Outcome, Error> {
        let (a, b, shape) = (self.operand(0)?, self.operand(1)?, self.target(0)?);
        let sides = [[1.0, -1.0], [-1.0, 1.0]].map(|factors| {
            let difference = self.difference([a, b], factors, 0.0, &shape);
            self.part(FloatOp::Positive, vec![difference], shape.clone())
        });
        let op = whole(&[(-1.0, 0), (-1.0, 1)], 1.0, &[&shape, &shape], &shape);
        self.finish(op, sides.to_vec())
    }

    /// `a + b + factor a b` of bits: or with -1, exclusive or with -2.
    fn logic(&mut self, factor: f64) -> Result<Outcome, Error> {
        let (a, b, shape) = (self.operand(0)?, self.operand(1)?, self.target(0)?);
        let (a, b) = (self.broadcast(a, &shape), self.broadcast(b, &shape));
        let both = self.part(FloatOp::Product, vec![a, b], shape.clone());
        let op = whole(
            &[(1.0, 0), (1.0, 1), (factor, 2)],
            0.0,
            &[shape.as_slice(); 3],
            &shape,
        );
        self.finish(op, vec![a, b, both])
    }

    /// `b + c (a - b)`; a constant choice of very negative values is a mask, and added.
    fn choose(&mut self) -> Result<Outcome, Error> {
        let operands = self.operands()?;
        let &[choice, a, b] = operands.as_slice() else {
            return Ok(Err("three inputs are expected".into()));
        };
        let shape = self.target(0)?;
        if let Some(outcome) = self.mask(choice, a, b, &shape)? {
            return Ok(outcome);
        }
        let difference = self.difference([a, b], [1.0, -1.0], 0.0, &shape);
        let choice = self.broadcast(choice, &shape);
        let gain = self.part(FloatOp::Product, vec![choice, difference], shape.clone());
        let shapes = [self.shape(b), shape.clone()];
        let op = whole(
            &[(1.0, 0), (1.0, 1)],
            0.0,
            &[&shapes[0], &shapes[1]],
            &shape,
        );
        self.finish(op, vec![b, gain])
    }

    fn mask(
        &mut self,
        choice: usize,
        a: usize,
        b: usize,
        shape: &[usize],
    ) -> Result<Option<Outcome>, Error> {
        let Some(bits) = self.constant_of(choice) else {
            return Ok(None);
        };
        let masking = |values: &Option<Vec<f32>>| {
            let all = values.as_ref().is_some_and(|v| !v.is_empty());
            all && values.iter().flatten().all(|v| *v <= crate::model::MASKING)
        };
        let (kept, shown_where) =
            match (masking(&self.constant_of(a)), masking(&self.constant_of(b))) {
                (true, false) => (b, 0.0),
                (false, true) => (a, 1.0),
                _ => return Ok(None),
            };
        let entry = |bit: &f32| {
            if *bit == shown_where {
                0.0
            } else {
                crate::model::MASKED
            }
        };
        let values = bits.iter().map(entry).collect();
        let mask_shape = self.shape(choice);
        let mask = self.constant(mask_shape.clone(), values);
        let own = self.shape(kept);
        let op = whole(&[(1.0, 0), (1.0, 1)], 0.0, &[&own, &mask_shape], shape);
        self.finish(op, vec![kept, mask]).map(Some)
    }

    /// The axis of an attribute, from the front.
    pub(super) fn axis(&self, default: i64, rank: usize) -> usize {
        int(self.node, "axis", default).rem_euclid(rank.max(1) as i64) as usize
    }

    /// Axes in order but one, which comes last.
    fn to_last(axis: usize, rank: usize) -> Vec<usize> {
        (0..rank).filter(|a| *a != axis).chain([axis]).collect()
    }

    fn softmax(&mut self) -> Result<Outcome, Error> {
        let x = self.operand(0)?;
        let shape = self.shape(x);
        let rank = shape.len();
        let axis = self.axis(if self.import.opset < 13 { 1 } else { -1 }, rank);
        if self.import.opset < 13
            && axis + 1 != rank
            && shape[axis..].iter().filter(|d| **d > 1).count() > 1
        {
            return Ok(Err("a softmax over several axes is not built".into()));
        }
        let log = self.node.op_type == "LogSoftmax";
        if axis + 1 == rank && !log {
            return self.finish(FloatOp::Softmax, vec![x]);
        }
        let last = Self::to_last(axis, rank);
        let mut y = self.transpose(x, last.clone());
        let moved = self.shape(y);
        y = self.part(FloatOp::Softmax, vec![y], moved);
        if log {
            y = self.apply(y, Function::Log);
        }
        let mut back = vec![0; rank];
        last.iter()
            .enumerate()
            .for_each(|(to, from)| back[*from] = to);
        self.finish(FloatOp::Transpose(back), vec![y])
    }

    /// `(x - mean) / sqrt(mean of squares + epsilon) * scale + shift` over the last axes.
    fn layer_normalization(&mut self) -> Result<Outcome, Error> {
        let x = self.operand(0)?;
        let shape = self.shape(x);
        let rank = shape.len();
        if self.axis(-1, rank) + 1 != rank || self.node.output.len() > 1 {
            return Ok(Err(
                "only the last axis, and only one output, is built".into()
            ));
        }
        let epsilon = attribute(self.node, "epsilon").map_or(1e-5, |a| f64::from(a.f));
        let rows = [&shape[..rank - 1], &[1]].concat();
        let mean_of = |parts: &mut Self, x: usize, constant: f64| {
            let op = reduction(
                &shape,
                &[rank - 1],
                1.0 / shape[rank - 1] as f64,
                true,
                constant,
            );
            parts.part(op, vec![x], rows.clone())
        };
        let mean = mean_of(self, x, 0.0);
        let centred = self.difference([x, mean], [1.0, -1.0], 0.0, &shape);
        let squares = self.part(FloatOp::Product, vec![centred, centred], shape.clone());
        let variance = mean_of(self, squares, epsilon);
        let inverse = self.part(
            FloatOp::Function(Function::Rsqrt, [0.0; 2]),
            vec![variance],
            rows.clone(),
        );
        let inverse = self.broadcast(inverse, &shape);
        let unit = self.part(FloatOp::Product, vec![centred, inverse], shape.clone());
        let vector = |parts: &Self, index: usize, fill: f32| -> Result<Vec<f32>, Error> {
            match parts.node.input.get(index).filter(|n| !n.is_empty()) {
                Some(name) => Ok(parts.import.constant(name)?.values),
                None => Ok(vec![fill; shape[rank - 1]]),
            }
        };
        let (scale, shift) = (vector(self, 1, 1.0)?, vector(self, 2, 0.0)?);
        self.finish(FloatOp::Scale { scale, shift }, vec![unit])
    }

    /// The axes that a reduction goes over.
    fn reduced_axes(&self, rank: usize) -> Result<Vec<usize>, Error> {
        let mut axes = super::attributes::ints(self.node, "axes").to_vec();
        if let Some(name) = self.node.input.get(1).filter(|n| !n.is_empty()) {
            axes = self
                .import
                .constant(name)?
                .values
                .iter()
                .map(|v| *v as i64)
                .collect();
        }
        if axes.is_empty() && int(self.node, "noop_with_empty_axes", 0) == 0 {
            axes = (0..rank as i64).collect();
        }
        let positive = axes
            .iter()
            .map(|axis| axis.rem_euclid(rank.max(1) as i64) as usize);
        Ok(positive.collect())
    }

    fn reduce(&mut self) -> Result<Outcome, Error> {
        let x = self.operand(0)?;
        let shape = self.shape(x);
        let axes = self.reduced_axes(shape.len())?;
        let count: usize = axes.iter().map(|axis| shape[*axis]).product();
        let factor = if self.node.op_type == "ReduceMean" {
            1.0 / count as f64
        } else {
            1.0
        };
        let keep = int(self.node, "keepdims", 1) != 0;
        self.finish(reduction(&shape, &axes, factor, keep, 0.0), vec![x])
    }

    /// A maximum over axes: they come last and are one row of a pooling.
    fn reduce_extreme(&mut self, sign: f64) -> Result<Outcome, Error> {
        let x = self.operand(0)?;
        let shape = self.shape(x);
        let axes = self.reduced_axes(shape.len())?;
        let kept = (0..shape.len()).filter(|axis| !axes.contains(axis));
        let order: Vec<usize> = kept.chain(axes.iter().copied()).collect();
        let x = if sign < 0.0 {
            self.scaled(x, -1.0, 0.0)
        } else {
            x
        };
        let moved = self.transpose(x, order);
        let count: usize = axes.iter().map(|axis| shape[*axis]).product();
        let rows = shape.iter().product::<usize>() / count.max(1);
        let plane = self.part(FloatOp::Reshape, vec![moved], vec![1, rows, 1, count]);
        let window = zkernel_gadgets::model::Geometry::window([1, count], [1, count]);
        let mut y = self.part(FloatOp::MaxPool(window), vec![plane], vec![1, rows, 1, 1]);
        if sign < 0.0 {
            y = self.scaled(y, -1.0, 0.0);
        }
        self.finish(FloatOp::Reshape, vec![y])
    }

    fn arg_extreme(&mut self, sign: f64) -> Result<Outcome, Error> {
        let mut x = self.operand(0)?;
        let rank = self.shape(x).len();
        let axis = self.axis(0, rank);
        if sign < 0.0 {
            x = self.scaled(x, -1.0, 0.0);
        }
        if axis + 1 != rank {
            x = self.transpose(x, Self::to_last(axis, rank));
        }
        self.finish(FloatOp::ArgMax, vec![x])
    }
}

/// `constant + sum of factor input` of whole inputs, broadcast to a shape.
pub(super) fn whole(
    factors: &[(f64, usize)],
    constant: f64,
    shapes: &[&[usize]],
    shape: &[usize],
) -> FloatOp {
    let piece = |(factor, input): &(f64, usize)| {
        (*factor, Piece::broadcast(*input, 1, shapes[*input], shape))
    };
    FloatOp::Affine {
        pieces: factors.iter().map(piece).collect(),
        constant,
    }
}

/// `constant + factor * sum` over some axes of a tensor.
fn reduction(shape: &[usize], axes: &[usize], factor: f64, keep: bool, constant: f64) -> FloatOp {
    let along = |(axis, len): (usize, &usize)| match axes.contains(&axis) {
        true => keep.then(|| Along::repeated(1)),
        false => Some(Along::whole(*len, axis)),
    };
    let piece = Piece {
        input: 0,
        scale: 1,
        axes: shape.iter().enumerate().filter_map(along).collect(),
    };
    FloatOp::Affine {
        pieces: vec![(factor, piece)],
        constant,
    }
}
