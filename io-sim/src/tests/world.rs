//! The world is deterministic, finds what is planted, and nothing else.

use decube_core::mutant::Mutant;
use decube_core::trace::Trace;

use super::toy::Toy;
use crate::cast::Cast;
use crate::config::SimConfig;
use crate::plan;
use crate::runner::{RunSpec, record, run_setup, setup_of};
use crate::scenario::Scenario;
use crate::workload::Workload;
use crate::world::{Outcome, Setup, World};

fn setup(seed: u64) -> Setup {
    let config = SimConfig::with(&[
        ("nodes", 2),
        ("clients", 5),
        ("horizon_ms", 4_000),
        ("kills", 5),
        ("power_losses", 5),
        ("pauses", 3),
        ("partitions", 2),
        ("disk_stalls", 2),
        ("sync_failures", 1),
        ("loss_ppm", 20_000),
        ("duplicate_ppm", 50_000),
        ("duplicate_ms_max", 100),
        ("session_ppm", 0),
        ("keys", 3),
        ("think_mean_us", 5_000),
        ("crash_drop_ppm", 700_000),
        (
            "quantum_ns",
            if seed.is_multiple_of(2) { 1 } else { 100_000 },
        ),
    ]);
    let plan = plan::draw(seed, &config);
    Setup {
        seed,
        cast: Cast::of_one_cluster(),
        config,
        plan,
        workload: Workload::new(seed),
        overrides: Vec::new(),
        mutant: Mutant::None,
        events_max: u64::MAX,
        log: None,
    }
}

fn run(setup: Setup) -> Outcome {
    World::<Toy>::new(setup).run()
}

#[test]
fn a_correct_machine_passes() {
    let (mut completed, mut held) = (0, 0);
    for seed in 0..60 {
        let outcome = run(setup(seed));
        assert_eq!(outcome.violation, None, "seed {seed}");
        completed += outcome.clients.completed;
        held += outcome.coverage.messages_held;
    }
    assert!(completed > 20_000, "the load is real: {completed}");
    assert!(
        held > 100,
        "messages wait for who does not take them: {held}"
    );
}

#[test]
fn equal_seeds_give_equal_runs_and_others_do_not() {
    let (first, second) = (run(setup(4)), run(setup(4)));
    assert_eq!(first.digest, second.digest);
    assert_eq!(first.checkpoints, second.checkpoints);
    assert_eq!(first.events, second.events);
    assert_ne!(first.digest, run(setup(5)).digest);
}

#[test]
fn describing_a_run_does_not_change_it() {
    let plain = run(setup(4));
    let described = run(Setup {
        log: Some((10, 20)),
        ..setup(4)
    });
    assert_eq!(plain.digest, described.digest);
    assert!(
        described.lines.iter().any(|line| line.contains(">>")),
        "{:?}",
        described.lines
    );
}

#[test]
fn an_early_acknowledgement_is_found() {
    let found = (0..60).find_map(|seed| {
        let outcome = run(Setup {
            mutant: Mutant::AckBeforeSync,
            ..setup(seed)
        });
        outcome.violation
    });
    let violation = found.expect("acknowledging before the sync must be noticed");
    let expected = ["real-time-order", "claimed-order", "linearizable"];
    assert!(expected.contains(&violation.checker), "{violation}");
}

/// A failure that could not be replayed would be lost.
#[test]
fn what_is_recorded_can_be_set_up_again() {
    for scenario in Scenario::ALL {
        for seed in 0..150 {
            let mut setup = scenario.setup(seed, Mutant::None);
            setup.events_max = 1;
            let report = run_setup(RunSpec::new(scenario, seed), setup);
            let trace = Trace::parse(&record(&report).to_text());
            let again = setup_of(&trace.expect("a trace reads what it wrote"));
            let (found, again) = again.unwrap_or_else(|error| {
                panic!("{} seed {seed}: {error}", scenario.name());
            });
            assert_eq!((found, again.seed), (scenario, seed));
            assert_eq!((again.config, again.plan), (report.config, report.plan));
        }
    }
}
