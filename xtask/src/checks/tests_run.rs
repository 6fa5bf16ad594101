//! Building test programs once and running them with a check switched off.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::list::Target;
use crate::root;

/// The test programs of a tree, built when first asked for.
pub struct Runner {
    tree: PathBuf,
    programs: BTreeMap<Target, PathBuf>,
}

impl Runner {
    /// Nothing is built yet.
    pub fn new(tree: &Path) -> Self {
        Self {
            tree: tree.to_owned(),
            programs: BTreeMap::new(),
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
            let program = self.program(target)?;
            let tests = self.run(target, &program, Some(without))?;
            failed.extend(tests.iter().map(|test| place(target, test)));
        }
        Ok(failed)
    }

    /// The test program, which must succeed as it is.
    fn program(&mut self, target: &Target) -> Result<PathBuf, String> {
        if let Some(program) = self.programs.get(target) {
            return Ok(program.clone());
        }
        let program = self.build(target)?;
        let failed = self.run(target, &program, None)?;
        if !failed.is_empty() {
            let (_, name) = target;
            return Err(format!("{name} fails with every check on: {failed:?}"));
        }
        self.programs.insert(*target, program.clone());
        Ok(program)
    }

    fn build(&self, (package, name): &Target) -> Result<PathBuf, String> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["test", "--no-run", "--quiet", "--message-format=json"])
            .args(["-p", package, "--test", name])
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
                message["target"]["name"] == **name && message["target"]["kind"][0] == "test";
            let path = message["executable"].as_str().filter(|_| is_it)?;
            Some(PathBuf::from(path))
        };
        let path = messages.filter_map(executable).next_back();
        path.ok_or_else(|| format!("the tests `{name}` of {package} do not build"))
    }

    /// The names of the tests that fail; if the program dies, of the one that it was at.
    fn run(
        &self,
        (package, _): &Target,
        program: &Path,
        without: Option<&str>,
    ) -> Result<Vec<String>, String> {
        let run = |more: &[&str]| {
            let mut command = Command::new(program);
            command
                .args(more)
                .current_dir(self.tree.join(folder(package)));
            if let Some(check) = without {
                command.env("ZKERNEL_WITHOUT", check);
            }
            command
                .output()
                .map_err(|e| format!("{}: {e}", program.display()))
        };
        let output = run(&[])?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let tests = |text: &str, end: &str| -> Vec<String> {
            let lines = text.lines().filter_map(|line| line.strip_prefix("test "));
            let names = lines.filter_map(|line| line.strip_suffix(end)?.strip_suffix(" ... "));
            names.map(str::to_owned).collect()
        };
        let failed = tests(&text, "FAILED");
        if output.status.success() || !failed.is_empty() {
            return Ok(failed);
        }
        let one_by_one = run(&["--test-threads=1"])?;
        let text = String::from_utf8_lossy(&one_by_one.stdout).into_owned();
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
fn place((package, target): &Target, test: &str) -> (String, String) {
    let tests = format!("{}/tests", folder(package));
    let (module, name) = test.rsplit_once("::").unwrap_or(("", test));
    let flat = root().join(format!("{tests}/{target}.rs")).exists();
    let file = match (flat, module) {
        (true, _) => format!("{tests}/{target}.rs"),
        (false, "") => format!("{tests}/{target}/main.rs"),
        (false, module) => format!("{tests}/{target}/{}.rs", module.replace("::", "/")),
    };
    (file, name.to_owned())
}
