//! Fixed bases and their tables.

use rayon::prelude::*;
use zkernel_backend::Curve;

use crate::affine::{Adder, Xy};
use crate::digits::{MAGNITUDE_BITS, windows};
use crate::ends::Ends;
use crate::groups::{Groups, Multiples};
use crate::level::Level;
use crate::pages::in_large_pages;

/// Largest memory of the tables of one set of bases.
const TABLE_BYTES: usize = 64 << 20;

/// Points whose multiples are made together: enough to share an inversion, few enough for every thread to have some.
const POINTS_TOGETHER: usize = 512;

/// Points up to which tables pay in the inner rounds.
const BRIEF_TABLE: usize = 320;

/// Width of windows of those.
const BRIEF_WIDTH: u32 = 8;

/// Bases of an MSM with tables, if they pay.
pub struct Bases<C: Curve> {
    pub(crate) level: Level,
    pub(crate) points: Vec<Xy<C::Base>>,
    pub(crate) table: Option<Table<C>>,
}

/// `2^(width j) P_i` at `j * points + i`: all windows of a scalar share one set of buckets. Then what groups have.
pub(crate) struct Table<C: Curve> {
    pub(crate) width: u32,
    pub(crate) points: Vec<Xy<C::Base>>,
    /// How many of the points are multiples.
    multiples: usize,
    /// Where columns of small integers pay.
    pub(crate) groups: Option<(Groups, Ends)>,
}

impl<C: Curve> Bases<C> {
    pub(crate) fn load(level: Level, points: &[C]) -> Self {
        let width = (points.len().max(2).ilog2() + 1).clamp(8, 12);
        let bytes = points.len() * windows(MAGNITUDE_BITS, width) * size_of::<Xy<C::Base>>();
        let points = Xy::all(level, points);
        Adder::<C::Base>::make_room(level);
        let table =
            (bytes <= TABLE_BYTES).then(|| Table::new(level, &points, width).grouped(level));
        Self {
            level,
            points,
            table,
        }
    }

    /// Bases for a few commitments: tables only where they are soon made.
    pub(crate) fn brief(level: Level, points: Vec<Xy<C::Base>>) -> Self {
        let few = points.len() <= BRIEF_TABLE;
        let table = few.then(|| Table::new(level, &points, BRIEF_WIDTH));
        Self {
            level,
            points,
            table,
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.points.len()
    }
}

impl<C: Curve> Table<C> {
    fn new(level: Level, points: &[Xy<C::Base>], width: u32) -> Self {
        let count = windows(MAGNITUDE_BITS, width);
        let share = points.len().div_ceil(rayon::current_num_threads()).max(1);
        let chunks: Vec<Vec<Xy<C::Base>>> = points
            .par_chunks(share.min(POINTS_TOGETHER))
            .map(|points| Adder::with(level, |adder| adder.multiples(points, width, count)))
            .collect();
        let mut multiples = Vec::with_capacity(count * points.len());
        for j in 0..count {
            for chunk in &chunks {
                let length = chunk.len() / count;
                multiples.extend_from_slice(&chunk[j * length..][..length]);
            }
        }
        Self {
            width,
            multiples: multiples.len(),
            points: multiples,
            groups: None,
        }
    }

    /// The same with signed sums of neighbouring bases, if these are few enough.
    fn grouped(mut self, level: Level) -> Self {
        let bases = self.multiples / windows(MAGNITUDE_BITS, self.width);
        let Some(groups) = Groups::best(bases, self.multiples) else {
            return self;
        };
        let windows = windows(MAGNITUDE_BITS, self.width);
        let ends = Ends::new((bases, windows, self.width), groups.end());
        let mut points = in_large_pages(ends.end());
        points.append(&mut self.points);
        points.resize(ends.end(), Xy::IDENTITY);
        let (multiples, sums) = points.split_at_mut(self.multiples);
        let (sums, of_ends) = sums.split_at_mut(groups.end() - self.multiples);
        let multiples = Multiples {
            points: multiples,
            width: self.width,
            count: bases,
        };
        groups.fill::<C>(level, &multiples, sums);
        Adder::with(level, |adder| {
            ends.fill::<C>(adder, &multiples, of_ends);
        });
        (self.points, self.groups) = (points, Some((groups, ends)));
        self
    }

    /// The multiples alone.
    pub(crate) fn multiples(&self) -> &[Xy<C::Base>] {
        &self.points[..self.multiples]
    }
}
