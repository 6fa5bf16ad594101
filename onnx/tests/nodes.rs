//! A subset of ONNX's own node cases: each is as expected, or refused in words that name its operator. `cargo xtask fixtures` runs all
//! cases and writes the subset.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;

use zkernel_onnx_conformance::case::read;
use zkernel_onnx_conformance::page::operator;
use zkernel_onnx_conformance::proof::KnownGenerators;
use zkernel_onnx_conformance::{Case, Depth, Outcome, outcome};

const ARCHIVE: &[u8] = include_bytes!("fixtures/nodes.zip");
/// The page that says which operators are proven.
const PAGE: &str = include_str!("../../docs/src/onnx-nodes.md");
/// Every so many proven cases are followed to the verified proof.
const PROVEN_EVERY: usize = 24;

fn cases() -> Vec<Case> {
    read(Cursor::new(ARCHIVE)).unwrap()
}

/// Operators of the page: how many of their cases are proven and refused.
fn rows() -> BTreeMap<String, [usize; 2]> {
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let &[_, operator, proven, refused, ..] = cells.as_slice() else {
            return None;
        };
        Some((
            operator.to_owned(),
            [proven.parse().ok()?, refused.parse().ok()?],
        ))
    };
    PAGE.lines().filter_map(row).collect()
}

/// The outcomes of all cases, on two threads.
fn outcomes(cases: &[Case], depth: impl Fn(usize) -> Depth + Sync) -> Vec<Outcome> {
    let every_second = |first: usize| {
        let mut known = KnownGenerators::new();
        let chosen = cases.iter().enumerate().skip(first).step_by(2);
        chosen
            .map(|(i, case)| outcome(case, depth(i), &mut known))
            .collect::<Vec<_>>()
    };
    let (even, odd) = std::thread::scope(|scope| {
        let odd = scope.spawn(|| every_second(1));
        (every_second(0), odd.join().unwrap())
    });
    let mut parts = [even.into_iter(), odd.into_iter()];
    (0..cases.len())
        .map(|i| parts[i % 2].next().unwrap())
        .collect()
}

#[test]
fn cases_are_as_expected_or_refused_by_name() {
    let cases = cases();
    let depth = |i: usize| {
        if i.is_multiple_of(PROVEN_EVERY) {
            Depth::Proof
        } else {
            Depth::Run
        }
    };
    let (mut proven, mut refused) = (BTreeSet::new(), BTreeSet::new());
    let mut wrong = Vec::new();
    for (case, outcome) in cases.iter().zip(outcomes(&cases, depth)) {
        let of = match outcome {
            Outcome::Proven { .. } => &mut proven,
            Outcome::Refused { .. } => &mut refused,
            Outcome::Failed { problem } => {
                wrong.push(format!("{}: {problem}", case.name));
                continue;
            }
        };
        of.insert((operator(case, &cases), case.name.clone()));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // What the page says of an operator holds here.
    let rows = rows();
    for (operator, name) in &proven {
        assert!(
            rows[operator][0] > 0,
            "{name} is proven, the page says that no case of {operator} is"
        );
    }
    for (operator, name) in &refused {
        assert!(
            rows[operator][1] > 0,
            "{name} is refused, the page says that no case of {operator} is"
        );
    }
    assert!(proven.len() >= 120, "only {} are proven", proven.len());
    assert!(refused.len() >= 40, "only {} are refused", refused.len());
}

/// Another model, a wrong output and a broken file are told apart from what is right.
#[test]
fn wrong_outputs_and_broken_models_fail() {
    let cases = cases();
    let case = |name: &str| cases.iter().find(|case| case.name == name).unwrap().clone();
    let of = |case: &Case| outcome(case, Depth::Run, &mut KnownGenerators::new());
    let right = case("test_relu");
    assert!(matches!(of(&right), Outcome::Proven { .. }));
    let mut other = right.clone();
    other.outputs[0] = right.inputs[0].clone();
    assert!(matches!(of(&other), Outcome::Failed { problem } if problem.contains("expected")));
    let mut other = right.clone();
    other.model = case("test_abs").model;
    assert!(matches!(of(&other), Outcome::Failed { .. }));
    let mut broken = right;
    broken.model.truncate(20);
    assert!(matches!(of(&broken), Outcome::Failed { .. }));
}
