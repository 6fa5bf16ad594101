//! Whether the list of checks is whole.

use std::collections::BTreeSet;

use crate::checks::list::Check;
use crate::checks::{SECTIONS, cut, source};

/// Files in which every refusal is a check.
const REFUSING: [&str; 9] = [
    "verifier/src/verify.rs",
    "verifier/src/rounds.rs",
    "verifier/src/batch.rs",
    "verifier/src/proof.rs",
    "verifier/src/encoding.rs",
    "verifier/src/key.rs",
    "verifier/src/validate/mod.rs",
    "verifier/src/validate/challenges.rs",
    "verifier/src/rotation.rs",
];

/// Refusals that are not checks of their own, and why.
const EXCUSED: [(&str, &str, &str); 2] = [
    (
        "verifier/src/batch.rs",
        "Err(BatchRejection::Proof {",
        "what `the sum of a batch` ends in",
    ),
    (
        "verifier/src/encoding.rs",
        "_ => Err(DecodeError::Short),",
        "how a list that is too long is refused; `lists are no longer than the input`",
    ),
];

fn of_file(file: &str) -> impl Iterator<Item = &'static Check> {
    let checks = SECTIONS.iter().flat_map(|section| section.checks);
    checks.filter(move |check| check.file == file)
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

/// The number of the line of a position.
fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count()
}

#[test]
fn every_refusal_is_in_the_list() {
    let mut seen = 0;
    for file in REFUSING {
        let text = source(file).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let refuses = |n: &usize| lines[*n].contains("Err(") && !is_comment(lines[*n]);
        let refusals: BTreeSet<usize> = (0..lines.len()).filter(refuses).collect();
        let mut listed = BTreeSet::new();
        for check in of_file(file) {
            let at = cut::position(&text, check.scope, check.find).unwrap();
            listed.extend(refusals.range(line_of(&text, at)..).next());
        }
        seen += listed.len();
        for number in refusals.difference(&listed) {
            let line = lines[*number].trim();
            let excused = |(f, l, _): &(&str, &str, &str)| *f == file && line.ends_with(l);
            let known = EXCUSED.iter().any(excused);
            assert!(known, "{file}:{}: `{line}` is not in the list", number + 1);
        }
    }
    assert!(seen > 30);
}

#[test]
fn every_kind_of_constraint_is_in_the_list() {
    let mut seen = 0;
    let files = ["builder/mod.rs", "builder/lookups.rs", "plonk.rs"];
    for file in files.map(|file| format!("verifier/src/{file}")) {
        let file = file.as_str();
        let text = source(file).unwrap();
        let statement = |check: &Check| {
            let at = cut::position(&text, check.scope, check.find).unwrap();
            cut::statement(&text, at)
        };
        let statements: Vec<_> = of_file(file).map(statement).collect();
        for call in [".constrain(", ".gate(", ".lookup("] {
            for (at, _) in text.match_indices(call) {
                let line = text[..at].lines().last().unwrap_or_default();
                if !is_comment(line) {
                    seen += 1;
                    let listed = statements.iter().any(|range| range.contains(&at));
                    let number = line_of(&text, at) + 1;
                    assert!(listed, "{file}:{number}: `{call}` is not in the list");
                }
            }
        }
    }
    assert!(seen > 8);
}

#[test]
fn names_are_distinct() {
    for section in &SECTIONS {
        let names: BTreeSet<&str> = section.checks.iter().map(|check| check.name).collect();
        assert_eq!(names.len(), section.checks.len(), "{}", section.heading);
    }
}
