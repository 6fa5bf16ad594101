//! Room of an adder that is not in use, kept for what comes next.

use pasta_curves::arithmetic::VartimeField;

use super::{Adder, Xy};
use crate::pages;

/// Rooms that are kept: for images of points, buckets of some and of all windows, and lines of them.
const MOST_ROOMS: usize = 5;

/// Most bytes of a room that is kept. What is larger takes so long that fresh pages matter less.
const MOST_ROOM: usize = 16 << 20;

/// Fewest references or counts whose room is kept.
const LEAST_WORDS: usize = 1 << 10;

impl<B: ff::PrimeField + VartimeField> Adder<B> {
    /// Room for so many points, as they were left there: of no meaning, and perhaps fewer or more.
    pub(crate) fn take_room(&mut self, length: usize) -> Vec<Xy<B>> {
        fitting(&mut self.rooms, length)
    }

    /// Keeps room that is no longer in use, if it is not too large and there is not enough.
    pub(crate) fn give_room(&mut self, room: Vec<Xy<B>>) {
        if self.rooms.len() < MOST_ROOMS && room.capacity() * size_of::<Xy<B>>() <= MOST_ROOM {
            self.rooms.push(room);
        }
    }

    /// Room for so many references or counts, empty.
    pub(crate) fn take_words(&mut self, length: usize) -> Vec<u32> {
        let mut words = fitting(&mut self.words, length);
        words.clear();
        words
    }

    /// Keeps room for references or counts that is no longer in use, the largest ones.
    pub(crate) fn give_words(&mut self, words: Vec<u32>) {
        if words.capacity() < LEAST_WORDS || words.capacity() * size_of::<u32>() > MOST_ROOM {
            return;
        }
        self.words.push(words);
        if self.words.len() > MOST_ROOMS {
            let capacities = self.words.iter().map(Vec::capacity).enumerate();
            let least = capacities.min_by_key(|(_, own)| *own);
            least.map(|(index, _)| self.words.swap_remove(index));
        }
    }
}

/// The vector with the least room that is enough, else a new one in place of the one with most: what is as long as wanted need not be
/// filled again.
pub(super) fn fitting<T>(rooms: &mut Vec<Vec<T>>, length: usize) -> Vec<T> {
    let order = |own: usize| (own < length, own.abs_diff(length));
    let capacities = rooms.iter().map(Vec::capacity).enumerate();
    let best = capacities.min_by_key(|(_, own)| order(*own));
    let room = best.map_or_else(Vec::new, |(index, _)| rooms.swap_remove(index));
    if room.capacity() < length {
        return pages::in_large_pages(length);
    }
    room
}
