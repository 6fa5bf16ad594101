//! What a proof will cost, before there is a witness.
//!
//! [`Trace::of`] runs key generation, prover and verifier of a constraint system on a backend that computes nothing and
//! writes down what it is asked ([`tally`]), for a witness that is made up ([`stand_in`]). What the host does itself is
//! done and timed; what a device would do is counted: MSM columns by width, transforms, gate programs, cells of linear
//! algebra. The counts follow the prover because it is the prover that is counted. [`Prices`] are seconds for one of
//! each, measured on the machine's own backend once, at the sizes that occur, of linear algebra at the nearest powers of two.
//!
//! ```
//! use pasta_curves::{EqAffine, Fp};
//! use zkernel_backend_cpu::Cpu;
//! use zkernel_engine::cost::{Operation, Prices, Trace};
//! use zkernel_verifier::plonk::Plonk;
//!
//! let mut plonk = Plonk::<Fp>::new(5);
//! let a = plonk.advice("a");
//! let cube = plonk.read(a, 0) * plonk.read(a, 0) * plonk.read(a, 0) - plonk.read(a, 0);
//! plonk.gate("-1, 0 or 1", cube);
//! let system = plonk.rows().finish()?;
//! let trace = Trace::of::<EqAffine>(&system, 2)?;
//! assert_eq!(trace.prove.count(Operation::CosetEvaluate), 2.0, "degree 3 takes two cosets");
//!
//! let mut prices = Prices::default();
//! prices.measure::<EqAffine, _>(&Cpu::new(), &trace.prove)?;
//! let seconds = prices.seconds(&trace.prove);
//! assert!(seconds > 0.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A count does not depend on the witness but for the number of distinct table rows a column hits and the magnitudes
//! of its cells; [`stand_in`] says what is assumed.

mod bench;
pub mod prices;
pub mod stand_in;
pub mod tally;
pub mod unit;

use std::collections::BTreeMap;
use std::time::Instant;

use zkernel_verifier::curve::{Curve, Generators, Point, Scalar};
use zkernel_verifier::proof::Proof;
use zkernel_verifier::system::ConstraintSystem;
use zkernel_verifier::transcript::Transcript;
use zkernel_verifier::verify::reduce;

use crate::error::Result;
use crate::keys::ProvingKey;
use crate::prover::{assignment_bytes, prove_once};
use crate::randomness::Randomness;
use crate::witness::Witness;
pub use prices::Prices;
use tally::Tally;
pub use unit::{Operation, Unit};

/// What one stage asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Work {
    /// How many of each unit a device computes.
    pub counts: BTreeMap<Unit, f64>,
    /// Seconds that the host took for its own part.
    pub host_seconds: f64,
    /// Largest number of bytes that columns and bases, and what an operation needs beside them, took at once.
    pub peak_bytes: usize,
}

/// The work of every stage for one constraint system, and the size of its proofs.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// Deriving generators, tables of the bases, committing to tensors, making the keys.
    pub commit: Work,
    /// From phase-1 cells to a proof that the own verifier accepted.
    pub prove: Work,
    /// Decoding and verifying one proof, the key being loaded.
    pub verify: Work,
    /// Bytes of a proof, exactly.
    pub proof_bytes: usize,
}

impl Work {
    /// Count of an operation, whatever the size of its units.
    #[must_use]
    pub fn count(&self, operation: Operation) -> f64 {
        let units = self.counts.iter();
        let of = units.filter(|(unit, _)| unit.operation == operation);
        of.map(|(_, count)| count).sum()
    }

    /// The counts are the same every time, the host's time is not: keeps the shorter.
    fn keep_shortest(&mut self, again: &Self) {
        self.host_seconds = self.host_seconds.min(again.host_seconds);
    }

    /// Adds what another stage asks for.
    fn include(&mut self, other: &Self) {
        for (unit, count) in &other.counts {
            *self.counts.entry(*unit).or_default() += count;
        }
        self.host_seconds += other.host_seconds;
        self.peak_bytes = self.peak_bytes.max(other.peak_bytes);
    }
}

impl Trace {
    /// Keeps the shorter of two times of the host for the same system, stage by stage.
    pub fn keep_shortest(&mut self, again: &Self) {
        self.commit.keep_shortest(&again.commit);
        self.prove.keep_shortest(&again.prove);
        self.verify.keep_shortest(&again.verify);
    }

    /// Counts the work for a system on a device that works on `threads` columns at once.
    ///
    /// # Errors
    /// [`crate::Error`] if the system is not well-formed, or the operating system has no randomness.
    pub fn of<C: Curve>(system: &ConstraintSystem<Scalar<C>>, threads: usize) -> Result<Self> {
        let tally = Tally::new(threads);
        let tensors = stand_in::tensors(system);
        let generators = some_generators::<C>(system.rows());
        tally.add_generators(system.rows());
        let start = Instant::now();
        let key = ProvingKey::new(&tally, system.clone(), generators, &tensors, &[])?;
        let commit = tally.finish(start);
        let (mut prove, proof, instances) = prove_with(&tally, &key)?;
        let bytes = proof.encode();
        let start = Instant::now();
        let decoded = Proof::<C>::decode(&bytes, &key.verifying.shape);
        let mut verify = tally.finish(start);
        let proof = decoded.unwrap_or(proof);
        let start = Instant::now();
        let sum = reduce(&key.verifying, &instances, &proof, Transcript::new());
        let sum = sum.map_err(crate::Error::Unsatisfied)?;
        let executor = crate::keys::executor::<C, _>(&tally);
        let _ = sum.is_identity(&key.verifying.generators, &executor);
        let checked = tally.finish(start);
        // The prover checks its proof as well, but has no need to decode it.
        prove.include(&checked);
        verify.include(&checked);
        Ok(Self {
            commit,
            prove,
            verify,
            proof_bytes: key.verifying.shape.bytes(),
        })
    }
}

type Instances<C> = Vec<Vec<Scalar<C>>>;

/// The prover's own work for a made-up witness and public zeros.
fn prove_with<C: Curve>(
    tally: &Tally,
    key: &ProvingKey<C, Tally>,
) -> Result<(Work, Proof<C>, Instances<C>)> {
    let system = &key.verifying.system;
    let assignment = stand_in::assignment(system);
    let zeros = |instance: &zkernel_verifier::system::Instance| {
        vec![<Scalar<C> as ff::Field>::ZERO; instance.len]
    };
    let instances: Instances<C> = system.instances.iter().map(zeros).collect();
    let start = Instant::now();
    // Padding alone is a witness of every lookup: it is resolved and counted like any other, for the time it takes.
    let padding = Witness {
        tracks: Vec::new(),
        boundaries: assignment.boundaries.clone(),
    };
    drop(padding.complete(system));
    let mut randomness = Randomness::hedged(&assignment_bytes(&assignment))?;
    let proof = prove_once(
        tally,
        key,
        &instances,
        &assignment,
        &mut randomness,
        Transcript::new(),
    )?;
    Ok((tally.finish(start), proof, instances))
}

/// Points that stand in for generators, which nothing is computed with.
fn some_generators<C: Curve>(rows: usize) -> Generators<C> {
    use group::{Curve as _, Group as _};
    let point = Point::<C>::generator().to_affine();
    Generators {
        rows: vec![point; rows],
        product: point,
        blinding: point,
    }
}

impl Prices {
    /// Seconds that some work takes: the host's own part, and every unit at its price. A unit without one is free; see
    /// [`Prices::measure`].
    #[must_use]
    pub fn seconds(&self, work: &Work) -> f64 {
        let units = work.counts.iter();
        let priced = units.map(|(unit, count)| count * self.of(unit).unwrap_or(0.0));
        work.host_seconds + priced.sum::<f64>()
    }
}
