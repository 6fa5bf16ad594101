//! Windows whose points two threads share: how, is told when the first of them has nothing else left. Until then one may have been held up.
//!
//! A part shares one window at most: the first with the second, the third with the fourth. Others are cut as planned.

use core::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
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
        let took = self.time - self.start?;
        (self.done > 0.0 && took > 0.0).then(|| took / self.done)
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

    /// One of both has so many terms of other windows, and so much comes after all of its terms.
    pub(super) fn expect(&self, side: usize, left: usize, after: usize) {
        let own = &mut self.lock().sides[side];
        (own.left, own.after) = (left as f64, after as f64);
    }

    /// One of both, which is about to begin with the next of its other windows, tells how many of their terms are done and are not; gives it
    /// its points of the shared one if none are left.
    pub(super) fn settle(&self, side: usize, (done, left): (usize, usize)) -> Option<Range<usize>> {
        self.settle_at(self.start.elapsed().as_secs_f64(), side, (done, left))
    }

    /// The same at a time.
    fn settle_at(
        &self,
        time: f64,
        side: usize,
        (done, left): (usize, usize),
    ) -> Option<Range<usize>> {
        let mut state = self.lock();
        let own = &mut state.sides[side];
        own.start = own.start.or(Some(time));
        (own.time, own.done, own.left) = (time, done as f64, left as f64);
        if left > 0 {
            return None;
        }
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
        Some(match side {
            0 => self.rows.start..at,
            _ => at..self.rows.end,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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

    fn told(time: f64, done: f64, left: f64, after: f64) -> Progress {
        Progress {
            start: Some(0.0),
            time,
            done,
            left,
            after,
        }
    }

    fn unbegun(left: f64) -> Progress {
        Progress {
            left,
            after: 10.0,
            ..Progress::default()
        }
    }

    #[test]
    fn both_end_at_the_same_time() {
        let own = told(100.0, 100.0, 0.0, 10.0);
        let shares = [
            // As far as this one; behind; not begun, with little and much to do; twice as fast; with more to do afterwards.
            (told(100.0, 100.0, 0.0, 10.0), 50),
            (told(60.0, 60.0, 70.0, 10.0), 65),
            (unbegun(20.0), 60),
            (unbegun(100.0), 100),
            (told(50.0, 100.0, 100.0, 10.0), 30),
            (told(100.0, 100.0, 0.0, 40.0), 65),
            // Never fewer than none, nor more than all.
            (told(10.0, 10.0, 900.0, 10.0), 100),
            (told(100.0, 1000.0, 0.0, 0.0), 0),
        ];
        for (other, wanted) in shares {
            assert_eq!(share(100, [&own, &other]), Some(wanted), "{other:?}");
        }
        // Nothing is known of any pace, though time may have stood still.
        let still = Progress { time: 0.0, ..own };
        assert_eq!(share(100, [&unbegun(5.0), &still]), None);
    }

    /// Of the window 7 of three parts, all of the second.
    fn cut() -> Cut {
        let parts = [
            Part::new((0, 0), (7, 1500)),
            Part::new((7, 1500), (9, 0)),
            Part::new((9, 0), (11, 0)),
        ];
        assert!(Cut::between([&parts[1], &parts[2]], 2000).is_none());
        let Some(cut) = Cut::between([&parts[0], &parts[1]], 2000) else {
            panic!("both have the window 7");
        };
        assert_eq!(cut.window, 7);
        cut
    }

    /// Whoever is first has as much more as the other one is behind; nothing is settled before.
    #[test]
    fn every_row_is_in_one_side() {
        for first in [0, 1] {
            // Both take a second for 1000; the other one has 500 or 1500 left, or has not begun with 4000.
            for (left, own) in [(Some(500), 1250), (Some(1500), 1750), (None, 2000)] {
                let cut = cut();
                cut.expect(first, 1000, 5);
                cut.expect(1 - first, left.map_or(4000, |left| 1000 + left), 5);
                assert_eq!(cut.settle_at(1.0, first, (0, 1000)), None);
                if let Some(left) = left {
                    assert_eq!(cut.settle_at(1.0, 1 - first, (0, 1000 + left)), None);
                    assert_eq!(cut.settle_at(2.0, 1 - first, (1000, left)), None);
                }
                let wanted = if first == 0 { 0..own } else { 2000 - own..2000 };
                let rows = cut.settle_at(2.0, first, (1000, 0));
                assert_eq!(rows, Some(wanted), "{first} {left:?}");
                let others = if first == 0 { own..2000 } else { 0..2000 - own };
                assert_eq!(cut.settle_at(9.0, 1 - first, (1000, 0)), Some(others));
            }
            // As planned if no pace is known.
            let cut = cut();
            let planned = [0..1500, 1500..2000];
            let own = cut.settle_at(1.0, first, (0, 0));
            assert_eq!(own, Some(planned[first].clone()));
            let other = cut.settle_at(2.0, 1 - first, (7, 0));
            assert_eq!(other, Some(planned[1 - first].clone()));
        }
    }
}
