//! The counts of the cost model are those of the protocol, and follow the sizes of the system.

use crate::network::{Network, SMALL};
use ff::Field as _;
use pasta_curves::{EqAffine, Fp};
use zkernel_backend_cpu::Cpu;
use zkernel_engine::cost::{Operation, Prices, Trace, Unit, Work};
use zkernel_engine::{ProvingKey, prove};
use zkernel_verifier::builder::{Grouping, SystemBuilder};
use zkernel_verifier::challenge::Coefficient;
use zkernel_verifier::curve::Generators;
use zkernel_verifier::expression::Expression;
use zkernel_verifier::key::VerifyingKey;
use zkernel_verifier::system::{ConstraintSystem, LookupInput, Phase, TrackKind};

const THREADS: usize = 4;

/// `lanes` columns of bytes, a range check on each, and a gate of that degree that says nothing.
fn system(log_n: u32, lanes: usize, degree: usize) -> ConstraintSystem<Fp> {
    let mut b = SystemBuilder::<Fp>::new(log_n, 1);
    let track = b.advice("bytes", Phase::One, 0);
    b.region(track, lanes * b.usable());
    let table = b.table("bytes", 1, (0..16).collect());
    b.lookup("range", table, vec![LookupInput::plain(track)], None);
    let cell = b.plain(track);
    let zero = Coefficient::constant(Fp::ZERO);
    let power = (1..degree).fold(Expression::from(cell), |power, _| power * cell);
    b.gate("nothing", power * zero);
    b.finish().unwrap()
}

fn trace(system: &ConstraintSystem<Fp>) -> Trace {
    Trace::of::<EqAffine>(system, THREADS).unwrap()
}

/// Columns committed, by whichever operation; lanes of fewer columns than threads count as what they are.
fn committed(work: &Work) -> f64 {
    let of = [
        Operation::Commit,
        Operation::CommitFolded,
        Operation::CommitDictionary,
    ];
    let units = work.counts.iter();
    let units = units.filter(|(unit, _)| of.contains(&unit.operation));
    units
        .map(|(unit, count)| count * f64::from(unit.lanes.max(1)))
        .sum()
}

/// The proof's size is exact: a real one has as many bytes.
#[test]
fn a_real_proof_has_the_predicted_size() {
    let network = Network::new(SMALL);
    let (model, x) = network.example(1);
    let run = network.run(&model, &x);
    let trace = trace(&network.system);
    let (system, tensors) = (network.system.clone(), network.tensors(&model));
    let key = ProvingKey::new(&Cpu::new(), system, network.generators(), &tensors, &[]).unwrap();
    let (instances, witness) = (network.instances(&run), network.witness(&run));
    let proof = prove(&Cpu::new(), &key, &instances, &witness).unwrap();
    assert_eq!(trace.proof_bytes, proof.encode().len());
}

/// One thread: no lanes are rounded up, and no column is left out. Dense columns count one each.
#[test]
fn every_commitment_of_a_proof_is_counted() {
    let system = system(5, 3, 2);
    let of_proof = {
        let key = verifying_key(&system);
        let shape = &key.shape;
        let phases: usize = shape.commitments.iter().sum();
        phases + 2 * (shape.column_rounds + shape.inner_rounds) + 1
    };
    let work = Trace::of::<EqAffine>(&system, 1).unwrap().prove;
    let found = committed(&work);
    // Columns with zeros cost less than one; there are as many rounds of two columns of nothing as column rounds.
    assert!(found <= of_proof as f64 + 1e-9, "{found} of {of_proof}");
    assert!(found > 0.5 * of_proof as f64, "{found} of {of_proof}");
    let msm = work.count(Operation::Msm);
    assert!((msm - 1.0).abs() < 1e-9, "the self-check is one MSM: {msm}");
}

fn verifying_key(system: &ConstraintSystem<Fp>) -> VerifyingKey<EqAffine> {
    let generators = Generators::derive(system.log_n);
    let msm = |points: &[EqAffine], scalars: &[Fp]| zkernel_verifier::msm::msm(points, scalars);
    VerifyingKey::new(system.clone(), generators, Vec::new(), &[], &msm).unwrap()
}

#[test]
fn transforms_follow_lanes_and_degree() {
    let columns = |system: &ConstraintSystem<Fp>, operation| {
        let work = Trace::of::<EqAffine>(system, 1).unwrap().prove;
        work.count(operation)
    };
    for (lanes, degree) in [(1, 2), (4, 2), (4, 5), (9, 3)] {
        let system = system(5, lanes, degree);
        // The range check transforms h and f, the table h, f and m in one lane; the gate its cell.
        let inverse = 2 * lanes + 3 + lanes;
        // Degree d takes d - 1 cosets, the lookups one; their sum is extended to the others.
        let forward = 2 * lanes + 3 + lanes * (degree - 1) + (degree - 2);
        let extended = usize::from(degree > 2);
        let found = columns(&system, Operation::Interpolate);
        assert!(
            (found - (inverse + extended) as f64).abs() < 1e-9,
            "{lanes} {degree}: {found}"
        );
        let found = columns(&system, Operation::CosetEvaluate);
        assert!(
            (found - forward as f64).abs() < 1e-9,
            "{lanes} {degree}: {found}"
        );
    }
}

/// Lanes that share helpers: fewer commitments, none by dictionary, and a class of gates on more cosets.
#[test]
fn shared_helpers_are_counted() {
    let work = |share| {
        let mut b = SystemBuilder::<Fp>::new(7, 1);
        b.group_lookups(Grouping::Of(share));
        let track = b.advice("bytes", Phase::One, 0);
        b.region(track, 6 * b.usable());
        let table = b.table("bytes", 1, (0..16).collect());
        b.lookup("range", table, vec![LookupInput::plain(track)], None);
        Trace::of::<EqAffine>(&b.finish().unwrap(), 1).unwrap()
    };
    // Transforms of the table's f, m and h; of each helper and its members, on as many cosets as members; the table's
    // class is extended from one coset to the others.
    for (share, helpers, interpolated, evaluated) in [
        (1, 6, 12 + 3, 12 + 3),
        (2, 3, 9 + 3 + 1, 18 + 3 + 1),
        (3, 2, 8 + 3 + 1, 24 + 3 + 2),
    ] {
        let trace = work(share);
        let count = |operation| trace.prove.count(operation);
        let expected = [
            (Operation::Interpolate, interpolated),
            (Operation::CosetEvaluate, evaluated),
            (
                Operation::CommitDictionary,
                if share == 1 { helpers } else { 0 },
            ),
        ];
        for (operation, expected) in expected {
            let found = count(operation);
            assert!(
                (found - f64::from(expected)).abs() < 1e-9,
                "{share}, {operation}: {found}"
            );
        }
    }
    let bytes = [1, 2, 3].map(|share| work(share).proof_bytes);
    // Three helpers less and a quotient column more, 15 columns for 17 and so a round less; then one helper less and a
    // quotient column more.
    assert_eq!(bytes[0] - bytes[1], 2 * 32 * 3 - 32 + 2 * 32);
    assert_eq!(bytes[1] - bytes[2], 2 * 32 - 32);
}

#[test]
fn counts_grow_with_the_cells() {
    let [small, large] = [4, 8].map(|lanes| trace(&system(6, lanes, 2)));
    for operation in [
        Operation::CommitDictionary,
        Operation::Take,
        Operation::Fold,
    ] {
        let ratio = large.prove.count(operation) / small.prove.count(operation);
        assert!((1.4..=2.1).contains(&ratio), "{operation}: {ratio}");
    }
    let generators = |trace: &Trace| trace.commit.count(Operation::Generator);
    assert!((generators(&small) - 64.0).abs() < 1e-9);
    let longer = trace(&system(8, 4, 2));
    assert!((generators(&longer) - 256.0).abs() < 1e-9);
    assert!(longer.prove.peak_bytes > 2 * small.prove.peak_bytes);
    assert!(large.prove.peak_bytes > small.prove.peak_bytes);
}

/// All dense columns of a proof, each with its neighbour: their coefficients are written to zeros, and their rounds fold columns of n
/// rows, half as many each time.
#[test]
fn column_rounds_are_counted_at_their_shape() {
    let (log_n, lanes) = (8, 12);
    let system = system(log_n, lanes, 2);
    let work = trace(&system).prove;
    let tracks = system.tracks.iter().map(|track| track.columns);
    let columns = tracks.sum::<usize>() + system.quotient_columns();
    let rows = 1 << log_n;
    let count = |found: &dyn Fn(&Unit) -> bool| {
        let units = work.counts.iter().filter(|(unit, _)| found(unit));
        units.map(|(_, count)| count).sum::<f64>()
    };
    let cleared = count(&|u| u.operation == Operation::Clear && u.log_rows == log_n);
    assert!(
        cleared >= (columns * rows) as f64,
        "{cleared} of {columns} columns"
    );
    // f and a, in each round half of what is left.
    let folded = count(&|u| u.operation == Operation::Fold && u.log_rows == log_n);
    let least = 2 * (columns - 1) * rows;
    assert!(folded >= least as f64, "{folded} of {least}");
    let sizes = work
        .counts
        .keys()
        .filter(|u| u.operation == Operation::Fold);
    let sizes = sizes.filter(|u| u.log_rows == log_n && u.lanes > 0).count();
    let rounds = columns.next_power_of_two().trailing_zeros() as usize;
    assert_eq!(sizes, rounds, "each round has a price of its own");
}

/// Fewer columns than threads are one unit together; more are cut so that all threads have as much to do.
#[test]
fn idle_threads_are_paid_for() {
    let system = system(7, 5, 2);
    let dictionaries = |threads| {
        let work = Trace::of::<EqAffine>(&system, threads).unwrap().prove;
        let lanes: Vec<u32> = work
            .counts
            .keys()
            .filter(|unit| unit.operation == Operation::CommitDictionary)
            .map(|unit| unit.lanes)
            .collect();
        (work.count(Operation::CommitDictionary), lanes[0])
    };
    for (threads, count, lanes) in [(1, 5.0, 0), (2, 5.0, 0), (4, 5.0, 0), (8, 1.0, 5)] {
        let (found, of) = dictionaries(threads);
        assert!((found - count).abs() < 1e-9, "{threads} threads: {found}");
        assert_eq!(of, lanes, "{threads} threads");
    }
}

#[test]
fn the_sum_of_priced_counts() {
    let trace = trace(&system(5, 3, 2));
    let mut prices = Prices::default();
    let host = prices.seconds(&trace.prove);
    assert!(
        (host - trace.prove.host_seconds).abs() < 1e-12,
        "unpriced units are free"
    );
    let fold = trace
        .prove
        .counts
        .iter()
        .find(|(unit, _)| unit.operation == Operation::Fold);
    let (unit, count) = fold.unwrap();
    prices.set(*unit, 0.5);
    let found = prices.seconds(&trace.prove) - host;
    assert!(
        (found - 0.5 * count).abs() < 1e-6,
        "{found} for {count} folds"
    );
}

#[test]
fn prices_are_measured_once_and_kept() {
    let trace = trace(&system(5, 3, 3));
    let mut prices = Prices::default();
    assert!(
        prices
            .measure::<EqAffine, _>(&Cpu::new(), &trace.prove)
            .unwrap()
    );
    assert!(
        !prices
            .measure::<EqAffine, _>(&Cpu::new(), &trace.prove)
            .unwrap()
    );
    for unit in trace.prove.counts.keys() {
        let price = prices.of(unit).unwrap();
        assert!(price.is_finite() && price > 0.0, "{unit:?}: {price}");
    }
    assert_eq!(Prices::decode(&prices.encode()), Some(prices));
}

#[test]
fn prices_that_are_not_are_refused() {
    let good = "Fold 14 0 0 1e-8\n";
    let unit = Unit {
        log_rows: 14,
        ..Unit::plain(Operation::Fold)
    };
    assert_eq!(Prices::decode(good).unwrap().of(&unit), Some(1e-8));
    for bad in [
        "Folds 14 0 0 1e-8",
        "Fold 14 0 0",
        "Fold 14 0 0 -1",
        "Fold 14 0 0 NaN",
        "Fold 14 0 0 inf",
        "Fold -1 0 0 1",
        "Fold 14 0 0 1 1",
        "\n",
    ] {
        assert_eq!(Prices::decode(bad), None, "{bad:?}");
    }
}

/// Tensors, masks and boundaries are counted too: no kind of track makes a trace fail.
#[test]
fn every_kind_of_track() {
    let mut b = SystemBuilder::<Fp>::new(5, 1);
    let secret = b.masked_tensor("secret", 20);
    b.boundary("boundary", 40);
    b.arena("weights", 100);
    let keys = b.advice("keys", Phase::One, 0);
    let values = b.advice("values", Phase::One, 0);
    b.region(keys, 31);
    b.region(values, 31);
    let table = b.secret_table("table", 20, &[secret]);
    let inputs = [keys, values].map(LookupInput::plain);
    b.lookup("lookup", table, inputs.into(), None);
    let system = b.finish().unwrap();
    let trace = trace(&system);
    let tensors = system.columns_of(TrackKind::Tensor);
    assert!(tensors > 0 && trace.commit.count(Operation::Commit) > 0.0);
    assert_eq!(trace.proof_bytes, verifying_shape_bytes(&system));
}

fn verifying_shape_bytes(system: &ConstraintSystem<Fp>) -> usize {
    let layout = zkernel_verifier::layout::Layout::new(system);
    zkernel_verifier::proof::ProofShape::new(system, &layout).bytes()
}
