//! A compiled program gives what its expression says, on random expressions.

use ff::Field as _;
use pasta_curves::Fp;
use proptest::prelude::*;
use zkernel_verifier::challenge::{Challenge, Challenges, Coefficient};
use zkernel_verifier::expression::{Expression, Operand, VirtualId};

fn expressions() -> impl Strategy<Value = Expression<Fp>> {
    let leaf = prop_oneof![
        (0u32..5).prop_map(|id| Expression::Virtual(VirtualId(id))),
        (0u64..4).prop_map(|c| Expression::Constant(Coefficient::constant(Fp::from(c)))),
        (0u32..4).prop_map(|e| Expression::Constant(Coefficient::power(Challenge::Beta, e))),
    ];
    leaf.prop_recursive(6, 60, 2, |inner| {
        (0u8..3, inner.clone(), inner).prop_map(|(kind, a, b)| match kind {
            0 => a + b,
            1 => a - b,
            _ => a * b,
        })
    })
}

fn direct(e: &Expression<Fp>, columns: &[Fp], challenges: &Challenges<Fp>) -> Fp {
    match e {
        Expression::Constant(c) => c.evaluate(challenges),
        Expression::Virtual(id) => columns[id.0 as usize],
        Expression::Sum(a, b) => direct(a, columns, challenges) + direct(b, columns, challenges),
        Expression::Difference(a, b) => {
            direct(a, columns, challenges) - direct(b, columns, challenges)
        }
        Expression::Product(a, b) => {
            direct(a, columns, challenges) * direct(b, columns, challenges)
        }
    }
}

/// Number of distinct subexpressions that are operations.
fn distinct(e: &Expression<Fp>, seen: &mut Vec<Expression<Fp>>) {
    if let Expression::Sum(a, b) | Expression::Difference(a, b) | Expression::Product(a, b) = e {
        distinct(a, seen);
        distinct(b, seen);
        if !seen.contains(e) {
            seen.push(e.clone());
        }
    }
}

proptest! {
    #[test]
    fn compiled_equals_direct(e in expressions(), seed in 1u64..1 << 40) {
        let columns: Vec<Fp> = (0..5).map(|i| Fp::from(seed + i).square()).collect();
        let mut challenges = Challenges::new();
        challenges.set(Challenge::Beta, Fp::from(seed).cube());
        let gate = e.compile().unwrap();
        let inputs: Vec<Fp> = gate.inputs.iter().map(|id| columns[id.0 as usize]).collect();
        let constants: Vec<Fp> = gate.constants.iter().map(|c| c.evaluate(&challenges)).collect();
        prop_assert_eq!(gate.program.evaluate(&inputs, &constants), Some(direct(&e, &columns, &challenges)));
        // Operands refer to what exists, and nothing is computed twice.
        let mut seen = Vec::new();
        distinct(&e, &mut seen);
        prop_assert!(gate.program.instructions.len() <= seen.len());
        for (index, instruction) in gate.program.instructions.iter().enumerate() {
            for operand in [instruction.a, instruction.b] {
                let earlier = match operand {
                    Operand::Input(i) => i < gate.program.inputs,
                    Operand::Constant(i) => i < gate.program.constants,
                    Operand::Result(i) => usize::from(i) < index,
                };
                prop_assert!(earlier);
            }
        }
        // Short lists are refused, not read out of range.
        if !inputs.is_empty() {
            prop_assert_eq!(gate.program.evaluate(&inputs[1..], &constants), None);
        }
    }

    /// On a line, an expression is a polynomial of at most its degree: the next finite difference vanishes.
    #[test]
    fn degree_bounds_the_polynomial(e in expressions(), seed in 1u64..1 << 30) {
        let degree = e.degree();
        prop_assume!(degree <= 8);
        let challenges = Challenges::new();
        let value = |t: u64| {
            let columns: Vec<Fp> = (0..5).map(|i| Fp::from(seed * (i + 1)) + Fp::from(t) * Fp::from(i * i + 3)).collect();
            direct(&e, &columns, &challenges)
        };
        let mut differences: Vec<Fp> = (0..degree as u64 + 2).map(value).collect();
        while differences.len() > 1 {
            differences = differences.windows(2).map(|pair| pair[1] - pair[0]).collect();
        }
        prop_assert_eq!(differences[0], Fp::ZERO);
    }
}

#[test]
fn too_many_operations_are_refused() {
    let column = || Expression::<Fp>::Virtual(VirtualId(0));
    // 300 constants in pairs: 90,000 different sums.
    let constant = |i: u64| Expression::from(Coefficient::constant(Fp::from(i)));
    let mut layer: Vec<Expression<Fp>> = (0..90_000)
        .map(|i| constant(i / 300) + constant(i % 300 + 300))
        .collect();
    while layer.len() > 1 {
        let mut pairs = layer.into_iter();
        let mut next = Vec::new();
        while let Some(a) = pairs.next() {
            next.push(match pairs.next() {
                Some(b) => a + b,
                None => a,
            });
        }
        layer = next;
    }
    let large = layer.pop().unwrap();
    assert!(large.compile().is_none());
    assert_eq!(large.degree(), 0);
    assert_eq!((-column()).degree(), 1);
}
