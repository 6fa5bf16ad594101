//! Nothing can be left out: for every gate, linear constraint and lookup of the samples, as listed by their systems,
//! there is a cheating prover whom this one alone stops.

use std::collections::{BTreeMap, BTreeSet};

use ff::Field;
use pasta_curves::Fp;
use zkernel_engine::mock;
use zkernel_gadgets::model::{Honest, Interval, Op, Owner, Role, Site, Trace};
use zkernel_verifier::form::TrackId;
use zkernel_verifier::system::{ConstraintSystem, Derivation, Lookup};

use super::algebra::{Algebra, name};
use super::circuits::{Sample, samples};
use super::sketch::Forge;

/// What cheating provers add to a cell.
const DELTAS: [i64; 12] = [1, -1, 2, -2, 5, -5, 16, 32, -32, 64, 128, 256];

#[test]
fn every_constraint_stops_a_cheat_that_nothing_else_stops() {
    // Cheats in what a secret table is folded from are the engine's attack suite's.
    let folded = |sample: &Sample| sample.circuit.lowered.system.table_sides.len() > 1;
    for sample in samples().into_iter().filter(|sample| !folded(sample)) {
        let mut stopped = Stopped::new(&sample);
        for forge in forges(&sample) {
            stopped.try_forge(&forge);
        }
        for x in extremes(&sample) {
            stopped.try_input(&x);
        }
        stopped.try_claims();
        let (system, found) = (&sample.circuit.lowered.system, &stopped.alone);
        let left: Vec<&String> = listed(system)
            .into_iter()
            .filter(|n| !found.contains_key(*n))
            .collect();
        assert!(
            left.is_empty(),
            "{}: {left:?} stop nobody alone",
            sample.name
        );
        for (name, cheat) in found {
            println!("{}: `{name}` alone stops {cheat}", sample.name);
        }
    }
}

#[test]
fn names_of_constraints_are_distinct() {
    for sample in samples() {
        let names = listed(&sample.circuit.lowered.system);
        let distinct: BTreeSet<&String> = names.iter().copied().collect();
        assert_eq!(distinct.len(), names.len(), "{}", sample.name);
    }
}

/// Every gate, linear constraint and lookup, helper gates and the lookup sum included.
fn listed(system: &ConstraintSystem<Fp>) -> Vec<&String> {
    let gates = system.gates.iter().map(|g| &g.name);
    let constraints = system.constraints.iter().map(|c| &c.name);
    let lookups = system.lookups.iter().map(|l| &l.name);
    gates.chain(constraints).chain(lookups).collect()
}

/// The constraints of a sample that have stopped a cheat which passes all others, with that cheat.
struct Stopped<'a> {
    sample: &'a Sample,
    honest: Trace,
    alone: BTreeMap<String, String>,
    /// The system without lookups, and each lookup without the rest.
    linear: ConstraintSystem<Fp>,
    lookups: Vec<ConstraintSystem<Fp>>,
}

impl<'a> Stopped<'a> {
    fn new(sample: &'a Sample) -> Self {
        let system = &sample.circuit.lowered.system;
        let (mut linear, mut none) = (system.clone(), system.clone());
        linear.lookups.clear();
        none.gates.clear();
        none.constraints.clear();
        let only = |lookup: &Lookup| {
            let mut one = none.clone();
            one.lookups = vec![lookup.clone()];
            one
        };
        Self {
            sample,
            honest: sample.circuit.network.run(&sample.x, &mut Honest).unwrap(),
            alone: BTreeMap::new(),
            lookups: system.lookups.iter().map(only).collect(),
            linear,
        }
    }

    /// A fault that propagates, under the claims that follow from it.
    fn try_forge(&mut self, forge: &Forge) {
        let circuit = &self.sample.circuit;
        let trace = circuit
            .network
            .run(&self.sample.x, &mut forge.clone())
            .unwrap();
        if self.is_true(&trace) {
            return;
        }
        self.try_trace(&trace, &format!("{forge:?}"));
    }

    /// An input that leaves ranges or tables, by a prover who goes on.
    fn try_input(&mut self, x: &[i64]) {
        let network = &self.sample.circuit.network;
        let trace = network.run(x, &mut Forge(Vec::new())).unwrap();
        if network.run(x, &mut Honest).is_err() {
            self.try_trace(&trace, &format!("the input {x:?}"));
        }
    }

    /// The honest cells under other claims.
    fn try_claims(&mut self) {
        let circuit = &self.sample.circuit;
        let claims = circuit.instances(&self.honest);
        for i in 0..claims.len() {
            let mut other = claims.clone();
            other[i][0] += Fp::ONE;
            let failures = circuit.check_claims(&self.honest, &other);
            assert!(!failures.is_empty(), "{}: claim {i}", self.sample.name);
            let broken = failures.iter().map(name).collect();
            self.blame(&broken, &format!("another claim {i}"));
        }
    }

    fn try_trace(&mut self, trace: &Trace, cheat: &str) {
        let broken = self.broken(trace);
        assert!(!broken.is_empty(), "{}: accepts {cheat}", self.sample.name);
        assert!(!self.sample.circuit.check(trace).is_empty());
        if self.blame(&broken, cheat) {
            let only = broken.first().cloned().unwrap_or_default();
            self.pass_on(trace, &only, cheat);
        }
    }

    /// Whether a trace is honest: another true statement, or a fault in what has no cell.
    fn is_true(&self, trace: &Trace) -> bool {
        let circuit = &self.sample.circuit;
        let (x, network) = (circuit.network.graph.inputs[0], &circuit.network);
        let other = network.run(&trace.values[x.0 as usize], &mut Honest);
        let same = |other: &Trace| {
            circuit.lowered.witness(other) == circuit.lowered.witness(trace)
                && circuit.instances(other) == circuit.instances(trace)
        };
        other.is_ok_and(|other| same(&other))
    }

    fn broken(&self, trace: &Trace) -> BTreeSet<String> {
        let circuit = &self.sample.circuit;
        let (witness, claims) = (circuit.witness(trace), circuit.instances(trace));
        let check = |system| mock::check(system, &claims, &witness, &circuit.tensors).unwrap();
        let failing = self.lookups.iter().filter(|one| !check(one).is_empty());
        let lookups = failing.map(|one| one.lookups[0].name.clone());
        let linear = check(&self.linear);
        lookups.chain(linear.iter().map(name)).collect()
    }

    /// Notes a cheat that one constraint alone stops; whether it is the first one.
    fn blame(&mut self, broken: &BTreeSet<String>, cheat: &str) -> bool {
        let (Some(only), 1) = (broken.first(), broken.len()) else {
            return false;
        };
        let first = !self.alone.contains_key(only);
        self.alone
            .entry(only.clone())
            .or_insert_with(|| cheat.into());
        first
    }

    /// Moves the fault to where phases 2 and 3 must catch it.
    fn pass_on(&mut self, trace: &Trace, only: &str, cheat: &str) {
        let algebra = Algebra::of(&self.sample.circuit, trace);
        let mut moved = Vec::new();
        if let Some(layer) = only.strip_suffix("/Y") {
            moved = through_products(&algebra, layer);
        } else if let Some(lookup) = algebra.system.lookups.iter().find(|l| l.name == only) {
            moved = through_helpers(&algebra, lookup);
        }
        for algebra in moved {
            let (broken, name) = (algebra.broken(), self.sample.name);
            assert!(!broken.is_empty(), "{name}: accepts {cheat}, passed on");
            self.blame(&broken, &format!("{cheat}, passed on"));
        }
    }
}

/// Single faults at every assignment, and the cheats that only several cells together make.
fn forges(sample: &Sample) -> Vec<Forge> {
    let honest = sample.circuit.network.run(&sample.x, &mut Honest).unwrap();
    let mut forges = Vec::new();
    for ((owner, role), cells) in &honest.cells {
        for index in 0..cells.len() {
            let (owner, role) = (*owner, *role);
            let site = Site { owner, role, index };
            forges.extend(DELTAS.map(|delta| Forge(vec![(site, delta)])));
        }
    }
    let nodes = &sample.circuit.network.graph.nodes;
    for (node, _) in nodes.iter().enumerate().filter(|(_, n)| n.op == Op::ArgMax) {
        let values = &honest.values[nodes[node].inputs[0].0 as usize];
        forges.extend(argmax_forges(&honest, node, values));
    }
    let tables = nodes.iter().enumerate();
    for (node, _) in tables.filter(|(_, n)| matches!(n.op, Op::MaxTable { .. })) {
        let values = &honest.values[nodes[node].inputs[0].0 as usize];
        forges.extend(marker_forges(&honest, node, values));
    }
    forges
}

/// Markers 2 and -1 in place of 1 and 0, where a row has two maxima.
fn marker_forges(honest: &Trace, node: usize, values: &[i64]) -> Vec<Forge> {
    let owner = Owner::Node(node);
    let maxima = &honest.cells[&(owner, Role::Maximum)];
    let classes = values.len() / maxima.len();
    let is_maximum = |i: &usize| values[*i] == maxima[i / classes];
    let role = Role::OneHot;
    let at = |index| Site { owner, role, index };
    let pairs = (0..values.len()).flat_map(|i| (0..values.len()).map(move |j| (i, j)));
    let ties = pairs
        .filter(|(i, j)| i < j && i / classes == j / classes && is_maximum(i) && is_maximum(j));
    ties.map(|(i, j)| Forge(vec![(at(i), 1), (at(j), -1)]))
        .collect()
}

/// For each row of an argmax: no maximum at all; a smaller one; and, where the second is one less, 2 and -1 in place of 1
/// and 0.
fn argmax_forges(honest: &Trace, node: usize, values: &[i64]) -> Vec<Forge> {
    let maxima = &honest.cells[&(Owner::Node(node), Role::Maximum)];
    let classes = values.len() / maxima.len();
    let at = |role, index| {
        let owner = Owner::Node(node);
        Site { owner, role, index }
    };
    let mut forges = Vec::new();
    for (row, maximum) in maxima.iter().enumerate() {
        let first = row * classes;
        let raised = (at(Role::Maximum, row), 1);
        forges.push(Forge(vec![raised, (at(Role::OneHot, first), -1)]));
        for (j, value) in values[first..first + classes].iter().enumerate() {
            let lowered = (at(Role::Maximum, row), value - maximum);
            forges.push(Forge(vec![lowered]));
            let two = (at(Role::OneHot, first), 2);
            forges.push(Forge(vec![lowered, two, (at(Role::OneHot, first + j), -2)]));
        }
    }
    forges
}

/// Inputs at the ends of their range and just beyond, one element and all of them.
fn extremes(sample: &Sample) -> Vec<Vec<i64>> {
    let graph = &sample.circuit.network.graph;
    let Interval { min, max } = graph.tensors[graph.inputs[0].0 as usize].range;
    let mut inputs = Vec::new();
    for value in [min - 1, min, max, max + 1] {
        inputs.push(vec![value; sample.x.len()]);
        for i in 0..sample.x.len() {
            let mut x = sample.x.clone();
            x[i] = value;
            inputs.push(x);
        }
    }
    for signs in 0..1u32 << sample.x.len().min(6) {
        let end = |i: usize| if signs >> (i % 6) & 1 == 1 { max } else { min };
        inputs.push((0..sample.x.len()).map(end).collect());
    }
    inputs
}

/// A wrong output of a linear layer that its `Y` constraint would catch, hidden in P, in V and in Z.
fn through_products<'a>(wrong: &Algebra<'a>, layer: &str) -> Vec<Algebra<'a>> {
    let system = wrong.system;
    let products = system.derivations.iter().find_map(|d| match d {
        Derivation::Product {
            left,
            right,
            target,
        } => Some((*left, *right, *target)),
        Derivation::Contract(_) => None,
    });
    let (v, z, p) = products.unwrap();
    let cells = region_of(wrong, layer);
    let both = |i: &usize| wrong.cells[&v][*i] != Fp::ZERO && wrong.cells[&z][*i] != Fp::ZERO;
    let Some(position) = cells.into_iter().find(both) else {
        return Vec::new();
    };
    // P enters the sum of the layer with a coefficient of its own for each group.
    let before = residual(wrong, layer);
    let mut in_p = wrong.clone();
    in_p.cells.get_mut(&p).unwrap()[position] += Fp::ONE;
    let coefficient = residual(&in_p, layer) - before;
    let change = -before * coefficient.invert().unwrap();
    in_p.cells.get_mut(&p).unwrap()[position] += change - Fp::ONE;
    let hidden = |changed: TrackId, other: TrackId| {
        let mut hidden = in_p.clone();
        let factor = wrong.cells[&other][position].invert().unwrap();
        hidden.cells.get_mut(&changed).unwrap()[position] += change * factor;
        hidden
    };
    vec![hidden(v, z), hidden(z, v), in_p]
}

fn residual(algebra: &Algebra<'_>, layer: &str) -> Fp {
    let name = format!("{layer}/Y");
    let constraint = algebra.system.constraints.iter().find(|c| c.name == name);
    let (constraint, instances) = (constraint.unwrap(), &algebra.instances);
    mock::residual(constraint, instances, &algebra.challenges, &algebra.cells).unwrap()
}

/// Positions of a layer's cells in the parallel tracks V, Z and P.
fn region_of(algebra: &Algebra<'_>, layer: &str) -> std::ops::Range<usize> {
    let of_weights = format!("{layer}/V");
    let of_activations = format!("{layer}/fold 0 0");
    let is_left = |name: &String| *name == of_weights || *name == of_activations;
    let targets = algebra.system.derivations.iter().find_map(|d| match d {
        Derivation::Contract(c) => is_left(&c.name).then_some(c.target),
        Derivation::Product { .. } => None,
    });
    let target = targets.unwrap();
    target.start..target.start + target.len
}

/// A row that is not in its table, hidden in the sum, in the lookup's helper and in the table's.
fn through_helpers<'a>(wrong: &Algebra<'a>, lookup: &Lookup) -> Vec<Algebra<'a>> {
    let helpers = wrong.system.lookups.iter().map(|l| l.helper);
    let helpers: BTreeSet<TrackId> = helpers.chain([wrong.side().helper]).collect();
    let sum: Fp = helpers.iter().flat_map(|id| &wrong.cells[id]).sum();
    let table = wrong.denominators(wrong.side().folded);
    let known: BTreeSet<Fp> = table.into_iter().collect();
    let mut in_helper = wrong.clone();
    let rows = wrong.denominators(lookup.folded);
    for (row, f) in rows.iter().enumerate().filter(|(_, f)| !known.contains(f)) {
        in_helper.cells.get_mut(&lookup.helper).unwrap()[row] -= f.invert().unwrap();
    }
    let mut in_table = wrong.clone();
    in_table.cells.get_mut(&wrong.side().helper).unwrap()[0] -= sum;
    vec![wrong.clone(), in_helper, in_table]
}
