//! Proving keys: a verifying key, and what the prover keeps on its device.

use std::cell::RefCell;
use std::collections::BTreeMap;

use ff::Field as _;
use group::Group as _;
use zkernel_backend::{Backend, Body, HostColumns};
use zkernel_verifier::curve::{Curve, Generators, Point, Scalar};
use zkernel_verifier::domain::Domain;
use zkernel_verifier::form::TrackId;
use zkernel_verifier::key::VerifyingKey;
use zkernel_verifier::msm::Executor;
use zkernel_verifier::system::{ConstraintSystem, TrackKind};

use crate::error::{Error, Result};
use crate::randomness::Randomness;

/// The secret side of committed tensors.
#[derive(Clone)]
pub struct Tensors<F> {
    /// Cells of each tensor track, at most `columns * width` of them; the rest is zero.
    pub values: Vec<(TrackId, Vec<i64>)>,
    /// Blinding factor of each tensor column, in the order of track ids; zero commits publicly.
    pub blinders: Vec<F>,
}

/// Everything the prover keeps between proofs.
pub struct ProvingKey<C: Curve, B: Backend<C>> {
    /// The verifying key.
    pub verifying: VerifyingKey<C>,
    /// `G_0 .. G_{n-1}, U, B` on the device.
    pub(crate) bases: B::Bases,
    /// Fixed and tensor columns on the device.
    pub(crate) columns: BTreeMap<TrackId, B::Columns>,
    /// Blinding factors of the tensors' columns.
    pub(crate) blinders: BTreeMap<TrackId, Vec<Scalar<C>>>,
    /// The gates' programs.
    pub(crate) kernels: Vec<B::Kernel>,
    /// `b / (g^n - 1)` on each coset gH of the quotient.
    pub(crate) vanishing: Vec<B::Columns>,
}

impl<F: zkernel_verifier::curve::Field> Tensors<F> {
    /// Tensors with fresh blinding factors.
    ///
    /// # Errors
    /// [`Error::Randomness`].
    pub fn blinded(system: &ConstraintSystem<F>, values: Vec<(TrackId, Vec<i64>)>) -> Result<Self> {
        let secret: Vec<u8> = values
            .iter()
            .flat_map(|(_, v)| v)
            .flat_map(|v| v.to_le_bytes())
            .collect();
        let blinders = Randomness::hedged(&secret)?.scalars(system.columns_of(TrackKind::Tensor));
        Ok(Self { values, blinders })
    }
}

impl<C: Curve, B: Backend<C>> ProvingKey<C, B> {
    /// Commits to the tensors and makes both keys. `statement` is hashed into the key's digest.
    ///
    /// # Errors
    /// [`Error`] if the system, the tensors or the device do not fit.
    pub fn new(
        backend: &B,
        system: ConstraintSystem<Scalar<C>>,
        generators: Generators<C>,
        tensors: &Tensors<Scalar<C>>,
        statement: &[u8],
    ) -> Result<Self> {
        let bases = load_bases(backend, &generators)?;
        let uploaded = upload_tensors(backend, &system, tensors)?;
        let batches: Vec<&B::Columns> = uploaded.iter().map(|(_, columns)| columns).collect();
        let extra: Vec<Vec<Scalar<C>>> = tensors
            .blinders
            .iter()
            .map(|r| vec![Scalar::<C>::default(), *r])
            .collect();
        let commitments = if batches.is_empty() {
            Vec::new()
        } else {
            backend.commit(&bases, &batches, &extra)?
        };
        let verifying = with_executor(backend, |executor| {
            VerifyingKey::new(system, generators, commitments, statement, executor)
        })??;
        Self::assemble(backend, verifying, bases, uploaded, tensors)
    }

    /// The proving key of a known verifying key, without committing again.
    ///
    /// # Errors
    /// As [`ProvingKey::new`].
    pub fn load(
        backend: &B,
        verifying: VerifyingKey<C>,
        tensors: &Tensors<Scalar<C>>,
    ) -> Result<Self> {
        let bases = load_bases(backend, &verifying.generators)?;
        let uploaded = upload_tensors(backend, &verifying.system, tensors)?;
        Self::assemble(backend, verifying, bases, uploaded, tensors)
    }

    fn assemble(
        backend: &B,
        verifying: VerifyingKey<C>,
        bases: B::Bases,
        uploaded: Vec<(TrackId, B::Columns)>,
        tensors: &Tensors<Scalar<C>>,
    ) -> Result<Self> {
        let system = &verifying.system;
        let mut columns: BTreeMap<_, _> = uploaded.into_iter().collect();
        for (id, values) in &system.fixed {
            columns.insert(*id, backend.upload(&fixed_columns(system, values))?);
        }
        let mut blinders = BTreeMap::new();
        let mut rest = tensors.blinders.as_slice();
        for (id, track) in system.tracks_of(TrackKind::Tensor) {
            let (of_track, others) = rest.split_at(track.columns);
            blinders.insert(id, of_track.to_vec());
            rest = others;
        }
        let kernels = verifying
            .gates
            .iter()
            .map(|gate| backend.prepare(&gate.program))
            .collect::<Result<_, _>>()?;
        let vanishing = vanishing_factors::<C, B>(backend, &verifying.domain)?;
        Ok(Self {
            verifying,
            bases,
            columns,
            blinders,
            kernels,
            vanishing,
        })
    }
}

/// `b / (g^n - 1)` on each coset gH, transformed from its coefficients.
fn vanishing_factors<C: Curve, B: Backend<C>>(
    backend: &B,
    domain: &Domain<Scalar<C>>,
) -> Result<Vec<B::Columns>> {
    let polynomial = domain.blinding_polynomial();
    let of_coset = |shift: &Scalar<C>| {
        let power = domain.power_n(*shift) - Scalar::<C>::ONE;
        let inverse = power.invert().unwrap_or(Scalar::<C>::ZERO);
        let mut coefficients: Vec<_> = polynomial.iter().map(|c| inverse * c).collect();
        coefficients.resize(domain.rows(), Scalar::<C>::ZERO);
        let host = HostColumns {
            rows: domain.rows(),
            columns: 1,
            body: Body::Full(coefficients),
            tail: Vec::new(),
        };
        Ok(backend.coset_evaluate(&backend.upload(&host)?, *shift)?)
    };
    domain.shifts.iter().map(of_coset).collect()
}

/// A verifier's MSM executor on a backend; a failing device gives a point that is not the identity.
pub fn executor<C: Curve, B: Backend<C>>(
    backend: &B,
) -> impl Fn(&[C], &[Scalar<C>]) -> Point<C> + '_ {
    |points, scalars| {
        backend
            .msm(points, scalars)
            .map_or_else(|_| Point::<C>::generator(), |point| point.to_curve())
    }
}

/// Runs `job` with a verifier's MSM executor on the backend. An executor cannot fail: where the device does, it gives a
/// point that is not the identity, and the device's error takes the place of the job's result.
///
/// # Errors
/// [`Error::Backend`] if the device failed.
pub(crate) fn with_executor<C: Curve, B: Backend<C>, T>(
    backend: &B,
    job: impl FnOnce(Executor<'_, C>) -> T,
) -> Result<T> {
    let failure = RefCell::new(None);
    let result = job(&|points, scalars| match backend.msm(points, scalars) {
        Ok(point) => point.to_curve(),
        Err(error) => {
            failure.replace(Some(error));
            Point::<C>::generator()
        }
    });
    failure
        .into_inner()
        .map_or(Ok(result), |error| Err(error.into()))
}

fn load_bases<C: Curve, B: Backend<C>>(
    backend: &B,
    generators: &Generators<C>,
) -> Result<B::Bases> {
    let mut points = generators.rows.clone();
    points.extend([generators.product, generators.blinding]);
    Ok(backend.load_bases(&points)?)
}

fn upload_tensors<C: Curve, B: Backend<C>>(
    backend: &B,
    system: &ConstraintSystem<Scalar<C>>,
    tensors: &Tensors<Scalar<C>>,
) -> Result<Vec<(TrackId, B::Columns)>> {
    let expected = system.columns_of(TrackKind::Tensor);
    if tensors.blinders.len() != expected {
        let problem = format!(
            "{} blinding factors for {expected} tensor columns",
            tensors.blinders.len()
        );
        return Err(Error::Witness {
            track: "tensors".into(),
            problem,
        });
    }
    let rows = system.rows();
    let upload = |(id, track): (TrackId, &zkernel_verifier::system::Track)| {
        let values = tensors
            .values
            .iter()
            .find(|(given, _)| *given == id)
            .map_or(&[][..], |(_, v)| v.as_slice());
        if values.len() > track.columns * track.width {
            let problem = format!(
                "{} cells given, the track has {}",
                values.len(),
                track.columns * track.width
            );
            return Err(Error::Witness {
                track: track.name.clone(),
                problem,
            });
        }
        let mut cells = vec![0i64; track.columns * rows];
        for (column, chunk) in values.chunks(track.width).enumerate() {
            cells[column * rows..column * rows + chunk.len()].copy_from_slice(chunk);
        }
        let columns = HostColumns {
            rows,
            columns: track.columns,
            body: Body::small(cells),
            tail: Vec::new(),
        };
        Ok((id, backend.upload(&columns)?))
    };
    system.tracks_of(TrackKind::Tensor).map(upload).collect()
}

/// Fixed columns: blinding rows are zero.
fn fixed_columns<F: zkernel_verifier::curve::Field>(
    system: &ConstraintSystem<F>,
    values: &[F],
) -> HostColumns<F> {
    let columns = values.len() / system.usable();
    let tail = vec![F::ZERO; columns * system.blinding];
    HostColumns {
        rows: system.rows(),
        columns,
        body: Body::Full(values.to_vec()),
        tail,
    }
}
