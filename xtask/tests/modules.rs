//! Tests that share a program are modules of its `main.rs`: a file that is not named there would never be compiled.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Folders with tests below the root, two levels deep.
fn test_folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let crates = entries(&root)
        .into_iter()
        .flat_map(|folder| [vec![folder.clone()], entries(&folder)].concat());
    let tests = crates.map(|folder| folder.join("tests"));
    tests.filter(|tests| tests.is_dir()).collect()
}

/// What is in a folder; nothing in a file.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// The name of the module that a path is the root of.
fn module(path: &Path) -> Option<String> {
    let is_module = path.join("mod.rs").is_file() || path.extension().is_some_and(|e| e == "rs");
    let stem = path.file_stem()?.to_str()?;
    (is_module && !["main", "mod"].contains(&stem)).then(|| stem.to_owned())
}

/// Modules that a file declares.
fn declared(root: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(root).unwrap();
    let names = text
        .lines()
        .filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'));
    names.map(str::to_owned).collect()
}

#[test]
fn every_file_of_tests_is_in_its_program() {
    let mut programs = 0;
    for tests in test_folders() {
        for folder in [vec![tests.clone()], entries(&tests)].concat() {
            let roots = [folder.join("main.rs"), folder.join("mod.rs")];
            let Some(root) = roots.iter().find(|root| root.is_file()) else {
                continue;
            };
            let here: BTreeSet<_> = entries(&folder).iter().filter_map(|p| module(p)).collect();
            let missing: Vec<_> = here.difference(&declared(root)).cloned().collect();
            assert!(missing.is_empty(), "{root:?} does not name {missing:?}");
            programs += 1;
        }
    }
    assert!(
        programs >= 6,
        "{programs} programs of several files were found"
    );
}
