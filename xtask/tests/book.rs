//! The book has no dead link, no page outside its summary, and names no file that does not exist.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn pages() -> Vec<(String, String)> {
    let folder = root().join("docs/src");
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap());
    let page = |entry: std::fs::DirEntry| {
        let text = std::fs::read_to_string(entry.path()).unwrap();
        (entry.file_name().into_string().unwrap(), text)
    };
    entries.map(page).collect()
}

/// Targets of `[text](target)`.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let ends = text.split("](").skip(1);
    ends.filter_map(|rest| rest.split_once(')').map(|(target, _)| target))
}

#[test]
fn every_page_is_in_the_summary_and_every_link_leads_somewhere() {
    let pages = pages();
    let names: BTreeSet<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
    let (_, summary) = pages.iter().find(|(name, _)| name == "SUMMARY.md").unwrap();
    let mut listed: BTreeSet<&str> = links(summary).collect();
    listed.insert("SUMMARY.md");
    assert_eq!(listed, names);
    for (name, text) in &pages {
        for target in links(text).filter(|target| !target.starts_with("http")) {
            assert!(names.contains(target), "{name}: dead link {target}");
        }
    }
}

#[test]
fn files_that_are_named_exist() {
    let mut named = 0;
    for (name, text) in pages() {
        for code in text.split('`').skip(1).step_by(2) {
            let is_path = code.contains('/') && !code.contains([' ', '{', '<', ':', '*']);
            if is_path {
                named += 1;
                assert!(root().join(code).exists(), "{name}: {code} does not exist");
            }
        }
    }
    assert!(named > 20);
}
