//! The minimiser makes the trace of a planted bug small, and it still fails in the
//! same way.

use std::ops::ControlFlow;

use decube_core::mutant::Mutant;
use decube_core::trace::{Record, Trace};
use decube_io_sim::runner::{
    Effort, Mode, RunReport, RunSpec, Shrunk, Size, record, replay, run, shrink,
};
use decube_io_sim::scenario::Scenario;
use decube_sim_tests::{quiet_panics, say};

const EFFORT: Effort = Effort {
    runs: 400,
    events: 6_000_000,
};

fn failing(mutant: Mutant, scenario: Scenario) -> RunReport {
    let reports = (1..30).map(|seed| {
        run(&RunSpec {
            mutant,
            ..RunSpec::new(scenario, seed)
        })
    });
    let mut failing = reports.filter(|report| report.outcome.violation.is_some());
    failing.next().expect("the planted bug is found")
}

fn checker(report: &RunReport) -> &'static str {
    let violation = report.outcome.violation.as_ref();
    violation.expect("it fails").checker
}

/// What somebody has to read: faults and operations.
fn weight(size: &Size) -> u64 {
    size.operations + u64::try_from(size.faults).expect("fits")
}

fn shrunk(report: &RunReport) -> Shrunk {
    shrink(report, EFFORT, |_| ControlFlow::Continue(())).expect("it fails")
}

#[test]
fn a_planted_bug_is_made_small_and_replays() {
    quiet_panics();
    for (mutant, scenario) in [
        (Mutant::CommitOldTerm, Scenario::RaftKv),
        (Mutant::FencingTokenReused, Scenario::RaftKv),
    ] {
        let first = failing(mutant, scenario);
        let small = shrunk(&first);
        say(&format!(
            "{mutant:?}: {:?} to {:?} in {} runs",
            small.before, small.after, small.runs
        ));
        assert_eq!(checker(&small.report), checker(&first));
        let (before, after) = (small.before, small.after);
        assert!(after.faults <= before.faults && after.slots <= before.slots);
        assert!(weight(&after) * 2 <= weight(&before));
        assert!(after.events < before.events);
        let text = record(&small.report).to_text();
        let again = replay(&text, Mode::Exact).expect("own traces are read");
        assert_eq!(again.mismatch, None, "{again}");
        assert_eq!(checker(&again.report), checker(&first));
    }
}

#[test]
fn a_run_that_does_not_fail_is_not_made_small() {
    let mut spec = RunSpec::new(Scenario::RaftKv, 1);
    spec.settings = vec![("horizon_ms".to_owned(), 1_000)];
    let report = run(&spec);
    assert!(shrink(&report, EFFORT, |_| ControlFlow::Continue(())).is_none());
}

#[test]
fn operations_and_decisions_of_a_trace_are_what_is_replayed() {
    let mut spec = RunSpec::new(Scenario::RaftKv, 2);
    let settings = [("horizon_ms", 5_000), ("nodes", 3)];
    spec.settings = settings
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec();
    let report = run(&spec);
    let mut trace = record(&report);
    let work = |record: &&Record| matches!(record, Record::Work { .. });
    let listed = trace.records.iter().filter(work).count();
    let begun: u64 = report.outcome.completed_each.iter().map(|n| n + 1).sum();
    assert_eq!(u64::try_from(listed).expect("fits"), begun);
    // Some early messages of every link are lost.
    let before = trace.records.len();
    for (a, b) in [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)] {
        let lost = (1..4).map(|number| Record::Decision {
            domain: 3,
            a,
            b,
            number,
            value: 1,
        });
        trace.records.extend(lost);
    }
    trace.digest = None;
    let again = |trace: &Trace| replay(&trace.to_text(), Mode::Loose).expect("it is read");
    let changed = again(&trace).report;
    assert_ne!(changed.outcome.digest, report.outcome.digest);
    let recorded = record(&changed);
    let decision = |record: &&Record| matches!(record, Record::Decision { .. });
    assert_eq!(recorded.records.iter().filter(decision).count(), 18);
    trace.records.truncate(before);
    assert_eq!(again(&trace).report.outcome.digest, report.outcome.digest);
}
