//! Canonical bytes of a lowered constraint system, for the key's digest.
//!
//! Every struct is destructured in full, so that a new field cannot be forgotten: the compiler asks for it.

mod forms;

use ff::PrimeField;

use crate::challenge::Coefficient;
use crate::encoding::Writer;
use crate::expression::{Expression, VirtualId};
use crate::form::TrackId;
use crate::system::{
    ConstraintSystem, Gate, Instance, Lanes, Lookup, LookupInput, LookupTable, LookupTableId,
    Masks, Region, TableSide, Track, TrackKind, VirtualColumn,
};

/// Appends a value's canonical bytes.
pub(crate) trait Encode {
    fn encode(&self, w: &mut Writer);
}

impl<T: Encode> Encode for alloc::vec::Vec<T> {
    fn encode(&self, w: &mut Writer) {
        w.len(self.len());
        self.iter().for_each(|item| item.encode(w));
    }
}

impl<T: Encode> Encode for Option<T> {
    fn encode(&self, w: &mut Writer) {
        w.u8(u8::from(self.is_some()));
        if let Some(item) = self {
            item.encode(w);
        }
    }
}

impl<A: Encode, B: Encode> Encode for (A, B) {
    fn encode(&self, w: &mut Writer) {
        self.0.encode(w);
        self.1.encode(w);
    }
}

impl Encode for usize {
    fn encode(&self, w: &mut Writer) {
        w.len(*self);
    }
}

impl Encode for u32 {
    fn encode(&self, w: &mut Writer) {
        w.u32(*self);
    }
}

impl Encode for i64 {
    fn encode(&self, w: &mut Writer) {
        w.i64(*self);
    }
}

fn elements<F: PrimeField>(values: &[F], w: &mut Writer) {
    w.len(values.len());
    values.iter().for_each(|value| w.scalar(value));
}

macro_rules! encode_ids {
    ($($id:ty),*) => {$(
        impl Encode for $id {
            fn encode(&self, w: &mut Writer) {
                w.u32(self.0);
            }
        }
    )*};
}

encode_ids!(TrackId, VirtualId, LookupTableId, crate::form::InstanceId);

impl Encode for TrackKind {
    fn encode(&self, w: &mut Writer) {
        match self {
            Self::Fixed => w.u8(0),
            Self::Tensor => w.u8(1),
            Self::Boundary => w.u8(3),
            Self::Advice(phase) => {
                w.u8(2);
                w.u8(match phase {
                    crate::system::Phase::One => 1,
                    crate::system::Phase::Two => 2,
                    crate::system::Phase::Three => 3,
                });
            }
        }
    }
}

impl Encode for crate::challenge::Challenge {
    fn encode(&self, w: &mut Writer) {
        w.string(self.name());
    }
}

impl<F: PrimeField> Encode for Coefficient<F> {
    fn encode(&self, w: &mut Writer) {
        let Self { value, power } = self;
        w.scalar(value);
        power.encode(w);
    }
}

impl Encode for Track {
    fn encode(&self, w: &mut Writer) {
        let Self {
            name,
            kind,
            width,
            columns,
            len,
            padding,
        } = self;
        w.string(name);
        kind.encode(w);
        width.encode(w);
        columns.encode(w);
        len.encode(w);
        padding.encode(w);
    }
}

impl Encode for Instance {
    fn encode(&self, w: &mut Writer) {
        let Self { name, len } = self;
        w.string(name);
        len.encode(w);
    }
}

impl Encode for Region {
    fn encode(&self, w: &mut Writer) {
        let Self { track, start, len } = self;
        track.encode(w);
        start.encode(w);
        len.encode(w);
    }
}

impl Encode for Lanes {
    fn encode(&self, w: &mut Writer) {
        let Self { first, count } = self;
        first.encode(w);
        count.encode(w);
    }
}

impl<F: PrimeField> Encode for VirtualColumn<F> {
    fn encode(&self, w: &mut Writer) {
        let Self {
            terms,
            constants,
            rotation,
            lanes,
        } = self;
        terms.encode(w);
        constants.encode(w);
        w.i64(i64::from(*rotation));
        lanes.encode(w);
    }
}

impl<F: PrimeField> Encode for Expression<F> {
    fn encode(&self, w: &mut Writer) {
        let mut binary = |tag: u8, a: &Self, b: &Self| {
            w.u8(tag);
            a.encode(w);
            b.encode(w);
        };
        match self {
            Self::Sum(a, b) => binary(2, a, b),
            Self::Difference(a, b) => binary(3, a, b),
            Self::Product(a, b) => binary(4, a, b),
            Self::Constant(coefficient) => {
                w.u8(0);
                coefficient.encode(w);
            }
            Self::Virtual(id) => {
                w.u8(1);
                id.encode(w);
            }
        }
    }
}

impl<F: PrimeField> Encode for Gate<F> {
    fn encode(&self, w: &mut Writer) {
        let Self { name, expression } = self;
        w.string(name);
        expression.encode(w);
    }
}

impl Encode for LookupTable {
    fn encode(&self, w: &mut Writer) {
        let Self {
            name,
            tag,
            arity,
            rows,
            secret,
            side,
            offset,
        } = self;
        w.string(name);
        w.u64(*tag);
        arity.encode(w);
        rows.encode(w);
        secret.encode(w);
        side.encode(w);
        offset.encode(w);
    }
}

impl Encode for LookupInput {
    fn encode(&self, w: &mut Writer) {
        let Self { terms, constant } = self;
        terms.encode(w);
        constant.encode(w);
    }
}

impl Encode for Lookup {
    fn encode(&self, w: &mut Writer) {
        let Self {
            name,
            table,
            inputs,
            enabled,
            helper,
            folded,
        } = self;
        w.string(name);
        table.encode(w);
        inputs.encode(w);
        enabled.encode(w);
        helper.encode(w);
        folded.encode(w);
    }
}

impl Encode for Masks {
    fn encode(&self, w: &mut Writer) {
        let Self { track, of } = self;
        track.encode(w);
        of.encode(w);
    }
}

impl Encode for TableSide {
    fn encode(&self, w: &mut Writer) {
        let Self {
            tag,
            entries,
            multiplicity,
            helper,
            folded,
        } = self;
        tag.encode(w);
        entries.encode(w);
        multiplicity.encode(w);
        helper.encode(w);
        folded.encode(w);
    }
}

impl<F: PrimeField> ConstraintSystem<F> {
    /// The canonical bytes that the key's digest covers.
    #[must_use]
    pub fn canonical_bytes(&self) -> alloc::vec::Vec<u8> {
        let Self {
            log_n,
            blinding,
            tracks,
            fixed,
            instances,
            virtuals,
            gates,
            tables,
            lookups,
            table_sides,
            masks,
            derivations,
            constraints,
        } = self;
        let mut w = Writer::new();
        w.u32(*log_n);
        blinding.encode(&mut w);
        tracks.encode(&mut w);
        w.len(fixed.len());
        for (track, values) in fixed {
            track.encode(&mut w);
            elements(values, &mut w);
        }
        instances.encode(&mut w);
        virtuals.encode(&mut w);
        gates.encode(&mut w);
        tables.encode(&mut w);
        lookups.encode(&mut w);
        table_sides.encode(&mut w);
        masks.encode(&mut w);
        derivations.encode(&mut w);
        constraints.encode(&mut w);
        w.0
    }
}
