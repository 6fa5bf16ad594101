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

/// What [`Grouping::ByCost`] chooses from.
const SHARES: core::ops::RangeInclusive<usize> = 2..=4;

/// By how many lanes each lookup shares; below 2 not at all.
fn shares(demands: &[Demand], sizes: &Sizes) -> Vec<usize> {
    let by_cost = cheapest_share(demands, sizes);
    let share = |demand: &Demand| match (demand.grouping, by_cost) {
        (Grouping::Of(share), _) => share,
        (Grouping::ByCost, Some(share)) if sizes.gain(demand, share) > 0 => share,
        (Grouping::Single | Grouping::ByCost, _) => 1,
    };
    demands.iter().map(share).collect()
}

/// The share that saves most, if any saves more than its class of gates costs.
fn cheapest_share(demands: &[Demand], sizes: &Sizes) -> Option<usize> {
    let willing = |demand: &&Demand| demand.grouping == Grouping::ByCost;
    let saved = |share: &usize| {
        let gains = demands.iter().filter(willing);
        let gains = gains.map(|demand| (sizes.gain(demand, *share), demand.lanes));
        let (gain, lanes) = gains
            .filter(|(gain, _)| *gain > 0)
            .fold((0i128, 0usize), |(sum, all), (gain, lanes)| {
                (sum.saturating_add(gain), all.saturating_add(lanes))
            });
        // The last helper may have fewer members, at the price of all.
        let idle = lanes.next_multiple_of(*share).saturating_sub(lanes);
        let last = sizes.helper(sizes.full(), 1, *share);
        gain.saturating_sub(share_of(last, idle, *share))
            .saturating_sub(sizes.class(*share))
    };
    let best = SHARES.max_by_key(saved)?;
    (saved(&best) > 0).then_some(best)
}

// Nanoseconds, as the portable backend takes on two cores (the prices of the engine's cost model for n = 2^8 to 2^12):
// integers, so that a choice is the same everywhere.

/// A full-size column committed, and each of its cells.
const FULL: [usize; 2] = [60_000, 1_200];
/// One committed by dictionary, each of its cells, and each entry that these are.
const DICTIONARY: [usize; 3] = [350_000, 50, 1_500];
/// A cell of a column opened and folded.
const FOLD: usize = 40;
/// A transform takes `n log2(n)` of this, in tenths.
const TRANSFORM_TENTHS: usize = 33;
/// An instruction of a gate on a row of a coset, in tenths.
const INSTRUCTION_TENTHS: usize = 53;
/// Thirty-two bytes of a proof: its size counts as much as time, 25 ms a kilobyte.
const ELEMENT: usize = 800_000;

impl Sizes {
    /// What is saved when the lanes of a lookup share by that many; negative if nothing.
    fn gain(&self, demand: &Demand, share: usize) -> i128 {
        let read = 1usize.saturating_add(usize::from(demand.switched));
        let [column, cell, entry] = DICTIONARY;
        let entries = self.rows.min(demand.rows);
        let dictionary = sum(&[(1, column), (self.rows, cell), (entries, entry)]);
        let commit = if demand.switched {
            self.full()
        } else {
            dictionary.min(self.full())
        };
        let alone = self.helper(commit, read, 1);
        let together = self.helper(self.full(), read, share);
        let saved = wide(demand.lanes).saturating_mul(alone);
        saved.saturating_sub(share_of(together, demand.lanes, share))
    }

    /// A helper column committed at that price, with its gate over `read` columns for each of its members.
    fn helper(&self, commit: i128, read: usize, members: usize) -> i128 {
        let cosets = self.cosets(members.saturating_add(1));
        let columns = read.saturating_mul(members).saturating_add(1);
        let instructions = members.saturating_mul(5).saturating_sub(1);
        let rows = self.rows.saturating_mul(cosets);
        let gate = sum(&[(rows.saturating_mul(instructions), INSTRUCTION_TENTHS)]);
        sum(&[(self.rows, FOLD), (2, ELEMENT)])
            .saturating_add(commit)
            .saturating_add(self.transforms(columns.saturating_mul(cosets.saturating_add(1))))
            .saturating_add(gate.checked_div(10).unwrap_or(0))
    }

    /// What the class of gates of that share costs: the quotient columns that there would not be without it, and the transforms
    /// between its cosets and the others.
    fn class(&self, share: usize) -> i128 {
        let cosets = self.cosets(share.saturating_add(1));
        let known = self.cosets(self.degree);
        let more = wide(cosets.saturating_sub(known));
        let column = sum(&[(self.rows, FOLD), (1, ELEMENT)]).saturating_add(self.full());
        more.saturating_mul(column)
            .saturating_add(self.transforms(cosets.max(known).saturating_mul(2)))
    }

    fn full(&self) -> i128 {
        let [column, cell] = FULL;
        sum(&[(1, column), (self.rows, cell)])
    }

    fn transforms(&self, count: usize) -> i128 {
        let log = usize::try_from(self.rows.max(1).ilog2()).unwrap_or(usize::MAX);
        let cells = self.rows.saturating_mul(log);
        let tenths = sum(&[(count.saturating_mul(cells), TRANSFORM_TENTHS)]);
        tenths.checked_div(10).unwrap_or(0)
    }

    /// As [`ConstraintSystem::cosets_of_degree`].
    fn cosets(&self, degree: usize) -> usize {
        degree
            .max(self.blinding.saturating_add(1))
            .saturating_sub(1)
    }
}

/// What some lanes cost of helpers that are shared.
fn share_of(helper: i128, lanes: usize, share: usize) -> i128 {
    let all = helper.saturating_mul(wide(lanes));
    all.checked_div(wide(share)).unwrap_or(0)
}

/// Counts times prices.
fn sum(priced: &[(usize, usize)]) -> i128 {
    let prices = priced
        .iter()
        .map(|(count, price)| wide(*count).saturating_mul(wide(*price)));
    prices.fold(0, i128::saturating_add)
}

fn wide(count: usize) -> i128 {
    i128::try_from(count).unwrap_or(i128::MAX)
}
