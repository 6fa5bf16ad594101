//! Windows whose points two threads share: how, is told when the first of them has nothing else left. Until then one may have been held up.

use core::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::parts::Part;

/// A window that is the last of a part and the first of the next one.
pub(crate) struct Cut {
    pub(super) window: usize,
    /// The points of both.
    rows: Range<usize>,
    /// Where it is cut if nothing is known.
    planned: usize,
    start: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    sides: [Progress; 2],
    /// Where it is cut.
    at: Option<usize>,
}

/// How far one of both is, in seconds and terms.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// When it began, if it has.
    start: Option<f64>,
    /// When it told last.
    time: f64,
    /// Terms of other windows that were done then, and those that were not.
    done: f64,
    left: f64,
    /// What comes after all terms, in terms.
    after: f64,
}

impl Progress {
    /// Seconds a term, if that is known.
    fn pace(&self) -> Option<f64> {
        let start = self.start.filter(|_| self.done > 0.0)?;
        Some((self.time - start) / self.done)
    }
}

impl Cut {
    /// The window that two neighbours share, if they do.
    pub(super) fn between(parts: [&Part; 2], points: usize) -> Option<Self> {
        let window = parts[1].columns.start;
        let of = parts.map(|part| part.rows(window));
        let shared = window + 1 == parts[0].columns.end && of[1].start > 0;
        shared.then(|| Self {
            window,
            rows: of[0].start..of[1].end.min(points),
            planned: of[1].start,
            start: Instant::now(),
            state: Mutex::default(),
        })
    }

    /// One of both, which is about to begin with the next of its other windows, tells how many of their terms are done and are not, and what
    /// comes after all.
    pub(super) fn tell(&self, side: usize, (done, left): (usize, usize), after: usize) {
        let time = self.start.elapsed().as_secs_f64();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let own = &mut state.sides[side];
        let start = own.start.or(Some(time));
        *own = Progress {
            start,
            time,
            done: done as f64,
            left: left as f64,
            after: after as f64,
        };
    }

    /// The points of one of both, which has told that nothing else is left.
    pub(super) fn rows(&self, side: usize) -> Range<usize> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let sides = state.sides;
        let at = *state.at.get_or_insert_with(|| {
            let Some(own) = share(self.rows.len(), [&sides[side], &sides[1 - side]]) else {
                return self.planned;
            };
            match side {
                0 => self.rows.start + own,
                _ => self.rows.end - own,
            }
        });
        match side {
            0 => self.rows.start..at,
            _ => at..self.rows.end,
        }
    }
}

/// How many of so many terms are for one that has nothing else left, so that another one ends with it; nothing if no pace is known.
fn share(terms: usize, [own, other]: [&Progress; 2]) -> Option<usize> {
    let pace = own.pace().or(other.pace())?;
    let of_other = other.pace().unwrap_or(pace);
    // One that has not begun may do so now.
    let begun = other.start.map_or(own.time, |_| other.time);
    let wait = (begun + other.left * of_other - own.time).max(0.0);
    let all = terms as f64;
    let both = wait + (all + other.after) * of_other - own.after * pace;
    Some((both / (pace + of_other)).clamp(0.0, all) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Progress = Progress {
        start: None,
        time: 0.0,
        done: 0.0,
        left: 0.0,
        after: 0.0,
    };

    fn told(time: f64, done: f64, left: f64, after: f64) -> Progress {
        Progress {
            start: Some(0.0),
            time,
            done,
            left,
            after,
        }
    }

    #[test]
    fn both_end_at_the_same_time() {
        let own = told(100.0, 100.0, 0.0, 10.0);
        let shares = [
            // As far as this one; behind; not begun; twice as fast; with more to do afterwards.
            (told(100.0, 100.0, 0.0, 10.0), 50),
            (told(60.0, 60.0, 70.0, 10.0), 65),
            (NONE, 45),
            (told(50.0, 100.0, 100.0, 10.0), 30),
            (told(100.0, 100.0, 0.0, 40.0), 65),
            // Never fewer than none, nor more than all.
            (told(10.0, 10.0, 900.0, 10.0), 100),
            (told(100.0, 1000.0, 0.0, 0.0), 0),
        ];
        for (other, wanted) in shares {
            assert_eq!(share(100, [&own, &other]), Some(wanted), "{other:?}");
        }
        assert_eq!(share(100, [&NONE, &NONE]), None);
    }

    /// Whoever is first, and whatever was told.
    #[test]
    fn every_row_is_in_one_side() {
        let parts = [
            Part::new((0, 0), (7, 1500)),
            Part::new((7, 1500), (9, 0)),
            Part::new((9, 0), (11, 0)),
        ];
        for first in [0, 1] {
            for done in [0, 100] {
                let Some(cut) = Cut::between([&parts[0], &parts[1]], 2000) else {
                    panic!("both have the window 7");
                };
                assert_eq!(cut.window, 7);
                cut.tell(first, (done, 0), 5);
                let own = [cut.rows(first), cut.rows(1 - first)];
                let [low, high] = if first == 0 { [0, 1] } else { [1, 0] };
                assert_eq!((own[low].start, own[high].end), (0, 2000));
                assert_eq!(own[low].end, own[high].start);
                assert!(done > 0 || own[low].end == 1500);
            }
        }
        assert!(Cut::between([&parts[1], &parts[2]], 2000).is_none());
    }
}
