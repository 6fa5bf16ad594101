//! Openings: one encoding of each, and nothing else decodes.

use pasta_curves::{EqAffine, Fp};
use proptest::prelude::*;
use zkernel_gadgets::opening::Opening;
use zkernel_verifier::encoding::DecodeError;

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
