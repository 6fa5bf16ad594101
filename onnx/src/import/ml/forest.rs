//! Decision trees as lists: comparisons of a feature with a threshold, and leaves, each with what every comparison on its path must be.

use std::collections::{BTreeMap, BTreeSet};

use super::super::attributes::{ints, strings};
use super::numbers;
use tract_onnx::pb::NodeProto;

/// 1 where `sign (x[feature] - threshold) > 0`, else 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Comparison {
    pub(super) feature: usize,
    pub(super) threshold: f32,
    pub(super) sign: f32,
}

/// A leaf is reached where `missing` plus the sum of `factor bit` over its path is zero; elsewhere it is negative.
#[derive(Clone, Debug, Default)]
pub(super) struct Leaf {
    pub(super) path: Vec<(usize, f32)>,
    pub(super) missing: f32,
    /// Weights by class or target.
    pub(super) weights: Vec<(usize, f32)>,
}

/// One tree; paths name its own comparisons.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    pub(super) comparisons: Vec<Comparison>,
    pub(super) leaves: Vec<Leaf>,
}

/// What is asked of a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    AtMost,
    Below,
    Above,
    AtLeast,
    Is,
    IsNot,
    Member,
}

/// A node of a tree, as a file has it.
pub(super) enum Entry {
    Branch {
        question: Question,
        feature: usize,
        values: Vec<f64>,
        /// Where it goes on if the answer is yes, and if it is no.
        next: [usize; 2],
    },
    Leaf(Vec<(usize, f32)>),
}

/// Bits whose sum is `yes` where the answer is yes and `no`, one more or one less, where it is no.
struct Answer {
    bits: Vec<usize>,
    yes: f32,
    no: f32,
}

impl Question {
    pub(super) fn named(mode: &[u8]) -> Option<Self> {
        Some(match mode {
            b"BRANCH_LEQ" => Self::AtMost,
            b"BRANCH_LT" => Self::Below,
            b"BRANCH_GT" => Self::Above,
            b"BRANCH_GTE" => Self::AtLeast,
            b"BRANCH_EQ" => Self::Is,
            b"BRANCH_NEQ" => Self::IsNot,
            b"BRANCH_MEMBER" => Self::Member,
            _ => return None,
        })
    }
}

impl Tree {
    /// The tree that starts at an entry.
    ///
    /// # Errors
    /// Where entries do not form a tree.
    pub(super) fn new(entries: &[Entry], root: usize) -> Result<Self, String> {
        let mut tree = Self::default();
        let mut open = vec![(root, Leaf::default())];
        while let Some((at, path)) = open.pop() {
            if path.path.len() > 4 * entries.len() || tree.leaves.len() > entries.len() {
                return Err("its nodes do not form trees".into());
            }
            match entries.get(at).ok_or("a child that does not exist")? {
                Entry::Leaf(weights) => tree.leaves.push(Leaf {
                    weights: weights.clone(),
                    ..path
                }),
                Entry::Branch {
                    question,
                    feature,
                    values,
                    next,
                } => {
                    let answer = tree.answer(*question, *feature, values);
                    open.push((next[1], answer.wanted(&path, false)));
                    open.push((next[0], answer.wanted(&path, true)));
                }
            }
        }
        Ok(tree)
    }

    /// Compares a feature, by as few comparisons as say yes or no.
    fn answer(&mut self, question: Question, feature: usize, values: &[f64]) -> Answer {
        let mut bits = Vec::new();
        let mut compare = |threshold: f32, sign: f32| {
            self.comparisons.push(Comparison {
                feature,
                threshold,
                sign,
            });
            bits.push(self.comparisons.len() - 1);
        };
        let first = values.first().map_or(0.0, |v| *v as f32);
        // Features and thresholds of 64 bits are rounded alike, so that what is equal stays so.
        let (yes, no) = match question {
            Question::AtMost => {
                compare(first, 1.0);
                (0.0, 1.0)
            }
            Question::Above => {
                compare(first, 1.0);
                (1.0, 0.0)
            }
            Question::Below => {
                compare(first, -1.0);
                (1.0, 0.0)
            }
            Question::AtLeast => {
                compare(first, -1.0);
                (0.0, 1.0)
            }
            Question::Is | Question::IsNot | Question::Member => {
                // Both zeros are one.
                let bits = |v: &f64| (*v as f32 + 0.0).to_bits();
                let distinct: BTreeSet<u32> = values.iter().map(bits).collect();
                for value in distinct.iter().map(|bits| f32::from_bits(*bits)) {
                    compare(value, 1.0);
                    compare(value, -1.0);
                }
                let count = distinct.len() as f32;
                match question {
                    Question::IsNot => (count, count - 1.0),
                    _ => (count - 1.0, count),
                }
            }
        };
        Answer { bits, yes, no }
    }
}

impl Answer {
    /// A path on which this is also answered so.
    fn wanted(&self, path: &Leaf, yes: bool) -> Leaf {
        let (wanted, other) = if yes {
            (self.yes, self.no)
        } else {
            (self.no, self.yes)
        };
        let sign = wanted - other;
        let mut path = path.clone();
        path.path.extend(self.bits.iter().map(|bit| (*bit, sign)));
        path.missing -= sign * wanted;
        path
    }
}

/// The trees of `TreeEnsembleClassifier` and `TreeEnsembleRegressor`, whose weights are in lists that start with `prefix`.
///
/// # Errors
/// For lists that do not fit one another.
pub(super) fn read(node: &NodeProto, prefix: &str) -> Result<Vec<Tree>, String> {
    let (trees, numbers_of) = (ints(node, "nodes_treeids"), ints(node, "nodes_nodeids"));
    let (yes, no) = (
        ints(node, "nodes_truenodeids"),
        ints(node, "nodes_falsenodeids"),
    );
    let features = ints(node, "nodes_featureids");
    let (values, modes) = (numbers(node, "nodes_values"), strings(node, "nodes_modes"));
    let count = trees.len();
    let lengths = [
        numbers_of.len(),
        yes.len(),
        no.len(),
        features.len(),
        values.len(),
        modes.len(),
    ];
    if count == 0 || lengths.iter().any(|len| *len != count) {
        return Err("its lists of nodes differ in length".into());
    }
    let places = trees
        .iter()
        .copied()
        .zip(numbers_of.iter().copied())
        .enumerate();
    let places: BTreeMap<(i64, i64), usize> = places.map(|(i, place)| (place, i)).collect();
    let mut weights = weights(node, prefix)?;
    let mut entries = Vec::with_capacity(count);
    let mut children = BTreeSet::new();
    for i in 0..count {
        if modes[i] == b"LEAF" {
            entries.push(Entry::Leaf(
                weights
                    .remove(&(trees[i], numbers_of[i]))
                    .unwrap_or_default(),
            ));
            continue;
        }
        let unknown = || {
            format!(
                "branches of mode {} are not built",
                String::from_utf8_lossy(modes[i])
            )
        };
        let question = Question::named(modes[i]).ok_or_else(unknown)?;
        let child = |number: i64| {
            places
                .get(&(trees[i], number))
                .copied()
                .ok_or("a child that does not exist")
        };
        let next = [child(yes[i])?, child(no[i])?];
        children.extend(next);
        let feature = usize::try_from(features[i]).map_err(|_| "a negative feature")?;
        let values = vec![values[i]];
        entries.push(Entry::Branch {
            question,
            feature,
            values,
            next,
        });
    }
    let roots = (0..count).filter(|i| !children.contains(i));
    roots.map(|root| Tree::new(&entries, root)).collect()
}

type Weights = BTreeMap<(i64, i64), Vec<(usize, f32)>>;

/// Weights by tree and node.
fn weights(node: &NodeProto, prefix: &str) -> Result<Weights, String> {
    let of = |name: &str| ints(node, &format!("{prefix}_{name}"));
    let (trees, nodes, classes) = (of("treeids"), of("nodeids"), of("ids"));
    let values = numbers(node, &format!("{prefix}_weights"));
    if [nodes.len(), classes.len(), values.len()]
        .iter()
        .any(|len| *len != trees.len())
    {
        return Err("its lists of weights differ in length".into());
    }
    let mut weights = Weights::new();
    for (((tree, node), class), value) in trees.iter().zip(nodes).zip(classes).zip(values) {
        let class = usize::try_from(*class).map_err(|_| "a negative class")?;
        weights
            .entry((*tree, *node))
            .or_default()
            .push((class, value as f32));
    }
    Ok(weights)
}
