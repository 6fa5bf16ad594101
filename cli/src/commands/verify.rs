//! `zkernel verify`: one proof, many proofs of one key, or the segments of one network, all with one MSM.

use std::path::PathBuf;

use zkernel_engine::executor;
use zkernel_engine::workers::awake;
use zkernel_gadgets::model::TensorId;
use zkernel_verifier::batch::{BatchRejection, Claim, Link, verify_batch};
use zkernel_verifier::form::TrackId;
use zkernel_verifier::key::VerifyingKey;
use zkernel_verifier::system::TrackKind;
use zkernel_verifier::verify::verify as verify_proof;

use super::compare::{Comparison, compare};
use super::words::describe_proof;
use super::{Result, describe, fields, timed};
use crate::device::device;
use crate::error::CliError;
use crate::files::{C, GeneratorsBySize, Loaded, ProofFile, PublicModel, load_key, read};
use crate::report::Report;

/// A key and the proofs that are for it.
pub struct Group {
    /// The key's file.
    pub path: PathBuf,
    /// What is in it.
    pub public: PublicModel,
    /// What this program made of it.
    pub loaded: Loaded,
    /// The proofs' files and what is in them.
    pub proofs: Vec<(PathBuf, ProofFile)>,
}

/// `zkernel verify KEY.zkv PROOF.zkp.. [KEY.zkv PROOF.zkp..]..`: keys are segments of one network, in order, unless they are
/// said to be `apart`.
pub fn verify(files: &[PathBuf], apart: bool, comparison: Comparison<'_>) -> Result<Report> {
    let checked = check_proofs(files, apart)?;
    let Checked {
        groups,
        links,
        load_seconds,
        verify_seconds,
    } = &checked;
    let opened = compare(groups, comparison)?;
    let mut report = Report {
        command: "verify",
        load_seconds: Some(*load_seconds),
        verify_seconds: Some(*verify_seconds),
        ..Report::default()
    };
    for group in groups {
        for (path, file) in &group.proofs {
            describe_proof(&mut report, group, path, file);
        }
    }
    report.text.extend(opened);
    report
        .text
        .extend(links.iter().map(|joint| shared(groups, joint)));
    let keys = groups
        .iter()
        .flat_map(|g| g.proofs.iter().map(|_| &g.loaded.key));
    report.proof_bytes = Some(keys.map(|key| key.shape.bytes()).sum());
    if let [group] = &groups[..] {
        describe(&mut report, &group.loaded.key.system);
    }
    Ok(report)
}

/// Proofs that have been verified.
pub struct Checked {
    /// By key.
    pub groups: Vec<Group>,
    /// What they share.
    pub links: Vec<Joint>,
    /// Seconds that loading the keys took.
    pub load_seconds: f64,
    /// Seconds that reading and verifying the proofs took.
    pub verify_seconds: f64,
}

/// Loads all keys and verifies all proofs, and that keys that are not `apart` share their boundaries.
pub fn check_proofs(files: &[PathBuf], apart: bool) -> Result<Checked> {
    let (groups, load_seconds) = timed("loading", || awake(|| load_groups(files)))?;
    let ((groups, links), verify_seconds) = timed("verifying", || {
        awake(|| {
            let groups = read_proofs(groups)?;
            let links = if apart { Vec::new() } else { links(&groups)? };
            verify_groups(&groups, &links)?;
            Ok((groups, links))
        })
    })?;
    Ok(Checked {
        groups,
        links,
        load_seconds,
        verify_seconds,
    })
}

/// A key, and the files of the proofs that follow it.
type Unread = (PathBuf, PublicModel, Loaded, Vec<PathBuf>);

/// Sorts the files by what they are and loads the keys.
fn load_groups(files: &[PathBuf]) -> Result<Vec<Unread>> {
    let mut generators = GeneratorsBySize::new();
    let mut groups: Vec<Unread> = Vec::new();
    for path in files {
        if path.extension().is_some_and(|e| e == "zkv") {
            let public = PublicModel::decode(&read(path)?)?;
            let loaded = load_key(&public, &mut generators)?;
            groups.push((path.clone(), public, loaded, Vec::new()));
        } else {
            let Some((.., proofs)) = groups.last_mut() else {
                return Err(CliError::Option(format!(
                    "{}: no .zkv file stands before it; give KEY.zkv PROOF.zkp..",
                    path.display()
                )));
            };
            proofs.push(path.clone());
        }
    }
    match groups.iter().find(|(.., proofs)| proofs.is_empty()) {
        None => Ok(groups),
        Some((path, ..)) => Err(CliError::Option(format!(
            "{}: no proof follows it; give KEY.zkv PROOF.zkp..",
            path.display()
        ))),
    }
}

fn read_proofs(groups: Vec<Unread>) -> Result<Vec<Group>> {
    let read_all = |(path, public, loaded, proofs): Unread| {
        let decoded = proofs.into_iter().map(|zkp| {
            let file = decode_proof(&loaded.key, &read(&zkp)?).map_err(|e| e.about(&zkp))?;
            Ok((zkp, file))
        });
        let proofs = decoded.collect::<Result<Vec<_>>>()?;
        Ok(Group {
            path,
            public,
            loaded,
            proofs,
        })
    };
    groups.into_iter().map(read_all).collect()
}

fn decode_proof(key: &VerifyingKey<C>, bytes: &[u8]) -> Result<ProofFile> {
    let rejected = |reason: String| CliError::Rejected(reason);
    let file = ProofFile::decode(bytes, key)
        .map_err(|e| rejected(format!("not a proof for this key: {e}")))?;
    if file.digest != key.digest {
        return Err(rejected("the proof is for another key".into()));
    }
    Ok(file)
}

/// Verifies the bytes of one proof.
pub(super) fn verify_bytes(key: &VerifyingKey<C>, bytes: &[u8]) -> Result<ProofFile> {
    let file = decode_proof(key, bytes)?;
    let (backend, instances) = (device(), fields(&file.instances));
    verify_proof(key, &instances, &file.proof, &executor::<C, _>(&backend))
        .map_err(|e| CliError::Rejected(e.to_string()))?;
    Ok(file)
}

/// Every proof of every key, with one MSM.
fn verify_groups(groups: &[Group], links: &[Joint]) -> Result<()> {
    let all: Vec<(&Group, &(PathBuf, ProofFile))> = groups
        .iter()
        .flat_map(|group| group.proofs.iter().map(move |proof| (group, proof)))
        .collect();
    let instances: Vec<_> = all
        .iter()
        .map(|(_, (_, file))| fields(&file.instances))
        .collect();
    let claims = all
        .iter()
        .zip(&instances)
        .map(|((group, (_, file)), instances)| Claim {
            key: &group.loaded.key,
            instances,
            proof: &file.proof,
        });
    let claims: Vec<_> = claims.collect();
    let tracks: Vec<Link> = links.iter().map(|joint| joint.link).collect();
    let backend = device();
    let executor = executor::<C, _>(&backend);
    verify_batch(&claims, &tracks, &executor).map_err(|rejection| match rejection {
        BatchRejection::Proof { index, reason } => {
            let rejected = CliError::Rejected(reason.to_string());
            match all.get(index) {
                Some((_, (path, _))) if all.len() > 1 => rejected.about(path),
                _ => rejected,
            }
        }
        BatchRejection::Link(index) => {
            let Joint { from, to, .. } = links[index];
            let path = |(group, proof): (usize, usize)| groups[group].proofs[proof].0.display();
            CliError::Rejected(format!(
                "{}: its input is another commitment than the output of {}",
                path(to),
                path(from)
            ))
        }
    })
}

/// An output and the input that it must be, by key and proof.
pub struct Joint {
    from: (usize, usize),
    to: (usize, usize),
    link: Link,
}

/// The i-th proof of every key takes over the committed outputs of the i-th proof of the key before.
fn links(groups: &[Group]) -> Result<Vec<Joint>> {
    let mut joints = Vec::new();
    let mut first = 0;
    for (index, pair) in groups.windows(2).enumerate() {
        let [before, after] = pair else { continue };
        let refused = |problem: String| {
            let names = [before, after].map(|g| g.path.display());
            let [one, other] = names;
            Err(CliError::Rejected(format!("{one} and {other} {problem}")))
        };
        let apart = "give --apart if they are separate statements";
        let (outputs, inputs) = (ends(before, false), ends(after, true));
        if outputs.is_empty() || outputs.len() != inputs.len() {
            return refused(format!(
                "share no commitment: the first must end in committed outputs that are the inputs of the second; {apart}"
            ));
        }
        if before.proofs.len() != after.proofs.len() {
            return refused(format!(
                "have {} and {} proofs: segments need as many each; {apart}",
                before.proofs.len(),
                after.proofs.len()
            ));
        }
        let second = first + before.proofs.len();
        for ((output, from), (input, to)) in outputs.iter().zip(&inputs) {
            let tensors = [
                &before.public.graph.tensors[output.0 as usize],
                &after.public.graph.tensors[input.0 as usize],
            ];
            let meaning = tensors.map(|t| (t.scale.to_bits(), t.zero_point));
            if meaning[0] != meaning[1] {
                return refused("read their common integers in steps of different sizes".into());
            }
            joints.extend((0..before.proofs.len()).map(|proof| Joint {
                from: (index, proof),
                to: (index + 1, proof),
                link: Link {
                    from: (first + proof, *from),
                    to: (second + proof, *to),
                },
            }));
        }
        first = second;
    }
    Ok(joints)
}

/// The committed inputs or outputs of a key.
fn ends(group: &Group, inputs: bool) -> Vec<(TensorId, TrackId)> {
    let graph = &group.public.graph;
    let of = if inputs {
        &graph.inputs
    } else {
        &graph.outputs
    };
    let boundaries = group.loaded.lowered.boundaries.iter().copied();
    boundaries.filter(|(id, _)| of.contains(id)).collect()
}

/// What two proofs share, in words.
pub fn shared(groups: &[Group], joint: &Joint) -> String {
    let path = |(group, proof): (usize, usize)| groups[group].proofs[proof].0.display();
    format!(
        "the output of {} is the input of {}: one commitment",
        path(joint.from),
        path(joint.to)
    )
}

impl Group {
    /// Elements of a tensor.
    pub(super) fn length(&self, tensor: TensorId) -> usize {
        let shape = &self.public.graph.tensors[tensor.0 as usize].shape;
        shape.iter().product()
    }
}

/// The committed tensors of a proof, each with its track and commitments.
pub(super) fn committed_ends<'a>(
    group: &Group,
    file: &'a ProofFile,
) -> Vec<(TensorId, TrackId, &'a [C])> {
    let mut start = 0;
    let mut ends = Vec::new();
    for (track, boundary) in group.loaded.key.system.tracks_of(TrackKind::Boundary) {
        let end = start + boundary.columns;
        let known = group.loaded.lowered.boundaries.iter();
        let of_track = known.filter(|(_, own)| *own == track);
        let points = &file.proof.boundaries[start..end];
        ends.extend(of_track.map(|(id, _)| (*id, track, points)));
        start = end;
    }
    ends
}
