//! What a command reports: one JSON object on one line, or a few readable lines.

use std::collections::BTreeMap;

use serde::Serialize;

/// Fields that apply are filled in; the others are left out.
#[derive(Default, Serialize)]
#[allow(missing_docs)]
pub struct Report {
    pub command: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prove_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify_seconds: Option<f64>,
    pub wall_seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof_bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_rss_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_n: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cells: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lookups: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Vec<f64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub float_outputs: Option<Vec<f64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_abs_error: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<zkernel_onnx::Report>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predicted: Option<Prediction>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub soundness: Option<SoundnessReport>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub proofs: Vec<ProofReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<crate::commands::Certificate>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub measurements: Vec<crate::bench::Measurement>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    #[serde(skip)]
    pub text: Vec<String>,
}

/// What one verified proof says.
#[derive(Clone, Serialize)]
pub struct ProofReport {
    /// The key's file.
    pub key: String,
    /// The proof's file.
    pub proof: String,
    /// The statement in words, but for its values.
    pub statement: String,
    /// Its values in words: what is visible, committed to, or held to a bound.
    pub values: Vec<String>,
    /// The visible outputs as real numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Vec<f64>>,
    /// The committed inputs and outputs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub commitments: Vec<Commitment>,
}

/// A tensor that a proof is about without showing it.
#[derive(Clone, Serialize)]
pub struct Commitment {
    /// Its name.
    pub tensor: String,
    /// `input` or `output`.
    pub end: &'static str,
    /// The commitment in hexadecimal; of several, the first 32 bytes of their BLAKE2b-512 hash.
    pub commitment: String,
}

/// What commands on this machine will report.
#[derive(Serialize)]
pub struct Prediction {
    /// `commit`; of a .zkm or .zkv, without calibration.
    pub commit_seconds: f64,
    /// `prove` of a .zkm.
    pub prove_seconds: f64,
    /// `verify`.
    pub verify_seconds: f64,
    /// Exactly.
    pub proof_bytes: usize,
    /// `prove` of a .zkm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_rss_bytes: Option<u64>,
    /// What the prover asks the device for, by operation.
    pub counts: BTreeMap<String, f64>,
}

/// How likely a false statement is accepted; see [`zkernel_verifier::soundness`].
#[derive(Serialize)]
pub struct SoundnessReport {
    /// `-log2` of the sum of all errors.
    pub bits: f64,
    /// The same for a prover that makes 2^126 hash queries.
    pub bits_after_2_126_queries: f64,
    /// log2 of the group operations of a discrete logarithm, without which nothing holds.
    pub discrete_logarithm_bits: f64,
    /// Each argument.
    pub arguments: Vec<ArgumentReport>,
}

/// The error of one argument.
#[derive(Serialize)]
pub struct ArgumentReport {
    /// What it argues.
    pub name: &'static str,
    /// The challenges it rests on.
    pub challenge: &'static str,
    /// Numerator of the error over the field's order.
    pub formula: &'static str,
    /// The names of the formula.
    pub counts: BTreeMap<&'static str, u128>,
    /// `-log2` of the error.
    pub bits: f64,
}

impl Prediction {
    fn print(&self) {
        let ms = |seconds: f64| format!("{:.1} ms", seconds * 1e3);
        let memory = self
            .peak_rss_bytes
            .map(|bytes| format!(", peak memory {}", mebibytes(bytes)));
        println!(
            "predicted      commit {}, prove {}, verify {}, proof {} bytes{}",
            ms(self.commit_seconds),
            ms(self.prove_seconds),
            ms(self.verify_seconds),
            self.proof_bytes,
            memory.unwrap_or_default()
        );
    }
}

impl SoundnessReport {
    fn print(&self) {
        println!("soundness: log2 of the chance that one false proof passes, by argument");
        for argument in &self.arguments {
            let ArgumentReport {
                name,
                challenge,
                formula,
                counts,
                bits,
            } = argument;
            let counts: Vec<String> = counts.iter().map(|(n, c)| format!("{n} {c}")).collect();
            let counts = counts.join(", ");
            println!(
                "  {name:<16} {challenge:<9} {:>8.1}   ({formula}) / |F|: {counts}",
                -bits
            );
        }
        println!("  {:<26} {:>8.1}", "all together", -self.bits);
        println!(
            "  {:<26} {:>8.1}",
            "after 2^126 hash queries", -self.bits_after_2_126_queries
        );
        println!(
            "  if nobody finds a discrete logarithm, about 2^{:.0} group operations",
            self.discrete_logarithm_bits
        );
    }
}

impl Report {
    /// Prints the report.
    pub fn print(&self, json: bool) {
        self.warnings
            .iter()
            .for_each(|warning| eprintln!("warning: {warning}"));
        if json {
            println!(
                "{}",
                serde_json::to_string(self).unwrap_or_else(|e| format!("{{\"error\":\"{e}\"}}"))
            );
            return;
        }
        self.text.iter().for_each(|line| println!("{line}"));
        if let Some(predicted) = &self.predicted {
            predicted.print();
        }
        if let Some(soundness) = &self.soundness {
            soundness.print();
        }
        if let Some(outputs) = &self.outputs {
            println!("outputs        {}", row(outputs));
        }
        if let Some(outputs) = &self.float_outputs {
            println!("float outputs  {}", row(outputs));
        }
        if let Some(error) = self.max_abs_error {
            println!("largest error  {error:.6}");
        }
        let times = [
            ("commit", self.commit_seconds),
            ("load", self.load_seconds),
            ("prove", self.prove_seconds),
            ("verify", self.verify_seconds),
            ("wall", Some(self.wall_seconds)),
        ];
        let times = times
            .iter()
            .filter_map(|(name, t)| t.map(|t| format!("{name} {:.1} ms", t * 1e3)));
        println!("times          {}", times.collect::<Vec<_>>().join(", "));
        let sizes = [
            ("proof", self.proof_bytes.map(|b| format!("{b} bytes"))),
            ("n", self.log_n.map(|k| format!("2^{k}"))),
            ("columns", self.columns.map(|c| c.to_string())),
            ("cells", self.cells.map(|c| c.to_string())),
            ("lookups", self.lookups.map(|c| c.to_string())),
            ("peak memory", self.peak_rss_bytes.map(mebibytes)),
        ];
        let sizes: Vec<String> = sizes
            .into_iter()
            .filter_map(|(n, v)| v.map(|v| format!("{n} {v}")))
            .collect();
        if !sizes.is_empty() {
            println!("sizes          {}", sizes.join(", "));
        }
        self.files
            .iter()
            .for_each(|file| println!("wrote          {file}"));
    }
}

fn row(values: &[f64]) -> String {
    values
        .iter()
        .map(|v| format!("{v:.6}"))
        .collect::<Vec<_>>()
        .join(" ")
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1_048_576.0)
}

/// Largest resident set of this process so far, from the kernel; `None` where it does not say.
pub fn peak_rss_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes = line.trim().strip_suffix("kB")?.trim();
    kibibytes.parse::<u64>().ok().map(|kib| kib * 1024)
}
