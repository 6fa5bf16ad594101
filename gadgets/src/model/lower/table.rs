//! Lookups in tables and ranges.
//!
//! A table that is not split: a key and a value have a cell each, and `(key, value)` is looked up; a range check has the key alone.
//! A split table ([`Table::low`]): `key = min + 2^low high + rest`, `value = base + rise` with `(high, base, slope)` looked up, `rest`
//! looked up in its range and `rise = slope rest` by a gate. Cost: 5 cells and 2 lookups an element, and 2^low times fewer rows of
//! the table (a range check: 2 cells). Worth it where a table has more rows than readers: each row of a table costs about ten
//! times what a cell costs, because its helper is a full-size scalar.

use ff::PrimeField;
use zkernel_verifier::challenge::Coefficient;
use zkernel_verifier::curve::signed;
use zkernel_verifier::expression::Expression;
use zkernel_verifier::form::TrackId;
use zkernel_verifier::system::{LookupInput, Phase, VirtualColumn};

use super::Lowering;
use super::wiring::Representation;
use crate::model::graph::{Interval, Table, TableId, TensorId};
use crate::model::run::{Lookup, Owner, Role};

/// Parallel tracks of the cells of a table's readers.
#[derive(Clone, Debug)]
pub(crate) struct TableTracks {
    /// Key and value, or segment, place, base, slope and rise.
    pub(super) cells: Vec<TrackId>,
    /// A track of the reader's own beside them.
    pub(super) marker: Option<TrackId>,
}

impl<F: PrimeField> Lowering<'_, F> {
    /// One cell an element where a table covers the range, else one for each limb.
    pub(super) fn bounded_input(
        &mut self,
        id: TensorId,
        range: Interval,
        shape: &[usize],
    ) -> Representation {
        let (owner, limbs) = (Owner::Input(id), self.graph.input_limbs(range));
        if limbs.is_empty() {
            let track = self.range_track(range);
            let region = self.builder.region(track, self.len(id));
            self.regions.push(((owner, Role::Input), region));
            return Representation::cells(region, shape);
        }
        let above = self.limb_cells(owner, shape, &limbs, Role::InputLimb);
        above.plus(Representation::constant(range.min, shape))
    }

    /// `sum_i 2^position limb_i`, each limb looked up in its range.
    pub(super) fn limb_cells(
        &mut self,
        owner: Owner,
        shape: &[usize],
        bits: &[u32],
        role: impl Fn(usize) -> Role,
    ) -> Representation {
        let mut sum = Representation {
            shape: shape.to_vec(),
            terms: Vec::new(),
        };
        let mut position = 0;
        for (limb, bits) in bits.iter().enumerate() {
            let track = self.range_track(Interval::new(0, (1 << bits) - 1));
            let region = self.builder.region(track, shape.iter().product());
            self.regions.push(((owner, role(limb)), region));
            sum = sum.plus(Representation::cells(region, shape).times(1 << position));
            position += bits;
        }
        sum
    }

    /// The track of cells in that interval, shared by all that are.
    pub(crate) fn range_track(&mut self, range: Interval) -> TrackId {
        let key = (range.min, range.max);
        if let Some(track) = self.ranges.get(&key) {
            return *track;
        }
        let padding = if range.contains(0) { 0 } else { range.min };
        let name = format!("range {}..={}", range.min, range.max);
        let track = self.builder.advice(name.clone(), Phase::One, padding);
        self.look_up_range(name, track, range);
        self.ranges.insert(key, track);
        track
    }

    pub(super) fn look_up_range(&mut self, name: String, track: TrackId, range: Interval) {
        let span = range.max - range.min;
        let rows = (0..=span).collect();
        let table = self.builder.table(format!("range 0..={span}"), 1, rows);
        let input = LookupInput {
            terms: vec![(track, 1)],
            constant: -range.min,
        };
        self.builder.lookup(name, table, vec![input], None);
    }

    /// Cells of lookups in a table, one for each element of a shape: keys and values.
    pub(super) fn table_cells(
        &mut self,
        owner: Owner,
        lookup: Lookup,
        id: TableId,
        shape: &[usize],
    ) -> [Representation; 2] {
        let graph = self.graph;
        let table = &graph.tables[id.0 as usize];
        if table.is_range() && table.low == 0 {
            let track = self.range_track(table.keys);
            let region = self.builder.region(track, shape.iter().product());
            self.regions.push(((owner, lookup.whole()[0]), region));
            let key = Representation::cells(region, shape);
            return [key.clone(), key];
        }
        if table.is_range() {
            let limbs = graph.limbs(table.span_bits());
            let above = self.limb_cells(owner, shape, &limbs, Role::QuotientLimb);
            let key = above.plus(Representation::constant(table.keys.min, shape));
            return [key.clone(), key];
        }
        let tracks = self.table_tracks(id, false);
        self.cells_in(&tracks, owner, lookup, table, shape)
    }

    /// Cells in the tracks of a table's readers.
    pub(super) fn cells_in(
        &mut self,
        tracks: &TableTracks,
        owner: Owner,
        lookup: Lookup,
        table: &Table,
        shape: &[usize],
    ) -> [Representation; 2] {
        let (whole, split) = (lookup.whole(), lookup.split());
        let roles = if table.low == 0 { &whole[..] } else { &split };
        let cells = tracks.cells.iter().zip(roles).map(|(track, role)| {
            let region = self.builder.region(*track, shape.iter().product());
            self.regions.push(((owner, *role), region));
            Representation::cells(region, shape)
        });
        let cells: Vec<Representation> = cells.collect();
        let [high, rest, base, _, rise] = cells.as_slice() else {
            return [cells[0].clone(), cells[1].clone()];
        };
        let key = high.clone().times(1 << table.low).plus(rest.clone());
        let minimum = Representation::constant(table.keys.min, shape);
        [key.plus(minimum), base.clone().plus(rise.clone())]
    }

    /// The parallel tracks of a table's readers; those with a marker are apart.
    pub(super) fn table_tracks(&mut self, id: TableId, marked: bool) -> TableTracks {
        if let Some(tracks) = self.tables.get(&(id, marked)) {
            return tracks.clone();
        }
        let graph = self.graph;
        let table = &graph.tables[id.0 as usize];
        let Interval { min, max } = table.keys;
        let of = if marked { "of distances " } else { "" };
        let name = format!("{:?} {of}{min}..={max} #{}", table.function, id.0);
        let cells = if table.low == 0 {
            self.whole_tracks(&name, table)
        } else {
            self.split_tracks(&name, table)
        };
        let marker = format!("{name}/marker");
        let marker = marked.then(|| self.builder.advice(marker, Phase::One, 0));
        let tracks = TableTracks { cells, marker };
        self.tables.insert((id, marked), tracks.clone());
        tracks
    }

    fn whole_tracks(&mut self, name: &str, table: &Table) -> Vec<TrackId> {
        let key = padding_key(table);
        let padding = [("key", key), ("value", table.value(key))];
        let tracks = padding.map(|(what, value)| {
            self.builder
                .advice(format!("{name}/{what}"), Phase::One, value)
        });
        let rows = self.builder.table(name, 2, table.rows());
        let inputs = tracks.map(LookupInput::plain).to_vec();
        self.builder.lookup(name, rows, inputs, None);
        tracks.to_vec()
    }

    fn split_tracks(&mut self, name: &str, table: &Table) -> Vec<TrackId> {
        let (high, rest) = table.split(padding_key(table));
        let [base, slope] = table.segment(high);
        let mut advice = |what: &str, value| {
            self.builder
                .advice(format!("{name}/{what}"), Phase::One, value)
        };
        let [high, rest, base, slope, rise] = [
            advice("high", high),
            advice("rest", rest),
            advice("base", base),
            advice("slope", slope),
            advice("rise", slope * rest),
        ];
        let rows = self.builder.table(name, 3, table.rows());
        let line = [high, base, slope].map(LookupInput::plain).to_vec();
        self.builder.lookup(name, rows, line, None);
        let range = Interval::new(0, (1 << table.low) - 1);
        self.look_up_range(format!("{name}/rest"), rest, range);
        let factors = [rise, slope, rest].map(|track| self.builder.plain(track));
        let gate = Expression::from(factors[0]) - Expression::from(factors[1]) * factors[2];
        self.builder.gate(format!("{name}/rise"), gate);
        vec![high, rest, base, slope, rise]
    }

    /// The key of a table as a column that a gate reads.
    pub(super) fn key_column(&mut self, tracks: &TableTracks, table: &Table) -> Expression<F> {
        let integer = |value| Coefficient::constant(signed(value));
        let terms = match (table.low, &tracks.cells[..]) {
            (0, [key, ..]) => return Expression::from(self.builder.plain(*key)),
            (low, [high, rest, ..]) => vec![(*high, integer(1 << low)), (*rest, integer(1))],
            _ => Vec::new(),
        };
        let column = self.builder.virtual_column(VirtualColumn {
            terms,
            constants: vec![integer(table.keys.min)],
            rotation: 0,
            lanes: None,
        });
        Expression::from(column)
    }
}

/// What padding cells look up.
fn padding_key(table: &Table) -> i64 {
    if table.keys.contains(0) {
        0
    } else {
        table.keys.min
    }
}
