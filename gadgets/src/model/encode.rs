//! Canonical bytes of graphs and weights, and a decoder that is total: it never allocates more than its input can hold,
//! and what it returns has been validated.

use zkernel_verifier::encoding::{DecodeError, Reader, Writer};

use super::graph::{
    Function, Graph, Interval, Node, Op, Table, TableId, Tensor, TensorId, Visibility, Weight,
    WeightId, WeightValues,
};

/// Most elements of a tensor, cells of a weight and rows of a table.
const MAX_ELEMENTS: usize = 1 << 28;
/// Most rows of a table.
const MAX_TABLE: i64 = 1 << 20;
/// Most nodes, tensors, weights and tables.
const MAX_ITEMS: usize = 1 << 16;

/// Why a graph is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// The bytes are not an encoding.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A node or tensor does not fit its neighbours.
    #[error("`{name}`: {problem}")]
    Invalid {
        /// The node, tensor, weight or table.
        name: String,
        /// What is wrong.
        problem: &'static str,
    },
}

fn invalid<T>(name: &str, problem: &'static str) -> Result<T, GraphError> {
    Err(GraphError::Invalid {
        name: name.into(),
        problem,
    })
}

impl Graph {
    /// Appends the canonical bytes.
    pub fn encode(&self, w: &mut Writer) {
        let Self {
            name,
            tensors,
            weights,
            tables,
            nodes,
            inputs,
            outputs,
        } = self;
        w.string(name);
        w.len(tensors.len());
        tensors.iter().for_each(|tensor| encode_tensor(tensor, w));
        w.len(weights.len());
        weights.iter().for_each(|weight| encode_weight(weight, w));
        w.len(tables.len());
        tables.iter().for_each(|table| encode_table(table, w));
        w.len(nodes.len());
        nodes.iter().for_each(|node| encode_node(node, w));
        for ids in [inputs, outputs] {
            w.len(ids.len());
            ids.iter().for_each(|id| w.u32(id.0));
        }
    }

    /// Decodes and validates a graph.
    ///
    /// # Errors
    /// [`GraphError`].
    pub fn decode(r: &mut Reader<'_>) -> Result<Self, GraphError> {
        let name = r.string()?;
        let tensors = list(r, 8, decode_tensor)?;
        let weights = list(r, 8, decode_weight)?;
        let tables = list(r, 8, decode_table)?;
        let nodes = list(r, 8, decode_node)?;
        let inputs = list(r, 4, |r| Ok(TensorId(r.u32()?)))?;
        let outputs = list(r, 4, |r| Ok(TensorId(r.u32()?)))?;
        let graph = Self {
            name,
            tensors,
            weights,
            tables,
            nodes,
            inputs,
            outputs,
        };
        graph.validate()?;
        Ok(graph)
    }

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
                    "has more than 65,536 tensors, weights, tables or nodes",
                );
            }
        }
        self.tensors.iter().try_for_each(validate_tensor)?;
        self.weights.iter().try_for_each(validate_weight)?;
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
        let [input] = node.inputs.as_slice() else {
            return invalid(name, "must have one input");
        };
        if written.get(input.0 as usize) != Some(&true) {
            return invalid(name, "reads a tensor that is not written yet");
        }
        let (Some(input), Some(output)) = (
            self.tensors.get(input.0 as usize),
            self.tensors.get(node.output.0 as usize),
        ) else {
            return invalid(name, "refers to a tensor that does not exist");
        };
        let elements = |tensor: &Tensor| tensor.shape.iter().product::<usize>();
        let last = input.shape.last().copied().unwrap_or(1);
        let fits = match &node.op {
            Op::Dense { weights, bias } => {
                let Some(weight) = self.weights.get(weights.0 as usize) else {
                    return invalid(name, "refers to a weight that does not exist");
                };
                let bias = bias.map(|bias| self.weights.get(bias.0 as usize));
                let bias_fits =
                    bias.is_none_or(|b| b.is_some_and(|b| b.rows == 1 && b.cols == weight.rows));
                bias_fits
                    && weight.cols == last
                    && elements(output) == elements(input) / last.max(1) * weight.rows
            }
            Op::Requantize { shift, table } => {
                *shift <= 16
                    && (table.0 as usize) < self.tables.len()
                    && elements(input) == elements(output)
            }
            Op::ArgMax => last > 0 && elements(output) == elements(input) / last,
            Op::Reshape => elements(input) == elements(output),
        };
        if fits {
            Ok(())
        } else {
            invalid(name, "its shapes, table or shift do not fit its operator")
        }
    }
}

impl WeightValues {
    /// Appends the canonical bytes of the matrices chosen.
    pub fn encode(&self, chosen: impl Iterator<Item = WeightId>, w: &mut Writer) {
        for id in chosen {
            self.0[id.0 as usize].iter().for_each(|value| w.i64(*value));
        }
    }

    /// Decodes one matrix of the graph, within its bound.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode_matrix(weight: &Weight, r: &mut Reader<'_>) -> Result<Vec<i64>, DecodeError> {
        let len = weight
            .rows
            .checked_mul(weight.cols)
            .ok_or(DecodeError::Short)?;
        let bytes = r.bytes(len.checked_mul(8).ok_or(DecodeError::Short)?)?;
        let words = bytes
            .chunks_exact(8)
            .map(|b| i64::from_le_bytes(b.try_into().unwrap_or_default()));
        let values: Vec<i64> = words.collect();
        let fits = values
            .iter()
            .all(|v| v.unsigned_abs() <= weight.bound.unsigned_abs());
        if fits {
            Ok(values)
        } else {
            Err(DecodeError::Value("a weight is beyond its bound"))
        }
    }
}

fn list<T>(
    r: &mut Reader<'_>,
    item_bytes: usize,
    mut item: impl FnMut(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let len = r.len(item_bytes)?;
    (0..len).map(|_| item(r)).collect()
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

fn encode_interval(interval: Interval, w: &mut Writer) {
    let Interval { min, max } = interval;
    w.i64(min);
    w.i64(max);
}

fn decode_interval(r: &mut Reader<'_>) -> Result<Interval, DecodeError> {
    Ok(Interval::new(r.i64()?, r.i64()?))
}

fn encode_visibility(visibility: Visibility, w: &mut Writer) {
    w.u8(u8::from(visibility == Visibility::Public));
}

fn decode_visibility(r: &mut Reader<'_>) -> Result<Visibility, DecodeError> {
    match r.u8()? {
        0 => Ok(Visibility::Private),
        1 => Ok(Visibility::Public),
        _ => Err(DecodeError::Value("visibility")),
    }
}

fn encode_tensor(tensor: &Tensor, w: &mut Writer) {
    let Tensor {
        name,
        shape,
        scale,
        zero_point,
        range,
        visibility,
    } = tensor;
    w.string(name);
    w.len(shape.len());
    shape.iter().for_each(|d| w.len(*d));
    w.f64(*scale);
    w.i64(*zero_point);
    encode_interval(*range, w);
    encode_visibility(*visibility, w);
}

fn decode_tensor(r: &mut Reader<'_>) -> Result<Tensor, DecodeError> {
    Ok(Tensor {
        name: r.string()?,
        shape: list(r, 8, decode_size)?,
        scale: r.f64()?,
        zero_point: r.i64()?,
        range: decode_interval(r)?,
        visibility: decode_visibility(r)?,
    })
}

fn decode_size(r: &mut Reader<'_>) -> Result<usize, DecodeError> {
    usize::try_from(r.u64()?).map_err(|_| DecodeError::Value("size"))
}

fn encode_weight(weight: &Weight, w: &mut Writer) {
    let Weight {
        name,
        rows,
        cols,
        scale,
        bound,
        visibility,
    } = weight;
    w.string(name);
    w.len(*rows);
    w.len(*cols);
    w.f64(*scale);
    w.i64(*bound);
    encode_visibility(*visibility, w);
}

fn decode_weight(r: &mut Reader<'_>) -> Result<Weight, DecodeError> {
    Ok(Weight {
        name: r.string()?,
        rows: decode_size(r)?,
        cols: decode_size(r)?,
        scale: r.f64()?,
        bound: r.i64()?,
        visibility: decode_visibility(r)?,
    })
}

fn encode_table(table: &Table, w: &mut Writer) {
    let Table {
        function,
        keys,
        input_scale,
        output_scale,
    } = table;
    w.u8(*function as u8);
    encode_interval(*keys, w);
    w.f64(*input_scale);
    w.f64(*output_scale);
}

fn decode_table(r: &mut Reader<'_>) -> Result<Table, DecodeError> {
    let function = Function::ALL
        .get(usize::from(r.u8()?))
        .copied()
        .ok_or(DecodeError::Value("function"))?;
    Ok(Table {
        function,
        keys: decode_interval(r)?,
        input_scale: r.f64()?,
        output_scale: r.f64()?,
    })
}

fn encode_node(node: &Node, w: &mut Writer) {
    let Node {
        name,
        op,
        inputs,
        output,
    } = node;
    w.string(name);
    match op {
        Op::Dense { weights, bias } => {
            w.u8(0);
            w.u32(weights.0);
            w.u8(u8::from(bias.is_some()));
            bias.iter().for_each(|bias| w.u32(bias.0));
        }
        Op::Requantize { shift, table } => {
            w.u8(1);
            w.u32(*shift);
            w.u32(table.0);
        }
        Op::ArgMax => w.u8(2),
        Op::Reshape => w.u8(3),
    }
    w.len(inputs.len());
    inputs.iter().for_each(|id| w.u32(id.0));
    w.u32(output.0);
}

fn decode_node(r: &mut Reader<'_>) -> Result<Node, DecodeError> {
    let name = r.string()?;
    let op = match r.u8()? {
        0 => {
            let weights = WeightId(r.u32()?);
            let bias = match r.u8()? {
                0 => None,
                1 => Some(WeightId(r.u32()?)),
                _ => return Err(DecodeError::Value("bias")),
            };
            Op::Dense { weights, bias }
        }
        1 => Op::Requantize {
            shift: r.u32()?,
            table: TableId(r.u32()?),
        },
        2 => Op::ArgMax,
        3 => Op::Reshape,
        _ => return Err(DecodeError::Value("operator")),
    };
    Ok(Node {
        name,
        op,
        inputs: list(r, 4, |r| Ok(TensorId(r.u32()?)))?,
        output: TensorId(r.u32()?),
    })
}
