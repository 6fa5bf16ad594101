//! Dense layers: `Y = W X + bias` by two random vectors, no cell per weight or accumulator.
//!
//! With V = rho^T W, Z = X tau and P = V Z (k cells each): `<P, 1> + <bias, rho (x) 1 tau> = <Y, rho (x) tau>`.
//! Soundness error (m + p + 2k) / |F| a layer. X is p rows of k values, Y is p rows of m values.

use ff::PrimeField;
use zkernel_verifier::challenge::{Challenge, Coefficient};
use zkernel_verifier::curve::signed;
use zkernel_verifier::form::{Axis, Factor, InstanceId, LinearForm, Source, Strided};
use zkernel_verifier::system::{Contraction, ContractionTerm, Phase, Region};

use super::{LowerError, Lowering, Representation, Spread, WeightPlace};
use crate::model::graph::{Op, TensorId, WeightId};

impl<F: PrimeField> Lowering<'_, F> {
    /// Gives the weights of a layer their tensor, and its bias a place among all biases. Shared weights are placed once.
    pub(super) fn place_weights(&mut self, weights: WeightId, bias: Option<WeightId>) {
        if self.place(weights).is_none() {
            let weight = &self.graph.weights[weights.0 as usize];
            let (track, stride) =
                self.builder
                    .tensor(weight.name.clone(), weight.rows, weight.cols);
            self.weights.push(WeightPlace {
                weight: weights,
                track,
                start: 0,
                stride,
            });
        }
        let Some(bias) = bias.filter(|bias| self.place(*bias).is_none()) else {
            return;
        };
        if self.bias_arena.is_none() {
            self.place_biases();
        }
        debug_assert!(self.place(bias).is_some());
    }

    /// All biases of the network share one tensor.
    fn place_biases(&mut self) {
        let mut ids: Vec<WeightId> = Vec::new();
        for node in &self.graph.nodes {
            if let Op::Dense {
                bias: Some(bias), ..
            } = node.op
                && !ids.contains(&bias)
            {
                ids.push(bias);
            }
        }
        let len = |id: &WeightId| self.graph.weights[id.0 as usize].cols;
        let track = self.builder.arena("biases", ids.iter().map(len).sum());
        let mut start = 0;
        for weight in ids {
            self.weights.push(WeightPlace {
                weight,
                track,
                start,
                stride: len(&weight),
            });
            start += len(&weight);
        }
        self.bias_arena = Some(track);
    }

    fn place(&self, weight: WeightId) -> Option<WeightPlace> {
        self.weights
            .iter()
            .copied()
            .find(|place| place.weight == weight)
    }

    /// The constraints of a layer; its output has a representation by now.
    pub(super) fn dense(
        &mut self,
        node: usize,
        weights: WeightId,
        bias: Option<WeightId>,
    ) -> Result<(), LowerError> {
        let (input, output) = (
            self.graph.nodes[node].inputs[0],
            self.graph.nodes[node].output,
        );
        let weight = &self.graph.weights[weights.0 as usize];
        let (m, k) = (weight.rows, weight.cols);
        let p = self.len(input) / k.max(1);
        let name = self.graph.nodes[node].name.clone();
        let x = self.materialized(input);
        let y = self.materialized(output);
        let tracks = self.product_tracks();
        let [v, z, products] = tracks.map(|track| self.builder.region(track, k));
        let Some(place) = self.place(weights) else {
            return Err(self.unsupported(node, "its weights have no place"));
        };
        self.contract_weights(&name, place, k, v);
        self.contract_input(node, &name, &x, [p, k], z)?;
        let mut forms = vec![self.form(
            Source::Track(products.track),
            products.start,
            vec![Axis::new(k, 1, Factor::One)],
            1,
        )];
        let rho = |stride| Axis::new(m, stride, Factor::powers(Challenge::Rho));
        let tau = |stride| Axis::new(p, stride, Factor::powers(Challenge::Tau));
        if let Some(place) = bias.and_then(|bias| self.place(bias)) {
            forms.push(self.form(
                Source::Track(place.track),
                place.start,
                vec![rho(1), tau(0)],
                1,
            ));
        }
        for term in &y.terms {
            let axes = match term.spread {
                Spread::Elements => vec![rho(1), tau(m)],
                Spread::Rows => vec![rho(0), tau(1)],
            };
            forms.push(self.form(term.source, term.start, axes, -term.scale));
        }
        if y.constant != 0 {
            forms.push(self.form(Source::One, 0, vec![rho(0), tau(0)], -y.constant));
        }
        self.builder.constrain(format!("{name}/Y"), 1, forms);
        Ok(())
    }

    fn product_tracks(&mut self) -> [zkernel_verifier::form::TrackId; 3] {
        if let Some(tracks) = self.products {
            return tracks;
        }
        let tracks = ["V", "Z", "P"].map(|name| self.builder.advice(name, Phase::Two, 0));
        self.builder
            .product("P = V Z", tracks[0], tracks[1], tracks[2]);
        self.products = Some(tracks);
        tracks
    }

    /// `V = rho^T W`, over the tensor's padding rows too, so that its form is one outer product per column.
    fn contract_weights(&mut self, name: &str, place: WeightPlace, k: usize, target: Region) {
        let rows = self.builder.tensor_rows(place.track, place.stride);
        let inner = vec![place.stride];
        let term = ContractionTerm {
            track: place.track,
            start: place.start,
            outer: vec![1],
            inner,
            scale: F::ONE,
        };
        self.builder.contract(Contraction {
            name: format!("{name}/V"),
            outer: vec![k],
            inner: vec![(rows, Factor::powers(Challenge::Rho))],
            terms: vec![term],
            constant: F::ZERO,
            target,
        });
    }

    /// `Z = X tau`.
    fn contract_input(
        &mut self,
        node: usize,
        name: &str,
        x: &Representation,
        [p, k]: [usize; 2],
        target: Region,
    ) -> Result<(), LowerError> {
        let mut terms = Vec::new();
        for term in &x.terms {
            let (Source::Track(track), Spread::Elements) = (term.source, term.spread) else {
                return Err(self.unsupported(
                    node,
                    "its input is public or an index and has no cells to multiply",
                ));
            };
            let scale = signed(term.scale);
            terms.push(ContractionTerm {
                track,
                start: term.start,
                outer: vec![1],
                inner: vec![k],
                scale,
            });
        }
        self.builder.contract(Contraction {
            name: format!("{name}/Z"),
            outer: vec![k],
            inner: vec![(p, Factor::powers(Challenge::Tau))],
            terms,
            constant: signed(x.constant),
            target,
        });
        Ok(())
    }

    pub(super) fn form(
        &self,
        source: Source,
        start: usize,
        axes: Vec<Axis<F>>,
        scale: i64,
    ) -> LinearForm<F> {
        LinearForm::Strided(Strided {
            source,
            start,
            axes,
            scale: Coefficient::constant(signed(scale)),
        })
    }

    /// Every element of a tensor equals its public value: one claim each.
    pub(super) fn tie(&mut self, name: &str, id: TensorId, instance: InstanceId) {
        let len = self.len(id);
        let Some(representation) = self.representations[id.0 as usize].clone() else {
            return;
        };
        let axis = |stride| vec![Axis::new(len, stride, Factor::powers(Challenge::Lambda))];
        let mut forms = vec![self.form(Source::Instance(instance), 0, axis(1), -1)];
        for term in &representation.terms {
            forms.push(self.form(term.source, term.start, axis(1), term.scale));
        }
        if representation.constant != 0 {
            forms.push(self.form(Source::One, 0, axis(0), representation.constant));
        }
        self.builder.constrain(
            name.to_owned(),
            u32::try_from(len).unwrap_or(u32::MAX),
            forms,
        );
    }
}
