//! Room for cells: that of batches that are gone is kept for those to come. A page of fresh memory costs as much as the
//! work on it, and a proof makes and drops the same large batches in every round.

use std::any::Any;
use std::sync::{Mutex, PoisonError};

use rayon::iter::ParallelExtend as _;
use zkernel_backend::Field;

use crate::pages;

/// Fewest cells that are worth keeping.
const LEAST: usize = 1 << 10;

/// Fewest cells whose fresh pages are shared among threads.
const SHARED: usize = 1 << 15;

/// Most bytes that are kept.
const MOST: usize = 16 << 20;

/// Most bytes of a single column that is kept beside these, the last one of more than that: whoever has columns of 2^19 rows and
/// more has many of them, and fresh pages take as long as half a transform.
const MOST_OF_COLUMN: usize = 64 << 20;

/// What is kept: vectors of cells of any field.
static KEPT: Mutex<Kept> = Mutex::new(Kept {
    bytes: 0,
    vectors: Vec::new(),
    column: None,
});

struct Kept {
    bytes: usize,
    vectors: Vec<Box<dyn Any + Send>>,
    /// A large one.
    column: Option<Box<dyn Any + Send>>,
}

/// So many cells, of any values.
pub(crate) fn take<F: Field>(length: usize) -> Vec<F> {
    if length >= LEAST {
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mut cells) = kept.take::<F>(length) {
            drop(kept);
            cells.resize(length, F::ZERO);
            return cells;
        }
    }
    let mut cells = pages::in_large_pages(length);
    if length < SHARED {
        cells.resize(length, F::ZERO);
    } else {
        cells.par_extend(rayon::iter::repeat_n(F::ZERO, length));
    }
    cells
}

/// Keeps the room of cells of so many columns that are no longer wanted.
pub(crate) fn give<F: Field>(columns: usize, cells: Vec<F>) {
    if cells.capacity() >= LEAST {
        let bytes = bytes(&cells);
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.bytes + bytes <= MOST {
            kept.bytes += bytes;
            kept.vectors.push(Box::new(cells));
        } else if columns == 1 && (MOST / 2..=MOST_OF_COLUMN).contains(&bytes) {
            let last = kept.column.replace(Box::new(cells));
            drop(kept);
            drop(last);
        }
    }
}

/// Large vectors of terms, codes or points, one of a type.
static LARGE: Mutex<Vec<Box<dyn Any + Send>>> = Mutex::new(Vec::new());

/// So many items of any values, in room that is kept if it is large, as the last of its type is.
pub(crate) fn take_large<T: Copy + Send + 'static>(length: usize, fill: T) -> Vec<T> {
    let mut kept = LARGE.lock().unwrap_or_else(PoisonError::into_inner);
    let own = kept.iter().position(|vector| vector.is::<Vec<T>>());
    let own = own.and_then(|index| kept.swap_remove(index).downcast().ok());
    drop(kept);
    let mut items = own.map_or_else(Vec::new, |items| *items);
    if items.capacity() < length {
        items = pages::in_large_pages(length);
    }
    items.resize(length, fill);
    items
}

/// Keeps a large vector, the larger one if there is one of its type, unless it has more bytes than a large column.
pub(crate) fn give_large<T: Send + 'static>(items: Vec<T>) {
    if items.capacity() * size_of::<T>() > MOST_OF_COLUMN {
        return;
    }
    let mut kept = LARGE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut known = kept.iter_mut();
    match known.find_map(|vector| vector.downcast_mut::<Vec<T>>()) {
        Some(known) if known.capacity() >= items.capacity() => {}
        Some(known) => *known = items,
        None => kept.push(Box::new(items)),
    }
}

/// What a vector occupies.
const fn bytes<F>(cells: &Vec<F>) -> usize {
    cells.capacity() * size_of::<F>()
}

impl Kept {
    /// The smallest vector with room for so many cells, if it is not much too large.
    fn take<F: Field>(&mut self, length: usize) -> Option<Vec<F>> {
        let room_of = |vector: &Box<dyn Any + Send>| vector.downcast_ref().map(Vec::<F>::capacity);
        let fits = |own: &usize| (length..=2 * length).contains(own);
        let fitting = |(index, vector)| Some((room_of(vector).filter(fits)?, index));
        if self
            .column
            .as_ref()
            .and_then(room_of)
            .is_some_and(|own| fits(&own))
        {
            return self.column.take()?.downcast().ok().map(|cells| *cells);
        }
        let (_, index) = self.vectors.iter().enumerate().filter_map(fitting).min()?;
        let cells: Vec<F> = *self.vectors.swap_remove(index).downcast().ok()?;
        self.bytes -= bytes(&cells);
        Some(cells)
    }
}

#[cfg(test)]
mod tests {
    use ff::Field as _;
    use pasta_curves::{Fp, Fq};

    use super::*;

    #[test]
    fn room_has_the_length_and_the_field_that_are_asked_for() {
        for length in [0, 1, LEAST, LEAST + 1, 3 * LEAST] {
            give(2, vec![Fp::ONE; 2 * length]);
            assert_eq!(take::<Fq>(length).len(), length);
            assert_eq!(take::<Fp>(length).len(), length);
        }
    }

    #[test]
    fn no_more_than_the_limit_is_kept() {
        for _ in 0..3 * MOST / (32 * LEAST) {
            give(1, vec![Fp::ONE; LEAST]);
        }
        assert!(KEPT.lock().unwrap().bytes <= MOST);
    }

    #[test]
    fn a_large_column_is_kept_and_given_again() {
        let cells = vec![Fp::ONE; MOST / 16];
        let first = cells.as_ptr();
        give(1, cells);
        let again = take::<Fp>(MOST / 16);
        assert_eq!((again.as_ptr(), again.len()), (first, MOST / 16));
        give(2, again);
        assert!(KEPT.lock().unwrap().column.is_none());
    }
}
