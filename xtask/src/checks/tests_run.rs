//! Building test programs once and running them with a check switched off.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::list::Target;
use crate::root;

/// All tests of a package that are not beside its code.
const PROGRAM: &str = "all";

/// The test programs of a tree, built when first asked for.
pub struct Runner {
    tree: PathBuf,
    /// By package.
    programs: BTreeMap<&'static str, PathBuf>,
    /// Names in the program, of tests that succeed as it is.
    tests: BTreeMap<Target, Vec<String>>,
}

impl Runner {
    /// Nothing is built yet.
    pub fn new(tree: &Path) -> Self {
        Self {
            tree: tree.to_owned(),
            programs: BTreeMap::new(),
            tests: BTreeMap::new(),
        }
    }

    /// The tests that fail without a check, each as its file and its name.
    ///
    /// # Errors
    /// If a program does not build, or fails with all checks on.
    pub fn failing(
        &mut self,
        targets: &[Target],
        without: &str,
    ) -> Result<Vec<(String, String)>, String> {
        let mut failed = Vec::new();
        for target in targets {
            let tests = self.tests(target)?;
            let (package, ..) = target;
            let without = self.run(package, &tests, Some(without))?;
            failed.extend(without.iter().map(|test| place(package, test)));
        }
        Ok(failed)
    }

    /// The names of the tests in their program, which must succeed as it is.
    fn tests(&mut self, target: &Target) -> Result<Vec<String>, String> {
        if let Some(tests) = self.tests.get(target) {
            return Ok(tests.clone());
        }
        let (package, file, part) = *target;
        if !self.programs.contains_key(package) {
            let program = self.build(package)?;
            self.programs.insert(package, program);
        }
        let (listed, _) = self.output(package, &["--list"], None)?;
        let names = listed.lines().filter_map(|l| l.strip_suffix(": test"));
        let inside = |name: &&str| {
            let test = name.strip_prefix(file).and_then(|n| n.strip_prefix("::"));
            test.is_some_and(|test| test.contains(part))
        };
        let tests: Vec<String> = names.filter(inside).map(str::to_owned).collect();
        if tests.is_empty() {
            return Err(format!("{package} has no tests `{part}` in {file}.rs"));
        }
        let failed = self.run(package, &tests, None)?;
        if !failed.is_empty() {
            return Err(format!("{file} fails with every check on: {failed:?}"));
        }
        self.tests.insert(*target, tests.clone());
        Ok(tests)
    }

    fn build(&self, package: &str) -> Result<PathBuf, String> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["test", "--no-run", "--quiet", "--message-format=json"])
            .args(["-p", package, "--test", PROGRAM])
            .env("CARGO_TARGET_DIR", root().join("target"))
            .current_dir(&self.tree)
            .stderr(std::process::Stdio::inherit())
            .output()
            .map_err(|e| format!("cargo does not start: {e}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let messages = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        let executable = |message: serde_json::Value| {
            let is_it =
                message["target"]["name"] == PROGRAM && message["target"]["kind"][0] == "test";
            let path = message["executable"].as_str().filter(|_| is_it)?;
            Some(PathBuf::from(path))
        };
        let path = messages.filter_map(executable).next_back();
        path.ok_or_else(|| format!("the tests of {package} do not build"))
    }

    /// What the program of a package prints, and whether it succeeds.
    fn output(
        &self,
        package: &str,
        arguments: &[&str],
        without: Option<&str>,
    ) -> Result<(String, bool), String> {
        let program = &self.programs[package];
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(self.tree.join(folder(package)));
        if let Some(check) = without {
            command.env("ZKERNEL_WITHOUT", check);
        }
        let output = command
            .output()
            .map_err(|e| format!("{}: {e}", program.display()))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok((text, output.status.success()))
    }

    /// Which of the tests fail; if the program dies, the one that it was at.
    fn run(
        &self,
        package: &str,
        tests: &[String],
        without: Option<&str>,
    ) -> Result<Vec<String>, String> {
        let run = |more: &[&str]| {
            let names = tests.iter().map(String::as_str);
            let arguments: Vec<&str> = names
                .chain(["--exact"])
                .chain(more.iter().copied())
                .collect();
            self.output(package, &arguments, without)
        };
        let (text, success) = run(&[])?;
        let ended = |text: &str, end: &str| -> Vec<String> {
            let lines = text.lines().filter_map(|line| line.strip_prefix("test "));
            let names = lines.filter_map(|line| line.strip_suffix(end)?.strip_suffix(" ... "));
            names.map(str::to_owned).collect()
        };
        let failed = ended(&text, "FAILED");
        if success || !failed.is_empty() {
            return Ok(failed);
        }
        let (text, _) = run(&["--test-threads=1"])?;
        let last = text.lines().last().unwrap_or_default().to_owned() + "\n";
        let at = last
            .strip_prefix("test ")
            .and_then(|l| l.split(" ... ").next());
        Ok(at.map(str::to_owned).into_iter().collect())
    }
}

/// The folder of a package.
fn folder(package: &str) -> &str {
    package.strip_prefix("zkernel-").unwrap_or(package)
}

/// The file of a test and its name there.
fn place(package: &str, test: &str) -> (String, String) {
    let (module, name) = test.rsplit_once("::").unwrap_or(("main", test));
    let file = module.replace("::", "/");
    (
        format!("{}/tests/{file}.rs", folder(package)),
        name.to_owned(),
    )
}
