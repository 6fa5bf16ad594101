//! Quotients, roots and signs by their remainders. `y = floor(numerator / x)` for x > 0: `numerator = x y + r` with `r >= 0` and `x - 1 - r >= 0`, all of y, r and `x - 1 - r` in limbs.
//!
//! Cost per element: 3 cells for the product, and the limbs of y, r and `x - 1 - r` (1 cell and 1 lookup each). Sound because y and r are
//! small integers and x is bounded: `x y + r` does not wrap around. Error: less than one step of y.

use ff::PrimeField;
use zkernel_verifier::system::Region;

use super::wiring::Representation;
use super::{LowerError, Lowering};
use crate::model::graph::Interval;
use crate::model::run::{Owner, Role};
use crate::model::statement::ASSERTED;

impl<F: PrimeField> Lowering<'_, F> {
    pub(super) fn reciprocal(&mut self, node: usize, numerator: i64) -> Result<(), LowerError> {
        let owner = Owner::Node(node);
        let shape = self.output_shape(node);
        let input = self.graph.nodes[node].inputs[0];
        let range = self.graph.tensors[input.0 as usize].range;
        let [x, y, p] = self.factor_cells(node, shape.iter().product());
        self.tie_operand(node, 0, x, &shape)?;
        let [quotient, remainder] = self.graph.reciprocal_limbs(numerator, range);
        let cells = |region: Region| Representation::cells(region, &shape);
        let by_limbs = self.limb_cells(owner, &shape, &quotient, Role::QuotientLimb);
        self.tie_sum(node, "y", &cells(y), &by_limbs)?;
        let rest = Representation::constant(numerator, &shape).plus(cells(p).times(-1));
        let by_limbs = self.limb_cells(owner, &shape, &remainder, Role::Remainder);
        self.tie_sum(node, "remainder", &rest, &by_limbs)?;
        let below = cells(x)
            .plus(cells(p))
            .plus(Representation::constant(-1 - numerator, &shape));
        let by_limbs = self.limb_cells(owner, &shape, &remainder, Role::Margin);
        self.tie_sum(node, "margin", &below, &by_limbs)?;
        self.represent(self.graph.nodes[node].output, &cells(y))
    }

    /// `y = floor(sqrt(x))`: `x = y^2 + r` with `0 <= r <= 2 y`, r and `2 y - r` in limbs. Their sum 2 y is small and, its square being
    /// `4 (x - r)`, even: y is an integer, not negative. 3 cells for the square, and the limbs (1 cell and 1 lookup each). Error: less
    /// than one step of y.
    pub(super) fn root(&mut self, node: usize) -> Result<(), LowerError> {
        let owner = Owner::Node(node);
        let input = self.graph.nodes[node].inputs[0];
        let shape = self.graph.tensors[input.0 as usize].shape.clone();
        let range = self.graph.tensors[input.0 as usize].range;
        let [y, again, square] = self.factor_cells(node, shape.iter().product());
        let remainder = self.graph.root_limbs(range);
        let cells = |region: Region| Representation::cells(region, &shape);
        self.tie_sum(node, "square", &cells(again), &cells(y))?;
        let rest = self.limb_cells(owner, &shape, &remainder, Role::Remainder);
        self.read_as(node, &cells(square).plus(rest.clone()))?;
        let below = self.limb_cells(owner, &shape, &remainder, Role::Margin);
        self.tie_sum(node, "margin", &cells(y).times(2), &rest.plus(below))?;
        let output = self.graph.nodes[node].output;
        let shape = &self.graph.tensors[output.0 as usize].shape;
        let y = cells(y).reshaped(shape);
        let y = y.ok_or_else(|| self.unsupported(node, "its output has another shape"))?;
        self.represent(output, &y)
    }

    pub(super) fn tie_sum(
        &mut self,
        node: usize,
        what: &str,
        one: &Representation,
        other: &Representation,
    ) -> Result<(), LowerError> {
        let name = format!("{}/{what}", self.graph.nodes[node].name);
        let tied = self.equal(name, one, other);
        tied.ok_or_else(|| self.unsupported(node, "its input is too large"))
    }

    /// `y = 1` where `x > 0`: `x = 2^bits y + low - 2^bits + 1` with y in 0..=1 and low in limbs of `bits` bits. One cell and lookup
    /// for y and each limb; exact. Where y can be nothing but 1 ([`ASSERTED`]) it has no cell and `x = low + 1`.
    pub(super) fn positive(&mut self, node: usize, bits: u32) -> Result<(), LowerError> {
        let input = self.graph.nodes[node].inputs[0];
        let output = self.graph.nodes[node].output;
        let shape = self.graph.tensors[input.0 as usize].shape.clone();
        let asserted = self.graph.tensors[output.0 as usize].range == ASSERTED;
        let y = if asserted {
            None
        } else {
            let track = self.range_track(Interval::new(0, 1));
            let region = self.builder.region(track, shape.iter().product());
            let role = (Owner::Node(node), Role::Value);
            self.regions.push((role, region));
            Some(region)
        };
        let y = |shape: &[usize]| match y {
            Some(region) => Representation::cells(region, shape),
            None => Representation::constant(1, shape),
        };
        let limbs = self.graph.limbs(bits);
        let low = self.limb_cells(Owner::Node(node), &shape, &limbs, Role::Remainder);
        let value = y(&shape).times(1 << bits).plus(low);
        let value = value.plus(Representation::constant(1 - (1 << bits), &shape));
        self.read_as(node, &value)?;
        let shape = self.output_shape(node);
        self.represent(output, &y(&shape))
    }
}
