//! How fast the simulator is, all checkers on, one core: five nodes of one cluster under
//! several loads, and the platform with all its faults. An argument names the loads that
//! are run: those that contain it.

use std::time::Instant;

use decube_core::node::Node;
use decube_io_sim::runner::{self, RunSpec, calm_setup};
use decube_io_sim::scenario::Scenario;
use decube_io_sim::world::World;
use decube_sim_tests as _;

/// What is measured: clients, the mean pause of each between two operations in
/// microseconds, and the virtual time in milliseconds.
const LOADS: [(&str, u64, u64, u64); 6] = [
    ("idle: heartbeats only", 0, 0, 3_600_000),
    ("about 10 operations/s", 1, 98_000, 1_200_000),
    ("about 100 operations/s", 10, 98_000, 300_000),
    ("1 client, 20 ms pauses", 1, 20_000, 600_000),
    ("4 clients, 20 ms pauses", 4, 20_000, 120_000),
    ("16 clients, 20 ms pauses", 16, 20_000, 60_000),
];

/// Seeds of the platform that are run, each with twelve nodes in four clusters.
const PLATFORM_SEEDS: u64 = 20;
const PLATFORM_NAME: &str = "platform: 12 nodes, 4 clusters";
const PLATFORM: [(&str, u64); 2] = [("nodes", 12), ("clusters", 4)];

fn main() {
    println!("| load | operations/s | events/s | simulated time over real time |");
    println!("|---|---|---|---|");
    let filter = std::env::args().nth(1).unwrap_or_default();
    for (name, clients, think_us, horizon_ms) in LOADS {
        if !name.contains(&filter) {
            continue;
        }
        let mut setup = calm_setup(1, 5, clients, horizon_ms);
        setup.config.load.think_mean_us = think_us;
        let start = Instant::now();
        let outcome = World::<Node>::new(setup).run();
        let micros = u64::try_from(start.elapsed().as_micros())
            .unwrap_or(u64::MAX)
            .max(1);
        println!(
            "| {name} | {} | {} | {} |{}",
            outcome.clients.completed * 1_000 / (outcome.simulated / 1_000_000).max(1),
            outcome.events * 1_000_000 / micros,
            outcome.simulated / 1_000 / micros,
            if outcome.violation.is_some() {
                " VIOLATION"
            } else {
                ""
            }
        );
    }
    if PLATFORM_NAME.contains(&filter) {
        platform();
    }
}

fn platform() {
    let (mut operations, mut events, mut simulated) = (0, 0, 0);
    let mut note = "";
    let start = Instant::now();
    for seed in 1..=PLATFORM_SEEDS {
        let mut spec = RunSpec::new(Scenario::Platform, seed);
        let settings = PLATFORM.map(|(name, value)| (name.to_owned(), value));
        spec.settings = settings.to_vec();
        let outcome = runner::run(&spec).outcome;
        operations += outcome.clients.completed;
        events += outcome.events;
        simulated += outcome.simulated;
        if outcome.violation.is_some() {
            note = " VIOLATION";
        }
    }
    let micros = u64::try_from(start.elapsed().as_micros())
        .unwrap_or(u64::MAX)
        .max(1);
    println!(
        "| {PLATFORM_NAME} | {} | {} | {} |{note}",
        operations * 1_000 / (simulated / 1_000_000).max(1),
        events * 1_000_000 / micros,
        simulated / 1_000 / micros,
    );
}
