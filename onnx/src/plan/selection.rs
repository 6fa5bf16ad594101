//! Choices of the largest values, and views of values.

use zkernel_gadgets::model::{Along, Interval, Node, Op, Piece, TensorId};

use super::{Origin, Plan};
use crate::Error;
use crate::model::FloatNode;

/// Most views of one sum that are told apart.
const MOST_VIEWS: usize = 256;
/// Most bits of what orders values and positions.
const ORDER_BITS: u32 = 60;

impl Plan<'_> {
    /// Values or positions: both are views of one choice.
    pub(super) fn top_k(
        &mut self,
        node: &FloatNode,
        (k, largest, values): (usize, bool, bool),
        input: TensorId,
    ) -> Result<TensorId, Error> {
        let (scale, range) = (self.read(input).scale, self.read(input).range);
        let shape = self.read(input).shape.clone();
        let n = shape.last().copied().unwrap_or(1);
        let bits = zkernel_gadgets::model::Graph::order_bits(range, n);
        if bits > ORDER_BITS {
            let node = node.name.clone();
            return Err(Error::Overflow {
                node,
                bits,
                most: ORDER_BITS,
            });
        }
        let mut chosen = shape;
        if let Some(last) = chosen.last_mut() {
            *last = k;
        }
        let known = self.chosen.get(&(input, k, largest)).copied();
        let both = known.unwrap_or_else(|| {
            let name = format!("{}.choice", node.name);
            let stacked = [&[2], &chosen[..]].concat();
            let range = Interval::new(range.min.min(0), range.max.max(n as i64));
            let both = self.integers(&name, &stacked, scale, range);
            self.emit(&name, Op::TopK { k, largest }, input, both);
            self.chosen.insert((input, k, largest), both);
            both
        });
        let name = format!("{}.half", node.name);
        let (scale, range) = match values {
            true => (scale, range),
            false => (1.0, Interval::new(0, n as i64 - 1)),
        };
        let mut axes = vec![Along {
            source: Some((0, usize::from(!values), 1)),
            ..Along::repeated(1)
        }];
        let own = chosen.iter().enumerate();
        axes.extend(own.map(|(axis, len)| Along::whole(*len, axis + 1)));
        let half = self.integers(&name, &[&[1], &chosen[..]].concat(), scale, range);
        let pieces = vec![Piece {
            input: 0,
            scale: 1,
            axes,
        }];
        let constant = 0;
        self.emit(&name, Op::Affine { pieces, constant }, both, half);
        let output = self.tensor(node.output, scale, range);
        self.emit(&node.name, Op::Reshape, half, output);
        Ok(output)
    }

    /// Whether a sum only moves values: every element is one of them, or zero.
    pub(super) fn is_view_of_values(&self, node: &Node) -> bool {
        let Op::Affine { pieces, constant } = &node.op else {
            return false;
        };
        let values = |id: &TensorId| self.origin(*id) == Origin::Values;
        *constant == 0 && self.is_view(pieces, &node.inputs) && node.inputs.iter().all(values)
    }

    /// Whether pieces write different elements, and each element is one of an input's.
    pub(super) fn is_view(&self, pieces: &[Piece], inputs: &[TensorId]) -> bool {
        let whole = |piece: &Piece| {
            let rank = self.read(inputs[piece.input]).shape.len();
            let read = piece.axes.iter().filter(|a| a.source.is_some()).count();
            piece.scale == 1 && read == rank
        };
        pieces.len() <= MOST_VIEWS
            && pieces.iter().all(whole)
            && (0..pieces.len()).all(|i| (0..i).all(|j| pieces[i].is_disjoint(&pieces[j])))
    }
}
