//! `zkernel certificate`: what verified proofs say, of which model and when, for the files of a third party.

use std::path::{Path, PathBuf};

use serde::Serialize;
use zkernel_gadgets::files::is_public;
use zkernel_verifier::soundness::Soundness;

use super::verify::{Checked, Group, check_proofs, shared};
use super::words::{fingerprint, hex, statement};
use super::{Result, with_suffix};
use crate::error::CliError;
use crate::files::{read, write};
use crate::report::{ProofReport, Report};

/// Version of the format.
const FORMAT: &str = "zkernel certificate 1";

/// What does not follow from any proof, and so from no certificate.
const LIMITS: &str = "It does not say that the model is a good one, that a hidden input is the one somebody has in mind, who made the \
proofs or when, or that they have not been shown before. Whoever has the files need not believe it: `zkernel verify` checks them again.";

/// What was proven, by which model, when it was verified, and by what.
#[derive(Serialize)]
pub struct Certificate {
    format: &'static str,
    /// Program and version that verified the proofs.
    verified_by: String,
    /// By the clock of the machine that verified, in UTC.
    verified_at: String,
    proofs: Vec<CertifiedProof>,
    /// Which proofs share which commitments.
    shared: Vec<String>,
    limits: &'static str,
}

#[derive(Serialize)]
struct CertifiedProof {
    #[serde(flatten)]
    says: ProofReport,
    model: ModelIdentity,
    /// BLAKE2b-512 of the proof's file, as `b2sum` prints it.
    proof_blake2b: String,
    proof_bytes: usize,
    /// -log2 of the chance that a false proof passes, short of a discrete logarithm.
    soundness_bits: f64,
}

/// Which model a proof is about.
#[derive(Serialize)]
struct ModelIdentity {
    name: String,
    /// Of the commitments to all weights: the point, or the first 32 bytes of the BLAKE2b-512 hash of all points.
    commitment: String,
    /// Of the graph and the constraints that this program lowered it to.
    key_digest: String,
    /// BLAKE2b-512 of the key's file, as `b2sum` prints it.
    key_blake2b: String,
    weights: usize,
    /// `private` (committed to with blinding factors, their range proof checked) or `public`.
    visibility: &'static str,
}

/// `zkernel certificate KEY.zkv PROOF.zkp..`: verified before anything is written.
pub fn certificate(files: &[PathBuf], apart: bool, output: Option<PathBuf>) -> Result<Report> {
    let checked = check_proofs(files, apart)?;
    let certificate = Certificate::of(&checked)?;
    let base = match (output, files.last()) {
        (Some(base), _) => base,
        (None, Some(last)) => last.with_extension("certificate"),
        (None, None) => return Err(CliError::Option("no proof is given".into())),
    };
    let text = certificate.text();
    let json = serde_json::to_string_pretty(&certificate);
    let json = json.map_err(|e| CliError::Option(format!("the certificate: {e}")))?;
    let mut report = Report {
        command: "certificate",
        load_seconds: Some(checked.load_seconds),
        verify_seconds: Some(checked.verify_seconds),
        ..Report::default()
    };
    for (extension, content) in [("json", json + "\n"), ("txt", text.clone())] {
        let path = with_suffix(&base, extension);
        write(&path, content.as_bytes(), false)?;
        report.files.push(path.display().to_string());
    }
    report.text.push(text);
    report.certificate = Some(certificate);
    Ok(report)
}

impl Certificate {
    fn of(checked: &Checked) -> Result<Self> {
        let Checked { groups, links, .. } = checked;
        let mut proofs = Vec::new();
        for group in groups {
            let soundness_bits = Soundness::of(&group.loaded.key.system).bits();
            for (path, file) in &group.proofs {
                proofs.push(CertifiedProof {
                    says: statement(group, path, file),
                    model: ModelIdentity::of(group)?,
                    proof_blake2b: file_hash(path)?,
                    proof_bytes: file.proof.encode().len(),
                    soundness_bits,
                });
            }
        }
        Ok(Self {
            format: FORMAT,
            verified_by: concat!("zkernel ", env!("CARGO_PKG_VERSION")).into(),
            verified_at: crate::clock::now(),
            proofs,
            shared: links.iter().map(|joint| shared(groups, joint)).collect(),
            limits: LIMITS,
        })
    }

    /// The same in readable lines.
    fn text(&self) -> String {
        let (by, at) = (&self.verified_by, &self.verified_at);
        let mut lines = vec![
            "CERTIFICATE OF A ZERO-KNOWLEDGE PROOF".into(),
            format!("verified {at} by {by}: VALID"),
        ];
        for proof in &self.proofs {
            lines.push(String::new());
            lines.push(format!("Proven: {}", proof.says.statement));
            lines.extend(proof.says.values.iter().map(|value| format!("    {value}")));
            let ModelIdentity {
                name,
                commitment,
                key_digest,
                key_blake2b,
                weights,
                visibility,
            } = &proof.model;
            lines.extend([
                format!("  model         {name}: {weights} {visibility} weights"),
                format!("  commitment    {commitment}"),
                format!("  key           {}", proof.says.key),
                format!("    digest      {key_digest}"),
                format!("    b2sum       {key_blake2b}"),
                format!(
                    "  proof         {}, {} bytes",
                    proof.says.proof, proof.proof_bytes
                ),
                format!("    b2sum       {}", proof.proof_blake2b),
                format!("  soundness     2^-{:.0}", proof.soundness_bits),
            ]);
        }
        if !self.shared.is_empty() {
            lines.push(String::new());
            lines.extend(self.shared.iter().map(|shared| format!("Shared: {shared}")));
        }
        lines.push(String::new());
        lines.push(self.limits.into());
        lines.join("\n") + "\n"
    }
}

impl ModelIdentity {
    fn of(group: &Group) -> Result<Self> {
        let graph = &group.public.graph;
        let public = graph.weights.iter().all(is_public);
        Ok(Self {
            name: graph.name.clone(),
            commitment: fingerprint(&group.public.commitments),
            key_digest: hex(&group.loaded.key.digest),
            key_blake2b: file_hash(&group.path)?,
            weights: graph.weights.iter().map(|w| w.rows * w.cols).sum(),
            visibility: if public { "public" } else { "private" },
        })
    }
}

fn file_hash(path: &Path) -> Result<String> {
    Ok(hex(blake2b_simd::blake2b(&read(path)?).as_bytes()))
}
