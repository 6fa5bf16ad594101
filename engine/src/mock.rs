//! The mock prover: evaluates every constraint on a witness, without commitments, and names each that fails.

use std::collections::BTreeMap;

use zkernel_verifier::challenge::{Challenge, Challenges};
use zkernel_verifier::curve::{Field, signed};
use zkernel_verifier::form::{LinearForm, Source, TrackId};
use zkernel_verifier::system::{
    ConstraintSystem, Contraction, Derivation, Gate, LinearConstraint, Lookup, Phase, TrackKind,
};

use crate::error::Result;
use crate::keys::Tensors;
use crate::randomness::Randomness;
use crate::witness::{DISABLED, Witness};

/// A constraint that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// A gate is not zero.
    #[error("gate `{gate}` does not vanish in lane {lane}, row {row}")]
    Gate {
        /// The gate.
        gate: String,
        /// The lane.
        lane: usize,
        /// The row.
        row: usize,
    },
    /// A linear constraint does not hold.
    #[error("linear constraint `{0}` does not hold")]
    Constraint(String),
    /// A lookup fails, or the witness has the wrong shape.
    #[error("{0}")]
    Witness(String),
}

/// The cells of every track, `columns * width` of them, without blinding rows.
pub type Cells<F> = BTreeMap<TrackId, Vec<F>>;

/// Checks lookups, gates and linear constraints at random challenges.
///
/// ```
/// use pasta_curves::Fp;
/// use zkernel_engine::{Tensors, Witness, mock};
/// use zkernel_verifier::plonk::Plonk;
///
/// let mut plonk = Plonk::<Fp>::new(4);
/// let a = plonk.advice("a");
/// let boolean = plonk.read(a, 0) * plonk.read(a, 0) - plonk.read(a, 0);
/// plonk.gate("boolean", boolean);
/// let system = plonk.rows().finish()?;
/// let none = Tensors { values: vec![], blinders: vec![] };
/// let failures = |cells: Vec<i64>| {
///     let mut witness = Witness::default();
///     witness.assign(a.track(), cells);
///     mock::check(&system, &[], &witness, &none)
/// };
/// assert!(failures(vec![0, 1, 1])?.is_empty());
/// assert!(failures(vec![0, 1, 2])?[0].to_string().contains("boolean"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Only if the operating system has no randomness; failing constraints are returned by name.
pub fn check<F: Field>(
    system: &ConstraintSystem<F>,
    instances: &[Vec<F>],
    witness: &Witness<F>,
    tensors: &Tensors<F>,
) -> Result<Vec<Failure>> {
    let assignment = match witness.complete(system) {
        Ok(assignment) => assignment,
        Err(error) => return Ok(vec![Failure::Witness(error.to_string())]),
    };
    let mut randomness = Randomness::hedged(&[])?;
    let mut challenges = Challenges::new();
    Challenge::ALL
        .iter()
        .for_each(|challenge| challenges.set(*challenge, randomness.scalar()));
    let mut cells: Cells<F> = system.fixed.iter().cloned().collect();
    for (id, body) in &assignment.tracks {
        cells.insert(*id, (0..body.len()).filter_map(|i| body.get(i)).collect());
    }
    for (id, track) in system.tracks_of(TrackKind::Tensor) {
        let values = tensors
            .values
            .iter()
            .find(|(given, _)| *given == id)
            .map_or(&[][..], |(_, v)| v);
        let mut values: Vec<F> = values.iter().map(|v| signed(*v)).collect();
        values.resize(track.columns * track.width, F::ZERO);
        cells.insert(id, values);
    }
    for boundary in &assignment.boundaries {
        let mut values: Vec<F> = boundary.values.iter().map(|v| signed(*v)).collect();
        values.resize(boundary.blinders.len() * system.rows(), F::ZERO);
        cells.insert(boundary.track, values);
    }
    derive(system, &challenges, &mut cells);
    let lookups = system.lookups.iter().zip(&assignment.hits);
    let secret = lookups.filter_map(|(lookup, hits)| check_secret(system, lookup, hits, &cells));
    let mut failures: Vec<Failure> = secret.collect();
    failures.extend(violations(system, instances, &challenges, &cells));
    Ok(failures)
}

/// Secret entries of a table against what its lookup reads; public ones were checked when the row was found.
fn check_secret<F: Field>(
    system: &ConstraintSystem<F>,
    lookup: &Lookup,
    hits: &[u32],
    cells: &Cells<F>,
) -> Option<Failure> {
    let table = system.tables.get(lookup.table.0 as usize)?;
    let inputs = lookup.inputs.get(table.arity..)?;
    for (input, values) in inputs.iter().zip(&table.secret) {
        let read = system.looked_up(lookup).zip(hits);
        for (cell, hit) in read.filter(|(_, hit)| **hit != DISABLED) {
            let read = |(track, c): &(TrackId, i64)| cells[track][cell] * signed::<F>(*c);
            let value = input.terms.iter().map(read).sum::<F>() + signed::<F>(input.constant);
            if cells[values][*hit as usize - table.offset] != value {
                let (lane, row) = (cell / system.usable(), cell % system.usable());
                return Some(Failure::Witness(format!(
                    "lookup `{}`, lane {lane}, row {row}: not the value that table `{}` has for this key",
                    lookup.name, table.name
                )));
            }
        }
    }
    None
}

/// Every gate and linear constraint that does not hold. Those that read tracks without cells (the helpers of lookups that
/// were checked row by row) are left out.
#[must_use]
pub fn violations<F: Field>(
    system: &ConstraintSystem<F>,
    instances: &[Vec<F>],
    challenges: &Challenges<F>,
    cells: &Cells<F>,
) -> Vec<Failure> {
    let gates = system
        .gates
        .iter()
        .filter_map(|gate| check_gate(system, gate, challenges, cells));
    let broken = |c: &&LinearConstraint<F>| {
        residual(c, instances, challenges, cells).is_some_and(|r| r != F::ZERO)
    };
    let constraints = system
        .constraints
        .iter()
        .filter(broken)
        .map(|c| Failure::Constraint(c.name.clone()));
    gates.chain(constraints).collect()
}

/// Fills the phase-2 tracks by their derivations.
pub fn derive<F: Field>(
    system: &ConstraintSystem<F>,
    challenges: &Challenges<F>,
    cells: &mut Cells<F>,
) {
    for (id, track) in system.tracks_of(TrackKind::Advice(Phase::Two)) {
        cells.insert(id, vec![F::ZERO; track.columns * track.width]);
    }
    for derivation in &system.derivations {
        match derivation {
            Derivation::Contract(contraction) => {
                let values = contract(contraction, challenges, cells);
                if let Some(target) = cells.get_mut(&contraction.target.track) {
                    let cells = &mut target[contraction.target.start..][..values.len()];
                    cells
                        .iter_mut()
                        .zip(values)
                        .for_each(|(cell, value)| *cell += value);
                }
            }
            Derivation::Product {
                left,
                right,
                target,
            } => {
                let product = cells[left]
                    .iter()
                    .zip(&cells[right])
                    .map(|(l, r)| *l * r)
                    .collect();
                cells.insert(*target, product);
            }
        }
    }
}

/// A contraction by its definition: the tie's source forms, one outer index at a time.
fn contract<F: Field>(
    contraction: &Contraction<F>,
    challenges: &Challenges<F>,
    cells: &Cells<F>,
) -> Vec<F> {
    let factors: Vec<Vec<F>> = contraction
        .inner
        .iter()
        .map(|(len, f)| f.evaluate(*len, challenges))
        .collect();
    let constant = factors.iter().fold(contraction.constant, |product, f| {
        product * f.iter().sum::<F>()
    });
    let offset = |mut j: usize, strides: &[usize]| {
        contraction
            .outer
            .iter()
            .zip(strides)
            .rev()
            .fold(0, |sum, (len, stride)| {
                let index = j % len;
                j /= len;
                sum + index * stride
            })
    };
    let value = |j| {
        contraction.terms.iter().fold(constant, |sum, term| {
            let start = term.start + offset(j, &term.outer);
            sum + nested(&cells[&term.track], start, &factors, &term.inner) * term.scale
        })
    };
    (0..contraction.target.len).map(value).collect()
}

fn nested<F: Field>(cells: &[F], start: usize, factors: &[Vec<F>], strides: &[usize]) -> F {
    let (Some((factor, factors)), Some((stride, strides))) =
        (factors.split_first(), strides.split_first())
    else {
        return cells[start];
    };
    factor
        .iter()
        .enumerate()
        .map(|(i, f)| *f * nested(cells, start + i * stride, factors, strides))
        .sum()
}

/// Gates over helpers are left to the lookups, which were checked row by row.
fn check_gate<F: Field>(
    system: &ConstraintSystem<F>,
    gate: &Gate<F>,
    challenges: &Challenges<F>,
    cells: &Cells<F>,
) -> Option<Failure> {
    let compiled = gate.expression.compile()?;
    let columns: Vec<_> = compiled
        .inputs
        .iter()
        .map(|id| system.virtual_column(*id))
        .collect::<Option<_>>()?;
    let width = system.usable();
    let read = |position: usize| -> Option<Vec<F>> {
        let value = |column: &&zkernel_verifier::system::VirtualColumn<F>| {
            let rows = system.rows() as i64;
            let row = (position % width) as i64 + i64::from(column.rotation);
            let row = row.rem_euclid(rows) as usize;
            if row >= width {
                // A blinding row: anything; validation made sure that the gate does not depend on it.
                return Some(F::MULTIPLICATIVE_GENERATOR);
            }
            let position = (column.first_lane() + position / width) * width + row;
            let constant: F = column
                .constants
                .iter()
                .map(|c| c.evaluate(challenges))
                .sum();
            column.terms.iter().try_fold(constant, |sum, (track, c)| {
                Some(sum + *cells.get(track)?.get(position)? * c.evaluate(challenges))
            })
        };
        columns.iter().map(value).collect()
    };
    let constants: Vec<F> = compiled
        .constants
        .iter()
        .map(|c| c.evaluate(challenges))
        .collect();
    let broken = (0..system.gate_lanes(gate) * width).find(|position| {
        let value =
            read(*position).and_then(|inputs| compiled.program.evaluate(&inputs, &constants));
        value.is_some_and(|value| value != F::ZERO)
    })?;
    Some(Failure::Gate {
        gate: gate.name.clone(),
        lane: broken / width,
        row: broken % width,
    })
}

/// The sum of a constraint's forms, zero if it holds; `None` if it reads a track without cells.
#[must_use]
pub fn residual<F: Field>(
    constraint: &LinearConstraint<F>,
    instances: &[Vec<F>],
    challenges: &Challenges<F>,
    cells: &Cells<F>,
) -> Option<F> {
    let lambda = challenges.get(Challenge::Lambda);
    let mut sum = F::ZERO;
    for form in &constraint.forms {
        match form {
            LinearForm::Strided(strided) => {
                let values = match strided.source {
                    Source::Track(id) => Some(cells.get(&id)?),
                    Source::Instance(id) => instances.get(id.0 as usize),
                    Source::One => None,
                };
                let read = |position| {
                    values.map_or(F::ONE, |v| v.get(position).copied().unwrap_or(F::ZERO))
                };
                strided
                    .evaluate(challenges)
                    .for_each(|position, coefficient| {
                        sum += coefficient * read(position);
                    });
            }
            LinearForm::Sparse(entries) => {
                for entry in entries {
                    let power = lambda.pow_vartime([u64::from(entry.claim)]);
                    sum += entry.coefficient
                        * power
                        * cells.get(&entry.cell.track)?.get(entry.cell.position)?;
                }
            }
        }
    }
    Some(sum)
}
