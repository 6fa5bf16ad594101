//! Everything a prover has computed so far, by the definitions.

use std::collections::BTreeMap;

use ff::{Field as _, FromUniformBytes as _};
use group::Curve as _;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use zkernel_engine::mock::{Cells, derive};
use zkernel_verifier::challenge::{Challenge, Challenges, Coefficient};
use zkernel_verifier::expression::{Expression, VirtualId};
use zkernel_verifier::form::{LinearForm, Source, TrackId};
use zkernel_verifier::key::VerifyingKey;
use zkernel_verifier::msm::msm;
use zkernel_verifier::system::{Phase, TrackKind};

use super::{Edit, Secrets};
use crate::algebra::{dot, inverse};
use crate::{C, F};

/// Everything the prover has computed so far.
pub struct Model<'k> {
    /// The key.
    pub key: &'k VerifyingKey<C>,
    /// The public values.
    pub instances: Vec<Vec<F>>,
    /// Usable cells of every track.
    pub cells: Cells<F>,
    /// Blinding rows of the advice tracks, t per column.
    pub blinding: Cells<F>,
    /// The quotient columns.
    pub quotient: Vec<Vec<F>>,
    /// Evaluations at zeta, in the order of the proof.
    pub evaluations: Vec<F>,
    /// The challenges drawn so far.
    pub challenges: Challenges<F>,
    /// Blinding factor of the column at each position of the list.
    pub(super) blinders: BTreeMap<usize, F>,
    rng: ChaCha20Rng,
}

impl<'k> Model<'k> {
    pub(super) fn new(
        key: &'k VerifyingKey<C>,
        instances: &[Vec<F>],
        secrets: &Secrets,
        seed: u64,
    ) -> Self {
        let system = &key.system;
        let mut cells = secrets.cells.clone();
        cells.extend(system.fixed.iter().cloned());
        for (id, track) in (0u32..).map(TrackId).zip(&system.tracks) {
            let padding = zkernel_verifier::curve::signed(track.padding);
            cells
                .entry(id)
                .or_default()
                .resize(track.columns * track.width, padding);
        }
        let positions = |kind| {
            let tracks = system.tracks_of(kind);
            tracks.flat_map(|(id, track)| (key.layout.first(id)..).take(track.columns))
        };
        let tensors = positions(TrackKind::Tensor).zip(secrets.blinders.iter().copied());
        let boundaries =
            positions(TrackKind::Boundary).zip(secrets.boundary_blinders.iter().copied());
        let blinders = tensors.chain(boundaries).collect();
        let mut model = Self {
            key,
            instances: instances.to_vec(),
            cells,
            blinding: Cells::new(),
            quotient: Vec::new(),
            evaluations: Vec::new(),
            challenges: Challenges::new(),
            blinders,
            rng: ChaCha20Rng::seed_from_u64(seed),
        };
        if let Some(masks) = &system.masks {
            let cells = model.cells[&masks.track].len();
            let random = (0..cells).map(|_| model.random()).collect();
            model.cells.insert(masks.track, random);
        }
        model
    }

    /// A column as gates and lookups read it: a tensor's blinding rows hold its mask.
    fn opened(&self, id: TrackId, column: usize) -> Vec<F> {
        let system = &self.key.system;
        let mut rows = self.column(id, column);
        if let (Some(start), Some(masks)) = (system.mask_of(id, column), &system.masks) {
            let mask = &self.cells[&masks.track][start..][..system.blinding];
            rows[system.usable()..].copy_from_slice(mask);
        }
        rows
    }

    /// A uniform field element.
    pub fn random(&mut self) -> F {
        let mut bytes = [0u8; 64];
        self.rng.fill_bytes(&mut bytes);
        F::from_uniform_bytes(&bytes)
    }

    /// All n rows of a column of a track.
    #[must_use]
    pub fn column(&self, id: TrackId, column: usize) -> Vec<F> {
        let system = &self.key.system;
        let track = system.track(id).expect("a track of the system");
        let mut rows = self.cells[&id][column * track.width..][..track.width].to_vec();
        if let Some(tail) = self.blinding.get(&id) {
            rows.extend(&tail[column * system.blinding..][..system.blinding]);
        }
        rows.resize(system.rows(), F::ZERO);
        rows
    }

    /// All n rows of a lane of a virtual column.
    #[must_use]
    pub fn lane(&self, id: VirtualId, lane: usize) -> Vec<F> {
        let column = self.key.system.virtual_column(id).expect("exists");
        let rows = self.key.system.rows();
        let mut values = vec![self.constants(&column.constants); rows];
        for (track, coefficient) in &column.terms {
            let c = coefficient.evaluate(&self.challenges);
            let cells = self.opened(*track, column.first_lane() + lane);
            for (row, value) in values.iter_mut().enumerate() {
                let row = (row as i64 + i64::from(column.rotation)).rem_euclid(rows as i64);
                *value += c * cells[row as usize];
            }
        }
        values
    }

    fn constants(&self, constants: &[Coefficient<F>]) -> F {
        constants.iter().map(|c| c.evaluate(&self.challenges)).sum()
    }

    /// Every lane of every virtual column at a point outside H.
    #[must_use]
    pub fn evaluate(&self, point: F) -> Vec<F> {
        let lagrange = self.key.domain.lagrange(point).expect("outside H");
        let lanes = self.key.system.evaluations();
        lanes
            .map(|(id, lane)| dot(&self.lane(id, lane), &lagrange))
            .collect()
    }

    /// `sum_i y^i gate_i`, gates in order, lanes of a gate in order, on the values of all virtual columns.
    #[must_use]
    pub fn gates(&self, values: &[F]) -> F {
        let system = &self.key.system;
        let at: BTreeMap<_, _> = system.evaluations().zip(values.iter().copied()).collect();
        let (mut sum, mut power) = (F::ZERO, F::ONE);
        for gate in &system.gates {
            for lane in 0..system.gate_lanes(gate) {
                sum += power * self.gate(&gate.expression, &|id| at[&(id, lane)]);
                power *= self.challenges.get(Challenge::Y);
            }
        }
        sum
    }

    fn gate(&self, expression: &Expression<F>, read: &dyn Fn(VirtualId) -> F) -> F {
        match expression {
            Expression::Constant(c) => c.evaluate(&self.challenges),
            Expression::Virtual(id) => read(*id),
            Expression::Sum(a, b) => self.gate(a, read) + self.gate(b, read),
            Expression::Difference(a, b) => self.gate(a, read) - self.gate(b, read),
            Expression::Product(a, b) => self.gate(a, read) * self.gate(b, read),
        }
    }

    /// `T - <f, a>` of all claims for the evaluations the model would send: zero for an honest prover.
    #[must_use]
    pub fn gap(&self) -> F {
        let (forms, target) = self.forms();
        target - self.inner_product(&forms)
    }

    /// The coefficients of all claims, column by column of the list, and T.
    #[must_use]
    pub fn forms(&self) -> (Vec<Vec<F>>, F) {
        let (key, challenges) = (self.key, &self.challenges);
        let claim = key
            .batch(challenges, &self.evaluations, &self.instances)
            .expect("fits the key");
        let rows = key.domain.rows();
        let mut forms = vec![vec![F::ZERO; rows]; key.layout.padded_columns()];
        let mut add = |id: TrackId, position: usize, value: F| {
            let width = key.system.track(id).map_or(1, |t| t.width);
            forms[key.layout.first(id) + position / width][position % width] += value;
        };
        for weighted in &claim.forms {
            match weighted.form {
                LinearForm::Strided(form) => {
                    if let Source::Track(id) = form.source {
                        let view = form.evaluate(challenges);
                        view.for_each(|position, c| add(id, position, weighted.weight * c));
                    }
                }
                LinearForm::Sparse(entries) => entries.iter().for_each(|entry| {
                    let lambda = challenges.get(Challenge::Lambda);
                    let power = lambda.pow_vartime([u64::from(entry.claim)]);
                    let value = weighted.weight * entry.coefficient * power;
                    add(entry.cell.track, entry.cell.position, value);
                }),
            }
        }
        if let Some(masks) = &key.system.masks {
            for (cell, coefficient) in &claim.masks {
                add(masks.track, *cell, *coefficient);
            }
        }
        let zeta = challenges.get(Challenge::Zeta);
        let openings = claim.openings.iter().flat_map(|opening| {
            let point = key.domain.rotation(opening.rotation) * zeta;
            (0usize..).zip(opening.coefficients.iter().map(move |c| (*c, point)))
        });
        let shifts = key.domain.shifts.iter().map(|g| zeta * inverse(*g));
        let quotient = claim.quotient.iter().copied().zip(shifts);
        let at = openings.chain((key.layout.quotient..).zip(quotient));
        for (column, (coefficient, point)) in at.filter(|(_, (c, _))| *c != F::ZERO) {
            let lagrange = key.domain.lagrange(point).expect("outside H");
            let cells = forms[column].iter_mut().zip(lagrange);
            cells.for_each(|(cell, l)| *cell += coefficient * l);
        }
        (forms, claim.target)
    }

    /// `sum_q <f_q, a_q>`.
    pub(super) fn inner_product(&self, forms: &[Vec<F>]) -> F {
        self.list().iter().zip(forms).map(|(f, a)| dot(f, a)).sum()
    }

    /// All columns of the list, padded with zero columns.
    #[must_use]
    pub fn list(&self) -> Vec<Vec<F>> {
        let (key, layout) = (self.key, &self.key.layout);
        let mut list = vec![vec![F::ZERO; key.domain.rows()]; layout.padded_columns()];
        for (id, track) in (0u32..).map(TrackId).zip(&key.system.tracks) {
            for column in 0..track.columns {
                list[layout.first(id) + column] = self.column(id, column);
            }
        }
        for (j, column) in self.quotient.iter().enumerate() {
            list[layout.quotient + j].clone_from(column);
        }
        list
    }

    pub(super) fn apply(&mut self, edit: &mut Edit<'_>) {
        if let Some(edit) = edit {
            edit(self);
        }
    }

    pub(super) fn fill_phase_two(&mut self) {
        derive(&self.key.system, &self.challenges, &mut self.cells);
    }

    /// `h = sum_j numerator_j / (beta + f_j)`, the numerators q on inputs and -m on the table.
    pub(super) fn fill_helpers(&mut self) {
        let system = &self.key.system;
        let inputs = system.lookups.iter().map(|lookup| {
            let cells = system.looked_up(lookup);
            let one = vec![F::ONE; cells.len()];
            let numerators = lookup
                .enabled
                .map_or(one, |id| self.cells[&id][cells].to_vec());
            (lookup.helper, lookup.folded, numerators)
        });
        let sides = system.table_sides.iter().map(|side| {
            let minus = self.cells[&side.multiplicity].iter().map(|m| -m).collect();
            (side.helper, side.folded, minus)
        });
        let all: Vec<_> = inputs.chain(sides).collect();
        let beta = self.challenges.get(Challenge::Beta);
        let mut helpers = Cells::<F>::new();
        for (helper, folded, numerators) in all {
            let lanes = (0..system.lanes(folded)).flat_map(|lane| {
                let mut values = self.lane(folded, lane);
                values.truncate(system.usable());
                values
            });
            let quotients = lanes.zip(numerators).map(|(f, numerator)| {
                numerator * Option::from((beta + f).invert()).unwrap_or(F::ZERO)
            });
            let sums = helpers.entry(helper).or_default();
            for (cell, quotient) in quotients.enumerate() {
                match sums.get_mut(cell) {
                    Some(sum) => *sum += quotient,
                    None => sums.push(quotient),
                }
            }
        }
        self.cells.extend(helpers);
    }

    /// `Q = b sum_i y^i gate_i / (X^n - 1)` at every point of every coset, by evaluation there.
    pub(super) fn fill_quotient(&mut self) {
        let domain = &self.key.domain;
        let value = |point: F| {
            let gates = self.gates(&self.evaluate(point));
            domain.blinding_factor(point) * gates * inverse(domain.power_n(point) - F::ONE)
        };
        let coset = |shift: &F| {
            let roots = zkernel_verifier::curve::powers(domain.omega, domain.rows());
            roots.into_iter().map(|root| value(*shift * root)).collect()
        };
        self.quotient = domain.shifts.iter().map(coset).collect();
    }

    pub(super) fn commit_boundaries(&self) -> Vec<C> {
        let key = self.key;
        let tracks = key.system.tracks_of(TrackKind::Boundary);
        let columns = tracks.flat_map(|(id, t)| (0..t.columns).map(move |column| (id, column)));
        let commit = |(id, column)| {
            let blinder = self.blinders[&(key.layout.first(id) + column)];
            self.commit(&self.column(id, column), F::ZERO, blinder)
        };
        columns.map(commit).collect()
    }

    pub(super) fn commit_phase(&mut self, phase: Phase) -> Vec<C> {
        let key = self.key;
        let mut commitments = Vec::new();
        for (id, track) in key.system.tracks_of(TrackKind::Advice(phase)) {
            let tail = (0..track.columns * key.system.blinding).map(|_| self.random());
            let tail = tail.collect();
            self.blinding.insert(id, tail);
            for column in 0..track.columns {
                let rows = self.column(id, column);
                commitments.push(self.commit_at(key.layout.first(id) + column, &rows));
            }
        }
        commitments
    }

    pub(super) fn commit_quotient(&mut self) -> Vec<C> {
        let first = self.key.layout.quotient;
        let columns = self.quotient.clone();
        (first..)
            .zip(&columns)
            .map(|(position, column)| self.commit_at(position, column))
            .collect()
    }

    fn commit_at(&mut self, position: usize, rows: &[F]) -> C {
        let blinder = self.random();
        self.blinders.insert(position, blinder);
        self.commit(rows, F::ZERO, blinder)
    }

    /// `sum_j f_j G_j + product U + blinding B`.
    #[must_use]
    pub fn commit(&self, rows: &[F], product: F, blinding: F) -> C {
        let g = &self.key.generators;
        let points = [&g.rows[..rows.len()], &[g.product, g.blinding]].concat();
        msm(&points, &[rows, &[product, blinding]].concat()).to_affine()
    }
}
