//! Where tables and ranges end, exhaustively: the last value inside is proven; the first outside is an error that names
//! node and value, and no proof for a prover who goes on regardless.

use zkernel_gadgets::model::{
    Function, Honest, Interval, Owner, Role, RunError, Site, Table, Visibility,
};

use super::sketch::{Circuit, Forge, Sketch, range, table};

/// Values beyond each end that are tried.
const BEYOND: i64 = 3;
const PUBLIC: Visibility = Visibility::Public;

/// One input cell through one requantization; `len` of them.
fn requantized(len: usize, shift: u32, table: Table) -> Circuit {
    let (mut sketch, x) = Sketch::new(&[len], Interval::new(-1 << 13, 1 << 13), PUBLIC);
    let y = sketch.requantize("edge", x, shift, table);
    sketch.circuit(y, PUBLIC, 5)
}

/// Everything from below the first key to above the last one, with every remainder.
fn sweep(keys: Interval, shift: u32) -> impl Iterator<Item = i64> {
    ((keys.min - BEYOND) << shift)..((keys.max + BEYOND + 1) << shift)
}

fn half_up(x: i64, shift: u32) -> i64 {
    (x + ((1 << shift) >> 1)) >> shift
}

/// Tables around zero, above it, below it, and of one key.
const KEYS: [Interval; 4] = [
    Interval::new(-8, 7),
    Interval::new(3, 9),
    Interval::new(-9, -4),
    Interval::new(2, 2),
];

#[test]
fn every_key_of_every_table_is_proven() {
    for function in Function::ALL {
        for keys in KEYS {
            for shift in 0..3 {
                let table = table(function, keys.min, keys.max, 0.25, 1.0 / 32.0);
                let inside = |x: &i64| keys.contains(half_up(*x, shift));
                let x: Vec<i64> = sweep(keys, shift).filter(inside).collect();
                let circuit = requantized(x.len(), shift, table.clone());
                let trace = circuit.network.run(&x, &mut Honest).unwrap();
                let failures = circuit.check(&trace);
                assert!(failures.is_empty(), "{function:?} {keys:?}: {failures:?}");
                let value = |x: &i64| table.value(half_up(*x, shift));
                let expected: Vec<i64> = x.iter().map(value).collect();
                assert_eq!(circuit.network.output(&trace), expected);
            }
        }
    }
}

#[test]
fn no_key_outside_a_table_is_proven() {
    for function in [Function::Identity, Function::Relu, Function::Sigmoid] {
        for keys in KEYS {
            for shift in 0..3 {
                let circuit = requantized(1, shift, table(function, keys.min, keys.max, 1.0, 1.0));
                let outside = |x: &i64| !keys.contains(half_up(*x, shift));
                for x in sweep(keys, shift).filter(outside) {
                    let error = circuit.network.run(&[x], &mut Honest).unwrap_err();
                    let expected = RunError::OutOfRange {
                        node: "edge".into(),
                        index: 0,
                        value: half_up(x, shift),
                        min: keys.min,
                        max: keys.max,
                    };
                    assert_eq!(error, expected);
                    let cheat = circuit.network.run(&[x], &mut Forge(Vec::new())).unwrap();
                    assert!(!circuit.check(&cheat).is_empty(), "{function:?}: {x}");
                }
            }
        }
    }
}

/// `(q + d, rem - d 2^s)` is the same accumulator: only the remainder's range tells them apart.
#[test]
fn no_other_quotient_and_remainder_is_proven() {
    for (function, shift) in [
        (Function::Identity, 1),
        (Function::Relu, 3),
        (Function::Abs, 9),
    ] {
        let keys = Interval::new(-8, 7);
        let circuit = requantized(1, shift, table(function, keys.min, keys.max, 1.0, 1.0));
        let inside = |x: &i64| keys.contains(half_up(*x, shift));
        let step = if shift > 4 { 37 } else { 1 };
        for x in sweep(keys, shift).filter(inside).step_by(step) {
            let honest = circuit.network.run(&[x], &mut Honest).unwrap();
            let site = at(Role::Quotient, 0);
            for delta in (-16..=16).filter(|d| *d != 0) {
                let mut forge = Forge(vec![(site, delta)]);
                let cheat = circuit.network.run(&[x], &mut forge).unwrap();
                assert_ne!(cheat.cells, honest.cells);
                assert!(
                    !circuit.check(&cheat).is_empty(),
                    "{function:?}: {x}, q + {delta}"
                );
            }
        }
    }
}

#[test]
fn an_input_ends_where_its_range_does() {
    for keys in KEYS {
        let (mut sketch, x) = Sketch::new(&[1], keys, Visibility::Private);
        let y = sketch.dense("fc", x, vec![1], &[0]);
        let circuit = sketch.circuit(y, PUBLIC, 4);
        for x in sweep(keys, 0) {
            let cheat = circuit.network.run(&[x], &mut Forge(Vec::new())).unwrap();
            assert_eq!(circuit.check(&cheat).is_empty(), keys.contains(x), "{x}");
            match circuit.network.run(&[x], &mut Honest) {
                Ok(_) => assert!(keys.contains(x)),
                Err(RunError::OutOfRange { node, value, .. }) => {
                    assert_eq!((node.as_str(), value), ("x", x));
                    assert!(!keys.contains(x));
                }
                Err(other) => panic!("{other}"),
            }
        }
    }
}

/// All vectors of five classes over three values: the first maximum is proven, and no other class, whatever maximum the
/// prover claims with it.
#[test]
fn argmax_ties_go_to_the_first() {
    let (mut sketch, x) = Sketch::new(&[5], Interval::new(0, 2), PUBLIC);
    let index = sketch.argmax("edge", x);
    let circuit = sketch.circuit(index, PUBLIC, 4);
    for code in 0..3usize.pow(5) {
        let x: Vec<i64> = (0..5).map(|i| (code / 3usize.pow(i)) as i64 % 3).collect();
        let honest = circuit.network.run(&x, &mut Honest).unwrap();
        let first = (0..5).rev().max_by_key(|i| x[*i]).unwrap();
        assert_eq!(circuit.network.output(&honest), [first as i64]);
        let failures = circuit.check(&honest);
        assert!(failures.is_empty(), "{x:?}: {failures:?}");
        for other in (0..5).filter(|i| *i != first) {
            for maximum in -1..=4 {
                let cheat = choose(&circuit, &x, other, maximum);
                let trace = circuit.network.run(&x, &mut Forge(cheat)).unwrap();
                assert_eq!(circuit.network.output(&trace), [other as i64]);
                assert!(
                    !circuit.check(&trace).is_empty(),
                    "{x:?}: {other}, {maximum}"
                );
            }
        }
    }
}

/// Values as far apart as the range allows fit the margin's limbs.
#[test]
fn argmax_margins_reach_across_the_range() {
    for range in [
        Interval::new(-4, 3),
        Interval::new(-4, 4),
        Interval::new(0, 511),
    ] {
        let (mut sketch, x) = Sketch::new(&[3], range, PUBLIC);
        let index = sketch.argmax("edge", x);
        let circuit = sketch.circuit(index, PUBLIC, 5);
        for (x, first) in [
            ([range.min, range.max, range.min], 1),
            ([range.max, range.min, range.max], 0),
            ([range.min, range.min, range.max], 2),
        ] {
            let trace = circuit.network.run(&x, &mut Honest).unwrap();
            assert_eq!(circuit.network.output(&trace), [first]);
            let failures = circuit.check(&trace);
            assert!(failures.is_empty(), "{x:?}: {failures:?}");
        }
    }
}

/// A table that only checks its key's range changes nothing and has no value cell.
#[test]
fn a_range_check_has_no_value() {
    let circuit = requantized(1, 0, range(-8, 7));
    let trace = circuit.network.run(&[5], &mut Honest).unwrap();
    assert_eq!(circuit.network.output(&trace), [5]);
    assert!(!trace.cells.contains_key(&(Owner::Node(0), Role::Value)));
}

fn at(role: Role, index: usize) -> Site {
    let owner = Owner::Node(0);
    Site { owner, role, index }
}

/// The cheat of a prover who claims class `other` and a maximum of his own, the margins following from those.
fn choose(circuit: &Circuit, x: &[i64], other: usize, maximum: i64) -> Vec<(Site, i64)> {
    let claimed = (at(Role::Maximum, 0), maximum - x.iter().max().unwrap());
    let run = circuit.network.run(x, &mut Forge(vec![claimed])).unwrap();
    let chosen = &run.cells[&(Owner::Node(0), Role::OneHot)];
    let moved = chosen.iter().enumerate();
    let moved = moved.map(|(i, s)| (at(Role::OneHot, i), i64::from(i == other) - s));
    std::iter::once(claimed).chain(moved).collect()
}
