//! Cells of a layout, as far as widths change them.

use zkernel_gadgets::model::{Graph, Node, Op, Table, TableId};

/// Most bits of a limb, and most rows of a table that is not split, as layouts are searched.
const LIMB_BITS: [u32; 3] = [8, 6, 5];
const LARGE: usize = 1 << 13;
/// Cells of a value looked up on a line, beside the limbs of its place; columns that a proof has for a table: multiplicities and sums.
const LINE_CELLS: usize = 5;
const TABLE_COLUMNS: usize = 2;

/// Cells of requantizations, of their limbs and of tables, in the layout that has the fewest: what widths change.
pub(super) fn cells(graph: &Graph) -> usize {
    let with = |limb_bits: u32| {
        let shifts: usize = graph
            .nodes
            .iter()
            .map(|n| shift_cells(graph, n, limb_bits))
            .sum();
        let tables = (0..).map(TableId).zip(&graph.tables);
        let tables = tables.map(|(id, table)| table_cells(table, readers(graph, id), limb_bits));
        shifts + tables.sum::<usize>()
    };
    LIMB_BITS.into_iter().map(with).min().unwrap_or(0)
}

/// Cells of what a node drops.
fn shift_cells(graph: &Graph, node: &Node, limb_bits: u32) -> usize {
    match node.op {
        Op::Requantize { shift, .. } | Op::RequantizeMax { shift, .. } => {
            elements(graph, node) * shift.div_ceil(limb_bits) as usize
        }
        _ => 0,
    }
}

/// Values that are looked up in a table.
fn readers(graph: &Graph, id: TableId) -> usize {
    let of = |node: &&Node| match &node.op {
        Op::Requantize { table, .. }
        | Op::RequantizeMax { table, .. }
        | Op::MaxPool { table, .. }
        | Op::MaxTable { table } => *table == id,
        _ => false,
    };
    let nodes = graph.nodes.iter().filter(of);
    nodes.map(|node| elements(graph, node)).sum()
}

/// Cells of a table and of its readers, split or not.
fn table_cells(table: &Table, readers: usize, limb_bits: u32) -> usize {
    let rows = (table.keys.max - table.keys.min + 1) as usize;
    let bits = rows.next_power_of_two().trailing_zeros();
    let limbs = |bits: u32| bits.div_ceil(limb_bits) as usize;
    let line = LINE_CELLS + limbs(table.low.max(limb_bits));
    let lines = readers * line + TABLE_COLUMNS * (rows >> table.low.max(limb_bits));
    match table.is_range() {
        true => readers * limbs(bits),
        false if table.low > 0 || rows > LARGE => lines,
        false => lines.min(readers * 2 + TABLE_COLUMNS * rows),
    }
}

fn elements(graph: &Graph, node: &Node) -> usize {
    let inputs = node.inputs.first().map(|id| &graph.tensors[id.0 as usize]);
    inputs.map_or(0, |tensor| tensor.shape.iter().product())
}
