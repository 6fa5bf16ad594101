//! Ordinary PLONKish circuits: columns of cells, custom gates with rotations, lookups, copies, constants, public inputs.
//!
//! A circuit is described in two steps. [`Plonk`] takes columns, gates and lookups: what holds on every row. From the
//! rotations follows how many blinding rows a column needs; [`Rows`] then takes what depends on rows: selectors and other
//! fixed cells, copies, constants, public cells.
//!
//! A column of a circuit may be longer than n: it is cut into lanes of n less the blinding rows, and [`Rows::region`]
//! keeps rows that gates read together within one lane. Wide and short is faster than long: n of about the square root of
//! the number of cells.
//!
//! ```
//! use pasta_curves::Fp;
//! use zkernel_verifier::plonk::Plonk;
//!
//! // x_{i+1} = x_i^2 + x_i on enabled rows; the first x is secret, the last one public.
//! let mut circuit = Plonk::<Fp>::new(4);
//! let (x, enabled) = (circuit.advice("x"), circuit.fixed("enabled"));
//! let (now, next) = (circuit.read(x, 0), circuit.read(x, 1));
//! let step = now.clone() * now.clone() + now - next;
//! let on = circuit.read(enabled, 0);
//! circuit.gate("step", on * step);
//!
//! let mut rows = circuit.rows();
//! let first = rows.region(5).unwrap();
//! for row in first..first + 4 {
//!     rows.fix(enabled, row, Fp::one());
//! }
//! let output = rows.instance("output", 1);
//! rows.public(x.cell(first + 4), output, 0);
//! let system = rows.finish().unwrap();
//! assert_eq!(system.degree(), 3);
//! assert_eq!(system.blinding, 2); // x is opened at zeta and at omega zeta
//! ```

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use ff::PrimeField;

use crate::builder::{Grouping, SystemBuilder};
use crate::challenge::{Challenge, Coefficient};
use crate::expression::{Expression, VirtualId};
use crate::form::{
    Axis, Cell, Factor, InstanceId, LinearForm, Source, SparseEntry, Strided, TrackId,
};
use crate::system::{ConstraintSystem, LookupInput, LookupTableId, Phase, VirtualColumn};
use crate::validate::SystemError;

/// A column of a circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Column(u32);

impl Column {
    /// The cell in a row.
    #[must_use]
    pub const fn cell(self, row: usize) -> Cell {
        Cell {
            track: TrackId(self.0),
            position: row,
        }
    }

    /// The column's track in the constraint system and in the witness.
    #[must_use]
    pub const fn track(self) -> TrackId {
        TrackId(self.0)
    }
}

struct Lookup {
    name: String,
    table: usize,
    inputs: Vec<LookupInput>,
    enabled: Option<Column>,
}

/// What holds on every row of a circuit.
pub struct Plonk<F> {
    log_n: u32,
    columns: Vec<(String, bool)>,
    reads: Vec<(Column, i32)>,
    gates: Vec<(String, Expression<F>)>,
    tables: Vec<(String, usize, Vec<i64>)>,
    lookups: Vec<Lookup>,
    grouping: Grouping,
}

/// A table of a circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table(usize);

impl<F: PrimeField> Plonk<F> {
    /// A circuit whose lanes have `2^log_n` rows.
    #[must_use]
    pub const fn new(log_n: u32) -> Self {
        Self {
            log_n,
            columns: Vec::new(),
            reads: Vec::new(),
            gates: Vec::new(),
            tables: Vec::new(),
            lookups: Vec::new(),
            grouping: Grouping::Single,
        }
    }

    /// A column of secret cells.
    pub fn advice(&mut self, name: impl Into<String>) -> Column {
        self.column(name.into(), true)
    }

    /// A column of public cells that belong to the circuit, such as a selector; zero where nothing is set.
    pub fn fixed(&mut self, name: impl Into<String>) -> Column {
        self.column(name.into(), false)
    }

    fn column(&mut self, name: String, advice: bool) -> Column {
        let column = Column(u32::try_from(self.columns.len()).unwrap_or(u32::MAX));
        self.columns.push((name, advice));
        column
    }

    /// The cell of a column `rotation` rows further down, for use in a gate.
    pub fn read(&mut self, column: Column, rotation: i32) -> Expression<F> {
        let read = (column, rotation);
        let known = self.reads.iter().position(|r| *r == read);
        let index = known.unwrap_or(self.reads.len());
        if known.is_none() {
            self.reads.push(read);
        }
        Expression::Virtual(VirtualId(u32::try_from(index).unwrap_or(u32::MAX)))
    }

    /// A polynomial in cells read with [`Plonk::read`] that is zero on every row. If it reads other rows, a fixed factor
    /// must switch it off where that leaves the lane.
    pub fn gate(&mut self, name: impl Into<String>, expression: Expression<F>) {
        self.gates.push((name.into(), expression));
    }

    /// A public table of rows of `arity` values.
    pub fn table(&mut self, name: impl Into<String>, arity: usize, rows: Vec<i64>) -> Table {
        self.tables.push((name.into(), arity, rows));
        Table(self.tables.len().saturating_sub(1))
    }

    /// The cells of these columns are together a row of the table: on rows where `enabled` is one, or on all rows (unused
    /// ones hold zeros).
    pub fn lookup(
        &mut self,
        name: impl Into<String>,
        table: Table,
        columns: &[Column],
        enabled: Option<Column>,
    ) {
        let inputs = columns.iter().map(|c| LookupInput::plain(c.track()));
        self.lookups.push(Lookup {
            name: name.into(),
            table: table.0,
            inputs: inputs.collect(),
            enabled,
        });
    }

    /// How many lanes of looked-up columns share a helper; [`Grouping::Single`] unless this is called. For all lookups.
    pub const fn group_lookups(&mut self, grouping: Grouping) {
        self.grouping = grouping;
    }

    /// Goes on to what depends on rows.
    #[must_use]
    pub fn rows(self) -> Rows<F> {
        let points = |column: usize| {
            let of_column = |(c, _): &&(Column, i32)| usize::try_from(c.0) == Ok(column);
            self.reads.iter().filter(of_column).count()
        };
        let blinding = (0..self.columns.len()).map(points).fold(1, usize::max);
        let usable = SystemBuilder::<F>::new(self.log_n, blinding).usable();
        Rows {
            circuit: self,
            blinding,
            usable,
            next: 0,
            fixed: BTreeMap::new(),
            copies: Vec::new(),
            constants: Vec::new(),
            instances: Vec::new(),
        }
    }
}

/// A public vector of a circuit, with the cells that its values lie in.
struct Public {
    name: String,
    cells: Vec<Option<Cell>>,
}

/// What depends on rows: fixed cells, copies, constants, public cells.
pub struct Rows<F> {
    circuit: Plonk<F>,
    blinding: usize,
    usable: usize,
    next: usize,
    fixed: BTreeMap<Cell, F>,
    copies: Vec<(Cell, Cell)>,
    constants: Vec<(Cell, F)>,
    instances: Vec<Public>,
}

impl<F: PrimeField> Rows<F> {
    /// Rows of a lane that cells may use: n less the blinding rows.
    #[must_use]
    pub const fn usable(&self) -> usize {
        self.usable
    }

    /// The next `len` unused rows of all columns, within one lane; the number of the first.
    ///
    /// # Errors
    /// [`SystemError::Length`] if a lane has fewer rows.
    pub fn region(&mut self, len: usize) -> Result<usize, SystemError> {
        if len > self.usable {
            let name = alloc::format!("a region of {len} rows in lanes of {}", self.usable);
            return Err(SystemError::Length(name));
        }
        let used = self.next.checked_rem(self.usable).unwrap_or(0);
        let left = self.usable.saturating_sub(used);
        if left < len {
            self.next = self.next.saturating_add(left);
        }
        let first = self.next;
        self.next = self.next.saturating_add(len);
        Ok(first)
    }

    /// Sets a fixed cell.
    pub fn fix(&mut self, column: Column, row: usize, value: F) {
        self.fixed.insert(column.cell(row), value);
    }

    /// Two cells are equal.
    pub fn copy(&mut self, a: Cell, b: Cell) {
        self.copies.push((a, b));
    }

    /// A cell has a public value that belongs to the circuit.
    pub fn constant(&mut self, cell: Cell, value: F) {
        self.constants.push((cell, value));
    }

    /// A vector of `len` public values.
    pub fn instance(&mut self, name: impl Into<String>, len: usize) -> InstanceId {
        let id = InstanceId(u32::try_from(self.instances.len()).unwrap_or(u32::MAX));
        self.instances.push(Public {
            name: name.into(),
            cells: alloc::vec![None; len],
        });
        id
    }

    /// A cell holds a public value.
    pub fn public(&mut self, cell: Cell, instance: InstanceId, index: usize) {
        let instance = usize::try_from(instance.0).unwrap_or(usize::MAX);
        let slot = self.instances.get_mut(instance);
        if let Some(slot) = slot.and_then(|public| public.cells.get_mut(index)) {
            *slot = Some(cell);
        }
    }

    /// The constraint system.
    ///
    /// # Errors
    /// [`SystemError`]: a public value without a cell, a cell outside the circuit, a gate that reads beyond its lane.
    pub fn finish(self) -> Result<ConstraintSystem<F>, SystemError> {
        let mut b = SystemBuilder::new(self.circuit.log_n, self.blinding);
        self.add_columns(&mut b)?;
        for (column, rotation) in &self.circuit.reads {
            b.virtual_column(VirtualColumn {
                terms: alloc::vec![(column.track(), Coefficient::constant(F::ONE))],
                constants: Vec::new(),
                rotation: *rotation,
                lanes: None,
            });
        }
        let tables: Vec<LookupTableId> = self
            .circuit
            .tables
            .iter()
            .map(|(name, arity, rows)| b.table(name.clone(), *arity, rows.clone()))
            .collect();
        b.group_lookups(self.circuit.grouping);
        for lookup in &self.circuit.lookups {
            let table = tables.get(lookup.table).copied();
            let table = table.ok_or_else(|| SystemError::Dangling(lookup.name.clone()))?;
            let enabled = lookup.enabled.map(Column::track);
            b.lookup(lookup.name.clone(), table, lookup.inputs.clone(), enabled);
        }
        for (name, expression) in &self.circuit.gates {
            b.gate(name.clone(), expression.clone());
        }
        self.add_constraints(&mut b)?;
        b.finish()
    }

    /// All columns as parallel tracks, in order.
    fn add_columns(&self, b: &mut SystemBuilder<F>) -> Result<(), SystemError> {
        let cells = self.next.max(1);
        let mut tracks = Vec::new();
        for ((name, advice), id) in self.circuit.columns.iter().zip(0u32..) {
            tracks.push(if *advice {
                let track = b.advice(name.clone(), Phase::One, 0);
                b.region(track, cells);
                track
            } else {
                let first = Column(id).cell(0);
                let mut values = alloc::vec![F::ZERO; cells];
                for (cell, value) in self
                    .fixed
                    .range(first..)
                    .take_while(|(c, _)| c.track == first.track)
                {
                    *values
                        .get_mut(cell.position)
                        .ok_or_else(|| SystemError::OutOfRange {
                            name: "a fixed cell".to_string(),
                            track: name.clone(),
                            position: cell.position,
                            len: cells,
                        })? = *value;
                }
                b.fixed(name.clone(), values)
            });
        }
        b.parallel(&tracks);
        Ok(())
    }

    /// All copies are one family of claims, numbered by powers of lambda; so are all constants and each public vector.
    fn add_constraints(&self, b: &mut SystemBuilder<F>) -> Result<(), SystemError> {
        let entry = |cell: Cell, coefficient: F, claim: u32| SparseEntry {
            cell,
            coefficient,
            claim,
        };
        let count = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        let numbered = |source, len: usize, factor| {
            LinearForm::Strided(Strided {
                source,
                start: 0,
                axes: alloc::vec![Axis::new(len, 1, factor)],
                scale: Coefficient::constant(-F::ONE),
            })
        };
        let lambda = || Factor::powers(Challenge::Lambda);
        let copies = self
            .copies
            .iter()
            .zip(0u32..)
            .flat_map(|((left, right), claim)| {
                [entry(*left, F::ONE, claim), entry(*right, -F::ONE, claim)]
            });
        if !self.copies.is_empty() {
            let form = LinearForm::Sparse(copies.collect());
            b.constrain("copies", count(self.copies.len()), alloc::vec![form]);
        }
        if !self.constants.is_empty() {
            let cells = self.constants.iter().zip(0u32..);
            let cells = cells.map(|((cell, _), claim)| entry(*cell, F::ONE, claim));
            let values = self.constants.iter().map(|(_, value)| *value).collect();
            let factor = Factor::Product(alloc::vec![lambda(), Factor::Values(values)]);
            let forms = alloc::vec![
                LinearForm::Sparse(cells.collect()),
                numbered(Source::One, self.constants.len(), factor),
            ];
            b.constrain("constants", count(self.constants.len()), forms);
        }
        for public in &self.instances {
            let id = b.instance(public.name.clone(), public.cells.len());
            let cells = public.cells.iter().zip(0u32..).map(|(cell, claim)| {
                let missing = || SystemError::Empty(alloc::format!("{}[{claim}]", public.name));
                Ok(entry(cell.ok_or_else(missing)?, F::ONE, claim))
            });
            let cells = cells.collect::<Result<Vec<_>, SystemError>>()?;
            let len = public.cells.len();
            let forms = alloc::vec![
                LinearForm::Sparse(cells),
                numbered(Source::Instance(id), len, lambda()),
            ];
            b.constrain(alloc::format!("public {}", public.name), count(len), forms);
        }
        Ok(())
    }
}
