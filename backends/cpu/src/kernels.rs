//! Operations on slices of field elements at a [`Level`]: packed where the level has it, plain `pasta_curves` otherwise.
//! Both give the same elements.

use core::ops::Range;

use zkernel_backend::Field;
use zkernel_verifier::curve::signed;

use crate::digits::{Magnitude, Windows};
use crate::eisenstein::Base;
use crate::eisenstein::wide::Rows;
use crate::eval::{Kernel, Lane, invert_block};
use crate::groups::Neighbours;
use crate::halves::Lattice;
use crate::integers::{Integers, Octet};
use crate::level::Level;
#[cfg(target_arch = "x86_64")]
use crate::packed::{halves, planes, program, rows, scalars, small};

/// Slices shorter than this are not worth the packed constants.
#[cfg(target_arch = "x86_64")]
const SHORT: usize = 16;

/// Integers as elements.
pub(crate) fn widen<F: Field>(level: Level, values: &[i64], cells: &mut [F]) {
    #[cfg(target_arch = "x86_64")]
    if let Some(prime) = level.prime().filter(|_| values.len() >= SHORT) {
        return rows::widen(prime, values, cells);
    }
    let _ = level;
    cells
        .iter_mut()
        .zip(values)
        .for_each(|(cell, value)| *cell = signed(*value));
}

/// `a[i] *= b[i]`.
pub(crate) fn multiply<F: Field>(level: Level, a: &mut [F], b: &[F]) {
    #[cfg(target_arch = "x86_64")]
    if let Some(prime) = level.prime().filter(|_| a.len() >= SHORT) {
        return rows::multiply(prime, a, b);
    }
    let _ = level;
    a.iter_mut().zip(b).for_each(|(a, b)| *a *= b);
}

/// `sums[i] += sum_t coefficient_t column_t[i]`; no column is shorter than the sums.
pub(crate) fn combine<F: Field>(level: Level, sums: &mut [F], terms: &[(&[F], F)]) {
    #[cfg(target_arch = "x86_64")]
    if let Some(prime) = level.prime().filter(|_| sums.len() >= SHORT) {
        return rows::combine(prime, sums, terms);
    }
    let _ = level;
    for (column, coefficient) in terms {
        let products = column.iter().map(|c| *c * coefficient);
        sums.iter_mut().zip(products).for_each(|(s, p)| *s += p);
    }
}

/// `sum a[i] b[i]`.
pub(crate) fn dot<F: Field>(level: Level, a: &[F], b: &[F]) -> F {
    #[cfg(target_arch = "x86_64")]
    if let Some(prime) = level.prime().filter(|_| a.len() >= SHORT) {
        return rows::dot(prime, a, b);
    }
    let _ = level;
    a.iter().zip(b).map(|(a, b)| *a * b).sum()
}

/// Most bits of the integers that are multiplied as they are.
pub(crate) const INTEGER_BITS: u32 = 50;

/// A vector of elements that several columns of integers are multiplied with.
pub(crate) struct Factors<'b, F> {
    elements: &'b [F],
    #[cfg(target_arch = "x86_64")]
    packed: Option<small::Factors<F>>,
}

impl<'b, F: Field> Factors<'b, F> {
    pub(crate) fn new(level: Level, elements: &'b [F]) -> Self {
        let _ = level;
        Self {
            elements,
            #[cfg(target_arch = "x86_64")]
            packed: level
                .prime()
                .filter(|_| elements.len() >= SHORT)
                .map(|prime| small::Factors::new(prime, elements)),
        }
    }

    /// `sum values[i] elements[i]`, of as many values of at most [`INTEGER_BITS`] bits.
    pub(crate) fn dot(&self, values: &[i64]) -> F {
        #[cfg(target_arch = "x86_64")]
        if let Some(packed) = &self.packed {
            return packed.dot(values);
        }
        let pairs = values.iter().zip(self.elements);
        pairs.map(|(a, b)| signed::<F>(*a) * b).sum()
    }
}

/// `sums[i] += sum_t coefficient_t column_t[i]` of integers of at most [`INTEGER_BITS`] bits; no column is shorter than the
/// sums.
pub(crate) fn combine_integers<F: Field>(level: Level, sums: &mut [F], terms: &[(&[i64], F)]) {
    #[cfg(target_arch = "x86_64")]
    if let Some(prime) = level.prime().filter(|_| sums.len() >= SHORT) {
        return small::combine(prime, sums, terms);
    }
    let _ = level;
    for (column, coefficient) in terms {
        let products = column.iter().map(|c| signed::<F>(*c) * coefficient);
        sums.iter_mut().zip(products).for_each(|(s, p)| *s += p);
    }
}

/// `sum_e coefficient_e cells[position_e + offset]` for every offset, of integers of at most [`INTEGER_BITS`] bits.
pub(crate) fn contract_integers<F: Field>(
    level: Level,
    cells: &[i64],
    entries: &[(usize, F)],
    offsets: &[usize],
) -> Vec<F> {
    #[cfg(target_arch = "x86_64")]
    if let Some(prime) = level.prime().filter(|_| offsets.len() >= SHORT) {
        return small::contract(prime, cells, entries, offsets);
    }
    let coefficients: Vec<F> = entries.iter().map(|(_, c)| *c).collect();
    let factors = Factors::new(level, &coefficients);
    at_offsets(cells, entries, offsets, |own| factors.dot(own))
}

/// What is made of the cells at all positions of the entries, for every offset.
fn at_offsets<T: Copy, F>(
    cells: &[T],
    entries: &[(usize, F)],
    offsets: &[usize],
    sum: impl Fn(&[T]) -> F,
) -> Vec<F> {
    let mut own = Vec::with_capacity(entries.len());
    let sum = |offset: &usize| {
        own.clear();
        own.extend(entries.iter().map(|(position, _)| cells[position + offset]));
        sum(&own)
    };
    offsets.iter().map(sum).collect()
}

/// `(cell + constant)^-1` for every cell, 0 for 0, with one inversion.
pub(crate) fn invert<F: Field>(level: Level, cells: &mut [F], constant: F) {
    #[cfg(target_arch = "x86_64")]
    if let Some(prime) = level.prime().filter(|_| cells.len() >= SHORT) {
        return rows::invert(prime, cells, constant);
    }
    let _ = level;
    cells.iter_mut().for_each(|cell| *cell += constant);
    invert_block(cells);
}

/// `sum_e coefficient_e dense[position_e + offset]` for every offset.
pub(crate) fn contract<F: Field>(
    level: Level,
    dense: &[F],
    entries: &[(usize, F)],
    offsets: &[usize],
) -> Vec<F> {
    #[cfg(target_arch = "x86_64")]
    if let Some(prime) = level.prime().filter(|_| offsets.len() >= SHORT) {
        return rows::contract(prime, dense, entries, offsets);
    }
    let coefficients: Vec<F> = entries.iter().map(|(_, c)| *c).collect();
    at_offsets(dense, entries, offsets, |own| {
        dot(level, own, &coefficients)
    })
}

/// Integers as integers, as many, if all are of less than 31 bits: the largest magnitude then. Never where the level has no quick way to see that.
pub(crate) fn narrow<F: Field>(level: Level, values: &[F], narrow: &mut [i32]) -> Option<u32> {
    #[cfg(target_arch = "x86_64")]
    if let Some(prime) = level.prime() {
        return scalars::narrow(prime, values, narrow);
    }
    let _ = (level, values, narrow);
    None
}

/// Up to eight integers as integers, of at most so large a magnitude: a bit for each of these, others become zero.
#[cfg(target_arch = "x86_64")]
pub(crate) fn narrow_some<F: Field>(
    level: Level,
    values: &[F],
    most: u32,
    narrow: &mut [i32],
) -> u8 {
    match level.prime() {
        Some(prime) => scalars::narrow_some(prime, values, most, narrow),
        None => 0,
    }
}

/// Integers as magnitudes, eight an octet, the last one padded with zeros.
pub(crate) fn octets<F: Field>(level: Level, values: &[F], octets: &mut [Octet]) {
    #[cfg(target_arch = "x86_64")]
    if let Some(prime) = level.prime() {
        return scalars::octets(prime, values, octets);
    }
    let _ = level;
    for (octet, values) in octets.iter_mut().zip(values.chunks(8)) {
        let magnitudes: Vec<Magnitude> = values.iter().map(Magnitude::full).collect();
        *octet = Octet::new(&magnitudes);
    }
}

/// Codes of the digits of magnitudes, which become halves.
pub(crate) fn recode<F: Field, T>(
    level: Level,
    base: &Base,
    octets: &mut [Octet],
    (codes, claimed): (&mut [u16], &[T]),
) {
    let lattice = Lattice::of::<F>();
    #[cfg(target_arch = "x86_64")]
    if let Some(prime) = level.prime::<F>() {
        return halves::recode(prime, &lattice, base, octets, (codes, claimed));
    }
    let _ = (level, claimed);
    octets.iter_mut().for_each(|octet| octet.halve(&lattice));
    base.recode(octets, codes, &mut ());
}

/// Terms of magnitudes, which become halves.
pub(crate) fn recode_wide<F: Field>(
    level: Level,
    base: &Base,
    octets: &mut [Octet],
    rows: &mut Rows<'_>,
) {
    let lattice = Lattice::of::<F>();
    #[cfg(target_arch = "x86_64")]
    if let Some(prime) = level.prime::<F>() {
        return halves::recode_wide(prime, &lattice, base, octets, rows);
    }
    let _ = level;
    octets.iter_mut().for_each(|octet| octet.halve(&lattice));
    base.recode_wide(octets, rows);
}

/// [`Integers::digits`].
#[cfg_attr(
    not(target_arch = "x86_64"),
    allow(clippy::extra_unused_type_parameters)
)]
pub(crate) fn digits<F: Field>(
    level: Level,
    scalars: &Integers,
    window: (&Windows, usize),
    range: &Range<usize>,
    digits: &mut Vec<u32>,
) {
    #[cfg(target_arch = "x86_64")]
    if let Some(prime) = level.prime::<F>() {
        return scalars::digits(prime, scalars, window, range, digits);
    }
    let _ = level;
    scalars.digits(window, range, digits);
}

/// [`Neighbours::references`].
#[cfg_attr(
    not(target_arch = "x86_64"),
    allow(clippy::extra_unused_type_parameters)
)]
pub(crate) fn references<F: Field>(
    level: Level,
    groups: &Neighbours,
    codes: &[u64],
    position: u32,
    references: &mut [u32],
) {
    #[cfg(target_arch = "x86_64")]
    if let Some(prime) = level.prime::<F>() {
        return planes::references(prime, groups, codes, position, references);
    }
    let _ = level;
    groups.references(codes, position, references);
}

/// A gate program on rows of input batches.
pub(crate) struct Run<'a, F> {
    pub(crate) kernel: &'a Kernel,
    pub(crate) inputs: &'a [&'a [F]],
    pub(crate) constants: &'a [F],
    /// Weight of each lane and the position of its first cell.
    pub(crate) lanes: &'a [(F, usize)],
}

/// `sums[row] += sum_lanes weight * program(row)`.
pub(crate) fn run<F: Field>(level: Level, run: &Run<'_, F>, sums: &mut [F]) {
    #[cfg(target_arch = "x86_64")]
    if let Some(prime) = level.prime().filter(|_| sums.len() >= SHORT) {
        return program::run(prime, run, sums);
    }
    let _ = level;
    let mut results = Vec::new();
    for (weight, start) in run.lanes {
        let lane = Lane {
            run,
            start: *start,
            rows: sums.len(),
        };
        lane.interpret(&mut results);
        for (row, sum) in sums.iter_mut().enumerate() {
            *sum += *weight * lane.read(run.kernel.program.output, &results, row);
        }
    }
}

#[cfg(test)]
mod tests;
