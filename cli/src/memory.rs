//! Amounts of memory as they are written on the command line.

use std::fmt;
use std::str::FromStr;

/// Bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Memory(pub u64);

/// Units by their names, largest first.
const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

impl FromStr for Memory {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let invalid = || {
            format!(
                "`{text}` is no amount of memory; write a number and its unit, as in 4GiB or 512MiB"
            )
        };
        let unit = UNITS.iter().find(|(name, _)| text.ends_with(name));
        let &(name, bytes) = unit.ok_or_else(invalid)?;
        let number = text[..text.len() - name.len()].trim_end().parse::<f64>();
        let total = number.map_err(|_| invalid())? * bytes as f64;
        if !(total >= 1.0 && total < 2f64.powi(63)) {
            return Err(invalid());
        }
        Ok(Self(total as u64))
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} MiB", self.0 as f64 / f64::from(1 << 20))
    }
}

#[cfg(test)]
mod tests {
    use super::Memory;

    #[test]
    fn amounts_have_a_number_and_a_unit() {
        let read = |text: &str| text.parse::<Memory>().map(|memory| memory.0);
        assert_eq!(read("4GiB"), Ok(4 << 30));
        assert_eq!(read("1.5 MiB"), Ok(3 << 19));
        assert_eq!(read("2GB"), Ok(2_000_000_000));
        assert_eq!(read("10B"), Ok(10));
        for wrong in [
            "",
            "4",
            "GiB",
            "-1GiB",
            "0MiB",
            "4GIB",
            "nanMiB",
            "infB",
            "99999999TiB",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Memory(3 << 19).to_string(), "1.5 MiB");
    }
}
