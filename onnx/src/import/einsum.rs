//! Einstein sums: diagonals, sums, and matrix products of two operands at a time.

use std::collections::BTreeMap;

use super::attributes::string;
use super::maps::{Entry, flat, position};
use super::parts::{Outcome, Parts};
use crate::Error;
use crate::model::FloatOp;

/// A label of the equation; axes of the ellipsis are counted from the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Label {
    Ellipsis(usize),
    Letter(u8),
}

/// A tensor with a label for each axis.
#[derive(Clone, Debug)]
struct Labelled {
    id: usize,
    labels: Vec<Label>,
}

impl Parts<'_, '_> {
    pub(super) fn einsum(&mut self) -> Result<Outcome, Error> {
        let operands = (0..self.node.input.len())
            .map(|i| self.operand(i))
            .collect::<Result<Vec<_>, _>>()?;
        let ranks: Vec<usize> = operands.iter().map(|id| self.shape(*id).len()).collect();
        let equation = string(self.node, "equation");
        let Some((inputs, output)) = parse(equation, &ranks) else {
            return Ok(Err("its equation does not fit its inputs".into()));
        };
        let pairs = operands.into_iter().zip(inputs);
        let mut terms: Vec<Labelled> = pairs.map(|(id, labels)| Labelled { id, labels }).collect();
        let sizes = self.sizes(&terms);
        for term in &mut terms {
            if let Err(problem) = self.diagonal(term, &sizes) {
                return Ok(Err(problem));
            }
        }
        let mut product = terms.remove(0);
        while !terms.is_empty() {
            let next = terms.remove(0);
            let later = |label: &Label| {
                output.contains(label) || terms.iter().any(|term| term.labels.contains(label))
            };
            product = self.contract(product, next, &later, &sizes);
        }
        product = self.summed(product, &|label| output.contains(label));
        // An ellipsis of an operand that the output leaves out has been summed; what is new to the output does not exist.
        let order: Option<Vec<usize>> =
            output.iter().map(|label| place(&product, *label)).collect();
        match order {
            Some(order) => {
                let y = self.transpose(product.id, order);
                self.finish_as(0, y)
            }
            None => Ok(Err("its output has a label that no input has".into())),
        }
    }

    fn sizes(&self, terms: &[Labelled]) -> BTreeMap<Label, usize> {
        let mut sizes = BTreeMap::new();
        for term in terms {
            for (label, len) in term.labels.iter().zip(self.shape(term.id)) {
                let size = sizes.entry(*label).or_insert(len);
                *size = if *size == 1 { len } else { *size };
            }
        }
        sizes
    }

    /// Labels once each, axes of length one spread to their label's size.
    fn diagonal(
        &mut self,
        term: &mut Labelled,
        sizes: &BTreeMap<Label, usize>,
    ) -> Result<(), String> {
        let own = self.shape(term.id);
        let full: Vec<usize> = term.labels.iter().map(|label| sizes[label]).collect();
        if own
            .iter()
            .zip(&full)
            .any(|(len, size)| len != size && *len != 1)
        {
            return Err("axes of one label differ in length".into());
        }
        term.id = self.broadcast(term.id, &full);
        let mut labels = term.labels.clone();
        labels.sort_unstable();
        labels.dedup();
        if labels.len() == term.labels.len() {
            return Ok(());
        }
        let shape: Vec<usize> = labels.iter().map(|label| sizes[label]).collect();
        let entry = |to: usize| {
            let at = position(to, &shape);
            let along = |label| labels.iter().position(|l| l == label).map_or(0, |i| at[i]);
            let from: Vec<usize> = term.labels.iter().map(along).collect();
            Entry {
                to,
                input: 0,
                from: flat(&from, &full),
                factor: 1.0,
            }
        };
        let entries: Vec<Entry> = (0..shape.iter().product()).map(entry).collect();
        term.id = self.linear_map(&[term.id], &shape, &entries, 0.0)?;
        term.labels = labels;
        Ok(())
    }

    /// Sums over the axes whose labels are not kept.
    fn summed(&mut self, term: Labelled, keep: &dyn Fn(&Label) -> bool) -> Labelled {
        let gone = |(axis, label): (usize, &Label)| (!keep(label)).then_some(axis);
        let axes: Vec<usize> = term.labels.iter().enumerate().filter_map(gone).collect();
        if axes.is_empty() {
            return term;
        }
        let sums = self.sum_over(term.id, &axes, 1.0, 0.0);
        let labels: Vec<Label> = term.labels.into_iter().filter(keep).collect();
        let own = self.shape(sums);
        let kept = (0..own.len()).filter(|axis| !axes.contains(axis));
        let shape = kept.map(|axis| own[axis]).collect();
        let id = self.part(FloatOp::Reshape, vec![sums], shape);
        Labelled { id, labels }
    }

    /// Two terms become one: common labels that nobody needs later are contracted, others are a batch.
    fn contract(
        &mut self,
        a: Labelled,
        b: Labelled,
        later: &dyn Fn(&Label) -> bool,
        sizes: &BTreeMap<Label, usize>,
    ) -> Labelled {
        let a = self.summed(a, &|label| later(label) || b.labels.contains(label));
        let b = self.summed(b, &|label| later(label) || a.labels.contains(label));
        // A constant is on the right, where it can be a layer's weights.
        let (a, b) = match self.constant_of(a.id) {
            Some(_) => (b, a),
            None => (a, b),
        };
        let common = |label: &Label| a.labels.contains(label) && b.labels.contains(label);
        let chosen = |labels: &[Label], fits: &dyn Fn(&Label) -> bool| -> Vec<Label> {
            labels.iter().copied().filter(fits).collect()
        };
        let batch = chosen(&a.labels, &|label| common(label) && later(label));
        let inner = chosen(&a.labels, &|label| common(label) && !later(label));
        let left = chosen(&a.labels, &|label| !common(label));
        let right = chosen(&b.labels, &|label| !common(label));
        let labels = [&batch[..], &left, &right].concat();
        let shape: Vec<usize> = labels.iter().map(|label| sizes[label]).collect();
        if inner.is_empty() && (left.is_empty() || right.is_empty()) {
            let [x, y] = [&a, &b].map(|term| self.in_order(term, &labels, sizes));
            let id = self.times(x, y, &shape);
            return Labelled { id, labels };
        }
        let x = self.in_groups(&a, [&batch, &left, &inner], sizes);
        let y = self.in_groups(&b, [&batch, &inner, &right], sizes);
        let product = self.matrix_product(x, y);
        let id = self.part(FloatOp::Reshape, vec![product], shape);
        Labelled { id, labels }
    }

    /// A term with the axes of those labels, of length one where it has none.
    fn in_order(
        &mut self,
        term: &Labelled,
        labels: &[Label],
        sizes: &BTreeMap<Label, usize>,
    ) -> usize {
        let order = labels
            .iter()
            .filter_map(|label| place(term, *label))
            .collect();
        let moved = self.transpose(term.id, order);
        let len = |label: &Label| {
            if term.labels.contains(label) {
                sizes[label]
            } else {
                1
            }
        };
        let shape = labels.iter().map(len).collect();
        self.part(FloatOp::Reshape, vec![moved], shape)
    }

    /// A term as a batch of matrices: batch axes as they are, the others in two groups.
    fn in_groups(
        &mut self,
        term: &Labelled,
        [batch, rows, columns]: [&[Label]; 3],
        sizes: &BTreeMap<Label, usize>,
    ) -> usize {
        let labels = [batch, rows, columns].concat();
        let moved = self.in_order(term, &labels, sizes);
        let count = |labels: &[Label]| labels.iter().map(|label| sizes[label]).product::<usize>();
        let mut shape: Vec<usize> = batch.iter().map(|label| sizes[label]).collect();
        shape.extend([count(rows), count(columns)]);
        self.part(FloatOp::Reshape, vec![moved], shape)
    }
}

fn place(term: &Labelled, label: Label) -> Option<usize> {
    term.labels.iter().position(|l| *l == label)
}

/// Labels of the inputs and of the output; `None` if the equation does not fit inputs of those ranks.
fn parse(equation: &[u8], ranks: &[usize]) -> Option<(Vec<Vec<Label>>, Vec<Label>)> {
    let text: Vec<u8> = equation.iter().copied().filter(|c| *c != b' ').collect();
    let text = String::from_utf8(text).ok()?;
    let (inputs, output) = match text.split_once("->") {
        Some((inputs, output)) => (inputs, Some(output)),
        None => (text.as_str(), None),
    };
    let terms: Vec<&str> = inputs.split(',').collect();
    if terms.len() != ranks.len() {
        return None;
    }
    let pairs = terms.iter().zip(ranks);
    let inputs = pairs.map(|(term, rank)| labels(term, Some(*rank)));
    let inputs = inputs.collect::<Option<Vec<_>>>()?;
    let ellipsis = inputs.iter().flatten().filter_map(|label| match label {
        Label::Ellipsis(axis) => Some(axis + 1),
        Label::Letter(_) => None,
    });
    let ellipsis = ellipsis.max().unwrap_or(0);
    let spread = (0..ellipsis).rev().map(Label::Ellipsis);
    let output = match output {
        Some(output) => match output.split_once("...") {
            Some((before, after)) => {
                let sides = [labels(before, None)?, labels(after, None)?];
                sides[0]
                    .iter()
                    .copied()
                    .chain(spread)
                    .chain(sides[1].iter().copied())
                    .collect()
            }
            None => labels(output, None)?,
        },
        // Without an output: all labels that come once, in the order of the alphabet.
        None => {
            let mut all: Vec<Label> = inputs.iter().flatten().copied().collect();
            all.sort_unstable();
            let once = |label: &Label| all.iter().filter(|l| *l == label).count() == 1;
            let letters = all
                .iter()
                .copied()
                .filter(|l| matches!(l, Label::Letter(_)) && once(l));
            spread.chain(letters).collect()
        }
    };
    let mut sorted = output.clone();
    sorted.sort_unstable();
    sorted.dedup();
    (sorted.len() == output.len()).then_some((inputs, output))
}

/// The labels of a term of that rank; without a rank, of letters alone.
fn labels(term: &str, rank: Option<usize>) -> Option<Vec<Label>> {
    let letters = |part: &str| -> Option<Vec<Label>> {
        let letter = |c: u8| c.is_ascii_alphabetic().then_some(Label::Letter(c));
        part.bytes().map(letter).collect()
    };
    let Some((before, after)) = term.split_once("...") else {
        return letters(term).filter(|all| rank.is_none_or(|rank| rank == all.len()));
    };
    let hidden = rank?.checked_sub(before.len() + after.len())?;
    let hidden = (0..hidden).rev().map(Label::Ellipsis);
    Some(
        letters(before)?
            .into_iter()
            .chain(hidden)
            .chain(letters(after)?)
            .collect(),
    )
}
