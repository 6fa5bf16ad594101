//! What a thread works in, kept from one transform to the next.

use core::cell::Cell;

use crate::packed::copies::Copied;
use crate::packed::loose::Loose;
use crate::packed::prime::Constants;

/// What a thread works in.
#[derive(Default)]
pub(crate) struct Room {
    values: Vec<Loose>,
    copies: Vec<Copied>,
}

/// Most bytes that a thread keeps: what transforms of 2^20 take.
const KEPT: usize = 3 << 19;

thread_local! {
    /// What this thread has worked in: fresh memory costs two threads 7 % of a transform of 2^14.
    static ROOM: Cell<Room> = const { Cell::new(Room::EMPTY) };
}

/// The room of a thread, as it was left by the transform before.
pub(crate) struct OwnRoom(Room);

impl OwnRoom {
    /// This thread's, or an empty one while it is used.
    pub(crate) fn new() -> Self {
        Self(ROOM.replace(Room::EMPTY))
    }

    /// To work in.
    pub(crate) const fn get(&mut self) -> &mut Room {
        &mut self.0
    }
}

impl Drop for OwnRoom {
    fn drop(&mut self) {
        let room = core::mem::take(&mut self.0);
        if room.bytes() <= KEPT {
            // A thread that ends keeps nothing.
            let _ = ROOM.try_with(|own| own.set(room));
        }
    }
}

impl Room {
    /// Nothing.
    const EMPTY: Self = Self {
        values: Vec::new(),
        copies: Vec::new(),
    };

    /// What it occupies.
    const fn bytes(&self) -> usize {
        self.values.capacity() * size_of::<Loose>() + self.copies.capacity() * size_of::<Copied>()
    }

    /// So many values, and so many copies.
    #[inline(always)]
    pub(in crate::packed) fn of(
        &mut self,
        [values, copies]: [usize; 2],
        k: &Constants,
    ) -> (&mut [Loose], &mut [Copied]) {
        if self.values.len() < values {
            self.values.resize(values, Loose::new(k.one));
        }
        if self.copies.len() < copies {
            self.copies.resize(copies, Copied::NOTHING);
        }
        (&mut self.values[..values], &mut self.copies[..copies])
    }
}
