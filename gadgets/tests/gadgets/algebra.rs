//! All cells of a proof under fixed challenges, helpers of the lookups included, and the constraints they break.

use std::collections::{BTreeSet, HashMap};

use ff::{Field, PrimeField};
use pasta_curves::Fp;
use zkernel_engine::mock::{Cells, Failure, derive, violations};
use zkernel_gadgets::model::Trace;
use zkernel_verifier::challenge::{Challenge, Challenges};
use zkernel_verifier::curve::signed;
use zkernel_verifier::expression::VirtualId;
use zkernel_verifier::system::{ConstraintSystem, Phase, TableSide, TrackKind};

use super::sketch::Circuit;

/// A full assignment of a circuit.
#[derive(Clone)]
pub struct Algebra<'a> {
    pub system: &'a ConstraintSystem<Fp>,
    pub challenges: Challenges<Fp>,
    pub instances: Vec<Vec<Fp>>,
    pub cells: Cells<Fp>,
}

impl<'a> Algebra<'a> {
    /// A trace with its own claims; everything after phase 1 as the honest prover derives it. Lookups that find no row
    /// count none.
    pub fn of(circuit: &'a Circuit, trace: &Trace) -> Self {
        let system = &circuit.lowered.system;
        let mut cells: Cells<Fp> = system.fixed.iter().cloned().collect();
        for (id, track) in system.tracks_of(TrackKind::Advice(Phase::One)) {
            cells.insert(id, vec![signed(track.padding); track.columns * track.width]);
        }
        for (id, track) in system.tracks_of(TrackKind::Tensor) {
            cells.insert(id, vec![Fp::ZERO; track.columns * track.width]);
        }
        let given = circuit.lowered.witness(trace).into_iter();
        for (id, values) in given.chain(circuit.tensors.values.clone()) {
            let of_track = cells.get_mut(&id).unwrap();
            of_track
                .iter_mut()
                .zip(values)
                .for_each(|(cell, v)| *cell = signed(v));
        }
        let mut algebra = Self {
            system,
            challenges: challenges(),
            instances: circuit.instances(trace),
            cells,
        };
        derive(system, &algebra.challenges, &mut algebra.cells);
        algebra.look_up();
        algebra
    }

    /// Names of all gates and linear constraints that do not hold.
    pub fn broken(&self) -> BTreeSet<String> {
        let found = violations(self.system, &self.instances, &self.challenges, &self.cells);
        found.iter().map(name).collect()
    }

    /// The side that all tables of a network share.
    pub fn side(&self) -> &'a TableSide {
        &self.system.table_sides[0]
    }

    /// `beta + f`, row by row, of a folded lookup or table.
    pub fn denominators(&self, folded: VirtualId) -> Vec<Fp> {
        let column = self.system.virtual_column(folded).unwrap();
        let constants = column
            .constants
            .iter()
            .map(|c| c.evaluate(&self.challenges));
        let constant = constants.sum::<Fp>() + self.challenges.get(Challenge::Beta);
        let width = self.system.usable();
        let cells = column.first_lane() * width..;
        let mut values = vec![constant; self.system.lanes(folded) * width];
        for (track, coefficient) in &column.terms {
            let scale = coefficient.evaluate(&self.challenges);
            let terms = self.cells[track][cells.clone()].iter();
            values
                .iter_mut()
                .zip(terms)
                .for_each(|(v, cell)| *v += scale * cell);
        }
        values
    }

    /// Multiplicities and helpers, `h = sum_j 1 / (beta + f_j)` and `h_T = -m / (beta + f_T)`.
    fn look_up(&mut self) {
        let side = self.side();
        let table = self.denominators(side.folded);
        let mut rows = HashMap::new();
        for (row, value) in table.iter().enumerate() {
            rows.entry(value.to_repr()).or_insert(row);
        }
        let mut counts = vec![Fp::ZERO; table.len()];
        for lookup in &self.system.lookups {
            let inputs = self.denominators(lookup.folded);
            for row in inputs.iter().filter_map(|f| rows.get(&f.to_repr())) {
                counts[*row] += Fp::ONE;
            }
            let helper = self.cells.entry(lookup.helper).or_default();
            helper.resize(inputs.len(), Fp::ZERO);
            let cells = helper.iter_mut().zip(&inputs);
            cells.for_each(|(cell, f)| *cell += f.invert().unwrap());
        }
        let quotients = table
            .iter()
            .zip(&counts)
            .map(|(f, m)| -*m * f.invert().unwrap());
        self.cells.insert(side.helper, quotients.collect());
        self.cells.insert(side.multiplicity, counts);
    }
}

/// The constraint that a failure is about.
pub fn name(failure: &Failure) -> String {
    match failure {
        Failure::Gate { gate, .. } => gate.clone(),
        Failure::Constraint(name) | Failure::Witness(name) => name.clone(),
    }
}

/// Challenges that nothing in a witness depends on.
fn challenges() -> Challenges<Fp> {
    let mut challenges = Challenges::new();
    for (challenge, i) in Challenge::ALL.iter().zip(1u64..) {
        let value = Fp::from(i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        challenges.set(*challenge, value.pow_vartime([4 + i]));
    }
    challenges
}
