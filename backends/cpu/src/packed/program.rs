//! Gate programs, sixteen rows at a time.
//!
//! Values are `x 2^260` in limbs, so that products are again, and are reduced by products only: an input, stored as
//! `x 2^256`, is read 16-fold. What each step leaves is bounded before the program runs, and the few values that would
//! grow out of the limbs are multiplied by one. A result takes the place of a value that is not read any more: those of large
//! programs would not stay in the first-level cache.

use ff::PrimeField;
use zkernel_verifier::expression::{Operand, Operation, Program};

use super::lanes::{Lanes, carry_up, digits};
use super::prime::{Constants, Prime};
use super::rows::{Word, read, read_sixteenfold, write};
use super::turns;
use super::vector::Vector;
use crate::kernels::Run;

/// Groups of eight rows worked on together: independent products hide each other's latency.
const GROUPS: usize = 2;

/// Values are below this many p, to fit 260 bits.
const LIMIT: u32 = 63;

/// An operation on values by their places, and the place of its result.
#[derive(Clone, Copy, Debug)]
struct Step {
    action: Action,
    a: usize,
    b: usize,
    result: usize,
}

#[derive(Clone, Copy, Debug)]
enum Action {
    Add,
    /// The difference, plus a multiple of p.
    Sub(Multiple),
    Mul {
        /// b waits in memory since [`WAITED`] steps or longer.
        waits: bool,
        /// Only products read the result, and so only the low 52 bits of its limbs.
        factor: bool,
    },
    /// The first operand, below 2 p.
    Reduce,
}

impl Action {
    /// A product of which nothing is known yet.
    const PRODUCT: Self = Self::Mul {
        waits: false,
        factor: false,
    };
}

/// Steps after which a result is surely in the first-level cache.
const WAITED: usize = 2;

/// A multiple of p in the constants.
#[derive(Clone, Copy, Debug)]
enum Multiple {
    Two,
    Eight,
    Sixteen,
    ThirtyTwo,
}

/// A program whose values are bounded.
#[derive(Clone, Debug)]
pub(crate) struct Bounded {
    steps: Vec<Step>,
    output: usize,
    /// Places of values: inputs, constants, then results.
    places: usize,
}

/// `sums[row] += sum_lanes weight * program(row)`.
pub(crate) fn run<F: PrimeField>(prime: Prime<F>, run: &Run<'_, F>, sums: &mut [F]) {
    let interpret = if prime.ifma.few_instructions() {
        interpret::<F, true>
    } else {
        interpret::<F, false>
    };
    // SAFETY: `prime` holds an `Ifma`, which proves the features.
    unsafe { interpret(prime, run, prime.words_mut(sums)) }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn interpret<F: PrimeField, const FEW: bool>(prime: Prime<F>, run: &Run<'_, F>, sums: &mut [Word]) {
    let (k, ifma) = (prime.constants(), prime.ifma);
    let program = &run.kernel.bounded;
    let inputs: Vec<&[Word]> = run.inputs.iter().map(|i| prime.words(i)).collect();
    let factor = |value: &F| Lanes::splat(ifma, prime.factor(*value));
    let one = factor(&F::ONE);
    let constants: Vec<Lanes> = run.constants.iter().map(factor).collect();
    let lanes: Vec<(Lanes, usize)> = run
        .lanes
        .iter()
        .map(|(weight, start)| (read(ifma, &[prime.words(&[*weight])[0]; 8]), *start))
        .collect();
    let mut values = vec![[one; GROUPS]; program.places];
    for (group, sum) in sums.chunks_mut(8 * GROUPS).enumerate() {
        let (low, high) = sum.split_at_mut(sum.len().min(8));
        let mut totals = [read(ifma, low), read(ifma, high)];
        let mut bound = 1;
        for (weight, start) in &lanes {
            let first = start + 8 * GROUPS * group;
            for (value, input) in values.iter_mut().zip(&inputs) {
                let (cells, others) = input[first..][..low.len() + high.len()].split_at(low.len());
                *value = [
                    read_sixteenfold(ifma, cells),
                    read_sixteenfold(ifma, others),
                ];
            }
            for (value, constant) in values[inputs.len()..].iter_mut().zip(&constants) {
                *value = [*constant; GROUPS];
            }
            for step in &program.steps {
                let value = step.apply::<FEW>(&values, &one, k);
                values[step.result] = value;
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
    fn apply<const FEW: bool>(
        self,
        values: &[[Lanes; GROUPS]],
        one: &Lanes,
        k: &Constants,
    ) -> [Lanes; GROUPS] {
        let (a, b) = (&values[self.a], &values[self.b]);
        match self.action {
            Action::Add => unrolled!(2, i => a[i].add(&b[i], k)),
            Action::Sub(multiple) => {
                let multiple = match multiple {
                    Multiple::Two => &k.p2,
                    Multiple::Eight => &k.p8,
                    Multiple::Sixteen => &k.p16,
                    Multiple::ThirtyTwo => &k.p32,
                };
                unrolled!(2, i => a[i].subtract(&b[i], multiple, k))
            }
            Action::Mul { waits, factor } => {
                let product = if waits && !FEW {
                    multiply::<FEW, true>(a, b, k)
                } else {
                    multiply::<FEW, false>(a, b, k)
                };
                if factor {
                    unrolled!(2, i => digits(product[i]))
                } else {
                    unrolled!(2, i => carry_up(product[i], k))
                }
            }
            Action::Reduce => {
                let product = multiply::<FEW, false>(a, &[*one; GROUPS], k);
                unrolled!(2, i => carry_up(product[i], k))
            }
        }
    }
}

/// Products of both groups in turns, limbs below 2^57.
#[inline(always)]
fn multiply<const FEW: bool, const WAITS: bool>(
    a: &[Lanes; GROUPS],
    b: &[Lanes; GROUPS],
    k: &Constants,
) -> [[Vector; 5]; GROUPS] {
    turns::multiply_uncarried::<FEW, WAITS>([&a[0], &a[1]], [&b[0], &b[1]], k)
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

impl Bounded {
    /// Steps whose results have places of their own from `given` on, in places that are free again after their last use.
    fn placed(mut steps: Vec<Step>, given: usize, output: usize) -> Self {
        let mut last_use = vec![0; given + steps.len()];
        for (number, step) in steps.iter().enumerate() {
            (last_use[step.a], last_use[step.b]) = (number, number);
        }
        last_use[output] = steps.len();
        let mut factor = vec![true; given + steps.len()];
        for step in &steps {
            if matches!(step.action, Action::Add | Action::Sub(_)) {
                (factor[step.a], factor[step.b]) = (false, false);
            }
        }
        let mut place: Vec<usize> = (0..given).collect();
        let (mut places, mut free) = (given, Vec::new());
        for (number, step) in steps.iter_mut().enumerate() {
            let waits = step.b < given || number + given - step.b >= WAITED;
            if let Action::Mul { .. } = step.action {
                let factor = factor[given + number];
                step.action = Action::Mul { waits, factor };
            }
            let result = free.pop().unwrap_or_else(|| {
                places += 1;
                places - 1
            });
            for operand in [step.a, step.b] {
                // Inputs and constants stay for the next rows and lanes.
                if operand >= given && last_use[operand] == number {
                    free.push(place[operand]);
                    last_use[operand] = usize::MAX;
                }
            }
            place.push(result);
            *step = Step {
                a: place[step.a],
                b: place[step.b],
                result,
                ..*step
            };
        }
        Self {
            output: place[output],
            steps,
            places,
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
    pub(crate) fn new(program: &Program) -> Self {
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
        let output = bounds.values[place(program.output)].0;
        Self::placed(bounds.steps, bounds.given, output)
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
                self.push(Action::PRODUCT, (self.values[a].0, self.values[b].0), bound)
            }
            Operation::Add => {
                let most = |bounds: &Self| bounds.values[a].1 + bounds.values[b].1;
                self.reduce_while(a, b, |bounds| most(bounds) > LIMIT);
                let bound = most(self);
                self.push(Action::Add, (self.values[a].0, self.values[b].0), bound)
            }
            Operation::Sub => {
                let most = |bounds: &Self| bounds.values[a].1 + Multiple::of(bounds.values[b].1).1;
                let far = |bounds: &Self| bounds.values[b].1 > 32 || most(bounds) > LIMIT;
                self.reduce_while(a, b, far);
                let (bound, multiple) = (most(self), Multiple::of(self.values[b].1).0);
                let (a, b) = (self.values[a].0, self.values[b].0);
                self.push(Action::Sub(multiple), (a, b), bound)
            }
        }
    }

    /// Reduces the second operand, then the first, if need be.
    fn reduce_while(&mut self, a: usize, b: usize, needed: impl Fn(&Self) -> bool) {
        for operand in [b, a] {
            if needed(self) {
                let place = self.values[operand].0;
                self.values[operand] = self.push(Action::Reduce, (place, place), 2);
            }
        }
    }

    fn push(&mut self, action: Action, (a, b): (usize, usize), bound: u32) -> (usize, u32) {
        let result = self.given + self.steps.len();
        self.steps.push(Step {
            action,
            a,
            b,
            result,
        });
        (result, bound)
    }
}
