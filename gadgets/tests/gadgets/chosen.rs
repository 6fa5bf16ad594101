//! The largest values of rows: the run is the definition, the circuit accepts it and nothing else.

use proptest::prelude::*;
use zkernel_gadgets::model::{Assign, Honest, Interval, Op, Role, Site, TensorId, Visibility};

use super::circuits::{Sample, weights};
use super::sketch::{Circuit, Forge, Sketch};

const PRIVATE: Visibility = Visibility::Private;
const PUBLIC: Visibility = Visibility::Public;

/// Values and positions of the k largest or smallest of every row of a tensor of that shape.
fn choice(
    sketch: &mut Sketch,
    x: TensorId,
    (shape, k, largest): (&[usize], usize, bool),
) -> TensorId {
    let lead = &shape[..shape.len() - 1];
    let stacked = [&[2], lead, &[k]].concat();
    let range = Interval::new(-1 << 10, 1 << 10);
    sketch.op("choice", Op::TopK { k, largest }, &[x], &stacked, range)
}

/// The two largest of rows with equal values, over several axes.
pub fn largest() -> Sample {
    let shape = [2, 2, 3];
    let (mut sketch, id) = Sketch::new(&shape, Interval::new(-8, 7), PRIVATE);
    let y = choice(&mut sketch, id, (&shape, 2, true));
    Sample {
        name: "largest",
        circuit: sketch.circuit(y, PUBLIC, 5),
        x: vec![3, 5, 5, -8, -8, -8, 7, 6, 7, 1, 2, 3],
    }
}

/// Accumulators in rising order, all of them, in limbs of four bits.
pub fn sorted() -> Sample {
    let (mut sketch, id) = Sketch::new(&[1, 3], Interval::new(-8, 7), PRIVATE);
    sketch.limb_bits(4);
    let acc = sketch.dense("fc", id, weights(12, 9), &[4, 3, 4, 40]);
    let y = choice(&mut sketch, acc, (&[1, 4], 4, false));
    Sample {
        name: "sorted",
        circuit: sketch.circuit(y, PUBLIC, 5),
        x: vec![1, 2, 3],
    }
}

fn circuit(shape: &[usize], k: usize, largest: bool) -> Circuit {
    let (mut sketch, id) = Sketch::new(shape, Interval::new(-8, 7), PRIVATE);
    let y = choice(&mut sketch, id, (shape, k, largest));
    sketch.circuit(y, PUBLIC, 5)
}

/// By definition: one after the other, the best of what is left, the first of equal ones.
fn chosen(row: &[i64], k: usize, largest: bool) -> Vec<(i64, i64)> {
    let mut left: Vec<usize> = (0..row.len()).collect();
    let mut best = || {
        let better = |a: usize, b: usize| {
            if largest {
                row[b] > row[a]
            } else {
                row[b] < row[a]
            }
        };
        let (at, i) = left
            .iter()
            .copied()
            .enumerate()
            .reduce(|(at, a), (next, b)| if better(a, b) { (next, b) } else { (at, a) })
            .unwrap();
        left.remove(at);
        (row[i], i as i64)
    };
    (0..k).map(|_| best()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_run_is_the_definition_and_proven(
        lead in prop::collection::vec(1usize..4, 0..3), n in 1usize..12, part in 0.0f64..1.0, largest: bool,
        values in prop::collection::vec(-3i64..=3, 9 * 12),
    ) {
        let k = 1 + (part * n as f64) as usize;
        let shape = [&lead[..], &[n]].concat();
        let rows: usize = lead.iter().product();
        let circuit = circuit(&shape, k, largest);
        let x = &values[..rows * n];
        let trace = circuit.network.run(x, &mut Honest).unwrap();
        let expected: Vec<(i64, i64)> =
            x.chunks(n).flat_map(|row| chosen(row, k, largest)).collect();
        let (values, positions): (Vec<i64>, Vec<i64>) = expected.into_iter().unzip();
        prop_assert_eq!(circuit.network.output(&trace), [values, positions].concat());
        let failures = circuit.check(&trace);
        prop_assert!(failures.is_empty(), "{:?}", failures);
    }
}

/// A cheating prover who chooses other positions, and marks what the rules say or what was chosen.
struct Choose {
    positions: Vec<i64>,
    marks: Option<Vec<i64>>,
}

impl Assign for Choose {
    fn assign(&mut self, site: Site, value: i64) -> i64 {
        match (site.role, &self.marks) {
            (Role::Position, _) => self.positions[site.index],
            (Role::OneHot, Some(marks)) => marks[site.index],
            _ => value,
        }
    }

    fn lenient(&self) -> bool {
        true
    }
}

#[test]
fn every_other_choice_is_rejected() {
    let x = [2, 5, 5, 5];
    for (k, largest) in [(1, true), (2, true), (2, false), (3, true), (4, false)] {
        let circuit = circuit(&[1, 4], k, largest);
        let honest = circuit.network.run(&x, &mut Honest).unwrap();
        let own = circuit.network.output(&honest)[k..].to_vec();
        for number in 0..4usize.pow(k as u32) {
            let positions: Vec<i64> = (0..k as u32)
                .map(|r| (number / 4usize.pow(r) % 4) as i64)
                .collect();
            let marked = (0..4).map(|i| i64::from(positions.contains(&i))).collect();
            for marks in [None, Some(marked)] {
                let mut cheat = Choose {
                    positions: positions.clone(),
                    marks,
                };
                let trace = circuit.network.run(&x, &mut cheat).unwrap();
                let accepted = circuit.check(&trace).is_empty();
                assert_eq!(accepted, positions == own, "{k} {largest}: {positions:?}");
            }
        }
    }
}

/// A fault at any cell, with all that follows from it.
#[test]
fn propagated_faults_are_rejected() {
    for sample in [largest(), sorted()] {
        let circuit = &sample.circuit;
        let honest = circuit.network.run(&sample.x, &mut Honest).unwrap();
        let witness = circuit.lowered.witness(&honest);
        let choice = |owner| circuit.network.graph.nodes.len() - 1 == owner;
        let mut tried = 0;
        for ((owner, role), cells) in &honest.cells {
            let zkernel_gadgets::model::Owner::Node(node) = owner else {
                continue;
            };
            for (index, delta) in
                (0..cells.len()).flat_map(|i| [1, -1, 4, -4, 16, 256].map(|delta| (i, delta)))
            {
                let (owner, role) = (*owner, *role);
                let site = Site { owner, role, index };
                let mut forge = Forge(vec![(site, delta)]);
                let trace = circuit.network.run(&sample.x, &mut forge).unwrap();
                // What has no cell is no fault of this gadget's.
                if choice(*node) && circuit.lowered.witness(&trace) != witness {
                    assert!(
                        !circuit.check(&trace).is_empty(),
                        "{}: {site:?} {delta}",
                        sample.name
                    );
                    tried += 1;
                }
            }
        }
        assert!(tried > 100, "{}: {tried}", sample.name);
    }
}
