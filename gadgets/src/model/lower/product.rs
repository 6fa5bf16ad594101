//! Products of activations.
//!
//! Element by element: both factors and the product have a cell (`p = a b`, a gate); 3 cells an element, no lookup. Matrices:
//! `Y = A B` by two random vectors, as a linear layer whose weights are activations: with `V[b][k] = sum_i rho^i A[b][i][k]`,
//! `Z[b][k] = sum_j tau^j B[b][k][j]` and P = V Z, `sum rho^(b rows) P[b][k] = sum rho^(b rows + i) tau^j Y[b][i][j]`; V and Z are tied to
//! A and B by powers of sigma. 3 phase-2 cells for each b and k. Soundness error (b i + j + 2 b k) / |F|. Exact.

use ff::PrimeField;
use zkernel_verifier::challenge::Challenge;
use zkernel_verifier::curve::signed;
use zkernel_verifier::expression::Expression;
use zkernel_verifier::form::{Axis, Factor, Source, TrackId};
use zkernel_verifier::system::{Contraction, ContractionTerm, Phase, Region};

use super::wiring::{Representation, strides};
use super::{LowerError, Lowering};
use crate::model::run::{Owner, Role};

/// One side of a matrix product: the axis that is folded away and the challenge that folds it.
struct Side {
    operand: usize,
    folded: usize,
    challenge: Challenge,
}

impl<F: PrimeField> Lowering<'_, F> {
    pub(super) fn product(&mut self, node: usize) -> Result<(), LowerError> {
        let shape = self.output_shape(node);
        let [a, b, p] = self.factor_cells(node, shape.iter().product());
        self.tie_operand(node, 0, a, &shape)?;
        self.tie_operand(node, 1, b, &shape)?;
        let output = self.graph.nodes[node].output;
        self.represent(output, &Representation::cells(p, &shape))
    }

    /// Cells of two factors and their product, for the node's operands and its `Role::Product`.
    pub(super) fn factor_cells(&mut self, node: usize, len: usize) -> [Region; 3] {
        let tracks = self.factor_tracks();
        let roles = [Role::Operand(0), Role::Operand(1), Role::Product];
        std::array::from_fn(|i| {
            let region = self.builder.region(tracks[i], len);
            self.regions.push(((Owner::Node(node), roles[i]), region));
            region
        })
    }

    fn factor_tracks(&mut self) -> [TrackId; 3] {
        if let Some(tracks) = self.factors {
            return tracks;
        }
        let tracks = ["a", "b", "a b"].map(|name| self.builder.advice(name, Phase::One, 0));
        let [a, b, p] = tracks.map(|track| self.builder.plain(track));
        let gate = Expression::from(p) - Expression::from(a) * b;
        self.builder.gate("products", gate);
        self.factors = Some(tracks);
        tracks
    }

    /// Cells equal the node's operand, element by element.
    pub(super) fn tie_operand(
        &mut self,
        node: usize,
        operand: usize,
        cells: Region,
        shape: &[usize],
    ) -> Result<(), LowerError> {
        let known = self.materialized(self.graph.nodes[node].inputs[operand])?;
        let name = format!("{}/operand {operand}", self.graph.nodes[node].name);
        let tied = self.equal(name, &known, &Representation::cells(cells, shape));
        tied.ok_or_else(|| self.unsupported(node, "its input is too large"))
    }

    /// The representation of an operand if it is one that the node can read; else cells of its own, equal to it.
    pub(super) fn operand_where(
        &mut self,
        node: usize,
        operand: usize,
        fits: impl Fn(&Representation) -> bool,
    ) -> Result<Representation, LowerError> {
        let known = self.materialized(self.graph.nodes[node].inputs[operand])?;
        if fits(&known) {
            return Ok(known);
        }
        let track = self.plain_track();
        let shape = known.shape;
        let cells = self.builder.region(track, shape.iter().product());
        let role = (Owner::Node(node), Role::Operand(operand));
        self.regions.push((role, cells));
        self.tie_operand(node, operand, cells, &shape)?;
        Ok(Representation::cells(cells, &shape))
    }

    /// The constraints of a matrix product; its output has a representation by now.
    pub(super) fn matmul(&mut self, node: usize) -> Result<(), LowerError> {
        let a = self.operand_where(node, 0, Representation::is_whole)?;
        let b = self.operand_where(node, 1, Representation::is_whole)?;
        let y = self.materialized(self.graph.nodes[node].output)?;
        let axes = a.shape.len();
        let (rows, inner) = (a.shape[axes - 2], a.shape[axes - 1]);
        let batch: usize = a.shape[..axes - 2].iter().product();
        let tracks = self.product_tracks();
        let [v, z, p] = tracks.map(|track| self.builder.region(track, batch * inner));
        let sides = [
            Side {
                operand: 0,
                folded: axes - 2,
                challenge: Challenge::Rho,
            },
            Side {
                operand: 1,
                folded: axes - 1,
                challenge: Challenge::Tau,
            },
        ];
        self.fold_operand(node, &sides[0], &a, v)?;
        self.fold_operand(node, &sides[1], &b, z)?;
        let row = |step: usize| Factor::Powers {
            challenge: Challenge::Rho,
            first: 0,
            step: step as u32,
        };
        let products = vec![
            Axis::new(batch, inner, row(rows)),
            Axis::new(inner, 1, Factor::One),
        ];
        let mut sum = vec![self.form(p.track, p.start, products, 1)];
        // Leading axes and rows are numbered together by powers of rho.
        let leading = strides(&y.shape[..axes - 1]);
        let mut factors: Vec<_> = leading.into_iter().map(row).collect();
        factors.push(Factor::powers(Challenge::Tau));
        let outputs = y.forms(&factors, -1);
        sum.extend(outputs.ok_or_else(|| self.unsupported(node, "its output is too large"))?);
        let name = format!("{}/Y", self.graph.nodes[node].name);
        self.builder.constrain(name, 1, sum);
        Ok(())
    }

    /// Phase-2 cells of an operand with one axis folded by powers of a challenge, tied to it by powers of sigma.
    fn fold_operand(
        &mut self,
        node: usize,
        side: &Side,
        x: &Representation,
        target: Region,
    ) -> Result<(), LowerError> {
        let name = format!("{}/fold {}", self.graph.nodes[node].name, side.operand);
        let kept: Vec<usize> = (0..x.shape.len())
            .filter(|axis| *axis != side.folded)
            .collect();
        let outer: Vec<usize> = kept.iter().map(|axis| x.shape[*axis]).collect();
        let powers = Factor::powers(side.challenge);
        let mut factors = vec![powers.clone(); x.shape.len()];
        for (axis, stride) in kept.iter().zip(strides(&outer)) {
            let step = u32::try_from(stride).unwrap_or(u32::MAX);
            factors[*axis] = Factor::Powers {
                challenge: Challenge::Sigma,
                first: 0,
                step,
            };
        }
        for (index, term) in x.terms.iter().enumerate() {
            let sums = term.sums.iter();
            let inner = sums.clone().map(|(len, _)| (*len, Factor::One));
            let folded = (x.shape[side.folded], powers.clone());
            let strides = sums.map(|(_, stride)| *stride);
            let of_folded = term.spans[side.folded].stride;
            let scale = signed(term.scale);
            let (terms, constant) = match term.source {
                Source::Track(track) => {
                    let read = ContractionTerm {
                        track,
                        start: term.start,
                        outer: kept.iter().map(|axis| term.spans[*axis].stride).collect(),
                        inner: [of_folded].into_iter().chain(strides).collect(),
                        scale,
                    };
                    (vec![read], F::ZERO)
                }
                _ => (Vec::new(), scale),
            };
            self.builder.derive(Contraction {
                name: format!("{name} {index}"),
                outer: outer.clone(),
                inner: [folded].into_iter().chain(inner).collect(),
                terms,
                constant,
                target,
            });
        }
        let read = x.forms(&factors, -1);
        let mut tie = read.ok_or_else(|| self.unsupported(node, "its input is too large"))?;
        let sigma = vec![Axis::new(target.len, 1, Factor::powers(Challenge::Sigma))];
        tie.push(self.form(target.track, target.start, sigma, 1));
        self.builder.constrain(name, 1, tie);
        Ok(())
    }
}
