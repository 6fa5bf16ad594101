//! Bounds of every tensor that follow from what is proven: input ranges and table values by lookups, weights by their range
//! proof, everything else by interval arithmetic (Moore, Interval Analysis, 1966). The declared ranges of a graph are the
//! prover's word; where soundness needs one, it must follow from these.

use super::encode::GraphError;
use super::geometry::Geometry;
use super::graph::{Graph, Interval, Node, Op, Piece, Tensor, TensorId, Weight, WeightId};
use super::registration::magnitude_bits;
use super::statement::ASSERTED;

/// Magnitudes stay far below half the field (about 2^253), so that an equation in the field is one of integers.
const MAX_BITS: u32 = 120;

/// An inclusive interval of wide integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Smallest value.
    pub min: i128,
    /// Largest value.
    pub max: i128,
}

impl From<Interval> for Bounds {
    fn from(interval: Interval) -> Self {
        Self {
            min: interval.min.into(),
            max: interval.max.into(),
        }
    }
}

impl Bounds {
    /// Whether all of it lies inside an interval.
    #[must_use]
    pub fn within(self, interval: Interval) -> bool {
        i128::from(interval.min) <= self.min && self.max <= i128::from(interval.max)
    }

    /// Largest magnitude.
    #[must_use]
    pub const fn magnitude(self) -> u128 {
        let (low, high) = (self.min.unsigned_abs(), self.max.unsigned_abs());
        if low > high { low } else { high }
    }

    /// What the limbs of an input prove, which can be more than its range.
    fn of_input(graph: &Graph, range: Interval) -> Self {
        let bits: u32 = graph.input_limbs(range).iter().sum();
        let mut bounds = Self::from(range);
        if bits > 0 {
            bounds.max = bounds.min + (1 << bits) - 1;
        }
        bounds
    }

    fn union(self, other: Self) -> Self {
        Self {
            min: self.min.min(other.min),
            max: self.max.max(other.max),
        }
    }

    fn symmetric(magnitude: u128) -> Option<Self> {
        let max = i128::try_from(magnitude).ok()?;
        Some(Self { min: -max, max })
    }

    fn plus(self, other: Self) -> Option<Self> {
        Some(Self {
            min: self.min.checked_add(other.min)?,
            max: self.max.checked_add(other.max)?,
        })
    }

    fn times(self, factor: i128) -> Option<Self> {
        let ends = (self.min.checked_mul(factor)?, self.max.checked_mul(factor)?);
        Some(Self {
            min: ends.0.min(ends.1),
            max: ends.0.max(ends.1),
        })
    }

    fn with_zero(self) -> Self {
        Self {
            min: self.min.min(0),
            max: self.max.max(0),
        }
    }
}

impl Graph {
    /// Bounds of every tensor, in order. The graph's references and shapes must have been checked.
    ///
    /// # Errors
    /// [`GraphError::Invalid`] names a node whose output could reach 2^120, or that needs a range its input may leave.
    pub fn bounds(&self) -> Result<Vec<Bounds>, GraphError> {
        let proven = |tensor: &Tensor| Bounds::of_input(self, tensor.range);
        let mut bounds: Vec<Bounds> = self.tensors.iter().map(proven).collect();
        for node in &self.nodes {
            let small = |b: &Bounds| b.magnitude() < 1 << MAX_BITS;
            let output = self.output_bounds(node, &bounds).filter(small);
            let Some(output) = output else {
                return Err(invalid(
                    node,
                    "its values could reach 2^120 and wrap around",
                ));
            };
            self.check_needs(node, &bounds)?;
            bounds[node.output.0 as usize] = output;
        }
        Ok(bounds)
    }

    fn output_bounds(&self, node: &Node, bounds: &[Bounds]) -> Option<Bounds> {
        let of = |id: TensorId| bounds[id.0 as usize];
        let zero = Bounds { min: 0, max: 0 };
        let x = node.inputs.first().map_or(zero, |id| of(*id));
        let magnitude = |i: usize| of(node.inputs[i]).magnitude();
        match &node.op {
            Op::Dense { weights, bias } | Op::Conv { weights, bias, .. } => {
                self.linear_bounds(*weights, *bias, x)
            }
            Op::Requantize { table, .. } => Some(self.tables[table.0 as usize].values().into()),
            // A running maximum from zero, raised by gains that a table bounds one by one: it is one of the values read.
            Op::RequantizeMax { table, .. } => {
                let keys = self.tables[table.0 as usize].keys;
                let max = i128::from(keys.max).checked_mul(window_taps(&node.op))?;
                Some(Bounds { min: 0, max })
            }
            Op::MaxPool { .. } | Op::Reshape | Op::Transpose { .. } => Some(x),
            Op::SumPool { .. } => x.with_zero().times(window_taps(&node.op)),
            Op::Affine { pieces, constant } => self.affine_bounds(node, pieces, *constant, bounds),
            Op::Constant { weights } | Op::Gather { weights } => {
                Bounds::symmetric(1 << magnitude_bits(&self.weights[weights.0 as usize]))
            }
            Op::Product => {
                let largest = Bounds::symmetric(magnitude(0).checked_mul(magnitude(1))?)?;
                let square = node.inputs[0] == node.inputs[1];
                let min = if square { 0 } else { largest.min };
                Some(Bounds { min, ..largest })
            }
            Op::MatMul => {
                let inner = *self.tensors[node.inputs[0].0 as usize].shape.last()?;
                let product = magnitude(0).checked_mul(magnitude(1))?;
                Bounds::symmetric(product.checked_mul(u128::try_from(inner).ok()?)?)
            }
            Op::Reciprocal { numerator } => {
                let range = self.tensors[node.inputs[0].0 as usize].range;
                let bits: u32 = self.reciprocal_limbs(*numerator, range)[0].iter().sum();
                Some(Bounds {
                    min: 0,
                    max: (1 << bits) - 1,
                })
            }
            Op::Root => {
                let range = self.tensors[node.inputs[0].0 as usize].range;
                // Twice the root is a sum of two remainders.
                let bits: u32 = self.root_limbs(range).iter().sum();
                Some(Bounds {
                    min: 0,
                    max: (1 << bits) - 1,
                })
            }
            Op::Positive { .. } => {
                let asserted = self.tensors[node.output.0 as usize].range == ASSERTED;
                let min = if asserted { 1 } else { 0 };
                Some(Bounds { min, max: 1 })
            }
            Op::MaxTable { table } => Some(self.tables[table.0 as usize].values().into()),
            // Values of the input, and positions.
            Op::TopK { .. } => {
                let input = &self.tensors[node.inputs[0].0 as usize];
                let count = input.shape.last().copied().unwrap_or(1);
                let max = i128::try_from(count).ok()?;
                Some(x.union(Bounds { min: 0, max }))
            }
            Op::ArgMax => {
                let input = &self.tensors[node.inputs[0].0 as usize];
                let classes = input.shape.last().copied().unwrap_or(1);
                let max = i128::try_from(classes).ok()?;
                Some(Bounds { min: 0, max })
            }
        }
    }

    /// The sum of all pieces; their union, if no element of the output is in two of them.
    fn affine_bounds(
        &self,
        node: &Node,
        pieces: &[Piece],
        constant: i64,
        bounds: &[Bounds],
    ) -> Option<Bounds> {
        let of_piece = |piece: &Piece| {
            let id = node.inputs[piece.input].0 as usize;
            let read = |axis: &usize| {
                piece
                    .axes
                    .iter()
                    .any(|a| a.source.is_some_and(|s| s.0 == *axis))
            };
            let shape = self.tensors[id].shape.iter().enumerate();
            let summed = shape
                .filter(|(axis, _)| !read(axis))
                .map(|(_, len)| *len as i128);
            bounds[id]
                .times(i128::from(piece.scale))?
                .times(summed.product())
        };
        let all = pieces.iter().map(of_piece).collect::<Option<Vec<_>>>()?;
        let apart = (0..pieces.len()).all(|i| (0..i).all(|j| pieces[i].is_disjoint(&pieces[j])));
        let zero = Bounds { min: 0, max: 0 };
        let whole =
            matches!(pieces, [one] if covers(one, &self.tensors[node.output.0 as usize].shape));
        let sum = match all.as_slice() {
            [only] if whole => *only,
            _ if apart => all.into_iter().fold(zero, Bounds::union),
            _ => all
                .into_iter()
                .map(Bounds::with_zero)
                .try_fold(zero, Bounds::plus)?,
        };
        sum.plus(Bounds::from(Interval::new(constant, constant)))
    }

    /// `sum of cols products + bias`, weights bounded by what their range proof says.
    fn linear_bounds(
        &self,
        weights: WeightId,
        bias: Option<WeightId>,
        x: Bounds,
    ) -> Option<Bounds> {
        let weight = &self.weights[weights.0 as usize];
        let proven = |weight: &Weight| 1u128 << magnitude_bits(weight);
        let of_bias = bias.map_or(0, |bias| proven(&self.weights[bias.0 as usize]));
        let product = x.magnitude().checked_mul(proven(weight))?;
        let sum = product.checked_mul(u128::try_from(weight.cols).ok()?)?;
        Bounds::symmetric(sum.checked_add(of_bias)?)
    }

    /// A maximum starts at the declared minimum of its input: nothing may lie below.
    fn check_needs(&self, node: &Node, bounds: &[Bounds]) -> Result<(), GraphError> {
        let Op::MaxPool { .. } = node.op else {
            return Ok(());
        };
        let input = node.inputs[0].0 as usize;
        if bounds[input].within(self.tensors[input].range) {
            Ok(())
        } else {
            Err(invalid(node, "its input may leave the declared range"))
        }
    }
}

/// Whether a piece writes every element of the output.
fn covers(piece: &Piece, shape: &[usize]) -> bool {
    piece.axes.iter().zip(shape).all(|(a, len)| a.len == *len)
}

const fn window_taps(op: &Op) -> i128 {
    match op {
        Op::SumPool { geometry } | Op::RequantizeMax { geometry, .. } => {
            let Geometry { kernel, .. } = geometry;
            kernel[0] as i128 * kernel[1] as i128
        }
        _ => 1,
    }
}

fn invalid(node: &Node, problem: &'static str) -> GraphError {
    GraphError::Invalid {
        name: node.name.clone(),
        problem,
    }
}
