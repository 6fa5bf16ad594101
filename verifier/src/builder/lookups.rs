//! Tables and lookups: sides with their multiplicities, helpers with their gates, and the one sum over all of them.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use ff::PrimeField;

use super::grouping::{Demand, Group, Grouping, Member, Sizes, plan};
use super::{SystemBuilder, index};
use crate::challenge::{Challenge, Coefficient};
use crate::curve::signed;
use crate::expression::Expression;
use crate::form::{Axis, Factor, LinearForm, Source, Strided, TrackId};
use crate::system::{
    Lanes, Lookup, LookupInput, LookupTable, LookupTableId, Phase, TableSide, TrackKind,
    VirtualColumn,
};

/// A lookup as it was asked for; how its lanes share helpers is known when all tracks have their columns.
pub(super) struct Request {
    name: String,
    table: LookupTableId,
    inputs: Vec<LookupInput>,
    enabled: Option<TrackId>,
    grouping: Grouping,
}

impl<F: PrimeField> SystemBuilder<F> {
    /// A public table of rows of `arity` values; an identical table is shared.
    pub fn table(
        &mut self,
        name: impl Into<String>,
        arity: usize,
        rows: Vec<i64>,
    ) -> LookupTableId {
        let tables = &mut self.system.tables;
        if let Some(known) = tables
            .iter()
            .position(|t| t.arity == arity && t.rows == rows && t.secret.is_empty())
        {
            return LookupTableId(index(known));
        }
        let offset = tables
            .iter()
            .filter(|table| table.secret.is_empty())
            .map(LookupTable::height)
            .fold(0usize, usize::saturating_add);
        let tag = u64::from(index(tables.len())).saturating_add(1);
        tables.push(LookupTable {
            name: name.into(),
            tag,
            arity,
            rows,
            secret: Vec::new(),
            side: 0,
            offset,
        });
        LookupTableId(index(tables.len().saturating_sub(1)))
    }

    /// A table of `height` rows (i, values_1[i], values_2[i], ..) with public keys i and secret values: masked tensors,
    /// or advice of phases 1 and 2 (a tensor's rows folded with alpha). Its lookups read the key first.
    pub fn secret_table(
        &mut self,
        name: impl Into<String>,
        height: usize,
        values: &[TrackId],
    ) -> LookupTableId {
        let name = name.into();
        let tag = u64::from(index(self.system.tables.len())).saturating_add(1);
        let rows: Vec<i64> = (0i64..).take(height).collect();
        let tags = self.fixed(format!("{name}/tag"), alloc::vec![F::from(tag); height]);
        let keys = rows.iter().map(|key| signed(*key)).collect();
        let keys = self.fixed(format!("{name}/key"), keys);
        let entries = [&[keys], values].concat();
        let side = index(self.system.table_sides.len());
        self.add_side(&name, tags, entries, height);
        self.system.tables.push(LookupTable {
            name,
            tag,
            arity: 1,
            rows,
            secret: values.to_vec(),
            side,
            offset: 0,
        });
        LookupTableId(index(self.system.tables.len().saturating_sub(1)))
    }

    /// How the lookups declared from now on share helper columns; [`Grouping::Single`] unless this is called.
    ///
    /// ```
    /// use pasta_curves::Fp;
    /// use zkernel_verifier::builder::{Grouping, SystemBuilder};
    /// use zkernel_verifier::system::{LookupInput, Phase, TrackKind};
    ///
    /// // Seven lanes of range checks, three to a helper: two helpers of three lanes, one of what is left.
    /// let mut builder = SystemBuilder::<Fp>::new(4, 1);
    /// let x = builder.advice("x", Phase::One, 0);
    /// builder.region(x, 7 * 15);
    /// let bytes = builder.table("bytes", 1, (0..256).collect());
    /// builder.group_lookups(Grouping::Of(3));
    /// builder.lookup("x is a byte", bytes, vec![LookupInput::plain(x)], None);
    /// let system = builder.finish()?;
    /// assert_eq!(system.degree(), 4);
    /// let of_table = system.lanes(system.table_sides[0].folded);
    /// assert_eq!(system.columns_of(TrackKind::Advice(Phase::Three)), 3 + of_table);
    /// # Ok::<(), zkernel_verifier::validate::SystemError>(())
    /// ```
    pub const fn group_lookups(&mut self, grouping: Grouping) {
        self.grouping = grouping;
    }

    /// Every row of the (affine combinations of) tracks is a row of the table.
    ///
    /// In the finished system this is one [`Lookup`] of all lanes, or several of some lanes each if they share helpers.
    pub fn lookup(
        &mut self,
        name: impl Into<String>,
        table: LookupTableId,
        inputs: Vec<LookupInput>,
        enabled: Option<TrackId>,
    ) {
        let read = inputs.iter().flat_map(|input| &input.terms);
        let read = read.map(|(track, _)| *track).chain(enabled);
        self.parallel.push(read.collect());
        self.requests.push(Request {
            name: name.into(),
            table,
            inputs,
            enabled,
            grouping: self.grouping,
        });
    }

    /// The helpers of all lookups, with their gates.
    pub(super) fn add_helpers(&mut self) {
        let requests = core::mem::take(&mut self.requests);
        let demands: Vec<Demand> = requests.iter().map(|r| self.demand(r)).collect();
        let mut shared = 0u32;
        for Group { of, members } in plan(&demands, &Sizes::of(&self.system)) {
            let name = match of.and_then(|request| requests.get(request)) {
                Some(request) => request.name.clone(),
                None => {
                    shared = shared.saturating_add(1);
                    format!("shared helper {shared}")
                }
            };
            self.add_group(&name, &requests, &members);
        }
    }

    fn demand(&self, request: &Request) -> Demand {
        let mut read = request.inputs.iter().flat_map(|input| &input.terms);
        let track = read.next().and_then(|(id, _)| self.system.track(*id));
        Demand {
            lanes: track.map_or(0, |t| t.columns),
            rows: self.table_of(request).map_or(0, LookupTable::height),
            switched: request.enabled.is_some(),
            grouping: request.grouping,
        }
    }

    fn table_of(&self, request: &Request) -> Option<&LookupTable> {
        let table = usize::try_from(request.table.0).ok();
        table.and_then(|table| self.system.tables.get(table))
    }

    /// One helper track for members of equally many lanes, with the gate
    /// `h prod_j (beta + f_j) = sum_j q_j prod_{i != j} (beta + f_i)`.
    fn add_group(&mut self, name: &str, requests: &[Request], members: &[Member]) {
        let helper = self.advice(format!("{name}/h"), Phase::Three, 0);
        let mut fractions = Vec::new();
        for member in members {
            if let Some(request) = requests.get(member.request) {
                fractions.push(self.add_member(request, member.lanes, helper));
            }
        }
        let h = self.plain(helper);
        let gate = sum_of_fractions(h.into(), fractions);
        self.gate(format!("{name}/gate"), gate);
    }

    /// Some lanes of a lookup with that helper: `(beta + f, q)`, no q if all rows are enabled.
    fn add_member(
        &mut self,
        request: &Request,
        lanes: Option<Lanes>,
        helper: TrackId,
    ) -> Fraction<F> {
        let tag = self.table_of(request).map_or(0, |t| t.tag);
        let folded = self.virtual_column(VirtualColumn {
            lanes,
            ..folded_input(tag, &request.inputs)
        });
        let track = usize::try_from(helper.0).ok();
        let columns = self.system.lanes(folded);
        if let Some(track) = track.and_then(|i| self.system.tracks.get_mut(i)) {
            track.columns = columns;
            track.len = columns.saturating_mul(track.width);
        }
        self.system.lookups.push(Lookup {
            name: member_name(&request.name, lanes),
            table: request.table,
            inputs: request.inputs.clone(),
            enabled: request.enabled,
            helper,
            folded,
        });
        let enabled = request.enabled.map(|track| self.plain_lanes(track, lanes));
        (
            Expression::from(beta()) + folded,
            enabled.map(Expression::from),
        )
    }

    /// Fixed tracks of all table rows, padded by repeating the last row; multiplicities; helper; gate.
    pub(super) fn add_public_side(&mut self) {
        let side = index(self.system.table_sides.len());
        let mut tables = Vec::new();
        for table in self
            .system
            .tables
            .iter_mut()
            .filter(|t| t.secret.is_empty())
        {
            table.side = side;
            tables.push(table.clone());
        }
        let arity = tables.iter().map(|t| t.arity).fold(0, usize::max);
        let height: usize = tables.iter().map(LookupTable::height).sum();
        let width = self.system.usable().max(1);
        let cells = height.div_ceil(width).saturating_mul(width);
        let tags = tables
            .iter()
            .flat_map(|t| core::iter::repeat_n(F::from(t.tag), t.height()));
        let tags = repeat_last(tags.collect(), cells);
        let tag = self.fixed("table/tag", tags);
        let mut entries = Vec::new();
        for entry in 0..arity {
            let values = tables.iter().flat_map(|t| {
                t.rows
                    .chunks(t.arity.max(1))
                    .map(move |row| row.get(entry).map_or(F::ZERO, |v| signed(*v)))
            });
            let values = repeat_last(values.collect(), cells);
            entries.push(self.fixed(format!("table/entry {entry}"), values));
        }
        self.add_side("table", tag, entries, cells);
    }

    /// Multiplicities, helper, folded lane and gate `h (beta + f) + m = 0` of a table side.
    fn add_side(&mut self, name: &str, tag: TrackId, entries: Vec<TrackId>, cells: usize) {
        let multiplicity = self.advice(format!("{name}/m"), Phase::One, 0);
        self.region(multiplicity, cells);
        let helper = self.advice(format!("{name}/h"), Phase::Three, 0);
        let weighted = entries
            .iter()
            .zip(1u32..)
            .map(|(e, i)| (*e, Coefficient::power(Challenge::Theta, i)));
        let terms = core::iter::once((tag, Coefficient::constant(F::ONE)))
            .chain(weighted)
            .collect();
        let folded = self.virtual_column(VirtualColumn {
            terms,
            constants: Vec::new(),
            rotation: 0,
            lanes: None,
        });
        let (m, h) = (self.plain(multiplicity), self.plain(helper));
        let gate = Expression::from(h) * (Expression::from(beta()) + folded) + m;
        self.gate(format!("{name}/gate"), gate);
        self.system.table_sides.push(TableSide {
            tag,
            entries,
            multiplicity,
            helper,
            folded,
        });
    }

    /// `sum over all lanes <h, 1_usable> = 0`.
    pub(super) fn add_lookup_sum(&mut self) {
        let helpers: Vec<TrackId> = self
            .system
            .tracks_of(TrackKind::Advice(Phase::Three))
            .map(|(id, _)| id)
            .collect();
        let forms = helpers.into_iter().map(|id| {
            let len = self.system.track(id).map_or(0, |t| t.len);
            let axes = alloc::vec![Axis::new(len, 1, Factor::One)];
            LinearForm::Strided(Strided {
                source: Source::Track(id),
                start: 0,
                axes,
                scale: Coefficient::constant(F::ONE),
            })
        });
        let forms = forms.collect();
        self.constrain("lookup sum".to_string(), 1, forms);
    }
}

/// A denominator and a numerator; no numerator is 1.
type Fraction<F> = (Expression<F>, Option<Expression<F>>);

/// `h prod_j d_j - sum_j q_j prod_{i != j} d_i`: zero if h is the sum of all q_j / d_j, and only then where no d_j is zero.
fn sum_of_fractions<F: PrimeField>(h: Expression<F>, fractions: Vec<Fraction<F>>) -> Expression<F> {
    let times = |numerator: Option<Expression<F>>, factor: Expression<F>| match numerator {
        Some(numerator) => numerator * factor,
        None => factor,
    };
    let mut fractions = fractions.into_iter();
    let Some((mut denominator, mut numerator)) = fractions.next() else {
        return h;
    };
    for (d, q) in fractions {
        let own = times(q, denominator.clone());
        numerator = Some(times(numerator, d.clone()) + own);
        denominator = denominator * d;
    }
    let one = || Coefficient::constant(F::ONE).into();
    h * denominator - numerator.unwrap_or_else(one)
}

fn member_name(name: &str, lanes: Option<Lanes>) -> String {
    match lanes {
        None => name.to_string(),
        Some(Lanes { first, count: 1 }) => format!("{name}, lane {first}"),
        Some(Lanes { first, count }) => {
            format!("{name}, lanes {first}..{}", first.saturating_add(count))
        }
    }
}

const fn beta<F: PrimeField>() -> Coefficient<F> {
    Coefficient::power(Challenge::Beta, 1)
}

fn folded_input<F: PrimeField>(tag: u64, inputs: &[LookupInput]) -> VirtualColumn<F> {
    let mut terms = Vec::new();
    let mut constants = alloc::vec![Coefficient::constant(F::from(tag))];
    for (input, exponent) in inputs.iter().zip(1u32..) {
        let weighted = |value: i64| Coefficient {
            value: signed(value),
            power: Some((Challenge::Theta, exponent)),
        };
        terms.extend(input.terms.iter().map(|(track, c)| (*track, weighted(*c))));
        if input.constant != 0 {
            constants.push(weighted(input.constant));
        }
    }
    VirtualColumn {
        terms,
        constants,
        rotation: 0,
        lanes: None,
    }
}

fn repeat_last<F: PrimeField>(mut values: Vec<F>, len: usize) -> Vec<F> {
    let last = values.last().copied().unwrap_or(F::ZERO);
    values.resize(len, last);
    values
}
