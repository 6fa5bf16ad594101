//! Tree ensembles, of all versions: random trees of every kind of branch are followed as their lists say, by the float run and by the
//! integer run.

use proptest::prelude::*;
use zkernel_onnx::Options;

use crate::classic::{runs_as, values};
use crate::network::{Attribute, Attribute::*, Network, floats};
use crate::visibility::proven;

const MODES: [&str; 6] = [
    "BRANCH_LEQ",
    "BRANCH_LT",
    "BRANCH_GTE",
    "BRANCH_GT",
    "BRANCH_EQ",
    "BRANCH_NEQ",
];

/// A node of a tree.
#[derive(Clone, Debug)]
enum Node {
    Branch {
        mode: usize,
        feature: usize,
        threshold: f32,
        members: Vec<f32>,
        next: [usize; 2],
    },
    Leaf(Vec<f32>),
}

/// A tree of that depth, grown at random.
fn grown(seed: u64, depth: usize, features: usize, outputs: usize, modes: usize) -> Vec<Node> {
    let random = values(seed, 4000);
    let mut at = 0;
    let mut next = || {
        at += 1;
        random[at % random.len()]
    };
    let mut nodes = vec![None];
    let mut open = vec![(0, 0)];
    while let Some((node, level)) = open.pop() {
        if level == depth || next() < -0.6 {
            nodes[node] = Some(Node::Leaf((0..outputs).map(|_| next()).collect()));
            continue;
        }
        let children = [nodes.len(), nodes.len() + 1];
        nodes.extend([None, None]);
        let pick = |v: f32, count: usize| ((v + 1.0) / 2.0 * count as f32) as usize % count;
        nodes[node] = Some(Node::Branch {
            mode: pick(next(), modes),
            feature: pick(next(), features),
            // Halves, which features can be equal to.
            threshold: (next() * 4.0).round() / 4.0,
            members: vec![(next() * 4.0).round() / 4.0, (next() * 4.0).round() / 4.0],
            next: children,
        });
        open.extend(children.map(|child| (child, level + 1)));
    }
    nodes.into_iter().map(Option::unwrap).collect()
}

fn leaf<'a>(tree: &'a [Node], x: &[f32]) -> &'a [f32] {
    let mut at = 0;
    loop {
        match &tree[at] {
            Node::Leaf(weights) => return weights,
            Node::Branch {
                mode,
                feature,
                threshold,
                members,
                next,
            } => {
                let (v, t) = (x[*feature], *threshold);
                let yes = [
                    v <= t,
                    v < t,
                    v >= t,
                    v > t,
                    v == t,
                    v != t,
                    members.contains(&v),
                ][*mode];
                at = next[usize::from(!yes)];
            }
        }
    }
}

/// The lists of `TreeEnsembleClassifier` and `TreeEnsembleRegressor`.
fn lists(trees: &[Vec<Node>], names: [&'static str; 4]) -> Vec<Attribute> {
    let nodes = || {
        trees
            .iter()
            .enumerate()
            .flat_map(|(t, tree)| tree.iter().enumerate().map(move |(n, node)| (t, n, node)))
    };
    let list = |of: &dyn Fn(&Node) -> i64| nodes().map(|(.., node)| of(node)).collect::<Vec<i64>>();
    let child = |side: usize| {
        move |node: &Node| match node {
            Node::Branch { next, .. } => next[side] as i64,
            Node::Leaf(_) => 0,
        }
    };
    let leaves = || {
        nodes().flat_map(|(t, n, node)| match node {
            Node::Leaf(weights) => weights
                .iter()
                .enumerate()
                .map(|(i, w)| (t as i64, n as i64, i as i64, *w))
                .collect(),
            Node::Branch { .. } => Vec::new(),
        })
    };
    let feature = |node: &Node| {
        if let Node::Branch { feature, .. } = node {
            *feature as i64
        } else {
            0
        }
    };
    let threshold = |node: &Node| {
        if let Node::Branch { threshold, .. } = node {
            *threshold
        } else {
            0.0
        }
    };
    let mode = |node: &Node| {
        if let Node::Branch { mode, .. } = node {
            MODES[*mode]
        } else {
            "LEAF"
        }
    };
    vec![
        List("nodes_treeids", nodes().map(|(t, ..)| t as i64).collect()),
        List("nodes_nodeids", nodes().map(|(_, n, _)| n as i64).collect()),
        List("nodes_featureids", list(&feature)),
        List("nodes_truenodeids", list(&child(0))),
        List("nodes_falsenodeids", list(&child(1))),
        Floats(
            "nodes_values",
            nodes().map(|(.., node)| threshold(node)).collect(),
        ),
        Texts(
            "nodes_modes",
            nodes().map(|(.., node)| mode(node)).collect(),
        ),
        List(names[0], leaves().map(|l| l.0).collect()),
        List(names[1], leaves().map(|l| l.1).collect()),
        List(names[2], leaves().map(|l| l.2).collect()),
        Floats(names[3], leaves().map(|l| l.3).collect()),
    ]
}

const TARGETS: [&str; 4] = [
    "target_treeids",
    "target_nodeids",
    "target_ids",
    "target_weights",
];
const CLASSES: [&str; 4] = [
    "class_treeids",
    "class_nodeids",
    "class_ids",
    "class_weights",
];

/// Features that are quarters: some equal a threshold.
fn quarters(features: i64) -> Network {
    let network = Network::new(&[1, features])
        .constant("by", &[1], &[4.0])
        .constant("part", &[1], &[0.25]);
    let network = network
        .node("Mul", &["x", "by"], "m", &[])
        .node("Round", &["m"], "r", &[]);
    network.node("Mul", &["r", "part"], "q", &[])
}

fn quarter(v: &f32) -> f32 {
    (v * 4.0).round_ties_even() / 4.0
}

fn forest(
    seed: u64,
    count: usize,
    depth: usize,
    features: usize,
    outputs: usize,
    modes: usize,
) -> Vec<Vec<Node>> {
    (0..count as u64)
        .map(|i| grown(seed * 31 + i, depth, features, outputs, modes))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn regressors((seed, count, depth, features, outputs, aggregate) in (0u64..1000, 1usize..7, 0usize..5, 1usize..5, 1usize..4, 0usize..4)) {
        let trees = forest(seed, count, depth, features, outputs, 6);
        let mut with = lists(&trees, TARGETS);
        let base: Vec<f32> = values(seed + 9, outputs);
        with.extend([
            Int("n_targets", outputs as i64),
            Text("aggregate_function", ["SUM", "AVERAGE", "MIN", "MAX"][aggregate]),
            Floats("base_values", base.clone()),
        ]);
        let network = quarters(features as i64).classic("TreeEnsembleRegressor", &["q"], &["y"], &with).output("y");
        runs_as(&network.read().unwrap(), |x| {
            let x: Vec<f32> = x.iter().map(quarter).collect();
            let of_output = |o: usize| {
                let all: Vec<f32> = trees.iter().map(|tree| leaf(tree, &x)[o]).collect();
                let sum: f32 = all.iter().sum();
                base[o] + match aggregate {
                    0 => sum,
                    1 => sum / trees.len() as f32,
                    2 => all.iter().copied().fold(f32::MAX, f32::min),
                    _ => all.iter().copied().fold(f32::MIN, f32::max),
                }
            };
            vec![(0..outputs).map(of_output).collect()]
        });
    }

    #[test]
    fn classifiers((seed, count, classes) in (0u64..1000, 1usize..5, 2usize..5)) {
        let trees = forest(seed, count, 4, 4, classes, 6);
        let labels: Vec<i64> = (0..classes as i64).map(|i| 3 * i - 2).collect();
        let mut with = lists(&trees, CLASSES);
        with.extend([List("classlabels_int64s", labels.clone()), Text("post_transform", "SOFTMAX")]);
        let network = quarters(4).classic("TreeEnsembleClassifier", &["q"], &["l", "y"], &with);
        runs_as(&network.output("l").output("y").read().unwrap(), |x| {
            let x: Vec<f32> = x.iter().map(quarter).collect();
            let score = |c: usize| trees.iter().map(|tree| leaf(tree, &x)[c]).sum::<f32>();
            let scores: Vec<f32> = (0..classes).map(score).collect();
            let best = (0..classes).fold(0, |b, i| if scores[i] > scores[b] { i } else { b });
            let sum: f32 = scores.iter().map(|s| s.exp()).sum();
            vec![vec![labels[best] as f32], scores.iter().map(|s| s.exp() / sum).collect()]
        });
    }

    #[test]
    fn later_versions((seed, count, depth) in (0u64..1000, 1usize..5, 1usize..5)) {
        let trees = forest(seed, count, depth, 3, 1, 7);
        let network = quarters(3).classic("TreeEnsemble", &["q"], &["y"], &version_5(&trees)).output("y");
        runs_as(&network.read().unwrap(), |x| {
            let x: Vec<f32> = x.iter().map(quarter).collect();
            vec![vec![trees.iter().map(|tree| leaf(tree, &x)[0]).sum()]]
        });
    }
}

/// A set that has zero twice, once with a sign.
#[test]
fn both_zeros_are_one_member() {
    let branch = Node::Branch {
        mode: 6,
        feature: 0,
        threshold: 0.0,
        members: vec![-0.0, 0.0],
        next: [1, 2],
    };
    let trees = [vec![branch, Node::Leaf(vec![1.0]), Node::Leaf(vec![2.0])]];
    let network = quarters(1).classic("TreeEnsemble", &["q"], &["y"], &version_5(&trees));
    let model = network.output("y").read().unwrap();
    for (x, y) in [(0.0, 1.0), (-0.01, 1.0), (0.25, 2.0), (-0.25, 2.0)] {
        assert_eq!(model.run(&[vec![x]]).unwrap(), [vec![y]], "{x}");
    }
}

/// The lists of `TreeEnsemble`, in which leaves are apart and a tree that is a leaf has a branch whose sides are the same.
fn version_5(trees: &[Vec<Node>]) -> Vec<Attribute> {
    let (mut features, mut modes, mut splits, mut members) = (vec![], vec![], vec![], vec![]);
    let (mut next, mut is_leaf) = ([vec![], vec![]], [vec![], vec![]]);
    let (mut roots, mut weights): (Vec<i64>, Vec<f32>) = (vec![], vec![]);
    for tree in trees {
        roots.push(features.len() as i64);
        let mut places = vec![(false, 0i64); tree.len()];
        let (mut branches, first) = (0, features.len() as i64);
        for (node, place) in tree.iter().zip(&mut places) {
            *place = match node {
                Node::Leaf(w) => {
                    weights.push(w[0]);
                    (true, weights.len() as i64 - 1)
                }
                Node::Branch { .. } => {
                    branches += 1;
                    (false, first + branches - 1)
                }
            };
        }
        for node in tree {
            let Node::Branch {
                mode,
                feature,
                threshold,
                members: set,
                next: children,
            } = node
            else {
                continue;
            };
            features.push(*feature as i64);
            modes.push(*mode as f32);
            splits.push(*threshold);
            if *mode == 6 {
                members.extend(set.iter().copied().chain([f32::NAN]));
            }
            for side in 0..2 {
                let (leaf, place) = places[children[side]];
                next[side].push(place);
                is_leaf[side].push(i64::from(leaf));
            }
        }
        if let [Node::Leaf(_)] = tree.as_slice() {
            features.push(0);
            modes.push(0.0);
            splits.push(0.0);
            for side in 0..2 {
                next[side].push(weights.len() as i64 - 1);
                is_leaf[side].push(1);
            }
        }
    }
    let tensor = |values: &[f32]| Box::new(floats("t", &[values.len() as i64], values));
    let [yes, no] = next;
    let [yes_leaf, no_leaf] = is_leaf;
    vec![
        List("tree_roots", roots),
        List("nodes_featureids", features),
        Tensor("nodes_modes", tensor(&modes)),
        Tensor("nodes_splits", tensor(&splits)),
        Tensor("membership_values", tensor(&members)),
        List("nodes_truenodeids", yes),
        List("nodes_falsenodeids", no),
        List("nodes_trueleafs", yes_leaf),
        List("nodes_falseleafs", no_leaf),
        List("leaf_targetids", vec![0; weights.len()]),
        Tensor("leaf_weights", tensor(&weights)),
        Int("n_targets", 1),
    ]
}

/// One column of weights is the score of the second of two classes: above 1/2 if no weight is negative, else above 0.
#[test]
fn one_score_of_two_classes() {
    for positive in [true, false] {
        let mut trees = forest(11, 4, 3, 4, 1, 4);
        for weight in trees.iter_mut().flatten() {
            if let Node::Leaf(weights) = weight {
                weights.iter_mut().for_each(|w| {
                    *w = if positive {
                        (w.abs() / 4.0).max(0.01)
                    } else {
                        *w
                    }
                });
            }
        }
        let mut with = lists(&trees, CLASSES);
        with.extend([List("classlabels_int64s", vec![0, 1])]);
        let network =
            Network::new(&[1, 4]).classic("TreeEnsembleClassifier", &["x"], &["l", "y"], &with);
        let model = network.output("l").output("y").read().unwrap();
        runs_as(&model, |x| {
            let score: f32 = trees.iter().map(|tree| leaf(tree, x)[0]).sum();
            let (threshold, all) = if positive { (0.5, 1.0) } else { (0.0, 0.0) };
            vec![
                vec![f32::from(u8::from(score > threshold))],
                vec![all - score, score],
            ]
        });
        proven(&model, Options::default());
    }
}

/// Many trees of different size: groups of like size, and a circuit that accepts them.
#[test]
fn forests_in_groups() {
    let trees: Vec<Vec<Node>> = (0..24)
        .map(|i| grown(i, 2 + i as usize % 5, 5, 3, 4))
        .collect();
    let mut with = lists(&trees, CLASSES);
    with.extend([List("classlabels_int64s", vec![0, 1, 2])]);
    let network =
        Network::new(&[1, 5]).classic("TreeEnsembleClassifier", &["x"], &["l", "y"], &with);
    let model = network.output("l").output("y").read().unwrap();
    runs_as(&model, |x| {
        let score = |c: usize| trees.iter().map(|tree| leaf(tree, x)[c]).sum::<f32>();
        let scores: Vec<f32> = (0..3).map(score).collect();
        let best = (0..3).fold(0, |b, i| if scores[i] > scores[b] { i } else { b });
        vec![vec![best as f32], scores]
    });
    let quantized = proven(&model, Options::default());
    let branches = trees
        .iter()
        .flatten()
        .filter(|n| matches!(n, Node::Branch { .. }))
        .count();
    let leaves = trees.iter().flatten().count() - branches;
    let weights: usize = quantized
        .graph
        .weights
        .iter()
        .map(|w| w.rows * w.cols)
        .sum();
    assert!(
        leaves * branches > 1 << 14 && weights < leaves * branches / 2,
        "{weights} weights of {leaves} x {branches}"
    );
}
