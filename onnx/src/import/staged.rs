//! Rewrites that need to know shapes or values: recurrent layers are written out step by step, and the branch of a condition that does
//! not depend on the input takes its place. What the decoder infers of the graph so far says which.

use std::collections::{BTreeMap, BTreeSet};

use tract_onnx::pb::{GraphProto, ModelProto, NodeProto};

use super::attention::{rotary, standard};
use super::attributes::{attribute, int};
use super::emit::Emit;
use super::recurrent::{is_recurrent, unrolled};
use super::rewrite::record;
use super::supported::{is_onnx, refuse};
use super::{Analysed, Limits, analysed, cap};
use crate::{Error, UnsupportedNode};

/// Names and operators of nodes that are gone, by the names of what stands in their place.
pub(super) type Gone = BTreeMap<String, (String, String)>;

/// Most rounds: each takes conditions within conditions apart by one level.
const MAX_ROUNDS: usize = 16;

fn is_staged(node: &NodeProto, old: bool) -> bool {
    is_recurrent(node)
        || old && node.op_type == "PRelu"
        || is_onnx(&node.domain) && matches!(&*node.op_type, "If" | "Attention")
        || node.op_type == "RotaryEmbedding"
}

/// Rewrites as far as shapes and values are known; `again` rewrites what comes out of branches.
///
/// # Errors
/// [`Error::Unsupported`] for a recurrent layer that cannot be written out, [`Error::TooLarge`].
pub(super) fn expand(
    onnx: &tract_onnx::Onnx,
    proto: &mut ModelProto,
    limits: &Limits,
    gone: &mut Gone,
    again: fn(&mut GraphProto) -> Gone,
) -> Result<(), Error> {
    let mut versions = proto.opset_import.iter().filter(|set| is_onnx(&set.domain));
    let old = versions.all(|set| set.version < 7);
    for _ in 0..MAX_ROUNDS {
        let staged = |graph: &&GraphProto| graph.node.iter().any(|node| is_staged(node, old));
        let Some(graph) = proto.graph.as_ref().filter(staged) else {
            return Ok(());
        };
        cap("number of nodes", graph.node.len() as u64, limits.nodes)?;
        // What is wrong with the graph is said when it is read.
        let Ok(known) = analysed(onnx, proto, graph, limits, true) else {
            return Ok(());
        };
        let Some(graph) = proto.graph.as_mut() else {
            return Ok(());
        };
        let mut problems = Vec::new();
        let found = round(graph, (&known, old), gone, &mut problems);
        if !problems.is_empty() {
            return Err(Error::Unsupported(problems));
        }
        if !found {
            return Ok(());
        }
        gone.extend(again(graph));
    }
    Ok(())
}

fn round(
    graph: &mut GraphProto,
    (known, old): (&Analysed, bool),
    gone: &mut Gone,
    problems: &mut Vec<UnsupportedNode>,
) -> bool {
    let mut found = false;
    let mut nodes = Vec::with_capacity(graph.node.len());
    for node in std::mem::take(&mut graph.node) {
        let written = match node.op_type.as_str() {
            "If" => branch(&node, known).map(|(tensors, nodes)| (tensors, nodes, false)),
            "PRelu" if old => slopes(&node, known).map(|emit| (emit.constants, emit.nodes, true)),
            "Attention" | "RotaryEmbedding" => {
                attended(&node, known).map(|emit| (emit.constants, emit.nodes, true))
            }
            _ if is_recurrent(&node) => match steps(&node, known) {
                Some(Ok(emit)) => Some((emit.constants, emit.nodes, true)),
                Some(Err(problem)) => {
                    problems.push(refuse(&node, problem));
                    None
                }
                None => None,
            },
            _ => None,
        };
        let Some((tensors, parts, named)) = written else {
            nodes.push(node);
            continue;
        };
        found = true;
        if named {
            record(gone, &node, &parts);
        }
        graph.initializer.extend(tensors);
        nodes.extend(parts);
    }
    graph.node = nodes;
    found
}

/// Slopes by channel, as versions before 7 have them whatever follows the channels: one for all positions.
fn slopes(node: &NodeProto, known: &Analysed) -> Option<Emit> {
    let (x, slope) = (node.input.first()?, node.input.get(1)?);
    let (rank, own) = (known.shape(x)?.len(), known.shape(slope)?);
    if rank < 3 || own.len() != 1 || own[0] == 1 {
        return None;
    }
    let mut emit = Emit::new(node);
    let column = [&[-1][..], &vec![1; rank - 2]].concat();
    let slope = emit.reshape(slope, &column);
    let y = emit.op("PRelu", &[x, &slope], Vec::new());
    emit.give(node.output.first(), &y);
    Some(emit)
}

/// Attention and rotary positions taken apart, if the rank of their input is known.
fn attended(node: &NodeProto, known: &Analysed) -> Option<Emit> {
    let shape = known.shape(node.input.first()?)?;
    match &*node.op_type {
        "RotaryEmbedding" => rotary(node, shape.len()),
        _ if !is_onnx(&node.domain) => None,
        _ => {
            let mask = node.input.get(3).filter(|name| !name.is_empty());
            let keys = known.shape(node.input.get(1)?)?;
            let boolean = mask.and_then(|mask| known.is_bool(mask));
            standard(node, boolean, [&shape, &keys])
        }
    }
}

/// A recurrent layer written out, if its input's shape is known; sequences shorter than the input are not.
fn steps(node: &NodeProto, known: &Analysed) -> Option<Result<Emit, String>> {
    let shape = known.shape(node.input.first()?)?;
    let recurrent = known.shape(node.input.get(2)?)?;
    let hidden = match int(node, "hidden_size", 0) {
        0 => *recurrent.last()?,
        size => usize::try_from(size).ok()?,
    };
    let steps = shape.get(usize::from(int(node, "layout", 0) != 0))?;
    if let Some(lengths) = node.input.get(4).filter(|name| !name.is_empty()) {
        let full = |values: Vec<i64>| values.iter().all(|len| *len == *steps as i64);
        if !known.integers(lengths).is_some_and(full) {
            return Some(Err("sequences shorter than the input are not built".into()));
        }
    }
    Some(unrolled(node, &shape, hidden))
}

type Written = (Vec<tract_onnx::pb::TensorProto>, Vec<NodeProto>);

/// The branch of a condition whose value is known, names of its own made unique.
fn branch(node: &NodeProto, known: &Analysed) -> Option<Written> {
    let value = known.integers(node.input.first()?)?;
    let taken = match value.first()? {
        0 => "else_branch",
        _ => "then_branch",
    };
    let mut graph = attribute(node, taken)?.g.clone()?;
    let prefix = node.output.first()?.clone();
    let mut own: BTreeSet<String> = graph.initializer.iter().map(|t| t.name.clone()).collect();
    own.extend(graph.node.iter().flat_map(|n| n.output.iter().cloned()));
    own.remove("");
    let names = own.into_iter().map(|name| {
        let unique = format!("{prefix}/{name}");
        (name, unique)
    });
    let names: BTreeMap<String, String> = names.collect();
    for tensor in &mut graph.initializer {
        rename(&mut tensor.name, &names);
    }
    rename_nodes(&mut graph.node, &names);
    let results = graph.output.iter().map(|output| {
        let mut name = output.name.clone();
        rename(&mut name, &names);
        name
    });
    let given = results.zip(&node.output).filter(|(_, to)| !to.is_empty());
    let identities: Vec<NodeProto> = given
        .map(|(from, to)| NodeProto {
            name: to.clone(),
            op_type: "Identity".into(),
            input: vec![from],
            output: vec![to.clone()],
            ..NodeProto::default()
        })
        .collect();
    graph.node.extend(identities);
    Some((graph.initializer, graph.node))
}

fn rename(name: &mut String, names: &BTreeMap<String, String>) {
    if let Some(unique) = names.get(name) {
        name.clone_from(unique);
    }
}

/// Renames what nodes read and write, in graphs within them too; what those define under the same name stays theirs.
pub(super) fn rename_nodes(nodes: &mut [NodeProto], names: &BTreeMap<String, String>) {
    for node in nodes {
        let both = node.input.iter_mut().chain(&mut node.output);
        both.for_each(|name| rename(name, names));
        for graph in node
            .attribute
            .iter_mut()
            .flat_map(|a| a.g.iter_mut().chain(&mut a.graphs))
        {
            let mut inner = names.clone();
            for input in &graph.input {
                inner.remove(&input.name);
            }
            for output in &mut graph.output {
                rename(&mut output.name, &inner);
            }
            rename_nodes(&mut graph.node, &inner);
        }
    }
}
