//! The float semantics of our own operators: values of tensors that stand between the parts of one ONNX operator, which the
//! reference run does not show.

use zkernel_gadgets::model::{Along, Piece};

use crate::model::{Conv, FloatOp};

/// A tensor's values and shape.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) shape: &'a [usize],
    pub(crate) values: &'a [f32],
}

impl FloatOp {
    /// The values for an output of that shape; empty for operators that no ONNX operator is taken apart into.
    pub(crate) fn evaluate(&self, inputs: &[View<'_>], shape: &[usize]) -> Vec<f32> {
        let x = inputs.first().map_or(&[][..], |view| view.values);
        let each = |f: &dyn Fn(f64) -> f64| x.iter().map(|v| f(f64::from(*v)) as f32).collect();
        match self {
            Self::Affine { pieces, constant } => affine(pieces, *constant, inputs, shape),
            Self::Constant(values) => values.clone(),
            Self::Product => {
                let y = inputs.get(1).map_or(&[][..], |view| view.values);
                x.iter().zip(y).map(|(a, b)| a * b).collect()
            }
            Self::Function(function, parameters) => each(&|v| function.float(v, *parameters)),
            Self::Reciprocal => each(&|v| 1.0 / v),
            Self::Round(rounding) => {
                let after = inputs[0].shape.iter().skip(rounding.axis + 1);
                let after = after.product::<usize>().max(1);
                let of = |(i, v): (usize, &f32)| rounding.value(*v, i / after);
                x.iter().enumerate().map(of).collect()
            }
            Self::MatMul => matmul(&inputs[0], &inputs[1]),
            Self::Conv(conv) => convolution(conv, &inputs[0], shape),
            Self::Positive => each(&|v| f64::from(u8::from(v > 0.0))),
            Self::Reshape => x.to_vec(),
            Self::Dense {
                cols,
                weights,
                bias,
                ..
            } => dense(x, *cols, weights, bias.as_deref()),
            Self::Scale { scale, shift } => {
                let rows = x.chunks(scale.len().max(1));
                let along = |row: &[f32]| -> Vec<f32> {
                    let parts = row.iter().zip(scale.iter().zip(shift));
                    parts.map(|(x, (a, b))| x * a + b).collect()
                };
                rows.flat_map(along).collect()
            }
            Self::ArgMax => {
                let classes = inputs[0].shape.last().copied().unwrap_or(1).max(1);
                x.chunks(classes).map(first_maximum).collect()
            }
            Self::Transpose(axes) => transpose(&inputs[0], axes),
            Self::MaxPool(geometry) => {
                let row = geometry.kernel[1].max(1);
                let largest = |row: &[f32]| row.iter().fold(f32::NEG_INFINITY, |m, v| m.max(*v));
                x.chunks(row).map(largest).collect()
            }
            _ => Vec::new(),
        }
    }
}

fn dense(x: &[f32], cols: usize, weights: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
    let row_of = |x: &[f32]| -> Vec<f32> {
        let rows = weights.chunks(cols).enumerate();
        rows.map(|(i, row)| {
            let sum: f64 = row.iter().zip(x).map(|(w, x)| f64::from(w * x)).sum();
            sum as f32 + bias.map_or(0.0, |b| b[i])
        })
        .collect()
    };
    x.chunks(cols).flat_map(row_of).collect()
}

fn matmul(a: &View<'_>, b: &View<'_>) -> Vec<f32> {
    let last = |shape: &[usize]| shape.last().copied().unwrap_or(1).max(1);
    let (inner, columns) = (last(a.shape), last(b.shape));
    let rows = a.shape.iter().rev().nth(1).copied().unwrap_or(1).max(1);
    let products = a
        .values
        .chunks(rows * inner)
        .zip(b.values.chunks(inner * columns));
    let product = |(a, b): (&[f32], &[f32])| -> Vec<f32> {
        let of = |p: usize| {
            let row = a[p / columns * inner..].iter().take(inner);
            let terms = row.zip(b.iter().skip(p % columns).step_by(columns));
            terms
                .map(|(a, b)| f64::from(*a) * f64::from(*b))
                .sum::<f64>() as f32
        };
        (0..rows * columns).map(of).collect()
    };
    products.flat_map(product).collect()
}

fn convolution(conv: &Conv, input: &View<'_>, shape: &[usize]) -> Vec<f32> {
    let plane = |shape: &[usize]| match shape {
        [_, _, w] => [1, *w],
        [_, _, h, w] => [*h, *w],
        _ => [1, 1],
    };
    let (from, to) = (plane(input.shape), plane(shape));
    let (g, taps) = (&conv.geometry, conv.geometry.taps());
    let channels = input.shape.get(1).copied().unwrap_or(1);
    let group = channels / conv.groups.max(1);
    let of = |p: usize| {
        let (image, row) = (
            p / (conv.rows * to[0] * to[1]),
            p / (to[0] * to[1]) % conv.rows,
        );
        let (y, x) = (p / to[1] % to[0], p % to[1]);
        let first = row / (conv.rows / conv.groups.max(1)) * group;
        let mut sum = conv.bias.as_ref().map_or(0.0, |b| f64::from(b[row]));
        for tap in 0..taps {
            let [i, j] = g.tap(tap);
            let (Some(i), Some(j)) = (g.read(0, y, i, from[0]), g.read(1, x, j, from[1])) else {
                continue;
            };
            for channel in 0..group {
                let at = ((image * channels + first + channel) * from[0] + i) * from[1] + j;
                let weight = conv.weights[(row * taps + tap) * group + channel];
                sum += f64::from(weight) * f64::from(input.values[at]);
            }
        }
        sum as f32
    };
    (0..shape.iter().product()).map(of).collect()
}

/// The index of the first maximum.
fn first_maximum(row: &[f32]) -> f32 {
    let larger = |best: usize, i: usize| if row[i] > row[best] { i } else { best };
    (0..row.len()).fold(0, larger) as f32
}

fn transpose(input: &View<'_>, axes: &[usize]) -> Vec<f32> {
    let shape: Vec<usize> = axes.iter().map(|axis| input.shape[*axis]).collect();
    let along = |axis: &usize| Along::whole(input.shape[*axis], *axis);
    let axes = axes.iter().map(along).collect();
    let piece = Piece {
        input: 0,
        scale: 1,
        axes,
    };
    affine(&[(1.0, piece)], 0.0, &[*input], &shape)
}

fn affine(
    pieces: &[(f64, Piece)],
    constant: f64,
    inputs: &[View<'_>],
    shape: &[usize],
) -> Vec<f32> {
    let mut out = vec![constant; shape.iter().product()];
    for (scale, piece) in pieces {
        let input = &inputs[piece.input];
        for (to, from) in piece.reads(shape, input.shape) {
            out[to] += scale * f64::from(input.values[from]);
        }
    }
    out.into_iter().map(|v| v as f32).collect()
}
