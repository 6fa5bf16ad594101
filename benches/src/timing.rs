//! Timing of tasks in turn, so that whatever else the machine does meets all of them alike.

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

/// Least number of timed runs of a task.
const RUNS: usize = 5;
/// Most of them.
const MOST_RUNS: usize = 51;
/// Least time of a run: a shorter task is repeated until then, and its mean counts. Once alone, it would be timed with whatever the
/// others left in the caches, which says more about them.
const RUN: Duration = Duration::from_millis(5);
/// A task that is quicker than this runs once more before each of its turns: what others have left in the caches takes it longer than itself
/// would leave it, up to a third of its time. Of longer tasks it is a few hundredths.
const COLD: Duration = Duration::from_millis(100);
/// Time to spend on a group of short tasks.
const BUDGET: Duration = Duration::from_millis(1500);
/// For so long all processors work before a turn on several threads: in a virtual machine one that was idle may take milliseconds until a
/// thread that is woken runs on it, which is not what is compared.
const AWAKE: Duration = Duration::from_millis(3);
/// A peer this much slower than the best one in the warm-up is not run again.
const HOPELESS: u32 = 3;

/// Something that is timed, with its name.
pub struct Task<'a> {
    /// Name of the library.
    pub name: &'static str,
    /// Does it once.
    pub run: Box<dyn FnMut() + 'a>,
    /// What it took already, if it ran: then that was its warm-up.
    pub ran: Option<Duration>,
}

impl<'a> Task<'a> {
    /// A task; its result is kept from being optimised away.
    pub fn new<T>(name: &'static str, mut run: impl FnMut() -> T + 'a) -> Self {
        Self {
            name,
            run: Box::new(move || {
                std::hint::black_box(run());
            }),
            ran: None,
        }
    }

    /// The same, having run for so long.
    #[must_use]
    pub fn after(self, ran: Duration) -> Self {
        Self {
            ran: Some(ran),
            ..self
        }
    }
}

/// What is compared, as it is printed.
#[derive(Clone, Copy, Debug)]
pub struct Measured<'a> {
    /// Group: which operation.
    pub group: &'static str,
    /// log2 of its size.
    pub size: u32,
    /// Threads that each task may use.
    pub threads: usize,
    /// Name of our backend.
    pub backend: &'a str,
    /// Operations that a run does; times are printed for one of them.
    pub operations: usize,
}

/// Nanoseconds of one operation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The middle run.
    pub median: f64,
    /// The quickest run.
    pub min: f64,
    /// The slowest run.
    pub max: f64,
}

impl Spread {
    /// Of at least one run.
    fn of(mut runs: Vec<Duration>, operations: usize) -> Self {
        runs.sort_unstable();
        let ns = |run: Duration| run.as_nanos() as f64 / operations as f64;
        Self {
            median: ns(runs[runs.len() / 2]),
            min: ns(runs[0]),
            max: ns(runs[runs.len() - 1]),
        }
    }
}

/// Runs all tasks in turn after a warm-up, at least [`RUNS`] times [`RUN`] each, and gives the line to print: the first task is
/// ours, the peer is the best of the others. Also gives our spread.
#[must_use]
pub fn compare(what: Measured<'_>, mut tasks: Vec<Task<'_>>) -> (Value, Spread) {
    drop_hopeless(&mut tasks);
    let times = interleave(&mut tasks, what.threads);
    let spreads = times.into_iter().map(|t| Spread::of(t, what.operations));
    let named: Vec<(&str, Spread)> = tasks.iter().map(|task| task.name).zip(spreads).collect();
    let ours = named[0].1;
    (line(what, ours, &named[1..]), ours)
}

/// One warm-up run each of those that have not run; leaves out peers that cannot be the best.
fn drop_hopeless(tasks: &mut Vec<Task<'_>>) {
    let warm_up: Vec<Duration> = tasks.iter_mut().map(first).collect();
    for (task, ran) in tasks.iter_mut().zip(&warm_up) {
        task.ran = Some(*ran);
    }
    let best = warm_up[1..].iter().min().copied().unwrap_or_default();
    let mut times = warm_up.iter().enumerate();
    tasks.retain(|_| {
        let (index, time) = times.next().unwrap_or((0, &best));
        index == 0 || *time <= best * HOPELESS
    });
}

fn first(task: &mut Task<'_>) -> Duration {
    task.ran.unwrap_or_else(|| once(task))
}

fn once(task: &mut Task<'_>) -> Duration {
    let (start, mut times) = (Instant::now(), 0);
    loop {
        (task.run)();
        times += 1;
        let all = start.elapsed();
        if all >= RUN {
            return all / times;
        }
    }
}

/// Keeps as many processors busy as threads will be timed, if those are several.
fn awake(threads: usize) {
    let start = Instant::now();
    let work = || {
        while start.elapsed() < AWAKE {
            std::hint::spin_loop();
        }
    };
    if threads > 1 {
        std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    }
}

fn interleave(tasks: &mut [Task<'_>], threads: usize) -> Vec<Vec<Duration>> {
    let mut times = vec![Vec::new(); tasks.len()];
    let start = Instant::now();
    for run in 0..MOST_RUNS {
        if run >= RUNS && start.elapsed() > BUDGET {
            break;
        }
        for (task, times) in tasks.iter_mut().zip(&mut times) {
            awake(threads);
            if task.ran.is_some_and(|ran| ran < COLD) {
                (task.run)();
            }
            times.push(once(task));
        }
    }
    times
}

fn line(what: Measured<'_>, ours: Spread, peers: &[(&str, Spread)]) -> Value {
    let best = peers
        .iter()
        .min_by(|(_, a), (_, b)| a.median.total_cmp(&b.median));
    let round = |ns: f64| (ns * 100.0).round() / 100.0;
    let mut line = json!({
        "group": what.group, "size": what.size, "threads": what.threads, "backend": what.backend,
        "ours_ns": round(ours.median), "ours_min_ns": round(ours.min), "ours_max_ns": round(ours.max),
        "tunables": std::env::var("GLIBC_TUNABLES").unwrap_or_default(),
    });
    if let (Some((peer, theirs)), Some(fields)) = (best, line.as_object_mut()) {
        fields.insert("peer".into(), json!(peer));
        fields.insert("peer_ns".into(), json!(round(theirs.median)));
        fields.insert("peer_min_ns".into(), json!(round(theirs.min)));
        fields.insert("peer_max_ns".into(), json!(round(theirs.max)));
        fields.insert("ratio".into(), json!(round(theirs.median / ours.median)));
        let all = peers
            .iter()
            .map(|(name, s)| ((*name).to_owned(), json!(round(s.median))));
        fields.insert("peers".into(), Value::Object(all.collect::<Map<_, _>>()));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(name: &'static str, milliseconds: u64) -> Task<'static> {
        Task::new(name, move || {
            std::thread::sleep(Duration::from_millis(milliseconds));
        })
    }

    #[test]
    fn the_best_peer_is_named_and_hopeless_ones_are_left_out() {
        let what = Measured {
            group: "sleep",
            size: 3,
            threads: 1,
            backend: "none",
            operations: 8,
        };
        let tasks = vec![sleeper("ours", 4), sleeper("slow", 60), sleeper("best", 8)];
        let (line, ours) = compare(what, tasks);
        assert_eq!(line["peer"], "best");
        assert_eq!(line["peers"].as_object().map(Map::len), Some(1));
        assert_eq!(
            line["ours_ns"],
            json!((ours.median * 100.0).round() / 100.0)
        );
        assert!(ours.min >= 500_000.0 && ours.min <= ours.median && ours.median <= ours.max);
    }

    #[test]
    fn a_run_before_is_the_warm_up() {
        let runs = std::cell::Cell::new(0);
        let counted = Task::new("counted", || runs.set(runs.get() + 1));
        let hopeless = sleeper("hopeless", 1).after(Duration::from_secs(9));
        let mut tasks = vec![
            sleeper("ours", 1),
            counted.after(Duration::from_millis(1)),
            hopeless,
        ];
        drop_hopeless(&mut tasks);
        let names: Vec<&str> = tasks.iter().map(|task| task.name).collect();
        assert_eq!((names, runs.get()), (vec!["ours", "counted"], 0));
    }

    #[test]
    fn the_spread_is_that_of_the_runs() {
        let runs = [40, 10, 20].map(Duration::from_nanos).to_vec();
        let spread = Spread::of(runs, 10);
        let expected = Spread {
            median: 2.0,
            min: 1.0,
            max: 4.0,
        };
        assert_eq!(spread, expected);
    }
}
