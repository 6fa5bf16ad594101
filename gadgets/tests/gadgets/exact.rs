//! The circuit accepts the integer run, and no other output.

use pasta_curves::Fp;
use proptest::prelude::*;
use zkernel_gadgets::model::{Function, Honest, Interval, Visibility};

use super::sketch::{Circuit, Sketch, range, table};

/// Integers in `-span..=span`.
fn integers(len: usize, span: i64) -> impl Strategy<Value = Vec<i64>> {
    prop::collection::vec(-span..=span, len)
}

fn visibility() -> impl Strategy<Value = Visibility> {
    prop_oneof![Just(Visibility::Private), Just(Visibility::Public)]
}

/// The honest run is accepted; claiming another value anywhere is not.
fn exact(circuit: &Circuit, x: &[i64]) -> Result<(), TestCaseError> {
    let Ok(trace) = circuit.network.run(x, &mut Honest) else {
        return Err(TestCaseError::reject("left the tables"));
    };
    let failures = circuit.check(&trace);
    prop_assert!(failures.is_empty(), "honest: {:?}", failures);
    let claims = circuit.instances(&trace);
    for (i, values) in claims.iter().enumerate() {
        for (j, delta) in (0..values.len()).flat_map(|j| [(j, Fp::one()), (j, -Fp::one())]) {
            let mut other = claims.clone();
            other[i][j] += delta;
            let failures = circuit.check_claims(&trace, &other);
            prop_assert!(!failures.is_empty(), "claim {i}, value {j}");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Dense: long rows, several columns, several rows of input; accumulators that are public and that are not.
    #[test]
    fn dense(
        (p, m, k) in (1usize..4, 1usize..20, 1usize..40), log_n in 4u32..7, input in visibility(), output in visibility(),
        x in integers(120, 8), w in integers(800, 50), b in integers(20, 500),
    ) {
        let (mut sketch, id) = Sketch::new(&[p, k], Interval::new(-8, 8), input);
        let y = sketch.dense("fc", id, w[..m * k].to_vec(), &b[..m]);
        exact(&sketch.circuit(y, output, log_n), &x[..p * k])?;
    }

    /// Requantization to a range and to every function, of accumulators and of cells.
    #[test]
    fn requantize(
        f in 0usize..Function::ALL.len(), (m, k) in (1usize..9, 1usize..9), shift in 0u32..17, log_n in 4u32..7, output in visibility(),
        x in integers(8, 8), w in integers(64, 50), b in integers(8, 500),
    ) {
        let (mut sketch, id) = Sketch::new(&[1, k], Interval::new(-8, 8), Visibility::Private);
        let acc = sketch.dense("fc", id, w[..m * k].to_vec(), &b[..m]);
        let half = (3700 >> shift) + 1;
        let q = sketch.requantize("range", acc, shift, range(-half, half));
        let y = sketch.requantize("f", q, 0, table(Function::ALL[f], -half, half, 1.0 / half as f64, 1.0 / 64.0));
        exact(&sketch.circuit(y, output, log_n), &x[..k])?;
    }

    /// Argmax of accumulators, of requantized cells and of an input.
    #[test]
    fn argmax(
        of in 0usize..3, (p, classes) in (1usize..4, 1usize..9), log_n in 4u32..7, input in visibility(),
        x in integers(24, 8), w in integers(64, 50), b in integers(8, 500), output in visibility(),
    ) {
        let (mut sketch, id) = Sketch::new(&[p, classes], Interval::new(-8, 8), input);
        let mut values = id;
        if of > 0 {
            values = sketch.dense("fc", id, w[..classes * classes].to_vec(), &b[..classes]);
        }
        if of > 1 {
            values = sketch.requantize("range", values, 5, range(-128, 128));
        }
        let index = sketch.argmax("argmax", values);
        exact(&sketch.circuit(index, output, log_n), &x[..p * classes])?;
    }

    /// Reshape, of accumulators and of cells: the same values.
    #[test]
    fn reshape(
        (p, m, k) in (1usize..4, 1usize..7, 1usize..7), log_n in 4u32..7, cells in any::<bool>(),
        x in integers(18, 8), w in integers(36, 50), b in integers(6, 500),
    ) {
        let (mut sketch, id) = Sketch::new(&[p * k], Interval::new(-8, 8), Visibility::Public);
        let rows = sketch.reshape("rows", id, &[p, k]);
        let mut values = sketch.dense("fc", rows, w[..m * k].to_vec(), &b[..m]);
        if cells {
            values = sketch.requantize("relu", values, 3, table(Function::Relu, -512, 511, 1.0, 1.0));
        }
        let flat = sketch.reshape("flat", values, &[p * m]);
        exact(&sketch.circuit(flat, Visibility::Public, log_n), &x[..p * k])?;
    }
}
