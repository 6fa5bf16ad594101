//! Linear layers: dense layers and convolutions as `Y = W X + bias` by two random vectors, no cell per weight,
//! accumulator or unfolded input.
//!
//! With V = rho^T W, Z = X tau and P = V Z: `<P, 1> + <bias, rho (x) 1 tau> = <Y, rho (x) tau>`, and V and Z tied to W and X by
//! powers of sigma. For a convolution X is the unfolded input, k = (tap, channel); its form on the input is an outer
//! product over channels, rows and columns with padding, stride and dilation inside the short vectors
//! ([`zkernel_verifier::form::Window`]). With groups, `V[tap, g, c] = sum over rows m of group g, rho^m W[g, m][tap, c]` and the sum of P is
//! weighted by rho^(g rows). Soundness error (m + p + 2k) / |F| a layer.

use ff::PrimeField;
use zkernel_verifier::challenge::{Challenge, Coefficient};
use zkernel_verifier::curve::signed;
use zkernel_verifier::form::{Axis, Factor, LinearForm, Source, Strided, TrackId, Window};
use zkernel_verifier::system::{Contraction, ContractionTerm, Phase, Region};

use super::wiring::{Representation, Term, numbering};
use super::{LowerError, Lowering, WeightPlace};
use crate::model::geometry::Geometry;
use crate::model::graph::{TensorId, WeightId};

/// A linear layer by the axes of its operands.
struct Layer<F> {
    /// Factors (powers of tau) of the axes of X that outputs are numbered along.
    z: Region,
    /// Factor of each axis of X in the form of `<Z, sigma>`.
    input_factors: Vec<Factor<F>>,
    /// Factor of each axis of Y in the form of the sum.
    output_factors: Vec<Factor<F>>,
    /// Outputs per row of W.
    positions: usize,
}

impl<F: PrimeField> Lowering<'_, F> {
    /// The constraints of a dense layer; its output has a representation by now.
    pub(super) fn dense(
        &mut self,
        node: usize,
        weights: WeightId,
        bias: Option<WeightId>,
    ) -> Result<(), LowerError> {
        let x = self.operand_where(node, 0, |x| x.has_cells() && x.has_unit_steps())?;
        let y = self.materialized(self.graph.nodes[node].output)?;
        self.spend(node, x.terms.len() + y.terms.len())?;
        let weight = &self.graph.weights[weights.0 as usize];
        let (m, k) = (weight.rows, weight.cols);
        let leading = &x.shape[..x.shape.len().saturating_sub(1)];
        let positions: usize = leading.iter().product();
        let tau = numbering(leading, Challenge::Tau);
        let with = |last| [&tau[..], &[last]].concat();
        let [v, z, p] = self.product_regions(k);
        let name = self.graph.nodes[node].name.clone();
        let place = self.place_of(node, weights)?;
        self.contract_rows(&name, place, k, v);
        let y = y.reshaped(&[leading, &[m]].concat());
        let y = y.ok_or_else(|| self.unsupported(node, "its output cannot be read in rows"))?;
        let layer = Layer {
            z,
            input_factors: with(Factor::powers(Challenge::Sigma)),
            output_factors: with(Factor::powers(Challenge::Rho)),
            positions,
        };
        for (index, term) in x.terms.iter().enumerate() {
            let (last, leading) = term.spans.split_last().unzip();
            let (Some(last), Some(leading)) = (last, leading) else {
                return Err(self.unsupported(node, "its input has no axis"));
            };
            let inner: Vec<_> = leading
                .iter()
                .zip(&tau)
                .map(|(s, f)| (*s, f.part(s.first, s.len)))
                .collect();
            self.derive(&format!("{name}/Z {index}"), term, *last, inner, z, z.start);
        }
        let sum = vec![self.form(p.track, p.start, vec![Axis::new(k, 1, Factor::One)], 1)];
        self.tie_layer(node, &layer, (&x, &y), bias, sum)
    }

    /// The constraints of a convolution.
    pub(super) fn conv(
        &mut self,
        node: usize,
        (weights, bias): (WeightId, Option<WeightId>),
        geometry: &Geometry,
        groups: usize,
    ) -> Result<(), LowerError> {
        let x = self.operand_where(node, 0, |x| x.has_cells() && x.has_unit_steps())?;
        let y = self.materialized(self.graph.nodes[node].output)?;
        let (&[_, channels, height, width], &[_, m, oh, ow]) = (&x.shape[..], &y.shape[..]) else {
            return Err(self.unsupported(node, "a convolution reads and writes four axes"));
        };
        let k = geometry.taps() * channels;
        self.spend(node, geometry.taps().saturating_mul(x.terms.len()))?;
        let [v, z, p] = self.product_regions(k);
        let name = self.graph.nodes[node].name.clone();
        let place = self.place_of(node, weights)?;
        let of_group = (channels / groups, m / groups);
        if groups == 1 {
            self.contract_rows(&name, place, k, v);
        } else {
            self.contract_groups(&name, place, (geometry.taps(), groups), of_group, v);
        }
        let outputs = [oh, ow];
        for tap in 0..geometry.taps() {
            let read = x.tap(geometry, tap, outputs);
            let read = read.ok_or_else(|| {
                self.unsupported(node, "it reads a pooled or padded tensor that has no cells")
            })?;
            self.derive_tap(
                &format!("{name}/Z {tap}"),
                &read,
                z,
                z.start + tap * channels,
            );
        }
        let layer = Layer {
            z,
            input_factors: conv_factors(geometry, channels, outputs),
            output_factors: vec![
                powers(Challenge::Tau, oh * ow),
                powers(Challenge::Rho, 1),
                powers(Challenge::Tau, ow),
                powers(Challenge::Tau, 1),
            ],
            positions: y.shape[0] * oh * ow,
        };
        debug_assert!(height * width > 0);
        let sum = vec![
            Axis::new(geometry.taps(), channels, Factor::One),
            Axis::new(groups, of_group.0, powers(Challenge::Rho, of_group.1)),
            Axis::new(of_group.0, 1, Factor::One),
        ];
        let sum = vec![self.form(p.track, p.start, sum, 1)];
        self.tie_layer(node, &layer, (&x, &y), bias, sum)
    }

    fn place_of(&self, node: usize, weights: WeightId) -> Result<WeightPlace, LowerError> {
        self.place(weights)
            .ok_or_else(|| self.unsupported(node, "its weights have no place"))
    }

    fn product_regions(&mut self, k: usize) -> [Region; 3] {
        let tracks = self.product_tracks();
        tracks.map(|track| self.builder.region(track, k))
    }

    pub(super) fn product_tracks(&mut self) -> [TrackId; 3] {
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
    fn contract_rows(&mut self, name: &str, place: WeightPlace, k: usize, target: Region) {
        let rows = self.builder.tensor_rows(place.track, place.stride);
        let term = weight_term(place, vec![1], vec![place.stride]);
        self.builder.contract(Contraction {
            name: format!("{name}/V"),
            outer: vec![k],
            inner: vec![(rows, Factor::powers(Challenge::Rho))],
            terms: vec![term],
            constant: F::ZERO,
            target,
        });
    }

    /// V of a convolution with groups of `channels` inputs and `rows` outputs each.
    fn contract_groups(
        &mut self,
        name: &str,
        place: WeightPlace,
        (taps, groups): (usize, usize),
        (channels, rows): (usize, usize),
        target: Region,
    ) {
        let strides = vec![channels, rows * place.stride, 1];
        self.builder.contract(Contraction {
            name: format!("{name}/V"),
            outer: vec![taps, groups, channels],
            inner: vec![(rows, Factor::powers(Challenge::Rho))],
            terms: vec![weight_term(place, strides, vec![place.stride])],
            constant: F::ZERO,
            target,
        });
    }

    /// What one tap reads, folded over the outputs: `Z[tap, c] = sum over n, o of tau^(n, o) x[n][c][read(o)]`.
    fn derive_tap(&mut self, name: &str, read: &Representation, z: Region, start: usize) {
        let outputs = [read.shape[0], read.shape[2], read.shape[3]];
        let tau = numbering::<F>(&outputs, Challenge::Tau);
        for (index, term) in read.terms.iter().enumerate() {
            let spans = [term.spans[0], term.spans[2], term.spans[3]];
            let inner = spans
                .iter()
                .zip(&tau)
                .map(|(s, f)| (*s, f.part(s.first, s.len)));
            let inner = inner.collect();
            self.derive(
                &format!("{name}.{index}"),
                term,
                term.spans[1],
                inner,
                z,
                start,
            );
        }
    }

    /// Adds a contraction of one term: `along` stays, `inner` is summed with factors, into z from `start`.
    fn derive(
        &mut self,
        name: &str,
        term: &Term,
        along: super::wiring::Span,
        inner: Vec<(super::wiring::Span, Factor<F>)>,
        z: Region,
        start: usize,
    ) {
        let sums = term
            .sums
            .iter()
            .map(|(len, stride)| (*len, *stride, Factor::One));
        let axes = inner
            .into_iter()
            .map(|(span, factor)| (span.len, span.stride, factor));
        let axes: Vec<(usize, usize, Factor<F>)> = axes.chain(sums).collect();
        let scale = signed(term.scale);
        let (terms, constant) = match term.source {
            Source::Track(track) => {
                let source = ContractionTerm {
                    track,
                    start: term.start,
                    outer: vec![along.stride],
                    inner: axes.iter().map(|(_, stride, _)| *stride).collect(),
                    scale,
                };
                (vec![source], F::ZERO)
            }
            Source::One | Source::Instance(_) => (Vec::new(), scale),
        };
        self.builder.derive(Contraction {
            name: name.to_owned(),
            outer: vec![along.len],
            inner: axes
                .into_iter()
                .map(|(len, _, factor)| (len, factor))
                .collect(),
            terms,
            constant,
            target: Region {
                track: z.track,
                start: start + along.first,
                len: along.len,
            },
        });
    }

    /// `<Z, sigma> = <X, ..>` and the sum of the layer.
    fn tie_layer(
        &mut self,
        node: usize,
        layer: &Layer<F>,
        (x, y): (&Representation, &Representation),
        bias: Option<WeightId>,
        mut sum: Vec<LinearForm<F>>,
    ) -> Result<(), LowerError> {
        let name = self.graph.nodes[node].name.clone();
        let cut = "it reads a pooled tensor that has no cells";
        let read = x.forms(&layer.input_factors, -1);
        let mut tie = read.ok_or_else(|| self.unsupported(node, cut))?;
        let sigma = vec![Axis::new(layer.z.len, 1, Factor::powers(Challenge::Sigma))];
        tie.push(self.form(layer.z.track, layer.z.start, sigma, 1));
        self.builder.constrain(format!("{name}/Z"), 1, tie);
        let outputs = y.forms(&layer.output_factors, -1);
        sum.extend(outputs.ok_or_else(|| self.unsupported(node, cut))?);
        if let Some(place) = bias.and_then(|bias| self.place(bias)) {
            let m = self.graph.weights[place.weight.0 as usize].cols;
            let axes = vec![
                Axis::new(m, 1, Factor::powers(Challenge::Rho)),
                Axis::new(layer.positions, 0, Factor::powers(Challenge::Tau)),
            ];
            sum.push(self.form(place.track, place.start, axes, 1));
        }
        self.builder.constrain(format!("{name}/Y"), 1, sum);
        Ok(())
    }

    pub(super) fn form(
        &self,
        track: TrackId,
        start: usize,
        axes: Vec<Axis<F>>,
        scale: i64,
    ) -> LinearForm<F> {
        LinearForm::Strided(Strided {
            source: Source::Track(track),
            start,
            axes,
            scale: Coefficient::constant(signed(scale)),
        })
    }

    /// Two representations of one shape are equal, element by element: one claim each.
    pub(crate) fn equal(
        &mut self,
        name: String,
        one: &Representation,
        other: &Representation,
    ) -> Option<()> {
        let claims = u32::try_from(one.shape.iter().product::<usize>()).ok()?;
        let lambda = numbering(&one.shape, Challenge::Lambda);
        let mut forms = one.forms(&lambda, 1)?;
        forms.extend(other.forms(&lambda, -1)?);
        self.builder.constrain(name, claims, forms);
        Some(())
    }

    /// Every element of a tensor equals its public value.
    pub(super) fn tie(&mut self, name: &str, id: TensorId, public: &Representation) {
        if let Some(representation) = self.representations[id.0 as usize].clone() {
            self.equal(name.to_owned(), &representation, public);
        }
    }
}

const fn powers<F>(challenge: Challenge, step: usize) -> Factor<F> {
    Factor::Powers {
        challenge,
        first: 0,
        step: step as u32,
    }
}

fn weight_term<F: PrimeField>(
    place: WeightPlace,
    outer: Vec<usize>,
    inner: Vec<usize>,
) -> ContractionTerm<F> {
    ContractionTerm {
        track: place.track,
        start: place.start,
        outer,
        inner,
        scale: F::ONE,
    }
}

/// The im2col form: element (n, c, i, j) of the input has `tau^(n oh ow) sigma^c A_i B_j`, A and B summing over the outputs and
/// taps that read it.
fn conv_factors<F: PrimeField>(
    geometry: &Geometry,
    channels: usize,
    [oh, ow]: [usize; 2],
) -> Vec<Factor<F>> {
    let window = |axis: usize, outputs, tau: usize, sigma: usize| {
        Factor::Window(Box::new(Window {
            outer: powers(Challenge::Tau, tau),
            outputs,
            kernel: powers(Challenge::Sigma, sigma),
            taps: geometry.kernel[axis],
            stride: geometry.stride[axis],
            dilation: geometry.dilation[axis],
            offset: geometry.before[axis],
        }))
    };
    vec![
        powers(Challenge::Tau, oh * ow),
        powers(Challenge::Sigma, 1),
        window(0, oh, ow, geometry.kernel[1] * channels),
        window(1, ow, 1, channels),
    ]
}
