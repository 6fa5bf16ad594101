//! The rounds of the protocol as types: a challenge exists only after what it must follow has been absorbed.
//!
//! Prover and verifier walk the same chain
//! `PhaseOne -> PhaseTwo -> PhaseThree -> Quotient -> Evaluations -> ColumnRounds -> InnerRounds`.

use alloc::vec::Vec;

use crate::challenge::{Challenge, Challenges};
use crate::curve::{Curve, Scalar};
use crate::key::VerifyingKey;
use crate::transcript::Transcript;

/// A challenge that the verifier does not accept: zero, or zeta in H or in a coset of the quotient. The prover starts
/// again with fresh blinding; it has probability about n/p.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("challenge {0} is zero or lies in an evaluation domain")]
pub struct BadChallenge(pub &'static str);

struct State<'a, C: Curve> {
    key: &'a VerifyingKey<C>,
    transcript: Transcript<Scalar<C>>,
    challenges: Challenges<Scalar<C>>,
}

impl<C: Curve> State<'_, C> {
    fn draw(&mut self, drawn: &[Challenge]) -> Result<(), BadChallenge> {
        for challenge in drawn {
            let value = nonzero(
                self.transcript.challenge(challenge.name()),
                challenge.name(),
            )?;
            self.challenges.set(*challenge, value);
        }
        Ok(())
    }
}

/// Before any challenge.
pub struct PhaseOne<'a, C: Curve>(State<'a, C>);
/// rho, tau and alpha are known.
pub struct PhaseTwo<'a, C: Curve>(State<'a, C>);
/// sigma, theta and beta are known.
pub struct PhaseThree<'a, C: Curve>(State<'a, C>);
/// y is known.
pub struct Quotient<'a, C: Curve>(State<'a, C>);
/// zeta is known.
pub struct Evaluations<'a, C: Curve>(State<'a, C>);
/// lambda is known: all claims are one, and the columns are folded.
pub struct ColumnRounds<'a, C: Curve> {
    state: State<'a, C>,
    round: usize,
}
/// The columns are folded and x is known: one column is folded.
pub struct InnerRounds<C: Curve> {
    transcript: Transcript<Scalar<C>>,
    round: usize,
}

impl<'a, C: Curve> PhaseOne<'a, C> {
    /// Starts: absorbs the key's digest, the tensors' and the boundaries' commitments, and the public
    /// values with their lengths.
    pub fn start(
        key: &'a VerifyingKey<C>,
        instances: &[Vec<Scalar<C>>],
        boundaries: &[C],
        transcript: Transcript<Scalar<C>>,
    ) -> Self {
        let mut transcript = transcript;
        transcript.absorb("key", &key.digest);
        transcript.absorb_points("tensors", &key.tensors);
        transcript.absorb_points("boundaries", boundaries);
        for instance in instances {
            transcript.absorb_scalars("instance", instance);
        }
        Self(State {
            key,
            transcript,
            challenges: Challenges::new(),
        })
    }

    /// Absorbs the phase-1 commitments; draws rho, tau, alpha.
    ///
    /// # Errors
    /// [`BadChallenge`].
    pub fn commit(self, commitments: &[C]) -> Result<PhaseTwo<'a, C>, BadChallenge> {
        let mut state = self.0;
        state.transcript.absorb_points("phase 1", commitments);
        state.draw(&[Challenge::Rho, Challenge::Tau, Challenge::Alpha])?;
        Ok(PhaseTwo(state))
    }
}

impl<'a, C: Curve> PhaseTwo<'a, C> {
    /// The challenges drawn so far.
    #[must_use]
    pub const fn challenges(&self) -> &Challenges<Scalar<C>> {
        &self.0.challenges
    }

    /// Absorbs the phase-2 commitments; draws sigma, theta, beta.
    ///
    /// # Errors
    /// [`BadChallenge`].
    pub fn commit(self, commitments: &[C]) -> Result<PhaseThree<'a, C>, BadChallenge> {
        let mut state = self.0;
        state.transcript.absorb_points("phase 2", commitments);
        state.draw(&[Challenge::Sigma, Challenge::Theta, Challenge::Beta])?;
        Ok(PhaseThree(state))
    }
}

impl<'a, C: Curve> PhaseThree<'a, C> {
    /// The challenges drawn so far.
    #[must_use]
    pub const fn challenges(&self) -> &Challenges<Scalar<C>> {
        &self.0.challenges
    }

    /// Absorbs the helpers' commitments; draws y.
    ///
    /// # Errors
    /// [`BadChallenge`].
    pub fn commit(self, commitments: &[C]) -> Result<Quotient<'a, C>, BadChallenge> {
        let mut state = self.0;
        state.transcript.absorb_points("phase 3", commitments);
        state.draw(&[Challenge::Y])?;
        Ok(Quotient(state))
    }
}

impl<'a, C: Curve> Quotient<'a, C> {
    /// The challenges drawn so far.
    #[must_use]
    pub const fn challenges(&self) -> &Challenges<Scalar<C>> {
        &self.0.challenges
    }

    /// Absorbs the quotient's commitments; draws zeta, outside H and its cosets.
    ///
    /// # Errors
    /// [`BadChallenge`].
    pub fn commit(self, commitments: &[C]) -> Result<Evaluations<'a, C>, BadChallenge> {
        let mut state = self.0;
        state.transcript.absorb_points("quotient", commitments);
        state.draw(&[Challenge::Zeta])?;
        let zeta = state.challenges.get(Challenge::Zeta);
        if state.key.domain.excludes(zeta) {
            return Err(BadChallenge("zeta"));
        }
        Ok(Evaluations(state))
    }
}

impl<'a, C: Curve> Evaluations<'a, C> {
    /// The challenges drawn so far.
    #[must_use]
    pub const fn challenges(&self) -> &Challenges<Scalar<C>> {
        &self.0.challenges
    }

    /// Absorbs the evaluations at zeta; draws lambda.
    ///
    /// # Errors
    /// [`BadChallenge`].
    pub fn send(self, evaluations: &[Scalar<C>]) -> Result<ColumnRounds<'a, C>, BadChallenge> {
        let mut state = self.0;
        state.transcript.absorb_scalars("evaluations", evaluations);
        state.draw(&[Challenge::Lambda])?;
        Ok(ColumnRounds { state, round: 0 })
    }
}

impl<C: Curve> ColumnRounds<'_, C> {
    /// The challenges drawn so far.
    #[must_use]
    pub const fn challenges(&self) -> &Challenges<Scalar<C>> {
        &self.state.challenges
    }

    /// Absorbs L and R of a column round; draws its u.
    ///
    /// # Errors
    /// [`BadChallenge`].
    pub fn round(&mut self, cross: &[C; 2]) -> Result<Scalar<C>, BadChallenge> {
        self.state.transcript.absorb_points("column round", cross);
        let u = self.state.transcript.round_challenge("u", self.round);
        self.round = self.round.saturating_add(1);
        nonzero(u, "u")
    }

    /// Draws x, which merges commitment and claim only now: with an earlier x any claim could be forged.
    ///
    /// # Errors
    /// [`BadChallenge`].
    pub fn merge(self) -> Result<(Scalar<C>, InnerRounds<C>), BadChallenge> {
        let mut transcript = self.state.transcript;
        let x = nonzero(transcript.challenge("x"), "x")?;
        Ok((
            x,
            InnerRounds {
                transcript,
                round: 0,
            },
        ))
    }
}

impl<C: Curve> InnerRounds<C> {
    /// Absorbs L and R of an inner round; draws its v.
    ///
    /// # Errors
    /// [`BadChallenge`].
    pub fn round(&mut self, cross: &[C; 2]) -> Result<Scalar<C>, BadChallenge> {
        self.transcript.absorb_points("inner round", cross);
        let v = self.transcript.round_challenge("v", self.round);
        self.round = self.round.saturating_add(1);
        nonzero(v, "v")
    }

    /// Absorbs the Schnorr commitment A; draws e.
    ///
    /// # Errors
    /// [`BadChallenge`].
    pub fn schnorr(&mut self, commitment: &C) -> Result<Scalar<C>, BadChallenge> {
        self.transcript.absorb_points("schnorr", &[*commitment]);
        nonzero(self.transcript.challenge("e"), "e")
    }

    /// The transcript, at its end.
    #[cfg(feature = "attack")]
    #[must_use]
    pub fn transcript(&self) -> &Transcript<Scalar<C>> {
        &self.transcript
    }
}

fn nonzero<F: crate::curve::Field>(value: F, name: &'static str) -> Result<F, BadChallenge> {
    if bool::from(value.is_zero()) {
        Err(BadChallenge(name))
    } else {
        Ok(value)
    }
}
