//! Bytes of nodes and of what they compute.

use zkernel_verifier::encoding::{DecodeError, Reader, Writer};

use super::super::geometry::Geometry;
use super::super::graph::{Along, Node, Op, Piece, TableId, TensorId, WeightId};
use super::{decode_size, list};

pub(super) fn encode_node(node: &Node, w: &mut Writer) {
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

pub(super) fn decode_node(r: &mut Reader<'_>) -> Result<Node, DecodeError> {
    Ok(Node {
        name: r.string()?,
        op: decode_op(r)?,
        inputs: list(r, 4, |r| Ok(TensorId(r.u32()?)))?,
        output: TensorId(r.u32()?),
    })
}
