//! The Fiat-Shamir transcript: BLAKE2b-512, every item absorbed with a label and its length, every challenge a wide
//! reduction of 64 bytes.

use alloc::string::String;
#[cfg(feature = "attack")]
use alloc::vec::Vec;

use blake2b_simd::{Params, State};

use crate::curve::{Curve, Field};
use crate::encoding::Writer;

/// The running transcript.
///
/// ```
/// use pasta_curves::Fp;
/// use zkernel_verifier::transcript::Transcript;
///
/// let draw = |label, bytes: &[u8]| {
///     let mut transcript = Transcript::<Fp>::new();
///     transcript.absorb(label, bytes);
///     transcript.challenge("x")
/// };
/// assert_eq!(draw("a", b"bc"), draw("a", b"bc"));
/// assert_ne!(draw("a", b"bc"), draw("ab", b"c"), "labels and lengths are absorbed");
/// ```
#[derive(Clone)]
pub struct Transcript<F> {
    state: State,
    #[cfg(feature = "attack")]
    attack: Attack<F>,
    #[cfg(not(feature = "attack"))]
    field: core::marker::PhantomData<F>,
}

/// Challenges that a cheating prover knows too early, and a record of all challenges (test builds only).
#[cfg(feature = "attack")]
#[derive(Clone, Debug, Default)]
pub struct Attack<F> {
    /// Challenges replaced by a value chosen beforehand.
    pub forced: Vec<(String, F)>,
    /// Labels whose items are not absorbed.
    pub unabsorbed: Vec<&'static str>,
    /// All challenges drawn, in order.
    pub drawn: Vec<(String, F)>,
}

impl<F: Field> Transcript<F> {
    /// A fresh transcript.
    #[must_use]
    pub fn new() -> Self {
        let state = Params::new()
            .hash_length(64)
            .personal(b"zkernel-v1-trans")
            .to_state();
        Self {
            state,
            #[cfg(feature = "attack")]
            attack: Attack {
                forced: Vec::new(),
                unabsorbed: Vec::new(),
                drawn: Vec::new(),
            },
            #[cfg(not(feature = "attack"))]
            field: core::marker::PhantomData,
        }
    }

    /// A transcript whose challenges an attack foresees.
    #[cfg(feature = "attack")]
    #[must_use]
    pub fn with_attack(attack: Attack<F>) -> Self {
        Self {
            attack,
            ..Self::new()
        }
    }

    /// The challenges drawn so far.
    #[cfg(feature = "attack")]
    #[must_use]
    pub fn drawn(&self) -> &[(String, F)] {
        &self.attack.drawn
    }

    /// Absorbs bytes under a label.
    pub fn absorb(&mut self, label: &'static str, bytes: &[u8]) {
        #[cfg(feature = "attack")]
        if self.attack.unabsorbed.contains(&label) {
            return;
        }
        self.mix(b'a', label.as_bytes());
        self.mix(b'd', bytes);
    }

    /// Absorbs points under a label.
    pub fn absorb_points<C: Curve>(&mut self, label: &'static str, points: &[C]) {
        let mut writer = Writer::new();
        writer.points(points);
        self.absorb(label, &writer.0);
    }

    /// Absorbs scalars under a label.
    pub fn absorb_scalars(&mut self, label: &'static str, scalars: &[F]) {
        let mut writer = Writer::new();
        scalars.iter().for_each(|scalar| writer.scalar(scalar));
        self.absorb(label, &writer.0);
    }

    /// Draws the challenge of that name.
    pub fn challenge(&mut self, name: &str) -> F {
        self.mix(b'c', name.as_bytes());
        let digest = *self.state.finalize().as_array();
        self.state.update(&digest);
        let value = F::from_uniform_bytes(&digest);
        #[cfg(feature = "attack")]
        let value = {
            let forced = self
                .attack
                .forced
                .iter()
                .find(|(n, _)| n == name)
                .map_or(value, |(_, v)| *v);
            self.attack.drawn.push((String::from(name), forced));
            forced
        };
        value
    }

    /// Draws the challenge of round `index`.
    pub fn round_challenge(&mut self, name: &str, index: usize) -> F {
        let name: String = alloc::format!("{name}{index}");
        self.challenge(&name)
    }

    fn mix(&mut self, tag: u8, bytes: &[u8]) {
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.state
            .update(&[tag])
            .update(&len.to_le_bytes())
            .update(bytes);
    }
}

impl<F: Field> Default for Transcript<F> {
    fn default() -> Self {
        Self::new()
    }
}
