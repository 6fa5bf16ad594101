//! Nodes in the order of what they read: some tools append nodes at the end.

use std::collections::{BTreeMap, BTreeSet};

use tract_onnx::pb::GraphProto;

/// Sorts nodes so that each comes after the writers of what it reads, otherwise as they were; those that read what nobody writes, or one
/// another, stay last.
pub(super) fn sort(graph: &mut GraphProto) {
    let mut writers: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, node) in graph.node.iter().enumerate() {
        writers.extend(node.output.iter().map(|name| (&**name, index)));
    }
    let before = |index: usize| -> BTreeSet<usize> {
        let read = graph.node[index]
            .input
            .iter()
            .filter(|name| !name.is_empty());
        read.filter_map(|name| writers.get(&**name).copied())
            .collect()
    };
    let mut waits: Vec<usize> = Vec::with_capacity(graph.node.len());
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); graph.node.len()];
    let mut sorted = true;
    for index in 0..graph.node.len() {
        let before = before(index);
        sorted &= before.iter().all(|other| *other < index);
        waits.push(before.len());
        before
            .into_iter()
            .for_each(|other| readers[other].push(index));
    }
    if sorted {
        return;
    }
    let mut ready: BTreeSet<usize> = (0..waits.len()).filter(|i| waits[*i] == 0).collect();
    let mut order = Vec::with_capacity(waits.len());
    while let Some(index) = ready.pop_first() {
        order.push(index);
        for reader in std::mem::take(&mut readers[index]) {
            waits[reader] -= 1;
            if waits[reader] == 0 {
                ready.insert(reader);
            }
        }
    }
    let placed: BTreeSet<usize> = order.iter().copied().collect();
    order.extend((0..waits.len()).filter(|index| !placed.contains(index)));
    let mut nodes: Vec<Option<_>> = std::mem::take(&mut graph.node)
        .into_iter()
        .map(Some)
        .collect();
    graph.node = order
        .into_iter()
        .filter_map(|index| nodes[index].take())
        .collect();
}
