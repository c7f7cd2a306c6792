//! Equal seeds give equal runs: in one process, in two threads, in two
//! processes, and against digests in the repository.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use decube_core::trace::Hex;
use decube_io_sim::runner::{Mode, RunReport, RunSpec, record, replay, run};
use decube_io_sim::scenario::Scenario;
use decube_sim_tests::say;

const GOLDEN_SEEDS: u64 = 4;
const CHILD: &str = "DECUBE_DETERMINISM_CHILD";

fn spec(scenario: Scenario, seed: u64) -> RunSpec {
    // Short runs: what differs at all differs early.
    RunSpec {
        settings: vec![("horizon_ms".to_owned(), 5_000)],
        ..RunSpec::new(scenario, seed)
    }
}

fn digests() -> String {
    let mut text = String::new();
    for scenario in Scenario::ALL {
        for seed in 1..=GOLDEN_SEEDS {
            let report = run(&spec(scenario, seed));
            let outcome = &report.outcome;
            text += &format!(
                "{} {seed} {} {}\n",
                scenario.name(),
                outcome.events,
                Hex(&outcome.digest)
            );
        }
    }
    text
}

fn assert_same(first: &RunReport, second: &RunReport) {
    let (first, second) = (&first.outcome, &second.outcome);
    let differs = first
        .checkpoints
        .iter()
        .zip(&second.checkpoints)
        .find(|(a, b)| a != b);
    assert_eq!(differs, None, "the first checkpoint that differs");
    assert_eq!(
        first.digest, second.digest,
        "the runs differ after the last checkpoint"
    );
    assert_eq!(first.violation, second.violation);
}

#[test]
fn twice_in_one_process() {
    for scenario in Scenario::ALL {
        assert_same(&run(&spec(scenario, 7)), &run(&spec(scenario, 7)));
    }
}

#[test]
fn in_two_threads_at_once() {
    let thread = || std::thread::spawn(|| run(&spec(Scenario::WholeNode, 9)));
    let (first, second) = (thread(), thread());
    let first = first.join().expect("the run does not panic");
    let second = second.join().expect("the run does not panic");
    assert_same(&first, &second);
}

/// Digests of this process, for `in_two_processes`; nothing else when it is run
/// as a test.
#[test]
fn child() {
    if let Ok(path) = std::env::var(CHILD) {
        fs::write(path, digests()).expect("the parent made the folder");
    }
}

#[test]
fn in_two_processes() {
    let outputs = ["a", "b"].map(|name| {
        let path = std::env::temp_dir().join(format!("decube-{}-{name}", std::process::id()));
        let binary = std::env::current_exe().expect("this test has a path");
        let status = Command::new(binary)
            .args(["--exact", "child", "--quiet"])
            .env(CHILD, &path)
            .status();
        assert!(status.expect("this test can be started again").success());
        let text = fs::read_to_string(&path).expect("the child wrote it");
        fs::remove_file(&path).expect("it is ours");
        text
    });
    assert_eq!(outputs[0], outputs[1]);
    let lines = u64::try_from(outputs[0].lines().count()).expect("few lines");
    let scenarios = u64::try_from(Scenario::ALL.len()).expect("few scenarios");
    assert_eq!(lines, scenarios * GOLDEN_SEEDS);
}

#[test]
fn against_the_repository() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden/digests.txt");
    let now = digests();
    if std::env::var("DECUBE_BLESS").is_ok() {
        fs::write(&path, &now).expect("the folder exists");
        say("blessed new digests of runs");
        return;
    }
    let then = fs::read_to_string(&path).expect("the digests are part of the repository");
    let first = now
        .lines()
        .zip(then.lines())
        .find(|(now, then)| now != then);
    assert_eq!(
        first, None,
        "a seed no longer means the same run. If the change of the protocol or of the simulator \
         is meant, bless it: DECUBE_BLESS=1 cargo test -p sim-tests --test determinism"
    );
}

#[test]
fn a_recorded_run_replays_exactly_and_a_changed_one_is_noticed() {
    let report = run(&spec(Scenario::RaftSnapshot, 3));
    let text = record(&report).to_text();
    let again = replay(&text, Mode::Exact).expect("own traces are read");
    assert_eq!(again.mismatch, None);
    assert_same(&again.report, &report);
    let changed: String = text
        .lines()
        .filter(|line| !line.starts_with("E "))
        .map(|line| line.replace("C sync_mean_us ", "C sync_mean_us 1") + "\n")
        .collect();
    let other = replay(&changed, Mode::Exact).expect("an edited trace is read");
    let mismatch = other.mismatch.expect("another load is another run");
    assert!(mismatch.contains("differs"), "{mismatch}");
}
