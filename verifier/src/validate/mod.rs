//! Checks that make a constraint system well-formed: nothing reaches a blinding row, no challenge is read before it is
//! drawn, parallel tracks are parallel.

mod challenges;
mod error;

use alloc::vec::Vec;

use ff::PrimeField;

use crate::challenge::Challenge;
use crate::expression::VirtualId;
use crate::form::{LinearForm, Source, Strided, TrackId};
use crate::system::{
    ConstraintSystem, Contraction, Derivation, Gate, LinearConstraint, Phase, TrackKind,
    VirtualColumn,
};
use challenges::{check_coefficient, check_expression, check_factor};
pub use error::SystemError;

impl<F: PrimeField> ConstraintSystem<F> {
    /// Checks everything the prover and the verifier rely on.
    ///
    /// # Errors
    /// The first thing found wrong.
    pub fn validate(&self) -> Result<(), SystemError> {
        if !(2..=28).contains(&self.log_n) || self.blinding >= self.rows() {
            return Err(SystemError::Rows {
                log_n: self.log_n,
                blinding: self.blinding,
            });
        }
        let points = self.opening_points();
        if self.blinding < points {
            return Err(SystemError::Blinding {
                points,
                blinding: self.blinding,
            });
        }
        (0u32..)
            .zip(&self.virtuals)
            .try_for_each(|(id, v)| self.validate_virtual(VirtualId(id), v))?;
        self.validate_masks()?;
        self.validate_sides()?;
        self.gates
            .iter()
            .try_for_each(|gate| self.validate_gate(gate))?;
        self.lookups
            .iter()
            .try_for_each(|lookup| self.validate_lookup(lookup))?;
        self.derivations
            .iter()
            .try_for_each(|derivation| self.validate_derivation(derivation))?;
        self.constraints
            .iter()
            .try_for_each(|constraint| self.validate_constraint(constraint))
    }

    fn validate_virtual(
        &self,
        id: VirtualId,
        column: &VirtualColumn<F>,
    ) -> Result<(), SystemError> {
        let name = || alloc::format!("virtual column {}", id.0);
        if column.terms.is_empty() || column.lanes.is_some_and(|lanes| lanes.count == 0) {
            return Err(SystemError::Empty(name()));
        }
        let track = column.terms.first().and_then(|(id, _)| self.track(*id));
        let columns = track.map_or(0, |track| track.columns);
        for (source, coefficient) in &column.terms {
            let track = self
                .track(*source)
                .ok_or_else(|| SystemError::Dangling(name()))?;
            if track.columns != columns || track.width != self.usable() {
                return Err(SystemError::NotParallel(name()));
            }
            // A tensor opened at a point leaks an equation a proof unless it is masked.
            let masked = self.mask_of(*source, 0).is_some();
            if track.kind == TrackKind::Boundary || (track.kind == TrackKind::Tensor && !masked) {
                return Err(SystemError::Unmasked {
                    name: name(),
                    track: track.name.clone(),
                });
            }
            check_coefficient(&name(), coefficient)?;
        }
        let end = column.first_lane().saturating_add(self.lanes(id));
        if end > columns {
            return Err(SystemError::Lanes {
                name: name(),
                end,
                columns,
            });
        }
        column
            .constants
            .iter()
            .try_for_each(|coefficient| check_coefficient(&name(), coefficient))
    }

    /// Mask cells are distinct cells of a phase-1 track that nothing else reads.
    fn validate_masks(&self) -> Result<(), SystemError> {
        let Some(masks) = &self.masks else {
            return Ok(());
        };
        let track = self.track(masks.track);
        let track = track.ok_or_else(|| SystemError::Dangling("masks".into()))?;
        let wrong = || SystemError::Masks(track.name.clone());
        let mut ranges = Vec::new();
        for (tensor, start) in &masks.of {
            let columns = self.track(*tensor).ok_or_else(wrong)?.columns;
            let cells = columns.saturating_mul(self.blinding);
            ranges.push((*start, start.saturating_add(cells)));
        }
        ranges.sort_unstable();
        let cells = track.columns.saturating_mul(track.width);
        let apart = ranges.windows(2).all(|pair| match pair {
            [(_, end), (next, _)] => end <= next,
            _ => true,
        });
        let inside = ranges.iter().all(|(_, end)| *end <= cells);
        let opened = self.virtuals.iter().flat_map(|v| &v.terms);
        let contracted = self.derivations.iter().flat_map(|d| match d {
            Derivation::Contract(c) => c.terms.as_slice(),
            Derivation::Product { .. } => &[],
        });
        let forms = self.constraints.iter().flat_map(|c| &c.forms);
        let read = opened.map(|(id, _)| *id).any(|id| id == masks.track)
            || contracted.map(|t| t.track).any(|id| id == masks.track)
            || forms.into_iter().any(|form| form.reads(masks.track));
        if apart && inside && !read && track.kind == TrackKind::Advice(Phase::One) {
            Ok(())
        } else {
            Err(wrong())
        }
    }

    /// Keys and tags are fixed, secret entries are committed before beta, tags distinct and not zero.
    fn validate_sides(&self) -> Result<(), SystemError> {
        let kind = |id: TrackId| self.track(id).map(|t| t.kind);
        for side in &self.table_sides {
            let late = |id: &TrackId| kind(*id) == Some(TrackKind::Advice(Phase::Three));
            let early = kind(side.multiplicity) == Some(TrackKind::Advice(Phase::One));
            if kind(side.tag) != Some(TrackKind::Fixed) || !early || side.entries.iter().any(late) {
                return Err(SystemError::NotParallel("a table's side".into()));
            }
        }
        let mut tags: Vec<u64> = self.tables.iter().map(|t| t.tag).collect();
        tags.sort_unstable();
        tags.dedup();
        if tags.len() != self.tables.len() || tags.first() == Some(&0) {
            return Err(SystemError::Empty(
                "a table's tag, or it is not distinct,".into(),
            ));
        }
        Ok(())
    }

    fn validate_gate(&self, gate: &Gate<F>) -> Result<(), SystemError> {
        let lanes = self.gate_lanes(gate);
        let mut result = if lanes == 0 {
            Err(SystemError::Empty(gate.name.clone()))
        } else {
            Ok(())
        };
        gate.expression.virtuals(&mut |id| {
            if self.virtual_column(id).is_none() {
                result = Err(SystemError::Dangling(gate.name.clone()));
            } else if self.lanes(id) != lanes {
                result = Err(SystemError::NotParallel(gate.name.clone()));
            }
        });
        result?;
        check_expression(&gate.name, &gate.expression)?;
        self.check_rotations(gate)?;
        gate.expression
            .compile()
            .map(|_| ())
            .ok_or_else(|| SystemError::GateSize(gate.name.clone()))
    }

    fn validate_lookup(&self, lookup: &crate::system::Lookup) -> Result<(), SystemError> {
        let dangling = || SystemError::Dangling(lookup.name.clone());
        let table = usize::try_from(lookup.table.0)
            .ok()
            .and_then(|i| self.tables.get(i))
            .ok_or_else(dangling)?;
        let side = self.side_of(lookup).ok_or_else(dangling)?;
        if lookup.inputs.len() != table.arity.saturating_add(table.secret.len())
            || lookup.inputs.len() > side.entries.len()
            || table.arity == 0
            || table.rows.len() % table.arity != 0
        {
            return Err(SystemError::Length(lookup.name.clone()));
        }
        if table.rows.is_empty() || table.tag == 0 {
            return Err(SystemError::Empty(table.name.clone()));
        }
        // Reads of a lookup are committed before beta.
        for (track, _) in lookup.inputs.iter().flat_map(|input| &input.terms) {
            let kind = self.track(*track).ok_or_else(dangling)?.kind;
            if kind == TrackKind::Advice(Phase::Three) {
                return Err(SystemError::NotParallel(lookup.name.clone()));
            }
        }
        let rotation = |id| self.virtual_column(id).map_or(0, |v| v.rotation);
        if rotation(lookup.folded) != 0 {
            return Err(SystemError::NotParallel(lookup.name.clone()));
        }
        let helper = self.track(lookup.helper).ok_or_else(dangling)?;
        if helper.columns != self.lanes(lookup.folded)
            || helper.kind != TrackKind::Advice(Phase::Three)
        {
            return Err(SystemError::NotParallel(lookup.name.clone()));
        }
        Ok(())
    }

    fn validate_derivation(&self, derivation: &Derivation<F>) -> Result<(), SystemError> {
        match derivation {
            Derivation::Contract(contraction) => self.validate_contraction(contraction),
            Derivation::Product {
                left,
                right,
                target,
            } => {
                let shape = |id: TrackId| self.track(id).map(|t| (t.kind, t.columns, t.width));
                let two = Some(TrackKind::Advice(Phase::Two));
                let same = shape(*left) == shape(*right) && shape(*left) == shape(*target);
                if same && shape(*target).map(|(kind, ..)| kind) == two {
                    Ok(())
                } else {
                    Err(SystemError::NotParallel("product".into()))
                }
            }
        }
    }

    fn validate_contraction(&self, contraction: &Contraction<F>) -> Result<(), SystemError> {
        let name = &contraction.name;
        let cells = contraction
            .outer
            .iter()
            .try_fold(1usize, |n, len| n.checked_mul(*len));
        let strides = |t: &crate::system::ContractionTerm<F>| {
            t.outer.len() == contraction.outer.len() && t.inner.len() == contraction.inner.len()
        };
        if cells != Some(contraction.target.len) || !contraction.terms.iter().all(strides) {
            return Err(SystemError::Length(name.clone()));
        }
        for (len, factor) in &contraction.inner {
            check_factor(name, factor, *len, &|challenge, _| {
                matches!(
                    challenge,
                    Challenge::Rho | Challenge::Tau | Challenge::Alpha
                )
            })?;
        }
        for term in &contraction.terms {
            let track = self
                .track(term.track)
                .ok_or_else(|| SystemError::Dangling(name.clone()))?;
            if !matches!(
                track.kind,
                TrackKind::Fixed
                    | TrackKind::Tensor
                    | TrackKind::Boundary
                    | TrackKind::Advice(Phase::One)
            ) {
                return Err(SystemError::NotParallel(name.clone()));
            }
        }
        let target = self
            .track(contraction.target.track)
            .ok_or_else(|| SystemError::Dangling(name.clone()))?;
        if target.kind != TrackKind::Advice(Phase::Two) {
            return Err(SystemError::NotParallel(name.clone()));
        }
        // Its positions are those of the tie, which is a constraint and checked as such.
        contraction
            .tie()
            .iter()
            .try_for_each(|form| self.validate_form(name, 1, form))
    }

    fn validate_constraint(&self, constraint: &LinearConstraint<F>) -> Result<(), SystemError> {
        if constraint.claims == 0 || constraint.forms.is_empty() {
            return Err(SystemError::Empty(constraint.name.clone()));
        }
        constraint
            .forms
            .iter()
            .try_for_each(|form| self.validate_form(&constraint.name, constraint.claims, form))
    }

    fn validate_form(
        &self,
        name: &str,
        claims: u32,
        form: &LinearForm<F>,
    ) -> Result<(), SystemError> {
        match form {
            LinearForm::Strided(strided) => self.validate_strided(name, claims, strided),
            LinearForm::Sparse(entries) => entries.iter().try_for_each(|entry| {
                if entry.claim >= claims {
                    let exponent = u64::from(entry.claim);
                    return Err(SystemError::Challenge {
                        name: name.into(),
                        challenge: Challenge::Lambda,
                        exponent,
                    });
                }
                self.check_position(name, Source::Track(entry.cell.track), entry.cell.position)
            }),
        }
    }

    fn validate_strided(
        &self,
        name: &str,
        claims: u32,
        form: &Strided<F>,
    ) -> Result<(), SystemError> {
        let last = form
            .last_position()
            .ok_or_else(|| SystemError::Empty(name.into()))?;
        self.check_position(name, form.source, last)?;
        let allowed = |challenge: Challenge, exponent: u64| match challenge {
            Challenge::Rho | Challenge::Tau | Challenge::Alpha | Challenge::Sigma => true,
            Challenge::Lambda => exponent < u64::from(claims),
            Challenge::Theta | Challenge::Beta | Challenge::Y | Challenge::Zeta => false,
        };
        for axis in &form.axes {
            check_factor(name, &axis.factor, axis.len, &allowed)?;
        }
        match form.scale.power {
            Some((challenge, exponent)) if !allowed(challenge, u64::from(exponent)) => {
                Err(SystemError::Challenge {
                    name: name.into(),
                    challenge,
                    exponent: u64::from(exponent),
                })
            }
            _ => Ok(()),
        }
    }

    fn check_position(
        &self,
        name: &str,
        source: Source,
        position: usize,
    ) -> Result<(), SystemError> {
        let dangling = || SystemError::Dangling(name.into());
        let (track, len) = match source {
            Source::One => return Ok(()),
            Source::Track(id) => {
                let track = self.track(id).ok_or_else(dangling)?;
                (&track.name, track.columns.saturating_mul(track.width))
            }
            Source::Instance(id) => {
                let instance = usize::try_from(id.0)
                    .ok()
                    .and_then(|i| self.instances.get(i))
                    .ok_or_else(dangling)?;
                (&instance.name, instance.len)
            }
        };
        if position < len {
            return Ok(());
        }
        Err(SystemError::OutOfRange {
            name: name.into(),
            track: track.clone(),
            position,
            len,
        })
    }
}
