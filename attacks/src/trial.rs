//! Trials: a cheating prover against the verifier, and whether it wins.

use std::collections::BTreeSet;

use ff::Field as _;
use zkernel_backend::Backend;
use zkernel_engine::mock::{Failure, violations};
use zkernel_verifier::expression::VirtualId;
use zkernel_verifier::msm::msm;
use zkernel_verifier::proof::Proof;
use zkernel_verifier::rounds::{BadChallenge, PhaseOne};
use zkernel_verifier::system::ConstraintSystem;
use zkernel_verifier::transcript::{Attack, Transcript};
use zkernel_verifier::verify::reduce;

use crate::case::Case;
use crate::cheats::fix_evaluation;
use crate::prover::{Cheat, Model, Outcome, Secrets, prove};
use crate::{C, F};

/// The foreseen value of a challenge.
pub const FORESEEN: u64 = 123_456_789;

/// Replaces challenges by [`FORESEEN`].
#[must_use]
pub fn early(names: &[&str]) -> Attack<F> {
    let forced = names.iter().map(|name| ((*name).into(), F::from(FORESEEN)));
    Attack {
        forced: forced.collect(),
        ..Attack::default()
    }
}

/// Makes the cheating provers of a test, which tries each more than once.
pub type MakeCheat<'a> = Box<dyn Fn() -> Cheat<'static> + 'a>;

/// A circuit with the false steps that its witnesses can take.
pub trait Fixture {
    /// The false steps, the honest one included.
    type Slip: Copy;

    /// The constraint system.
    fn system(&self) -> &ConstraintSystem<F>;

    /// A witness with that slip for a system of the same tracks, and its public values.
    fn witness(&self, system: &ConstraintSystem<F>, slip: Self::Slip) -> (Secrets, Vec<Vec<F>>);

    /// A statement and a witness with that slip, for the system changed by `edit` (a constraint deleted).
    ///
    /// # Panics
    /// If the changed system is refused.
    fn case(&self, slip: Self::Slip, edit: impl FnOnce(&mut ConstraintSystem<F>)) -> Case {
        let mut system = self.system().clone();
        edit(&mut system);
        let (secrets, instances) = self.witness(&system, slip);
        Case::new(system, instances, secrets)
    }
}

impl Case {
    /// Runs the prover with a cheat and challenges replaced by `early`.
    ///
    /// # Panics
    /// If a challenge is bad.
    #[must_use]
    pub fn attempt(&self, cheat: &mut Cheat<'_>, early: &Attack<F>, seed: u64) -> Outcome<'_> {
        let outcome = prove(
            &self.key,
            &self.instances,
            &self.secrets,
            cheat,
            early,
            seed,
        );
        outcome.expect("good challenges")
    }

    /// The proof of a prover that follows the protocol, whatever the witness.
    #[must_use]
    pub fn proof(&self, seed: u64) -> Proof<C> {
        let cheat = &mut Cheat::default();
        self.attempt(cheat, &Attack::default(), seed).proof
    }

    /// The engine's proof, which it has verified.
    ///
    /// # Errors
    /// What the engine says of the witness.
    pub fn engine_proof<B: Backend<C>>(&self, backend: &B) -> zkernel_engine::Result<Proof<C>> {
        let (key, witness) = self.for_engine(backend);
        zkernel_engine::prove(backend, &key, &self.instances, &witness)
    }

    /// Whether a verifier with those challenges replaced accepts.
    #[must_use]
    pub fn accepts(&self, proof: &Proof<C>, early: &Attack<F>) -> bool {
        accepts(self, &self.instances, proof, early)
    }

    /// Whether a cheat's proof is accepted.
    #[must_use]
    pub fn wins(&self, cheat: &mut Cheat<'_>) -> bool {
        self.wins_with(cheat, &Attack::default())
    }

    /// Whether a cheat's proof is accepted when prover and verifier have those challenges replaced.
    #[must_use]
    pub fn wins_with(&self, cheat: &mut Cheat<'_>, early: &Attack<F>) -> bool {
        let outcome = self.attempt(cheat, early, 1);
        self.accepts(&outcome.proof, early)
    }
}

/// Whether a verifier with those challenges replaced accepts these public values.
#[must_use]
pub fn accepts(case: &Case, instances: &[Vec<F>], proof: &Proof<C>, early: &Attack<F>) -> bool {
    let transcript = Transcript::with_attack(early.clone());
    reduce(&case.key, instances, proof, transcript)
        .is_ok_and(|deferred| deferred.is_identity(&case.key.generators, &msm))
}

/// All challenges that a verifier draws for a proof, in order.
///
/// # Errors
/// [`BadChallenge`], as the verifier.
pub fn challenges(
    case: &Case,
    instances: &[Vec<F>],
    proof: &Proof<C>,
) -> Result<Vec<(String, F)>, BadChallenge> {
    let [one, two, three, quotient] = &proof.commitments;
    let start = Transcript::new();
    let rounds = PhaseOne::start(&case.key, instances, &proof.boundaries, start);
    let rounds = rounds.commit(one)?.commit(two)?.commit(three)?;
    let mut rounds = rounds.commit(quotient)?.send(&proof.evaluations)?;
    for cross in &proof.column_rounds {
        rounds.round(cross)?;
    }
    let (_, mut rounds) = rounds.merge()?;
    for cross in &proof.inner_rounds {
        rounds.round(cross)?;
    }
    rounds.schnorr(&proof.schnorr)?;
    Ok(rounds.transcript().drawn().to_vec())
}

/// Names of the gates and constraints that a model breaks.
#[must_use]
pub fn broken(system: &ConstraintSystem<F>, model: &Model<'_>) -> Vec<String> {
    let failures = violations(system, &model.instances, &model.challenges, &model.cells);
    let name = |failure| match failure {
        Failure::Gate { gate, .. } => gate,
        Failure::Constraint(name) | Failure::Witness(name) => name,
    };
    failures.into_iter().map(name).collect()
}

/// For every gate and linear constraint a slip and a cheat that break it alone: refused, and accepted without it.
///
/// # Panics
/// If one is missing, breaks something else, is accepted, or is refused without its constraint.
pub fn each_constraint_is_needed<X: Fixture>(
    fixture: &X,
    cases: Vec<(&str, X::Slip, MakeCheat<'_>)>,
) {
    let system = fixture.system();
    let gates = system.gates.iter().map(|gate| gate.name.as_str());
    let constraints = system.constraints.iter().map(|c| c.name.as_str());
    let all: BTreeSet<&str> = gates.chain(constraints).collect();
    let tried: BTreeSet<&str> = cases.iter().map(|(name, ..)| *name).collect();
    assert_eq!(tried, all);
    for (name, slip, cheat) in cases {
        let case = fixture.case(slip, |_| {});
        let outcome = case.attempt(&mut cheat(), &Attack::default(), 1);
        let alone = broken(system, &outcome.model);
        assert_eq!(alone, [name], "{name}: broken alone");
        let accepted = case.accepts(&outcome.proof, &Attack::default());
        assert!(!accepted, "{name}: refused");
        let without = fixture.case(slip, |system| {
            *system = system.clone().without_gate(name).without_constraint(name);
        });
        assert!(without.wins(&mut cheat()), "{name}: wins without it");
    }
}

/// Lying about the evaluations of any virtual column makes all claims hold for a slip that breaks a gate: refused, and
/// accepted without the column's claims.
///
/// # Panics
/// If a lie is accepted, or refused without the claims.
pub fn each_evaluation_is_needed<X: Fixture>(fixture: &X, slip: X::Slip) {
    let system = fixture.system();
    let mut position = 0;
    for id in (0..system.virtuals.len() as u32).map(VirtualId) {
        let lanes = system.lanes(id);
        for skip in [None, Some(format!("evaluation {}", id.0))] {
            let mut case = fixture.case(slip, |_| {});
            let needless = skip.is_some();
            case.key.skip = skip.into_iter().collect();
            let mut cheat = fix_evaluation(position..position + lanes, F::ONE);
            assert_eq!(case.wins(&mut cheat), needless, "claim {}", id.0);
        }
        position += lanes;
    }
    assert_eq!(position, system.evaluations().count());
}
