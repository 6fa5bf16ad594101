//! Lookups that share a helper: every member counts, and so does the one gate that ties the helper to all of them.

use ff::Field as _;
use zkernel_attacks::algebra::inverse;
use zkernel_attacks::case::count;
use zkernel_attacks::cheats::fix_lookup_sum;
use zkernel_attacks::grouped::{Grouped, Slip};
use zkernel_attacks::trial::{
    FORESEEN, Fixture as _, MakeCheat, broken, each_constraint_is_needed,
    each_evaluation_is_needed, early,
};
use zkernel_attacks::{Case, Cheat, F};
use zkernel_backend_cpu::Cpu;
use zkernel_backend_reference::Reference;
use zkernel_engine::{Error, Tensors, mock};
use zkernel_verifier::builder::Grouping;
use zkernel_verifier::msm::msm;
use zkernel_verifier::proof::Proof;
use zkernel_verifier::system::{Lookup, TrackKind};
use zkernel_verifier::transcript::Attack;
use zkernel_verifier::verify::verify;

/// A wrong tuple in a cell of a lookup.
fn slip(circuit: &Grouped, lookup: &Lookup, cell: usize) -> Slip {
    match lookup.inputs[0].terms[0].0 {
        track if track == circuit.x => Slip::Range(cell),
        track if track == circuit.squares[0] => Slip::Square(cell),
        _ => Slip::Secret(cell),
    }
}

fn mock_failures(circuit: &Grouped, case: &Case) -> Vec<String> {
    let tensors = case.key.system.tracks_of(TrackKind::Tensor);
    let small = |v: &F| (0..64).find(|s| F::from(*s as u64) == *v).unwrap();
    let values = tensors.map(|(id, _)| (id, case.secrets.cells[&id].iter().map(small).collect()));
    let tensors = Tensors {
        values: values.collect(),
        blinders: case.secrets.blinders.clone(),
    };
    let (_, witness) = case.for_engine(&Cpu::new());
    let failures = mock::check(&circuit.system, &case.instances, &witness, &tensors);
    failures.unwrap().iter().map(ToString::to_string).collect()
}

#[test]
fn honest_proofs_are_accepted() {
    for share in 1..=7 {
        let circuit = Grouped::by(Grouping::Of(share));
        let case = circuit.case(Slip::Nothing, |_| {});
        let ours = case.attempt(&mut Cheat::default(), &Attack::default(), 1);
        assert_eq!(broken(&circuit.system, &ours.model), [""; 0], "{share}");
        assert_eq!(ours.model.gap(), F::ZERO, "{share}");
        let engines = [
            case.engine_proof(&Cpu::new()),
            case.engine_proof(&Reference),
        ];
        for proof in engines.map(Result::unwrap).into_iter().chain([ours.proof]) {
            assert_eq!(verify(&case.key, &[], &proof, &msm), Ok(()), "{share}");
            let bytes = proof.encode();
            assert_eq!(Proof::decode(&bytes, &case.key.shape).as_ref(), Ok(&proof));
        }
        assert_eq!(mock_failures(&circuit, &case), [""; 0]);
    }
}

#[test]
fn every_gate_and_constraint_is_needed() {
    let circuit = Grouped::new();
    let sum = |name: &'static str| -> MakeCheat<'static> {
        Box::new(move || fix_lookup_sum(&Grouped::new().system, name))
    };
    let cases = vec![
        ("lookup sum", Slip::Range(0), Box::new(Cheat::default) as _),
        ("x in range/gate", Slip::Range(70), sum("x in range")),
        (
            "shared helper 1/gate",
            Slip::Square(1),
            sum("shared helper 1"),
        ),
        (
            "shared helper 2/gate",
            Slip::Secret(16),
            sum("shared helper 2"),
        ),
        ("product", Slip::Product, Box::new(Cheat::default)),
        ("table/gate", Slip::Range(91), sum("table")),
        ("secret/gate", Slip::Secret(2), sum("secret")),
    ];
    each_constraint_is_needed(&circuit, cases);
}

#[test]
fn every_evaluation_claim_is_needed() {
    each_evaluation_is_needed(&Grouped::new(), Slip::Product);
}

/// One wrong tuple in the first and last looked-up row of each member: the engine names it before it proves anything, a
/// prover that goes on breaks the sum, and one that mends the sum breaks the shared gate.
#[test]
fn a_wrong_tuple_in_any_member_is_refused() {
    let circuit = Grouped::new();
    let x_and_pairs: Vec<usize> = circuit
        .system
        .lookups
        .iter()
        .map(|lookup| circuit.system.looked_up(lookup).len() / 15)
        .collect();
    assert_eq!(x_and_pairs, [2, 2, 2, 1, 1, 1, 1, 1]);
    for lookup in &circuit.system.lookups {
        let cells = circuit.system.looked_up(lookup);
        let on = |cell: &usize| {
            lookup.enabled.is_none() || circuit.enabled.get(*cell).copied().unwrap_or(false)
        };
        let [first, last] = [cells.clone().find(on), cells.clone().rev().find(on)];
        for cell in [first.unwrap(), last.unwrap()] {
            let case = circuit.case(slip(&circuit, lookup, cell), |_| {});
            let outcome = case.attempt(&mut Cheat::default(), &Attack::default(), 1);
            assert_eq!(broken(&circuit.system, &outcome.model), ["lookup sum"]);
            assert!(!case.accepts(&outcome.proof, &Attack::default()));
            let helper = &circuit.system.track(lookup.helper).unwrap().name;
            let group = helper.strip_suffix("/h").unwrap();
            let mut mended = fix_lookup_sum(&circuit.system, group);
            let outcome = case.attempt(&mut mended, &Attack::default(), 1);
            assert_eq!(
                broken(&circuit.system, &outcome.model),
                [format!("{group}/gate")]
            );
            assert!(!case.accepts(&outcome.proof, &Attack::default()));
            match case.engine_proof(&Cpu::new()) {
                Err(Error::NotInTable {
                    lookup: name,
                    lane,
                    row,
                    ..
                }) => {
                    assert_eq!((name, lane * 15 + row), (lookup.name.clone(), cell));
                }
                Err(Error::Unsatisfied(_)) if lookup.table.0 == 2 => {}
                other => panic!("{}, cell {cell}: {:?}", lookup.name, other.map(|_| ())),
            }
            let failures = mock_failures(&circuit, &case);
            assert_eq!(failures.len(), 1);
            assert!(failures[0].contains(&lookup.name), "{failures:?}");
        }
    }
}

/// Rows that are not enabled hold anything, beside enabled ones of other members in the same row.
#[test]
fn disabled_rows_hold_anything() {
    let circuit = Grouped::new();
    for cell in circuit
        .enabled
        .iter()
        .zip(0..)
        .filter_map(|(on, i)| (!on).then_some(i))
    {
        let case = circuit.case(Slip::Square(cell), |_| {});
        assert!(case.engine_proof(&Cpu::new()).is_ok(), "cell {cell}");
    }
}

/// Where two denominators of a group are zero in one row, the gate leaves the helper free: beta must not be known before
/// what is looked up. Where one is, the gate has no solution.
#[test]
fn beta_known_early_frees_a_helper() {
    let circuit = Grouped::new();
    let k = F::from(FORESEEN);
    // The first two members of x's helper are its lanes 0 and 2: f = tag + theta x = -beta in row 0 of both.
    let pole = -(k + F::ONE) * inverse(k);
    let one = circuit.case(Slip::Cell(0, pole), |_| {});
    let mut both = circuit.case(Slip::Cell(0, pole), |_| {});
    let x = both.secrets.cells.get_mut(&circuit.x).unwrap();
    x[2 * 15] = pole;
    count(&circuit.system, &mut both.secrets.cells);
    let known = early(&["theta", "beta"]);
    let mend = || fix_lookup_sum(&circuit.system, "x in range");
    assert!(both.wins_with(&mut mend(), &known));
    assert!(!both.wins(&mut mend()));
    assert!(!one.wins_with(&mut mend(), &known));
}

/// Degrees, cosets, commitments and evaluations, by hand.
#[test]
fn degrees_and_sizes() {
    let shape = |circuit: &Grouped| circuit.case(Slip::Nothing, |_| {}).key.shape;
    let single = Grouped::by(Grouping::Single);
    assert_eq!(single.system.degree(), 2);
    let alone = shape(&single);
    // 11 lanes of inputs; 63 public rows in 5 lanes, 20 secret ones in 2.
    assert_eq!(alone.commitments[2..], [11 + 7, 1]);
    for (share, helpers, degree) in [(2, 6, 3), (3, 4, 4), (4, 3, 5), (11, 1, 12)] {
        let grouped = Grouped::by(Grouping::Of(share));
        let degrees = grouped.system.gates.iter().map(|g| g.expression.degree());
        assert_eq!(grouped.system.degree(), degree, "{share}");
        assert_eq!(degrees.max(), Some(degree), "{share}");
        let shape = shape(&grouped);
        assert_eq!(shape.commitments[2..], [helpers + 7, degree - 1], "{share}");
        // One evaluation less for each helper less: f, q and m are sent as before.
        assert_eq!(
            shape.evaluations + 11 - helpers,
            alone.evaluations,
            "{share}"
        );
    }
}
