//! What each ONNX node computes, in our terms.

use tract_onnx::pb;
use tract_onnx::prelude::DatumType;
use tract_onnx::tract_hir::infer::Factoid as _;
use zkernel_gadgets::model::Function;

use super::affine::{Affine, Along};
use super::attributes::{attribute, float, int, ints};
use super::supported::function;
use super::{Constant, Import, malformed};
use crate::Error;
use crate::model::{FloatOp, MASKING};

/// A node in our terms, or what about it is not supported.
pub(super) type Translation = Result<Translated, String>;

/// A node in our terms.
pub(super) enum Translated {
    /// An op.
    Op(FloatOp),
    /// Constants that the layer before may absorb.
    Affine(Affine),
}

/// What a cast does to values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cast {
    /// They stay.
    Same,
    /// They are rounded towards zero.
    Whole,
    /// 1 where they are not 0.
    Bit,
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
        let constant = |index: usize| node.input.get(index).is_some_and(|n| self.is_known(n));
        let layer = active == 1 && constant(1);
        Ok(match &*node.op_type {
            "Gemm" if layer && int(node, "transA", 0) == 0 => self.gemm(node, output)?,
            "MatMul" if layer && self.constant(&node.input[1])?.shape.len() == 2 => {
                dense(&self.constant(&node.input[1])?, false, 1.0, None).map(Into::into)
            }
            "Conv" => self.conv(node, input)?,
            "BatchNormalization" if node.output.len() > 1 || int(node, "training_mode", 0) != 0 => {
                Err("training mode is not built".into())
            }
            "BatchNormalization" => self.batch_normalization(node, input)?,
            "Add" | "Mul" if active == 1 && node.input.len() == 2 => {
                self.constant_operand(node, output)?
            }
            "Sub" if layer => self.constant_operand(node, output)?,
            "Div" if layer && self.is_float(&node.output[0])? => {
                self.constant_operand(node, output)?
            }
            "Clip" => self.clip(node)?,
            "MaxPool" | "AveragePool" | "GlobalMaxPool" | "GlobalAveragePool" => {
                super::windows::pool(node, input, output)
            }
            "Transpose" => Ok(transpose(node, input.len()).into()),
            "ArgMax" if along_last(node, input.len()) => Ok(FloatOp::ArgMax.into()),
            "Dropout" if active > 1 || self.drops(node)? => {
                Err("training mode is not built".into())
            }
            "CastLike" => Err("a cast of a constant".into()),
            "Cast" if self.cast_kind(node)? != Cast::Same => Err("a cast that rounds".into()),
            "Flatten" | "Reshape" | "Squeeze" | "Unsqueeze" | "Identity" | "Dropout" | "Cast" => {
                Ok(FloatOp::Reshape.into())
            }
            "PRelu" if self.is_known(&node.input[1]) => self.prelu(node)?,
            "Gelu" if attribute(node, "approximate").is_some_and(|a| a.s == b"tanh") => {
                Ok(FloatOp::Function(Function::GeluTanh, [0.0; 2]).into())
            }
            op => function(op)
                .map(|f| FloatOp::Function(f, parameters(node, f)).into())
                .ok_or_else(|| "operator not built".into()),
        })
    }

    pub(super) fn is_float(&self, tensor: &str) -> Result<bool, Error> {
        let outlet = self.names[tensor];
        let fact = self.inference.outlet_fact(outlet).map_err(malformed)?;
        let kind = fact.datum_type.concretize();
        Ok(kind.is_some_and(|kind| kind.is_float()))
    }

    /// Whether a dropout does what it does in training.
    fn drops(&self, node: &pb::NodeProto) -> Result<bool, Error> {
        let constant =
            |index: usize, default: f32| match node.input.get(index).filter(|n| !n.is_empty()) {
                Some(name) => Ok::<_, Error>(
                    self.constant(name)?
                        .values
                        .first()
                        .copied()
                        .unwrap_or(default),
                ),
                None => Ok(default),
            };
        Ok(constant(2, 0.0)? != 0.0 && constant(1, 0.5)? != 0.0)
    }

    /// What a cast changes: nothing, digits after the point, or everything but whether it is zero.
    pub(super) fn cast_kind(&self, node: &pb::NodeProto) -> Result<Cast, Error> {
        let kind = |tensor: &str| {
            let outlet = self
                .names
                .get(tensor)
                .ok_or_else(|| malformed("a cast of nothing"))?;
            let fact = self.inference.outlet_fact(*outlet).map_err(malformed)?;
            Ok::<_, Error>(fact.datum_type.concretize())
        };
        let (from, to) = (kind(&node.input[0])?, kind(&node.output[0])?);
        let float = |kind: Option<DatumType>| kind.is_some_and(|kind| kind.is_float());
        Ok(match (from, to) {
            (from, Some(DatumType::Bool)) if from != Some(DatumType::Bool) => Cast::Bit,
            _ if float(from) && !float(to) => Cast::Whole,
            _ => Cast::Same,
        })
    }

    fn prelu(&self, node: &pb::NodeProto) -> Result<Translation, Error> {
        let slope = self.constant(&node.input[1])?;
        let first = slope.values.first().copied().unwrap_or_default();
        if slope.values.iter().any(|v| v.to_bits() != first.to_bits()) {
            return Ok(Err("slopes that differ are not built".into()));
        }
        let slope = [f64::from(first), 0.0];
        Ok(Ok(FloatOp::Function(Function::LeakyRelu, slope).into()))
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
        if node.op_type == "Mul" && values.iter().all(|v| *v == 0.0) {
            return Ok(Err("a product with nothing but zeros".into()));
        }
        let masks = |v: &f32| *v <= MASKING;
        if node.op_type == "Add"
            && values.iter().any(masks)
            && values.iter().all(|v| *v == 0.0 || masks(v))
        {
            return Ok(Err("a mask is added".into()));
        }
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
    fn batch_normalization(
        &self,
        node: &pb::NodeProto,
        input: &[usize],
    ) -> Result<Translation, Error> {
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
        // Channels of features that have no positions are the last axis.
        let along = match input.len() {
            0..=2 => Along::Last,
            _ => Along::Channels,
        };
        Ok(Ok(Translated::Affine(Affine {
            along,
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
        let clip = |f| Ok(FloatOp::Function(f, [f64::from(low), f64::from(high)]).into());
        Ok(match (low, high) {
            (0.0, 6.0) => Ok(FloatOp::Function(Function::Relu6, [0.0; 2]).into()),
            (0.0, high) if high >= f32::MAX => {
                Ok(FloatOp::Function(Function::Relu, [0.0; 2]).into())
            }
            _ => clip(Function::Clip),
        })
    }
}

/// The parameters of a function with their defaults in the ONNX specification.
fn parameters(node: &pb::NodeProto, function: Function) -> [f64; 2] {
    let given = |name, default: f64| attribute(node, name).map_or(default, |a| f64::from(a.f));
    match function {
        Function::LeakyRelu => [given("alpha", 0.01), 0.0],
        Function::Elu | Function::Celu | Function::ThresholdedRelu => [given("alpha", 1.0), 0.0],
        Function::Selu => [
            given("alpha", 1.673_263_192_176_818_8),
            given("gamma", 1.050_700_979_881_286_6),
        ],
        Function::HardSigmoid => [given("alpha", 0.2), given("beta", 0.5)],
        Function::Shrink => [given("lambd", 0.5), given("bias", 0.0)],
        _ => [0.0; 2],
    }
}

/// Whether a node chooses the first extreme along the last axis.
fn along_last(node: &pb::NodeProto, rank: usize) -> bool {
    let axis = int(node, "axis", 0);
    (axis == -1 || axis + 1 == rank as i64) && int(node, "select_last_index", 0) == 0
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
