//! Building a constraint system: tracks grow region by region, lookups bring their helpers, gates and sum.

mod contraction;
mod grouping;
mod lookups;

use alloc::string::String;
use alloc::vec::Vec;

use ff::PrimeField;

use crate::challenge::Coefficient;
use crate::expression::{Expression, VirtualId};
use crate::form::{InstanceId, LinearForm, TrackId};
use crate::system::{
    ConstraintSystem, Contraction, Derivation, Gate, Instance, Lanes, LinearConstraint, Masks,
    Phase, Region, Track, TrackKind, VirtualColumn,
};
use crate::validate::SystemError;
pub use grouping::Grouping;
use lookups::Request;

/// A constraint system under construction.
///
/// Every method that can be misused defers its error to [`SystemBuilder::finish`].
///
/// ```
/// use pasta_curves::Fp;
/// use zkernel_verifier::builder::SystemBuilder;
/// use zkernel_verifier::expression::Expression;
/// use zkernel_verifier::system::{LookupInput, Phase};
///
/// // Bytes x and their squares y, on columns of 2^5 rows of which one is for blinding.
/// let mut builder = SystemBuilder::<Fp>::new(5, 1);
/// let [x, y] = ["x", "y"].map(|name| builder.advice(name, Phase::One, 0));
/// let cells = [x, y].map(|track| builder.region(track, 40));
/// assert_eq!(cells[0].len, 40);
/// let bytes = builder.table("bytes", 1, (0..256).collect());
/// builder.lookup("x is a byte", bytes, vec![LookupInput::plain(x)], None);
/// let [a, b] = [x, y].map(|track| builder.plain(track));
/// builder.gate("y = x^2", Expression::from(a) * a - b);
///
/// let system = builder.finish()?;
/// assert_eq!(system.track(x).map(|track| track.columns), Some(2));
/// assert_eq!(system.degree(), 2);
/// # Ok::<(), zkernel_verifier::validate::SystemError>(())
/// ```
pub struct SystemBuilder<F> {
    system: ConstraintSystem<F>,
    parallel: Vec<Vec<TrackId>>,
    requests: Vec<Request>,
    grouping: Grouping,
}

impl<F: PrimeField> SystemBuilder<F> {
    /// A system of `2^log_n` rows with `blinding` blinding rows (1 without rotations).
    #[must_use]
    pub const fn new(log_n: u32, blinding: usize) -> Self {
        let system = ConstraintSystem {
            log_n,
            blinding,
            tracks: Vec::new(),
            fixed: Vec::new(),
            instances: Vec::new(),
            virtuals: Vec::new(),
            gates: Vec::new(),
            tables: Vec::new(),
            lookups: Vec::new(),
            table_sides: Vec::new(),
            masks: None,
            derivations: Vec::new(),
            constraints: Vec::new(),
        };
        Self {
            system,
            parallel: Vec::new(),
            requests: Vec::new(),
            grouping: Grouping::Single,
        }
    }

    /// Rows that regions may use in a column.
    #[must_use]
    pub fn usable(&self) -> usize {
        self.system.usable()
    }

    /// A new, empty advice track. `padding` is the value of cells that no region uses (phase 1 only).
    pub fn advice(&mut self, name: impl Into<String>, phase: Phase, padding: i64) -> TrackId {
        let width = self.system.usable();
        self.push_track(name.into(), TrackKind::Advice(phase), width, 0, padding)
    }

    /// A fixed track holding `values`.
    pub fn fixed(&mut self, name: impl Into<String>, values: Vec<F>) -> TrackId {
        let width = self.system.usable();
        let id = self.push_track(name.into(), TrackKind::Fixed, width, values.len(), 0);
        self.system.fixed.push((id, values));
        id
    }

    /// A tensor of `rows` matrix rows of `cols` cells: a column holds `floor(n / cols)` whole rows; rows longer than n
    /// are padded to a multiple of n. Returns the track and the distance between neighbouring rows in positions.
    ///
    /// Padding rows are part of the committed matrix and of the forms over whole columns
    /// ([`SystemBuilder::tensor_rows`]): their outputs are constrained to zero.
    pub fn tensor(
        &mut self,
        name: impl Into<String>,
        rows: usize,
        cols: usize,
    ) -> (TrackId, usize) {
        let n = self.system.rows();
        let (width, stride) = match n.checked_div(cols) {
            Some(0) => (n, cols.div_ceil(n).saturating_mul(n)),
            Some(per_column) => (per_column.saturating_mul(cols), cols),
            None => (n, 1),
        };
        let id = self.push_track(
            name.into(),
            TrackKind::Tensor,
            width,
            rows.saturating_mul(stride),
            0,
        );
        (id, stride)
    }

    /// A tensor that is an arena of `len` cells in no particular shape.
    pub fn arena(&mut self, name: impl Into<String>, len: usize) -> TrackId {
        let n = self.system.rows();
        self.push_track(name.into(), TrackKind::Tensor, n, len, 0)
    }

    /// A tensor of `len` cells that gates and lookups may read, behind a fresh mask in every proof; linear forms too.
    pub fn masked_tensor(&mut self, name: impl Into<String>, len: usize) -> TrackId {
        let width = self.system.usable();
        self.push_track(name.into(), TrackKind::Tensor, width, len, 0)
    }

    /// A boundary of `len` cells: a committed vector of the statement that other proofs may share.
    pub fn boundary(&mut self, name: impl Into<String>, len: usize) -> TrackId {
        let n = self.system.rows();
        self.push_track(name.into(), TrackKind::Boundary, n, len, 0)
    }

    /// Matrix rows of a tensor with padding: what a form along the rows must cover to be one outer product per column.
    #[must_use]
    pub fn tensor_rows(&self, tensor: TrackId, stride: usize) -> usize {
        let Some(track) = self.system.track(tensor) else {
            return 0;
        };
        track
            .len
            .div_ceil(track.width.max(1))
            .saturating_mul(track.width)
            .checked_div(stride)
            .unwrap_or(0)
    }

    /// Appends `len` cells to an advice track.
    pub fn region(&mut self, track: TrackId, len: usize) -> Region {
        let index = usize::try_from(track.0).unwrap_or(usize::MAX);
        let start = self.system.tracks.get_mut(index).map_or(0, |t| {
            let start = t.len;
            t.len = t.len.saturating_add(len);
            start
        });
        Region { track, start, len }
    }

    /// Declares tracks parallel: they get the same number of columns.
    pub fn parallel(&mut self, tracks: &[TrackId]) {
        self.parallel.push(tracks.to_vec());
    }

    /// A vector of `len` public values.
    pub fn instance(&mut self, name: impl Into<String>, len: usize) -> InstanceId {
        let id = InstanceId(index(self.system.instances.len()));
        self.system.instances.push(Instance {
            name: name.into(),
            len,
        });
        id
    }

    /// A virtual column over parallel tracks.
    pub fn virtual_column(&mut self, column: VirtualColumn<F>) -> VirtualId {
        self.parallel
            .push(column.terms.iter().map(|(track, _)| *track).collect());
        let id = VirtualId(index(self.system.virtuals.len()));
        self.system.virtuals.push(column);
        id
    }

    /// The virtual column that is one track; the same one if called twice.
    pub fn plain(&mut self, track: TrackId) -> VirtualId {
        self.plain_lanes(track, None)
    }

    /// The virtual column that is some lanes of one track; the same one if called twice.
    fn plain_lanes(&mut self, track: TrackId, lanes: Option<Lanes>) -> VirtualId {
        let terms = alloc::vec![(track, Coefficient::constant(F::ONE))];
        let column = VirtualColumn {
            terms,
            constants: Vec::new(),
            rotation: 0,
            lanes,
        };
        match self.system.virtuals.iter().position(|v| *v == column) {
            Some(known) => VirtualId(index(known)),
            None => self.virtual_column(column),
        }
    }

    /// A gate; it holds on every usable row of every lane.
    pub fn gate(&mut self, name: impl Into<String>, expression: Expression<F>) {
        let mut ids = Vec::new();
        expression.virtuals(&mut |id| ids.push(id));
        let columns = ids.iter().filter_map(|id| self.system.virtual_column(*id));
        let whole = columns.filter(|column| column.lanes.is_none());
        let tracks = whole.filter_map(|column| Some(column.terms.first()?.0));
        self.parallel.push(tracks.collect());
        self.system.gates.push(Gate {
            name: name.into(),
            expression,
        });
    }

    /// A linear constraint: the forms sum to zero (for each of `claims` powers of lambda).
    pub fn constrain(&mut self, name: impl Into<String>, claims: u32, forms: Vec<LinearForm<F>>) {
        self.system.constraints.push(LinearConstraint {
            name: name.into(),
            claims,
            forms,
        });
    }

    /// Phase-2 cells that contract earlier ones, tied to them by a form in powers of sigma.
    pub fn contract(&mut self, contraction: Contraction<F>) {
        self.constrain(contraction.name.clone(), 1, contraction.tie());
        self.system
            .derivations
            .push(Derivation::Contract(contraction));
    }

    /// Phase-2 cells that contract earlier ones, added to what other contractions put there; the caller ties them. For
    /// cells that several contractions fill, such as the unfolded input of a convolution, one for each kernel position.
    pub fn derive(&mut self, contraction: Contraction<F>) {
        self.system
            .derivations
            .push(Derivation::Contract(contraction));
    }

    /// `target = left * right` on three parallel phase-2 tracks, with its gate.
    pub fn product(
        &mut self,
        name: impl Into<String>,
        left: TrackId,
        right: TrackId,
        target: TrackId,
    ) {
        let (l, r, p) = (self.plain(left), self.plain(right), self.plain(target));
        self.gate(name, Expression::from(p) - Expression::from(l) * r);
        self.system.derivations.push(Derivation::Product {
            left,
            right,
            target,
        });
    }

    /// Lays the tracks out, adds the helpers and the table side of the lookups, and validates everything.
    ///
    /// # Errors
    /// [`SystemError`] names what is wrong and where.
    pub fn finish(mut self) -> Result<ConstraintSystem<F>, SystemError> {
        if self.system.tables.iter().any(|t| t.secret.is_empty()) {
            self.add_public_side();
        }
        // Products multiply whole tracks of contractions, so they come after all of those.
        self.system
            .derivations
            .sort_by_key(|derivation| matches!(derivation, Derivation::Product { .. }));
        self.assign_columns();
        self.add_helpers();
        self.add_masks();
        if !self.system.table_sides.is_empty() {
            self.add_lookup_sum();
        }
        self.system.validate()?;
        Ok(self.system)
    }

    fn push_track(
        &mut self,
        name: String,
        kind: TrackKind,
        width: usize,
        len: usize,
        padding: i64,
    ) -> TrackId {
        let id = TrackId(index(self.system.tracks.len()));
        self.system.tracks.push(Track {
            name,
            kind,
            width,
            columns: 0,
            len,
            padding,
        });
        id
    }

    /// Mask cells for every tensor that a virtual column reads, `t` for each of its columns.
    fn add_masks(&mut self) {
        let is_tensor =
            |id: &TrackId| self.system.track(*id).map(|t| t.kind) == Some(TrackKind::Tensor);
        let read = self.system.virtuals.iter().flat_map(|v| &v.terms);
        let mut tensors: Vec<TrackId> = read.map(|(id, _)| *id).filter(is_tensor).collect();
        tensors.sort_unstable();
        tensors.dedup();
        if tensors.is_empty() {
            return;
        }
        let track = self.advice("masks", Phase::One, 0);
        let of = tensors.into_iter().map(|id| {
            let columns = self.system.track(id).map_or(0, |t| t.columns);
            let cells = columns.saturating_mul(self.system.blinding);
            (id, self.region(track, cells).start)
        });
        let of = of.collect();
        self.system.masks = Some(Masks { track, of });
        if let Some(masks) = self.system.tracks.last_mut() {
            masks.columns = masks.len.div_ceil(masks.width.max(1)).max(1);
        }
    }

    /// Every track gets as many columns as the longest of its parallel tracks needs.
    fn assign_columns(&mut self) {
        for track in &mut self.system.tracks {
            track.columns = track.len.div_ceil(track.width.max(1)).max(1);
        }
        let mut changed = true;
        while changed {
            changed = false;
            for group in &self.parallel {
                let columns = group
                    .iter()
                    .filter_map(|id| Some(self.system.track(*id)?.columns))
                    .fold(0, usize::max);
                for id in group {
                    let index = usize::try_from(id.0).unwrap_or(usize::MAX);
                    if let Some(track) = self
                        .system
                        .tracks
                        .get_mut(index)
                        .filter(|t| t.columns < columns)
                    {
                        track.columns = columns;
                        changed = true;
                    }
                }
            }
        }
        for track in self
            .system
            .tracks
            .iter_mut()
            .filter(|t| t.kind == TrackKind::Advice(Phase::Three))
        {
            track.len = track.columns.saturating_mul(track.width);
        }
        let cells: Vec<(TrackId, usize)> = self
            .system
            .fixed
            .iter()
            .filter_map(|(id, _)| {
                self.system
                    .track(*id)
                    .map(|t| (*id, t.columns.saturating_mul(t.width)))
            })
            .collect();
        for ((_, values), (_, cells)) in self.system.fixed.iter_mut().zip(cells) {
            values.resize(cells, F::ZERO);
        }
    }
}

fn index(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
