//! Rows of a secret matrix by number: `y[t] = W[x[t]]`.
//!
//! With alpha: `w_r = sum_c alpha^c W[r][c]` and `e_t = sum_c alpha^c y[t][c]` (phase 2), and one lookup of `(x_t, e_t)` in the secret table of
//! rows `(r, w_r)`: x is a row number and y its row. Cost per number: 1 cell, 1 phase-2 cell and 1 lookup; 1 cell per element of
//! y; 1 phase-2 cell per row of W. Soundness error cols (rows + numbers) / |F|. Exact.

use ff::PrimeField;
use zkernel_verifier::challenge::Challenge;
use zkernel_verifier::form::{Factor, TrackId};
use zkernel_verifier::system::{Contraction, ContractionTerm, LookupInput, Phase, Region};

use super::wiring::Representation;
use super::{LowerError, Lowering};
use crate::model::graph::WeightId;
use crate::model::run::{Owner, Role};

impl<F: PrimeField> Lowering<'_, F> {
    pub(super) fn gather(&mut self, node: usize, weights: WeightId) -> Result<(), LowerError> {
        let (owner, name) = (Owner::Node(node), self.graph.nodes[node].name.clone());
        let weight = &self.graph.weights[weights.0 as usize];
        let (height, cols) = (weight.rows, weight.cols);
        let (input, output) = (
            self.graph.nodes[node].inputs[0],
            self.graph.nodes[node].output,
        );
        let count = self.len(input);
        let no_place = || self.unsupported(node, "its weights have no place");
        let place = self.place(weights).ok_or_else(no_place)?;
        let cells = |this: &mut Self, what: &str, phase, len| {
            let track = this.builder.advice(format!("{name}/{what}"), phase, 0);
            this.builder.region(track, len)
        };
        let numbers = cells(self, "numbers", Phase::One, count);
        let embedded = cells(self, "rows", Phase::One, count * cols);
        self.regions.push(((owner, Role::Operand(0)), numbers));
        self.regions.push(((owner, Role::Value), embedded));
        let rows = self.builder.tensor_rows(place.track, place.stride);
        let words = cells(self, "folded matrix", Phase::Two, rows);
        let folded = cells(self, "folded rows", Phase::Two, count);
        self.fold(
            &format!("{name}/fold matrix"),
            place.track,
            (rows, place.stride, cols),
            words,
        );
        self.fold(
            &format!("{name}/fold rows"),
            embedded.track,
            (count, cols, cols),
            folded,
        );
        let table = self
            .builder
            .secret_table(name.clone(), height, &[words.track]);
        let used = self
            .builder
            .fixed(format!("{name}/used"), vec![F::ONE; count]);
        let pair = vec![
            LookupInput::plain(numbers.track),
            LookupInput::plain(folded.track),
        ];
        self.builder
            .lookup(format!("{name}/lookup"), table, pair, Some(used));
        let shape = self.graph.tensors[input.0 as usize].shape.clone();
        self.tie_operand(node, 0, numbers, &shape)?;
        let shape = self.graph.tensors[output.0 as usize].shape.clone();
        self.represent(output, &Representation::cells(embedded, &shape))
    }

    /// `target[r] = sum_c alpha^c track[r stride + c]`.
    fn fold(
        &mut self,
        name: &str,
        track: TrackId,
        (rows, stride, cols): (usize, usize, usize),
        target: Region,
    ) {
        self.builder.contract(Contraction {
            name: name.to_owned(),
            outer: vec![rows],
            inner: vec![(cols, Factor::powers(Challenge::Alpha))],
            terms: vec![ContractionTerm {
                track,
                start: 0,
                outer: vec![stride],
                inner: vec![1],
                scale: F::ONE,
            }],
            constant: F::ZERO,
            target,
        });
    }
}
