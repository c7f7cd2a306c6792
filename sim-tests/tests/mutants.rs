//! Planted bugs: each must be found within its budget of seeds, or the simulator
//! proves nothing.
//!
//! The table names the scenario that hunts each bug and how many seeds it may
//! take. `DECUBE_MUTANT=Name` hunts one only; `DECUBE_MUTANT_SEED=N` begins with another
//! seed, which shows how much of a kill is luck.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use decube_core::mutant::Mutant;
use decube_io_sim::runner::{RunSpec, run};
use decube_io_sim::scenario::Scenario;
use decube_sim_tests::swarm::on_all_processors;
use decube_sim_tests::{number_from_env, quiet_panics, say};

/// The first seed of each hunt.
const FIRST_SEED: u64 = 1;

struct Planted {
    mutant: Mutant,
    scenario: Scenario,
    seeds_max: u64,
    /// Settings that differ from those of the seed, where the situation is rare.
    settings: &'static [(&'static str, u64)],
}

const fn planted(mutant: Mutant, scenario: Scenario, seeds_max: u64) -> Planted {
    Planted {
        mutant,
        scenario,
        seeds_max,
        settings: &[],
    }
}

impl Planted {
    const fn with(self, settings: &'static [(&'static str, u64)]) -> Self {
        Self { settings, ..self }
    }
}

fn table() -> Vec<Planted> {
    include!("mutants/table.rs")
}

fn main() {
    quiet_panics();
    let only = std::env::var("DECUBE_MUTANT").ok();
    let first = number_from_env("DECUBE_MUTANT_SEED").unwrap_or(FIRST_SEED);
    let survivors = AtomicU64::new(0);
    let start = Instant::now();
    let hunted = table();
    on_all_processors(|number| {
        let planted = usize::try_from(number).ok().and_then(|at| hunted.get(at));
        let Some(planted) = planted else {
            return ControlFlow::Break(());
        };
        let name = format!("{:?}", planted.mutant);
        if only.as_ref().is_none_or(|only| *only == name) && !hunt(&name, planted, first) {
            survivors.fetch_add(1, Ordering::Relaxed);
        }
        ControlFlow::Continue(())
    });
    let survivors = survivors.into_inner();
    let missed = |mutant: &Mutant| hunted.iter().all(|planted| planted.mutant != *mutant);
    let missed: Vec<Mutant> = Mutant::ALL.into_iter().filter(missed).collect();
    say(&format!(
        "mutants: {} hunted, {survivors} survive, {} s; not hunted yet: {missed:?}",
        hunted.len(),
        start.elapsed().as_secs()
    ));
    if survivors > 0 {
        std::process::exit(1);
    }
}

fn hunt(name: &str, planted: &Planted, first: u64) -> bool {
    let mut events = 0;
    for seed in first..first + planted.seeds_max {
        let spec = RunSpec {
            mutant: planted.mutant,
            settings: planted
                .settings
                .iter()
                .map(|(name, value)| ((*name).to_owned(), *value))
                .collect(),
            ..RunSpec::new(planted.scenario, seed)
        };
        let report = run(&spec);
        events += report.outcome.events;
        if let Some(violation) = report.outcome.violation {
            say(&format!(
                "{name}: killed by {} with seed {seed}, {events} events",
                violation.checker
            ));
            return true;
        }
    }
    say(&format!(
        "{name}: SURVIVES {} seeds of {}",
        planted.seeds_max,
        planted.scenario.name()
    ));
    false
}
