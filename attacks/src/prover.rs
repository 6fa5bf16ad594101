//! A second prover: by the definitions, on the host, with a hook before everything it sends.
//!
//! It shares with the engine's prover the constraint system, the rounds' types and the list of claims, and nothing else:
//! no backend, no streaming forms, no dictionary, no coset transform. That both convince the same verifier is a test of
//! the engine; that this one can lie at every step is the test of the verifier.

use std::collections::BTreeMap;

use ff::{Field as _, FromUniformBytes as _};
use group::Curve as _;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use zkernel_engine::mock::{Cells, derive};
use zkernel_verifier::challenge::{Challenge, Challenges, Coefficient};
use zkernel_verifier::claims::fold_weights;
use zkernel_verifier::expression::{Expression, VirtualId};
use zkernel_verifier::form::{LinearForm, Source, TrackId};
use zkernel_verifier::key::VerifyingKey;
use zkernel_verifier::msm::msm;
use zkernel_verifier::proof::Proof;
use zkernel_verifier::rounds::{BadChallenge, PhaseOne};
use zkernel_verifier::system::{Phase, TrackKind};
use zkernel_verifier::transcript::{Attack, Transcript};

use crate::algebra::{dot, fold, fold_columns, inverse};
use crate::{C, F};

/// What a prover knows: phase-1 cells (multiplicities included), tensors, and the tensors' blinding factors.
#[derive(Clone, Default)]
pub struct Secrets {
    /// Cells of phase-1 and tensor tracks.
    pub cells: Cells<F>,
    /// Blinding factor of each tensor column, in the order of track ids.
    pub blinders: Vec<F>,
    /// Blinding factor of each boundary column, in the order of track ids.
    pub boundary_blinders: Vec<F>,
}

/// A hook over the model before something is sent.
pub type Edit<'a> = Option<Box<dyn FnMut(&mut Model<'_>) + 'a>>;
/// Changes a round: given its number, the columns f, the forms a and the gap `T - <f, a>`, returns what is added to the
/// U component of L, and multiples of the generators added to L.
pub type ColumnCheat<'a> =
    Option<Box<dyn FnMut(usize, &mut Vec<Vec<F>>, &[Vec<F>], F) -> (F, Vec<F>) + 'a>>;

/// What a cheating prover changes; nothing by default.
#[derive(Default)]
pub struct Cheat<'a> {
    /// After the phase-2 cells are computed.
    pub phase_two: Edit<'a>,
    /// After the helpers are computed.
    pub helpers: Edit<'a>,
    /// After the quotient is computed.
    pub quotient: Edit<'a>,
    /// After the evaluations are computed.
    pub evaluations: Edit<'a>,
    /// After lambda is drawn; must not change what was sent.
    pub claims: Edit<'a>,
    /// In every column round.
    pub column_round: ColumnCheat<'a>,
    /// Given the number of an inner round and the gap: added to the U component of its L, times x.
    pub inner_round: Option<Box<dyn FnMut(usize, F) -> F + 'a>>,
    /// Given x and the gap: added to the U component of A.
    pub schnorr: Option<Box<dyn FnMut(F, F) -> F + 'a>>,
}

/// A proof, and the model that made it.
pub struct Outcome<'k> {
    /// The proof, not checked.
    pub proof: Proof<C>,
    /// All cells and challenges.
    pub model: Model<'k>,
}

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
    blinders: BTreeMap<usize, F>,
    rng: ChaCha20Rng,
}

/// Runs the protocol with a cheat. `early` are challenges that the prover (and the verifier it talks to) replaces.
///
/// # Errors
/// [`BadChallenge`] when a challenge is zero or zeta lies in a domain.
pub fn prove<'k>(
    key: &'k VerifyingKey<C>,
    instances: &[Vec<F>],
    secrets: &Secrets,
    cheat: &mut Cheat<'_>,
    early: &Attack<F>,
    seed: u64,
) -> Result<Outcome<'k>, BadChallenge> {
    let mut model = Model::new(key, instances, secrets, seed);
    let transcript = Transcript::with_attack(early.clone());
    let boundaries = model.commit_boundaries();
    let rounds = PhaseOne::start(key, instances, &boundaries, transcript);
    let one = model.commit_phase(Phase::One);
    let rounds = rounds.commit(&one)?;
    model.challenges = rounds.challenges().clone();
    model.fill_phase_two();
    model.apply(&mut cheat.phase_two);
    let two = model.commit_phase(Phase::Two);
    let rounds = rounds.commit(&two)?;
    model.challenges = rounds.challenges().clone();
    model.fill_helpers();
    model.apply(&mut cheat.helpers);
    let three = model.commit_phase(Phase::Three);
    let rounds = rounds.commit(&three)?;
    model.challenges = rounds.challenges().clone();
    model.fill_quotient();
    model.apply(&mut cheat.quotient);
    let quotient = model.commit_quotient();
    let rounds = rounds.commit(&quotient)?;
    model.challenges = rounds.challenges().clone();
    model.evaluations = model.evaluate(model.challenges.get(Challenge::Zeta));
    model.apply(&mut cheat.evaluations);
    let mut rounds = rounds.send(&model.evaluations)?;
    model.challenges = rounds.challenges().clone();

    model.apply(&mut cheat.claims);
    let (forms, target) = model.forms();
    let gap = target - model.inner_product(&forms);
    let mut last = Argument {
        f: model.list(),
        a: forms,
        r: F::ZERO,
        claim: F::ZERO,
        gap,
    };
    let column_rounds = last.fold_columns(&mut model, cheat, |cross| rounds.round(cross))?;
    let (x, mut rounds) = rounds.merge()?;
    let (inner_rounds, weights) =
        last.fold_rows(&mut model, x, cheat, |cross| rounds.round(cross))?;
    let (d, d_blinder) = (model.random(), model.random());
    let shift = cheat.schnorr.as_mut().map_or(F::ZERO, |c| c(x, gap));
    let masked: Vec<F> = weights.iter().map(|w| d * w).collect();
    let schnorr = model.commit(&masked, d * x * last.a[0][0] + shift, d_blinder);
    let e = rounds.schnorr(&schnorr)?;
    let proof = Proof {
        boundaries,
        commitments: [one, two, three, quotient],
        evaluations: model.evaluations.clone(),
        column_rounds,
        inner_rounds,
        schnorr,
        response: [d + e * last.f[0][0], d_blinder + e * last.r],
    };
    Ok(Outcome { proof, model })
}

impl<'k> Model<'k> {
    fn new(key: &'k VerifyingKey<C>, instances: &[Vec<F>], secrets: &Secrets, seed: u64) -> Self {
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
    fn inner_product(&self, forms: &[Vec<F>]) -> F {
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

    fn apply(&mut self, edit: &mut Edit<'_>) {
        if let Some(edit) = edit {
            edit(self);
        }
    }

    fn fill_phase_two(&mut self) {
        derive(&self.key.system, &self.challenges, &mut self.cells);
    }

    /// `h = sum_j numerator_j / (beta + f_j)`, the numerators q on inputs and -m on the table.
    fn fill_helpers(&mut self) {
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
    fn fill_quotient(&mut self) {
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

    fn commit_boundaries(&self) -> Vec<C> {
        let key = self.key;
        let tracks = key.system.tracks_of(TrackKind::Boundary);
        let columns = tracks.flat_map(|(id, t)| (0..t.columns).map(move |column| (id, column)));
        let commit = |(id, column)| {
            let blinder = self.blinders[&(key.layout.first(id) + column)];
            self.commit(&self.column(id, column), F::ZERO, blinder)
        };
        columns.map(commit).collect()
    }

    fn commit_phase(&mut self, phase: Phase) -> Vec<C> {
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

    fn commit_quotient(&mut self) -> Vec<C> {
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

/// The inner-product argument under way.
struct Argument {
    f: Vec<Vec<F>>,
    a: Vec<Vec<F>>,
    /// Blinding factor of the folded column's commitment.
    r: F,
    /// Blinding factor of the folded claim `T U`.
    claim: F,
    gap: F,
}

type Round<'r> = &'r mut dyn FnMut(&[C; 2]) -> Result<F, BadChallenge>;

impl Argument {
    fn fold_columns(
        &mut self,
        model: &mut Model<'_>,
        cheat: &mut Cheat<'_>,
        mut round: impl FnMut(&[C; 2]) -> Result<F, BadChallenge>,
    ) -> Result<Vec<[C; 2]>, BadChallenge> {
        let round: Round<'_> = &mut round;
        let (mut proof, mut us) = (Vec::new(), Vec::new());
        let cross = |f: &[Vec<F>], a: &[Vec<F>], parity: usize| -> F {
            let pairs = f.chunks(2).zip(a.chunks(2));
            pairs.map(|(f, a)| dot(&f[parity], &a[1 - parity])).sum()
        };
        while self.f.len() > 1 {
            let (shift, extra) = cheat.column_round.as_mut().map_or_else(
                || (F::ZERO, Vec::new()),
                |c| c(us.len(), &mut self.f, &self.a, self.gap),
            );
            let (l, r) = (cross(&self.f, &self.a, 1), cross(&self.f, &self.a, 0));
            let (s, t) = (model.random(), model.random());
            let points = [model.commit(&extra, l + shift, s), model.commit(&[], r, t)];
            let u = round(&points)?;
            self.claim += u * s + inverse(u) * t;
            self.f = fold_columns(&self.f, u);
            self.a = fold_columns(&self.a, inverse(u));
            us.push(u);
            proof.push(points);
        }
        let weights = fold_weights(&us);
        self.r = model.blinders.iter().map(|(q, r)| weights[*q] * r).sum();
        Ok(proof)
    }

    /// The inner rounds; also the weights of the generators after them.
    fn fold_rows(
        &mut self,
        model: &mut Model<'_>,
        x: F,
        cheat: &mut Cheat<'_>,
        mut round: impl FnMut(&[C; 2]) -> Result<F, BadChallenge>,
    ) -> Result<(Vec<[C; 2]>, Vec<F>), BadChallenge> {
        let round: Round<'_> = &mut round;
        self.r += x * self.claim;
        let (mut f, mut a) = (self.f[0].clone(), self.a[0].clone());
        let (mut proof, mut inverses) = (Vec::new(), Vec::new());
        while f.len() > 1 {
            let shift = cheat
                .inner_round
                .as_mut()
                .map_or(F::ZERO, |c| c(proof.len(), self.gap));
            let half = |v: &[F], parity: usize| -> Vec<F> {
                v.iter().skip(parity).step_by(2).copied().collect()
            };
            let weights = fold_weights(&inverses);
            // The part of the generators whose next bit is `side`, with the other half of f.
            let spread = |side: usize| -> Vec<F> {
                let bit = inverses.len();
                let row = |j: usize| {
                    let weight = weights[j & (weights.len() - 1)];
                    let mine = j >> bit & 1 == side;
                    if mine {
                        weight * f[(j >> bit) ^ 1]
                    } else {
                        F::ZERO
                    }
                };
                (0..model.key.domain.rows()).map(row).collect()
            };
            let l = dot(&half(&f, 1), &half(&a, 0)) + shift;
            let r = dot(&half(&f, 0), &half(&a, 1));
            let (s, t) = (model.random(), model.random());
            let (low, high) = (spread(0), spread(1));
            let points = [model.commit(&low, x * l, s), model.commit(&high, x * r, t)];
            let v = round(&points)?;
            self.r += v * s + inverse(v) * t;
            f = fold(&f, v);
            a = fold(&a, inverse(v));
            inverses.push(inverse(v));
            proof.push(points);
        }
        (self.f, self.a) = (vec![f], vec![a]);
        Ok((proof, fold_weights(&inverses)))
    }
}
