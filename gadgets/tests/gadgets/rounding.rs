//! Integers against real numbers: every gadget stays within its documented bound.

use proptest::prelude::*;
use zkernel_gadgets::model::{Function, Honest, Interval, Owner, Role, Table, Visibility};
use zkernel_gadgets::table::round_half_up;

use super::sketch::{Sketch, parameters, range, table};

const PRIVATE: Visibility = Visibility::Private;
/// What 64-bit floats lose on the way.
const SLACK: f64 = 1e-9;

fn reals(len: usize, span: f64) -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(-span..span, len)
}

fn quantized(values: &[f64], scale: f64) -> Vec<i64> {
    values.iter().map(|v| round_half_up(v / scale)).collect()
}

/// Bounds on |f'| over the reals of at most that magnitude; none for functions with jumps or poles.
fn steepness(function: Function, largest: f64) -> Option<f64> {
    let [a, b] = parameters(function);
    Some(match function {
        Function::Identity | Function::Relu | Function::Relu6 | Function::Abs => 1.0,
        Function::Tanh | Function::Softplus | Function::Clip | Function::Softsign => 1.0,
        Function::LeakyRelu
        | Function::Elu
        | Function::Celu
        | Function::Sin
        | Function::Cos
        | Function::Atan => 1.0,
        Function::Sigmoid => 0.25,
        Function::HardSigmoid => a,
        Function::Silu => 1.1,
        Function::Mish => 1.1,
        Function::Gelu | Function::GeluTanh => 1.13,
        Function::HardSwish => 1.5,
        Function::Selu => b * a.max(1.0),
        Function::Erf => std::f64::consts::FRAC_2_SQRT_PI,
        Function::Exp => largest.exp(),
        Function::Sinh => largest.cosh(),
        Function::Cosh => largest.sinh(),
        Function::Asinh => 1.0,
        Function::Pow => a * largest.powf(a - 1.0),
        _ => return None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Dense: with |x - s_x X| <= e, off by at most `e sum|w| + s_w/2 sum|s_x X| + s_x s_w / 2`.
    #[test]
    fn dense_is_within_its_bound(
        (p, m, k) in (1usize..4, 1usize..5, 1usize..9), x_bits in 0i32..12, w_bits in 0i32..16,
        x in reals(32, 8.0), w in reals(40, 4.0), b in reals(5, 16.0),
    ) {
        let (s_x, s_w) = (0.5f64.powi(x_bits), 0.3 * 0.5f64.powi(w_bits));
        let (x, w, b) = (&x[..p * k], &w[..m * k], &b[..m]);
        let (xs, ws, bs) = (quantized(x, s_x), quantized(w, s_w), quantized(b, s_x * s_w));
        let (mut sketch, input) = Sketch::new(&[p, k], Interval::new(-1 << 20, 1 << 20), PRIVATE);
        let y = sketch.dense("fc", input, ws, &bs);
        let network = sketch.network(y, Visibility::Public);
        let trace = network.run(&xs, &mut Honest).unwrap();
        for (i, y) in network.output(&trace).iter().enumerate() {
            let (t, row) = (i / m, i % m);
            let of = |values: &[f64], at: usize| values[at * k..][..k].to_vec();
            let (row_w, row_x) = (of(w, row), of(x, t));
            let float = row_w.iter().zip(&row_x).map(|(w, x)| w * x).sum::<f64>() + b[row];
            let steps: f64 = xs[t * k..][..k].iter().map(|x| (s_x * *x as f64).abs()).sum();
            let weights: f64 = row_w.iter().map(|w| w.abs()).sum();
            let bound = s_x / 2.0 * weights + s_w / 2.0 * steps + s_x * s_w / 2.0;
            let error = (float - s_x * s_w * *y as f64).abs();
            prop_assert!(error <= bound + SLACK, "{error} against {bound}");
        }
    }

    /// Requantization: q is acc / 2^s, rounded half up; the limbs are the rest.
    #[test]
    fn requantization_rounds_half_up(shift in 0u32..17, x in prop::collection::vec(-1i64 << 30..1 << 30, 1..9)) {
        let (mut sketch, input) = Sketch::new(&[x.len()], Interval::new(-1 << 30, 1 << 30), PRIVATE);
        let keys = range(-1 << 19, (1 << 19) - 1);
        let y = sketch.requantize("rq", input, shift, keys.clone());
        let network = sketch.network(y, PRIVATE);
        let trace = network.run(&x, &mut Honest);
        let exact: Vec<i64> = x.iter().map(|x| (*x as f64 / f64::from(shift).exp2() + 0.5).floor() as i64).collect();
        prop_assume!(exact.iter().all(|q| keys.keys.contains(*q)));
        let trace = trace.unwrap();
        prop_assert_eq!(network.output(&trace), exact.as_slice());
        for (i, (x, q)) in x.iter().zip(&exact).enumerate() {
            prop_assert!(2 * (x - (q << shift)).abs() <= 1 << shift);
            let (mut sum, mut position) = (0, 0);
            for (limb, bits) in network.graph.limbs(shift).into_iter().enumerate() {
                let value = trace.cells[&(Owner::Node(0), Role::Remainder(limb))][i];
                prop_assert!((0..1 << bits).contains(&value));
                sum += value << position;
                position += bits;
            }
            prop_assert_eq!(position, shift);
            prop_assert_eq!(sum, x + ((1i64 << shift) >> 1) - (q << shift));
        }
    }

    /// A requantized function: half an output step, and what half a step of the key makes.
    #[test]
    fn functions_are_within_half_a_step(
        f in 0usize..Function::ALL.len(), shift in 0u32..10, in_bits in 3i32..8, out_bits in 2i32..14, x in reals(8, 3.9),
    ) {
        let function = Function::ALL[f];
        let (s_key, s_value) = (0.5f64.powi(in_bits), 0.7 * 0.5f64.powi(out_bits));
        let s_x = s_key / f64::from(shift).exp2();
        let half = 1i64 << (in_bits + 2);
        let (mut sketch, input) = Sketch::new(&[8], Interval::new(-1 << 30, 1 << 30), PRIVATE);
        let y = sketch.requantize("f", input, shift, table(function, -half, half, s_key, s_value));
        let network = sketch.network(y, PRIVATE);
        let trace = network.run(&quantized(&x, s_x), &mut Honest).unwrap();
        let keys = &trace.cells[&(Owner::Node(0), Role::Quotient)];
        for ((x, y), key) in x.iter().zip(network.output(&trace)).zip(keys) {
            let value = s_value * *y as f64;
            let real = s_key * if function == Function::Log { *key.max(&1) } else { *key } as f64;
            let at_key = (value - function.float(real, parameters(function))).abs();
            prop_assert!(at_key <= s_value / 2.0 + SLACK, "{function:?}: {at_key} at the key");
            let key_error = s_key / 2.0 + s_x / 2.0;
            let Some(steepness) = steepness(function, 4.0 + key_error) else { continue };
            let bound = s_value / 2.0 + steepness * key_error;
            let error = (value - function.float(*x, parameters(function))).abs();
            prop_assert!(error <= bound + SLACK, "{function:?} at {x}: {error} against {bound}");
        }
    }

    /// A split table: half a step, half a step for every place of a segment, and what the function bends there.
    #[test]
    fn lines_err_by_what_the_function_bends(
        f in 0usize..Function::ALL.len(), in_bits in 3i32..8, out_bits in 2i32..14, low in 1u32..6,
    ) {
        let function = Function::ALL[f];
        let (s_key, s_value) = (0.5f64.powi(in_bits), 0.7 * 0.5f64.powi(out_bits));
        let (half, width) = (1i64 << (in_bits + 2), 1i64 << low);
        let split = Table { low, ..table(function, -half, half - 1, s_key, s_value) };
        let exact = Table { low: 0, ..split.clone() };
        let real = |key: i64| match function {
            Function::Log => function.float(s_key * key.max(1) as f64, parameters(function)),
            _ => Some(function.float(s_key * key as f64, parameters(function))).filter(|y| y.is_finite()).unwrap_or(0.0),
        };
        let values = split.values();
        for start in (-half..half).step_by(width as usize) {
            let chord = |rest: i64| real(start) + (real(start + width) - real(start)) * rest as f64 / width as f64;
            let bends = (0..width).map(|rest| real(start + rest) - chord(rest));
            let (low, high) = bends.fold((0f64, 0f64), |(a, b), bend| (a.min(bend), b.max(bend)));
            let bound = s_value * (0.5 + 0.5 * width as f64) + high - low;
            for key in start..start + width {
                let error = (s_value * split.value(key) as f64 - real(key)).abs();
                prop_assert!(error <= bound + SLACK, "{function:?} at {key}: {error} against {bound}");
                prop_assert!(values.contains(split.value(key)));
                let (high, rest) = split.split(key);
                prop_assert!((0..split.row_counts()[0]).contains(&high) && (0..width).contains(&rest));
            }
        }
        prop_assert_eq!(split.rows().len() as i64, 3 * split.row_counts()[0]);
        prop_assert_eq!(exact.row_counts(), [2 * half, 0]);
    }

    /// Split at key 0, ReLU on integers is exact.
    #[test]
    fn split_relu_is_relu(low in 0u32..6, segments in 1i64..9, below in 0i64..9) {
        let keys = Interval::new(-(below << low), (segments << low) - 1);
        let relu = Table { low, ..table(Function::Relu, keys.min, keys.max, 1.0, 1.0) };
        prop_assert!(relu.is_exact_relu());
        for key in keys.min..=keys.max {
            prop_assert_eq!(relu.value(key), key.max(0));
        }
    }

    /// Argmax of rounded values: no other value is larger by more than one step. Reshape: no error at all.
    #[test]
    fn argmax_loses_one_step_at_most(rows in 1usize..4, classes in 1usize..7, x in reals(18, 2.0), bits in 0i32..9) {
        let (scale, x) = (0.5f64.powi(bits), &x[..rows * classes]);
        let xs = quantized(x, scale);
        let (mut sketch, input) = Sketch::new(&[rows * classes], Interval::new(-1 << 12, 1 << 12), PRIVATE);
        let matrix = sketch.reshape("view", input, &[rows, classes]);
        let index = sketch.argmax("argmax", matrix);
        let network = sketch.network(index, Visibility::Public);
        let trace = network.run(&xs, &mut Honest).unwrap();
        prop_assert_eq!(&trace.values[matrix.0 as usize], &xs);
        for (row, index) in x.chunks(classes).zip(network.output(&trace)) {
            let largest = row.iter().copied().fold(f64::MIN, f64::max);
            prop_assert!(row[*index as usize] >= largest - scale - SLACK);
        }
    }
}
