//! The verifying key: the constraint system, its generators and the commitments that all proofs share.

use alloc::vec::Vec;

use blake2b_simd::Params;
use ff::Field as _;
use group::Curve as _;

use crate::curve::{Curve, Generators, Scalar};
use crate::domain::Domain;
use crate::encoding::Writer;
use crate::expression::CompiledGate;
use crate::layout::Layout;
use crate::msm::Executor;
use crate::proof::ProofShape;
use crate::system::{ConstraintSystem, TrackKind};
use crate::validate::SystemError;

/// Everything a verifier needs, derived by itself from the constraint system; only the tensors' commitments are given.
#[derive(Clone, Debug)]
pub struct VerifyingKey<C: Curve> {
    /// The constraint system.
    pub system: ConstraintSystem<Scalar<C>>,
    /// Where its columns lie in the list.
    pub layout: Layout,
    /// H and the cosets of the quotient.
    pub domain: Domain<Scalar<C>>,
    /// The gates compiled, in order.
    pub gates: Vec<CompiledGate<Scalar<C>>>,
    /// The generators for its n.
    pub generators: Generators<C>,
    /// Commitments of the fixed columns, in the order of the list.
    pub fixed: Vec<C>,
    /// Commitments of the tensor columns, in the order of track ids.
    pub tensors: Vec<C>,
    /// Shape of its proofs.
    pub shape: ProofShape,
    /// Digest of all of the above but the tensors' commitments, which every proof absorbs as well.
    pub digest: [u8; 64],
    /// Checks left out, for tests that show each is needed.
    #[cfg(feature = "attack")]
    pub skip: Vec<alloc::string::String>,
}

/// Why a key was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The constraint system is not well-formed.
    #[error(transparent)]
    System(#[from] SystemError),
    /// Generators for another n.
    #[error("{found} row generators for {expected} rows")]
    Generators {
        /// Rows.
        expected: usize,
        /// Generators given.
        found: usize,
    },
    /// As many tensor commitments as tensor columns are needed.
    #[error("{found} tensor commitments for {expected} tensor columns")]
    Tensors {
        /// Tensor columns.
        expected: usize,
        /// Commitments given.
        found: usize,
    },
}

impl<C: Curve> VerifyingKey<C> {
    /// Makes the key: validates the system, compiles gates, commits to fixed columns, hashes everything.
    ///
    /// `statement` is hashed too: the canonical bytes of whatever the system was lowered from.
    ///
    /// ```
    /// use pasta_curves::{EqAffine, Fp};
    /// use zkernel_verifier::{builder::SystemBuilder, curve::Generators, key::VerifyingKey, msm::msm};
    ///
    /// let system = || SystemBuilder::<Fp>::new(3, 1).finish();
    /// let key = |statement: &[u8]| {
    ///     VerifyingKey::<EqAffine>::new(system()?, Generators::derive(3), vec![], statement, &msm)
    /// };
    /// assert_eq!(key(b"one")?.digest, key(b"one")?.digest);
    /// assert_ne!(key(b"one")?.digest, key(b"another")?.digest);
    /// # Ok::<(), zkernel_verifier::key::KeyError>(())
    /// ```
    ///
    /// # Errors
    /// [`KeyError`] says what does not fit.
    pub fn new(
        system: ConstraintSystem<Scalar<C>>,
        generators: Generators<C>,
        tensors: Vec<C>,
        statement: &[u8],
        execute: Executor<'_, C>,
    ) -> Result<Self, KeyError> {
        system.validate()?;
        if generators.rows.len() != system.rows() {
            return Err(KeyError::Generators {
                expected: system.rows(),
                found: generators.rows.len(),
            });
        }
        let expected = system.columns_of(TrackKind::Tensor);
        if tensors.len() != expected {
            return Err(KeyError::Tensors {
                expected,
                found: tensors.len(),
            });
        }
        let gates = system
            .gates
            .iter()
            .filter_map(|gate| gate.expression.compile())
            .collect();
        let layout = Layout::new(&system);
        let domain = Domain::new(system.log_n, system.blinding, system.coset_shifts());
        let fixed = commit_fixed(&system, &generators, execute);
        let shape = ProofShape::new(&system, &layout);
        let digest = digest(&system, &layout, &generators, &fixed, statement);
        Ok(Self {
            system,
            layout,
            domain,
            gates,
            generators,
            fixed,
            tensors,
            shape,
            digest,
            #[cfg(feature = "attack")]
            skip: Vec::new(),
        })
    }

    /// Whether a test leaves that check out. Always false outside attack builds.
    #[must_use]
    pub fn skips(&self, check: &str) -> bool {
        #[cfg(feature = "attack")]
        return self.skip.iter().any(|skipped| skipped == check);
        #[cfg(not(feature = "attack"))]
        {
            let _ = check;
            false
        }
    }
}

/// `[f] = sum_j f_j G_j` for every fixed column, without blinding; an all-zero column gives the identity.
fn commit_fixed<C: Curve>(
    system: &ConstraintSystem<Scalar<C>>,
    generators: &Generators<C>,
    execute: Executor<'_, C>,
) -> Vec<C> {
    let mut commitments = Vec::new();
    for (_, values) in &system.fixed {
        for column in values.chunks(system.usable().max(1)) {
            let used = column
                .iter()
                .zip(&generators.rows)
                .filter(|(value, _)| !bool::from(value.is_zero()));
            let (scalars, points): (Vec<_>, Vec<_>) =
                used.map(|(value, point)| (*value, *point)).unzip();
            commitments.push(if points.is_empty() {
                C::identity()
            } else {
                execute(&points, &scalars).to_affine()
            });
        }
    }
    commitments
}

fn digest<C: Curve>(
    system: &ConstraintSystem<Scalar<C>>,
    layout: &Layout,
    generators: &Generators<C>,
    fixed: &[C],
    statement: &[u8],
) -> [u8; 64] {
    let mut w = Writer::new();
    w.string(C::NAME);
    w.points(&generators.rows);
    w.points(&[generators.product, generators.blinding]);
    w.len(fixed.len());
    w.points(fixed);
    w.len(statement.len());
    w.bytes(statement);
    let Layout {
        order,
        quotient,
        columns,
        log_columns,
        ..
    } = layout;
    order.iter().for_each(|id| {
        w.u32(id.0);
        w.len(layout.first(*id));
    });
    w.len(*quotient);
    w.len(*columns);
    w.u32(*log_columns);
    w.bytes(&system.canonical_bytes());
    *Params::new()
        .hash_length(64)
        .personal(b"zkernel-v1-key\0\0")
        .hash(&w.0)
        .as_array()
}
