//! Which lanes share a helper: all of them once, as many to a helper as asked for, and by cost only where that costs less.

use ff::Field as _;
use pasta_curves::Fp;
use proptest::prelude::*;
use zkernel_verifier::builder::{Grouping, SystemBuilder};
use zkernel_verifier::challenge::Coefficient;
use zkernel_verifier::expression::Expression;
use zkernel_verifier::form::TrackId;
use zkernel_verifier::plonk::Plonk;
use zkernel_verifier::soundness::Soundness;
use zkernel_verifier::system::{
    ConstraintSystem, Lanes, Lookup, LookupInput, Phase, TrackKind, VirtualColumn,
};
use zkernel_verifier::validate::SystemError;

type System = ConstraintSystem<Fp>;

/// Range checks of that many lanes each, in tables of that many rows, on 2^log_n rows.
fn make(log_n: u32, lookups: &[(usize, i64, Grouping)]) -> System {
    let mut b = SystemBuilder::<Fp>::new(log_n, 1);
    for (i, (lanes, rows, grouping)) in lookups.iter().enumerate() {
        let track = b.advice(format!("x{i}"), Phase::One, 0);
        b.region(track, lanes * b.usable());
        let table = b.table(format!("t{i}"), 1, (0..*rows).collect());
        b.group_lookups(*grouping);
        b.lookup(
            format!("l{i}"),
            table,
            vec![LookupInput::plain(track)],
            None,
        );
    }
    b.finish().unwrap()
}

/// Members of each helper of inputs.
fn members(system: &System) -> Vec<(TrackId, Vec<&Lookup>)> {
    let helpers = system.tracks_of(TrackKind::Advice(Phase::Three));
    let of = |id| system.lookups.iter().filter(move |l| l.helper == id);
    let groups = helpers.map(|(id, _)| (id, of(id).collect::<Vec<_>>()));
    groups.filter(|(_, lookups)| !lookups.is_empty()).collect()
}

/// Lanes that share a helper, at most; 1 if none do.
fn largest(system: &System) -> usize {
    let sizes = members(system)
        .into_iter()
        .map(|(_, members)| members.len());
    sizes.max().unwrap_or(0)
}

/// Lanes of each lookup's track, whatever helper they are in, each once and in order of position.
fn assert_every_lane_once(system: &System) {
    for (id, track) in system.tracks_of(TrackKind::Advice(Phase::One)) {
        let of_track = system
            .lookups
            .iter()
            .filter(|l| l.inputs[0].terms[0].0 == id);
        let mut cells: Vec<usize> = of_track.flat_map(|l| system.looked_up(l)).collect();
        cells.sort_unstable();
        let multiplicity = system.table_sides.iter().any(|s| s.multiplicity == id);
        let all = 0..track.columns * track.width;
        assert!(multiplicity || cells.into_iter().eq(all), "{}", track.name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// L lanes that share by c take `ceil(L / c)` helper columns in all, whatever lookups they belong to; a helper of m
    /// members has a gate of degree m + 1.
    #[test]
    fn as_many_to_a_helper_as_asked_for(
        lanes in proptest::collection::vec((1usize..9, 1i64..40), 1..5),
        share in 0usize..6,
    ) {
        let lookups: Vec<_> = lanes.iter().map(|(l, r)| (*l, *r, Grouping::Of(share))).collect();
        let system = make(4, &lookups);
        assert_every_lane_once(&system);
        let all: usize = lanes.iter().map(|(lanes, _)| lanes).sum();
        let mut columns = 0;
        for (id, members) in members(&system) {
            prop_assert!(members.len() <= share.max(1));
            let track = system.track(id).unwrap();
            columns += track.columns;
            for member in &members {
                prop_assert_eq!(system.lanes(member.folded), track.columns);
            }
            let gate = track.name.replace("/h", "/gate");
            let gate = system.gates.iter().find(|g| g.name == gate).unwrap();
            prop_assert_eq!(gate.expression.degree(), members.len() + 1);
        }
        prop_assert_eq!(columns, all.div_ceil(share.max(1)));
        // Nothing else changes with the grouping.
        let alone: Vec<_> = lookups.iter().map(|(l, r, _)| (*l, *r, Grouping::Single)).collect();
        let single = make(4, &alone);
        let kind = TrackKind::Advice(Phase::One);
        prop_assert_eq!(system.columns_of(kind), single.columns_of(kind));
        let beta = |s: &System| {
            let all = Soundness::of(s).arguments;
            all.into_iter().find(|a| a.challenge == "beta").unwrap().numerator
        };
        prop_assert_eq!(beta(&system), beta(&single));
    }
}

fn chosen(log_n: u32, lanes: usize, rows: i64) -> usize {
    largest(&make(log_n, &[(lanes, rows, Grouping::ByCost)]))
}

/// Small tables on long columns have helpers of their own, large ones share; few lanes do not pay for a class of gates.
#[test]
fn by_cost() {
    for (log_n, lanes, rows, share) in [
        (8, 48, 16, 4),
        (10, 48, 256, 4),
        (10, 48, 4096, 4),
        (10, 4, 1024, 2),
        (12, 48, 16, 1),
        (12, 12, 256, 1),
        (12, 48, 4096, 4),
        (14, 48, 16, 1),
        (14, 48, 1 << 14, 4),
        (10, 1, 1024, 1),
    ] {
        assert_eq!(
            chosen(log_n, lanes, rows),
            share,
            "2^{log_n}, {lanes} lanes, {rows} rows"
        );
    }
    // The larger the table against n, the more there is to save: no choice falls back.
    for log_n in [8, 10, 12] {
        let shares = [4, 6, 8, 10, 12, 13].map(|log| chosen(log_n, 16, 1 << log));
        assert!(shares.is_sorted(), "2^{log_n}: {shares:?}");
    }
}

/// Each lookup shares only if it gains: a small table keeps its own helper beside large ones, and what nobody asked to
/// share does not.
#[test]
fn each_lookup_by_its_own_cost() {
    let lookups = [
        (20, 1 << 12, Grouping::ByCost),
        (20, 2, Grouping::ByCost),
        (5, 1 << 12, Grouping::Single),
    ];
    let system = make(12, &lookups);
    let of = |name: &str| {
        system
            .lookups
            .iter()
            .filter(|l| l.name.starts_with(name))
            .count()
    };
    assert!(of("l0") > 1);
    assert_eq!([of("l1"), of("l2")], [1, 1]);
    assert_every_lane_once(&system);
}

/// Lookups of one lane each share as well as the lanes of one.
#[test]
fn lanes_of_several_lookups_share() {
    let lookups: Vec<_> = (1..=8).map(|i| (1, 1000 + i, Grouping::ByCost)).collect();
    let system = make(8, &lookups);
    assert_eq!(largest(&system), 4);
    assert_eq!(members(&system).len(), 2);
    let names = system.lookups.iter().map(|l| l.name.as_str());
    assert!(names.eq(["l0", "l1", "l2", "l3", "l4", "l5", "l6", "l7"]));
}

/// The lookups of a circuit share like any others.
#[test]
fn lookups_of_a_circuit_share() {
    let helpers = |grouping| {
        let mut circuit = Plonk::<Fp>::new(4);
        let [a, b, c] = ["a", "b", "c"].map(|name| circuit.advice(name));
        let table = circuit.table("range", 1, (0..40).collect());
        circuit.group_lookups(grouping);
        for column in [a, b, c] {
            circuit.lookup("in range", table, &[column], None);
        }
        members(&circuit.rows().finish().unwrap()).len()
    };
    assert_eq!([Grouping::Single, Grouping::Of(3)].map(helpers), [3, 1]);
}

fn lanes_error(edit: impl FnOnce(&mut VirtualColumn<Fp>)) -> SystemError {
    let mut system = make(4, &[(7, 20, Grouping::Of(3))]);
    let folded = usize::try_from(system.lookups[0].folded.0).unwrap();
    edit(&mut system.virtuals[folded]);
    system.validate().unwrap_err()
}

#[test]
fn lanes_that_are_not_there_are_refused() {
    let set =
        |first, count| move |v: &mut VirtualColumn<Fp>| v.lanes = Some(Lanes { first, count });
    let refused = |first, count| lanes_error(set(first, count));
    assert!(matches!(
        refused(6, 2),
        SystemError::Lanes {
            end: 8,
            columns: 7,
            ..
        }
    ));
    assert!(matches!(refused(usize::MAX, 2), SystemError::Lanes { .. }));
    assert!(matches!(refused(0, 0), SystemError::Empty(_)));
    // As many lanes as the helper has columns, and no others.
    assert!(matches!(refused(0, 1), SystemError::NotParallel(_)));
    assert!(matches!(
        lanes_error(|v| v.lanes = None),
        SystemError::NotParallel(_)
    ));
    let text = refused(6, 2).to_string();
    assert!(
        text.contains("lanes up to 8 of tracks of 7 columns"),
        "{text}"
    );
}

/// A gate over some lanes of a track has as many lanes as these, and does not lengthen other tracks.
#[test]
fn gates_over_some_lanes() {
    let mut b = SystemBuilder::<Fp>::new(4, 1);
    let [long, short] = ["long", "short"].map(|name| b.advice(name, Phase::One, 0));
    b.region(long, 5 * 15);
    b.region(short, 2 * 15);
    let part = b.virtual_column(VirtualColumn {
        terms: vec![(long, Coefficient::constant(Fp::ONE))],
        constants: Vec::new(),
        rotation: 0,
        lanes: Some(Lanes { first: 3, count: 2 }),
    });
    let all = b.plain(short);
    b.gate("equal", Expression::from(part) - all);
    let system = b.finish().unwrap();
    assert_eq!(system.gate_lanes(&system.gates[0]), 2);
    assert_eq!(
        [long, short].map(|id| system.track(id).unwrap().columns),
        [5, 2]
    );
    assert_eq!(system.virtual_column(part).unwrap().first_lane(), 3);
}
