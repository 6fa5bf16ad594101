//! `cargo xtask fixtures`: fetches the `onnx` package, whose node cases are ONNX's conformance suite, and runs all of them.

use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use crate::root;

/// The package, one of its wheels (they all hold the same cases), and that wheel's SHA-256.
const PACKAGE: &str = "onnx==1.22.0";
const WHEEL: &str = "onnx-1.22.0-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl";
const SHA256: &str = "1d0a2bdb15eb2b3cb65c438f3423d9620d14fdce32f92380e6bb1b2e09568ef5";
/// What makes pip fetch that wheel on any machine.
const PIP: [&str; 14] = [
    "-m",
    "pip",
    "download",
    "--quiet",
    "--no-deps",
    "--only-binary=:all:",
    "--platform",
    "manylinux_2_28_x86_64",
    "--python-version",
    "3.11",
    "--implementation",
    "cp",
    "--abi",
    "cp311",
];
/// The page of the book, and the cases that the tests of the front end run.
const PAGE: &str = "docs/src/onnx-nodes.md";
const SUBSET: &str = "onnx/tests/fixtures/nodes.zip";

/// Runs the cases whose names contain one of `only`, or all of them: then the page and the subset are written too.
///
/// # Errors
/// In words: what failed and which program said so. A case that neither is proven nor refused by name is an error.
pub fn fixtures(only: &[String]) -> Result<(), String> {
    let wheel = fetched()?;
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args([
            "run",
            "--quiet",
            "--package",
            "zkernel-onnx-conformance",
            "--",
        ])
        .arg(&wheel);
    for name in only {
        command.args(["--only", name]);
    }
    if only.is_empty() {
        let [page, subset] = [PAGE, SUBSET].map(|path| root().join(path));
        command.arg("--page").arg(page).arg("--subset").arg(subset);
    }
    let status = command
        .status()
        .map_err(|e| format!("cargo does not start: {e}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("the node cases ended with {status}"))
    }
}

/// The wheel, fetched once.
fn fetched() -> Result<PathBuf, String> {
    let folder = root().join("target/fixtures");
    let wheel = folder.join(WHEEL);
    if wheel.exists() {
        return checked(&wheel);
    }
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut pip = Command::new("python3");
    let status = pip
        .args(PIP)
        .arg("--dest")
        .arg(&folder)
        .arg(PACKAGE)
        .status();
    let status = status.map_err(|e| {
        format!("python3 does not start ({e}): it is needed once, to fetch {PACKAGE}")
    })?;
    if !status.success() {
        return Err(format!(
            "pip could not fetch {PACKAGE} ({status}); put {WHEEL} into {} by hand",
            folder.display()
        ));
    }
    checked(&wheel)
}

/// The file, if its bytes are those that the suite was written for.
fn checked(wheel: &Path) -> Result<PathBuf, String> {
    let bytes = std::fs::read(wheel).map_err(|e| format!("{}: {e}", wheel.display()))?;
    let digest = Sha256::digest(&bytes);
    let found: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    if found == SHA256 {
        return Ok(wheel.to_owned());
    }
    Err(format!(
        "{} has SHA-256 {found}, expected {SHA256}: remove it to fetch it again",
        wheel.display()
    ))
}
