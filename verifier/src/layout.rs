//! The list of all committed columns, over which the inner-product argument folds.
//!
//! Order: tensors by falling size, so that each lies on an aligned subtree without gaps; then fixed, boundaries, advice of
//! phases 1, 2, 3, and the quotient. Padding to a power of two is implicit: zero columns with the identity as commitment.

use alloc::vec::Vec;

use ff::PrimeField;

use crate::form::TrackId;
use crate::system::{ConstraintSystem, Phase, TrackKind};

/// Positions of all columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Tracks in the order of the list.
    pub order: Vec<TrackId>,
    /// Position of each track's first column, by track id.
    first: Vec<usize>,
    /// Position of the first quotient column.
    pub quotient: usize,
    /// Number of columns.
    pub columns: usize,
    /// Column rounds: log2 of the padded number of columns.
    pub log_columns: u32,
}

impl Layout {
    /// Lays the columns of a system out.
    #[must_use]
    pub fn new<F: PrimeField>(system: &ConstraintSystem<F>) -> Self {
        let mut tensors: Vec<(TrackId, usize)> = system
            .tracks_of(TrackKind::Tensor)
            .map(|(id, t)| (id, t.columns.next_power_of_two()))
            .collect();
        tensors.sort_by_key(|(_, size)| core::cmp::Reverse(*size));
        let mut first = alloc::vec![0usize; system.tracks.len()];
        let mut order = Vec::new();
        let mut next = 0usize;
        let mut place = |id: TrackId, next: usize| {
            if let Some(slot) = usize::try_from(id.0).ok().and_then(|i| first.get_mut(i)) {
                *slot = next;
            }
            order.push(id);
        };
        for (id, size) in tensors {
            place(id, next);
            next = next.saturating_add(size);
        }
        for kind in REST {
            for (id, track) in system.tracks_of(kind) {
                place(id, next);
                next = next.saturating_add(track.columns);
            }
        }
        let columns = next.saturating_add(system.quotient_columns()).max(1);
        Self {
            order,
            first,
            quotient: next,
            columns,
            log_columns: columns.next_power_of_two().trailing_zeros(),
        }
    }

    /// Position of a track's first column.
    #[must_use]
    pub fn first(&self, track: TrackId) -> usize {
        usize::try_from(track.0)
            .ok()
            .and_then(|i| self.first.get(i))
            .copied()
            .unwrap_or(0)
    }

    /// Number of columns padded to a power of two.
    #[must_use]
    pub const fn padded_columns(&self) -> usize {
        self.columns.next_power_of_two()
    }
}

const REST: [TrackKind; 5] = [
    TrackKind::Fixed,
    TrackKind::Boundary,
    TrackKind::Advice(Phase::One),
    TrackKind::Advice(Phase::Two),
    TrackKind::Advice(Phase::Three),
];
