//! The witness of one proof: the phase-1 cells, and which table rows its lookups hit.

use std::collections::HashMap;

use zkernel_backend::Body;
use zkernel_verifier::curve::Field;
use zkernel_verifier::form::TrackId;
use zkernel_verifier::system::{ConstraintSystem, Lookup, LookupTable, Phase, Track, TrackKind};

use crate::error::{Error, Result};
use crate::randomness::Randomness;

/// Phase-1 cells by track, in order of position. Cells that are not given get the track's padding value; the
/// multiplicities are not part of it.
#[derive(Clone, Default)]
pub struct Witness<F> {
    /// The cells of each assigned track.
    pub tracks: Vec<(TrackId, Body<F>)>,
    /// Every boundary that the statement shares with other proofs.
    pub boundaries: Vec<Boundary<F>>,
}

/// The secret side of a boundary: give the same one to every proof that shares it.
///
/// ```
/// use pasta_curves::Fp;
/// use zkernel_engine::Boundary;
/// use zkernel_verifier::{builder::SystemBuilder, form::TrackId};
///
/// let mut builder = SystemBuilder::<Fp>::new(4, 1);
/// let track = builder.boundary("activations", 20);
/// let system = builder.finish()?;
/// let boundary = Boundary::blinded(&system, track, (0..20).collect())?;
/// assert_eq!(boundary.blinders.len(), 2, "one for each column");
/// let next = boundary.shared_as(TrackId(3));
/// assert_eq!(next.blinders, boundary.blinders);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Boundary<F> {
    /// Its track in this system.
    pub track: TrackId,
    /// Its cells, at most `columns * n` of them; the rest is zero.
    pub values: Vec<i64>,
    /// Blinding factor of each column.
    pub blinders: Vec<F>,
}

/// All phase-1 cells, padded, and the table rows that lookups hit.
pub struct Assignment<F> {
    /// All boundaries, in track order.
    pub boundaries: Vec<Boundary<F>>,
    /// Cells of every phase-1 track, `columns * width` of them, in track order.
    pub tracks: Vec<(TrackId, Body<F>)>,
    /// For each lookup, the number (on its table's side) of the table row that each cell hits.
    pub hits: Vec<Vec<u32>>,
}

impl<F: Field> Witness<F> {
    /// Sets the cells of a track to small integers.
    pub fn assign(&mut self, track: TrackId, values: Vec<i64>) {
        self.tracks.push((track, Body::small(values)));
    }

    /// Pads all tracks, resolves all lookups and counts multiplicities.
    ///
    /// # Errors
    /// [`Error::Witness`] for a track of the wrong kind or length, [`Error::NotInTable`] for a failing lookup.
    pub fn complete(&self, system: &ConstraintSystem<F>) -> Result<Assignment<F>> {
        let counted = |id| system.table_sides.iter().any(|s| s.multiplicity == id);
        let mask = system.masks.as_ref().map(|masks| masks.track);
        let mut tracks = Vec::new();
        for (id, track) in system.tracks_of(TrackKind::Advice(Phase::One)) {
            let given = self
                .tracks
                .iter()
                .find(|(given, _)| *given == id)
                .map(|(_, body)| body);
            if !counted(id) && Some(id) != mask {
                tracks.push((id, pad(track, given)?));
            }
        }
        if let Some((id, _)) = self
            .tracks
            .iter()
            .find(|(id, _)| !tracks.iter().any(|(known, _)| known == id))
        {
            let name = system
                .track(*id)
                .map_or_else(|| format!("{id:?}"), |t| t.name.clone());
            return Err(witness_error(
                &name,
                "is not a phase-1 track to be assigned",
            ));
        }
        let indices: Vec<TableIndex> = system.tables.iter().map(TableIndex::new).collect();
        let hits = system
            .lookups
            .iter()
            .map(|lookup| resolve(system, lookup, &indices, &tracks))
            .collect::<Result<Vec<_>>>()?;
        for side in &system.table_sides {
            let id = side.multiplicity;
            let cells = system.track(id).map_or(0, |t| t.columns * t.width);
            let mut counts = vec![0i64; cells];
            let lookups = system.lookups.iter().zip(&hits);
            let of_side = lookups.filter(|(lookup, _)| system.side_of(lookup) == Some(side));
            let rows = of_side.flat_map(|(_, hits)| hits);
            for row in rows.filter(|row| **row != DISABLED) {
                counts[*row as usize] += 1;
            }
            tracks.push((id, Body::small(counts)));
        }
        tracks.sort_by_key(|(id, _)| *id);
        Ok(Assignment {
            boundaries: self.all_boundaries(system)?,
            tracks,
            hits,
        })
    }

    /// One boundary for each boundary track, in order.
    fn all_boundaries(&self, system: &ConstraintSystem<F>) -> Result<Vec<Boundary<F>>> {
        let given = |(id, track): (TrackId, &Track)| {
            let boundary = self.boundaries.iter().find(|b| b.track == id);
            let boundary = boundary.ok_or_else(|| witness_error(&track.name, "is not given"))?;
            let (cells, factors) = (track.columns * track.width, boundary.blinders.len());
            if boundary.values.len() > cells || factors != track.columns {
                let problem = format!(
                    "has {cells} cells in {} columns; {} values and {factors} blinding factors given",
                    track.columns,
                    boundary.values.len()
                );
                return Err(witness_error(&track.name, problem));
            }
            Ok(boundary.clone())
        };
        system.tracks_of(TrackKind::Boundary).map(given).collect()
    }
}

impl<F: Field> Boundary<F> {
    /// A boundary with fresh blinding factors.
    ///
    /// # Errors
    /// [`Error::Randomness`].
    pub fn blinded(system: &ConstraintSystem<F>, track: TrackId, values: Vec<i64>) -> Result<Self> {
        let secret: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let columns = system.track(track).map_or(0, |t| t.columns);
        let blinders = Randomness::hedged(&secret)?.scalars(columns);
        Ok(Self {
            track,
            values,
            blinders,
        })
    }

    /// The same boundary as another proof's track.
    #[must_use]
    pub fn shared_as(&self, track: TrackId) -> Self {
        Self {
            track,
            ..self.clone()
        }
    }
}

/// Marks a cell whose lookup is disabled.
pub const DISABLED: u32 = u32::MAX;

fn witness_error(track: &str, problem: impl Into<String>) -> Error {
    Error::Witness {
        track: track.into(),
        problem: problem.into(),
    }
}

fn pad<F: Field>(track: &Track, given: Option<&Body<F>>) -> Result<Body<F>> {
    let cells = track.columns * track.width;
    match given {
        None => Ok(Body::small(vec![track.padding; cells])),
        Some(body) if body.len() > cells => Err(witness_error(
            &track.name,
            format!("{} cells given, the track has {cells}", body.len()),
        )),
        Some(Body::Small { values, .. }) => {
            let mut values = values.clone();
            values.resize(cells, track.padding);
            Ok(Body::small(values))
        }
        Some(Body::Full(values)) => {
            let mut values = values.clone();
            values.resize(cells, zkernel_verifier::curve::signed(track.padding));
            Ok(Body::Full(values))
        }
    }
}

/// Finds the table row of every cell of a lookup, by the public entries. Secret ones are the business of the constraint:
/// a wrong one makes an invalid proof, which the prover's own check refuses.
fn resolve<F: Field>(
    system: &ConstraintSystem<F>,
    lookup: &Lookup,
    indices: &[TableIndex],
    tracks: &[(TrackId, Body<F>)],
) -> Result<Vec<u32>> {
    let id = lookup.table.0 as usize;
    let (table, index) = (&system.tables[id], &indices[id]);
    let inputs = lookup.inputs.iter().take(table.arity).map(|input| {
        let mut terms = Vec::new();
        for (id, coefficient) in &input.terms {
            terms.push((small_cells(system, tracks, *id)?, *coefficient));
        }
        Ok((terms, input.constant))
    });
    let inputs = inputs.collect::<Result<Vec<_>>>()?;
    let cells = system.looked_up(lookup);
    let enabled = lookup
        .enabled
        .and_then(|id| system.fixed.iter().find(|(track, _)| *track == id));
    let mut hits = Vec::with_capacity(cells.len());
    let mut tuple = vec![0i64; inputs.len()];
    for cell in cells {
        if enabled.is_some_and(|(_, values)| values[cell] == F::ZERO) {
            hits.push(DISABLED);
            continue;
        }
        for (value, (terms, constant)) in tuple.iter_mut().zip(&inputs) {
            *value = terms.iter().fold(*constant, |sum, (cells, c)| {
                sum.wrapping_add(c.wrapping_mul(cells[cell]))
            });
        }
        let width = system.usable();
        let row = index.find(table, &tuple).ok_or_else(|| Error::NotInTable {
            lookup: lookup.name.clone(),
            table: table.name.clone(),
            lane: cell / width,
            row: cell % width,
            tuple: tuple.clone(),
        })?;
        hits.push(row);
    }
    Ok(hits)
}

fn small_cells<'a, F: Field>(
    system: &'a ConstraintSystem<F>,
    tracks: &'a [(TrackId, Body<F>)],
    id: TrackId,
) -> Result<std::borrow::Cow<'a, [i64]>> {
    let name = || {
        system
            .track(id)
            .map_or_else(String::new, |t| t.name.clone())
    };
    let from_fields = |values: &[F]| {
        let small: Option<Vec<i64>> = values.iter().map(as_small).collect();
        small
            .map(Into::into)
            .ok_or_else(|| witness_error(&name(), "is looked up but holds values beyond 62 bits"))
    };
    if let Some((_, values)) = system.fixed.iter().find(|(track, _)| *track == id) {
        return from_fields(values);
    }
    match tracks.iter().find(|(track, _)| *track == id) {
        Some((_, Body::Small { values, .. })) => Ok(values.as_slice().into()),
        Some((_, Body::Full(values))) => from_fields(values),
        None => Err(witness_error(&name(), "is looked up but not assigned")),
    }
}

/// The small signed integer that a field element stands for.
fn as_small<F: Field>(value: &F) -> Option<i64> {
    let magnitude = |v: &F| {
        let repr = v.to_repr();
        let low = u64::from_le_bytes(repr[..8].try_into().ok()?);
        (repr[8..].iter().all(|b| *b == 0) && low < 1 << 62).then_some(low as i64)
    };
    magnitude(value).or_else(|| magnitude(&-*value).map(|v| -v))
}

/// Finds rows of a table: by offset if the first entries are consecutive integers, else by hash.
enum TableIndex {
    Consecutive { first: i64 },
    Hashed(HashMap<Vec<i64>, u32>),
}

impl TableIndex {
    fn new(table: &LookupTable) -> Self {
        let first = table.rows.first().copied().unwrap_or(0);
        let consecutive = table
            .rows
            .chunks(table.arity.max(1))
            .zip(0i64..)
            .all(|(row, i)| first.checked_add(i) == Some(row[0]));
        if consecutive {
            return Self::Consecutive { first };
        }
        let rows = table
            .rows
            .chunks(table.arity.max(1))
            .zip(0u32..)
            .map(|(row, i)| (row.to_vec(), i));
        Self::Hashed(rows.collect())
    }

    fn find(&self, table: &LookupTable, tuple: &[i64]) -> Option<u32> {
        let row = match self {
            Self::Consecutive { first } => u32::try_from(tuple[0].checked_sub(*first)?).ok()?,
            Self::Hashed(rows) => *rows.get(tuple)?,
        };
        let start = row as usize * table.arity;
        (table.rows.get(start..start + table.arity)? == tuple).then(|| table.offset as u32 + row)
    }
}
