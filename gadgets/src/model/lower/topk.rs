//! The k largest or smallest values of every row of n, with their positions.
//!
//! Every chosen value is read: `v = x[g]` by a lookup in the table of pairs `(number of an element, its value)`, and its position
//! `i = g - n row` is in `0..n`, i and `n - 1 - i` being in limbs. They are in order: with s = 1 for the largest and -1 for the
//! smallest, `n s (v_r - v_(r+1)) + i_(r+1) - i_r - 1 >= 0`, so values do not rise and equal ones come by position, which also makes
//! all chosen ones different. They are complete: element j is marked, b_j = 1, if and only if
//! `n s (x_j - v_k) + i_k - j >= 0`, that is, if it comes no later than the last chosen one, and every row has k marks.
//!
//! Cost per element: 2 cells, the limbs of a distance (1 cell and 1 lookup each), 1 lookup of the mark and a row of a table; per chosen
//! one: 2 cells, the limbs of a distance and of two positions, and 1 lookup. Exact.

use ff::PrimeField;
use zkernel_verifier::challenge::Challenge;
use zkernel_verifier::form::{Axis, Factor, Source};
use zkernel_verifier::system::{LookupInput, Phase};

use super::wiring::{Representation, Span, Term, numbering};
use super::{LowerError, Lowering};
use crate::model::graph::{Along, Graph, Interval, Piece};
use crate::model::run::{Owner, Role};

/// Chosen values and where they are, of shape `(.., k)`.
struct Chosen {
    values: Representation,
    positions: Representation,
}

impl<F: PrimeField> Lowering<'_, F> {
    pub(super) fn top_k(&mut self, node: usize, k: usize, largest: bool) -> Result<(), LowerError> {
        let input = &self.graph.tensors[self.graph.nodes[node].inputs[0].0 as usize];
        let (shape, range) = (input.shape.clone(), input.range);
        let n = shape.last().copied().unwrap_or(1);
        let sign = if largest { n as i64 } else { -(n as i64) };
        let (x, chosen) = self.chosen(node, &shape, k)?;
        self.positions_in_rows(node, n, &chosen.positions)?;
        let bits = Graph::order_bits(range, n);
        self.in_order(node, sign, bits, &chosen)?;
        self.complete(node, sign, bits, (&x, &chosen))?;
        let stacked = self.output_shape(node);
        let half = |part: Representation, at: usize| part.viewed(&slot(&part.shape, at), &stacked);
        let both = half(chosen.values, 0).plus(half(chosen.positions, 1));
        self.represent(self.graph.nodes[node].output, &both)
    }

    /// Cells of the elements and of the chosen ones, which are read from them.
    fn chosen(
        &mut self,
        node: usize,
        shape: &[usize],
        k: usize,
    ) -> Result<(Representation, Chosen), LowerError> {
        let (owner, name) = (Owner::Node(node), self.graph.nodes[node].name.clone());
        let mut of_chosen = shape.to_vec();
        if let Some(last) = of_chosen.last_mut() {
            *last = k;
        }
        let (len, count) = (shape.iter().product(), of_chosen.iter().product());
        let mut cells = |what: &str, role, len| {
            let track = self.builder.advice(format!("{name}/{what}"), Phase::One, 0);
            let region = self.builder.region(track, len);
            self.regions.push(((owner, role), region));
            region
        };
        let x = cells("elements", Role::Operand(0), len);
        let numbers = cells("chosen", Role::Position, count);
        let values = cells("values", Role::Value, count);
        let table = self.builder.secret_table(name.clone(), len, &[x.track]);
        let used = self
            .builder
            .fixed(format!("{name}/used"), vec![F::ONE; count]);
        let pair = [numbers, values].map(|cells| LookupInput::plain(cells.track));
        self.builder
            .lookup(format!("{name}/lookup"), table, pair.to_vec(), Some(used));
        self.tie_operand(node, 0, x, shape)?;
        // Rows before an element: its number less its place in its own row.
        let mut positions = Representation::cells(numbers, &of_chosen);
        let mut stride = shape.last().copied().unwrap_or(1);
        for axis in (0..shape.len().saturating_sub(1)).rev() {
            positions = positions.plus(ramp(&of_chosen, axis).times(-(stride as i64)));
            stride *= shape[axis];
        }
        self.spend(node, positions.terms.len())?;
        let values = Representation::cells(values, &of_chosen);
        Ok((
            Representation::cells(x, shape),
            Chosen { values, positions },
        ))
    }

    fn positions_in_rows(
        &mut self,
        node: usize,
        n: usize,
        positions: &Representation,
    ) -> Result<(), LowerError> {
        let (owner, shape) = (Owner::Node(node), positions.shape.clone());
        let limbs = self.graph.position_limbs(n);
        let low = self.limb_cells(owner, &shape, &limbs, Role::PositionLimb);
        self.tie_sum(node, "position", positions, &low)?;
        let after = self.limb_cells(owner, &shape, &limbs, Role::AfterLimb);
        let rest = Representation::constant(n as i64 - 1, &shape);
        self.tie_sum(
            node,
            "positions after",
            &rest.plus(positions.clone().times(-1)),
            &after,
        )
    }

    fn in_order(
        &mut self,
        node: usize,
        sign: i64,
        bits: u32,
        chosen: &Chosen,
    ) -> Result<(), LowerError> {
        let Some(pairs) = chosen.values.shape.last().and_then(|k| k.checked_sub(1)) else {
            return Ok(());
        };
        if pairs == 0 {
            return Ok(());
        }
        let [first, second] = [0, 1].map(|from| {
            let view = |of: &Representation| part_of_rows(of, from, pairs);
            (view(&chosen.values), view(&chosen.positions))
        });
        let fall = first.0.times(sign).plus(second.0.times(-sign));
        let later = second.1.plus(first.1.times(-1));
        let shape = fall.shape.clone();
        let gap = fall.plus(later).plus(Representation::constant(-1, &shape));
        let limbs = self.graph.limbs(bits);
        let limbs = self.limb_cells(Owner::Node(node), &shape, &limbs, Role::Remainder);
        self.tie_sum(node, "order", &gap, &limbs)
    }

    fn complete(
        &mut self,
        node: usize,
        sign: i64,
        bits: u32,
        (x, chosen): (&Representation, &Chosen),
    ) -> Result<(), LowerError> {
        let owner = Owner::Node(node);
        let (shape, k) = (
            x.shape.clone(),
            chosen.values.shape.last().copied().unwrap_or(1),
        );
        let n = shape.last().copied().unwrap_or(1);
        let last = |of: &Representation| part_of_rows(of, k - 1, 1).repeat_last(n);
        let ahead = x
            .clone()
            .times(sign)
            .plus(last(&chosen.values).times(-sign));
        let places = ramp(&shape, shape.len() - 1).times(-1);
        let ahead = ahead.plus(last(&chosen.positions)).plus(places);
        self.spend(node, ahead.terms.len())?;
        let track = self.range_track(Interval::new(0, 1));
        let marks = self.builder.region(track, shape.iter().product());
        self.regions.push(((owner, Role::OneHot), marks));
        let limbs = self.graph.limbs(bits);
        let low = self.limb_cells(owner, &shape, &limbs, Role::Margin);
        let marked = Representation::cells(marks, &shape).times(1 << bits);
        let split = marked
            .plus(low)
            .plus(Representation::constant(-(1 << bits), &shape));
        self.tie_sum(node, "marks", &ahead, &split)?;
        let count = shape[..shape.len() - 1].iter().product();
        let per_row = vec![
            Axis::new(count, n, Factor::powers(Challenge::Lambda)),
            Axis::new(n, 1, Factor::One),
        ];
        let sum = self.form(marks.track, marks.start, per_row, 1);
        let expected = Representation::constant(k as i64, &[count]);
        let expected = expected.forms(&numbering(&[count], Challenge::Lambda), -1);
        let forms = expected.into_iter().flatten().chain([sum]).collect();
        let name = format!("{}/so many marks", self.graph.nodes[node].name);
        self.builder
            .constrain(name, u32::try_from(count).unwrap_or(u32::MAX), forms);
        Ok(())
    }
}

/// Places `from..from + len` of every row.
fn part_of_rows(of: &Representation, from: usize, len: usize) -> Representation {
    let last = of.shape.len() - 1;
    let mut axes: Vec<Along> = of
        .shape
        .iter()
        .enumerate()
        .map(|(axis, len)| Along::whole(*len, axis))
        .collect();
    axes[last] = Along {
        source: Some((last, from, 1)),
        ..Along::repeated(len)
    };
    let mut shape = of.shape.clone();
    shape[last] = len;
    let (input, scale) = (0, 1);
    of.viewed(&Piece { input, scale, axes }, &shape)
}

/// A tensor of that shape as one of several stacked along a new first axis.
fn slot(shape: &[usize], at: usize) -> Piece {
    let own = shape.iter().enumerate();
    let own = own.map(|(axis, len)| Along::whole(*len, axis));
    let first = Along {
        first: at,
        ..Along::repeated(1)
    };
    Piece {
        input: 0,
        scale: 1,
        axes: [first].into_iter().chain(own).collect(),
    }
}

/// The place along an axis of every element, as twice the root of its length constants: with `j = b h + l`, those of h and of l.
fn ramp(shape: &[usize], axis: usize) -> Representation {
    let len = shape[axis];
    let block = len.isqrt().max(1);
    let term = |scale: usize, first: usize, len: usize, step: usize| {
        let whole = |len: &usize| Span {
            first: 0,
            len: *len,
            step: 1,
            stride: 0,
        };
        let mut spans: Vec<Span> = shape.iter().map(whole).collect();
        spans[axis] = Span {
            first,
            len,
            step: if len == 1 { 1 } else { step },
            stride: 0,
        };
        Term {
            source: Source::One,
            start: 0,
            spans,
            sums: Vec::new(),
            scale: scale as i64,
        }
    };
    let blocks = (block..len).step_by(block);
    let blocks = blocks.map(|first| term(first, first, block.min(len - first), 1));
    let places = 1..block.min(len);
    let places = places.map(|place| term(place, place, (len - place).div_ceil(block), block));
    Representation {
        shape: shape.to_vec(),
        terms: blocks.chain(places).collect(),
    }
}
