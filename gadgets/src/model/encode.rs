//! Canonical bytes of graphs and weights, and a decoder that is total: it never allocates more than its input can hold,
//! and what it returns has been validated.

use zkernel_verifier::encoding::{DecodeError, Reader, Writer};

use super::geometry::Geometry;
use super::graph::{
    Along, Function, Graph, Interval, Node, Op, Piece, Table, TableId, Tensor, TensorId,
    Visibility, Weight, WeightId, WeightValues,
};

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

fn encode_node(node: &Node, w: &mut Writer) {
    let Node {
        name,
        op,
        inputs,
        output,
    } = node;
    w.string(name);
    encode_op(op, w);
    w.len(inputs.len());
    inputs.iter().for_each(|id| w.u32(id.0));
    w.u32(output.0);
}

fn encode_op(op: &Op, w: &mut Writer) {
    match op {
        Op::Dense { weights, bias } => {
            w.u8(0);
            encode_matrix(*weights, *bias, w);
        }
        Op::Requantize { shift, table } => {
            w.u8(1);
            w.u32(*shift);
            w.u32(table.0);
        }
        Op::ArgMax => w.u8(2),
        Op::Reshape => w.u8(3),
        Op::Conv {
            weights,
            bias,
            geometry,
            groups,
        } => {
            w.u8(4);
            encode_matrix(*weights, *bias, w);
            encode_geometry(geometry, w);
            w.len(*groups);
        }
        Op::SumPool { geometry } => {
            w.u8(5);
            encode_geometry(geometry, w);
        }
        Op::MaxPool { geometry, table } => {
            w.u8(6);
            encode_geometry(geometry, w);
            w.u32(table.0);
        }
        Op::RequantizeMax {
            shift,
            table,
            geometry,
        } => {
            w.u8(7);
            w.u32(*shift);
            w.u32(table.0);
            encode_geometry(geometry, w);
        }
        Op::Affine { pieces, constant } => {
            w.u8(8);
            w.len(pieces.len());
            pieces.iter().for_each(|piece| encode_piece(piece, w));
            w.i64(*constant);
        }
        Op::Transpose { axes } => {
            w.u8(9);
            w.len(axes.len());
            axes.iter().for_each(|axis| w.len(*axis));
        }
        Op::Constant { weights } => {
            w.u8(10);
            w.u32(weights.0);
        }
        Op::Product => w.u8(11),
        Op::MatMul => w.u8(12),
        Op::Reciprocal { numerator } => {
            w.u8(13);
            w.i64(*numerator);
        }
        Op::Positive { bits } => {
            w.u8(14);
            w.u32(*bits);
        }
        Op::MaxTable { table } => {
            w.u8(15);
            w.u32(table.0);
        }
        Op::Gather { weights } => {
            w.u8(16);
            w.u32(weights.0);
        }
        Op::Root => w.u8(17),
        Op::TopK { k, largest } => {
            w.u8(18);
            w.len(*k);
            w.u8(u8::from(*largest));
        }
    }
}

fn decode_op(r: &mut Reader<'_>) -> Result<Op, DecodeError> {
    Ok(match r.u8()? {
        0 => {
            let (weights, bias) = decode_matrix(r)?;
            Op::Dense { weights, bias }
        }
        1 => Op::Requantize {
            shift: r.u32()?,
            table: TableId(r.u32()?),
        },
        2 => Op::ArgMax,
        3 => Op::Reshape,
        4 => {
            let (weights, bias) = decode_matrix(r)?;
            Op::Conv {
                weights,
                bias,
                geometry: decode_geometry(r)?,
                groups: decode_size(r)?,
            }
        }
        5 => Op::SumPool {
            geometry: decode_geometry(r)?,
        },
        6 => Op::MaxPool {
            geometry: decode_geometry(r)?,
            table: TableId(r.u32()?),
        },
        7 => Op::RequantizeMax {
            shift: r.u32()?,
            table: TableId(r.u32()?),
            geometry: decode_geometry(r)?,
        },
        8 => Op::Affine {
            pieces: list(r, 24, decode_piece)?,
            constant: r.i64()?,
        },
        9 => Op::Transpose {
            axes: list(r, 8, decode_size)?,
        },
        10 => Op::Constant {
            weights: WeightId(r.u32()?),
        },
        11 => Op::Product,
        12 => Op::MatMul,
        13 => Op::Reciprocal {
            numerator: r.i64()?,
        },
        14 => Op::Positive { bits: r.u32()? },
        15 => Op::MaxTable {
            table: TableId(r.u32()?),
        },
        16 => Op::Gather {
            weights: WeightId(r.u32()?),
        },
        17 => Op::Root,
        18 => Op::TopK {
            k: decode_size(r)?,
            largest: match r.u8()? {
                0 => false,
                1 => true,
                _ => return Err(DecodeError::Value("order")),
            },
        },
        _ => return Err(DecodeError::Value("operator")),
    })
}

fn encode_piece(piece: &Piece, w: &mut Writer) {
    let Piece { input, scale, axes } = piece;
    w.len(*input);
    w.i64(*scale);
    w.len(axes.len());
    for along in axes {
        let Along {
            first,
            len,
            step,
            source,
        } = along;
        [first, len, step].into_iter().for_each(|size| w.len(*size));
        w.u8(u8::from(source.is_some()));
        if let Some((axis, from, stride)) = source {
            [axis, from, stride]
                .into_iter()
                .for_each(|size| w.len(*size));
        }
    }
}

fn decode_piece(r: &mut Reader<'_>) -> Result<Piece, DecodeError> {
    Ok(Piece {
        input: decode_size(r)?,
        scale: r.i64()?,
        axes: list(r, 25, decode_along)?,
    })
}

fn decode_along(r: &mut Reader<'_>) -> Result<Along, DecodeError> {
    Ok(Along {
        first: decode_size(r)?,
        len: decode_size(r)?,
        step: decode_size(r)?,
        source: match r.u8()? {
            0 => None,
            1 => Some((decode_size(r)?, decode_size(r)?, decode_size(r)?)),
            _ => return Err(DecodeError::Value("source of an axis")),
        },
    })
}

fn encode_matrix(weights: WeightId, bias: Option<WeightId>, w: &mut Writer) {
    w.u32(weights.0);
    w.u8(u8::from(bias.is_some()));
    bias.iter().for_each(|bias| w.u32(bias.0));
}

fn decode_matrix(r: &mut Reader<'_>) -> Result<(WeightId, Option<WeightId>), DecodeError> {
    let weights = WeightId(r.u32()?);
    let bias = match r.u8()? {
        0 => None,
        1 => Some(WeightId(r.u32()?)),
        _ => return Err(DecodeError::Value("bias")),
    };
    Ok((weights, bias))
}

fn encode_geometry(geometry: &Geometry, w: &mut Writer) {
    let Geometry {
        kernel,
        stride,
        dilation,
        before,
        after,
    } = geometry;
    let pairs = [kernel, stride, dilation, before, after];
    pairs.into_iter().flatten().for_each(|size| w.len(*size));
}

fn decode_geometry(r: &mut Reader<'_>) -> Result<Geometry, DecodeError> {
    let mut pair = || Ok([decode_size(r)?, decode_size(r)?]);
    Ok(Geometry {
        kernel: pair()?,
        stride: pair()?,
        dilation: pair()?,
        before: pair()?,
        after: pair()?,
    })
}

fn decode_node(r: &mut Reader<'_>) -> Result<Node, DecodeError> {
    Ok(Node {
        name: r.string()?,
        op: decode_op(r)?,
        inputs: list(r, 4, |r| Ok(TensorId(r.u32()?)))?,
        output: TensorId(r.u32()?),
    })
}
