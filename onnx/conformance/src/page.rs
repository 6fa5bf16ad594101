//! The page of the book: which operators are proven, which are refused and why.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::Case;
use crate::outcome::{FLOAT_BOUND, Outcome};

/// Most reasons that are written out for an operator.
const REASONS: usize = 4;

/// The operator that a case is about: that of its node, or of the case it is taken apart from.
#[must_use]
pub fn operator(case: &Case, all: &[Case]) -> String {
    let (whole, _) = case
        .name
        .split_once("_expanded")
        .unwrap_or((&case.name, ""));
    let about = all.iter().find(|other| other.name == whole).unwrap_or(case);
    let nodes = about.nodes();
    let other = nodes.iter().find(|node| node.op_type != "Constant");
    other
        .or(nodes.first())
        .map_or_else(|| "none".into(), |node| node.op_type.clone())
}

/// Numbers of one operator.
#[derive(Clone, Debug, Default)]
struct Row {
    proven: usize,
    refused: usize,
    failed: usize,
    error: f64,
    reasons: BTreeMap<String, usize>,
}

/// Outcomes of all cases as a page.
#[must_use]
pub fn page(outcomes: &[(String, Outcome)]) -> String {
    let mut rows: BTreeMap<&str, Row> = BTreeMap::new();
    let mut total = Row::default();
    for (operator, outcome) in outcomes {
        for row in [&mut total, rows.entry(operator).or_default()] {
            add(row, operator, outcome);
        }
    }
    let mut page = format!(
        "# ONNX node cases\n\n`cargo xtask fixtures` writes this page. It takes every node case of the onnx package, version 1.22.0, imports \
         it, calibrates it on its own inputs, runs it on integers, compares the outputs with the recorded ones, and proves and \
         verifies the run.\n\nOutputs of integers and bits must be exact, others within {} % of the largest expected value. Shapes, axes, \
         weights and other inputs that the importer needs to know are made constants of the model first (the list is in \
         `onnx/conformance/src/fixed.rs`); everything else is a secret input. A refusal names the node and its operator.\n\n",
        100.0 * FLOAT_BOUND
    );
    let count = total.proven + total.refused + total.failed;
    let _ = writeln!(
        page,
        "Of {count} cases {} are proven, {} are refused, {} failed. The largest error of a proven one is {:.2} %.\n",
        total.proven,
        total.refused,
        total.failed,
        100.0 * total.error
    );
    page.push_str(
        "| operator | proven | refused | largest error | why refused |\n|---|---|---|---|---|\n",
    );
    for (operator, row) in &rows {
        let error = if row.proven > 0 {
            format!("{:.3} %", 100.0 * row.error)
        } else {
            String::new()
        };
        let _ = writeln!(
            page,
            "| {operator} | {} | {} | {error} | {} |",
            row.proven,
            row.refused,
            reasons(row)
        );
    }
    page
}

fn add(row: &mut Row, operator: &str, outcome: &Outcome) {
    let reason = match outcome {
        Outcome::Proven { error } => {
            row.proven += 1;
            row.error = row.error.max(*error);
            return;
        }
        Outcome::Refused { op, problem } => {
            row.refused += 1;
            if op == operator {
                problem.clone()
            } else {
                format!("{op}: {problem}")
            }
        }
        Outcome::Failed { problem } => {
            row.failed += 1;
            format!("FAILED: {problem}")
        }
    };
    *row.reasons.entry(reason).or_default() += 1;
}

fn reasons(row: &Row) -> String {
    let mut sorted: Vec<(&String, &usize)> = row.reasons.iter().collect();
    sorted.sort_by_key(|(reason, count)| (std::cmp::Reverse(**count), *reason));
    let plain = |text: &str| text.replace(['`', '<', '>', '|', '\n'], " ");
    let shown = sorted.iter().take(REASONS).map(|(reason, _)| plain(reason));
    let mut shown: Vec<String> = shown.collect();
    if sorted.len() > REASONS {
        shown.push(format!("{} more", sorted.len() - REASONS));
    }
    shown.join("; ")
}
