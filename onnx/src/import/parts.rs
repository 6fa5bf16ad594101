//! Operators on several activations, and those that are taken apart into simpler ones.

use tract_onnx::pb;
use zkernel_gadgets::model::{Along, Function, Piece};

use super::attributes::int;
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
    /// The first tensor of its own.
    first: usize,
}

impl<'a, 'b> Parts<'a, 'b> {
    pub(super) fn new(
        import: &'a Import<'a>,
        node: &'a pb::NodeProto,
        build: &'b mut Build,
    ) -> Self {
        let first = build.tensors.len();
        Self {
            import,
            node,
            build,
            count: 0,
            first,
        }
    }

    /// Translates the node; `None` if it is of another kind.
    pub(super) fn translate(&mut self) -> Result<Option<Outcome>, Error> {
        Ok(Some(match &*self.node.op_type {
            "Add" | "Sum" => self.sum(1.0, 1.0)?,
            "Sub" => self.sum(1.0, -1.0)?,
            "Mean" => self.sum(1.0, self.node.input.len() as f64)?,
            "Mul" | "And" => {
                let operands = self.operands()?;
                self.products(&operands)?
            }
            "Div" => self.quotient()?,
            "Mod" => self.modulo()?,
            "Neg" => self.view_of(-1.0, 0.0)?,
            "Pow" => self.power()?,
            "MatMul" => self.matmul()?,
            "Gemm" => self.gemm_of_activations()?,
            "Einsum" => self.einsum()?,
            "Max" => self.extreme(1.0)?,
            "Min" => self.extreme(-1.0)?,
            "PRelu" => self.parametric_relu()?,
            "Greater" => self.compare([1.0, -1.0], 0.0, false)?,
            "Less" => self.compare([-1.0, 1.0], 0.0, false)?,
            "GreaterOrEqual" => self.compare([-1.0, 1.0], 0.0, true)?,
            "LessOrEqual" => self.compare([1.0, -1.0], 0.0, true)?,
            "Equal" => self.equal()?,
            "Not" => self.view_of(-1.0, 1.0)?,
            "Or" => self.logic(-1.0)?,
            "Xor" => self.logic(-2.0)?,
            "Where" => self.choose()?,
            "Cast" | "CastLike" => self.cast()?,
            // Integers stand for numbers alone.
            "IsNaN" | "IsInf" => {
                let x = self.operand(0)?;
                self.finish_with(0.0, x)?
            }
            "OneHot" => self.one_hot()?,
            "TopK" => self.top_k()?,
            _ => return self.translate_rows(),
        }))
    }

    /// Operators over rows and windows.
    fn translate_rows(&mut self) -> Result<Option<Outcome>, Error> {
        Ok(Some(match &*self.node.op_type {
            "Softmax" | "LogSoftmax" => self.softmax()?,
            "Hardmax" => self.hardmax()?,
            "LayerNormalization" | "RMSNormalization" | "SimplifiedLayerNormalization" => {
                self.layer_normalization()?
            }
            "InstanceNormalization" | "GroupNormalization" => self.group_normalization()?,
            "MeanVarianceNormalization" => self.mean_variance_normalization()?,
            "LpNormalization" => self.lp_normalization()?,
            "LRN" => self.local_response()?,
            "ReduceMax" => self.reduce_extreme(1.0)?,
            "ReduceMin" => self.reduce_extreme(-1.0)?,
            op if op.starts_with("Reduce") => self.reduce()?,
            "ArgMax" => self.arg_extreme(1.0)?,
            "ArgMin" => self.arg_extreme(-1.0)?,
            "AveragePool" => self.average_pool()?,
            "MaxPool" => self.max_pool()?,
            "GlobalAveragePool" | "GlobalMaxPool" => self.global_pool()?,
            "Conv" if self.target(0)?.len() > 4 => self.convolution()?,
            "ConvTranspose" => self.transposed_convolution()?,
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

    pub(super) fn operands(&mut self) -> Result<Vec<usize>, Error> {
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

    /// The node's output is a tensor that is there: one of the parts takes its name.
    pub(super) fn finish_as(&mut self, output: usize, id: usize) -> Result<Outcome, Error> {
        let shape = self.target(output)?;
        let own = self.shape(id);
        if own.iter().product::<usize>() != shape.iter().product::<usize>() {
            return Ok(Err(format!(
                "its output is read as {own:?} here and as {shape:?} by the reference"
            )));
        }
        let part = id >= self.first && own == shape;
        let writer = self.build.nodes.iter_mut().rfind(|node| node.output == id);
        match writer.filter(|_| part) {
            Some(writer) => {
                let tensor = self.node.output[output].clone();
                writer.name = super::display_name(self.node);
                self.build.ids.remove(&self.build.tensors[id].name);
                self.build.tensors[id].name.clone_from(&tensor);
                self.build.ids.insert(tensor, id);
                Ok(Ok(()))
            }
            None => self.finish_output(output, FloatOp::Reshape, vec![id]),
        }
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

    pub(super) fn view_of(&mut self, factor: f64, constant: f64) -> Result<Outcome, Error> {
        let x = self.operand(0)?;
        let shape = self.shape(x);
        let op = whole(&[(factor, 0)], constant, &[&shape], &self.target(0)?);
        self.finish(op, vec![x])
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

    pub(super) fn constant_of(&self, id: usize) -> Option<Vec<f32>> {
        self.build.constant(id).map(<[f32]>::to_vec)
    }

    pub(super) fn transpose(&mut self, x: usize, axes: Vec<usize>) -> usize {
        let own = self.shape(x);
        let shape = axes.iter().map(|axis| own[*axis]).collect();
        self.part(FloatOp::Transpose(axes), vec![x], shape)
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

    /// The axis of an attribute, from the front.
    pub(super) fn axis(&self, default: i64, rank: usize) -> usize {
        int(self.node, "axis", default).rem_euclid(rank.max(1) as i64) as usize
    }

    /// Axes in order but one, which comes last.
    pub(super) fn to_last(axis: usize, rank: usize) -> Vec<usize> {
        (0..rank).filter(|a| *a != axis).chain([axis]).collect()
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
pub(super) fn reduction(
    shape: &[usize],
    axes: &[usize],
    factor: f64,
    keep: bool,
    constant: f64,
) -> FloatOp {
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
