//! Every gate, linear constraint and lookup of every gadget is needed: for each there is a faulty witness that breaks it
//! alone, so that deleting it would let the fault pass. The names come from the lowered systems, so none can be missed.
//!
//! What the engine itself adds for every lookup (helper gates, the lookup sum) is deleted in the attack suite.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{Inject, Net, instances, witness};
use pasta_curves::Fp;
use zkernel_engine::mock::{Cells, Failure, derive, residual, violations};
use zkernel_engine::{Error, Witness};
use zkernel_gadgets::model::{
    Function, Geometry, Honest, Interval, Lowered, Visibility, lower, run,
};
use zkernel_verifier::challenge::{Challenge, Challenges};
use zkernel_verifier::curve::signed;
use zkernel_verifier::form::TrackId;
use zkernel_verifier::system::{ConstraintSystem, Derivation, TrackKind};

const INPUT: Interval = Interval::new(-4, 3);

fn nets() -> Vec<(&'static str, Net)> {
    let dense = |shape: &[usize]| Net::new(shape, INPUT, Visibility::Public, 5);
    let plane = || Net::new(&[1, 1, 3, 3], INPUT, Visibility::Private, 4);
    let one = Geometry::window([1, 1], [1, 1]);
    let two = Geometry::window([2, 2], [2, 2]);
    let padded = Geometry {
        before: [1, 0],
        ..Geometry::window([2, 1], [2, 2])
    };
    let identity = |net: Net| net.requantize(1, Function::Identity, 8, [1.0, 1.0]);
    vec![
        (
            "dense, relu",
            dense(&[1, 2]).dense(2).relu(3, 6).dense(2).done(),
        ),
        (
            "sigmoid",
            dense(&[1, 2])
                .dense(1)
                .requantize(2, Function::Sigmoid, 6, [0.25, 0.01])
                .done(),
        ),
        ("two limbs", dense(&[1, 1]).dense(1).relu(9, 6).done()),
        (
            "argmax",
            dense(&[1, 2]).dense(2).within(120).argmax().done(),
        ),
        (
            "argmax of values",
            identity(dense(&[1, 2]).dense(2)).argmax().done(),
        ),
        ("convolution", plane().conv(1, padded, 1).relu(2, 6).done()),
        (
            "depthwise",
            Net::new(&[1, 2, 2, 2], INPUT, Visibility::Private, 4)
                .conv(2, two, 2)
                .relu(2, 6)
                .done(),
        ),
        (
            "max pooling",
            identity(plane().conv(1, one, 1)).max_pool(two).done(),
        ),
        (
            "fused max pooling",
            plane().conv(1, one, 1).requantize_max(1, 6, two).done(),
        ),
        ("sums", identity(plane().sum_pool(padded)).done()),
        ("addition", {
            let net = dense(&[1, 2]);
            let x = net.last;
            identity(net.dense(2).add(x, [2, 3])).done()
        }),
        (
            "copies",
            plane()
                .relu(0, 2)
                .max_pool(padded)
                .flatten()
                .dense(1)
                .done(),
        ),
    ]
}

/// Names of everything that must be needed.
fn names(system: &ConstraintSystem<Fp>) -> BTreeSet<String> {
    let gates = system.gates.iter().map(|gate| &gate.name);
    let gates = gates.filter(|name| !name.ends_with("/gate"));
    let constraints = system.constraints.iter().map(|c| &c.name);
    let constraints = constraints.filter(|name| *name != "lookup sum");
    let lookups = system.lookups.iter().map(|lookup| &lookup.name);
    gates.chain(constraints).chain(lookups).cloned().collect()
}

struct Checker<'a> {
    lowered: &'a Lowered<Fp>,
    tensors: Cells<Fp>,
    challenges: Challenges<Fp>,
}

impl<'a> Checker<'a> {
    fn new(net: &Net, lowered: &'a Lowered<Fp>) -> Self {
        let mut challenges = Challenges::new();
        for (i, challenge) in (1u64..).zip(Challenge::ALL) {
            challenges.set(challenge, Fp::from(i * 982_451_653 + 7).square());
        }
        let system = &lowered.system;
        let mut tensors = Cells::new();
        for (id, values) in lowered.tensors(&net.graph, &net.weights) {
            let track = system.track(id).unwrap();
            let mut values: Vec<Fp> = values.iter().map(|v| signed(*v)).collect();
            values.resize(track.columns * track.width, Fp::zero());
            tensors.insert(id, values);
        }
        Self {
            lowered,
            tensors,
            challenges,
        }
    }

    /// All cells with phase 2, or the lookup that fails.
    fn cells(&self, witness: &Witness<Fp>) -> Result<Cells<Fp>, String> {
        let system = &self.lowered.system;
        let assignment = witness.complete(system).map_err(|error| match error {
            Error::NotInTable { lookup, .. } => lookup,
            other => panic!("{other}"),
        })?;
        let mut cells = self.tensors.clone();
        cells.extend(system.fixed.iter().cloned());
        for (id, body) in &assignment.tracks {
            cells.insert(*id, (0..body.len()).filter_map(|i| body.get(i)).collect());
        }
        derive(system, &self.challenges, &mut cells);
        Ok(cells)
    }

    fn broken(&self, public: &[Vec<Fp>], cells: &Cells<Fp>) -> Vec<String> {
        let failures = violations(&self.lowered.system, public, &self.challenges, cells);
        let name = |failure| match failure {
            Failure::Gate { gate, .. } => gate,
            Failure::Constraint(name) | Failure::Witness(name) => name,
        };
        failures.into_iter().map(name).collect()
    }

    /// What a witness breaks; a failing lookup hides the rest, so it is lifted by counting it alone if nothing else would
    /// notice: the tuple's cells are as the run computed them.
    fn all_broken(
        &self,
        public: &[Vec<Fp>],
        witness: &Witness<Fp>,
    ) -> (Vec<String>, Option<Cells<Fp>>) {
        match self.cells(witness) {
            Ok(cells) => (self.broken(public, &cells), Some(cells)),
            Err(lookup) => {
                let mut broken = vec![lookup.clone()];
                let mut without = self.lowered.system.clone();
                without.lookups.retain(|l| l.name != lookup);
                let relaxed = Lowered {
                    system: without,
                    ..self.lowered.clone()
                };
                let checker = Checker {
                    lowered: &relaxed,
                    tensors: self.tensors.clone(),
                    challenges: self.challenges.clone(),
                };
                broken.extend(checker.all_broken(public, witness).0);
                (broken, None)
            }
        }
    }

    /// From a witness that breaks one layer's sum alone: changes of V, Z and P that make it hold and break their own tie.
    fn phase_two(
        &self,
        public: &[Vec<Fp>],
        sum: &str,
        cells: &Cells<Fp>,
        found: &mut BTreeSet<String>,
    ) {
        let system = &self.lowered.system;
        let Some(layer) = sum.strip_suffix("/Y") else {
            return;
        };
        let constraint = system.constraints.iter().find(|c| c.name == sum).unwrap();
        let gap = -residual(constraint, public, &self.challenges, cells).unwrap();
        let tracks: BTreeMap<&str, TrackId> = (0u32..)
            .zip(&system.tracks)
            .filter(|(_, t)| t.kind == TrackKind::Advice(zkernel_verifier::system::Phase::Two))
            .map(|(id, t)| (t.name.as_str(), TrackId(id)))
            .collect();
        let [v, z, p] = ["V", "Z", "P"].map(|name| tracks[name]);
        let target = system.derivations.iter().find_map(|d| match d {
            Derivation::Contract(c) if c.name == format!("{layer}/V") => Some(c.target),
            _ => None,
        });
        let target = target.unwrap();
        let inverse = |x: Fp| Option::<Fp>::from(ff::Field::invert(&x));
        // A convolution with groups weighs its products: rho^(rows of the groups before).
        let probe = |changed: &mut Cells<Fp>, track, cell: usize, by: Fp| {
            changed.get_mut(&track).unwrap()[cell] += by;
        };
        for cell in target.start..target.start + target.len {
            let mut unit = cells.clone();
            probe(&mut unit, p, cell, Fp::one());
            let weight = residual(constraint, public, &self.challenges, &unit).unwrap() + gap;
            let Some(weight) = inverse(weight) else {
                continue;
            };
            for (track, other) in [(p, None), (v, Some(z)), (z, Some(v))] {
                let mut changed = cells.clone();
                probe(&mut changed, p, cell, gap * weight);
                if let Some(other) = other {
                    let Some(factor) = inverse(cells[&other][cell]) else {
                        continue;
                    };
                    probe(&mut changed, track, cell, gap * weight * factor);
                }
                if let [name] = &self.broken(public, &changed)[..] {
                    found.insert(name.clone());
                }
            }
        }
    }
}

#[test]
fn everything_is_needed() {
    for (what, net) in nets() {
        let lowered = lower::<Fp>(&net.graph, 5).unwrap();
        let checker = Checker::new(&net, &lowered);
        let x = net.input(3);
        let honest = run(&net.graph, &net.weights, &x, &mut Honest).unwrap();
        let claimed = instances(&lowered, &honest);
        assert_eq!(
            checker.all_broken(&claimed, &witness(&lowered, &honest)).0,
            [""; 0],
            "{what}"
        );
        let mut counter = Inject::default();
        run(&net.graph, &net.weights, &x, &mut counter).unwrap();
        let all = names(&lowered.system);
        let mut found = BTreeSet::new();
        let mut note = |public: &[Vec<Fp>], witness: &Witness<Fp>| {
            let (broken, cells) = checker.all_broken(public, witness);
            if let ([name], cells) = (&broken[..], cells) {
                if let Some(cells) = cells.filter(|_| !found.contains(name)) {
                    checker.phase_two(public, name, &cells, &mut found);
                }
                found.insert(name.clone());
            }
        };
        let deltas = [1, -1, 2, -2, 64, -64, 1 << 12];
        let mut wrong = claimed.clone();
        wrong.iter_mut().flatten().for_each(|v| *v += Fp::one());
        note(&wrong, &witness(&lowered, &honest));
        // Single cells, nothing propagated.
        for (track, cells) in lowered.witness(&honest) {
            for cell in 0..cells.len() {
                for delta in deltas {
                    let mut changed = witness(&lowered, &honest);
                    let mut values = cells.clone();
                    values[cell] += delta;
                    changed.tracks.retain(|(id, _)| *id != track);
                    changed.assign(track, values);
                    note(&claimed, &changed);
                }
            }
        }
        // One or two faults, propagated, with the claimed output or the one that follows.
        let single = (0..counter.seen).flat_map(|a| deltas.map(|d| vec![(a, d)]));
        let pairs = (0..counter.seen).flat_map(|a| {
            let second = a + 1..counter.seen.min(a + 24);
            second.flat_map(move |b| {
                [(1, -1), (-1, 1), (1, 1), (-1, -1)].map(|(d, e)| vec![(a, d), (b, e)])
            })
        });
        for faults in single.chain(pairs) {
            let trace = run(&net.graph, &net.weights, &x, &mut Inject::new(&faults)).unwrap();
            let changed = witness(&lowered, &trace);
            note(&claimed, &changed);
            note(&instances(&lowered, &trace), &changed);
        }
        let missing: Vec<&String> = all.difference(&found).collect();
        assert!(
            missing.is_empty(),
            "{what}: nothing needs {missing:?}, only {found:?}"
        );
    }
}
