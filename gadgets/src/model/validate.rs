//! What a graph must satisfy before anything is run or lowered: everything that the run and the lowering rely on.

use super::encode::GraphError;
use super::geometry::Geometry;
use super::graph::{
    Function, Graph, Interval, Node, Op, Table, TableId, Tensor, TensorId, Visibility, Weight,
    WeightId,
};

/// Most elements of a tensor, cells of a weight and rows of a table.
const MAX_ELEMENTS: usize = 1 << 28;
/// Most rows of a table.
const MAX_TABLE: i64 = 1 << 20;
/// Most rows of all tables together: each is computed, committed and hashed by whoever loads a key.
const MAX_ROWS: u64 = 1 << 21;
/// Most classes that an argmax chooses from.
const MAX_CLASSES: usize = 1 << 20;
/// Most input positions from one window that does not overlap to the next.
const MAX_STEPS: usize = 1 << 16;
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
        self.validate_sums()?;
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
        self.tables.iter().try_for_each(validate_table)?;
        let mut written = vec![false; self.tensors.len()];
        for id in &self.inputs {
            self.write(&self.name, &mut written, *id)?;
        }
        for node in &self.nodes {
            self.validate_node(node, &written)?;
            self.write(&node.name, &mut written, node.output)?;
        }
        let [_] = self.inputs.as_slice() else {
            return invalid(&self.name, "must have one input");
        };
        let [output] = self.outputs.as_slice() else {
            return invalid(&self.name, "must have one output");
        };
        if written.get(output.0 as usize) != Some(&true) {
            return invalid(&self.name, "its output is never written");
        }
        self.bounds().map(drop)
    }

    /// Whatever is read from a file costs memory and time in proportion to these sums.
    fn validate_sums(&self) -> Result<(), GraphError> {
        let rows = self.tables.iter().map(|t| t.keys.max.abs_diff(t.keys.min));
        let elements = |shape: &[usize]| shape.iter().fold(1usize, |n, d| n.saturating_mul(*d));
        let tensors = self.tensors.iter().map(|t| elements(&t.shape));
        let weights = self.weights.iter().map(|w| elements(&[w.rows, w.cols]));
        let total = tensors.chain(weights).fold(0, usize::saturating_add);
        if rows.fold(0, u64::saturating_add) > MAX_ROWS || total > MAX_ELEMENTS {
            return invalid(
                &self.name,
                "has more than 2^28 elements and weights or 2^21 rows of tables",
            );
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
        let arity = if matches!(node.op, Op::Add { .. }) {
            2
        } else {
            1
        };
        if node.inputs.len() != arity {
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
        let input = *inputs.first()?;
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
                *shift <= 16
                    && geometry.stride[0].checked_mul(geometry.stride[1])? <= MAX_STEPS
                    && pools(geometry, input, output)
                    && geometry.is_partition()
                    && self.is_relu_over(*table, Interval::new(0, 0))
            }
            Op::Requantize { shift, table } => {
                *shift <= 16
                    && (table.0 as usize) < self.tables.len()
                    && elements(input) == elements(output)
            }
            Op::Add { scales } => {
                let bounded = scales.iter().all(|s| s.unsigned_abs() < 1 << 30);
                bounded && inputs.iter().all(|t| t.shape == output.shape)
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
            table.function == Function::Relu
                && table.input_scale.to_bits() == table.output_scale.to_bits()
                && table.keys.contains(keys.min)
                && table.keys.contains(keys.max)
        })
    }
}

/// Whether input and output have four axes, the same batch, and sizes that the windows give.
fn windows(geometry: &Geometry, input: &Tensor, output: &Tensor) -> bool {
    let (&[n, _, h, w], &[m, _, oh, ow]) = (&input.shape[..], &output.shape[..]) else {
        return false;
    };
    // Forms of windows cost outputs times taps along an axis.
    let bounded = |taps: usize, outputs: usize| {
        taps.checked_mul(outputs)
            .is_some_and(|products| products <= MAX_ELEMENTS)
    };
    n == m
        && bounded(geometry.kernel[0], oh)
        && bounded(geometry.kernel[1], ow)
        && geometry.outputs([h, w]) == Some([oh, ow])
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

fn validate_table(table: &Table) -> Result<(), GraphError> {
    let name = format!("table {:?}", table.function);
    let Interval { min, max } = table.keys;
    let small = -(1 << 40)..1 << 40;
    if !(small.contains(&min) && small.contains(&max)) || min > max || max - min >= MAX_TABLE {
        return invalid(&name, "has no keys or more than 2^20");
    }
    let positive = |x: f64| x.is_finite() && x > 0.0;
    if !(positive(table.input_scale) && positive(table.output_scale)) {
        return invalid(&name, "has a scale that is not a positive number");
    }
    let values = table.values();
    if values.max >= 1 << 40 || values.min <= -(1 << 40) {
        return invalid(&name, "has values beyond 40 bits");
    }
    Ok(())
}
