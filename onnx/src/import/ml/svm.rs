//! Support vector machines: kernels of the features with every support vector, and sums of them.

use super::super::attributes::{floats, int, ints};
use super::writer::Writer;
use super::{distances, labels, text};

/// Most factors of a power that is written as products.
const MOST_FACTORS: f32 = 5.0;

/// `SVMClassifier`: each pair of classes votes for one, and the first with the most votes is the label; the scores are what the pairs
/// were decided by, or with `prob_a` probabilities (of two classes), or without support vectors one linear score for each class.
pub(super) fn classifier(w: &mut Writer<'_>) -> Result<(), String> {
    let labels = labels::labels(w, "classlabels_ints")?;
    let of_class = ints(w.node, "vectors_per_class");
    let classes = labels.len();
    let rho = floats(w.node, "rho").to_vec();
    if of_class.is_empty() {
        return linear(w, &labels, rho.first().copied().unwrap_or(0.0));
    }
    let pairs: Vec<(usize, usize)> = (0..classes)
        .flat_map(|i| (i + 1..classes).map(move |j| (i, j)))
        .collect();
    let vectors = vector_count(of_class)?;
    let coefficients = floats(w.node, "coefficients");
    if of_class.len() != classes
        || classes < 2
        || rho.len() < pairs.len()
        || coefficients.len() != vectors * (classes - 1)
    {
        return Err("its classes, support vectors and coefficients do not fit".into());
    }
    let mut starts = vec![0];
    for count in of_class {
        starts.push(starts[starts.len() - 1] + *count as usize);
    }
    let mut weights = vec![0.0; pairs.len() * vectors];
    for (row, (i, j)) in weights.chunks_mut(vectors).zip(&pairs) {
        for v in starts[*i]..starts[i + 1] {
            row[v] = coefficients[(j - 1) * vectors + v];
        }
        for v in starts[*j]..starts[j + 1] {
            row[v] = coefficients[i * vectors + v];
        }
    }
    let decisions = sums_of_kernels(w, &weights, vectors, &rho[..pairs.len()])?;
    scores(w, &decisions, classes)?;
    vote(w, &decisions, &pairs, &labels);
    Ok(())
}

/// The second output.
fn scores(w: &mut Writer<'_>, decisions: &str, classes: usize) -> Result<(), String> {
    let (a, b) = (floats(w.node, "prob_a"), floats(w.node, "prob_b"));
    if w.node.output.get(1).is_none_or(String::is_empty) {
        return Ok(());
    }
    if classes == 2 && a.is_empty() {
        // They are given in the order of the labels, and are positive for the second where the decision is.
        let minus = w.with_row("Mul", decisions, &[-1.0]);
        let both = w.beside(&[&minus, decisions]);
        let logistic = text(w.node, "post_transform").as_deref() == Some("LOGISTIC");
        let both = if logistic {
            w.op("Sigmoid", &[&both], &[])
        } else {
            both
        };
        w.finish_float(1, &both);
        return Ok(());
    }
    let scores = match (a, b) {
        ([], _) => decisions.to_owned(),
        ([a], [b]) if classes == 2 => {
            let first = w.with_row("Mul", decisions, &[-a]);
            let first = w.with_row("Add", &first, &[-b]);
            let first = w.op("Sigmoid", &[&first], &[]);
            let second = w.with_row("Mul", &first, &[-1.0]);
            let second = w.with_row("Add", &second, &[1.0]);
            w.beside(&[&first, &second])
        }
        _ => {
            return Err(format!(
                "the runtime finds probabilities of {classes} classes by an iteration that is not built: export without them \
                 (scikit-learn: probability=False), or calibrate with CalibratedClassifierCV"
            ));
        }
    };
    let scores = labels::transformed(w, &scores)?;
    w.finish_float(1, &scores);
    Ok(())
}

/// The label of the first class with the most pairs that chose it.
fn vote(w: &mut Writer<'_>, decisions: &str, pairs: &[(usize, usize)], labels: &[i64]) {
    if let [_] = pairs {
        let turned: Vec<i64> = labels.iter().rev().copied().collect();
        return labels::of_sign(w, decisions, &turned);
    }
    let bits = w.positive(decisions);
    let (mut votes, mut least) = (
        vec![0.0; labels.len() * pairs.len()],
        vec![0.0; labels.len()],
    );
    for (column, (i, j)) in pairs.iter().enumerate() {
        votes[i * pairs.len() + column] = 1.0;
        votes[j * pairs.len() + column] = -1.0;
        least[*j] += 1.0;
    }
    let counts = w.layer(&bits, &votes, pairs.len(), &least);
    labels::of_largest(w, &counts, labels);
}

/// Without support vectors: one linear score for each class.
fn linear(w: &mut Writer<'_>, labels: &[i64], rho: f32) -> Result<(), String> {
    let coefficients = floats(w.node, "coefficients").to_vec();
    let cols = coefficients.len() / labels.len();
    if cols * labels.len() != coefficients.len() || cols == 0 || labels.len() < 2 {
        return Err("its classes and coefficients do not fit".into());
    }
    let scores = kernel_of(w, &coefficients, cols, None)?;
    let scores = w.with_row("Add", &scores, &[rho]);
    labels::of_largest(w, &scores, labels);
    let scores = labels::transformed(w, &scores)?;
    w.finish_float(1, &scores);
    Ok(())
}

/// `SVMRegressor`: a sum of kernels, or for one class whether it is positive: 1 or -1.
pub(super) fn regressor(w: &mut Writer<'_>) -> Result<(), String> {
    let (coefficients, rho) = (
        floats(w.node, "coefficients").to_vec(),
        floats(w.node, "rho").to_vec(),
    );
    let bias = [rho.first().copied().unwrap_or(0.0)];
    let vectors = usize::try_from(int(w.node, "n_supports", 0)).unwrap_or(0);
    let mut y = if vectors == 0 {
        let y = kernel_of(w, &coefficients, coefficients.len(), None)?;
        w.with_row("Add", &y, &bias)
    } else {
        if coefficients.len() != vectors {
            return Err("its coefficients and support vectors do not fit".into());
        }
        sums_of_kernels(w, &coefficients, vectors, &bias)?
    };
    if int(w.node, "one_class", 0) != 0 {
        let bit = w.positive(&y);
        let sign = w.with_row("Mul", &bit, &[2.0]);
        y = w.with_row("Add", &sign, &[-1.0]);
    }
    w.finish_float(0, &y);
    Ok(())
}

fn vector_count(of_class: &[i64]) -> Result<usize, String> {
    let counts: Option<Vec<usize>> = of_class.iter().map(|c| usize::try_from(*c).ok()).collect();
    let sum = counts.and_then(|counts| counts.into_iter().try_fold(0usize, usize::checked_add));
    sum.filter(|sum| *sum > 0)
        .ok_or_else(|| "it has no support vectors".into())
}

/// Sums of the kernels of the features with every support vector; of a linear kernel one matrix.
fn sums_of_kernels(
    w: &mut Writer<'_>,
    weights: &[f32],
    vectors: usize,
    bias: &[f32],
) -> Result<String, String> {
    let support = floats(w.node, "support_vectors").to_vec();
    let cols = support.len() / vectors;
    if cols == 0 || cols * vectors != support.len() {
        return Err("its support vectors differ in length".into());
    }
    let kind = text(w.node, "kernel_type");
    if matches!(kind.as_deref(), None | Some("LINEAR")) {
        let entry = |p: usize| {
            let row = weights[p / cols * vectors..][..vectors].iter();
            let column = support.iter().skip(p % cols).step_by(cols);
            row.zip(column)
                .map(|(a, v)| f64::from(*a) * f64::from(*v))
                .sum::<f64>() as f32
        };
        let matrix: Vec<f32> = (0..bias.len() * cols).map(entry).collect();
        let x = w.float(0);
        return Ok(w.layer(&x, &matrix, cols, bias));
    }
    let distances = (kind.as_deref() == Some("RBF")).then_some(());
    let kernels = kernel_of(w, &support, cols, distances)?;
    Ok(w.layer(&kernels, weights, vectors, bias))
}

/// Kernels with the rows of a matrix; distances only where there are support vectors.
fn kernel_of(
    w: &mut Writer<'_>,
    rows: &[f32],
    cols: usize,
    distances: Option<()>,
) -> Result<String, String> {
    let parameters = floats(w.node, "kernel_params");
    let [gamma, offset, degree] = [0, 1, 2].map(|i| parameters.get(i).copied().unwrap_or(0.0));
    let x = w.float(0);
    if distances.is_some() {
        return Ok(gaussian(w, &x, rows, cols, gamma));
    }
    let kind = text(w.node, "kernel_type");
    let scaled = |factor: f32| rows.iter().map(|v| v * factor).collect::<Vec<f32>>();
    let offsets = vec![offset; rows.len() / cols];
    Ok(match kind.as_deref() {
        None | Some("LINEAR") => w.layer(&x, rows, cols, &[]),
        Some("POLY") => {
            let base = w.layer(&x, &scaled(gamma), cols, &offsets);
            power(w, &base, degree)
        }
        Some("SIGMOID") => {
            let base = w.layer(&x, &scaled(gamma), cols, &offsets);
            w.op("Tanh", &[&base], &[])
        }
        Some(other) => return Err(format!("kernel {other} is not built")),
    })
}

/// Powers of few factors are products, which keep more digits than a table of powers does: coefficients of kernels cancel.
fn power(w: &mut Writer<'_>, base: &str, degree: f32) -> String {
    if degree.fract() != 0.0 || !(1.0..=MOST_FACTORS).contains(&degree) {
        let degree = w.constant(&[1], &[degree]);
        return w.op("Pow", &[base, &degree], &[]);
    }
    (1..degree as usize).fold(base.to_owned(), |power, _| {
        w.op("Mul", &[&power, base], &[])
    })
}

/// `exp(-gamma |x - v|^2)`.
fn gaussian(w: &mut Writer<'_>, x: &str, vectors: &[f32], cols: usize, gamma: f32) -> String {
    let exponents = distances::squared(w, x, vectors, cols, -gamma);
    w.op("Exp", &[&exponents], &[])
}
