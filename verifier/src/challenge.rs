//! The verifier's challenges by name, and coefficients that depend on them.

use alloc::vec::Vec;

use ff::PrimeField;

use crate::curve::power;

/// A challenge of PROTOCOL's rounds that constraints may refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Challenge {
    /// Combines the rows of a product's left operand; drawn after phase 1.
    Rho = 0,
    /// Combines the columns of a product's right operand; drawn after phase 1.
    Tau = 1,
    /// Folds the rows of a secret table; drawn after phase 1.
    Alpha = 2,
    /// Ties phase-2 vectors to what they are contractions of; drawn after phase 2.
    Sigma = 3,
    /// Combines tag, key and values of a lookup into one element; drawn after phase 2.
    Theta = 4,
    /// The point of the logUp sums; drawn after phase 2.
    Beta = 5,
    /// Combines the gates; drawn after the helpers.
    Y = 6,
    /// The point at which the gate identity is checked; drawn after the quotient.
    Zeta = 7,
    /// Combines all claims of the inner-product argument; drawn after the evaluations.
    Lambda = 8,
}

/// Number of named challenges.
pub const CHALLENGES: usize = 9;

impl Challenge {
    /// All of them, in the order they are drawn.
    pub const ALL: [Self; CHALLENGES] = [
        Self::Rho,
        Self::Tau,
        Self::Alpha,
        Self::Sigma,
        Self::Theta,
        Self::Beta,
        Self::Y,
        Self::Zeta,
        Self::Lambda,
    ];

    /// Name absorbed when the challenge is drawn.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rho => "rho",
            Self::Tau => "tau",
            Self::Alpha => "alpha",
            Self::Sigma => "sigma",
            Self::Theta => "theta",
            Self::Beta => "beta",
            Self::Y => "y",
            Self::Zeta => "zeta",
            Self::Lambda => "lambda",
        }
    }
}

/// The values of the challenges drawn so far; one that has not been drawn reads as zero.
///
/// Which challenge may be read when is enforced by the rounds' types ([`crate::transcript`]) and by
/// [`crate::system::ConstraintSystem::validate`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenges<F>(Vec<(Challenge, F)>);

impl<F: PrimeField> Challenges<F> {
    /// No challenge drawn.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Records a drawn challenge.
    pub fn set(&mut self, challenge: Challenge, value: F) {
        self.0.retain(|(c, _)| *c != challenge);
        self.0.push((challenge, value));
    }

    /// The challenge's value, zero if not drawn yet.
    #[must_use]
    pub fn get(&self, challenge: Challenge) -> F {
        self.0
            .iter()
            .find(|(c, _)| *c == challenge)
            .map_or(F::ZERO, |(_, v)| *v)
    }
}

impl<F: PrimeField> Default for Challenges<F> {
    fn default() -> Self {
        Self::new()
    }
}

/// A public coefficient `value * challenge^exponent`, or just `value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coefficient<F> {
    /// The constant factor.
    pub value: F,
    /// A power of one challenge.
    pub power: Option<(Challenge, u32)>,
}

impl<F: PrimeField> Coefficient<F> {
    /// A constant.
    pub const fn constant(value: F) -> Self {
        Self { value, power: None }
    }

    /// `challenge^exponent`.
    #[must_use]
    pub const fn power(challenge: Challenge, exponent: u32) -> Self {
        Self {
            value: F::ONE,
            power: Some((challenge, exponent)),
        }
    }

    /// Its value under `challenges`.
    #[must_use]
    pub fn evaluate(&self, challenges: &Challenges<F>) -> F {
        match self.power {
            None => self.value,
            Some((challenge, exponent)) => {
                self.value * power(challenges.get(challenge), u64::from(exponent))
            }
        }
    }
}
