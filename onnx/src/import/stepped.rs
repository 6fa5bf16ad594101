//! `QuantizeLinear` and `DequantizeLinear` as the reference runs them: for integers of 8, 16 and 32 bits, with steps for all values, along
//! an axis, or for blocks of it. One operator each, so that nothing is fused with them: a function and its rounding stay two things.

use tract_onnx::pb::NodeProto;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::ops::expandable::{Expansion, expand};

use super::attributes::int;

/// Inputs: values, steps, and zero points if there are any.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
struct Stepped {
    /// Whether it rounds, else it multiplies.
    rounds: bool,
    axis: i64,
    /// Positions of the axis that share a step; 0 for one step for each position.
    block: i64,
    /// What is written where no zero point says it.
    kind: DatumType,
}

/// The operator before shapes are known.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
struct Unshaped(Stepped);

/// Puts both operators into a decoder.
pub(super) fn register(decoder: &mut tract_onnx::Onnx) {
    let operators = &mut decoder.op_register;
    operators.insert("QuantizeLinear", |_, node| Ok((read(node, true), vec![])));
    operators.insert("DequantizeLinear", |_, node| {
        Ok((read(node, false), vec![]))
    });
}

fn read(node: &NodeProto, rounds: bool) -> Box<dyn InferenceOp> {
    // Numbers of types in the ONNX specification.
    let kind = match int(node, "output_dtype", 0) {
        _ if !rounds => DatumType::F32,
        3 => DatumType::I8,
        4 => DatumType::U16,
        5 => DatumType::I16,
        _ => DatumType::U8,
    };
    expand(Unshaped(Stepped {
        rounds,
        axis: int(node, "axis", 1),
        block: int(node, "block_size", 0),
        kind,
    }))
}

impl Expansion for Unshaped {
    fn name(&self) -> StaticName {
        Op::name(&self.0)
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_output_arity(outputs, 1)?;
        solver.equals(&inputs[0].shape, &outputs[0].shape)?;
        match inputs.get(2) {
            Some(zero) if self.0.rounds => {
                solver.equals(&outputs[0].datum_type, &zero.datum_type)?;
            }
            _ => solver.equals(&outputs[0].datum_type, self.0.kind)?,
        }
        Ok(())
    }

    fn wire(
        &self,
        prefix: &str,
        model: &mut TypedModel,
        inputs: &[OutletId],
    ) -> TractResult<TVec<OutletId>> {
        model.wire_node(prefix, self.0.clone(), inputs)
    }
}

impl Op for Stepped {
    fn name(&self) -> StaticName {
        let name = if self.rounds {
            "Quantize"
        } else {
            "Dequantize"
        };
        name.into()
    }

    op_as_typed_op!();
}

impl EvalOp for Stepped {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let shape = inputs[0].shape();
        let floats = |tensor: &Tensor| -> TractResult<Vec<f32>> {
            let cast = tensor.cast_to::<f32>()?;
            Ok(cast.to_plain_array_view::<f32>()?.iter().copied().collect())
        };
        let integers = |tensor: &Tensor| -> TractResult<Vec<i64>> {
            let cast = tensor.cast_to::<i64>()?;
            Ok(cast.to_plain_array_view::<i64>()?.iter().copied().collect())
        };
        let steps = floats(&inputs[1])?;
        let zeros = match inputs.get(2) {
            Some(zeros) => integers(zeros)?,
            None => vec![0],
        };
        let places = self.places(shape, inputs[1].shape())?;
        let at = |len: usize, i: usize| if len == 1 { 0 } else { places.of(i) };
        let fits = |len: usize| len == 1 || len == places.count;
        ensure!(
            fits(steps.len()) && fits(zeros.len()),
            "steps or zero points of another number"
        );
        let pair = |i: usize| (steps[at(steps.len(), i)], zeros[at(zeros.len(), i)]);
        let output = match self.rounds {
            true => {
                let kind = inputs.get(2).map_or(self.kind, |zero| zero.datum_type());
                let [low, high] = range(kind)?;
                let round = |(i, x): (usize, f32)| {
                    let (step, zero) = pair(i);
                    ((x / step).round_ties_even() as i64)
                        .saturating_add(zero)
                        .clamp(low, high)
                };
                let all: Vec<i64> = floats(&inputs[0])?
                    .into_iter()
                    .enumerate()
                    .map(round)
                    .collect();
                Tensor::from_shape(shape, &all)?
                    .cast_to_dt(kind)?
                    .into_owned()
            }
            false => {
                let real = |(i, q): (usize, i64)| {
                    let (step, zero) = pair(i);
                    (q - zero) as f32 * step
                };
                let all: Vec<f32> = integers(&inputs[0])?
                    .into_iter()
                    .enumerate()
                    .map(real)
                    .collect();
                Tensor::from_shape(shape, &all)?
            }
        };
        Ok(tvec!(output.into_tvalue()))
    }
}

impl TypedOp for Stepped {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let kind = match inputs.get(2) {
            Some(zero) if self.rounds => zero.datum_type,
            _ => self.kind,
        };
        Ok(tvec!(kind.fact(inputs[0].shape.clone())))
    }

    as_op!();
}

/// Smallest and largest integer of a type.
fn range(kind: DatumType) -> TractResult<[i64; 2]> {
    Ok(match kind.unquantized() {
        DatumType::U8 => [0, 255],
        DatumType::I8 => [-128, 127],
        DatumType::U16 => [0, 65_535],
        DatumType::I16 => [-32_768, 32_767],
        DatumType::I32 => [i64::from(i32::MIN), i64::from(i32::MAX)],
        other => bail!("integers of type {other:?} are not built"),
    })
}

/// Which step a value has.
struct Places {
    /// How many steps there are.
    count: usize,
    /// Positions of the axis, and values behind each.
    len: usize,
    behind: usize,
    /// Positions that share a step, and how many such blocks the axis has; none if there is one step for each position of the axis.
    blocks: Option<(usize, usize)>,
}

impl Places {
    fn of(&self, i: usize) -> usize {
        let position = i / self.behind % self.len;
        match self.blocks {
            None => position,
            Some((block, blocks)) => {
                let before = i / (self.behind * self.len);
                (before * blocks + position / block) * self.behind + i % self.behind
            }
        }
    }
}

impl Stepped {
    fn places(&self, shape: &[usize], steps: &[usize]) -> TractResult<Places> {
        let rank = shape.len().max(1) as i64;
        let axis = self.axis.rem_euclid(rank) as usize;
        let len = shape.get(axis).copied().unwrap_or(1).max(1);
        let behind = shape.iter().skip(axis + 1).product::<usize>().max(1);
        let blocked = usize::try_from(self.block).ok().filter(|b| *b > 0);
        let blocks = blocked.map(|block| (block, len.div_ceil(block)));
        let count = match blocks {
            None => len,
            Some((_, blocks)) => {
                ensure!(
                    steps.len() == shape.len() && steps[axis] == blocks,
                    "steps of other blocks"
                );
                steps.iter().product()
            }
        };
        Ok(Places {
            count,
            len,
            behind,
            blocks,
        })
    }
}
