//! An ordinary circuit with rotations, gates of degrees 2 to 6, a lookup, copies, constants and a public value, over
//! several lanes.

use ff::Field as _;
use zkernel_engine::mock::Cells;
use zkernel_verifier::form::Cell;
use zkernel_verifier::plonk::{Column, Plonk};
use zkernel_verifier::system::ConstraintSystem;

use crate::F;
use crate::case::count;
use crate::prover::Secrets;
use crate::trial::Fixture;

/// The circuit and where its cells lie.
pub struct Rotating {
    /// The system.
    pub system: ConstraintSystem<F>,
    x: Column,
    y: Column,
    z: Column,
    chains: Vec<usize>,
    deep: Vec<usize>,
    flat: usize,
    spare: usize,
}

/// The one false step of a witness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slip {
    /// None.
    Nothing,
    /// Breaks `x' = x y'`.
    Step,
    /// Breaks the gate of degree 6.
    Deep,
    /// Breaks `z = x y`.
    Flat,
    /// Breaks a copy.
    Copy,
    /// Breaks a constant.
    Constant,
    /// Breaks the public value.
    Public,
    /// A factor out of the table's range, everything else consistent.
    Lookup,
}

/// Steps of a chain.
const STEPS: usize = 5;

impl Rotating {
    /// Builds the circuit.
    ///
    /// # Panics
    /// If it is refused.
    #[must_use]
    pub fn new() -> Self {
        let mut c = Plonk::<F>::new(4);
        let [x, y, z] = ["x", "y", "z"].map(|name| c.advice(name));
        let [step, deep, flat] = ["on step", "on deep", "on flat"].map(|name| c.fixed(name));
        let [sx, sd, sf] = [step, deep, flat].map(|column| c.read(column, 0));
        let [x0, x1, x2] = [0, 1, 2].map(|r| c.read(x, r));
        let [y0, y1, before] = [0, 1, -1].map(|r| c.read(y, r));
        let z0 = c.read(z, 0);
        c.gate("step", sx * (x0.clone() * y1.clone() - x1.clone()));
        let product = x0.clone() * x1 * y0.clone() * y1;
        c.gate("deep", sd * (product * x2 - before));
        c.gate("flat", sf * (x0 * y0 - z0));
        let range = c.table("range", 1, (0..4).collect());
        c.lookup("y in range", range, &[y], Some(step));

        let mut rows = c.rows();
        let mut chains = Vec::new();
        for _ in 0..3 {
            let first = rows.region(STEPS + 1).expect("fits a lane");
            (first..first + STEPS).for_each(|row| rows.fix(step, row, F::ONE));
            chains.push(first);
        }
        let mut places = Vec::new();
        for _ in 0..2 {
            let first = rows.region(4).expect("fits a lane");
            rows.fix(deep, first + 1, F::ONE);
            places.push(first);
        }
        let products = rows.region(2).expect("fits a lane");
        rows.fix(flat, products, F::ONE);
        let spare = rows.region(3).expect("fits a lane");
        rows.copy(x.cell(spare), x.cell(chains[0]));
        rows.copy(z.cell(spare), y.cell(chains[1] + 1));
        rows.constant(z.cell(spare + 1), F::from(77));
        rows.constant(x.cell(chains[2]), F::from(3));
        let output = rows.instance("output", 1);
        rows.public(x.cell(chains[0] + STEPS), output, 0);
        Self {
            system: rows.finish().expect("a well-formed circuit"),
            x,
            y,
            z,
            chains,
            deep: places,
            flat: products,
            spare,
        }
    }
}

impl Default for Rotating {
    fn default() -> Self {
        Self::new()
    }
}

impl Fixture for Rotating {
    type Slip = Slip;

    fn system(&self) -> &ConstraintSystem<F> {
        &self.system
    }

    fn witness(&self, system: &ConstraintSystem<F>, slip: Slip) -> (Secrets, Vec<Vec<F>>) {
        let mut cells = Cells::new();
        for track in [self.x, self.y, self.z].map(Column::track) {
            let t = system.track(track).expect("exists");
            cells.insert(track, vec![F::ZERO; t.columns * t.width]);
        }
        let mut set = |cell: Cell, value: F| {
            cells.get_mut(&cell.track).expect("a column")[cell.position] = value;
            value
        };
        let when = |this| if slip == this { F::ONE } else { F::ZERO };
        let (mut starts, mut ends, mut factors) = (Vec::new(), Vec::new(), Vec::new());
        for (chain, first) in self.chains.iter().enumerate() {
            let mut value = set(self.x.cell(*first), F::from(3));
            starts.push(value);
            factors.push(F::from(1 + chain as u64 % 3));
            for step in 0..=STEPS {
                let bad = slip == Slip::Lookup && chain == 1 && step == 3;
                let small = F::from((1 + (chain + step) as u64) % 3 + 1);
                let factor = if bad { F::from(9) } else { small };
                set(self.y.cell(first + step), factor);
                if step == 1 {
                    factors[chain] = factor;
                }
                if step > 0 {
                    let wrong = chain == 1 && step == STEPS;
                    let error = if wrong { when(Slip::Step) } else { F::ZERO };
                    value = set(self.x.cell(first + step), value * factor + error);
                }
            }
            ends.push(value);
        }
        for first in &self.deep {
            let mut some =
                |column: Column, row: usize| set(column.cell(first + row), F::from(2 + row as u64));
            let product = some(self.x, 1) * some(self.x, 2) * some(self.x, 3);
            let product = product * some(self.y, 1) * some(self.y, 2);
            set(self.y.cell(*first), product + when(Slip::Deep));
        }
        let [a, b] = [F::from(11), F::from(13)];
        set(self.x.cell(self.flat), a);
        set(self.y.cell(self.flat), b);
        set(self.z.cell(self.flat), a * b + when(Slip::Flat));
        set(self.x.cell(self.spare), starts[0] + when(Slip::Copy));
        set(self.z.cell(self.spare), factors[1]);
        set(
            self.z.cell(self.spare + 1),
            F::from(77) + when(Slip::Constant),
        );
        count(system, &mut cells);
        let secrets = Secrets {
            cells,
            ..Secrets::default()
        };
        (secrets, vec![vec![ends[0] + when(Slip::Public)]])
    }
}
