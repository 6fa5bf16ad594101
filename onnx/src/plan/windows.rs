//! Convolutions, poolings and residual additions.

use zkernel_gadgets::model::{Function, Geometry, Interval, Op, Table, TensorId, WeightId};

use super::{Conv, MARGIN, Origin, Plan};
use crate::Error;
use crate::model::{FloatNode, FloatOp};

impl Plan<'_> {
    /// The input with two spatial axes: one-dimensional tensors become planes of one row.
    pub(super) fn in_plane(&mut self, node: &FloatNode, input: TensorId) -> TensorId {
        match self.read(input).shape.as_slice() {
            &[n, c, l] => self.reshaped(&format!("{}.plane", node.name), input, vec![n, c, 1, l]),
            _ => input,
        }
    }

    /// The output in the shape that the float network has.
    pub(super) fn in_shape(&mut self, node: &FloatNode, output: TensorId) -> TensorId {
        let shape = self.model.tensors[node.output].shape.clone();
        if self.read(output).shape == shape {
            return output;
        }
        self.reshaped(&format!("{}.shape", node.name), output, shape)
    }

    pub(super) fn reshaped(&mut self, name: &str, input: TensorId, shape: Vec<usize>) -> TensorId {
        let mut tensor = self.read(input).clone();
        (tensor.name, tensor.shape) = (name.into(), shape);
        self.graph.tensors.push(tensor);
        let output = TensorId((self.graph.tensors.len() - 1) as u32);
        self.emit(name, Op::Reshape, input, output);
        output
    }

    /// Gives a tensor that was made for a float tensor the shape that windows leave of another.
    fn shape_as_windows(
        &mut self,
        output: TensorId,
        input: TensorId,
        channels: usize,
        g: &Geometry,
    ) {
        let shape = self.read(input).shape.clone();
        if let &[n, _, h, w] = shape.as_slice()
            && let Some([oh, ow]) = g.outputs([h, w])
        {
            self.graph.tensors[output.0 as usize].shape = vec![n, channels, oh, ow];
        }
    }

    pub(super) fn conv_op(
        &mut self,
        conv: &Conv,
        (weights, bias): (WeightId, Option<WeightId>),
        input: TensorId,
        output: TensorId,
    ) -> Op {
        self.shape_as_windows(output, input, conv.rows, &conv.geometry);
        Op::Conv {
            weights,
            bias,
            geometry: conv.geometry,
            groups: conv.groups,
        }
    }

    fn channels(&self, id: TensorId) -> usize {
        self.read(id).shape.get(1).copied().unwrap_or(1)
    }

    /// Whether a ReLU of accumulators is read by one max pooling alone, whose windows do not overlap: then requantization,
    /// ReLU and pooling are one running maximum.
    pub(super) fn fuses_into_pool(&self, node: &FloatNode, f: Function, input: TensorId) -> bool {
        let mut readers = self.model.readers(node.output);
        let (one, none) = (readers.next(), readers.next());
        let pools = one.is_some_and(|reader| match &reader.op {
            FloatOp::MaxPool(geometry) => geometry.is_partition(),
            _ => false,
        });
        f == Function::Relu
            && pools
            && none.is_none()
            && !self.model.outputs.contains(&node.output)
            && self.origin(input) != Origin::Values
    }

    pub(super) fn max_pool(
        &mut self,
        node: &FloatNode,
        geometry: Geometry,
        input: TensorId,
    ) -> TensorId {
        let channels = self.channels(input);
        let fused = self.fused.contains(&node.inputs[0]);
        let relu = |keys| Table {
            function: Function::Relu,
            parameters: [0.0; 2],
            keys,
            input_scale: 1.0,
            output_scale: 1.0,
            low: 0,
        };
        if fused {
            let bits = self.key_bits(Function::Relu);
            let (scale, shift) = self.key_scale(node.inputs[0], input, bits);
            let half = 1i64 << (bits + MARGIN);
            let table = self.table(relu(Interval::new(-half, half - 1)));
            let output = self.tensor(node.output, scale, Interval::new(0, half - 1));
            self.shape_as_windows(output, input, channels, &geometry);
            let op = Op::RequantizeMax {
                shift,
                table,
                geometry,
            };
            self.emit(&node.name, op, input, output);
            return output;
        }
        let (scale, range) = (self.read(input).scale, self.read(input).range);
        let span = range.max - range.min;
        let table = self.table(relu(Interval::new(-span, span)));
        let output = self.tensor(node.output, scale, range);
        self.shape_as_windows(output, input, channels, &geometry);
        self.emit(&node.name, Op::MaxPool { geometry, table }, input, output);
        output
    }

    /// A mean is a sum at another scale.
    pub(super) fn average_pool(
        &mut self,
        node: &FloatNode,
        geometry: Geometry,
        input: TensorId,
    ) -> Result<TensorId, Error> {
        let taps = geometry.taps();
        let (scale, range) = (self.read(input).scale / taps as f64, self.read(input).range);
        let sum = |bound: i64| bound.checked_mul(taps as i64).filter(|b| b.abs() < 1 << 62);
        let (Some(min), Some(max)) = (sum(range.min.min(0)), sum(range.max.max(0))) else {
            return Err(Error::Overflow {
                node: node.name.clone(),
                bits: 63,
                most: 62,
            });
        };
        let output = self.tensor(node.output, scale, Interval::new(min, max));
        let channels = self.channels(input);
        self.shape_as_windows(output, input, channels, &geometry);
        self.emit(&node.name, Op::SumPool { geometry }, input, output);
        Ok(output)
    }
}
