//! Gate programs, sixteen rows at a time.
//!
//! Values are `x 2^260` in limbs, so that products are again, and are reduced by products only: an input, stored as
//! `x 2^256`, is read 16-fold. What each step leaves is bounded before the program runs, and the few values that would
//! grow out of the limbs are multiplied by one.

use ff::PrimeField;
use zkernel_verifier::expression::{Operand, Operation, Program};

use super::lanes::Lanes;
use super::prime::{Constants, Prime};
use super::rows::{Word, read, read_sixteenfold, write};
use crate::kernels::Run;

/// Groups of eight rows worked on together: independent products hide each other's latency.
const GROUPS: usize = 2;

/// Values are below this many p, to fit 260 bits.
const LIMIT: u32 = 63;

/// A step on values by their places: inputs, constants, then results in order.
#[derive(Clone, Copy)]
enum Step {
    Add(usize, usize),
    /// The difference, plus a multiple of p.
    Sub(usize, usize, Multiple),
    Mul(usize, usize),
    /// Below 2 p.
    Reduce(usize),
}

/// A multiple of p in the constants.
#[derive(Clone, Copy)]
enum Multiple {
    Two,
    Eight,
    Sixteen,
    ThirtyTwo,
}

/// A program whose values are bounded.
struct Bounded {
    steps: Vec<Step>,
    output: usize,
}

/// `sums[row] += sum_lanes weight * program(row)`.
pub(crate) fn run<F: PrimeField>(prime: Prime<F>, run: &Run<'_, F>, sums: &mut [F]) {
    // SAFETY: `prime` holds an `Ifma`, which proves the features.
    unsafe { interpret(prime, run, prime.words_mut(sums)) }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn interpret<F: PrimeField>(prime: Prime<F>, run: &Run<'_, F>, sums: &mut [Word]) {
    let (k, ifma) = (prime.constants(), prime.ifma);
    let program = Bounded::new(run.program);
    let inputs: Vec<&[Word]> = run.inputs.iter().map(|i| prime.words(i)).collect();
    let factor = |value: &F| Lanes::splat(ifma, prime.factor(*value));
    let one = factor(&F::ONE);
    let constants: Vec<Lanes> = run.constants.iter().map(factor).collect();
    let lanes: Vec<(Lanes, usize)> = run
        .lanes
        .iter()
        .map(|(weight, start)| (read(ifma, &[prime.words(&[*weight])[0]; 8]), *start))
        .collect();
    let mut values = Vec::with_capacity(inputs.len() + constants.len() + program.steps.len());
    for (group, sum) in sums.chunks_mut(8 * GROUPS).enumerate() {
        let (low, high) = sum.split_at_mut(sum.len().min(8));
        let mut totals = [read(ifma, low), read(ifma, high)];
        let mut bound = 1;
        for (weight, start) in &lanes {
            let first = start + 8 * GROUPS * group;
            values.clear();
            values.extend(inputs.iter().map(|input| {
                let (cells, others) = input[first..][..low.len() + high.len()].split_at(low.len());
                [
                    read_sixteenfold(ifma, cells),
                    read_sixteenfold(ifma, others),
                ]
            }));
            values.extend(constants.iter().map(|constant| [*constant; GROUPS]));
            for step in &program.steps {
                let value = step.apply(&values, &one, k);
                values.push(value);
            }
            if bound + 2 > LIMIT {
                totals = unrolled!(2, i => totals[i].canonical(k));
                bound = 1;
            }
            let output = &values[program.output];
            totals = unrolled!(2, i => totals[i].add(&output[i].multiply(weight, k), k));
            bound += 2;
        }
        write(low, &totals[0].canonical(k));
        write(high, &totals[1].canonical(k));
    }
}

impl Step {
    #[inline(always)]
    fn apply(self, values: &[[Lanes; GROUPS]], one: &Lanes, k: &Constants) -> [Lanes; GROUPS] {
        match self {
            Self::Add(a, b) => {
                let (a, b) = (&values[a], &values[b]);
                unrolled!(2, i => a[i].add(&b[i], k))
            }
            Self::Sub(a, b, multiple) => {
                let (a, b) = (&values[a], &values[b]);
                let multiple = match multiple {
                    Multiple::Two => &k.p2,
                    Multiple::Eight => &k.p8,
                    Multiple::Sixteen => &k.p16,
                    Multiple::ThirtyTwo => &k.p32,
                };
                unrolled!(2, i => a[i].subtract(&b[i], multiple, k))
            }
            Self::Mul(a, b) => {
                let (a, b) = (&values[a], &values[b]);
                unrolled!(2, i => a[i].multiply(&b[i], k))
            }
            Self::Reduce(a) => unrolled!(2, i => values[a][i].multiply(one, k)),
        }
    }
}

impl Multiple {
    /// The least one that is no less than a bound of at most 32 p, and how many p it is.
    const fn of(bound: u32) -> (Self, u32) {
        match bound {
            0..=2 => (Self::Two, 2),
            3..=8 => (Self::Eight, 8),
            9..=16 => (Self::Sixteen, 16),
            _ => (Self::ThirtyTwo, 32),
        }
    }
}

/// Where values are, and how many p they are below.
struct Bounds {
    values: Vec<(usize, u32)>,
    steps: Vec<Step>,
    /// Inputs and constants.
    given: usize,
}

impl Bounded {
    fn new(program: &Program) -> Self {
        let (inputs, constants) = (usize::from(program.inputs), usize::from(program.constants));
        let bound = |place: usize| (place, if place < inputs { 16 } else { 1 });
        let mut bounds = Bounds {
            values: (0..inputs + constants).map(bound).collect(),
            steps: Vec::with_capacity(program.instructions.len()),
            given: inputs + constants,
        };
        let place = |operand: Operand| match operand {
            Operand::Input(i) => usize::from(i),
            Operand::Constant(i) => inputs + usize::from(i),
            Operand::Result(i) => inputs + constants + usize::from(i),
        };
        for step in &program.instructions {
            let value = bounds.apply(step.operation, place(step.a), place(step.b));
            bounds.values.push(value);
        }
        Self {
            output: bounds.values[place(program.output)].0,
            steps: bounds.steps,
        }
    }
}

impl Bounds {
    /// The step for an operation, after those that make room for it.
    fn apply(&mut self, operation: Operation, a: usize, b: usize) -> (usize, u32) {
        match operation {
            Operation::Mul => {
                // i p j p 2^-260 is below i j p / 64.
                let product = |bounds: &Self| bounds.values[a].1 * bounds.values[b].1;
                let most = |bounds: &Self| product(bounds).div_ceil(64) + 1;
                self.reduce_while(a, b, |bounds| most(bounds) > LIMIT);
                let bound = most(self);
                self.push(Step::Mul(self.values[a].0, self.values[b].0), bound)
            }
            Operation::Add => {
                let most = |bounds: &Self| bounds.values[a].1 + bounds.values[b].1;
                self.reduce_while(a, b, |bounds| most(bounds) > LIMIT);
                let bound = most(self);
                self.push(Step::Add(self.values[a].0, self.values[b].0), bound)
            }
            Operation::Sub => {
                let most = |bounds: &Self| bounds.values[a].1 + Multiple::of(bounds.values[b].1).1;
                let far = |bounds: &Self| bounds.values[b].1 > 32 || most(bounds) > LIMIT;
                self.reduce_while(a, b, far);
                let (bound, multiple) = (most(self), Multiple::of(self.values[b].1).0);
                let (a, b) = (self.values[a].0, self.values[b].0);
                self.push(Step::Sub(a, b, multiple), bound)
            }
        }
    }

    /// Reduces the second operand, then the first, if need be.
    fn reduce_while(&mut self, a: usize, b: usize, needed: impl Fn(&Self) -> bool) {
        for operand in [b, a] {
            if needed(self) {
                let place = self.values[operand].0;
                self.values[operand] = self.push(Step::Reduce(place), 2);
            }
        }
    }

    fn push(&mut self, step: Step, bound: u32) -> (usize, u32) {
        self.steps.push(step);
        (self.given + self.steps.len() - 1, bound)
    }
}
