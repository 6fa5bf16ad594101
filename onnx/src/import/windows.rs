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
    Ok(FloatOp::Conv(arranged(geometry, groups, weights, bias)))
}

/// A convolution with weights in the order output, tap, channel, of weights in the order of the file: output, channel, tap.
pub(super) fn arranged(
    geometry: Geometry,
    groups: usize,
    weights: &Constant,
    bias: Option<Vec<f32>>,
) -> Conv {
    let taps = geometry.taps();
    let (rows, channels) = (weights.shape[0], weights.shape[1]);
    let at = |p: usize| {
        let (row, tap, channel) = (p / (taps * channels), p / channels % taps, p % channels);
        weights.values[(row * channels + channel) * taps + tap]
    };
    Conv {
        rows,
        groups,
        geometry,
        weights: (0..rows * taps * channels).map(at).collect(),
        bias,
    }
}

/// Max and average pooling over windows of one or two axes that fit as they are.
pub(super) fn pool(node: &pb::NodeProto, input: &[usize], output: &[usize]) -> Translation {
    let maximum = node.op_type.ends_with("MaxPool");
    if node.op_type.starts_with("Global") {
        let spatial = plane(input)?;
        return Ok(whole(Geometry::window(spatial, spatial), maximum).into());
    }
    let geometry = geometry(node, input, &kernel(node))?;
    let spatial = plane(input)?;
    let expected = geometry
        .outputs(spatial)
        .ok_or("a window that does not fit")?;
    if plane(output)? != expected {
        return Err("windows that reach beyond the padding".into());
    }
    let padded = geometry.before != [0, 0] || geometry.after != [0, 0];
    if !maximum && padded && int(node, "count_include_pad", 0) == 0 {
        return Err("an average that leaves padding out".into());
    }
    Ok(whole(geometry, maximum).into())
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

/// The window along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) dilation: usize,
    pub(super) before: usize,
    pub(super) after: usize,
}

impl Window {
    /// Positions from the first tap to the last.
    pub(super) const fn reach(&self) -> usize {
        self.dilation * (self.kernel - 1) + 1
    }
}

/// A list of sizes; negative ones count as zero.
pub(super) fn sizes(node: &pb::NodeProto, name: &str) -> Vec<usize> {
    let all = ints(node, name).iter();
    all.map(|v| usize::try_from(*v).unwrap_or(0)).collect()
}

/// The kernel's sizes, from the attribute.
pub(super) fn kernel(node: &pb::NodeProto) -> Vec<usize> {
    sizes(node, "kernel_shape")
}

/// The windows along all spatial axes.
pub(super) fn windows(
    node: &pb::NodeProto,
    spatial: &[usize],
    kernel: &[usize],
) -> Result<Vec<Window>, String> {
    let axes = spatial.len();
    if kernel.len() != axes {
        return Err(format!("a kernel of {} axes over {axes}", kernel.len()));
    }
    let or = |name: &str, fill: usize| {
        let given = sizes(node, name);
        if given.len() == axes {
            given
        } else {
            vec![fill; axes]
        }
    };
    let (stride, dilation) = (or("strides", 1), or("dilations", 1));
    let sides = [kernel, &stride, &dilation];
    if sides
        .iter()
        .any(|sizes| sizes.iter().any(|size| !(1..=1 << 16).contains(size)))
    {
        return Err("a kernel, stride or dilation of zero, or an absurd one".into());
    }
    let pads = sizes(node, "pads");
    if ints(node, "pads")
        .iter()
        .any(|pad| !(0..=1 << 16).contains(pad))
    {
        return Err("a padding below zero, or an absurd one".into());
    }
    let window = |axis: usize| {
        let mut one = Window {
            kernel: kernel[axis],
            stride: stride[axis],
            dilation: dilation[axis],
            before: 0,
            after: 0,
        };
        match string(node, "auto_pad") {
            b"" | b"NOTSET" if pads.len() == 2 * axes => {
                (one.before, one.after) = (pads[axis], pads[axes + axis]);
            }
            b"" | b"NOTSET" | b"VALID" => {}
            same => {
                let outputs = spatial[axis].div_ceil(one.stride);
                let last = outputs.saturating_sub(1) * one.stride + one.reach();
                let total = last.saturating_sub(spatial[axis]);
                let less = total / 2;
                let upper = same == b"SAME_UPPER";
                one.before = if upper { less } else { total - less };
                one.after = total - one.before;
            }
        }
        one
    };
    Ok((0..axes).map(window).collect())
}

fn geometry(node: &pb::NodeProto, input: &[usize], kernel: &[usize]) -> Result<Geometry, String> {
    let spatial = plane(input)?;
    let windows = windows(node, &input[2..], kernel)?;
    let geometry = in_plane(&windows)?;
    geometry
        .outputs(spatial)
        .map(|_| geometry)
        .ok_or_else(|| "a window that does not fit".into())
}

/// Windows of one or two axes in a plane: one axis is the columns of one row.
pub(super) fn in_plane(windows: &[Window]) -> Result<Geometry, String> {
    let one = Window {
        kernel: 1,
        stride: 1,
        dilation: 1,
        before: 0,
        after: 0,
    };
    let [rows, columns] = match windows {
        [columns] => [one, *columns],
        [rows, columns] => [*rows, *columns],
        _ => return Err(format!("windows over {} axes", windows.len())),
    };
    let pair = |of: fn(&Window) -> usize| [of(&rows), of(&columns)];
    Ok(Geometry {
        kernel: pair(|w| w.kernel),
        stride: pair(|w| w.stride),
        dilation: pair(|w| w.dilation),
        before: pair(|w| w.before),
        after: pair(|w| w.after),
    })
}
