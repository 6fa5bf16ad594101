//! A second prover: by the definitions, on the host, with a hook before everything it sends.
//!
//! It shares with the engine's prover the constraint system, the rounds' types and the list of claims, and nothing else:
//! no backend, no streaming forms, no dictionary, no coset transform. That both convince the same verifier is a test of
//! the engine; that this one can lie at every step is the test of the verifier.

mod argument;
mod model;

use ff::Field as _;
use zkernel_engine::mock::Cells;
use zkernel_verifier::challenge::Challenge;
use zkernel_verifier::key::VerifyingKey;
use zkernel_verifier::proof::Proof;
use zkernel_verifier::rounds::{BadChallenge, PhaseOne};
use zkernel_verifier::system::Phase;
use zkernel_verifier::transcript::{Attack, Transcript};

use crate::{C, F};
use argument::Argument;
pub use model::Model;

/// What a prover knows: phase-1 cells (multiplicities included), tensors, and the tensors' blinding factors.
#[derive(Clone, Default)]
pub struct Secrets {
    /// Cells of phase-1 and tensor tracks.
    pub cells: Cells<F>,
    /// Blinding factor of each tensor column, in the order of track ids.
    pub blinders: Vec<F>,
    /// Blinding factor of each boundary column, in the order of track ids.
    pub boundary_blinders: Vec<F>,
}

/// A hook over the model before something is sent.
pub type Edit<'a> = Option<Box<dyn FnMut(&mut Model<'_>) + 'a>>;
/// Changes a round: given its number, the columns f, the forms a and the gap `T - <f, a>`, returns what is added to the
/// U component of L, and multiples of the generators added to L.
pub type ColumnCheat<'a> =
    Option<Box<dyn FnMut(usize, &mut Vec<Vec<F>>, &[Vec<F>], F) -> (F, Vec<F>) + 'a>>;

/// What a cheating prover changes; nothing by default.
#[derive(Default)]
pub struct Cheat<'a> {
    /// After the phase-2 cells are computed.
    pub phase_two: Edit<'a>,
    /// After the helpers are computed.
    pub helpers: Edit<'a>,
    /// After the quotient is computed.
    pub quotient: Edit<'a>,
    /// After the evaluations are computed.
    pub evaluations: Edit<'a>,
    /// After lambda is drawn; must not change what was sent.
    pub claims: Edit<'a>,
    /// In every column round.
    pub column_round: ColumnCheat<'a>,
    /// Given the number of an inner round and the gap: added to the U component of its L, times x.
    pub inner_round: Option<Box<dyn FnMut(usize, F) -> F + 'a>>,
    /// Given x and the gap: added to the U component of A.
    pub schnorr: Option<Box<dyn FnMut(F, F) -> F + 'a>>,
}

/// A proof, and the model that made it.
pub struct Outcome<'k> {
    /// The proof, not checked.
    pub proof: Proof<C>,
    /// All cells and challenges.
    pub model: Model<'k>,
}

/// Runs the protocol with a cheat. `early` are challenges that the prover (and the verifier it talks to) replaces.
///
/// # Errors
/// [`BadChallenge`] when a challenge is zero or zeta lies in a domain.
pub fn prove<'k>(
    key: &'k VerifyingKey<C>,
    instances: &[Vec<F>],
    secrets: &Secrets,
    cheat: &mut Cheat<'_>,
    early: &Attack<F>,
    seed: u64,
) -> Result<Outcome<'k>, BadChallenge> {
    let mut model = Model::new(key, instances, secrets, seed);
    let transcript = Transcript::with_attack(early.clone());
    let boundaries = model.commit_boundaries();
    let rounds = PhaseOne::start(key, instances, &boundaries, transcript);
    let one = model.commit_phase(Phase::One);
    let rounds = rounds.commit(&one)?;
    model.challenges = rounds.challenges().clone();
    model.fill_phase_two();
    model.apply(&mut cheat.phase_two);
    let two = model.commit_phase(Phase::Two);
    let rounds = rounds.commit(&two)?;
    model.challenges = rounds.challenges().clone();
    model.fill_helpers();
    model.apply(&mut cheat.helpers);
    let three = model.commit_phase(Phase::Three);
    let rounds = rounds.commit(&three)?;
    model.challenges = rounds.challenges().clone();
    model.fill_quotient();
    model.apply(&mut cheat.quotient);
    let quotient = model.commit_quotient();
    let rounds = rounds.commit(&quotient)?;
    model.challenges = rounds.challenges().clone();
    model.evaluations = model.evaluate(model.challenges.get(Challenge::Zeta));
    model.apply(&mut cheat.evaluations);
    let mut rounds = rounds.send(&model.evaluations)?;
    model.challenges = rounds.challenges().clone();

    model.apply(&mut cheat.claims);
    let (forms, target) = model.forms();
    let gap = target - model.inner_product(&forms);
    let mut last = Argument {
        f: model.list(),
        a: forms,
        r: F::ZERO,
        claim: F::ZERO,
        gap,
    };
    let column_rounds = last.fold_columns(&mut model, cheat, |cross| rounds.round(cross))?;
    let (x, mut rounds) = rounds.merge()?;
    let (inner_rounds, weights) =
        last.fold_rows(&mut model, x, cheat, |cross| rounds.round(cross))?;
    let (d, d_blinder) = (model.random(), model.random());
    let shift = cheat.schnorr.as_mut().map_or(F::ZERO, |c| c(x, gap));
    let masked: Vec<F> = weights.iter().map(|w| d * w).collect();
    let schnorr = model.commit(&masked, d * x * last.a[0][0] + shift, d_blinder);
    let e = rounds.schnorr(&schnorr)?;
    let proof = Proof {
        boundaries,
        commitments: [one, two, three, quotient],
        evaluations: model.evaluations.clone(),
        column_rounds,
        inner_rounds,
        schnorr,
        response: [d + e * last.f[0][0], d_blinder + e * last.r],
    };
    Ok(Outcome { proof, model })
}
