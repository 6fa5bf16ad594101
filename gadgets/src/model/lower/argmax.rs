//! Argmax along the last axis, the first maximum winning ties.
//!
//! Per row: maximum M, one-hot s_j, running sums c_j = s_0 + .. + s_j, margins e_j = M - v_j - 1 + c_j in limbs.
//! `s_j (s_j - 1) = 0`, `c_last = 1`, `e_j >= 0` by its limbs' lookups, `s_j e_j = 0`. Before the chosen index c_j = 0 and
//! v_j <= M - 1; from it on v_j <= M; at it c = 1, e = 0, v = M. The values need no cell: `v_j = M - e_j - 1 + c_j`.
//! The index is `classes - sum_j c_j` and costs no cell. Cost per class: 2 cells and the limbs (1 lookup each); per row 1 cell.

use ff::PrimeField;
use zkernel_verifier::challenge::{Challenge, Coefficient};
use zkernel_verifier::curve::signed;
use zkernel_verifier::expression::Expression;
use zkernel_verifier::form::{Axis, Factor, TrackId};
use zkernel_verifier::system::{Phase, Region, VirtualColumn};

use super::wiring::{Representation, numbering};
use super::{LowerError, Lowering};
use crate::model::graph::Interval;
use crate::model::run::{Owner, Role};

impl<F: PrimeField> Lowering<'_, F> {
    pub(super) fn argmax(&mut self, node: usize) -> Result<(), LowerError> {
        let owner = Owner::Node(node);
        let name = self.graph.nodes[node].name.clone();
        let input = &self.graph.tensors[self.graph.nodes[node].inputs[0].0 as usize];
        let (classes, range) = (input.shape.last().copied().unwrap_or(1).max(1), input.range);
        let len = self.len(self.graph.nodes[node].inputs[0]);
        let cells = |this: &mut Self, role, track: TrackId, len| {
            let region = this.builder.region(track, len);
            this.regions.push(((owner, role), region));
            region
        };
        let tracks = ["max", "one-hot", "cumulative"]
            .map(|t| self.builder.advice(format!("{name}/{t}"), Phase::One, 0));
        let maximum = cells(self, Role::Maximum, tracks[0], len / classes);
        let one_hot = cells(self, Role::OneHot, tracks[1], len);
        let cumulative = cells(self, Role::Cumulative, tracks[2], len);
        let mut limbs = Vec::new();
        for (limb, bits) in self.graph.margin_limbs(range).into_iter().enumerate() {
            let track = self.margin_track(&name, limb, bits);
            limbs.push((cells(self, Role::Margin(limb), track, len), bits));
        }
        self.argmax_gates(&name, tracks[1], &limbs);
        self.argmax_sums(&name, one_hot, cumulative, classes);
        let shape = &self.graph.tensors[self.graph.nodes[node].inputs[0].0 as usize].shape;
        self.read_as(node, &values(shape, maximum, cumulative, &limbs))?;
        let output = self.graph.nodes[node].output;
        let shape = &self.graph.tensors[output.0 as usize].shape;
        self.represent(output, &index(shape, cumulative, classes))
    }

    /// Limbs of margins lie in tracks of their own, parallel to the one-hot cells that a gate reads with them.
    fn margin_track(&mut self, name: &str, limb: usize, bits: u32) -> TrackId {
        let range = Interval::new(0, (1 << bits) - 1);
        let track = self
            .builder
            .advice(format!("{name}/margin {limb}"), Phase::One, 0);
        self.look_up_range(format!("{name}/margin {limb}"), track, range);
        track
    }

    fn argmax_gates(&mut self, name: &str, one_hot: TrackId, limbs: &[(Region, u32)]) {
        let s = self.builder.plain(one_hot);
        let boolean = Expression::from(s) * (Expression::from(s) - Coefficient::constant(F::ONE));
        self.builder
            .gate(format!("{name}/one-hot is 0 or 1"), boolean);
        let mut position = 0;
        let terms = limbs.iter().map(|(region, bits)| {
            let weight = Coefficient::constant(signed(1i64 << position));
            position += bits;
            (region.track, weight)
        });
        let terms = terms.collect();
        let margin = self.builder.virtual_column(VirtualColumn {
            terms,
            constants: Vec::new(),
            rotation: 0,
            lanes: None,
        });
        self.builder.gate(
            format!("{name}/no margin at the maximum"),
            Expression::from(s) * margin,
        );
    }

    /// `c_j = c_{j-1} + s_j`, `c_last = 1`.
    fn argmax_sums(&mut self, name: &str, one_hot: Region, cumulative: Region, classes: usize) {
        let rows = one_hot.len / classes;
        let step = u32::try_from(classes).unwrap_or(u32::MAX);
        let by_row = Factor::Powers {
            challenge: Challenge::Lambda,
            first: 0,
            step,
        };
        let axes = |first, count| {
            vec![
                Axis::new(rows, classes, by_row.clone()),
                Axis::new(
                    count,
                    1,
                    Factor::Powers {
                        challenge: Challenge::Lambda,
                        first,
                        step: 1,
                    },
                ),
            ]
        };
        let (s, c) = (one_hot.track, cumulative.track);
        let mut forms = vec![
            self.form(c, cumulative.start, axes(0, classes), 1),
            self.form(s, one_hot.start, axes(0, classes), -1),
        ];
        if classes > 1 {
            forms.push(self.form(c, cumulative.start, axes(1, classes - 1), -1));
        }
        let claims = u32::try_from(one_hot.len).unwrap_or(u32::MAX);
        self.builder
            .constrain(format!("{name}/running sums"), claims, forms);
        let per_row = |stride| vec![Axis::new(rows, stride, Factor::powers(Challenge::Lambda))];
        let ones = Representation::constant(1, &[rows]);
        let ones = ones.forms(&numbering(&[rows], Challenge::Lambda), -1);
        let last = self.form(c, cumulative.start + classes - 1, per_row(classes), 1);
        let forms = ones.into_iter().flatten().chain([last]).collect();
        self.builder.constrain(
            format!("{name}/one maximum"),
            u32::try_from(rows).unwrap_or(u32::MAX),
            forms,
        );
    }
}

/// The index, `classes - sum_j c_j`: running sums are 0 before it and 1 from it on.
fn index(shape: &[usize], cumulative: Region, classes: usize) -> Representation {
    let rows = cumulative.len / classes;
    let mut sums = Representation::cells(cumulative, &[rows]).times(-1);
    for term in &mut sums.terms {
        term.spans[0].stride = classes;
        term.sums.push((classes, 1));
    }
    let sums = sums.reshaped(shape).unwrap_or(sums);
    sums.plus(Representation::constant(classes as i64, shape))
}

/// `v_j = M - e_j - 1 + c_j`, over a shape whose last axis is the classes.
fn values(
    shape: &[usize],
    maximum: Region,
    cumulative: Region,
    limbs: &[(Region, u32)],
) -> Representation {
    let mut row = shape.to_vec();
    let classes = row.last_mut().map_or(1, |last| std::mem::replace(last, 1));
    let mut values = Representation::cells(maximum, &row)
        .repeat_last(classes)
        .plus(Representation::cells(cumulative, shape))
        .plus(Representation::constant(-1, shape));
    let mut position = 0;
    for (region, bits) in limbs {
        values = values.plus(Representation::cells(*region, shape).times(-(1 << position)));
        position += bits;
    }
    values
}
