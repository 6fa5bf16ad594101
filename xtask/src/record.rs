//! Records of measurements: `benches/record/DEVICE/DATE.csv`, one file a day and device.

use std::path::PathBuf;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::root;

/// The columns of a record: the fields of a line of `cargo xtask ratios --json`, and the commit that was measured.
const COLUMNS: [&str; 15] = [
    "group",
    "size",
    "threads",
    "ours_ns",
    "ours_min_ns",
    "ours_max_ns",
    "peer",
    "peer_ns",
    "peer_min_ns",
    "peer_max_ns",
    "ratio",
    "backend",
    "commit",
    "tunables",
    "peers",
];

/// Writes the lines into today's record of that device, in place of earlier ones of the same group, size and threads; gives
/// its path.
///
/// # Errors
/// In words, if the file cannot be written.
pub fn write(device: Option<&str>, lines: &[Value]) -> Result<PathBuf, String> {
    let device = clean(device.map_or_else(cpu_model, str::to_owned).as_str());
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH);
    let date = date(seconds.map_or(0, |since| since.as_secs()) / 86_400);
    let folder = root().join("benches/record").join(device);
    let path = folder.join(format!("{date}.csv"));
    let earlier = std::fs::read_to_string(&path).unwrap_or_default();
    let text = merged(&earlier, &csv(lines, &commit()));
    std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::write(&path, text))
        .map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(path)
}

fn csv(lines: &[Value], commit: &str) -> String {
    let cell = |line: &Value, column: &str| match (column, &line[column]) {
        ("commit", _) => commit.to_owned(),
        (_, Value::Null) => String::new(),
        (_, Value::String(text)) => quoted(text),
        (_, Value::Object(peers)) => {
            let peers = peers.iter().map(|(name, ns)| format!("{name}={ns}"));
            quoted(&peers.collect::<Vec<_>>().join("; "))
        }
        (_, other) => other.to_string(),
    };
    let mut text = COLUMNS.join(",") + "\n";
    for line in lines {
        text += &COLUMNS.map(|column| cell(line, column)).join(",");
        text.push('\n');
    }
    text
}

/// The later record, and rows of the earlier one that it does not have, first.
fn merged(earlier: &str, later: &str) -> String {
    let what = |row: &str| row.split(',').take(3).collect::<Vec<_>>().join(",");
    let measured: Vec<String> = later.lines().map(what).collect();
    let kept = earlier.lines().filter(|row| !measured.contains(&what(row)));
    let mut rows = later.lines();
    let title = rows.next().into_iter();
    let rows: Vec<&str> = title.chain(kept).chain(rows).collect();
    rows.join("\n") + "\n"
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// Lower-case letters, digits and single dashes, without what vendors add to every name.
fn clean(name: &str) -> String {
    let words = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .map(str::to_ascii_lowercase)
        .filter(|word| !["", "r", "tm", "cpu", "processor", "core"].contains(&word.as_str()));
    let cleaned: Vec<String> = words.collect();
    if cleaned.is_empty() {
        "unknown".into()
    } else {
        cleaned.join("-")
    }
}

/// The CPU's model, as the operating system names it.
fn cpu_model() -> String {
    let linux = std::fs::read_to_string("/proc/cpuinfo")
        .ok()
        .and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("model name"))?;
            Some(line.split_once(':')?.1.to_owned())
        });
    let mac = || output("sysctl", &["-n", "machdep.cpu.brand_string"]);
    linux
        .or_else(mac)
        .unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

/// The commit, with `+` if the working tree has changes beside records.
fn commit() -> String {
    let changed = output(
        "git",
        &["status", "--porcelain", "--", ".", ":!benches/record"],
    );
    let mark = if changed.is_some_and(|text| !text.is_empty()) {
        "+"
    } else {
        ""
    };
    let hash = output("git", &["rev-parse", "--short=12", "HEAD"]);
    hash.unwrap_or_else(|| "unknown".into()) + mark
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(root())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// `YYYY-MM-DD` of a day since 1970-01-01: years are taken to begin in March, so that the leap day is the last one.
fn date(days: u64) -> String {
    let since = days + 719_468; // 0000-03-01
    let (era, day) = (since / 146_097, since % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    format!("{:04}-{month:02}-{of_month:02}", era * 400 + year + next)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_of_devices_are_cleaned() {
        let names = [
            ("AMD EPYC 9B45", "amd-epyc-9b45"),
            (
                "Intel(R) Core(TM) i7-1185G7 @ 3.00GHz",
                "intel-i7-1185g7-3-00ghz",
            ),
            ("  ", "unknown"),
        ];
        for (name, cleaned) in names {
            assert_eq!(clean(name), cleaned);
        }
    }

    #[test]
    fn days_have_their_dates() {
        let days = [
            (0, "1970-01-01"),
            (11_016, "2000-02-29"),
            (11_017, "2000-03-01"),
            (20_453, "2025-12-31"),
            (20_512, "2026-02-28"),
            (20_513, "2026-03-01"),
        ];
        for (day, expected) in days {
            assert_eq!(date(day), expected);
        }
    }

    #[test]
    fn a_line_is_a_row() {
        let line = json!({
            "group": "msm", "size": 14, "threads": 1, "ours_ns": 2.5, "peer": "a, \"b\"",
            "ratio": 3.0, "backend": "cpu", "tunables": "x=1", "peers": {"a": 1.0, "b": 2.0},
        });
        let text = csv(&[line], "abc");
        let rows: Vec<&str> = text.lines().collect();
        assert_eq!(rows[0].split(',').count(), COLUMNS.len());
        let expected = r#"msm,14,1,2.5,,,"a, ""b""",,,,3.0,cpu,abc,x=1,a=1.0; b=2.0"#;
        assert_eq!(rows[1], expected);
    }

    #[test]
    fn what_is_measured_again_is_replaced() {
        let earlier = "group,size,threads,ours\nmsm,10,1,5\nmsm,10,2,4\n";
        let later = "group,size,threads,ours\nmsm,10,2,3\nntt,10,1,2\n";
        let expected = "group,size,threads,ours\nmsm,10,1,5\nmsm,10,2,3\nntt,10,1,2\n";
        assert_eq!(merged(earlier, later), expected);
        assert_eq!(merged("", later), later);
    }

    /// Every committed record has today's columns, and every ratio is that of its medians.
    #[test]
    fn records_can_be_read() {
        let mut rows = 0;
        for device in std::fs::read_dir(root().join("benches/record")).unwrap() {
            for file in std::fs::read_dir(device.unwrap().path()).unwrap() {
                let path = file.unwrap().path();
                assert!(path.extension().is_some_and(|end| end == "csv"));
                let text = std::fs::read_to_string(&path).unwrap();
                let mut lines = text.lines();
                assert_eq!(lines.next(), Some(COLUMNS.join(",").as_str()));
                for line in lines {
                    rows += 1;
                    let cells: Vec<&str> = line.split(',').collect();
                    assert_eq!(cells.len(), COLUMNS.len(), "{line}");
                    let number = |index: usize| cells[index].parse::<f64>().unwrap();
                    let (ours, theirs, ratio) = (number(3), number(7), number(10));
                    assert!(
                        (theirs / ours - ratio).abs() <= 0.01 + 0.01 * ratio,
                        "{line}"
                    );
                }
            }
        }
        assert!(rows > 0);
    }
}
