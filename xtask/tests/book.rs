//! The book says nothing of files, items, flags or links that are not there, and leaves none of its lists incomplete.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

fn names_in(folder: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// All pages by name.
fn pages() -> Vec<(String, String)> {
    let page = |name: String| {
        let text = read(&format!("docs/src/{name}"));
        (name, text)
    };
    names_in("docs/src").into_iter().map(page).collect()
}

/// The text without fenced and indented blocks.
fn prose(text: &str) -> String {
    let mut fenced = false;
    let mut kept = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced && !line.starts_with("    ") {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    assert!(!fenced, "a fence is not closed");
    kept
}

/// What stands between single backticks.
fn code(text: &str) -> Vec<String> {
    let prose = prose(text);
    let spans = prose.split('`').skip(1).step_by(2);
    spans.map(str::to_owned).collect()
}

/// Targets of `[text](target)`.
fn links(text: &str) -> Vec<String> {
    let prose = prose(text);
    let ends = prose.split("](").skip(1);
    let targets = ends.filter_map(|rest| rest.split_once(')').map(|(target, _)| target.to_owned()));
    targets.collect()
}

/// The anchors that mdbook gives the headings of a page.
fn anchors(text: &str) -> BTreeSet<String> {
    let prose = prose(text);
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    let slug = |heading: &str| {
        let letters = heading.trim_start_matches('#').trim().chars();
        letters
            .filter_map(|c| match c {
                ' ' => Some('-'),
                c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c.to_ascii_lowercase()),
                _ => None,
            })
            .collect()
    };
    headings.map(slug).collect()
}

/// Every word of every Rust source.
fn identifiers() -> BTreeSet<String> {
    fn visit(folder: &Path, words: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    visit(&path, words);
                }
            } else if name.ends_with(".rs") && name != "book.rs" {
                let text = std::fs::read_to_string(&path).unwrap();
                let split = text.split(|c: char| !c.is_alphanumeric() && c != '_');
                words.extend(split.map(str::to_owned));
            }
        }
    }
    let mut words = BTreeSet::new();
    visit(&root(), &mut words);
    words
}

/// Whether a word in code font can only be the name of an item: `two_words`, `CamelCase`, `path::to::it`, `call()`.
fn is_item(word: &str) -> bool {
    let inner = word.trim_end_matches("()").trim_end_matches('!');
    let plain = inner
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':');
    let starts = inner.starts_with(|c: char| c.is_ascii_alphabetic());
    let snake = inner.len() > 5 && inner.contains('_');
    let lower = inner.chars().any(|c| c.is_ascii_lowercase());
    let camel = inner.chars().skip(1).any(|c| c.is_ascii_uppercase()) && lower;
    plain && starts && (inner != word || snake || camel || inner.contains("::"))
}

fn is_path(word: &str) -> bool {
    let known = [".rs", ".md", ".toml", ".onnx", ".npz", ".json"];
    let ends = known.iter().any(|end| word.ends_with(end));
    let first = word.split('/').next().unwrap_or_default();
    let begins = !first.is_empty() && root().join(first).exists();
    word.contains('/') && !word.contains([' ', '<', '*', '{', ':']) && (ends || begins)
}

#[test]
fn every_page_is_in_the_summary_and_every_link_leads_somewhere() {
    let pages = pages();
    let names: BTreeSet<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
    let (_, summary) = pages.iter().find(|(name, _)| name == "SUMMARY.md").unwrap();
    let mut listed: BTreeSet<String> = links(summary).into_iter().collect();
    listed.insert("SUMMARY.md".into());
    assert!(listed.iter().map(String::as_str).eq(names.iter().copied()));
    let mut followed = 0;
    for (name, text) in &pages {
        for link in links(text).iter().filter(|link| !link.starts_with("http")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let file = if file.is_empty() { name } else { file };
            let target = pages.iter().find(|(page, _)| page == file);
            let (_, target) = target.unwrap_or_else(|| panic!("{name}: dead link {link}"));
            assert!(
                anchor.is_empty() || anchors(target).contains(anchor),
                "{name}: {link}: no such heading"
            );
            followed += 1;
        }
    }
    assert!(followed > names.len());
}

#[test]
fn files_that_are_named_exist() {
    let mut named = 0;
    for (name, text) in pages() {
        for path in code(&text).iter().filter(|word| is_path(word)) {
            named += 1;
            assert!(root().join(path).exists(), "{name}: {path} does not exist");
        }
    }
    assert!(named > 20);
}

#[test]
fn items_that_are_named_exist() {
    let known = identifiers();
    let mut named = 0;
    for (name, text) in pages() {
        for word in code(&text).iter().filter(|word| is_item(word)) {
            let segments = word.split([':', '(', ')', '!']).filter(|s| !s.is_empty());
            for segment in segments {
                named += 1;
                assert!(known.contains(segment), "{name}: `{word}` is nowhere");
            }
        }
    }
    assert!(named > 50);
}

/// Rows of a table have as many cells as its head, and no formula is mistaken for an HTML tag.
#[test]
fn tables_and_formulas_render() {
    let mut rows = 0;
    for (name, text) in pages() {
        let prose = prose(&text);
        let bars = |line: &str| line.matches('|').count() - line.matches("\\|").count();
        for pair in prose.lines().collect::<Vec<_>>().windows(2) {
            if pair.iter().all(|line| line.starts_with('|')) {
                rows += 1;
                assert_eq!(bars(pair[0]), bars(pair[1]), "{name}: {}", pair[1]);
            }
        }
        let outside: String = prose.split('`').step_by(2).collect();
        for tag in outside.split('<').skip(1) {
            let inner = tag.split(['>', ' ']).next().unwrap_or_default();
            let html = tag.contains('>') && inner.chars().all(|c| c.is_ascii_alphanumeric());
            let closed = tag[inner.len()..].starts_with('>');
            assert!(!(html && closed), "{name}: <{inner}> is taken for a tag");
        }
    }
    assert!(rows > 50);
}

#[test]
fn every_decision_is_included() {
    let page = read("docs/src/decisions.md");
    for name in names_in("docs/decisions") {
        let include = format!("{{{{#include ../decisions/{name}}}}}");
        assert!(page.contains(&include), "{name} is not in decisions.md");
    }
}

/// Every name must stand in code font on a page; there must be at least `least`.
fn all_on(page: &str, names: &[String], least: usize) {
    let words = code(&read(&format!("docs/src/{page}")));
    assert!(names.len() >= least, "{page}: only {} names", names.len());
    for name in names {
        let there = words.iter().any(|word| {
            word.split(|c: char| c.is_whitespace() || "|[](),.=".contains(c))
                .any(|part| part == name)
        });
        assert!(there, "{page} does not mention `{name}`");
    }
}

#[test]
fn every_backend_operation_is_explained() {
    let api = read("backends/api/src/lib.rs");
    let operations = api
        .lines()
        .filter_map(|line| line.strip_prefix("    fn "))
        .filter_map(|line| line.split_once('(').map(|(name, _)| name.to_owned()));
    all_on("port-a-backend.md", &operations.collect::<Vec<_>>(), 20);
}

#[test]
fn every_command_flag_and_field_is_explained() {
    let main = read("cli/src/main.rs");
    let lines: Vec<&str> = main.lines().map(str::trim).collect();
    let long = lines
        .windows(2)
        .filter(|pair| pair[0].starts_with("#[arg(") && pair[0].contains("long"));
    let flag = |pair: &[&str]| {
        let (name, _) = pair[1].split_once(':').unwrap();
        format!("--{}", name.replace('_', "-"))
    };
    all_on("command-line.md", &long.map(flag).collect::<Vec<_>>(), 5);

    let commands = main.split("enum Command {").nth(1).unwrap();
    let commands = commands.split("\n}").next().unwrap().lines();
    let variant = |line: &str| {
        let name = line.strip_prefix("    ")?.strip_suffix(" {")?;
        name.starts_with(char::is_uppercase)
            .then(|| name.to_ascii_lowercase())
    };
    all_on(
        "command-line.md",
        &commands.filter_map(variant).collect::<Vec<_>>(),
        5,
    );

    let report = read("cli/src/report.rs");
    let report = report.split("pub struct Report {").nth(1).unwrap();
    let fields = report.split("\n}").next().unwrap().lines();
    let field = |line: &str| {
        let (name, _) = line.trim().strip_prefix("pub ")?.split_once(':')?;
        (name != "text").then(|| name.to_owned())
    };
    all_on(
        "command-line.md",
        &fields.filter_map(field).collect::<Vec<_>>(),
        10,
    );
}

#[test]
fn every_attack_test_is_listed() {
    let files = names_in("attacks/tests");
    let files = files.iter().filter(|name| *name != "main.rs");
    let paths: Vec<String> = files.map(|f| format!("attacks/tests/{f}")).collect();
    let words = code(&read("docs/src/attacks.md"));
    for path in paths {
        assert!(words.contains(&path), "attacks.md does not mention {path}");
    }
}
