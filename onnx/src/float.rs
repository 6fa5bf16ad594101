//! The float semantics of our own operators: values of tensors that stand between the parts of one ONNX operator, which the
//! reference run does not show.

use zkernel_gadgets::model::{Along, Geometry, Piece};

use crate::model::{Conv, FloatOp};

/// A tensor's values and shape.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) shape: &'a [usize],
    pub(crate) values: &'a [f32],
}

impl FloatOp {
    /// The values for an output of that shape; none for inputs that do not fit.
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
            Self::TopK { k, largest, values } => {
                let n = inputs[0].shape.last().copied().unwrap_or(1).max(1);
                let rows = x.chunks(n);
                rows.flat_map(|row| chosen(row, (*k, *largest, *values)))
                    .collect()
            }
            Self::Transpose(axes) => transpose(&inputs[0], axes),
            Self::MaxPool(geometry) => {
                let largest = |row: &[Option<f32>]| row.iter().flatten().copied().reduce(f32::max);
                pooled(&inputs[0], geometry, &|taps| largest(taps).unwrap_or(0.0))
            }
            Self::AveragePool(geometry) => {
                let sum = |taps: &[Option<f32>]| taps.iter().flatten().sum::<f32>();
                pooled(&inputs[0], geometry, &|taps| sum(taps) / taps.len() as f32)
            }
            Self::Conv(conv) => convolved(&inputs[0], conv),
            Self::MatMul => match inputs {
                [a, b] => matmul(a, b),
                _ => Vec::new(),
            },
            Self::Softmax => {
                let n = inputs[0].shape.last().copied().unwrap_or(1).max(1);
                x.chunks(n).flat_map(softmax).collect()
            }
            Self::Gather { cols, weights, .. } => {
                let row = |v: &f32| {
                    weights
                        .chunks((*cols).max(1))
                        .nth(*v as usize)
                        .unwrap_or(&[])
                };
                x.iter().flat_map(row).copied().collect()
            }
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

/// The index of the first maximum.
fn first_maximum(row: &[f32]) -> f32 {
    let larger = |best: usize, i: usize| if row[i] > row[best] { i } else { best };
    (0..row.len()).fold(0, larger) as f32
}

/// The k largest or smallest values of a row, or their positions, equal ones by position.
fn chosen(row: &[f32], (k, largest, values): (usize, bool, bool)) -> Vec<f32> {
    let mut order: Vec<usize> = (0..row.len()).collect();
    order.sort_by(|a, b| match largest {
        true => row[*b].total_cmp(&row[*a]),
        false => row[*a].total_cmp(&row[*b]),
    });
    let chosen = order.into_iter().take(k);
    chosen
        .map(|i| if values { row[i] } else { i as f32 })
        .collect()
}

fn softmax(row: &[f32]) -> Vec<f32> {
    let most = row.iter().fold(f32::NEG_INFINITY, |m, v| m.max(*v));
    let exponentials: Vec<f64> = row.iter().map(|v| f64::from(v - most).exp()).collect();
    let sum: f64 = exponentials.iter().sum();
    exponentials.into_iter().map(|e| (e / sum) as f32).collect()
}

fn matmul(a: &View<'_>, b: &View<'_>) -> Vec<f32> {
    let (&[.., rows, inner], &[.., _, columns]) = (a.shape, b.shape) else {
        return Vec::new();
    };
    let pairs = a
        .values
        .chunks((rows * inner).max(1))
        .zip(b.values.chunks((inner * columns).max(1)));
    let product = |(a, b): (&[f32], &[f32])| -> Vec<f32> {
        let at = |p: usize| -> f32 {
            let (row, column) = (&a[p / columns * inner..][..inner], &b[p % columns..]);
            let terms = row.iter().zip(column.iter().step_by(columns));
            terms.map(|(a, b)| f64::from(a * b)).sum::<f64>() as f32
        };
        (0..rows * columns).map(at).collect()
    };
    pairs.flat_map(product).collect()
}

/// The taps of every window of every channel of a tensor `(n, c, h, w)` or `(n, c, w)`, `None` in the padding.
fn windows(
    input: &View<'_>,
    geometry: &Geometry,
    mut each: impl FnMut(usize, &[Option<f32>]),
) -> Option<()> {
    let [height, width] = match input.shape {
        [_, _, width] => [1, *width],
        [_, _, height, width] => [*height, *width],
        _ => return None,
    };
    let [rows, columns] = geometry.outputs([height, width])?;
    for (plane, values) in input.values.chunks((height * width).max(1)).enumerate() {
        for at in 0..rows * columns {
            let tap = |tap: usize| {
                let [i, j] = geometry.tap(tap);
                let row = geometry.read(0, at / columns, i, height)?;
                let column = geometry.read(1, at % columns, j, width)?;
                values.get(row * width + column).copied()
            };
            let taps: Vec<Option<f32>> = (0..geometry.taps()).map(tap).collect();
            each(plane, &taps);
        }
    }
    Some(())
}

fn pooled(
    input: &View<'_>,
    geometry: &Geometry,
    value: &dyn Fn(&[Option<f32>]) -> f32,
) -> Vec<f32> {
    let mut out = Vec::new();
    windows(input, geometry, |_, taps| out.push(value(taps)));
    out
}

fn convolved(input: &View<'_>, conv: &Conv) -> Vec<f32> {
    let (channels, mut planes) = (input.shape[1].max(1), Vec::new());
    windows(input, &conv.geometry, |plane, taps| {
        planes.resize_with(plane + 1, Vec::new);
        planes[plane].push(taps.to_vec());
    });
    let (taps, of_group) = (conv.geometry.taps(), channels / conv.groups.max(1));
    let mut out = Vec::new();
    for image in planes.chunks(channels) {
        for row in 0..conv.rows {
            let first = row / (conv.rows / conv.groups.max(1)).max(1) * of_group;
            let bias = conv.bias.as_ref().map_or(0.0, |bias| bias[row]);
            let weights = &conv.weights[row * taps * of_group..][..taps * of_group];
            let positions = image.first().map_or(0, Vec::len);
            out.extend((0..positions).map(|at| {
                let read = |p: usize| image[first + p % of_group][at][p / of_group].unwrap_or(0.0);
                let terms = weights.iter().enumerate();
                bias + terms.map(|(p, w)| f64::from(w * read(p))).sum::<f64>() as f32
            }));
        }
    }
    out
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
