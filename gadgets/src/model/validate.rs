//! What a graph must satisfy before anything is run or lowered: everything that the run and the lowering rely on.

use super::encode::GraphError;
use super::geometry::Geometry;
use super::graph::{
    Along, Graph, Interval, Node, Op, Piece, Table, TableId, Tensor, TensorId, Visibility, Weight,
    WeightId,
};

/// Most elements of all tensors together, cells of all weights together, and outputs times taps of windows.
const MAX_ELEMENTS: usize = 1 << 28;
/// Most rows of a table.
const MAX_TABLE: i64 = 1 << 20;
/// Most rows of all tables together: each is computed, committed and hashed by whoever loads a key.
const MAX_ROWS: i64 = 1 << 21;
/// Most bits of a limb, or of what a split table does not look up.
const MAX_LIMB: u32 = 12;
/// Most classes that an argmax chooses from.
const MAX_CLASSES: usize = 1 << 20;
/// Most bits of what orders values and positions.
const MOST_ORDER_BITS: u32 = 60;
/// Most input positions from one window that does not overlap to the next.
const MAX_STEPS: usize = 1 << 16;
/// Most pieces of a sum of views.
const MAX_PIECES: usize = 1 << 12;
/// Most nodes, tensors, weights and tables: some steps of the lowering look at all of them for each.
const MAX_ITEMS: usize = 1 << 13;

fn invalid<T>(name: &str, problem: &'static str) -> Result<T, GraphError> {
    Err(GraphError::Invalid {
        name: name.into(),
        problem,
    })
}

impl Graph {
    /// Checks everything that the run and the lowering rely on.
    ///
    /// # Errors
    /// [`GraphError`] names what does not fit.
    pub fn validate(&self) -> Result<(), GraphError> {
        for items in [
            self.tensors.len(),
            self.weights.len(),
            self.tables.len(),
            self.nodes.len(),
        ] {
            if items > MAX_ITEMS {
                return invalid(
                    &self.name,
                    "has more than 8,192 tensors, weights, tables or nodes",
                );
            }
        }
        if !(1..=MAX_LIMB).contains(&self.limb_bits) {
            return invalid(&self.name, "has limbs of no bits or more than 12");
        }
        self.tensors.iter().try_for_each(validate_tensor)?;
        self.weights.iter().try_for_each(validate_weight)?;
        if self
            .weights
            .iter()
            .any(|w| w.visibility == Visibility::Committed)
        {
            return invalid(
                &self.name,
                "has weights that are neither private nor public",
            );
        }
        let mixed = |pair: &[Weight]| pair[0].visibility != pair[1].visibility;
        if self.weights.windows(2).any(mixed) {
            return invalid(&self.name, "has private and public weights");
        }
        self.validate_tables()?;
        self.validate_totals()?;
        let mut written = vec![false; self.tensors.len()];
        for id in &self.inputs {
            self.write(&self.name, &mut written, *id)?;
        }
        for node in &self.nodes {
            self.validate_node(node, &written)?;
            self.write(&node.name, &mut written, node.output)?;
        }
        if self.inputs.is_empty() {
            return invalid(&self.name, "must have an input");
        }
        if self.outputs.is_empty() {
            return invalid(&self.name, "must have an output");
        }
        for output in &self.outputs {
            if written.get(output.0 as usize) != Some(&true) {
                return invalid(&self.name, "one of its outputs is never written");
            }
        }
        self.bounds().map(drop)
    }

    /// All sizes first, then the values, which take time.
    fn validate_tables(&self) -> Result<(), GraphError> {
        let mut rows = 0;
        // The range of an input is a table too.
        for id in &self.inputs {
            let Some(input) = self.tensors.get(id.0 as usize) else {
                return invalid(&self.name, "its input does not exist");
            };
            let span = input.range.max - input.range.min;
            if self.input_limbs(input.range).is_empty() {
                rows += span + 1;
            }
        }
        for table in &self.tables {
            validate_keys(table)?;
            rows += table.row_counts().iter().sum::<i64>();
        }
        if rows > MAX_ROWS {
            return invalid(&self.name, "its tables have more than 2^21 rows together");
        }
        self.tables.iter().try_for_each(validate_values)
    }

    /// A file of a few bytes may name many large tensors: their sum is bounded too.
    fn validate_totals(&self) -> Result<(), GraphError> {
        let elements = |shape: &[usize]| shape.iter().product::<usize>();
        let tensors = self.tensors.iter().map(|t| elements(&t.shape));
        let weights = self.weights.iter().map(|w| w.rows * w.cols);
        let most = |sizes: &mut dyn Iterator<Item = usize>| sizes.fold(0, usize::saturating_add);
        if most(&mut { tensors }) > MAX_ELEMENTS {
            return invalid(
                &self.name,
                "its tensors have more than 2^28 elements together",
            );
        }
        if most(&mut { weights }) > MAX_ELEMENTS {
            return invalid(&self.name, "its weights have more than 2^28 cells together");
        }
        Ok(())
    }

    fn write(&self, name: &str, written: &mut [bool], id: TensorId) -> Result<(), GraphError> {
        match written.get_mut(id.0 as usize) {
            Some(slot @ false) => {
                *slot = true;
                Ok(())
            }
            _ => invalid(
                name,
                "writes a tensor that does not exist or has been written",
            ),
        }
    }

    fn validate_node(&self, node: &Node, written: &[bool]) -> Result<(), GraphError> {
        let name = &node.name;
        let arity = match node.op {
            Op::Constant { .. } => 0..=0,
            Op::Product | Op::MatMul => 2..=2,
            Op::Affine { .. } => 1..=MAX_PIECES,
            _ => 1..=1,
        };
        if !arity.contains(&node.inputs.len()) {
            return invalid(name, "has the wrong number of inputs");
        }
        let mut inputs = Vec::new();
        for input in &node.inputs {
            match (
                written.get(input.0 as usize),
                self.tensors.get(input.0 as usize),
            ) {
                (Some(true), Some(tensor)) => inputs.push(tensor),
                _ => return invalid(name, "reads a tensor that is not written yet"),
            }
        }
        let Some(output) = self.tensors.get(node.output.0 as usize) else {
            return invalid(name, "refers to a tensor that does not exist");
        };
        if self.fits(&node.op, &inputs, output) == Some(true) {
            Ok(())
        } else {
            invalid(
                name,
                "its shapes, weights, table or numbers do not fit its operator",
            )
        }
    }

    /// Whether an op's tensors fit it; `None` for something that does not exist.
    fn fits(&self, op: &Op, inputs: &[&Tensor], output: &Tensor) -> Option<bool> {
        let input = inputs.first().copied().unwrap_or(output);
        let elements = |tensor: &Tensor| tensor.shape.iter().product::<usize>();
        let last = input.shape.last().copied().unwrap_or(1);
        Some(match op {
            Op::Dense { weights, bias } => {
                let rows = self.matrix(*weights, *bias, last)?;
                let (leading, out) = (input.shape.split_last()?.1, output.shape.split_last());
                let fits = out.is_some_and(|(m, lead)| *m == rows && lead == leading);
                fits || elements(output) == elements(input) / last.max(1) * rows
            }
            Op::Conv {
                weights,
                bias,
                geometry,
                groups,
            } => {
                let channels = *input.shape.get(1)?;
                let group = channels.checked_div(*groups)?;
                let rows = self.matrix(
                    *weights,
                    *bias,
                    group.checked_mul(geometry.kernel[0].checked_mul(geometry.kernel[1])?)?,
                )?;
                group * groups == channels
                    && rows % groups == 0
                    && windows(geometry, input, output)
                    && output.shape.get(1) == Some(&rows)
            }
            Op::SumPool { geometry } => pools(geometry, input, output),
            Op::MaxPool { geometry, table } => {
                let span = input.range.max.checked_sub(input.range.min)?;
                let taps = geometry.kernel[0].checked_mul(geometry.kernel[1])?;
                pools(geometry, input, output)
                    && elements(output).checked_mul(taps)? <= MAX_ELEMENTS
                    && self.is_relu_over(*table, Interval::new(-span, span))
                    && geometry.before < geometry.kernel
                    && geometry.after < geometry.kernel
            }
            Op::RequantizeMax {
                shift,
                table,
                geometry,
            } => {
                *shift <= 40
                    && geometry.stride[0].checked_mul(geometry.stride[1])? <= MAX_STEPS
                    && pools(geometry, input, output)
                    && geometry.is_partition()
                    && self.is_relu_over(*table, Interval::new(0, 0))
            }
            Op::Requantize { shift, table } => {
                *shift <= 40
                    && (table.0 as usize) < self.tables.len()
                    && elements(input) == elements(output)
            }
            Op::Affine { pieces, constant } => {
                let fits = |piece: &Piece| {
                    let read = inputs.get(piece.input);
                    read.is_some_and(|read| piece_fits(piece, &read.shape, &output.shape))
                };
                pieces.len() <= MAX_PIECES
                    && constant.unsigned_abs() < 1 << 60
                    && pieces.iter().all(fits)
            }
            Op::Constant { weights } => {
                let weight = self.weights.get(weights.0 as usize)?;
                weight.rows.checked_mul(weight.cols)? == elements(output)
            }
            Op::Product => inputs.iter().all(|t| t.shape == output.shape),
            Op::MatMul => matmul_fits(&input.shape, &inputs.get(1)?.shape, &output.shape),
            Op::Reciprocal { numerator } => {
                (1..=1 << 40).contains(numerator)
                    && input.shape == output.shape
                    && input.range.max >= 1
            }
            Op::Root => {
                (0..=1 << 60).contains(&input.range.max) && elements(input) == elements(output)
            }
            Op::Positive { bits } => *bits <= 60 && elements(input) == elements(output),
            Op::MaxTable { table } => {
                let table = self.tables.get(table.0 as usize)?;
                table.keys.max == 0 && !table.is_range() && last > 0 && input.shape == output.shape
            }
            Op::Gather { weights } => {
                let weight = self.weights.get(weights.0 as usize)?;
                elements(input).checked_mul(weight.cols)? == elements(output)
            }
            Op::Transpose { axes } => {
                let mut sorted = axes.clone();
                sorted.sort_unstable();
                let shape = axes.iter().map(|axis| input.shape.get(*axis).copied());
                sorted.iter().copied().eq(0..input.shape.len())
                    && shape.collect::<Option<Vec<_>>>()? == output.shape
            }
            Op::ArgMax => {
                (1..=MAX_CLASSES).contains(&last) && elements(output) == elements(input) / last
            }
            Op::TopK { k, .. } => {
                let (_, lead) = input.shape.split_last()?;
                (1..=MAX_CLASSES).contains(&last)
                    && (1..=last).contains(k)
                    && output.shape == [&[2], lead, &[*k]].concat()
                    && Graph::order_bits(input.range, last) <= MOST_ORDER_BITS
            }
            Op::Reshape => elements(input) == elements(output),
        })
    }

    /// Rows of a matrix with that many columns, if its bias fits.
    fn matrix(&self, weights: WeightId, bias: Option<WeightId>, cols: usize) -> Option<usize> {
        let weight = self.weights.get(weights.0 as usize)?;
        let fits = |bias: &Weight| bias.rows == 1 && bias.cols == weight.rows;
        if let Some(bias) = bias
            && !fits(self.weights.get(bias.0 as usize)?)
        {
            return None;
        }
        (weight.cols == cols).then_some(weight.rows)
    }

    /// Whether a table is ReLU on integers and covers those keys.
    fn is_relu_over(&self, table: TableId, keys: Interval) -> bool {
        self.tables.get(table.0 as usize).is_some_and(|table| {
            table.is_exact_relu() && table.keys.contains(keys.min) && table.keys.contains(keys.max)
        })
    }
}

/// Whether a piece reads and writes inside the shapes, and no input axis twice.
fn piece_fits(piece: &Piece, input: &[usize], output: &[usize]) -> bool {
    let inside = |first: usize, step: usize, count: usize, len: usize| {
        let reach = count.checked_sub(1).and_then(|last| last.checked_mul(step));
        let last = reach.and_then(|reach| reach.checked_add(first));
        step > 0 && last.is_some_and(|last| last < len)
    };
    let mut read = vec![false; input.len()];
    let mut fits = |(along, len): (&Along, &usize)| {
        let reads = match along.source {
            None => true,
            Some((axis, from, stride)) => read.get_mut(axis).is_some_and(|read| {
                !std::mem::replace(read, true) && inside(from, stride, along.len, input[axis])
            }),
        };
        reads && inside(along.first, along.step, along.len, *len)
    };
    piece.axes.len() == output.len()
        && piece.scale.unsigned_abs() < 1 << 40
        && piece.axes.iter().zip(output).all(&mut fits)
}

/// Whether shapes are those of `(.., i, k)` times `(.., k, j)`.
fn matmul_fits(a: &[usize], b: &[usize], y: &[usize]) -> bool {
    let (&[ref of_a @ .., i, k], &[ref of_b @ .., l, j]) = (a, b) else {
        return false;
    };
    of_a == of_b && k == l && *y == [of_a, &[i, j]].concat()
}

/// Whether input and output have four axes, the same batch, and sizes that the windows give.
fn windows(geometry: &Geometry, input: &Tensor, output: &Tensor) -> bool {
    let (&[n, _, h, w], &[m, _, oh, ow]) = (&input.shape[..], &output.shape[..]) else {
        return false;
    };
    let sizes = [geometry.kernel, [oh, ow]].map(|[a, b]| [a, b].map(|size| size.min(MAX_ELEMENTS)));
    let [[kh, kw], [rows, columns]] = sizes;
    let bounded = rows * kh <= MAX_ELEMENTS && columns * kw <= MAX_ELEMENTS;
    n == m && bounded && geometry.outputs([h, w]) == Some([oh, ow])
}

/// As [`windows`], channel by channel.
fn pools(geometry: &Geometry, input: &Tensor, output: &Tensor) -> bool {
    windows(geometry, input, output) && input.shape.get(1) == output.shape.get(1)
}

fn validate_tensor(tensor: &Tensor) -> Result<(), GraphError> {
    let elements = tensor
        .shape
        .iter()
        .try_fold(1usize, |n, d| n.checked_mul(*d));
    if !elements.is_some_and(|n| (1..=MAX_ELEMENTS).contains(&n)) {
        return invalid(&tensor.name, "has no elements or more than 2^28");
    }
    if !(tensor.scale.is_finite() && tensor.scale > 0.0) {
        return invalid(&tensor.name, "has a scale that is not a positive number");
    }
    let Interval { min, max } = tensor.range;
    if min > max || max >= 1 << 62 || min <= -(1 << 62) {
        return invalid(&tensor.name, "has an empty range or one beyond 62 bits");
    }
    Ok(())
}

fn validate_weight(weight: &Weight) -> Result<(), GraphError> {
    let cells = weight.rows.checked_mul(weight.cols);
    if !cells.is_some_and(|n| (1..=MAX_ELEMENTS).contains(&n)) {
        return invalid(&weight.name, "has no elements or more than 2^28");
    }
    if !(weight.scale.is_finite() && weight.scale > 0.0) {
        return invalid(&weight.name, "has a scale that is not a positive number");
    }
    if !(0..1 << 62).contains(&weight.bound) {
        return invalid(&weight.name, "has a bound beyond 62 bits");
    }
    Ok(())
}

fn table_name(table: &Table) -> String {
    format!("table {:?}", table.function)
}

fn validate_keys(table: &Table) -> Result<(), GraphError> {
    let Interval { min, max } = table.keys;
    let small = -(1 << 40)..1 << 40;
    if !(small.contains(&min) && small.contains(&max)) || min > max || max - min >= MAX_TABLE {
        return invalid(&table_name(table), "has no keys or more than 2^20");
    }
    let keys = max - min + 1;
    let whole = match table.low {
        0 => true,
        _ if table.is_range() => keys.count_ones() == 1,
        low => low <= MAX_LIMB && keys % (1 << low) == 0,
    };
    if table.low > MAX_LIMB || !whole {
        return invalid(
            &table_name(table),
            "splits its keys at more than 12 bits, not into whole segments, or a range that spans no power of two",
        );
    }
    Ok(())
}

fn validate_values(table: &Table) -> Result<(), GraphError> {
    let positive = |x: f64| x.is_finite() && x > 0.0;
    if !(positive(table.input_scale) && positive(table.output_scale)) {
        return invalid(
            &table_name(table),
            "has a scale that is not a positive number",
        );
    }
    if table.parameters.iter().any(|parameter| parameter.is_nan()) {
        return invalid(&table_name(table), "has a parameter that is not a number");
    }
    let values = table.values();
    if values.max >= 1 << 40 || values.min <= -(1 << 40) {
        return invalid(&table_name(table), "has values beyond 40 bits");
    }
    Ok(())
}
