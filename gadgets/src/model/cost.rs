//! Choosing the layout: how ranges and tables are split, limbs, and the column length n, by predicted cost.

use ff::PrimeField;
use zkernel_verifier::system::{ConstraintSystem, Phase, TrackKind};

use super::graph::{Function, Graph, Interval, Node, Op, Table, TableId, TensorId};
use super::lower::{LowerError, lower};

/// Candidates for log2 of the column length.
const LOG_N: std::ops::RangeInclusive<u32> = 6..=16;
/// The one that estimates for all others start from.
const ESTIMATED_AT: u32 = 12;

/// Additions of the layouts whose costs are found out; beyond, those that are estimated to have more are left alone.
const MOST_JUDGED: usize = 1 << 24;

/// Columns beyond which the bytes of a proof count, and what each is worth in additions.
const MANY_COLUMNS: (usize, usize) = (300, 6000);

/// Candidates for the most bits of a limb.
const LIMB_BITS: [u32; 3] = [8, 6, 5];

/// Rows of a table that is always split.
const LARGE: i64 = 1 << 13;

/// Predicted point additions of one proof. Inner rounds: about 150 per generator. A full-size column: about 32 per
/// cell. Small integers and dictionary columns: about one per cell. Every tensor or fixed column: about 64 for folding
/// its commitment, and [`MANY_COLUMNS`]. Every advice column: about 2,000 for its blinding factor, its transforms, and the commitment,
/// evaluation and verifier's work that it adds to the proof.
#[must_use]
pub fn additions<F: PrimeField>(system: &ConstraintSystem<F>) -> usize {
    additions_at(system, system.log_n)
}

/// The same of a system laid out in columns of another length, but for what its builder would group otherwise.
fn additions_at<F: PrimeField>(system: &ConstraintSystem<F>, log_n: u32) -> usize {
    let n = 1usize << log_n;
    let columns = |kind| {
        let tracks = system.tracks_of(kind);
        tracks
            .map(|(_, track)| track.len.div_ceil(n))
            .sum::<usize>()
    };
    let full = columns(TrackKind::Advice(Phase::Two)) + system.quotient_columns();
    let light = columns(TrackKind::Advice(Phase::One)) + columns(TrackKind::Advice(Phase::Three));
    let tensors = columns(TrackKind::Tensor) + columns(TrackKind::Fixed);
    let (many, each) = MANY_COLUMNS;
    let bytes = each * (full + light + tensors).saturating_sub(many);
    150 * n + 32 * n * full + n * light + 2000 * (full + light) + 64 * tensors + bytes
}

/// The cheapest layout of a graph and log2 of its column length, by a `cost` that may be slow and exact. Layouts differ in the limbs
/// ([`Graph::limb_bits`]) and in which tables are split ([`Table::low`]) without a change of any value: ranges, and ReLU on integers.
/// Those with the fewest additions, as estimated from one lowering each, come first; of large networks only these are judged by
/// their cost.
///
/// [`Table::low`]: super::graph::Table::low
///
/// # Errors
/// [`LowerError`] if the graph cannot be lowered at any length, or whatever `cost` fails with.
pub fn choose_layout<F: PrimeField, E: From<LowerError>>(
    graph: &Graph,
    mut cost: impl FnMut(&Graph, &ConstraintSystem<F>) -> Result<f64, E>,
) -> Result<(Graph, u32), E> {
    let mut layouts = Vec::new();
    for layout in layouts_of(graph) {
        let system = lower::<F>(&layout, ESTIMATED_AT)?.system;
        let estimates = LOG_N.map(|log_n| (additions_at(&system, log_n), log_n));
        let (estimate, log_n) = estimates.min().unwrap_or((0, ESTIMATED_AT));
        layouts.push((estimate, log_n, layout));
    }
    layouts.sort_by_key(|(estimate, ..)| *estimate);
    let (mut best, mut judged) = (None::<(f64, Graph, u32)>, 0);
    for (estimate, log_n, layout) in layouts {
        // Where nothing fits into memory, more is tried.
        if judged > MOST_JUDGED && best.as_ref().is_some_and(|(least, ..)| least.is_finite()) {
            break;
        }
        judged += estimate;
        let (found, log_n) = cheapest_log_n::<F, E>(&layout, log_n, &mut cost)?;
        if best.as_ref().is_none_or(|(least, ..)| found < *least) {
            best = Some((found, layout, log_n));
        }
    }
    Ok(
        best.map_or((graph.clone(), ESTIMATED_AT), |(_, layout, log_n)| {
            (layout, log_n)
        }),
    )
}

/// All layouts; the graph itself if there is none without a table that is too large.
fn layouts_of(graph: &Graph) -> Vec<Graph> {
    let mut layouts = Vec::new();
    for limb_bits in LIMB_BITS {
        let limbs = Graph {
            limb_bits,
            ..graph.clone()
        };
        let mut tables = limbs.splittable();
        // Tables that few cells read come first; some number of them is split, and all large ones.
        tables.sort_by(|(_, a), (_, b)| a.total_cmp(b));
        let tables: Vec<TableId> = tables.into_iter().map(|(id, _)| id).collect();
        layouts.extend((0..=tables.len()).filter_map(|count| limbs.with_split(&tables[..count])));
    }
    match layouts.is_empty() {
        true => vec![graph.clone()],
        false => layouts,
    }
}

impl Graph {
    /// Tables that a split does not change, of more rows than a limb has, with the readers of each row.
    fn splittable(&self) -> Vec<(TableId, f64)> {
        let ids = (0..).map(TableId).zip(&self.tables);
        let exact = ids.filter(|(_, table)| {
            let exact = table.is_range() || table.is_exact_relu() || self.splits_exactly(table);
            exact && table.low == 0 && table.keys.max - table.keys.min >= 1 << self.limb_bits
        });
        let density = |(id, table): (TableId, &Table)| {
            let readers: usize = self.nodes.iter().map(|node| self.lookups(node, id)).sum();
            let rows = table.keys.max - table.keys.min + 1;
            (id, readers as f64 / rows as f64)
        };
        exact.map(density).collect()
    }

    /// Whether lines over the segments of a split are the function itself, as of a clip that ends where segments do.
    fn splits_exactly(&self, table: &Table) -> bool {
        let mut lines = table.clone();
        (lines.keys, lines.low) = (whole_segments(table.keys, self.limb_bits), self.limb_bits);
        let clips = matches!(table.function, Function::Relu6 | Function::Clip);
        clips && (lines.keys.min..=lines.keys.max).all(|key| lines.value(key) == table.value(key))
    }

    /// Lookups of a node in a table.
    fn lookups(&self, node: &Node, id: TableId) -> usize {
        let elements = |t: TensorId| -> usize { self.tensors[t.0 as usize].shape.iter().product() };
        match &node.op {
            Op::Requantize { table, .. } | Op::MaxTable { table } if *table == id => {
                elements(node.output)
            }
            Op::MaxPool { geometry, table }
            | Op::RequantizeMax {
                geometry, table, ..
            } if *table == id => geometry.taps() * elements(node.output),
            _ => 0,
        }
    }

    /// Those tables split at the limbs' bits, their keys widened to whole segments; `None` if a table stays that has too many rows.
    fn with_split(&self, tables: &[TableId]) -> Option<Self> {
        let mut graph = self.clone();
        let low = self.limb_bits;
        for id in tables {
            let table = &mut graph.tables[id.0 as usize];
            let min = table.keys.min;
            table.keys = if table.is_range() {
                let bits = table.span_bits();
                Interval::new(min, min + (1 << bits) - 1)
            } else {
                whole_segments(table.keys, low)
            };
            table.low = low;
        }
        let whole = graph.splittable();
        let rows = |(id, _): &(TableId, f64)| graph.tables[id.0 as usize].row_counts()[0];
        whole
            .iter()
            .all(|table| rows(table) <= LARGE)
            .then_some(graph)
    }
}

/// The keys, widened to segments of `low` bits each, one of which starts at key 0.
const fn whole_segments(keys: Interval, low: u32) -> Interval {
    let segments = (keys.max >> low) - (keys.min >> low) + 1;
    let first = (keys.min >> low) << low;
    Interval::new(first, first + (segments << low) - 1)
}

/// The least cost of a graph, and log2 of the column length that has it, from a length on that is near it and to either side as far
/// as they become cheaper.
fn cheapest_log_n<F: PrimeField, E: From<LowerError>>(
    graph: &Graph,
    middle: u32,
    cost: &mut impl FnMut(&Graph, &ConstraintSystem<F>) -> Result<f64, E>,
) -> Result<(f64, u32), E> {
    let lowered = |log_n| Ok::<_, LowerError>(lower::<F>(graph, log_n)?.system);
    let mut best = (cost(graph, &lowered(middle)?)?, middle);
    // The cost has one valley: where it falls on one side, it rises on the other.
    for up in [true, false] {
        let mut log_n = best.1;
        loop {
            log_n = if up { log_n + 1 } else { log_n - 1 };
            if best.1 > middle && !up || !LOG_N.contains(&log_n) {
                break;
            }
            let found = cost(graph, &lowered(log_n)?)?;
            if found >= best.0 {
                break;
            }
            best = (found, log_n);
        }
    }
    Ok(best)
}
