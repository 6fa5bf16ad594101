//! Convolutions, poolings and additions: the integers against windows cut out of a padded copy of the input, exactly and
//! within the bound of the real function, and where maxima leave their tables.

use proptest::prelude::*;
use zkernel_gadgets::model::{
    Geometry, Honest, Interval, Owner, RunError, Site, TensorId, Visibility,
};
use zkernel_gadgets::table::round_half_up;

use super::sketch::{Circuit, Forge, Network, Sketch, range};

const PUBLIC: Visibility = Visibility::Public;
/// What 64-bit floats lose on the way.
const SLACK: f64 = 1e-9;
/// Real value of one step of the inputs here.
const STEP: f64 = 1.0 / 16.0;
const INPUT: Interval = Interval::new(-64, 64);

prop_compose! {
    fn geometries()(
        kernel in [1usize..4, 1usize..4], stride in [1usize..4, 1usize..4], dilation in [1usize..3, 1usize..3],
        before in [0usize..3, 0usize..3], after in [0usize..3, 0usize..3],
    ) -> Geometry {
        Geometry { kernel, stride, dilation, before, after }
    }
}

fn reals(len: usize) -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(-3.9f64..3.9, len)
}

fn quantized(values: &[f64], step: f64) -> Vec<i64> {
    values.iter().map(|v| round_half_up(v / step)).collect()
}

/// For every plane and output, the values of all taps; padding is `fill`.
fn unfold<T: Copy>(x: &[T], [h, w]: [usize; 2], g: &Geometry, fill: T) -> Vec<Vec<T>> {
    let sizes = [h + g.before[0] + g.after[0], w + g.before[1] + g.after[1]];
    let mut windows = Vec::new();
    for plane in x.chunks(h * w) {
        let mut padded = vec![vec![fill; sizes[1]]; sizes[0]];
        for (i, row) in plane.chunks(w).enumerate() {
            padded[g.before[0] + i][g.before[1]..][..w].copy_from_slice(row);
        }
        let reach = [0, 1].map(|axis| g.dilation[axis] * (g.kernel[axis] - 1));
        for top in (0..sizes[0] - reach[0]).step_by(g.stride[0]) {
            for left in (0..sizes[1] - reach[1]).step_by(g.stride[1]) {
                let rows = padded[top..=top + reach[0]].iter().step_by(g.dilation[0]);
                let cells = rows
                    .flat_map(|row| row[left..].iter().step_by(g.dilation[1]).take(g.kernel[1]));
                windows.push(cells.copied().collect());
            }
        }
    }
    windows
}

/// The values at which a convolution's row of weights looks, for every output of every channel.
fn operands<T: Copy>(
    windows: &[Vec<T>],
    channels: usize,
    groups: usize,
    rows: usize,
) -> Vec<Vec<T>> {
    let (outputs, of_group) = (windows.len() / channels, channels / groups);
    let mut all = Vec::new();
    for row in 0..rows {
        let first = row / (rows / groups) * of_group;
        for output in 0..outputs {
            let taps = windows[0].len();
            let value = |tap: usize, c: usize| windows[(first + c) * outputs + output][tap];
            let cells = (0..taps).flat_map(|tap| (0..of_group).map(move |c| (tap, c)));
            all.push(cells.map(|(tap, c)| value(tap, c)).collect());
        }
    }
    all
}

fn run(sketch: Sketch, y: TensorId, x: &[i64]) -> Vec<i64> {
    let network = sketch.network(y, PUBLIC);
    let trace = network.run(x, &mut Honest).unwrap();
    network.output(&trace).to_vec()
}

fn largest<T: Copy + PartialOrd>(values: &[T], floor: T) -> T {
    values
        .iter()
        .copied()
        .fold(floor, |m, v| if v > m { v } else { m })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Convolution, as dense: off by at most `s_x/2 sum|w| + s_w/2 sum|s_x X| + s_x s_w / 2` over the window.
    #[test]
    fn convolutions_are_windows_times_weights(
        g in geometries(), size in [1usize..7, 1usize..7], (groups, of_group, rows) in (1usize..4, 1usize..3, 1usize..3),
        w_bits in 2i32..12, x in reals(6 * 36), w in reals(6 * 2 * 9), b in reals(6),
    ) {
        prop_assume!(g.outputs(size).is_some());
        let (channels, m, s_w) = (groups * of_group, groups * rows, 0.3 * 0.5f64.powi(w_bits));
        let (cols, len) = (g.taps() * of_group, channels * size[0] * size[1]);
        let (x, w, b) = (&x[..len], &w[..m * cols], &b[..m]);
        let (xs, ws, bs) = (quantized(x, STEP), quantized(w, s_w), quantized(b, STEP * s_w));
        let (mut sketch, id) = Sketch::new(&[1, channels, size[0], size[1]], INPUT, PUBLIC);
        let y = sketch.conv("conv", id, (g, groups), ws.clone(), &bs);
        let integers = run(sketch, y, &xs);
        let read = operands(&unfold(&xs, size, &g, 0), channels, groups, m);
        let read_reals = operands(&unfold(x, size, &g, 0.0), channels, groups, m);
        prop_assert_eq!(integers.len(), read.len());
        for (i, y) in integers.iter().enumerate() {
            let row = i / (read.len() / m);
            let weights = &ws[row * cols..][..cols];
            let exact: i64 = weights.iter().zip(&read[i]).map(|(w, x)| w * x).sum();
            prop_assert_eq!(*y, exact + bs[row]);
            let real_weights = &w[row * cols..][..cols];
            let float: f64 = real_weights.iter().zip(&read_reals[i]).map(|(w, x)| w * x).sum();
            let inputs: f64 = read[i].iter().map(|x| (STEP * *x as f64).abs()).sum();
            let sum: f64 = real_weights.iter().map(|w| w.abs()).sum();
            let bound = STEP / 2.0 * sum + s_w / 2.0 * inputs + STEP * s_w / 2.0;
            let error = (float + b[row] - STEP * s_w * *y as f64).abs();
            prop_assert!(error <= bound + SLACK, "{error} against {bound}");
        }
    }

    /// Sums: half a step of the input for each tap. Maxima: half a step.
    #[test]
    fn pools_are_sums_and_maxima_of_windows(
        g in geometries(), size in [1usize..7, 1usize..7], planes in 1usize..4, x in reals(3 * 36),
    ) {
        prop_assume!(g.outputs(size).is_some());
        let x = &x[..planes * size[0] * size[1]];
        let (xs, shape) = (quantized(x, STEP), [1, planes, size[0], size[1]]);
        let (mut sketch, id) = Sketch::new(&shape, INPUT, PUBLIC);
        let y = sketch.sum_pool("sum", id, g);
        let read = unfold(&xs, size, &g, 0).into_iter().zip(unfold(x, size, &g, 0.0));
        for (y, (exact, float)) in run(sketch, y, &xs).iter().zip(read) {
            prop_assert_eq!(*y, exact.iter().sum::<i64>());
            let error = (float.iter().sum::<f64>() - STEP * *y as f64).abs();
            prop_assert!(error <= STEP / 2.0 * g.taps() as f64 + SLACK);
        }
        prop_assume!((0..2).all(|a| g.before[a] < g.kernel[a] && g.after[a] < g.kernel[a]));
        let (mut sketch, id) = Sketch::new(&shape, INPUT, PUBLIC);
        let y = sketch.max_pool("max", id, g);
        let read = unfold(&xs, size, &g, i64::MIN).into_iter().zip(unfold(x, size, &g, f64::MIN));
        for (y, (exact, float)) in run(sketch, y, &xs).iter().zip(read) {
            // A window of padding alone keeps the smallest value.
            let exact = largest(&exact, INPUT.min);
            prop_assert_eq!(*y, exact);
            if exact > INPUT.min {
                let error = (largest(&float, f64::MIN) - STEP * *y as f64).abs();
                prop_assert!(error <= STEP / 2.0 + SLACK);
            }
        }
    }

    /// Requantization, ReLU and maximum in one: half a step of the key and half a step of the input.
    #[test]
    fn fused_maxima_are_maxima_of_rounded_values(
        kernel in [1usize..4, 1usize..4], gap in [0usize..3, 0usize..3], size in [1usize..7, 1usize..7],
        shift in 0u32..5, x in reals(36),
    ) {
        let g = Geometry::window(kernel, [kernel[0] + gap[0], kernel[1] + gap[1]]);
        prop_assume!(g.outputs(size).is_some());
        let x = &x[..size[0] * size[1]];
        let (xs, keys) = (quantized(x, STEP), Interval::new(-128, 128));
        let (mut sketch, id) = Sketch::new(&[1, 1, size[0], size[1]], INPUT, PUBLIC);
        let y = sketch.requantize_max("fused", id, (shift, keys), g);
        let step = STEP * f64::from(shift).exp2();
        let read = unfold(&xs, size, &g, 0).into_iter().zip(unfold(x, size, &g, 0.0));
        for (y, (exact, float)) in run(sketch, y, &xs).iter().zip(read) {
            let rounded: Vec<i64> = exact.iter().map(|x| half_up(*x, shift)).collect();
            prop_assert_eq!(*y, largest(&rounded, 0));
            let error = (largest(&float, 0.0) - step * *y as f64).abs();
            prop_assert!(error <= step / 2.0 + STEP / 2.0 + SLACK);
        }
    }

    /// Addition: half a step for each input, times its factor. Transposition: exact.
    #[test]
    fn additions_and_transpositions(
        shape in [1usize..4, 1usize..4, 1usize..4], scales in [-9i64..10, -9i64..10], x in reals(27),
        axes in Just(vec![0usize, 1, 2]).prop_shuffle(),
    ) {
        let x = &x[..shape.iter().product()];
        let xs = quantized(x, STEP);
        let (mut sketch, id) = Sketch::new(&shape, INPUT, PUBLIC);
        let doubled = sketch.add("double", [id, id], [1, 1]);
        let sum = sketch.add("sum", [doubled, id], scales);
        let y = sketch.transpose("turn", sum, &axes);
        let integers = run(sketch, y, &xs);
        let turned: Vec<usize> = axes.iter().map(|axis| shape[*axis]).collect();
        for (index, y) in integers.iter().enumerate() {
            let place = [index / (turned[1] * turned[2]), index / turned[2] % turned[1], index % turned[2]];
            let mut from = [0; 3];
            axes.iter().zip(place).for_each(|(axis, at)| from[*axis] = at);
            let source = (from[0] * shape[1] + from[1]) * shape[2] + from[2];
            prop_assert_eq!(*y, (2 * scales[0] + scales[1]) * xs[source]);
            let factor = (2 * scales[0].abs() + scales[1].abs()) as f64;
            let float = (2 * scales[0] + scales[1]) as f64 * x[source];
            prop_assert!((float - STEP * *y as f64).abs() <= STEP / 2.0 * factor + SLACK);
        }
    }
}

fn half_up(x: i64, shift: u32) -> i64 {
    (x + ((1 << shift) >> 1)) >> shift
}

/// All triples over a range in one window, ties and signs of zero included: the maximum, and no other.
#[test]
fn every_small_window_has_one_maximum() {
    let (min, max) = (-2, 2);
    let (mut sketch, id) = Sketch::new(&[1, 1, 1, 3], Interval::new(min, max), PUBLIC);
    let y = sketch.max_pool("pool", id, Geometry::window([1, 3], [1, 1]));
    let circuit = sketch.circuit(y, PUBLIC, 5);
    for code in 0..5i64.pow(3) {
        let x = [0u32, 1, 2].map(|i| code / 5i64.pow(i) % 5 + min);
        let honest = circuit.network.run(&x, &mut Honest).unwrap();
        assert_eq!(circuit.network.output(&honest), [largest(&x, min)]);
        assert!(circuit.check(&honest).is_empty(), "{x:?}");
        for (key, cells) in &honest.cells {
            let owner = key.0;
            let sites = (0..cells.len()).flat_map(|index| [(index, 1), (index, -1)]);
            for (index, delta) in sites.filter(|_| !matches!(owner, Owner::Input(_))) {
                let site = Site {
                    owner,
                    role: key.1,
                    index,
                };
                let cheat = circuit
                    .network
                    .run(&x, &mut Forge(vec![(site, delta)]))
                    .unwrap();
                assert!(!circuit.check(&cheat).is_empty(), "{x:?}: {site:?} {delta}");
            }
        }
    }
}

/// The fused maximum at the ends of its table, all pairs: inside it is proven; outside, the node, the key and the table are
/// named, and nobody who goes on can prove it.
#[test]
fn fused_maxima_end_where_their_table_does() {
    let (keys, shift) = (Interval::new(-3, 4), 1);
    let (mut sketch, id) = Sketch::new(&[1, 1, 1, 2], Interval::new(-20, 20), PUBLIC);
    let y = sketch.requantize_max("fused", id, (shift, keys), Geometry::window([1, 2], [1, 2]));
    let circuit = sketch.circuit(y, PUBLIC, 6);
    let ends = ((keys.min - 3) << shift)..((keys.max + 4) << shift);
    for x in ends.clone().flat_map(|a| ends.clone().map(move |b| [a, b])) {
        let first = half_up(x[0], shift);
        let second = half_up(x[1], shift) - first.max(0);
        let outside = [first, second].into_iter().find(|key| !keys.contains(*key));
        let goes_on = circuit.network.run(&x, &mut Forge(Vec::new())).unwrap();
        assert_eq!(
            circuit.check(&goes_on).is_empty(),
            outside.is_none(),
            "{x:?}"
        );
        assert_named(&circuit, &x, outside, keys);
    }
}

fn assert_named(circuit: &Circuit, x: &[i64], outside: Option<i64>, keys: Interval) {
    let Network { graph, .. } = &circuit.network;
    match (circuit.network.run(x, &mut Honest), outside) {
        (Ok(trace), None) => {
            let rounded: Vec<i64> = x.iter().map(|x| half_up(*x, 1)).collect();
            assert_eq!(circuit.network.output(&trace), [largest(&rounded, 0)]);
        }
        (
            Err(RunError::OutOfRange {
                node,
                value,
                min,
                max,
                ..
            }),
            Some(key),
        ) => {
            assert_eq!((node, value), (graph.nodes[0].name.clone(), key));
            assert_eq!((min, max), (keys.min, keys.max));
        }
        (result, _) => panic!("{x:?}: {:?} against {outside:?}", result.map(|_| ())),
    }
}

/// A view that wiring cannot give has cells: another value in one of them is no proof.
#[test]
fn a_flattened_pool_is_what_was_pooled() {
    let (mut sketch, id) = Sketch::new(&[1, 1, 2, 2], Interval::new(-8, 7), PUBLIC);
    let window = Geometry {
        before: [1, 1],
        ..Geometry::window([2, 2], [1, 1])
    };
    let pooled = sketch.max_pool("pool", id, window);
    let flat = sketch.reshape("flat", pooled, &[4]);
    let y = sketch.requantize("end", flat, 0, range(-8, 7));
    let circuit = sketch.circuit(y, PUBLIC, 5);
    let trace = circuit.network.run(&[-3, 5, -1, 2], &mut Honest).unwrap();
    assert_eq!(circuit.network.output(&trace), [-3, 5, -1, 5]);
    assert!(circuit.check(&trace).is_empty());
}
