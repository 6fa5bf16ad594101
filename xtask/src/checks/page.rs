//! The page of the book: written from the list and the tests that failed, read back to see whether it is up to date.

use super::list::Check;
use super::{Failures, SECTIONS, cut, key, source};

/// Tests that are named for each check; the number of others follows.
const NAMED: usize = 2;

const INTRODUCTION: &str = "\
# Every check, and what fails without it

`cargo xtask checks` writes this page. It copies the sources, puts every check of `xtask/src/checks/list.rs` behind a switch,
and runs tests with one switch thrown at a time; a check that no test misses is an error. That the list is whole, and that this
page still is what the list and the sources say, are tests of `xtask`: every `Err(..)` on the verifier's way and every call that adds
a gate, a lookup or a linear constraint must be in the list, or stand there with the reason why it is not.

Constraints are also taken out of finished systems, one by one and not by kind, and then a forgery wins: see
[Attacks and the checks that refuse them](attacks.md).
";

/// The page.
///
/// # Errors
/// If a check is not where the list says, or has no failing tests.
pub fn page(failures: &Failures) -> Result<String, String> {
    let mut text = INTRODUCTION.to_owned();
    for section in &SECTIONS {
        text += &format!("\n## {}\n\n{}\n\n", section.heading, section.about);
        text += "| check | where | fails without it |\n|---|---|---|\n";
        for check in section.checks {
            let failed = failures.get(&key(section, check));
            let failed = failed.ok_or_else(|| format!("`{}` has not been tried", check.name))?;
            text += &row(check, failed)?;
        }
    }
    Ok(text)
}

fn row(check: &Check, failed: &[(String, String)]) -> Result<String, String> {
    let text = source(check.file)?;
    let at = cut::position(&text, check.scope, check.find);
    let at = at.map_err(|e| format!("{}: {}: {e}", check.file, check.name))?;
    let name = check.name.replace('|', "\\|");
    let (file, function) = (check.file, cut::function(&text, at));
    let tests = failed.iter().take(NAMED);
    let mut tests: Vec<String> = tests
        .map(|(file, test)| format!("`{test}` in `{file}`"))
        .collect();
    let others = failed.len().saturating_sub(NAMED);
    if others > 0 {
        tests.push(format!("{others} more"));
    }
    let tests = tests.join(", ");
    Ok(format!("| {name} | `{function}` in `{file}` | {tests} |\n"))
}

/// The failing tests of each row of a page; those that are not named are empty.
pub fn read(text: &str) -> Failures {
    let mut failures = Failures::new();
    let mut heading = "";
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            heading = title;
        }
        let cells: Vec<&str> = line.split(" | ").collect();
        let ([name, _, tests], Some(_)) = (cells.as_slice(), line.strip_prefix("| ")) else {
            continue;
        };
        let name = name.trim_start_matches("| ").replace("\\|", "|");
        let tests = tests.trim_end_matches(" |").split(", ");
        let tests = tests.flat_map(|test| match test.strip_suffix(" more") {
            Some(count) => vec![<(String, String)>::default(); count.parse().unwrap_or(0)],
            None => {
                let (test, file) = test.split_once("` in `").unwrap_or(("", ""));
                let file = file.trim_end_matches('`').to_owned();
                vec![(file, test.trim_start_matches('`').to_owned())]
            }
        });
        failures.insert(format!("{heading}/{name}"), tests.collect());
    }
    failures
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::PAGE;
    use crate::root;

    #[test]
    fn the_page_is_up_to_date() {
        let committed = std::fs::read_to_string(root().join(PAGE)).unwrap();
        let failures = read(&committed);
        let expected = page(&failures).unwrap();
        assert_eq!(committed, expected, "run `cargo xtask checks`");
        for (check, failed) in failures.iter().filter(|(key, _)| !key.ends_with("/check")) {
            assert!(!failed.is_empty(), "{check}: no test fails without it");
            for (file, test) in failed.iter().filter(|(file, _)| !file.is_empty()) {
                let text = source(file).unwrap_or_default();
                let there = text.contains(&format!("fn {test}("));
                assert!(
                    there,
                    "{check}: no test `{test}` in {file}: run `cargo xtask checks`"
                );
            }
        }
    }
}
