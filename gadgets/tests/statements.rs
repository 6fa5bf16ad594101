//! Statements: what is proven of an output is exactly what is true of its integers, and nothing else is shown.

use crate::common::{Inject, Net, Prover, instances};
use proptest::prelude::*;
use zkernel_gadgets::model::{
    Graph, Honest, Interval, Relation, RunError, Said, Statement, StatementError, Tensor, TensorId,
    Visibility, run,
};

const INPUT: Interval = Interval::new(-8, 7);
const STEP: f64 = 0.25;

/// Scores of three classes for two rows, in steps of a quarter from a zero point.
fn scores(seed: u64, zero_point: i64) -> Net {
    let net = Net::new(&[2, 4], INPUT, Visibility::Private, seed);
    let mut net = net.dense(5).relu(3, 9).dense(3).within(1 << 20).done();
    let score = net.graph.outputs[0].0 as usize;
    let tensor = &mut net.graph.tensors[score];
    (tensor.scale, tensor.zero_point, tensor.name) = (STEP, zero_point, "score".into());
    net
}

fn real(tensor: &Tensor, integer: i64) -> f64 {
    (integer - tensor.zero_point) as f64 * tensor.scale
}

fn holds(relation: Relation, value: f64, threshold: f64) -> bool {
    match relation {
        Relation::AtLeast => value >= threshold,
        Relation::Above => value > threshold,
        Relation::AtMost => value <= threshold,
        Relation::Below => value < threshold,
    }
}

fn relation() -> impl Strategy<Value = Relation> {
    use Relation::{Above, AtLeast, AtMost, Below};
    prop_oneof![Just(AtLeast), Just(Above), Just(AtMost), Just(Below)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// A bound can be run exactly where it is true, to the quarter of a step; what the graph says is the bound on the grid.
    #[test]
    fn bounds_are_exact(
        seed in any::<u64>(), relation in relation(), element in 0usize..6, zero_point in -9i64..9, off in -10i64..10,
    ) {
        let net = scores(seed, zero_point);
        let input = net.input(seed);
        let trace = run(&net.graph, &net.weights, &input, &mut Honest).unwrap();
        let id = net.graph.outputs[0].0 as usize;
        let tensor = &net.graph.tensors[id];
        let value = real(tensor, trace.values[id][element]);
        let threshold = value + off as f64 * STEP / 4.0;
        let statement = Statement::Bound { relation, threshold, output: None, element: Some(element) };
        let (graph, weights) = net.graph.with_statement(&net.weights, &statement).unwrap();
        let told = run(&graph, &weights, &input, &mut Honest);
        let name = format!("score {} {threshold}", relation.sign());
        match told {
            Ok(_) => prop_assert!(holds(relation, value, threshold)),
            Err(error) => {
                prop_assert!(!holds(relation, value, threshold));
                prop_assert_eq!(error, RunError::Untrue(name));
            }
        }
        let said = graph.said();
        let [Said::Bound { of, element: its, relation: side, bound }] = said[..] else {
            panic!("{said:?}");
        };
        prop_assert_eq!(its, element);
        let bound = real(&graph.tensors[of.0 as usize], bound);
        let strictly = matches!(relation, Relation::Above | Relation::Below);
        let (least, most) = if strictly { (f64::MIN_POSITIVE, STEP) } else { (0.0, STEP * 0.75) };
        let inward = match side {
            Relation::AtLeast => bound - threshold,
            _ => threshold - bound,
        };
        prop_assert!((least..=most).contains(&inward), "{relation:?} {threshold}: {side:?} {bound}");
        prop_assert!(graph.outputs.iter().all(|id| is(&graph, *id, Visibility::Private)));
    }
}

fn is(graph: &Graph, id: TensorId, visibility: Visibility) -> bool {
    graph.tensors[id.0 as usize].visibility == visibility
}

/// The class is the first maximum of each row, public; the scores are not.
#[test]
fn the_class_alone_is_shown() {
    for seed in 0..8 {
        let net = scores(seed, 0);
        let input = net.input(seed);
        let values = run(&net.graph, &net.weights, &input, &mut Honest).unwrap();
        let scores = &values.values[net.graph.outputs[0].0 as usize];
        let class = "class".parse().unwrap();
        let (graph, weights) = net.graph.with_statement(&net.weights, &class).unwrap();
        let trace = run(&graph, &weights, &input, &mut Honest).unwrap();
        let [said] = graph.outputs[..] else { panic!() };
        let best = scores.chunks(3).map(|row| {
            let max = row.iter().max().unwrap();
            row.iter().position(|v| v == max).unwrap() as i64
        });
        assert_eq!(trace.values[said.0 as usize], best.collect::<Vec<_>>());
        assert!(is(&graph, said, Visibility::Public));
        let [Said::Class { of }] = graph.said()[..] else {
            panic!()
        };
        assert!(is(&graph, of, Visibility::Private));
        // Said again, it stays as it is.
        assert_eq!(graph.with_statement(&weights, &class).unwrap().0, graph);
    }
}

/// A proof of a bound shows no value; a prover who goes on where the honest one stops has none.
#[test]
fn a_bound_that_does_not_hold_cannot_be_proven() {
    let net = scores(3, 0);
    let input = net.input(3);
    let trace = run(&net.graph, &net.weights, &input, &mut Honest).unwrap();
    let id = net.graph.outputs[0].0 as usize;
    let value = real(&net.graph.tensors[id], trace.values[id][4]);
    let bound = |threshold: f64| {
        let statement = format!("ge:{threshold}@4").parse().unwrap();
        let (graph, weights) = net.graph.with_statement(&net.weights, &statement).unwrap();
        let mut bounded = scores(3, 0);
        (bounded.graph, bounded.weights) = (graph, weights);
        bounded
    };
    let (holds, fails) = (bound(value), bound(value + STEP));
    let prover = Prover::new(&holds, 6);
    let trace = run(&holds.graph, &holds.weights, &input, &mut Honest).unwrap();
    let public = instances(&prover.lowered, &trace);
    assert_eq!(public, Vec::<Vec<_>>::new());
    assert!(prover.prove(&trace, &public).is_ok());
    let prover = Prover::new(&fails, 6);
    assert!(run(&fails.graph, &fails.weights, &input, &mut Honest).is_err());
    let mut cheat = Inject::new(&[]);
    let trace = run(&fails.graph, &fails.weights, &input, &mut cheat).unwrap();
    assert!(!prover.accepts(&trace, &[]));
    assert!(prover.prove(&trace, &[]).is_err());
}

#[test]
fn what_a_statement_lacks_is_named() {
    let net = scores(1, 0);
    let say = |text: &str| {
        let statement: Statement = text.parse().unwrap();
        net.graph
            .with_statement(&net.weights, &statement)
            .unwrap_err()
    };
    assert!(matches!(
        say("ge:0.5"),
        StatementError::Element { len: 6, .. }
    ));
    assert!(matches!(
        say("ge:0.5@6"),
        StatementError::Element { len: 6, .. }
    ));
    assert!(matches!(
        say("ge:0.5@other:1"),
        StatementError::Output {
            output: Some(_),
            ..
        }
    ));
    assert!(matches!(say("class@other"), StatementError::Output { .. }));
    assert!(matches!(say("lt:1e9@1"), StatementError::Threshold { .. }));
    let mut narrow = scores(1, 0);
    narrow.graph.tensors.last_mut().unwrap().shape = vec![6, 1];
    let class = narrow
        .graph
        .with_statement(&net.weights, &"class".parse().unwrap());
    assert_eq!(class, Err(StatementError::OneClass("score".into())));
    for text in [
        "", "classes", "eq:1", "ge:", "ge:x", "ge:inf", "ge:nan", "ge:1@a:b",
    ] {
        let error = text.parse::<Statement>().unwrap_err();
        assert_eq!(error, StatementError::Text(text.into()));
    }
}
