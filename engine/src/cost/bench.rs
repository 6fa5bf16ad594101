//! The price of one unit, measured with made-up cells of the right shape and width.

mod linear;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use ff::Field as _;
use group::{Curve as _, Group as _};
use rayon::prelude::*;
use zkernel_backend::{Backend, Body, HostColumns, Scalar};
use zkernel_verifier::curve::{Curve, Generators, Point, signed};

use super::stand_in::Noise;
use super::unit::{FULL, HALF, MEASURED, Operation, Unit};
use crate::error::Result;

/// Before each run that is timed, so many times the bytes that it works on are read, within these bounds: a proof has done as much else since it last
/// read the same columns and tables, and caches that other tenants of a machine share have lost them.
const TIMES: usize = 8;
const ELSEWHERE: (usize, usize) = (4 << 20, 32 << 20);
/// Words of a line of a cache.
const LINE: usize = 8;
/// A measurement is repeated this often, and the shortest time taken: what else the machine does is not the price.
const REPETITIONS: usize = 8;
/// After so many, no more if they have taken [`LONG`] seconds.
const FEWEST: usize = 2;
const LONG: f64 = 0.05;
/// Bytes of a base's tables: multiples by windows, of two words of the field each.
const TABLES: usize = 22 * 64;
/// Columns of a transform for each thread: a core has others in its caches than the one it is at, and a backend may take so many at once.
const TRANSFORMED: usize = 8;

/// A backend with bases to measure on.
pub(super) struct Bench<'b, C: Curve, B: Backend<C>> {
    backend: &'b B,
    noise: Noise,
    points: Vec<C>,
    tabled: BTreeMap<usize, B::Bases>,
    elsewhere: Elsewhere,
}

/// Memory that has nothing to do with what is measured.
#[derive(Clone)]
struct Elsewhere {
    words: Arc<Vec<u64>>,
    read: usize,
}

impl Elsewhere {
    fn new() -> Self {
        Self {
            words: Arc::new(vec![1; ELSEWHERE.1 / size_of::<u64>()]),
            read: 0,
        }
    }

    /// For work on so many bytes.
    fn beside(&self, bytes: usize) -> Self {
        let (least, most) = ELSEWHERE;
        let bytes = bytes.saturating_mul(TIMES).clamp(least, most);
        Self {
            words: Arc::clone(&self.words),
            read: bytes / size_of::<u64>(),
        }
    }

    /// Reads it on all threads.
    fn visit(&self) {
        let words = &self.words[..self.read];
        let share = words.len().div_ceil(rayon::current_num_threads()).max(1);
        let lines = words.par_chunks(share).map(|own| own.iter().step_by(LINE));
        let sum: u64 = lines.map(|line| line.sum::<u64>()).sum();
        std::hint::black_box(sum);
    }
}

impl<'b, C: Curve, B: Backend<C>> Bench<'b, C, B> {
    pub(super) fn new(backend: &'b B) -> Self {
        Self {
            backend,
            noise: Noise(3),
            points: Vec::new(),
            tabled: BTreeMap::new(),
            elsewhere: Elsewhere::new(),
        }
    }

    pub(super) fn price(&mut self, unit: &Unit) -> Result<f64> {
        match unit.operation {
            Operation::Generator => self.generator(),
            Operation::LoadBase => self.load_base(),
            Operation::FoldBase => self.fold_base(unit),
            Operation::Commit | Operation::CommitFolded => self.commit(unit),
            Operation::CommitDictionary => self.commit_dictionary(unit),
            Operation::Msm => self.msm(unit),
            Operation::Interpolate | Operation::CosetEvaluate => self.transform(unit),
            _ => self.linear(unit),
        }
    }

    fn generator(&self) -> Result<f64> {
        let count = 16 * rayon::current_num_threads() as u64;
        let derive = |i| Generators::<C>::row(i).to_affine();
        let all = || (0..count).into_par_iter().map(derive).collect::<Vec<C>>();
        let seconds = shortest(&self.elsewhere, || {
            std::hint::black_box(all());
            Ok::<_, crate::Error>(())
        })?;
        Ok(seconds / count as f64)
    }

    /// Points nobody need know the logarithms of, that differ: `P_{i+1} = 2 P_i + G`.
    fn grow_points(&mut self, count: usize) {
        if self.points.len() < count {
            let generator = Point::<C>::generator();
            let next = |p: &Point<C>| Some(p.double() + generator);
            let points: Vec<_> = std::iter::successors(Some(generator), next)
                .take(count)
                .collect();
            self.points = vec![C::identity(); count];
            Point::<C>::batch_normalize(&points, &mut self.points);
        }
    }

    fn load_base(&mut self) -> Result<f64> {
        let count = 1 << 9;
        self.grow_points(count);
        let points = &self.points[..count];
        let elsewhere = self.elsewhere.beside(count * TABLES);
        let seconds = shortest(&elsewhere, || self.backend.load_bases(points).map(drop))?;
        Ok(seconds / count as f64)
    }

    /// Bases for columns of that many rows, and two more.
    fn bases(&mut self, rows: usize) -> Result<&B::Bases> {
        self.grow_points(rows + 2);
        if !self.tabled.contains_key(&rows) {
            let bases = self.backend.load_bases(&self.points[..rows + 2])?;
            self.tabled.insert(rows, bases);
        }
        Ok(&self.tabled[&rows])
    }

    fn fold_base(&mut self, unit: &Unit) -> Result<f64> {
        let rows = 1usize << unit.log_rows;
        let weights: Vec<Scalar<C>> = (0..1 << unit.width).map(|_| self.noise.field()).collect();
        let (backend, elsewhere) = (self.backend, self.elsewhere.beside(rows * TABLES));
        let bases = self.bases(rows)?;
        let fold = || backend.fold_bases(bases, rows, &weights).map(drop);
        let seconds = shortest(&elsewhere, fold)?;
        Ok(seconds / rows as f64)
    }

    /// How many columns a price is measured on, and how many columns it is the price of.
    fn lanes(unit: &Unit) -> (usize, f64) {
        match unit.lanes {
            0 => {
                let columns = rayon::current_num_threads();
                (columns, columns as f64)
            }
            few => (few as usize, 1.0),
        }
    }

    fn commit(&mut self, unit: &Unit) -> Result<f64> {
        let rows = 1usize << unit.log_rows;
        let (columns, share) = match Self::lanes(unit) {
            (columns, share) if unit.lanes == 0 && unit.width < HALF => (4 * columns, 4.0 * share),
            few => few,
        };
        let batch = self.batch(columns, rows, unit.width)?;
        let extra: Vec<Vec<Scalar<C>>> = (0..columns)
            .map(|_| vec![Scalar::<C>::ZERO, self.noise.field()])
            .collect();
        let (backend, elsewhere) = (self.backend, self.elsewhere.beside(rows * TABLES));
        let bases = self.bases(rows)?;
        let folded = match unit.operation {
            Operation::CommitFolded => {
                Some(backend.fold_bases(bases, rows, &[Scalar::<C>::ONE])?)
            }
            _ => None,
        };
        let bases = folded.as_ref().unwrap_or(bases);
        let seconds = shortest(&elsewhere, || {
            backend.commit(bases, &[&batch], &extra).map(drop)
        })?;
        Ok(seconds / share)
    }

    fn commit_dictionary(&mut self, unit: &Unit) -> Result<f64> {
        let rows = 1usize << unit.log_rows;
        let (columns, share) = Self::lanes(unit);
        let entries = 1usize << unit.width.min(unit.log_rows);
        let dictionary = self.batch(1, entries, FULL)?;
        let indices: Vec<u32> = (0..columns * rows)
            .map(|i| ((i * 0x9e37_79b1) >> 7) as u32 % entries as u32)
            .collect();
        let tails: Vec<Vec<Scalar<C>>> = (0..columns).map(|_| vec![self.noise.field()]).collect();
        let extra: Vec<Vec<Scalar<C>>> = (0..columns)
            .map(|_| vec![Scalar::<C>::ZERO, self.noise.field()])
            .collect();
        let (backend, elsewhere) = (self.backend, self.elsewhere.beside(rows * TABLES));
        let bases = self.bases(rows)?;
        let commit = || backend.commit_dictionary(bases, &indices, &dictionary, &tails, &extra);
        Ok(shortest(&elsewhere, || commit().map(drop))? / share)
    }

    fn msm(&mut self, unit: &Unit) -> Result<f64> {
        let count = 1usize << unit.log_rows;
        self.grow_points(count);
        let scalar = |_| match unit.width {
            FULL => self.noise.field(),
            bits => signed(self.noise.signed(bits)),
        };
        let scalars: Vec<Scalar<C>> = (0..count).map(scalar).collect();
        let points = &self.points[..count];
        let elsewhere = self.elsewhere.beside(count * size_of::<C>());
        shortest(&elsewhere, || self.backend.msm(points, &scalars).map(drop))
    }

    fn transform(&mut self, unit: &Unit) -> Result<f64> {
        let (columns, share) = match Self::lanes(unit) {
            (columns, share) if unit.lanes == 0 => {
                let most = (1 << MEASURED.1 >> unit.log_rows) / columns;
                let each = TRANSFORMED.min(most).max(1);
                (each * columns, each as f64 * share)
            }
            few => few,
        };
        let batch = self.batch(columns, 1 << unit.log_rows, FULL)?;
        let shift: Scalar<C> = self.noise.field();
        let elsewhere = self
            .elsewhere
            .beside((columns << unit.log_rows) * size_of::<Scalar<C>>());
        let seconds = shortest(&elsewhere, || match unit.operation {
            Operation::Interpolate => self.backend.interpolate(&batch).map(drop),
            _ => self.backend.coset_evaluate(&batch, shift).map(drop),
        })?;
        Ok(seconds / share)
    }

    /// Columns of made-up cells of that width.
    fn batch(&mut self, columns: usize, rows: usize, width: u32) -> Result<B::Columns> {
        let cells = columns * rows;
        let body = match width {
            FULL => Body::Full((0..cells).map(|_| self.noise.field()).collect()),
            HALF => {
                let cell = |i: usize| match i & 1 {
                    0 => self.noise.field(),
                    _ => Scalar::<C>::ZERO,
                };
                Body::Full((0..cells).map(cell).collect())
            }
            bits => Body::small((0..cells).map(|_| self.noise.signed(bits)).collect()),
        };
        self.upload(columns, rows, body)
    }

    fn upload(&self, columns: usize, rows: usize, body: Body<Scalar<C>>) -> Result<B::Columns> {
        let host = HostColumns {
            rows,
            columns,
            body,
            tail: Vec::new(),
        };
        Ok(self.backend.upload(&host)?)
    }
}

/// The shortest time of a few runs, of fewer if they are long.
fn shortest<E>(
    elsewhere: &Elsewhere,
    run: impl FnMut() -> std::result::Result<(), E>,
) -> Result<f64>
where
    crate::Error: From<E>,
{
    shortest_of(REPETITIONS, elsewhere, run)
}

/// The same of at most so many.
fn shortest_of<E>(
    most: usize,
    elsewhere: &Elsewhere,
    mut run: impl FnMut() -> std::result::Result<(), E>,
) -> Result<f64>
where
    crate::Error: From<E>,
{
    let (mut seconds, mut spent) = (f64::INFINITY, 0.0);
    for repetition in 0..most.min(REPETITIONS) {
        if repetition >= FEWEST && spent > LONG {
            break;
        }
        elsewhere.visit();
        let start = Instant::now();
        run()?;
        let elapsed = start.elapsed().as_secs_f64();
        (seconds, spent) = (seconds.min(elapsed), spent + elapsed);
    }
    Ok(seconds)
}
