//! The soundness calculator counts what the protocol's table of errors says, and follows every count.

use ff::Field as _;
use pasta_curves::Fp;
use proptest::prelude::*;
use zkernel_verifier::builder::SystemBuilder;
use zkernel_verifier::challenge::{Challenge, Coefficient};
use zkernel_verifier::expression::Expression;
use zkernel_verifier::form::{Axis, Factor, LinearForm, Source, Strided, TrackId};
use zkernel_verifier::soundness::{Argument, Soundness, discrete_logarithm_bits};
use zkernel_verifier::system::{
    ConstraintSystem, Contraction, ContractionTerm, LookupInput, Phase,
};

/// What the systems of these tests are made of; n = 2^log_n with one blinding row.
#[derive(Clone, Copy, Debug)]
struct Counts {
    log_n: u32,
    /// Lanes of a gate of degree `degree`.
    lanes: usize,
    degree: usize,
    /// Lanes looked up in a table of `rows` rows of two entries.
    looked_up: usize,
    rows: usize,
    /// Claims of a linear constraint.
    claims: u32,
    /// Output rows and columns of a product, and the length of its contraction.
    outputs: [usize; 2],
    inner: usize,
}

const SMALL: Counts = Counts {
    log_n: 4,
    lanes: 3,
    degree: 3,
    looked_up: 2,
    rows: 20,
    claims: 7,
    outputs: [3, 2],
    inner: 6,
};

type Builder = SystemBuilder<Fp>;

fn strided(track: TrackId, axes: Vec<Axis<Fp>>) -> LinearForm<Fp> {
    LinearForm::Strided(Strided {
        source: Source::Track(track),
        start: 0,
        axes,
        scale: Coefficient::constant(Fp::ONE),
    })
}

fn cells(b: &mut Builder, name: &str, phase: Phase, len: usize) -> TrackId {
    let track = b.advice(name, phase, 0);
    b.region(track, len);
    track
}

fn system(counts: Counts) -> ConstraintSystem<Fp> {
    let mut b = Builder::new(counts.log_n, 1);
    let usable = b.usable();
    let gate = cells(&mut b, "gate", Phase::One, usable * counts.lanes);
    let cell = b.plain(gate);
    let power = (1..counts.degree).fold(Expression::from(cell), |power, _| power * cell);
    b.gate("power", power);

    let length = usable * counts.looked_up;
    let keys = cells(&mut b, "key", Phase::One, length);
    let values = cells(&mut b, "value", Phase::One, length);
    let rows = (0..counts.rows as i64).flat_map(|i| [i, i * i]);
    let table = b.table("squares", 2, rows.collect());
    let inputs = [keys, values].map(LookupInput::plain);
    b.lookup("square", table, inputs.into(), None);

    let lambda = Factor::powers(Challenge::Lambda);
    let family = strided(gate, vec![Axis::new(counts.claims as usize, 1, lambda)]);
    b.constrain("family", counts.claims, vec![family]);
    product(&mut b, counts);
    b.finish().unwrap()
}

/// `V = rho^T W` and a form on the outputs with powers of rho and tau.
fn product(b: &mut Builder, counts: Counts) {
    let [m, p] = counts.outputs;
    let outputs = cells(b, "outputs", Phase::One, m * p);
    let axes = vec![
        Axis::new(m, p, Factor::powers(Challenge::Rho)),
        Axis::new(p, 1, Factor::powers(Challenge::Tau)),
    ];
    b.constrain("outputs", 1, vec![strided(outputs, axes)]);
    let weights = cells(b, "weights", Phase::One, m * counts.inner);
    let v = b.advice("V", Phase::Two, 0);
    let target = b.region(v, counts.inner);
    b.contract(Contraction {
        name: "V".into(),
        outer: vec![counts.inner],
        inner: vec![(m, Factor::powers(Challenge::Rho))],
        terms: vec![ContractionTerm {
            track: weights,
            start: 0,
            outer: vec![1],
            inner: vec![counts.inner],
            scale: Fp::ONE,
        }],
        constant: Fp::ZERO,
        target,
    });
}

fn argument(soundness: &Soundness, challenge: &str) -> Argument {
    let found = soundness
        .arguments
        .iter()
        .find(|a| a.challenge == challenge);
    found
        .unwrap_or_else(|| panic!("no argument rests on {challenge}"))
        .clone()
}

fn numerator(counts: Counts, challenge: &str) -> u128 {
    argument(&Soundness::of(&system(counts)), challenge).numerator
}

#[test]
fn every_numerator_by_hand() {
    let soundness = Soundness::of(&system(SMALL));
    let expected = [
        ("rho, tau", 2 + 1),
        // V has six cells: powers 0 to 5; the tie's other side has rho^2 as well, which was drawn before.
        ("sigma", 5),
        // 20 rows are two lanes of 15 cells, of two entries each.
        ("theta", 30 * 2),
        ("beta", 2 * (30 + 30)),
        // Three lanes of the power, two of the lookup, two of the table.
        ("y", 6),
        // Degree 3 on 16 rows: two cosets.
        ("zeta", 47),
        // Seven, the outputs, the tie and the lookups' sum; helpers, folded lanes (4 + 4), m (2), the power (3); the identity.
        ("lambda", 7 + 3 + 13 + 1 - 1),
        // 3 + 2 + 2 + 1 + 2 + 1 + 2 advice columns, m, two h, six fixed and two of the quotient.
        ("u", 2 * 5),
        ("x", 2),
        ("v", 3 * 4),
        ("e", 1),
    ];
    for (challenge, numerator) in expected {
        let found = argument(&soundness, challenge);
        assert_eq!(found.numerator, numerator, "{challenge}: {found:?}");
    }
    assert_eq!(soundness.arguments.len(), expected.len(), "no alpha");
    let sum: u128 = expected.iter().map(|(_, n)| n).sum();
    assert_eq!(soundness.numerator(), sum);
    assert!((soundness.bits() - (254.0 - (sum as f64).log2())).abs() < 1e-9);
}

#[test]
fn a_doubled_numerator_costs_a_bit() {
    let soundness = Soundness::of(&system(SMALL));
    for argument in &soundness.arguments {
        let double = Argument {
            numerator: 2 * argument.numerator,
            ..argument.clone()
        };
        let lost = soundness.bits_of(argument) - soundness.bits_of(&double);
        assert!((lost - 1.0).abs() < 1e-9, "{argument:?}: {lost}");
    }
    let lost = soundness.bits() - soundness.bits_after_queries(100);
    assert!((lost - 100.0).abs() < 1e-9, "{lost}");
    assert!(soundness.bits_after_queries(0) < soundness.bits());
    for more in [255, 400, u32::MAX] {
        assert!(soundness.bits_after_queries(more) <= 0.0);
    }
}

#[test]
fn a_discrete_logarithm_on_pasta_takes_126_bits() {
    assert!((discrete_logarithm_bits::<Fp>() - 126.03).abs() < 0.01);
}

#[test]
fn a_folded_secret_table_errs_with_its_row() {
    let mut b = Builder::new(4, 1);
    let width = 9;
    let embedding = b.arena("E", 4 * width);
    let folded = b.advice("E alpha", Phase::Two, 0);
    let target = b.region(folded, 4);
    let table = b.secret_table("rows", 4, &[folded]);
    let keys = cells(&mut b, "tokens", Phase::One, 5);
    let values = cells(&mut b, "x alpha", Phase::Two, 5);
    let inputs = [keys, values].map(LookupInput::plain);
    b.lookup("embed", table, inputs.into(), None);
    let alpha = Factor::powers(Challenge::Alpha);
    b.contract(Contraction {
        name: "E alpha".into(),
        outer: vec![4],
        inner: vec![(width, alpha)],
        terms: vec![ContractionTerm {
            track: embedding,
            start: 0,
            outer: vec![width],
            inner: vec![1],
            scale: Fp::ONE,
        }],
        constant: Fp::ZERO,
        target,
    });
    let mut system = b.finish().unwrap();
    let of = |system: &_| argument(&Soundness::of(system), "alpha").numerator;
    assert_eq!(of(&system), 8);
    // Two rows of one key give a wrong row two chances.
    system.tables[0].rows = vec![0, 1, 2, 1];
    assert_eq!(of(&system), 16);
}

/// A gate that uses a challenge itself is counted with its degree in it, in the argument of that challenge alone, and
/// beside lookups too.
#[test]
fn challenges_inside_gates_count() {
    let early = [
        Challenge::Rho,
        Challenge::Tau,
        Challenge::Alpha,
        Challenge::Sigma,
        Challenge::Theta,
        Challenge::Beta,
    ];
    let gate = |b: &mut Builder, challenge: Challenge, exponent: u32| {
        let track = cells(b, "a", Phase::Two, 15);
        let a = b.plain(track);
        let c = Coefficient::power(challenge, exponent);
        b.gate("g", (Expression::from(a) * c - a) * c + a);
    };
    // The numerators of what rests on challenges before y.
    let numerators = |b: Builder| -> Vec<(&'static str, u128)> {
        let soundness = Soundness::of(&b.finish().unwrap());
        let arguments = soundness.arguments.iter();
        let before = arguments.take_while(|a| a.challenge != "y" && a.challenge != "zeta");
        before.map(|a| (a.challenge, a.numerator)).collect()
    };
    for challenge in early {
        let mut b = Builder::new(4, 1);
        gate(&mut b, challenge, 0);
        assert_eq!(numerators(b), [], "{challenge:?}");
        let mut b = Builder::new(4, 1);
        gate(&mut b, challenge, 5);
        let found = numerators(b);
        assert_eq!(found.len(), 1, "{challenge:?}: {found:?}");
        assert!(found[0].0.contains(challenge.name()) && found[0].1 == 10);
    }
    let mut b = Builder::new(4, 1);
    let looked_up = cells(&mut b, "x", Phase::One, 15);
    let table = b.table("bits", 1, vec![0, 1]);
    b.lookup("bit", table, vec![LookupInput::plain(looked_up)], None);
    gate(&mut b, Challenge::Beta, 7);
    assert_eq!(numerators(b), [("theta", 15), ("beta", 60 + 14)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Each count moves the numerators that name it by what the formula says, and no others but those of the sizes.
    #[test]
    fn numerators_follow_their_counts(
        log_n in 3u32..7, lanes in 1usize..5, degree in 2usize..5, looked_up in 1usize..4, claims in 1u32..6,
        m in 2usize..6, p in 1usize..5, inner in 2usize..7,
    ) {
        let usable = (1 << log_n) - 1;
        let counts = Counts { log_n, lanes, degree, looked_up, rows: usable, claims, outputs: [m, p], inner };
        let claims = counts.claims.min(usable as u32);
        let counts = Counts { claims, ..counts };
        let of = |counts| Soundness::of(&system(counts));
        let before = of(counts);
        let moved = |changed: Counts, challenge: &str| {
            argument(&of(changed), challenge).numerator as i128 - argument(&before, challenge).numerator as i128
        };
        let (n, d) = (1i128 << log_n, degree as i128);
        prop_assert_eq!(numerator(counts, "zeta") as i128, (d * (n - 1) + 1).max(d * n - 1));
        prop_assert_eq!(moved(Counts { log_n: log_n + 1, rows: 2 * usable + 1, ..counts }, "v"), 3);
        prop_assert_eq!(moved(Counts { lanes: 2 * lanes, ..counts }, "y"), lanes as i128);
        prop_assert_eq!(moved(Counts { lanes: 2 * lanes, ..counts }, "beta"), 0);
        let wider = Counts { looked_up: 2 * looked_up, ..counts };
        prop_assert_eq!(moved(wider, "beta"), 2 * (looked_up * usable) as i128);
        prop_assert_eq!(moved(wider, "theta"), 0);
        let taller = Counts { rows: 2 * usable, ..counts };
        prop_assert_eq!(moved(taller, "beta"), 2 * usable as i128);
        prop_assert_eq!(numerator(taller, "theta"), 2 * numerator(counts, "theta"));
        prop_assert_eq!(moved(Counts { outputs: [2 * m, p], ..counts }, "rho, tau"), m as i128);
        prop_assert_eq!(moved(Counts { outputs: [m, p + 3], ..counts }, "rho, tau"), 3);
        prop_assert_eq!(moved(Counts { inner: inner + 4, ..counts }, "sigma"), 4);
        prop_assert_eq!(moved(Counts { degree: degree + 1, ..counts }, "zeta"), n);
        let fewer = Counts { claims: counts.claims / 2 + 1, ..counts };
        prop_assert_eq!(moved(fewer, "lambda"), i128::from(fewer.claims) - i128::from(counts.claims));
    }
}
