//! `y_j = table[x_j - M]`, M the maximum of a row: what a softmax exponentiates.
//!
//! Per element: the key `d_j = x_j - M`, its value, and a marker s_j; one lookup of (d, y), whose keys end at 0, so that M is
//! nowhere below x (a split table as in [`super::table`]). `s_j (s_j - 1) = 0`, `s_j d_j = 0` and `sum_j s_j = 1` for every row: M is one of the x. Per row: M. Cost: 3 cells and
//! 1 lookup an element, 1 cell a row. Exact.

use ff::PrimeField;
use zkernel_verifier::challenge::Challenge;
use zkernel_verifier::expression::Expression;
use zkernel_verifier::form::{Axis, Factor};

use super::table::TableTracks;
use super::wiring::{Representation, numbering};
use super::{LowerError, Lowering};
use crate::model::graph::TableId;
use crate::model::run::{Lookup, Owner, Role};

impl<F: PrimeField> Lowering<'_, F> {
    pub(super) fn max_table(&mut self, node: usize, id: TableId) -> Result<(), LowerError> {
        let owner = Owner::Node(node);
        let shape = self.output_shape(node);
        let (len, classes) = (shape.iter().product::<usize>(), shape[shape.len() - 1]);
        let tracks = self.marked_tracks(id);
        let table = &self.graph.tables[id.0 as usize];
        let [keys, values] = self.cells_in(&tracks, owner, Lookup::Only, table, &shape);
        let marker = tracks.marker.unwrap_or(tracks.cells[0]);
        let marks = self.builder.region(marker, len);
        self.regions.push(((owner, Role::OneHot), marks));
        let plain = self.plain_track();
        let maximum = self.builder.region(plain, len / classes);
        self.regions.push(((owner, Role::Maximum), maximum));
        let mut rows = shape.clone();
        rows[shape.len() - 1] = 1;
        let maxima = Representation::cells(maximum, &rows).repeat_last(classes);
        let x = keys.plus(maxima);
        self.read_as(node, &x)?;
        let count = len / classes;
        let per_row = vec![
            Axis::new(count, classes, Factor::powers(Challenge::Lambda)),
            Axis::new(classes, 1, Factor::One),
        ];
        let sum = self.form(marks.track, marks.start, per_row, 1);
        let ones = Representation::constant(1, &[count]);
        let ones = ones.forms(&numbering(&[count], Challenge::Lambda), -1);
        let name = format!("{}/one maximum", self.graph.nodes[node].name);
        let forms = ones.into_iter().flatten().chain([sum]).collect();
        self.builder
            .constrain(name, u32::try_from(count).unwrap_or(u32::MAX), forms);
        let output = self.graph.nodes[node].output;
        self.represent(output, &values)
    }

    /// Tracks of a table of distances to a maximum and of markers, with the marker's gates.
    fn marked_tracks(&mut self, id: TableId) -> TableTracks {
        let known = self.tables.contains_key(&(id, true));
        let tracks = self.table_tracks(id, true);
        let Some(marker) = tracks.marker.filter(|_| !known) else {
            return tracks;
        };
        let graph = self.graph;
        let table = &graph.tables[id.0 as usize];
        let name = format!("{:?} of distances #{}", table.function, id.0);
        let d = self.key_column(&tracks, table);
        let s = self.builder.plain(marker);
        let bit = Expression::from(s) * s - s;
        self.builder.gate(format!("{name}/marker is a bit"), bit);
        self.builder
            .gate(format!("{name}/marked key is 0"), Expression::from(s) * d);
        tracks
    }
}
