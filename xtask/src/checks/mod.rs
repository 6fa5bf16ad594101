//! `cargo xtask checks`: takes every check of the list out, one at a time, in a copy of the sources, sees which tests fail,
//! and writes the page of the book that says so.

#[cfg(test)]
mod coverage;
mod cut;
mod list;
mod page;
mod tests_run;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use list::Check;

use crate::root;

/// For each check, as `section/name`, the tests that fail without it, each as its file and its name.
pub type Failures = BTreeMap<String, Vec<(String, String)>>;

/// A part of the page: its heading, what it is, its checks.
pub struct Section {
    heading: &'static str,
    about: &'static str,
    checks: &'static [Check],
}

const SECTIONS: [Section; 5] = [
    Section {
        heading: "What is checked of a proof",
        about: "The first three hold the soundness; the others refuse what has no meaning.",
        checks: list::VERIFIER,
    },
    Section {
        heading: "What the transcript absorbs",
        about: "An item that is not absorbed can be chosen after the challenges that should depend on it.",
        checks: list::TRANSCRIPT,
    },
    Section {
        heading: "What decoders refuse",
        about: "One encoding for every value, and no allocation that the input does not pay for.",
        checks: list::DECODERS,
    },
    Section {
        heading: "What a constraint system must be",
        about: "Checked when a key is made, by the prover and by the verifier.",
        checks: list::SYSTEM,
    },
    Section {
        heading: "Kinds of constraints",
        about: "What the builder, the PLONKish front end and the gadgets put into a system.",
        checks: list::CONSTRAINT_KINDS,
    },
];

const PAGE: &str = "docs/src/checks.md";

/// Runs the tests without each check and writes the page; with names only without those, the rest being as on the page.
///
/// # Errors
/// In words: a check that is not where the list says, a build that fails, a check that no test misses.
pub fn checks(names: &[String]) -> Result<(), String> {
    let wanted = |check: &Check| names.is_empty() || names.iter().any(|name| name == check.name);
    let tree = copy()?;
    switch_all(&tree)?;
    let mut runner = tests_run::Runner::new(&tree);
    let mut failures = page::read(&source(PAGE).unwrap_or_default());
    let mut missed = Vec::new();
    for section in &SECTIONS {
        for check in section.checks.iter().filter(|check| wanted(check)) {
            let key = key(section, check);
            let failed = runner.failing(check.tests, &key)?;
            eprintln!("{key}: {} tests fail", failed.len());
            if failed.is_empty() {
                missed.push(key.clone());
            }
            failures.insert(key, failed);
        }
    }
    let text = page::page(&failures)?;
    std::fs::write(root().join(PAGE), text).map_err(|e| format!("{PAGE}: {e}"))?;
    if missed.is_empty() {
        Ok(())
    } else {
        Err(format!("no test misses {}", missed.join("; ")))
    }
}

fn key(section: &Section, check: &Check) -> String {
    format!("{}/{}", section.heading, check.name)
}

fn source(file: &str) -> Result<String, String> {
    std::fs::read_to_string(root().join(file)).map_err(|e| format!("{file}: {e}"))
}

/// The files that git knows or would add, copied to a folder below `target`.
fn copy() -> Result<PathBuf, String> {
    let tree = root().join("target/checks");
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .map_err(|e| format!("git: {e}"))?;
    let listed = String::from_utf8(listed.stdout).map_err(|e| e.to_string())?;
    for file in listed.lines().filter(|file| root().join(file).is_file()) {
        let (from, to) = (root().join(file), tree.join(file));
        let failed = |e: std::io::Error| format!("{file}: {e}");
        std::fs::create_dir_all(to.parent().unwrap_or(&tree)).map_err(failed)?;
        std::fs::copy(&from, &to).map_err(failed)?;
    }
    Ok(tree)
}

/// Puts every check of the copy behind a switch that an environment variable throws while tests run.
fn switch_all(tree: &Path) -> Result<(), String> {
    for section in &SECTIONS {
        for check in section.checks {
            let path = tree.join(check.file);
            let failed = |e: String| format!("{}: {}: {e}", check.file, check.name);
            let text = std::fs::read_to_string(&path).map_err(|e| failed(e.to_string()))?;
            let own = check.file.starts_with("verifier/");
            let krate = if own { "crate" } else { "zkernel_verifier" };
            let switch = format!("{krate}::switched_off({:?})", key(section, check));
            let text = cut::cut(&text, check.scope, check.find, check.cut, &switch);
            std::fs::write(&path, text.map_err(failed)?).map_err(|e| failed(e.to_string()))?;
        }
    }
    let path = tree.join("verifier/src/lib.rs");
    let text = std::fs::read_to_string(&path).map_err(|e| e.to_string())?;
    std::fs::write(&path, text + SWITCH).map_err(|e| e.to_string())
}

const SWITCH: &str = "
extern crate std;
/// Whether tests run without that check.
pub fn switched_off(check: &str) -> bool {
    std::env::var_os(\"ZKERNEL_WITHOUT\").is_some_and(|off| off == *check)
}
";
