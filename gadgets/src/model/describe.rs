//! Nodes in a few words, for reports.

use super::geometry::Geometry;
use super::graph::{Graph, Interval, Node, Op, TableId, WeightId};

impl Graph {
    /// What a node computes, in a few words.
    #[must_use]
    pub fn describe(&self, node: &Node) -> String {
        let size = |id: &WeightId| {
            let weight = self.weights.get(id.0 as usize);
            weight.map_or_else(String::new, |w| format!("{} x {}", w.rows, w.cols))
        };
        let table = |id: &TableId| {
            let table = self.tables.get(id.0 as usize);
            table.map_or_else(String::new, |t| {
                let Interval { min, max } = t.keys;
                format!("{:?} of keys {min}..={max}", t.function)
            })
        };
        let window = |g: &Geometry| format!("{}x{}", g.kernel[0], g.kernel[1]);
        match &node.op {
            Op::Dense { weights, .. } => format!("dense {}", size(weights)),
            Op::Conv {
                weights,
                geometry,
                groups,
                ..
            } => {
                let window = window(geometry);
                format!(
                    "convolution {window}, weights {}, groups {groups}",
                    size(weights)
                )
            }
            Op::SumPool { geometry } => format!("sums over {}", window(geometry)),
            Op::MaxPool { geometry, table: t } => {
                format!("maxima over {}, {}", window(geometry), table(t))
            }
            Op::RequantizeMax {
                shift,
                table: t,
                geometry,
            } => {
                let window = window(geometry);
                format!("{}, {shift} bits dropped, maxima over {window}", table(t))
            }
            Op::Affine { pieces, .. } => match pieces.len() {
                1 => "a view".into(),
                count => format!("sum of {count} views"),
            },
            Op::Constant { weights } => format!("constant {}", size(weights)),
            Op::Product => "products".into(),
            Op::MatMul => "matrix product of activations".into(),
            Op::Reciprocal { numerator } => format!("{numerator} / x"),
            Op::Root => "square root".into(),
            Op::Positive { bits } => format!("x > 0, over {bits} bits"),
            Op::MaxTable { table: t } => format!("{} of the distance to the maximum", table(t)),
            Op::Gather { weights } => format!("rows of {}", size(weights)),
            Op::Transpose { axes } => format!("axes {axes:?}"),
            Op::Requantize { shift, table: t } => format!("{}, {shift} bits dropped", table(t)),
            Op::ArgMax => "argmax".into(),
            Op::TopK { k, largest } => {
                format!("the {k} {}", if *largest { "largest" } else { "smallest" })
            }
            Op::Reshape => "reshape".into(),
        }
    }
}
