//! What each ONNX node computes, in our terms.

use tract_onnx::pb;
use tract_onnx::prelude::DatumType;
use tract_onnx::tract_hir::infer::Factoid;
use zkernel_gadgets::model::Function;

use super::affine::{Affine, Along};
use super::attributes::{attribute, float, int, ints};
use super::supported::function;
use super::{Constant, Import, malformed};
use crate::Error;
use crate::model::FloatOp;

/// A node in our terms, or what about it is not supported.
pub(super) type Translation = Result<Translated, String>;

/// A node in our terms.
pub(super) enum Translated {
    /// An op.
    Op(FloatOp),
    /// Constants that the layer before may absorb.
    Affine(Affine),
}

impl From<FloatOp> for Translated {
    fn from(op: FloatOp) -> Self {
        Self::Op(op)
    }
}

impl Import<'_> {
    /// The op of a node that reads `active` activations, the first of shape `input`.
    pub(super) fn op(
        &self,
        node: &pb::NodeProto,
        active: usize,
        input: &[usize],
        output: &[usize],
    ) -> Result<Translation, Error> {
        Ok(match &*node.op_type {
            "Gemm" => self.gemm(node, output)?,
            "MatMul" => dense(&self.constant(&node.input[1])?, false, 1.0, None).map(Into::into),
            "Conv" => self.conv(node, input)?,
            "BatchNormalization" => self.batch_normalization(node)?,
            "Add" if active == 2 => Ok(FloatOp::Add.into()),
            "Add" | "Sub" | "Mul" | "Div" => self.constant_operand(node, output)?,
            "Clip" => self.clip(node)?,
            "MaxPool" | "AveragePool" | "GlobalMaxPool" | "GlobalAveragePool" => {
                super::windows::pool(node, input, output)
            }
            "ReduceMean" => self.reduce_mean(node, input)?,
            "Transpose" => Ok(transpose(node, input.len()).into()),
            "ArgMax" => {
                let (axis, rank) = (int(node, "axis", 0), input.len() as i64);
                if axis == rank - 1 || axis == -1 {
                    Ok(FloatOp::ArgMax.into())
                } else {
                    Err("only the last axis is built".into())
                }
            }
            "Cast" if !self.is_float(&node.output[0])? => {
                Err("only float to float is built".into())
            }
            "Flatten" | "Reshape" | "Squeeze" | "Unsqueeze" | "Identity" | "Dropout" | "Cast" => {
                Ok(FloatOp::Reshape.into())
            }
            op => function(op)
                .map(|f| FloatOp::Function(f).into())
                .ok_or_else(|| "operator not built".into()),
        })
    }

    fn is_float(&self, tensor: &str) -> Result<bool, Error> {
        let fact = self
            .inference
            .outlet_fact(self.names[tensor])
            .map_err(malformed)?;
        Ok(fact
            .datum_type
            .concretize()
            .is_some_and(|d: DatumType| d.is_float()))
    }

    fn gemm(&self, node: &pb::NodeProto, output: &[usize]) -> Result<Translation, Error> {
        let transposed = int(node, "transB", 0) != 0;
        let beta = float(node, "beta");
        let mut bias = None;
        if let Some(name) = node.input.get(2).filter(|n| !n.is_empty()) {
            let last = output.last().copied().unwrap_or(1);
            match spread(&self.constant(name)?, output) {
                Some((Along::Last, b)) => {
                    let b = if b.len() == last { b } else { vec![b[0]; last] };
                    bias = Some(b.into_iter().map(|v| beta * v).collect());
                }
                _ => return Ok(Err("the bias varies along more than the last axis".into())),
            }
        }
        let weights = self.constant(&node.input[1])?;
        let alpha = float(node, "alpha");
        Ok(dense(&weights, transposed, alpha, bias).map(Into::into))
    }

    /// An activation and a constant, added, subtracted, multiplied or divided.
    fn constant_operand(
        &self,
        node: &pb::NodeProto,
        output: &[usize],
    ) -> Result<Translation, Error> {
        let fixed = node.input.iter().find_map(|n| self.constant(n).ok());
        let Some((along, values)) = fixed.and_then(|c| spread(&c, output)) else {
            return Ok(Err("the constant varies along more than one axis".into()));
        };
        let uniform = values.len() == 1;
        let (ones, zeros) = (vec![1.0; values.len()], vec![0.0; values.len()]);
        let (scale, shift) = match &*node.op_type {
            "Add" => (ones, values),
            "Sub" => (ones, values.iter().map(|v| -v).collect()),
            "Mul" => (values, zeros),
            _ => (values.iter().map(|v| 1.0 / v).collect(), zeros),
        };
        if scale.iter().any(|v| !v.is_finite()) {
            return Ok(Err("a division by zero".into()));
        }
        Ok(Ok(Translated::Affine(Affine {
            along,
            uniform,
            scale,
            shift,
        })))
    }

    /// `scale (x - mean) / sqrt(variance + epsilon) + shift`, channel by channel.
    fn batch_normalization(&self, node: &pb::NodeProto) -> Result<Translation, Error> {
        let part = |i: usize| Ok::<_, Error>(self.constant(&node.input[i])?.values);
        let (gamma, beta, mean, variance) = (part(1)?, part(2)?, part(3)?, part(4)?);
        let epsilon = attribute(node, "epsilon").map_or(1e-5, |a| a.f);
        let scale = gamma
            .iter()
            .zip(&variance)
            .map(|(g, v)| g / (v + epsilon).sqrt());
        let scale: Vec<f32> = scale.collect();
        let shift = beta
            .iter()
            .zip(&mean)
            .zip(&scale)
            .map(|((b, m), s)| b - m * s);
        Ok(Ok(Translated::Affine(Affine {
            along: Along::Channels,
            uniform: false,
            shift: shift.collect(),
            scale,
        })))
    }

    /// Clip to 0..6 or to 0..: the two that networks use.
    fn clip(&self, node: &pb::NodeProto) -> Result<Translation, Error> {
        let bound = |index: usize, name: &str, open: f32| {
            if let Some(attribute) = attribute(node, name) {
                return Ok(attribute.f);
            }
            match node.input.get(index).filter(|n| !n.is_empty()) {
                Some(input) => Ok::<_, Error>(self.constant(input)?.values[0]),
                None => Ok(open),
            }
        };
        let (low, high) = (bound(1, "min", f32::MIN)?, bound(2, "max", f32::MAX)?);
        Ok(match (low, high) {
            (0.0, 6.0) => Ok(FloatOp::Function(Function::Relu6).into()),
            (0.0, high) if high >= f32::MAX => Ok(FloatOp::Function(Function::Relu).into()),
            _ => Err(format!(
                "clipping to {low}..{high} is not built, 0..6 and 0.. are"
            )),
        })
    }

    /// A mean over all spatial axes is an average pooling.
    fn reduce_mean(&self, node: &pb::NodeProto, input: &[usize]) -> Result<Translation, Error> {
        let mut axes = ints(node, "axes").to_vec();
        if let Some(name) = node.input.get(1).filter(|n| !n.is_empty()) {
            axes = self
                .constant(name)?
                .values
                .iter()
                .map(|v| *v as i64)
                .collect();
        }
        let rank = input.len() as i64;
        axes.iter_mut()
            .for_each(|axis| *axis = axis.rem_euclid(rank.max(1)));
        axes.sort_unstable();
        if rank > 2 && axes == (2..rank).collect::<Vec<_>>() {
            return Ok(super::windows::global(input, false));
        }
        Ok(Err(
            "only a mean over all axes after that of channels is built".into(),
        ))
    }
}

fn transpose(node: &pb::NodeProto, rank: usize) -> FloatOp {
    let given = ints(node, "perm").iter().map(|axis| *axis as usize);
    let axes: Vec<usize> = given.collect();
    FloatOp::Transpose(if axes.is_empty() {
        (0..rank).rev().collect()
    } else {
        axes
    })
}

/// The dense layer of a constant matrix, `k x m` unless `transposed`.
pub(super) fn dense(
    matrix: &Constant,
    transposed: bool,
    alpha: f32,
    bias: Option<Vec<f32>>,
) -> Result<FloatOp, String> {
    let &[a, b] = &*matrix.shape else {
        return Err(format!(
            "the constant has shape {:?}, not that of a matrix",
            matrix.shape
        ));
    };
    let (rows, cols) = if transposed { (a, b) } else { (b, a) };
    if rows == 0 || cols == 0 {
        return Err("an empty matrix".into());
    }
    let at = |i: usize, j: usize| {
        if transposed {
            i * cols + j
        } else {
            j * rows + i
        }
    };
    let weights = (0..rows * cols)
        .map(|p| alpha * matrix.values[at(p / cols, p % cols)])
        .collect();
    Ok(FloatOp::Dense {
        rows,
        cols,
        weights,
        bias,
    })
}

/// A constant broadcast along one axis of `output`, and that axis; one value if it varies along none.
fn spread(constant: &Constant, output: &[usize]) -> Option<(Along, Vec<f32>)> {
    let all = constant.values.as_slice();
    if let [one] = all {
        return Some((Along::Last, vec![*one]));
    }
    // Position from the right of the only axis that is not one.
    let mut long = constant.shape.iter().rev().enumerate();
    let (from_right, len) = long.find(|(_, len)| **len != 1)?;
    let axis = output.len().checked_sub(from_right + 1)?;
    let along = match axis {
        _ if all.len() != *len || output[axis] != *len => return None,
        _ if from_right == 0 => Along::Last,
        1 => Along::Channels,
        _ => return None,
    };
    Some((along, all.to_vec()))
}
