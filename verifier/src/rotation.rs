//! Rotations and blinding rows: a gate that reads further down must vanish, by its fixed columns, wherever that reaches a
//! blinding row.

use ff::PrimeField;

use crate::expression::{Expression, VirtualId};
use crate::system::{ConstraintSystem, Gate, TrackKind};
use crate::validate::SystemError;

/// What is known of an expression on one row from the fixed columns alone.
#[derive(Clone, Copy)]
enum Known<F> {
    /// Its value.
    Value(F),
    /// It depends on usable cells or challenges.
    Unknown,
    /// It depends on a blinding row.
    Blinding,
}

impl<F: PrimeField> ConstraintSystem<F> {
    /// Refuses a gate that depends on a blinding row in some usable row.
    pub(crate) fn check_rotations(&self, gate: &Gate<F>) -> Result<(), SystemError> {
        let (mut low, mut high) = (0i32, 0i32);
        gate.expression.virtuals(&mut |id| {
            let rotation = self.virtual_column(id).map_or(0, |v| v.rotation);
            (low, high) = (low.min(rotation), high.max(rotation));
        });
        let usable = self.usable();
        let steps = |by: i32| usize::try_from(by.unsigned_abs()).unwrap_or(usize::MAX);
        let first = (0..usable).take(steps(low));
        let last = (0..usable).rev().take(steps(high));
        for row in first.chain(last) {
            for lane in 0..self.gate_lanes(gate) {
                let known = self.known(&gate.expression, lane, row);
                if matches!(known, Known::Blinding) {
                    return Err(SystemError::Rotation {
                        gate: gate.name.clone(),
                        row,
                    });
                }
            }
        }
        Ok(())
    }

    fn known(&self, expression: &Expression<F>, lane: usize, row: usize) -> Known<F> {
        let sum = |a, b, combine: fn(F, F) -> F| match (a, b) {
            (Known::Blinding, _) | (_, Known::Blinding) => Known::Blinding,
            (Known::Value(a), Known::Value(b)) => Known::Value(combine(a, b)),
            _ => Known::Unknown,
        };
        let of = |e: &Expression<F>| self.known(e, lane, row);
        match expression {
            Expression::Constant(c) if c.power.is_none() => Known::Value(c.value),
            Expression::Constant(_) => Known::Unknown,
            Expression::Virtual(id) => self.known_virtual(*id, lane, row),
            Expression::Sum(a, b) => sum(of(a), of(b), |a, b| a + b),
            Expression::Difference(a, b) => sum(of(a), of(b), |a, b| a - b),
            Expression::Product(a, b) => match (of(a), of(b)) {
                (Known::Value(zero), _) | (_, Known::Value(zero)) if zero == F::ZERO => {
                    Known::Value(F::ZERO)
                }
                (a, b) => sum(a, b, |a, b| a * b),
            },
        }
    }

    fn known_virtual(&self, id: VirtualId, lane: usize, row: usize) -> Known<F> {
        let Some(column) = self.virtual_column(id) else {
            return Known::Unknown;
        };
        let rows = i64::try_from(self.rows()).unwrap_or(i64::MAX);
        let read = i64::try_from(row)
            .ok()
            .and_then(|row| row.checked_add(i64::from(column.rotation)))
            .and_then(|row| row.checked_rem_euclid(rows))
            .and_then(|row| usize::try_from(row).ok())
            .unwrap_or(usize::MAX);
        if read >= self.usable() {
            return Known::Blinding;
        }
        let lane = column.first_lane().saturating_add(lane);
        let position = lane.saturating_mul(self.usable()).saturating_add(read);
        let mut value = F::ZERO;
        for (track, coefficient) in &column.terms {
            let fixed = self.track(*track).map(|t| t.kind) == Some(TrackKind::Fixed);
            let values = self.fixed.iter().find(|(id, _)| id == track);
            match (fixed, values.and_then(|(_, v)| v.get(position))) {
                (true, Some(cell)) if coefficient.power.is_none() => {
                    value += coefficient.value * cell;
                }
                _ => return Known::Unknown,
            }
        }
        for constant in &column.constants {
            if constant.power.is_some() {
                return Known::Unknown;
            }
            value += constant.value;
        }
        Known::Value(value)
    }
}
