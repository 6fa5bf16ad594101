//! Parts of a step on several threads, the calling one among them.
//!
//! A thread that is not of the pool sleeps while the pool works for it: two are then woken for every step, tens of
//! microseconds each. Here the caller works itself and takes parts as long as there are any, so that a thread that wakes late
//! does fewer of them. Long work goes to the pool as a whole, see [`inside`].

use core::hint::spin_loop;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a caller from outside the pool waits awake for the last parts of others.
const PATIENCE: Duration = Duration::from_micros(200);

/// Does work that takes milliseconds on a thread of the pool, if that has several. A caller from outside that works itself is one thread
/// more than the pool has: then one of the pool's looks for work on the caller's processor, where it gets a turn every few milliseconds, and
/// as long as one looks for work the pool wakes no other for the caller's parts.
pub(crate) fn inside<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    if rayon::current_num_threads() == 1 {
        return work();
    }
    rayon::scope(|_| work())
}

/// Does the work on all items, one after the other as threads are free.
pub(crate) fn each<I>(items: I, work: impl Fn(I::Item) + Sync)
where
    I: ExactSizeIterator<Item: Send> + Send,
{
    each_with(items, || (), |(), item| work(item));
}

/// As [`each`], with something that every thread makes for itself.
pub(crate) fn each_with<I, S>(
    items: I,
    own: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, I::Item) + Sync,
) where
    I: ExactSizeIterator<Item: Send> + Send,
{
    let others = rayon::current_num_threads().min(items.len());
    if others <= 1 {
        let mut own = own();
        return items.for_each(|item| work(&mut own, item));
    }
    let items = Mutex::new(items);
    let (started, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let next = || items.lock().unwrap_or_else(PoisonError::into_inner).next();
    let run = || {
        let mut own = own();
        while let Some(item) = next() {
            work(&mut own, item);
        }
    };
    rayon::in_place_scope(|scope| {
        for _ in 1..others {
            scope.spawn(|_| {
                started.fetch_add(1, Ordering::Relaxed);
                run();
                done.fetch_add(1, Ordering::Release);
            });
        }
        run();
        if rayon::current_thread_index().is_none() {
            // One that has not even started has no processor: this thread's will be free when it sleeps.
            let waits = started.load(Ordering::Relaxed) == others - 1;
            let start = Instant::now();
            while waits && done.load(Ordering::Acquire) < others - 1 && start.elapsed() < PATIENCE {
                spin_loop();
            }
        }
    });
}

/// What the work gives for all items, in their order.
pub(crate) fn map<I, T: Send>(items: I, work: impl Fn(I::Item) -> T + Sync) -> Vec<T>
where
    I: ExactSizeIterator<Item: Send> + Send,
{
    let results = Mutex::new(Vec::with_capacity(items.len()));
    each(items.enumerate(), |(index, item)| {
        let result = work(item);
        let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
        results.push((index, result));
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_unstable_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_from_inside_and_outside_of_a_pool() {
        let squares: Vec<u64> = (0..1000).map(|i| i * i).collect();
        let work = || map(0..1000usize, |i| (i * i) as u64);
        assert_eq!(work(), squares);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build();
        let pool = pool.unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(pool.install(work), squares);
        let nested = || map(0..8usize, |_| work());
        assert_eq!(pool.install(nested), vec![squares; 8]);
    }

    #[test]
    fn long_work_is_done_by_a_thread_of_a_pool_of_several() {
        let place = || inside(rayon::current_thread_index);
        assert_eq!(place().is_some(), rayon::current_num_threads() > 1);
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let pool = pool.unwrap_or_else(|e| panic!("{e}"));
            let (outer, inner) = pool.install(|| (rayon::current_thread_index(), place()));
            assert_eq!(outer, inner);
        }
        let work = || inside(|| panic!("the work"));
        assert!(std::panic::catch_unwind(work).is_err());
    }

    #[test]
    fn every_item_is_worked_on_once() {
        let mut cells = vec![0u8; 1001];
        each(cells.chunks_mut(7), |cells| {
            cells.iter_mut().for_each(|cell| *cell += 1);
        });
        assert_eq!(cells, vec![1; 1001]);
        each(core::iter::empty::<u8>(), |_| unreachable!("there is none"));
    }

    #[test]
    fn a_panic_of_a_part_is_the_callers() {
        let work = || each(0..64, |i| assert!(i != 40, "the part"));
        assert!(std::panic::catch_unwind(work).is_err());
    }
}
