//! What a verified proof says, in words and as JSON: only ever what was checked.

use std::path::Path;

use zkernel_gadgets::model::{Graph, Said, TensorId, Visibility};
use zkernel_verifier::encoding::Writer;

use super::reals;
use super::verify::{Group, committed_ends};
use crate::files::{C, ProofFile};
use crate::report::{Commitment, ProofReport, Report};

/// Adds what one verified proof says to a report.
pub fn describe_proof(report: &mut Report, group: &Group, path: &Path, file: &ProofFile) {
    let statement = statement(group, path, file);
    let heading = format!("VALID: {}", statement.statement);
    report.text.push(heading);
    report
        .text
        .extend(statement.values.iter().map(|line| format!("  {line}")));
    let outputs = report.outputs.get_or_insert_default();
    outputs.extend(statement.outputs.iter().flatten());
    if outputs.is_empty() {
        report.outputs = None;
    }
    report.proofs.push(statement);
}

/// What one verified proof says.
pub fn statement(group: &Group, path: &Path, file: &ProofFile) -> ProofReport {
    let graph = &group.public.graph;
    let input = &graph.tensors[graph.inputs[0].0 as usize];
    let of_whom = match input.visibility {
        Visibility::Private => "a hidden input",
        Visibility::Public => "this input",
        Visibility::Committed => "the input committed to here",
    };
    let mut values = Vec::new();
    let mut outputs = None::<Vec<f64>>;
    for (id, integers) in group.loaded.lowered.instances.iter().zip(&file.instances) {
        let reals = reals(graph, *id, integers);
        let name = visible_name(graph, *id);
        values.push(format!("{name} = {reals:?}"));
        if graph.outputs.contains(id) {
            outputs.get_or_insert_default().extend(reals);
        }
    }
    let commitments = commitments(group, file);
    let ends = commitments.iter();
    values.extend(ends.map(|c| format!("{}: the {} behind {}", c.tensor, c.end, c.commitment)));
    values.extend(said(graph));
    ProofReport {
        key: group.path.display().to_string(),
        proof: path.display().to_string(),
        statement: format!(
            "the model `{}` committed in {}, run in its integer semantics on {of_whom}, gives",
            graph.name,
            group.path.display(),
        ),
        values,
        outputs,
        commitments,
    }
}

/// What stands before the values of a public tensor.
fn visible_name(graph: &Graph, id: TensorId) -> String {
    let tensors = &graph.tensors;
    let position = graph.outputs.iter().position(|output| *output == id);
    match position.map(|position| graph.said()[position].clone()) {
        Some(Said::Class { of }) => {
            format!(
                "class of {} (the index of its largest value)",
                tensors[of.0 as usize].name
            )
        }
        _ => tensors[id.0 as usize].name.clone(),
    }
}

/// What a graph says of outputs that are not shown.
pub fn said(graph: &Graph) -> Vec<String> {
    let hidden = graph.outputs.iter().zip(graph.said());
    let hidden =
        hidden.filter(|(id, _)| graph.tensors[id.0 as usize].visibility == Visibility::Private);
    let line = |(id, said): (&TensorId, Said)| {
        let own = &graph.tensors[id.0 as usize].name;
        match said {
            Said::Bound {
                of,
                element,
                relation,
                bound,
            } => {
                let tensor = &graph.tensors[of.0 as usize];
                let len: usize = tensor.shape.iter().product();
                let place = if len > 1 {
                    format!("[{element}]")
                } else {
                    String::new()
                };
                let real = (bound as f64 - tensor.zero_point as f64) * tensor.scale;
                let (name, sign) = (&tensor.name, relation.sign());
                format!(
                    "{name}{place} {sign} {real} (as an integer: {sign} {bound}); the value stays hidden"
                )
            }
            Said::Positive { of } => {
                let name = &graph.tensors[of.0 as usize].name;
                format!("{name} > 0, every value of it; the values stay hidden")
            }
            Said::Values | Said::Class { .. } => format!("{own}: values that stay hidden"),
        }
    };
    hidden.map(line).collect()
}

/// The committed ends of a proof, each with its commitments' bytes, or their hash if there are several.
fn commitments(group: &Group, file: &ProofFile) -> Vec<Commitment> {
    let graph = &group.public.graph;
    let words = |(id, _, points): (TensorId, _, &[C])| Commitment {
        tensor: graph.tensors[id.0 as usize].name.clone(),
        end: if graph.inputs.contains(&id) {
            "input"
        } else {
            "output"
        },
        commitment: fingerprint(points),
    };
    committed_ends(group, file).into_iter().map(words).collect()
}

/// A point's bytes, or the first 32 of the BLAKE2b-512 hash of several, in hexadecimal.
pub fn fingerprint(points: &[C]) -> String {
    let mut w = Writer::new();
    w.points(points);
    match points {
        [_] => hex(&w.0),
        _ => hex(&blake2b_simd::blake2b(&w.0).as_bytes()[..32]),
    }
}

/// Hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
