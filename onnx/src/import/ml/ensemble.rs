//! Tree ensembles: what leaves add, and the scores and labels made of it.

use std::collections::BTreeSet;

use super::super::attributes::{attribute, int, ints};
use super::blocks::{Reached, reached};
use super::forest::{self, Entry, Question, Tree};
use super::writer::Writer;
use super::{labels, numbers, text};

/// How what trees give is put together.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Aggregate {
    Sum,
    Average,
    Least,
    Most,
}

/// `TreeEnsembleClassifier`. Where leaves name one of two classes only, the sum is the score of one class: see [`single`].
pub(super) fn classifier(w: &mut Writer<'_>) -> Result<(), String> {
    let labels = labels::labels(w, "classlabels_int64s")?;
    let trees = forest::read(w.node, "class")?;
    let base = numbers(w.node, "base_values");
    let leaves = trees.iter().flat_map(|tree| &tree.leaves);
    let used: BTreeSet<usize> = leaves
        .flat_map(|leaf| &leaf.weights)
        .map(|(class, _)| *class)
        .collect();
    let one = used
        .first()
        .copied()
        .filter(|_| used.len() == 1 && labels.len() == 2 && base.len() < 2);
    if let Some(class) = one {
        return single(w, trees, class, &base, &labels);
    }
    if labels.len() < 2 {
        return Err("a classifier of one class is not built".into());
    }
    let scores = sums(w, &trees, labels.len(), &base, Aggregate::Sum)?;
    labels::of_largest(w, &scores, &labels);
    let scores = labels::transformed(w, &scores)?;
    w.finish_float(1, &scores);
    Ok(())
}

/// Two classes by one sum: the second is chosen above 0, or above 1/2 where no weight is negative.
fn single(
    w: &mut Writer<'_>,
    mut trees: Vec<Tree>,
    class: usize,
    base: &[f64],
    labels: &[i64],
) -> Result<(), String> {
    let leaves = trees.iter_mut().flat_map(|tree| &mut tree.leaves);
    let mut positive = true;
    for (of, weight) in leaves.flat_map(|leaf| &mut leaf.weights) {
        *of = 0;
        positive &= *weight >= 0.0;
    }
    // The base value is that of the first class.
    let base = if class == 0 { base } else { &[] };
    let sum = sums(w, &trees, 1, base, Aggregate::Sum)?;
    let above = match positive {
        true => w.with_row("Add", &sum, &[-0.5]),
        false => sum.clone(),
    };
    labels::of_sign(w, &above, labels);
    let both = match class {
        0 => labels::both(w, &sum, if positive { 1.0 } else { 0.0 })?,
        _ => {
            let zero = w.with_row("Mul", &sum, &[0.0]);
            let both = w.beside(&[&zero, &sum]);
            labels::transformed(w, &both)?
        }
    };
    w.finish_float(1, &both);
    Ok(())
}

/// `TreeEnsembleRegressor`; one target alone is not transformed.
pub(super) fn regressor(w: &mut Writer<'_>) -> Result<(), String> {
    let targets = usize::try_from(int(w.node, "n_targets", 1)).unwrap_or(0);
    let trees = forest::read(w.node, "target")?;
    let aggregate = match text(w.node, "aggregate_function").as_deref() {
        None | Some("SUM") => Aggregate::Sum,
        Some("AVERAGE") => Aggregate::Average,
        Some("MIN") => Aggregate::Least,
        Some("MAX") => Aggregate::Most,
        Some(other) => return Err(format!("aggregate_function {other} is not built")),
    };
    let base = numbers(w.node, "base_values");
    let mut y = sums(w, &trees, targets, &base, aggregate)?;
    if targets > 1 {
        y = labels::transformed(w, &y)?;
    }
    w.finish_float(0, &y);
    Ok(())
}

/// `TreeEnsemble`, of later versions: leaves in lists of their own.
pub(super) fn general(w: &mut Writer<'_>) -> Result<(), String> {
    let trees = listed(w)?;
    let targets = usize::try_from(int(w.node, "n_targets", 1)).unwrap_or(0);
    let aggregate = match int(w.node, "aggregate_function", 1) {
        0 => Aggregate::Average,
        1 => Aggregate::Sum,
        2 => Aggregate::Least,
        3 => Aggregate::Most,
        other => return Err(format!("aggregate_function {other} is not built")),
    };
    let y = sums(w, &trees, targets, &[], aggregate)?;
    let y = match int(w.node, "post_transform", 0) {
        0 => y,
        1 => w.op("Softmax", &[&y], &[super::writer::With::Int("axis", -1)]),
        2 => w.op("Sigmoid", &[&y], &[]),
        other => return Err(format!("post_transform {other} is not built")),
    };
    w.finish_float(0, &y);
    Ok(())
}

/// The modes of `TreeEnsemble`, by number.
const QUESTIONS: [Question; 7] = [
    Question::AtMost,
    Question::Below,
    Question::AtLeast,
    Question::Above,
    Question::Is,
    Question::IsNot,
    Question::Member,
];

/// The trees of `TreeEnsemble`.
fn listed(w: &Writer<'_>) -> Result<Vec<Tree>, String> {
    let list = |name: &str| ints(w.node, name);
    let (features, splits) = (list("nodes_featureids"), numbers(w.node, "nodes_splits"));
    let modes = numbers(w.node, "nodes_modes");
    let next = [
        (list("nodes_trueleafs"), list("nodes_truenodeids")),
        (list("nodes_falseleafs"), list("nodes_falsenodeids")),
    ];
    let (targets, weights) = (list("leaf_targetids"), numbers(w.node, "leaf_weights"));
    let mut members = numbers(w.node, "membership_values").into_iter();
    let count = features.len();
    let of_sides = next
        .iter()
        .flat_map(|(leaves, nodes)| [leaves.len(), nodes.len()]);
    let mut lengths = of_sides.chain([splits.len(), modes.len()]);
    if lengths.any(|len| len != count) || targets.len() != weights.len() {
        return Err("its lists of nodes differ in length".into());
    }
    let child = |i: usize, (leaves, nodes): (&[i64], &[i64])| match leaves[i] {
        0 => index(nodes[i], count),
        _ => index(nodes[i], targets.len()).map(|leaf| count + leaf),
    };
    let mut entries = Vec::new();
    for i in 0..count {
        let mode = modes[i] as usize;
        let question = *QUESTIONS
            .get(mode)
            .ok_or_else(|| format!("branches of mode {mode} are not built"))?;
        let values = match question {
            Question::Member => members.by_ref().take_while(|v| !v.is_nan()).collect(),
            _ => vec![splits[i]],
        };
        entries.push(Entry::Branch {
            question,
            feature: usize::try_from(features[i]).map_err(|_| "a negative feature")?,
            values,
            next: [child(i, next[0])?, child(i, next[1])?],
        });
    }
    for (target, weight) in targets.iter().zip(weights) {
        let target = usize::try_from(*target).map_err(|_| "a negative target")?;
        entries.push(Entry::Leaf(vec![(target, weight as f32)]));
    }
    let root = |root: &i64| Tree::new(&entries, index(*root, entries.len())?);
    list("tree_roots").iter().map(root).collect()
}

fn index(value: i64, limit: usize) -> Result<usize, String> {
    let index = usize::try_from(value).ok().filter(|i| *i < limit);
    index.ok_or_else(|| "a child that does not exist".into())
}

/// What the leaves reached add to each of `outputs`, and the base values.
fn sums(
    w: &mut Writer<'_>,
    trees: &[Tree],
    outputs: usize,
    base: &[f64],
    aggregate: Aggregate,
) -> Result<String, String> {
    let leaves = || trees.iter().flat_map(|tree| &tree.leaves);
    if leaves().next().is_none()
        || leaves()
            .flat_map(|l| &l.weights)
            .any(|(output, _)| *output >= outputs)
    {
        return Err("its leaves or its classes do not fit".into());
    }
    let compared = trees.iter().flat_map(|tree| &tree.comparisons);
    let features = compared.map(|c| c.feature + 1).max().unwrap_or(1);
    if attribute(w.node, "base_values").is_some() && base.len() > outputs {
        return Err(format!("{} base values for {outputs} outputs", base.len()));
    }
    let mut x = w.float(0);
    if !w.has_columns(&x, features) {
        x = w.columns(&x, 0, features);
    }
    let reached = reached(w, &x, features, trees);
    let mut base: Vec<f32> = base.iter().map(|v| *v as f32).collect();
    base.resize(outputs, 0.0);
    let extreme = matches!(aggregate, Aggregate::Least | Aggregate::Most);
    let Reached { bits, leaves } = reached;
    let weights = leaf_weights(trees, &leaves, outputs, aggregate);
    if !extreme {
        return Ok(w.layer(&bits, &weights, leaves.len(), &base));
    }
    let each = w.layer(&bits, &weights, leaves.len(), &[]);
    let each = w.reshaped(&each, &[-1, trees.len() as i64, outputs as i64]);
    let op = if aggregate == Aggregate::Most {
        "ReduceMax"
    } else {
        "ReduceMin"
    };
    let chosen = w.reduce(op, &each, &[1], false);
    Ok(w.with_row("Add", &chosen, &base))
}

/// What each leaf adds to each output, and for the least and the largest to each output of its tree.
fn leaf_weights(
    trees: &[Tree],
    leaves: &[Option<(usize, usize)>],
    outputs: usize,
    aggregate: Aggregate,
) -> Vec<f32> {
    let extreme = matches!(aggregate, Aggregate::Least | Aggregate::Most);
    let rows = if extreme {
        trees.len() * outputs
    } else {
        outputs
    };
    let divisor = if aggregate == Aggregate::Average {
        trees.len() as f32
    } else {
        1.0
    };
    let mut weights = vec![0.0; rows * leaves.len()];
    for (column, place) in leaves.iter().enumerate() {
        let Some((tree, leaf)) = *place else {
            continue;
        };
        let first = if extreme { tree * outputs } else { 0 };
        for (output, weight) in &trees[tree].leaves[leaf].weights {
            weights[(first + output) * leaves.len() + column] += weight / divisor;
        }
    }
    weights
}
