//! The minimiser makes the trace of a planted bug small, and it still fails in the
//! same way.

use std::ops::ControlFlow;

use decube_core::mutant::Mutant;
use decube_core::trace::{Record, Trace};
use decube_io_sim::runner::{
    Effort, Mode, RunReport, RunSpec, Shrunk, record, replay, run, shrink,
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

fn shrunk(report: &RunReport) -> Shrunk {
    shrink(report, EFFORT, |_| ControlFlow::Continue(())).expect("it fails")
}

#[test]
fn a_planted_bug_is_made_small_and_replays() {
    quiet_panics();
    for (mutant, scenario) in [
        (Mutant::CommitOldTerm, Scenario::RaftKv),
        (Mutant::SessionAppliesTwice, Scenario::RaftKv),
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
        assert!(after.operations * 4 <= before.operations, "{small:?}");
        assert!(after.events * 2 <= before.events);
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
    spec.settings = vec![("horizon_ms".to_owned(), 2_000)];
    let report = run(&spec);
    let mut trace = record(&report);
    let work = |record: &&Record| matches!(record, Record::Work { .. });
    let listed = trace.records.iter().filter(work).count();
    let begun: u64 = report.outcome.completed_each.iter().map(|n| n + 1).sum();
    assert_eq!(u64::try_from(listed).expect("fits"), begun);
    // Every message from the first node to the second of some span is lost.
    let before = trace.records.len();
    let lost = (10..14).map(|number| Record::Decision {
        domain: 3,
        a: 0,
        b: 1,
        number,
        value: 1,
    });
    trace.records.extend(lost);
    trace.digest = None;
    let again = |trace: &Trace| replay(&trace.to_text(), Mode::Loose).expect("it is read");
    let changed = again(&trace).report;
    assert_ne!(changed.outcome.digest, report.outcome.digest);
    let recorded = record(&changed);
    let decision = |record: &&Record| matches!(record, Record::Decision { .. });
    assert_eq!(recorded.records.iter().filter(decision).count(), 4);
    trace.records.truncate(before);
    assert_eq!(again(&trace).report.outcome.digest, report.outcome.digest);
}
