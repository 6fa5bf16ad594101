//! A made-up witness: right in shape, and about right in what the cost of a commitment depends on.
//!
//! A lookup of a table of one entry (a range check) hits all rows alike. One of more entries (an activation) hits rows
//! around key 0 with the spread of a calibrated network: tables cover four times what was seen, what was seen is some
//! seven standard deviations wide. Cells that no lookup reads hold accumulators of up to 20 bits, tensors weights of up
//! to 9.

use zkernel_backend::Body;
use zkernel_verifier::curve::Field;
use zkernel_verifier::form::TrackId;
use zkernel_verifier::system::{ConstraintSystem, Lookup, LookupTable, Phase, TrackKind};

use crate::keys::Tensors;
use crate::witness::{Assignment, Boundary, DISABLED};

const ACCUMULATOR_BITS: u32 = 20;
const WEIGHT_BITS: u32 = 9;
/// Height of an activation's table in standard deviations of its keys.
const SPREAD: u64 = 28;

/// Numbers that look random and are the same every time (SplitMix64, Steele, Lea, Flood 2014).
pub(super) struct Noise(pub(super) u64);

impl Noise {
    pub(super) fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `bound`, 0 for none.
    fn below(&mut self, bound: u64) -> u64 {
        self.word().checked_rem(bound).unwrap_or(0)
    }

    /// A signed integer of at most that many bits.
    pub(super) fn signed(&mut self, bits: u32) -> i64 {
        let magnitude = self.below(1u64 << bits.min(62)) as i64;
        if self.word() & 1 == 0 {
            magnitude
        } else {
            -magnitude
        }
    }

    /// A field element; only its size matters.
    pub(super) fn field<F: Field>(&mut self) -> F {
        let mut bytes = [0u8; 64];
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.word().to_le_bytes());
        }
        F::from_uniform_bytes(&bytes)
    }

    /// A row of a table: any, or one near `middle`.
    fn row(&mut self, table: &LookupTable, middle: usize) -> usize {
        let height = table.height() as u64;
        if table.arity < 2 && table.secret.is_empty() {
            return self.below(height) as usize;
        }
        // Twelve uniform numbers of width w have a standard deviation of w.
        let width = (height / SPREAD).max(1);
        let sum: u64 = (0..12).map(|_| self.below(width + 1)).sum();
        let row = (middle as u64 + sum).saturating_sub(6 * width);
        row.min(height.saturating_sub(1)) as usize
    }
}

/// Weights and blinding factors for all tensors.
pub(super) fn tensors<F: Field>(system: &ConstraintSystem<F>) -> Tensors<F> {
    let mut noise = Noise(1);
    let tracks = system.tracks_of(TrackKind::Tensor);
    let values = tracks.map(|(id, track)| {
        let cells = (0..track.len).map(|_| noise.signed(WEIGHT_BITS));
        (id, cells.collect())
    });
    let values = values.collect();
    let columns = system.columns_of(TrackKind::Tensor);
    Tensors {
        values,
        blinders: (0..columns).map(|_| noise.field()).collect(),
    }
}

/// Phase-1 cells, hits of all lookups, and boundaries. The lookups need not agree with each other: nobody checks them.
pub(super) fn assignment<F: Field>(system: &ConstraintSystem<F>) -> Assignment<F> {
    let mut noise = Noise(2);
    let lookups = system.lookups.iter();
    let hits: Vec<Vec<u32>> = lookups.map(|l| hits(system, l, &mut noise)).collect();
    let masks = system.masks.as_ref().map(|masks| masks.track);
    let side = |id| system.table_sides.iter().find(|s| s.multiplicity == id);
    let mut tracks = Vec::new();
    for (id, track) in system.tracks_of(TrackKind::Advice(Phase::One)) {
        let cells = track.columns * track.width;
        let values = match side(id) {
            Some(side) => multiplicities(system, side.helper, &hits, cells),
            None => looked_up(system, id, &hits).unwrap_or_else(|| {
                let given = (0..cells).map(|cell| {
                    if cell < track.len {
                        noise.signed(ACCUMULATOR_BITS)
                    } else {
                        track.padding
                    }
                });
                given.collect()
            }),
        };
        if Some(id) != masks {
            tracks.push((id, Body::small(values)));
        }
    }
    let boundary = |(id, track): (TrackId, &zkernel_verifier::system::Track)| Boundary {
        track: id,
        values: vec![0; track.len],
        blinders: vec![F::ZERO; track.columns],
    };
    Assignment {
        boundaries: system
            .tracks_of(TrackKind::Boundary)
            .map(boundary)
            .collect(),
        tracks,
        hits,
    }
}

fn table_of<'s, F: Field>(system: &'s ConstraintSystem<F>, lookup: &Lookup) -> &'s LookupTable {
    &system.tables[lookup.table.0 as usize]
}

/// The row of a table that padding cells hit: that of key 0, or the first.
fn zero_row(table: &LookupTable) -> usize {
    let mut keys = table.rows.chunks(table.arity.max(1));
    keys.position(|row| row[0] == 0).unwrap_or(0)
}

fn hits<F: Field>(system: &ConstraintSystem<F>, lookup: &Lookup, noise: &mut Noise) -> Vec<u32> {
    let table = table_of(system, lookup);
    let padding = zero_row(table);
    let cells = system.looked_up(lookup);
    let read = lookup.inputs.iter().flat_map(|input| &input.terms);
    let used = read
        .filter_map(|(id, _)| Some(system.track(*id)?.len))
        .max();
    let enabled = lookup.enabled;
    let enabled = enabled.and_then(|id| system.fixed.iter().find(|(track, _)| *track == id));
    let hit = |cell: usize| {
        if enabled.is_some_and(|(_, values)| values[cell] == F::ZERO) {
            return DISABLED;
        }
        let row = if Some(cell) < used {
            noise.row(table, padding)
        } else {
            padding
        };
        (table.offset + row) as u32
    };
    cells.map(hit).collect()
}

/// The cells of a track that a lookup reads by itself, from what the lookup hits.
fn looked_up<F: Field>(
    system: &ConstraintSystem<F>,
    id: TrackId,
    hits: &[Vec<u32>],
) -> Option<Vec<i64>> {
    let mut cells = vec![0; system.track(id).map_or(0, |t| t.columns * t.width)];
    let mut read = false;
    // Of several that read the track, the first has the last word.
    for (lookup, hits) in system.lookups.iter().zip(hits).rev() {
        let table = table_of(system, lookup);
        let inputs = lookup.inputs.iter().take(table.arity);
        let of_track = inputs
            .enumerate()
            .find_map(|(entry, input)| match input.terms.as_slice() {
                [(track, factor @ (1 | -1))] if *track == id => Some((entry, input, *factor)),
                _ => None,
            });
        let Some((entry, input, factor)) = of_track else {
            continue;
        };
        read = true;
        let value = |hit: &u32| {
            let row = (*hit as usize).wrapping_sub(table.offset);
            let value = table.rows.get(row.wrapping_mul(table.arity) + entry);
            value.map_or(0, |v| v.wrapping_sub(input.constant).wrapping_mul(factor))
        };
        let positions = system.looked_up(lookup);
        let looked_up = cells.get_mut(positions).into_iter().flatten();
        looked_up
            .zip(hits)
            .for_each(|(cell, hit)| *cell = value(hit));
    }
    read.then_some(cells)
}

/// How often each row of a side is hit.
fn multiplicities<F: Field>(
    system: &ConstraintSystem<F>,
    helper: TrackId,
    hits: &[Vec<u32>],
    cells: usize,
) -> Vec<i64> {
    let mut counts = vec![0i64; cells];
    let lookups = system.lookups.iter().zip(hits);
    let of_side = lookups.filter(|(l, _)| system.side_of(l).map(|s| s.helper) == Some(helper));
    for row in of_side.flat_map(|(_, hits)| hits) {
        if let Some(count) = counts.get_mut(*row as usize) {
            *count += 1;
        }
    }
    counts
}
