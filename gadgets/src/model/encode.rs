//! Canonical bytes of graphs and weights, and a decoder that is total: it never allocates more than its input can hold,
//! and what it returns has been validated.

mod nodes;

use zkernel_verifier::encoding::{DecodeError, Reader, Writer};

use super::graph::{
    Function, Graph, Interval, Table, Tensor, TensorId, Visibility, Weight, WeightId, WeightValues,
};
use nodes::{decode_node, encode_node};

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

impl Graph {
    /// Appends the canonical bytes.
    pub fn encode(&self, w: &mut Writer) {
        let Self {
            name,
            limb_bits,
            tensors,
            weights,
            tables,
            nodes,
            inputs,
            outputs,
        } = self;
        w.string(name);
        w.u32(*limb_bits);
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
        let limb_bits = r.u32()?;
        let tensors = list(r, 8, decode_tensor)?;
        let weights = list(r, 8, decode_weight)?;
        let tables = list(r, 8, decode_table)?;
        let nodes = list(r, 8, decode_node)?;
        let inputs = list(r, 4, |r| Ok(TensorId(r.u32()?)))?;
        let outputs = list(r, 4, |r| Ok(TensorId(r.u32()?)))?;
        let graph = Self {
            name,
            limb_bits,
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

fn encode_interval(interval: Interval, w: &mut Writer) {
    let Interval { min, max } = interval;
    w.i64(min);
    w.i64(max);
}

fn decode_interval(r: &mut Reader<'_>) -> Result<Interval, DecodeError> {
    Ok(Interval::new(r.i64()?, r.i64()?))
}

fn encode_visibility(visibility: Visibility, w: &mut Writer) {
    w.u8(match visibility {
        Visibility::Private => 0,
        Visibility::Public => 1,
        Visibility::Committed => 2,
    });
}

fn decode_visibility(r: &mut Reader<'_>) -> Result<Visibility, DecodeError> {
    match r.u8()? {
        0 => Ok(Visibility::Private),
        1 => Ok(Visibility::Public),
        2 => Ok(Visibility::Committed),
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
        parameters,
        keys,
        input_scale,
        output_scale,
        low,
    } = table;
    w.u8(*function as u8);
    parameters.iter().for_each(|p| w.f64(*p));
    encode_interval(*keys, w);
    w.f64(*input_scale);
    w.f64(*output_scale);
    w.u32(*low);
}

fn decode_table(r: &mut Reader<'_>) -> Result<Table, DecodeError> {
    let function = Function::ALL
        .get(usize::from(r.u8()?))
        .copied()
        .ok_or(DecodeError::Value("function"))?;
    Ok(Table {
        function,
        parameters: [r.f64()?, r.f64()?],
        keys: decode_interval(r)?,
        input_scale: r.f64()?,
        output_scale: r.f64()?,
        low: r.u32()?,
    })
}
