//! Openings: one encoding of each, and nothing else decodes.

use group::Curve as _;
use pasta_curves::{Eq, EqAffine, Fp};
use proptest::prelude::*;
use zkernel_gadgets::opening::Opening;
use zkernel_verifier::curve::{Generators, signed};
use zkernel_verifier::encoding::DecodeError;
use zkernel_verifier::msm::msm;

fn opening(log_n: u32, values: Vec<i64>, seed: u64) -> Opening<EqAffine> {
    let columns = values.len().div_ceil(1 << log_n);
    Opening {
        name: "x".into(),
        scale: 0.125,
        zero_point: -3,
        log_n,
        values,
        blinders: (0..columns as u64).map(|i| Fp::from(seed ^ i)).collect(),
    }
}

proptest! {
    #[test]
    fn openings_decode_to_themselves(
        log_n in 2u32..5,
        values in prop::collection::vec(any::<i64>(), 0..70),
        seed in any::<u64>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let opening = opening(log_n, values, seed);
        let bytes = opening.encode();
        let decoded = Opening::<EqAffine>::decode(&bytes);
        prop_assert_eq!(decoded.as_ref(), Ok(&opening));
        prop_assert!(Opening::<EqAffine>::decode(&bytes[..cut.index(bytes.len())]).is_err());
        prop_assert!(Opening::<EqAffine>::decode(&[&bytes[..], &[0]].concat()).is_err());
    }
}

#[test]
fn openings_that_are_none_are_refused() {
    let whole = opening(2, vec![1, 2, 3, 4, 5], 1);
    let refused = |change: &dyn Fn(&mut Opening<EqAffine>)| {
        let mut changed = whole.clone();
        change(&mut changed);
        Opening::<EqAffine>::decode(&changed.encode()).unwrap_err()
    };
    for scale in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = refused(&|o| o.scale = scale);
        assert_eq!(
            error,
            DecodeError::Value("the scale must be a positive number")
        );
    }
    for log_n in [1, 17, u32::MAX] {
        assert!(matches!(
            refused(&|o| o.log_n = log_n),
            DecodeError::Value(_)
        ));
    }
    refused(&|o| o.blinders.truncate(1));
    refused(&|o| o.blinders.push(Fp::one()));
    // In longer columns one blinding factor is enough: two are one too many.
    refused(&|o| o.log_n = 3);
    let mut bytes = whole.encode();
    bytes[2] = b'p';
    assert_eq!(Opening::<EqAffine>::decode(&bytes), Err(DecodeError::Magic));
    let shown = format!("{whole:?}");
    assert_eq!(shown, "Opening(x, 5 values withheld)");
}

/// What an opening opens is the sum that the formula says, column by column; values behind which there is no generator open nothing.
#[test]
fn an_opening_opens_its_commitments() {
    let generators = Generators::<EqAffine>::derive(2);
    let opening = opening(2, vec![3, -1, 0, 7, -9], 11);
    let points = opening.commitments(&generators, &msm).unwrap();
    let column = |values: &[i64], blinder: &Fp| {
        let rows = values.iter().zip(&generators.rows);
        let sum = rows.map(|(value, row)| *row * signed::<Fp>(*value));
        (sum.sum::<Eq>() + generators.blinding * blinder).to_affine()
    };
    let [first, second] = [0, 1].map(|i| &opening.blinders[i]);
    let expected = [column(&[3, -1, 0, 7], first), column(&[-9], second)];
    assert_eq!(points, expected);
    let longer = Generators::<EqAffine>::derive(4);
    assert_eq!(opening.commitments(&longer, &msm).unwrap(), expected);
    let mut wide = opening;
    (wide.log_n, wide.blinders) = (3, vec![Fp::one()]);
    assert_eq!(wide.commitments(&generators, &msm), None);
}
