//! Small circuits and lookups built from bytes: the prover proves exactly what the mock prover finds satisfied, and the
//! verifier accepts it.

use ff::Field as _;
use pasta_curves::{EqAffine, Fp};
use zkernel_backend_cpu::Cpu;
use zkernel_engine::{Error, ProvingKey, Tensors, Witness, mock, prove};
use zkernel_verifier::builder::{Grouping, SystemBuilder};
use zkernel_verifier::challenge::Coefficient;
use zkernel_verifier::curve::{Generators, signed};
use zkernel_verifier::expression::Expression;
use zkernel_verifier::form::{Axis, Factor, LinearForm, Source as Reads, Strided, TrackId};
use zkernel_verifier::msm::msm;
use zkernel_verifier::proof::Proof;
use zkernel_verifier::system::{ConstraintSystem, LookupInput, Phase};
use zkernel_verifier::verify::verify;

use crate::source::Source;

const LOG_N: u32 = 3;
/// Usable rows of a column: n less one blinding row.
const USABLE: usize = 7;

/// Whether the prover gives a proof; one that it gives must verify, also after a round trip through its bytes.
fn proves(system: &ConstraintSystem<Fp>, instances: &[Vec<Fp>], witness: &Witness<Fp>) -> bool {
    let backend = Cpu::new();
    let tensors = no_tensors();
    let generators = Generators::<EqAffine>::derive(LOG_N);
    let key = ProvingKey::new(&backend, system.clone(), generators, &tensors, b"fuzz")
        .expect("the builder validated the system");
    let proof = match prove(&backend, &key, instances, witness) {
        Ok(proof) => proof,
        Err(Error::Unsatisfied(_) | Error::NotInTable { .. }) => return false,
        Err(other) => panic!("not an error of the witness: {other}"),
    };
    let decoded = Proof::decode(&proof.encode(), &key.verifying.shape).expect("own encoding");
    assert_eq!(verify(&key.verifying, instances, &decoded, &msm), Ok(()));
    true
}

const fn no_tensors() -> Tensors<Fp> {
    Tensors {
        values: Vec::new(),
        blinders: Vec::new(),
    }
}

/// Prover and mock prover agree on whether the witness satisfies the system.
fn agree(system: &ConstraintSystem<Fp>, instances: &[Vec<Fp>], witness: &Witness<Fp>) -> bool {
    let failures = mock::check(system, instances, witness, &no_tensors()).expect("randomness");
    let proven = proves(system, instances, witness);
    assert_eq!(proven, failures.is_empty(), "mock prover: {failures:?}");
    proven
}

/// Random small tables and witnesses: a proof exists exactly if every row is in its table.
pub fn lookups(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let mut b = SystemBuilder::<Fp>::new(LOG_N, 1);
    let arity = 1 + source.below(2);
    let height = 1 + source.below(12);
    let value = |source: &mut Source<'_>| i64::from(source.byte() % 5) - 2;
    let rows: Vec<i64> = (0..height * arity).map(|_| value(&mut source)).collect();
    let table = b.table("table", arity, rows.clone());
    let cells = 1 + source.below(2 * USABLE);
    // The padding is a row of the table, so that it never decides.
    let tracks: Vec<TrackId> = (0..arity)
        .map(|entry| b.advice(format!("x{entry}"), Phase::One, rows[entry]))
        .collect();
    tracks.iter().for_each(|track| {
        b.region(*track, cells);
    });
    let on: Vec<bool> = (0..2 * USABLE).map(|_| source.below(8) != 0).collect();
    let switched = source.below(2) == 1;
    let enabled = switched.then(|| {
        let values = on.iter().map(|on| Fp::from(u64::from(*on)));
        let len = cells.div_ceil(USABLE) * USABLE;
        b.fixed("on", values.take(len).collect())
    });
    let inputs: Vec<LookupInput> = tracks.iter().map(|id| LookupInput::plain(*id)).collect();
    b.group_lookups(Grouping::Of(source.below(5)));
    b.lookup("in table", table, inputs.clone(), enabled);
    if source.below(2) == 1 {
        // The same again, with the lanes of both in its helpers.
        b.lookup("in table again", table, inputs, enabled);
    }
    let system = b.finish().expect("a well-formed lookup");

    let known: Vec<&[i64]> = rows.chunks(arity).collect();
    let mut tuples: Vec<Vec<i64>> = (0..cells)
        .map(|_| known[source.below(height)].to_vec())
        .collect();
    let mut witness = Witness::default();
    if source.below(2) == 1 {
        let (cell, entry) = (source.below(cells), source.below(arity));
        tuples[cell][entry] = value(&mut source);
    }
    for (entry, track) in tracks.iter().enumerate() {
        witness.assign(*track, tuples.iter().map(|tuple| tuple[entry]).collect());
    }
    let checked = |cell: usize| !switched || on[cell];
    let expected = tuples
        .iter()
        .enumerate()
        .all(|(cell, tuple)| !checked(cell) || known.contains(&tuple.as_slice()));
    assert_eq!(agree(&system, &[], &witness), expected);
}

/// A gate `out = e(a, b)` over two columns of inputs, `out` copied to public values: an honest run is proven, and one with
/// a changed cell is proven exactly if the mock prover finds nothing.
pub fn circuits(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let mut b = SystemBuilder::<Fp>::new(LOG_N, 1);
    let names = ["a", "b", "out"];
    let [a, c, out] = names.map(|name| b.advice(name, Phase::One, 0));
    let cells = 1 + source.below(2 * USABLE);
    [a, c, out].iter().for_each(|track| {
        b.region(*track, cells);
    });
    let (pa, pc, po) = (b.plain(a), b.plain(c), b.plain(out));
    let term = polynomial(&mut source, 2);
    b.gate("out = e(a, b)", term.expression(pa.into(), pc.into()) - po);
    let y = b.instance("y", cells);
    let form = |source, scale: i64| {
        LinearForm::Strided(Strided {
            source,
            start: 0,
            axes: vec![Axis::new(
                cells,
                1,
                Factor::powers(zkernel_verifier::challenge::Challenge::Rho),
            )],
            scale: Coefficient::constant(signed(scale)),
        })
    };
    b.constrain(
        "out is public",
        1,
        vec![form(Reads::Track(out), 1), form(Reads::Instance(y), -1)],
    );
    let system = b.finish().expect("a well-formed circuit");

    let mut inputs = || {
        (0..cells)
            .map(|_| i64::from(source.byte()) - 128)
            .collect::<Vec<i64>>()
    };
    let (left, right) = (inputs(), inputs());
    let outputs: Vec<i64> = left
        .iter()
        .zip(&right)
        .map(|(a, b)| term.value(*a, *b))
        .collect();
    let instances = [outputs.iter().map(|v| signed(*v)).collect::<Vec<Fp>>()];
    let mut columns = [left, right, outputs];
    // Padding rows hold zeros, so they are satisfied only if e(0, 0) = 0; a short last column has some.
    let padded = !cells.is_multiple_of(USABLE);
    let honest = !padded || term.value(0, 0) == 0;
    assert_eq!(
        agree(&system, &instances, &witness([a, c, out], &columns)),
        honest
    );
    if source.is_empty() {
        return;
    }
    let (track, cell) = (source.below(3), source.below(cells));
    columns[track][cell] += i64::from(source.byte() % 8) - 3;
    agree(&system, &instances, &witness([a, c, out], &columns));
}

fn witness(tracks: [TrackId; 3], columns: &[Vec<i64>; 3]) -> Witness<Fp> {
    let mut witness = Witness::default();
    for (track, values) in tracks.into_iter().zip(columns) {
        witness.assign(track, values.clone());
    }
    witness
}

/// A polynomial in two variables with small constants.
enum Polynomial {
    A,
    B,
    Constant(i64),
    Sum(Box<Self>, Box<Self>),
    Product(Box<Self>, Box<Self>),
}

/// Degree at most 4 and constants at most 4, so that values stay below 2^62.
fn polynomial(source: &mut Source<'_>, depth: usize) -> Polynomial {
    match source.below(if depth == 0 { 3 } else { 5 }) {
        0 => Polynomial::A,
        1 => Polynomial::B,
        2 => Polynomial::Constant(i64::from(source.byte() % 9) - 4),
        kind => {
            let left = Box::new(polynomial(source, depth - 1));
            let right = Box::new(polynomial(source, depth - 1));
            if kind == 3 {
                Polynomial::Sum(left, right)
            } else {
                Polynomial::Product(left, right)
            }
        }
    }
}

impl Polynomial {
    fn value(&self, a: i64, b: i64) -> i64 {
        match self {
            Self::A => a,
            Self::B => b,
            Self::Constant(c) => *c,
            Self::Sum(x, y) => x.value(a, b) + y.value(a, b),
            Self::Product(x, y) => x.value(a, b) * y.value(a, b),
        }
    }

    fn expression(&self, a: Expression<Fp>, b: Expression<Fp>) -> Expression<Fp> {
        match self {
            Self::A => a,
            Self::B => b,
            Self::Constant(0) => Coefficient::constant(Fp::ZERO).into(),
            Self::Constant(c) => Coefficient::constant(signed(*c)).into(),
            Self::Sum(x, y) => x.expression(a.clone(), b.clone()) + y.expression(a, b),
            Self::Product(x, y) => x.expression(a.clone(), b.clone()) * y.expression(a, b),
        }
    }
}
