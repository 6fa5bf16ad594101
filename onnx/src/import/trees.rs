//! Tree ensembles as three layers: every branch compares one feature with its threshold, every leaf counts the decisions on
//! its path, every leaf reached adds its weights (Hummingbird, Nakandala et al., OSDI 2020, section 4.1).

use std::collections::BTreeMap;

use super::attributes::{attribute, floats, int_list, string, strings};
use super::parts::{Outcome, Parts, whole};
use crate::Error;
use crate::model::FloatOp;
use zkernel_gadgets::model::Function;

/// One branch: positive where `sign (x[feature] - threshold) > 0`.
struct Branch {
    feature: usize,
    threshold: f32,
    sign: f32,
}

/// A leaf: the branches on its path and whether each must be positive; its weights by class.
struct Leaf {
    path: Vec<(usize, bool)>,
    weights: Vec<(usize, f32)>,
}

type NodeId = (i64, i64);

impl Parts<'_, '_> {
    /// `TreeEnsembleClassifier` and `TreeEnsembleRegressor`.
    pub(super) fn trees(&mut self) -> Result<Outcome, Error> {
        let classifier = self.node.op_type == "TreeEnsembleClassifier";
        let (prefix, ids) = if classifier {
            ("class", "class_ids")
        } else {
            ("target", "target_ids")
        };
        let labels = int_list(self.node, "classlabels_int64s")
            .len()
            .max(strings(self.node, "classlabels_strings").len());
        let targets = attribute(self.node, "n_targets").map_or(1, |a| a.i.max(1) as usize);
        let classes = if classifier { labels } else { targets };
        let (branches, leaves) = match self.forest(prefix, ids) {
            Ok(forest) => forest,
            Err(problem) => return Ok(Err(problem)),
        };
        let x = self.operand(0)?;
        let features = self.shape(x).last().copied().unwrap_or(1);
        if branches.iter().any(|b| b.feature >= features) || leaves.is_empty() || classes == 0 {
            return Ok(Err("its features, leaves or classes do not fit".into()));
        }
        let leading = self.shape(x)[..self.shape(x).len() - 1].to_vec();
        let reached = self.reached(x, &leading, features, &branches, &leaves);
        self.scores(reached, &leading, &leaves, classes, classifier)
    }

    fn forest(&self, prefix: &str, ids: &str) -> Result<(Vec<Branch>, Vec<Leaf>), String> {
        let ints = |name: &str| int_list(self.node, name);
        let (trees, numbers) = (ints("nodes_treeids"), ints("nodes_nodeids"));
        let (yes, no) = (ints("nodes_truenodeids"), ints("nodes_falsenodeids"));
        let (features, values) = (ints("nodes_featureids"), floats(self.node, "nodes_values"));
        let modes = strings(self.node, "nodes_modes");
        let count = trees.len();
        let lengths = [
            numbers.len(),
            yes.len(),
            no.len(),
            features.len(),
            values.len(),
            modes.len(),
        ];
        if lengths.iter().any(|len| *len != count) {
            return Err("its lists of nodes differ in length".into());
        }
        let mut weights: BTreeMap<NodeId, Vec<(usize, f32)>> = BTreeMap::new();
        let of = |name: &str| ints(&format!("{prefix}_{name}"));
        let leaf_weights = floats(self.node, &format!("{prefix}_weights"));
        for (((tree, node), class), weight) in of("treeids")
            .iter()
            .zip(&of("nodeids"))
            .zip(&ints(ids))
            .zip(leaf_weights)
        {
            let class = usize::try_from(*class).map_err(|_| "a negative class")?;
            weights
                .entry((*tree, *node))
                .or_default()
                .push((class, *weight));
        }
        let index: BTreeMap<NodeId, usize> =
            (0..count).map(|i| ((trees[i], numbers[i]), i)).collect();
        let (mut branches, mut leaves) = (Vec::new(), Vec::new());
        let mut children = std::collections::BTreeSet::new();
        for i in (0..count).filter(|i| modes[*i] != b"LEAF") {
            children.extend([(trees[i], yes[i]), (trees[i], no[i])]);
        }
        let roots = (0..count).filter(|i| !children.contains(&(trees[*i], numbers[*i])));
        let mut open: Vec<(usize, Vec<(usize, bool)>)> =
            roots.map(|root| (root, Vec::new())).collect();
        while let Some((i, path)) = open.pop() {
            if path.len() > count || leaves.len() + branches.len() > 2 * count {
                return Err("its nodes do not form trees".into());
            }
            if modes[i] == b"LEAF" {
                let weights = weights
                    .get(&(trees[i], numbers[i]))
                    .cloned()
                    .unwrap_or_default();
                leaves.push(Leaf { path, weights });
                continue;
            }
            let (sign, positive_is_true) = match modes[i] {
                b"BRANCH_LEQ" => (1.0, false),
                b"BRANCH_LT" => (-1.0, true),
                b"BRANCH_GT" => (1.0, true),
                b"BRANCH_GTE" => (-1.0, false),
                mode => {
                    return Err(format!(
                        "branches of mode {} are not built",
                        String::from_utf8_lossy(mode)
                    ));
                }
            };
            let feature = usize::try_from(features[i]).map_err(|_| "a negative feature")?;
            branches.push(Branch {
                feature,
                threshold: values[i],
                sign,
            });
            let branch = branches.len() - 1;
            for (side, child) in [(true, yes[i]), (false, no[i])] {
                let child = index
                    .get(&(trees[i], child))
                    .ok_or("a child that does not exist")?;
                let step = (branch, side == positive_is_true);
                open.push((*child, [&path[..], &[step]].concat()));
            }
        }
        Ok((branches, leaves))
    }

    /// One bit for each leaf.
    fn reached(
        &mut self,
        x: usize,
        leading: &[usize],
        features: usize,
        branches: &[Branch],
        leaves: &[Leaf],
    ) -> usize {
        let mut select = vec![0.0; branches.len() * features];
        for (row, branch) in branches.iter().enumerate() {
            select[row * features + branch.feature] = branch.sign;
        }
        let thresholds = branches.iter().map(|b| -b.sign * b.threshold).collect();
        let above = self.layer(x, leading, features, select, thresholds);
        let shape = [leading, &[branches.len().max(1)]].concat();
        let above = self.part(FloatOp::Positive, vec![above], shape);
        let mut paths = vec![0.0; leaves.len() * branches.len()];
        let mut offsets = Vec::new();
        for (row, leaf) in leaves.iter().enumerate() {
            for (branch, positive) in &leaf.path {
                paths[row * branches.len() + branch] = if *positive { 1.0 } else { -1.0 };
            }
            let positives = leaf.path.iter().filter(|(_, positive)| *positive).count();
            offsets.push(1.0 - positives as f32);
        }
        let counted = self.layer(above, leading, branches.len(), paths, offsets);
        let shape = [leading, &[leaves.len()]].concat();
        self.part(FloatOp::Positive, vec![counted], shape)
    }

    fn layer(
        &mut self,
        x: usize,
        leading: &[usize],
        cols: usize,
        weights: Vec<f32>,
        bias: Vec<f32>,
    ) -> usize {
        let rows = bias.len();
        let shape = [leading, &[rows]].concat();
        let op = FloatOp::Dense {
            rows,
            cols,
            weights,
            bias: Some(bias),
        };
        self.part(op, vec![x], shape)
    }

    fn scores(
        &mut self,
        reached: usize,
        leading: &[usize],
        leaves: &[Leaf],
        classes: usize,
        classifier: bool,
    ) -> Result<Outcome, Error> {
        let mut weights = vec![0.0; classes * leaves.len()];
        for (column, leaf) in leaves.iter().enumerate() {
            for (class, weight) in &leaf.weights {
                match weights.get_mut(class * leaves.len() + column) {
                    Some(entry) => *entry += weight,
                    None => return Ok(Err("a class beyond the labels".into())),
                }
            }
        }
        let mut bias = floats(self.node, "base_values").to_vec();
        bias.resize(classes, 0.0);
        let average = string(self.node, "aggregate_function") == b"AVERAGE";
        if average {
            let roots = int_list(self.node, "nodes_treeids")
                .iter()
                .collect::<std::collections::BTreeSet<_>>()
                .len();
            weights.iter_mut().for_each(|w| *w /= roots.max(1) as f32);
        }
        let used: Vec<usize> = (0..classes)
            .filter(|c| leaves.iter().any(|l| l.weights.iter().any(|(k, _)| k == c)))
            .collect();
        if classifier && classes == 2 && used.len() == 1 {
            // One column of weights is the score of the second class.
            let positive = leaves
                .iter()
                .flat_map(|l| &l.weights)
                .all(|(_, w)| *w >= 0.0);
            let (one, bias_of_it) = (
                weights[used[0] * leaves.len()..][..leaves.len()].to_vec(),
                bias[used[0]],
            );
            let other = one.iter().map(|w| -w);
            weights = other.chain(one.iter().copied()).collect();
            bias = vec![if positive { 1.0 } else { 0.0 } - bias_of_it, bias_of_it];
        }
        let mut scores = self.layer(reached, leading, leaves.len(), weights, bias);
        let shape = self.shape(scores);
        scores = match string(self.node, "post_transform") {
            b"" | b"NONE" => scores,
            b"LOGISTIC" => self.apply(scores, Function::Sigmoid),
            b"SOFTMAX" => self.part(FloatOp::Softmax, vec![scores], shape.clone()),
            _ => return Ok(Err("this post_transform is not built".into())),
        };
        let view = |own: &[usize], shape: &[usize]| whole(&[(1.0, 0)], 0.0, &[own], shape);
        if !classifier {
            return self.finish(view(&shape, &shape), vec![scores]);
        }
        let labels = int_list(self.node, "classlabels_int64s");
        let ordered = labels
            .iter()
            .enumerate()
            .all(|(i, label)| *label == i as i64);
        if !ordered {
            return Ok(Err("class labels other than 0, 1, .. are not built".into()));
        }
        if self.node.output.len() > 1 {
            self.finish_output(1, view(&shape, &shape), vec![scores])?
                .ok();
        }
        self.finish(FloatOp::ArgMax, vec![scores])
    }
}
