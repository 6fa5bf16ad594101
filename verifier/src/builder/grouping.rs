//! Which lanes of looked-up cells share a helper column.
//!
//! A helper of its own is committed by dictionary, at about an addition a cell and an MSM of at most as many points as its
//! table has rows. One that c lanes share has full-size cells and a gate of degree c + 1, on c cosets, but there are fewer
//! of them to commit to, to fold and to send.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::system::{ConstraintSystem, Lanes};

/// How many looked-up lanes share a helper column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grouping {
    /// Each has its own.
    #[default]
    Single,
    /// That many, lanes of other lookups with the same number among them; gates of one degree more. 0 and 1 are
    /// [`Grouping::Single`].
    Of(usize),
    /// As many as cost least by a fixed estimate, the same for all lookups that share.
    ByCost,
}

/// A lookup that wants helpers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demand {
    /// Lanes that it reads.
    pub(super) lanes: usize,
    /// Rows of its table.
    pub(super) rows: usize,
    /// Whether it has disabled rows, and so one more column in its gate.
    pub(super) switched: bool,
    /// What was asked for.
    pub(super) grouping: Grouping,
}

/// Some lanes of a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// Number of the lookup.
    pub(super) request: usize,
    /// Its lanes, `None` for all.
    pub(super) lanes: Option<Lanes>,
}

/// Members of equally many lanes with one helper track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    /// The lookup that it is called after.
    pub(super) of: Option<usize>,
    /// The members.
    pub(super) members: Vec<Member>,
}

/// What the cost of a helper depends on, but for its lookup.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    rows: usize,
    blinding: usize,
    degree: usize,
}

impl Sizes {
    pub(super) fn of<F: ff::PrimeField>(system: &ConstraintSystem<F>) -> Self {
        Self {
            rows: system.rows(),
            blinding: system.blinding,
            degree: system.degree(),
        }
    }
}

/// The groups of all lookups: a lookup of L lanes that share by c has c blocks of L / c lanes each on one helper track; what
/// is left of all lookups that share by c is put together by c, lane by lane.
pub(super) fn plan(demands: &[Demand], sizes: &Sizes) -> Vec<Group> {
    let shared = shares(demands, sizes);
    let mut groups = Vec::new();
    let mut left: BTreeMap<usize, Vec<Member>> = BTreeMap::new();
    for (request, (demand, share)) in demands.iter().zip(shared).enumerate() {
        let lanes = demand.lanes;
        if share < 2 || lanes == 0 {
            groups.push(whole(request));
            continue;
        }
        let count = lanes.checked_div(share).unwrap_or(0);
        let blocked = count.saturating_mul(share);
        if count > 0 {
            let starts = (0..blocked).step_by(count);
            let members = starts.map(|first| Member {
                request,
                lanes: Some(Lanes { first, count }),
            });
            groups.push(Group {
                of: Some(request),
                members: members.collect(),
            });
        }
        left.entry(share)
            .or_default()
            .extend((blocked..lanes).map(|first| Member {
                request,
                lanes: (lanes > 1).then_some(Lanes { first, count: 1 }),
            }));
    }
    for (share, members) in left {
        groups.extend(members.chunks(share).map(|chunk| match chunk {
            [
                Member {
                    request,
                    lanes: None,
                },
            ] => whole(*request),
            _ => Group {
                of: None,
                members: chunk.to_vec(),
            },
        }));
    }
    groups
}

fn whole(request: usize) -> Group {
    Group {
        of: Some(request),
        members: alloc::vec![Member {
            request,
            lanes: None
        }],
    }
}

/// Helpers that [`Grouping::ByCost`] shares by.
const SHARES: core::ops::RangeInclusive<usize> = 2..=4;

/// By how many lanes each lookup shares; below 2 not at all.
fn shares(demands: &[Demand], sizes: &Sizes) -> Vec<usize> {
    let by_cost = cheapest_share(demands, sizes);
    let share = |demand: &Demand| match demand.grouping {
        Grouping::Single => 1,
        Grouping::Of(share) => share,
        Grouping::ByCost if by_cost.is_some_and(|c| demand.gain(c, sizes) > 0) => {
            by_cost.unwrap_or(1)
        }
        Grouping::ByCost => 1,
    };
    demands.iter().map(share).collect()
}

/// The share that saves most, if any saves more than its class of gates costs.
fn cheapest_share(demands: &[Demand], sizes: &Sizes) -> Option<usize> {
    let saved = |share: &usize| {
        let willing = demands.iter().filter(|d| d.grouping == Grouping::ByCost);
        let gains = willing.map(|d| d.gain(*share, sizes).max(0));
        gains
            .fold(0i128, i128::saturating_add)
            .saturating_sub(sizes.class(*share))
    };
    let best = SHARES.rev().max_by_key(saved)?;
    (saved(&best) > 0).then_some(best)
}

/// Cost in point additions: of a full-size cell in an MSM, of a small one.
const FULL_CELL: usize = 32;
const SMALL_CELL: usize = 1;
/// Of a column in the commitments, folds, bytes and the verifier's MSM, whatever its length.
const COLUMN: usize = 2000;
/// One addition is so many multiplications in F, of which a transform takes `n log2(n) / 2`.
const MULTIPLICATIONS: usize = 10;

impl Demand {
    /// What is saved when the lanes share by that many.
    fn gain(&self, share: usize, sizes: &Sizes) -> i128 {
        let read = 1usize.saturating_add(usize::from(self.switched));
        let dictionary = sizes.rows.min(self.rows);
        let cells = |count: usize, each: usize| wide(count).saturating_mul(wide(each));
        let alone = cells(dictionary, FULL_CELL)
            .saturating_add(cells(sizes.rows, SMALL_CELL))
            .saturating_add(wide(COLUMN))
            .saturating_add(sizes.transforms(read.saturating_add(1), 2));
        let columns = read.saturating_mul(share).saturating_add(1);
        let together = cells(sizes.rows, FULL_CELL)
            .saturating_add(wide(COLUMN))
            .saturating_add(sizes.transforms(columns, share.saturating_add(1)));
        let of_all = |lane: i128, lanes: usize| lane.saturating_mul(wide(lanes));
        of_all(alone, self.lanes)
            .saturating_sub(of_all(together, self.lanes.div_ceil(share.max(1))))
    }
}

impl Sizes {
    /// Columns interpolated once and evaluated on the cosets of a gate of that degree.
    fn transforms(&self, columns: usize, degree: usize) -> i128 {
        let each = self.cosets(degree).saturating_add(1);
        let log = wide(self.rows.max(2).ilog2().try_into().unwrap_or(usize::MAX));
        let transform = wide(self.rows)
            .saturating_mul(log)
            .checked_div(wide(MULTIPLICATIONS.saturating_mul(2)))
            .unwrap_or(0);
        wide(columns)
            .saturating_mul(wide(each))
            .saturating_mul(transform)
    }

    fn cosets(&self, degree: usize) -> usize {
        degree
            .max(self.blinding.saturating_add(1))
            .saturating_sub(1)
    }

    /// The class of gates of that share: its quotient columns, beyond those there are, and the transforms that extend it.
    fn class(&self, share: usize) -> i128 {
        let degree = share.saturating_add(1);
        let more = self.cosets(degree).saturating_sub(self.cosets(self.degree));
        let column = wide(self.rows)
            .saturating_mul(wide(FULL_CELL))
            .saturating_add(wide(COLUMN));
        wide(more)
            .saturating_mul(column)
            .saturating_add(self.transforms(2, degree))
    }
}

fn wide(count: usize) -> i128 {
    i128::try_from(count).unwrap_or(i128::MAX)
}
