//! Threads that stay awake for the length of a computation.
//!
//! A proof of a small network is some thousand parallel steps of tens of microseconds, with serial ones between them. A
//! pool's idle thread goes to sleep within that time, and to wake it costs as much as the step: two threads would be no
//! faster than one. So the others look for work without a pause until the computation ends, and give way to other
//! processes when there has been none for a while.

use core::hint::spin_loop;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rayon::Yield;

/// Times of looking for work in vain after which a thread gives way to others before every further one.
const PATIENCE: u32 = 2_000;

/// Times after which it sleeps between them, so that a long serial stretch costs no processor time.
const LONG_PATIENCE: u32 = 20_000;

/// How long it then sleeps.
const NAP: Duration = Duration::from_micros(100);

/// Longest wait for threads that may be at work elsewhere.
const ARRIVAL: Duration = Duration::from_micros(200);

/// Whether a computation of this process keeps threads awake: one at a time, others go on as ever.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// What `work` gives, done on a thread of the current pool while its other threads stay awake.
pub fn awake<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let watch = Watch::default();
    rayon::scope(|scope| {
        let others = rayon::current_num_threads().saturating_sub(1);
        if others == 0 || TAKEN.swap(true, Ordering::Acquire) {
            return work();
        }
        let _ends = Ends(&watch);
        for _ in 0..others {
            scope.spawn(|_| watch.keep());
        }
        watch.gather(others);
        work()
    })
}

/// The threads of one computation.
#[derive(Default)]
struct Watch {
    arrived: AtomicUsize,
    /// No thread may join: one that is waiting for a part of the computation would never go back to it.
    closed: AtomicBool,
    ended: AtomicBool,
}

/// Ends a watch, also if the computation panics.
struct Ends<'a>(&'a Watch);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::Release);
        TAKEN.store(false, Ordering::Release);
    }
}

impl Watch {
    /// Waits for the other threads, as far as they come, before the computation starts.
    fn gather(&self, others: usize) {
        let start = Instant::now();
        while self.arrived.load(Ordering::Acquire) < others && start.elapsed() < ARRIVAL {
            spin_loop();
        }
        self.closed.store(true, Ordering::Release);
    }

    /// Works on whatever there is until the computation ends.
    fn keep(&self) {
        if self.closed.load(Ordering::Acquire) {
            return;
        }
        self.arrived.fetch_add(1, Ordering::AcqRel);
        let mut idle = 0;
        while !self.ended.load(Ordering::Acquire) {
            idle += 1;
            match rayon::yield_now() {
                Some(Yield::Executed) => idle = 0,
                _ if idle < PATIENCE => spin_loop(),
                _ if idle < LONG_PATIENCE => std::thread::yield_now(),
                _ => std::thread::sleep(NAP),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rayon::prelude::*;

    use super::*;

    /// Sums in nested parallel steps.
    fn work() -> u64 {
        let inner = |i: u64| (0..64u64).into_par_iter().map(|j| i * j).sum::<u64>();
        (0..500)
            .map(|i| (0..8).into_par_iter().map(|k| inner(i + k)).sum::<u64>())
            .sum()
    }

    #[test]
    fn the_result_is_that_of_the_work_also_nested_and_at_once() {
        let expected = work();
        assert_eq!(awake(work), expected);
        assert_eq!(awake(|| awake(work)), expected);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build();
        let pool = pool.unwrap_or_else(|e| panic!("{e}"));
        let all = || (0..16).into_par_iter().map(|_| awake(work)).collect();
        let all: Vec<u64> = pool.install(all);
        assert_eq!(all, [expected; 16]);
    }

    #[test]
    fn threads_go_back_after_a_panic() {
        let broken = std::panic::catch_unwind(|| awake(|| panic!("the work")));
        assert!(broken.is_err());
        // Other tests take it for a while; a watch that never ended would keep it.
        let free = |_| {
            std::thread::sleep(NAP);
            !TAKEN.load(Ordering::Acquire)
        };
        assert!((0..100_000).any(free));
    }
}
