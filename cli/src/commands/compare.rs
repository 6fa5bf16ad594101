//! Comparing what verified proofs are about with files: values that they show, and values behind their commitments.

use std::path::{Path, PathBuf};

use zkernel_backend_cpu::Cpu;
use zkernel_engine::executor;
use zkernel_gadgets::model::TensorId;
use zkernel_gadgets::table::round_half_up;
use zkernel_onnx::{quantize_input, read_outputs};

use super::verify::{Group, committed_ends};
use super::{Result, one_sample, reals};
use crate::error::CliError;
use crate::files::{C, Opening, read};

/// Files with the values that proofs are expected to be about.
#[derive(Clone, Copy, Default)]
pub struct Comparison<'a> {
    /// Openings, each of a committed input or output of some proof.
    pub openings: &'a [PathBuf],
    /// The input of the first proof.
    pub input: Option<&'a Path>,
    /// The output of the last proof.
    pub output: Option<&'a Path>,
}

/// The integers of a tensor in one proof.
struct Known {
    group: usize,
    proof: usize,
    tensor: TensorId,
    values: Vec<i64>,
}

/// Compares verified proofs with files; says in words what was behind commitments that have been opened.
pub fn compare(groups: &[Group], comparison: Comparison<'_>) -> Result<Vec<String>> {
    let Comparison {
        openings,
        input,
        output,
    } = comparison;
    let mut known = Vec::new();
    for path in openings {
        known.extend(open(groups, path)?);
    }
    let words = known
        .iter()
        .map(|opened| in_words(groups, opened))
        .collect();
    if input.is_none() && output.is_none() {
        return Ok(words);
    }
    if groups.iter().any(|group| group.proofs.len() != 1) {
        return Err(CliError::Option(
            "--input and --output compare one proof, or one of each segment: verify the others in another call".into(),
        ));
    }
    known.extend(shown(groups));
    if let Some(path) = input {
        compare_input(path, groups, &known)?;
    }
    if let Some(path) = output {
        compare_output(path, groups, &known)?;
    }
    Ok(words)
}

/// The tensors whose commitments that file opens; it must open one.
fn open(groups: &[Group], path: &Path) -> Result<Vec<Known>> {
    let backend = Cpu::new();
    let executor = executor::<C, _>(&backend);
    let opening = Opening::decode(&read(path)?)?;
    let mut opened = Vec::new();
    for (number, group) in groups.iter().enumerate() {
        let generators = &group.loaded.key.generators;
        let Some(points) = opening.commitments(generators, &executor) else {
            continue;
        };
        for (proof, (_, file)) in group.proofs.iter().enumerate() {
            for (tensor, _, own) in committed_ends(group, file) {
                // Zeros behind the last value would open the same commitment.
                if own == points && group.length(tensor) == opening.values.len() {
                    opened.push(Known {
                        group: number,
                        proof,
                        tensor,
                        values: opening.values.clone(),
                    });
                }
            }
        }
    }
    if opened.is_empty() {
        let problem = "opens no commitment of these proofs".into();
        return Err(CliError::Rejected(problem).about(path));
    }
    Ok(opened)
}

fn in_words(groups: &[Group], opened: &Known) -> String {
    let Group { public, proofs, .. } = &groups[opened.group];
    let name = &public.graph.tensors[opened.tensor.0 as usize].name;
    let reals = reals(&public.graph, opened.tensor, &opened.values);
    let path = proofs[opened.proof].0.display();
    format!("opened: {name} of {path} = {reals:?}")
}

/// The public values of all proofs.
fn shown(groups: &[Group]) -> Vec<Known> {
    let mut known = Vec::new();
    for (number, group) in groups.iter().enumerate() {
        for (proof, (_, file)) in group.proofs.iter().enumerate() {
            let public = group.loaded.lowered.instances.iter();
            known.extend(public.zip(&file.instances).map(|(id, values)| Known {
                group: number,
                proof,
                tensor: *id,
                values: values.clone(),
            }));
        }
    }
    known
}

/// The input of the first proof is that of the file, quantized as the prover does.
fn compare_input(path: &Path, groups: &[Group], known: &[Known]) -> Result<()> {
    let graph = &groups[0].public.graph;
    let expected = quantize_input(graph, &one_sample(path, graph)?)?;
    let of_first: Vec<&Known> = known.iter().filter(|known| known.group == 0).collect();
    compare_values(path, "input", &of_first, &graph.inputs, &expected.concat())
}

/// The output of the last proof is that of the file, rounded to its steps.
fn compare_output(path: &Path, groups: &[Group], known: &[Known]) -> Result<()> {
    let last = groups.len() - 1;
    let graph = &groups[last].public.graph;
    let steps = graph.outputs.iter().flat_map(|id| {
        let tensor = &graph.tensors[id.0 as usize];
        vec![(tensor.scale, tensor.zero_point); groups[last].length(*id)]
    });
    let steps: Vec<(f64, i64)> = steps.collect();
    let reals = read_outputs(path)?;
    if reals.len() != steps.len() {
        let (found, expected, file) = (reals.len(), steps.len(), path.display());
        return Err(CliError::Rejected(format!(
            "{file} has {found} output values, the proof is about {expected}"
        )));
    }
    let quantized = reals.iter().zip(steps);
    let quantized =
        quantized.map(|(v, (scale, zero))| round_half_up(v / scale).saturating_add(zero));
    let expected: Vec<i64> = quantized.collect();
    let of_last: Vec<&Known> = known.iter().filter(|known| known.group == last).collect();
    compare_values(path, "output", &of_last, &graph.outputs, &expected)
}

/// All of those tensors must be known, and hold those integers one after the other.
fn compare_values(
    path: &Path,
    what: &str,
    known: &[&Known],
    tensors: &[TensorId],
    expected: &[i64],
) -> Result<()> {
    let mut found = Vec::new();
    for id in tensors {
        let Some(values) = known.iter().find(|known| known.tensor == *id) else {
            return Err(CliError::Rejected(format!(
                "the {what} is neither public nor opened, there is nothing to compare it with"
            )));
        };
        found.extend_from_slice(&values.values);
    }
    if found == expected {
        return Ok(());
    }
    Err(CliError::Rejected(format!(
        "the proof is about another {what} than {}",
        path.display()
    )))
}
