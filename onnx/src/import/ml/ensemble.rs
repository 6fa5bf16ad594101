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

/// `TreeEnsembleClassifier`. Where leaves name one of two classes only, the sum is the score of one class: the second is chosen above
/// 0, or above 1/2 where no weight is negative.
pub(super) fn classifier(w: &mut Writer<'_>) -> Result<(), String> {
    let labels = labels::labels(w, "classlabels_int64s")?;
    let trees = forest::read(w.node, "class")?;
    let base = numbers(w.node, "base_values");
    let weights: Vec<(usize, f32)> = trees
        .iter()
        .flat_map(|t| &t.leaves)
        .flat_map(|l| l.weights.clone())
        .collect();
    let used: BTreeSet<usize> = weights.iter().map(|(class, _)| *class).collect();
    let single = used
        .first()
        .copied()
        .filter(|_| used.len() == 1 && labels.len() == 2 && base.len() < 2);
    let Some(class) = single else {
        if labels.len() < 2 {
            return Err("a classifier of one class is not built".into());
        }
        let scores = sums(w, &trees, labels.len(), &base, Aggregate::Sum)?;
        labels::of_largest(w, &scores, &labels);
        let scores = labels::transformed(w, &scores)?;
        w.finish_float(1, &scores);
        return Ok(());
    };
    let mut trees = trees;
    let leaves = trees.iter_mut().flat_map(|t| &mut t.leaves);
    leaves
        .flat_map(|l| &mut l.weights)
        .for_each(|(of, _)| *of = 0);
    // The base value is that of the first class.
    let base = if class == 0 { base } else { Vec::new() };
    let sum = sums(w, &trees, 1, &base, Aggregate::Sum)?;
    let positive = weights.iter().all(|(_, weight)| *weight >= 0.0);
    let above = match positive {
        true => w.with_row("Add", &sum, &[-0.5]),
        false => sum.clone(),
    };
    labels::of_sign(w, &above, &labels);
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

/// The trees of `TreeEnsemble`.
fn listed(w: &Writer<'_>) -> Result<Vec<Tree>, String> {
    let list = |name: &str| ints(w.node, name);
    let (features, splits, modes) = (
        list("nodes_featureids"),
        numbers(w.node, "nodes_splits"),
        numbers(w.node, "nodes_modes"),
    );
    let next = [
        ("nodes_trueleafs", "nodes_truenodeids"),
        ("nodes_falseleafs", "nodes_falsenodeids"),
    ];
    let next = next.map(|(leaves, nodes)| (list(leaves), list(nodes)));
    let (targets, weights) = (list("leaf_targetids"), numbers(w.node, "leaf_weights"));
    let mut members = numbers(w.node, "membership_values").into_iter();
    let count = features.len();
    let fits = [
        splits.len(),
        modes.len(),
        next[0].0.len(),
        next[0].1.len(),
        next[1].0.len(),
        next[1].1.len(),
    ];
    if fits.iter().any(|len| *len != count) || targets.len() != weights.len() {
        return Err("its lists of nodes differ in length".into());
    }
    let index = |value: i64, limit: usize| {
        usize::try_from(value)
            .ok()
            .filter(|i| *i < limit)
            .ok_or("a child that does not exist")
    };
    let mut entries = Vec::new();
    for i in 0..count {
        let question = [
            Question::AtMost,
            Question::Below,
            Question::AtLeast,
            Question::Above,
            Question::Is,
            Question::IsNot,
            Question::Member,
        ];
        let mode = modes[i] as usize;
        let question = *question
            .get(mode)
            .ok_or_else(|| format!("branches of mode {mode} are not built"))?;
        let values = match question {
            Question::Member => members.by_ref().take_while(|v| !v.is_nan()).collect(),
            _ => vec![splits[i]],
        };
        let child = |(leaves, nodes): (&[i64], &[i64])| match leaves[i] {
            0 => index(nodes[i], count),
            _ => index(nodes[i], targets.len()).map(|leaf| count + leaf),
        };
        entries.push(Entry::Branch {
            question,
            feature: usize::try_from(features[i]).map_err(|_| "a negative feature")?,
            values,
            next: [child(next[0])?, child(next[1])?],
        });
    }
    for (target, weight) in targets.iter().zip(weights) {
        let target = usize::try_from(*target).map_err(|_| "a negative target")?;
        entries.push(Entry::Leaf(vec![(target, weight as f32)]));
    }
    let root = |root: &i64| Tree::new(&entries, index(*root, entries.len())?);
    list("tree_roots").iter().map(root).collect()
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
    let average = if aggregate == Aggregate::Average {
        trees.len() as f32
    } else {
        1.0
    };
    let of_leaf = |place: &Option<(usize, usize)>| {
        place.map(|(tree, leaf)| (tree, &trees[tree].leaves[leaf].weights))
    };
    let extreme = matches!(aggregate, Aggregate::Least | Aggregate::Most);
    let rows = if extreme {
        trees.len() * outputs
    } else {
        outputs
    };
    let Reached { bits, leaves } = reached;
    let mut weights = vec![0.0; rows * leaves.len()];
    for (column, place) in leaves.iter().enumerate() {
        for (tree, (output, weight)) in of_leaf(place)
            .into_iter()
            .flat_map(|(tree, all)| all.iter().map(move |w| (tree, w)))
        {
            let row = if extreme {
                tree * outputs + output
            } else {
                *output
            };
            weights[row * leaves.len() + column] += weight / average;
        }
    }
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
