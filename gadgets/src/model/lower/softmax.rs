//! `y_j = table[x_j - M]`, M the maximum of a row: what a softmax exponentiates.
//!
//! Per element: the key `d_j = x_j - M`, its value, and a marker s_j; one lookup of (d, y), whose keys end at 0, so that M is
//! nowhere below x. `s_j (s_j - 1) = 0`, `s_j d_j = 0` and `sum_j s_j = 1` for every row: M is one of the x. Per row: M. Cost: 3 cells and
//! 1 lookup an element, 1 cell a row. Exact.

use ff::PrimeField;
use zkernel_verifier::challenge::Challenge;
use zkernel_verifier::expression::Expression;
use zkernel_verifier::form::{Axis, Factor, TrackId};
use zkernel_verifier::system::{LookupInput, Phase};

use super::wiring::{Representation, numbering};
use super::{LowerError, Lowering};
use crate::model::graph::TableId;
use crate::model::run::{Owner, Role};

impl<F: PrimeField> Lowering<'_, F> {
    pub(super) fn max_table(&mut self, node: usize, table: TableId) -> Result<(), LowerError> {
        let owner = Owner::Node(node);
        let shape = self.output_shape(node);
        let (len, classes) = (shape.iter().product::<usize>(), shape[shape.len() - 1]);
        let tracks = self.marked_tracks(table);
        let roles = [Role::Quotient, Role::Value, Role::OneHot];
        let regions: [_; 3] = std::array::from_fn(|i| {
            let region = self.builder.region(tracks[i], len);
            self.regions.push(((owner, roles[i]), region));
            region
        });
        let plain = self.plain_track();
        let maximum = self.builder.region(plain, len / classes);
        self.regions.push(((owner, Role::Maximum), maximum));
        let mut rows = shape.clone();
        rows[shape.len() - 1] = 1;
        let maxima = Representation::cells(maximum, &rows).repeat_last(classes);
        let x = Representation::cells(regions[0], &shape).plus(maxima);
        self.read_as(node, &x)?;
        let count = len / classes;
        let per_row = vec![
            Axis::new(count, classes, Factor::powers(Challenge::Lambda)),
            Axis::new(classes, 1, Factor::One),
        ];
        let marks = self.form(regions[2].track, regions[2].start, per_row, 1);
        let ones = Representation::constant(1, &[count]);
        let ones = ones.forms(&numbering(&[count], Challenge::Lambda), -1);
        let name = format!("{}/one maximum", self.graph.nodes[node].name);
        let forms = ones.into_iter().flatten().chain([marks]).collect();
        self.builder
            .constrain(name, u32::try_from(count).unwrap_or(u32::MAX), forms);
        let output = self.graph.nodes[node].output;
        self.represent(output, &Representation::cells(regions[1], &shape))
    }

    /// Keys, values and markers of a table of distances to a maximum, with the marker's gates.
    fn marked_tracks(&mut self, id: TableId) -> [TrackId; 3] {
        if let Some(tracks) = self.marked.get(&id) {
            return *tracks;
        }
        let table = &self.graph.tables[id.0 as usize];
        let name = format!("{:?} of distances #{}", table.function, id.0);
        let padding = [0, table.value(0), 0];
        let names = ["key", "value", "marker"];
        let tracks: [TrackId; 3] = std::array::from_fn(|i| {
            self.builder
                .advice(format!("{name}/{}", names[i]), Phase::One, padding[i])
        });
        let rows = self.builder.table(name.clone(), 2, table.rows());
        let inputs = vec![LookupInput::plain(tracks[0]), LookupInput::plain(tracks[1])];
        self.builder.lookup(name.clone(), rows, inputs, None);
        let [d, _, s] = tracks.map(|track| self.builder.plain(track));
        let bit = Expression::from(s) * s - s;
        self.builder.gate(format!("{name}/marker is a bit"), bit);
        self.builder
            .gate(format!("{name}/marked key is 0"), Expression::from(s) * d);
        self.marked.insert(id, tracks);
        tracks
    }
}
