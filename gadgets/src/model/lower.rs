//! Lowering a graph to constraints.
//!
//! Every tensor has a **representation** ([`wiring`]): an affine combination of committed cells or public values, element by
//! element. What is linear costs no cell: a linear layer's accumulators get their representation from whoever reads
//! them (a requantization says `acc = 2^s q + rem - 2^(s-1)`, a public output is the instance itself).

use std::collections::BTreeMap;

use ff::PrimeField;
use zkernel_verifier::builder::{Grouping, SystemBuilder};
use zkernel_verifier::form::{InstanceId, Source, TrackId};
use zkernel_verifier::system::{ConstraintSystem, Region};
use zkernel_verifier::validate::SystemError;

use super::graph::{Graph, Op, TableId, TensorId, Visibility, WeightId, WeightValues};
use super::run::{Owner, Role, Trace};

mod affine;
mod argmax;
mod division;
mod gather;
mod linear;
mod pool;
mod product;
mod representations;
mod requantize;
mod softmax;
mod table;
mod topk;
mod weights;
pub(crate) mod wiring;

pub(crate) use pool::outside_elements;
use table::TableTracks;
use wiring::Representation;

/// Why a graph cannot be lowered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LowerError {
    /// The constraint system that came out is not well-formed.
    #[error(transparent)]
    System(#[from] SystemError),
    /// A tensor is read in a way that is not built.
    #[error("node `{node}`: {problem}")]
    Unsupported {
        /// The node.
        node: String,
        /// What is not possible.
        problem: &'static str,
    },
}

/// Where a weight's integers lie in a tensor track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeightPlace {
    /// The weight.
    pub weight: WeightId,
    /// The track.
    pub track: TrackId,
    /// Position of its first integer.
    pub start: usize,
    /// Distance of matrix rows.
    pub stride: usize,
}

/// A lowered graph.
#[derive(Clone, Debug)]
pub struct Lowered<F> {
    /// The constraint system.
    pub system: ConstraintSystem<F>,
    /// The tensor that each public vector is, in the order of the instances.
    pub instances: Vec<TensorId>,
    /// The tensors that are committed to, with the boundary that holds each.
    pub boundaries: Vec<(TensorId, TrackId)>,
    /// Where the weights lie.
    pub weights: Vec<WeightPlace>,
    /// Where the witness lies.
    pub regions: Vec<((Owner, Role), Region)>,
}

pub(crate) struct Lowering<'a, F> {
    pub(crate) graph: &'a Graph,
    pub(crate) builder: SystemBuilder<F>,
    pub(crate) representations: Vec<Option<Representation>>,
    pub(crate) regions: Vec<((Owner, Role), Region)>,
    pub(crate) weights: Vec<WeightPlace>,
    ranges: BTreeMap<(i64, i64), TrackId>,
    plain: Option<TrackId>,
    pub(crate) products: Option<[TrackId; 3]>,
    factors: Option<[TrackId; 3]>,
    tables: BTreeMap<(TableId, bool), TableTracks>,
    pub(crate) instances: Vec<TensorId>,
    boundaries: Vec<(TensorId, TrackId)>,
    /// Terms of representations and forms made so far.
    terms: usize,
}

/// Most terms of all representations and forms of a graph. Sums of sums double them with every node, so a file of a few
/// hundred bytes could ask for any number.
const MAX_TERMS: usize = 1 << 20;
/// Factors of sums of sums stay below this magnitude.
const MAX_SCALE: i64 = 1 << 60;

/// Lowers a validated graph to constraints on columns of `2^log_n` rows.
///
/// # Errors
/// [`LowerError`] names the node.
pub fn lower<F: PrimeField>(graph: &Graph, log_n: u32) -> Result<Lowered<F>, LowerError> {
    let mut lowering = Lowering::new(graph, log_n);
    lowering.place_all_weights();
    lowering.inputs();
    for index in 0..graph.nodes.len() {
        lowering.node(index)?;
    }
    lowering.outputs()?;
    // Accumulators have got their representations from their readers by now.
    for index in 0..graph.nodes.len() {
        lowering.layer(index)?;
    }
    let Lowering {
        builder,
        instances,
        boundaries,
        weights,
        regions,
        ..
    } = lowering;
    Ok(Lowered {
        system: builder.finish()?,
        instances,
        boundaries,
        weights,
        regions,
    })
}

impl<'a, F: PrimeField> Lowering<'a, F> {
    pub(crate) fn new(graph: &'a Graph, log_n: u32) -> Self {
        let mut builder = SystemBuilder::new(log_n, 1);
        builder.group_lookups(Grouping::ByCost);
        Self {
            graph,
            builder,
            representations: vec![None; graph.tensors.len()],
            regions: Vec::new(),
            weights: Vec::new(),
            ranges: BTreeMap::new(),
            tables: BTreeMap::new(),
            plain: None,
            products: None,
            factors: None,
            instances: Vec::new(),
            boundaries: Vec::new(),
            terms: 0,
        }
    }

    /// Counts terms that a node makes.
    pub(crate) fn spend(&mut self, node: usize, terms: usize) -> Result<(), LowerError> {
        self.terms = self.terms.saturating_add(terms);
        if self.terms <= MAX_TERMS {
            return Ok(());
        }
        let problem = "its windows and sums make more than 1,048,576 terms with those before it";
        Err(self.unsupported(node, problem))
    }

    pub(crate) fn len(&self, tensor: TensorId) -> usize {
        self.graph.tensors[tensor.0 as usize].shape.iter().product()
    }

    pub(crate) fn output_shape(&self, node: usize) -> Vec<usize> {
        let output = self.graph.nodes[node].output;
        self.graph.tensors[output.0 as usize].shape.clone()
    }

    pub(crate) fn unsupported(&self, node: usize, problem: &'static str) -> LowerError {
        LowerError::Unsupported {
            node: self.graph.nodes[node].name.clone(),
            problem,
        }
    }

    /// Inputs are range-checked always (this also bounds them against wrapping around), and public if asked.
    fn inputs(&mut self) {
        for id in self.graph.inputs.clone() {
            let tensor = &self.graph.tensors[id.0 as usize];
            let (name, range, visibility) = (tensor.name.clone(), tensor.range, tensor.visibility);
            let shape = tensor.shape.clone();
            let representation = self.bounded_input(id, range, &shape);
            self.representations[id.0 as usize] = Some(representation);
            if let Some(shown) = self.shown(id, visibility) {
                self.tie(&format!("input {name}"), id, &shown);
            }
        }
    }

    /// Lowers everything but linear layers, which wait until somebody has read their accumulators.
    fn node(&mut self, index: usize) -> Result<(), LowerError> {
        let node = &self.graph.nodes[index];
        match &node.op {
            Op::Dense { .. } | Op::Conv { .. } | Op::MatMul => Ok(()),
            Op::Requantize { shift, table } => self.requantize(index, *shift, *table),
            Op::RequantizeMax {
                shift,
                table,
                geometry,
            } => self.requantize_max(index, *shift, *table, geometry),
            Op::MaxPool { geometry, table } => self.max_pool(index, geometry, *table),
            Op::ArgMax => self.argmax(index),
            Op::TopK { k, largest } => self.top_k(index, *k, *largest),
            Op::Reshape | Op::Transpose { .. } => self.view(index),
            Op::SumPool { geometry } => {
                let shape = self.output_shape(index);
                let outputs = [shape[2], shape[3]];
                let x =
                    self.operand_where(index, 0, |x| x.window_sums(geometry, outputs).is_some())?;
                self.spend(index, geometry.taps().saturating_mul(x.terms.len()))?;
                let sums = x.window_sums(geometry, outputs);
                let sums = sums.ok_or_else(|| self.unsupported(index, "it cannot be pooled"))?;
                self.represent(node.output, &sums)
            }
            Op::Affine { pieces, constant } => self.affine(index, pieces, *constant),
            Op::Constant { weights } => self.constant(index, *weights),
            Op::Product => self.product(index),
            Op::Reciprocal { numerator } => self.reciprocal(index, *numerator),
            Op::Root => self.root(index),
            Op::Positive { bits } => self.positive(index, *bits),
            Op::MaxTable { table } => self.max_table(index, *table),
            Op::Gather { weights } => self.gather(index, *weights),
        }
    }

    fn layer(&mut self, index: usize) -> Result<(), LowerError> {
        match &self.graph.nodes[index].op {
            Op::Dense { weights, bias } => self.dense(index, *weights, *bias),
            Op::Conv {
                weights,
                bias,
                geometry,
                groups,
            } => self.conv(index, (*weights, *bias), geometry, *groups),
            Op::MatMul => self.matmul(index),
            _ => Ok(()),
        }
    }

    /// Public outputs are tied to an instance, or are one if they have no cell yet.
    fn outputs(&mut self) -> Result<(), LowerError> {
        for id in self.graph.outputs.clone() {
            let tensor = &self.graph.tensors[id.0 as usize];
            let (name, visibility) = (tensor.name.clone(), tensor.visibility);
            if self.instances.contains(&id) {
                continue;
            }
            let Some(shown) = self.shown(id, visibility) else {
                continue;
            };
            if self.representations[id.0 as usize].is_some() {
                self.tie(&format!("output {name}"), id, &shown);
            } else {
                self.represent(id, &shown)?;
            }
        }
        Ok(())
    }

    /// The values of a tensor in the statement, if it has any: public ones, or those of a commitment.
    fn shown(&mut self, id: TensorId, visibility: Visibility) -> Option<Representation> {
        match visibility {
            Visibility::Private => None,
            Visibility::Public => Some(self.public(id)),
            Visibility::Committed => {
                let tensor = &self.graph.tensors[id.0 as usize];
                let (name, shape) = (tensor.name.clone(), tensor.shape.clone());
                let track = self.builder.boundary(name, self.len(id));
                self.boundaries.push((id, track));
                Some(Representation::of(Source::Track(track), 0, &shape))
            }
        }
    }

    /// The tensor's public values.
    fn public(&mut self, id: TensorId) -> Representation {
        let instance = self.instance(id);
        let shape = &self.graph.tensors[id.0 as usize].shape;
        Representation::of(Source::Instance(instance), 0, shape)
    }

    pub(crate) fn instance(&mut self, id: TensorId) -> InstanceId {
        let tensor = &self.graph.tensors[id.0 as usize];
        self.instances.push(id);
        self.builder.instance(tensor.name.clone(), self.len(id))
    }
}

impl<F> Lowered<F> {
    /// Phase-1 cells of a run, by track in order of position; the engine pads and counts multiplicities.
    #[must_use]
    pub fn witness(&self, trace: &Trace) -> Vec<(TrackId, Vec<i64>)> {
        let mut tracks: BTreeMap<TrackId, Vec<i64>> = BTreeMap::new();
        for ((owner, role), region) in &self.regions {
            let values = trace.cells.get(&(*owner, *role));
            let cells = tracks.entry(region.track).or_default();
            cells.resize(cells.len().max(region.start + region.len), 0);
            if let Some(values) = values {
                cells[region.start..region.start + values.len()].copy_from_slice(values);
            }
        }
        tracks.into_iter().collect()
    }

    /// Cells of the tensor tracks for these weights.
    #[must_use]
    pub fn tensors(&self, graph: &Graph, values: &WeightValues) -> Vec<(TrackId, Vec<i64>)> {
        let mut tracks: BTreeMap<TrackId, Vec<i64>> = BTreeMap::new();
        for place in &self.weights {
            let cells = tracks.entry(place.track).or_default();
            let cols = graph.weights[place.weight.0 as usize].cols.max(1);
            for (row, values) in values.0[place.weight.0 as usize].chunks(cols).enumerate() {
                let start = place.start + row * place.stride;
                cells.resize(cells.len().max(start + values.len()), 0);
                cells[start..start + values.len()].copy_from_slice(values);
            }
        }
        tracks.into_iter().collect()
    }
}
