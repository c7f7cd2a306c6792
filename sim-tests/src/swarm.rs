//! A batch of seeds on all processors.
//!
//! Each run is one thread's from its first event to its last, so threads decide only
//! when a seed runs. Scenarios take turns seed by seed: a slow one does not crowd the
//! others out. Which seeds belong to a batch of a given number, and which failure of
//! several is reported, is the same on every machine.

use std::hash::{BuildHasher as _, RandomState};
use std::num::NonZero;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use decube_io_sim::runner::{self, RunReport, RunSpec, SwarmReport};
use decube_io_sim::scenario::Scenario;

use crate::{last_panic, say};

/// Fresh seeds begin below this number: easy to copy, and no two batches meet.
const FRESH_SEEDS_END: u64 = 1_000_000_000_000;

/// Which seeds to run.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// Each seed is run in all of them.
    pub scenarios: &'a [Scenario],
    pub first_seed: u64,
    /// When there are enough.
    pub until: Until,
}

/// When a batch is over. Wall time decides only how many seeds run, never whether one
/// passes.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    /// Each scenario has run so many seeds.
    Seeds(u64),
    /// So much time has passed.
    Elapsed(Duration),
}

/// A first seed that nobody has chosen: from the operating system's randomness, by which
/// the standard library keys its hashes.
pub fn drawn_seed() -> u64 {
    RandomState::new().hash_one(()) % FRESH_SEEDS_END
}

/// Runs a batch until it is over or a seed fails. The failure is explained.
pub fn run(batch: &Batch<'_>) -> SwarmReport {
    run_with(batch, runner::run)
}

fn run_with(batch: &Batch<'_>, run: impl Fn(&RunSpec) -> RunReport + Sync) -> SwarmReport {
    let began = Instant::now();
    let scenarios = u64::try_from(batch.scenarios.len()).expect("few scenarios");
    let total = Mutex::new(SwarmReport::default());
    let failures: Mutex<Vec<(u64, RunReport)>> = Mutex::default();
    on_all_processors(|number| {
        let (round, turn) = (number / scenarios, number % scenarios);
        let is_over = match batch.until {
            Until::Seeds(seeds) => round >= seeds,
            Until::Elapsed(time) => began.elapsed() >= time,
        };
        let has_failed = failures.lock().expect("runs do not panic");
        // What comes before a failing run is run all the same: which of several failures
        // is the first must not depend on which was faster.
        if is_over || has_failed.iter().any(|(other, _)| *other < number) {
            return ControlFlow::Break(());
        }
        drop(has_failed);
        let turn = usize::try_from(turn).expect("few scenarios");
        let report = run(&RunSpec::new(
            batch.scenarios[turn],
            batch.first_seed + round,
        ));
        total.lock().expect("runs do not panic").add(&report);
        if report.outcome.violation.is_some() {
            let mut failures = failures.lock().expect("runs do not panic");
            failures.push((number, report));
        }
        ControlFlow::Continue(())
    });
    let mut total = total.into_inner().expect("runs do not panic");
    let failures = failures.into_inner().expect("runs do not panic");
    let first = failures.into_iter().min_by_key(|(number, _)| *number);
    total.failure = first.map(|(_, report)| Box::new(runner::explain(report)));
    total
}

/// Hands out the numbers from zero on, each once and in order, to as many threads as
/// there are processors, until one of them breaks or each has broken.
pub fn on_all_processors(work: impl Fn(u64) -> ControlFlow<()> + Sync) {
    let next = AtomicU64::new(0);
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let all = || while work(next.fetch_add(1, Ordering::Relaxed)).is_continue() {};
                if let Err(panic) = catch_unwind(AssertUnwindSafe(all)) {
                    say(&format!("the suite itself panicked: {}", last_panic()));
                    resume_unwind(panic);
                }
            });
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use decube_core::mutant::Mutant;

    const SCENARIOS: [Scenario; 2] = [Scenario::RaftReconfig, Scenario::BftByzantine];

    fn batch(until: Until) -> Batch<'static> {
        Batch {
            scenarios: &SCENARIOS,
            first_seed: 31,
            until,
        }
    }

    #[test]
    fn threads_run_what_one_thread_runs() {
        let report = run(&batch(Until::Seeds(3)));
        let alone = runner::swarm(&SCENARIOS, 31, Mutant::None, |_, report| {
            match report.total().runs {
                6 => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        });
        assert_eq!(report.to_string(), alone.to_string());
    }

    #[test]
    fn the_first_of_several_failures_is_reported_whoever_is_faster() {
        let buggy = |spec: &RunSpec| {
            runner::run(&RunSpec {
                mutant: Mutant::BftVoteNotDurable,
                ..spec.clone()
            })
        };
        let alone = runner::swarm(&SCENARIOS, 31, Mutant::BftVoteNotDurable, |_, _| {
            ControlFlow::Continue(())
        });
        let first = alone.failure.expect("the planted bug is found").spec;
        let report = run_with(&batch(Until::Seeds(30)), buggy);
        assert_eq!(
            report.failure.expect("it is found here as well").spec,
            first
        );
    }

    #[test]
    fn time_ends_a_batch() {
        let report = run(&batch(Until::Elapsed(Duration::ZERO)));
        assert_eq!(report.total().runs, 0);
    }

    #[test]
    fn two_draws_differ() {
        assert_ne!(drawn_seed(), drawn_seed());
    }
}
