//! Convolutions and poolings.

use tract_onnx::pb;
use zkernel_gadgets::model::Geometry;

use super::attributes::{int, ints, string};
use super::operators::Translation;
use super::{Constant, Import};
use crate::Error;
use crate::model::{Conv, FloatOp};

impl Import<'_> {
    /// A convolution in one or two dimensions; weights are brought into the order output, tap, channel.
    pub(super) fn conv(&self, node: &pb::NodeProto, input: &[usize]) -> Result<Translation, Error> {
        let weights = self.constant(&node.input[1])?;
        let bias = match node.input.get(2).filter(|n| !n.is_empty()) {
            Some(name) => Some(self.constant(name)?.values),
            None => None,
        };
        Ok(conv_of(node, input, &weights, bias).map(Into::into))
    }
}

/// The convolution of a node whose weights and bias are at hand.
pub(super) fn conv_of(
    node: &pb::NodeProto,
    input: &[usize],
    weights: &Constant,
    bias: Option<Vec<f32>>,
) -> Result<FloatOp, String> {
    let Some((&[rows, channels], kernel)) = weights.shape.split_first_chunk::<2>() else {
        return Err("its weights have fewer than three axes".into());
    };
    let groups = int(node, "group", 1).max(1) as usize;
    let geometry = geometry(node, input, kernel)?;
    if rows == 0 || channels == 0 || rows % groups != 0 {
        return Err("its weights do not fit its groups".into());
    }
    let taps = geometry.taps();
    let at = |p: usize| {
        let (row, tap, channel) = (p / (taps * channels), p / channels % taps, p % channels);
        weights.values[(row * channels + channel) * taps + tap]
    };
    let weights = (0..rows * taps * channels).map(at).collect();
    Ok(FloatOp::Conv(Conv {
        rows,
        groups,
        geometry,
        weights,
        bias,
    }))
}

/// Max and average pooling, over windows or over everything.
pub(super) fn pool(node: &pb::NodeProto, input: &[usize], output: &[usize]) -> Translation {
    let maximum = node.op_type.ends_with("MaxPool");
    if node.op_type.starts_with("Global") {
        return global(input, maximum);
    }
    let kernel: Vec<usize> = ints(node, "kernel_shape")
        .iter()
        .map(|k| (*k).max(0) as usize)
        .collect();
    let geometry = geometry(node, input, &kernel)?;
    let spatial = plane(input)?;
    let expected = geometry
        .outputs(spatial)
        .ok_or("a window that does not fit")?;
    if plane(output)? != expected {
        return Err("ceil_mode is not built where it adds outputs".into());
    }
    let padded = geometry.before != [0, 0] || geometry.after != [0, 0];
    if !maximum && padded && int(node, "count_include_pad", 0) == 0 {
        return Err("an average that leaves padding out is not built".into());
    }
    Ok(whole(geometry, maximum).into())
}

/// Pooling over all spatial positions.
pub(super) fn global(input: &[usize], maximum: bool) -> Translation {
    let spatial = plane(input)?;
    Ok(whole(Geometry::window(spatial, spatial), maximum).into())
}

const fn whole(geometry: Geometry, maximum: bool) -> FloatOp {
    if maximum {
        FloatOp::MaxPool(geometry)
    } else {
        FloatOp::AveragePool(geometry)
    }
}

/// Rows and columns of a tensor with one or two spatial axes.
fn plane(shape: &[usize]) -> Result<[usize; 2], String> {
    match shape {
        [_, _, width] => Ok([1, *width]),
        [_, _, height, width] => Ok([*height, *width]),
        _ => Err(format!(
            "{} axes; one or two spatial ones are built",
            shape.len()
        )),
    }
}

fn geometry(node: &pb::NodeProto, input: &[usize], kernel: &[usize]) -> Result<Geometry, String> {
    let spatial = plane(input)?;
    let axes = input.len() - 2;
    if kernel.len() != axes {
        return Err(format!("a kernel of {} axes over {axes}", kernel.len()));
    }
    // Values per spatial axis, the row axis of one-dimensional ones filled in.
    let pair = |values: &[usize], fill: usize| match values {
        [w] if axes == 1 => [fill, *w],
        [h, w] => [*h, *w],
        _ => [fill, fill],
    };
    let sizes = |name: &str| -> Vec<usize> {
        ints(node, name)
            .iter()
            .map(|v| (*v).max(0) as usize)
            .collect()
    };
    let kernel = pair(kernel, 1);
    let (stride, dilation) = (pair(&sizes("strides"), 1), pair(&sizes("dilations"), 1));
    if stride.contains(&0) || dilation.contains(&0) || kernel.contains(&0) {
        return Err("a kernel, stride or dilation of zero".into());
    }
    let pads = sizes("pads");
    let (mut before, mut after) = ([0, 0], [0, 0]);
    match string(node, "auto_pad") {
        b"" | b"NOTSET" if pads.is_empty() => {}
        b"" | b"NOTSET" => {
            let (first, last) = pads.split_at(pads.len() / 2);
            (before, after) = (pair(first, 0), pair(last, 0));
        }
        b"VALID" => {}
        same => {
            for axis in 0..2 {
                let outputs = spatial[axis].div_ceil(stride[axis]);
                let reach = (outputs - 1) * stride[axis] + dilation[axis] * (kernel[axis] - 1) + 1;
                let total = reach.saturating_sub(spatial[axis]);
                let less = total / 2;
                let upper = same == b"SAME_UPPER";
                before[axis] = if upper { less } else { total - less };
                after[axis] = total - before[axis];
            }
        }
    }
    let geometry = Geometry {
        kernel,
        stride,
        dilation,
        before,
        after,
    };
    geometry
        .outputs(spatial)
        .map(|_| geometry)
        .ok_or_else(|| "a window that does not fit".into())
}
