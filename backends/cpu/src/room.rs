//! Room for cells: that of batches that are gone is kept for those to come. A page of fresh memory costs as much as the
//! work on it, and a proof makes and drops the same large batches in every round.

use std::any::Any;
use std::sync::{Mutex, PoisonError};

use zkernel_backend::Field;

use crate::packed::pages;

/// Fewest cells that are worth keeping.
const LEAST: usize = 1 << 10;

/// Most bytes that are kept.
const MOST: usize = 16 << 20;

/// What is kept: vectors of cells of any field.
static KEPT: Mutex<Kept> = Mutex::new(Kept {
    bytes: 0,
    vectors: Vec::new(),
});

struct Kept {
    bytes: usize,
    vectors: Vec<Box<dyn Any + Send>>,
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
    let mut cells = pages::with_capacity(length);
    cells.resize(length, F::ZERO);
    cells
}

/// Keeps the room of cells that are no longer wanted.
pub(crate) fn give<F: Field>(cells: Vec<F>) {
    if cells.capacity() >= LEAST {
        let bytes = bytes(&cells);
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.bytes + bytes <= MOST {
            kept.bytes += bytes;
            kept.vectors.push(Box::new(cells));
        }
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
        let fitting = |(index, vector)| {
            let own = room_of(vector)?;
            (length..=2 * length).contains(&own).then_some((own, index))
        };
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
            give(vec![Fp::ONE; 2 * length]);
            assert_eq!(take::<Fq>(length).len(), length);
            assert_eq!(take::<Fp>(length).len(), length);
        }
    }

    #[test]
    fn no_more_than_the_limit_is_kept() {
        for _ in 0..3 * MOST / (32 * LEAST) {
            give(vec![Fp::ONE; LEAST]);
        }
        assert!(KEPT.lock().unwrap().bytes <= MOST);
    }
}
