//! How fast the simulator is: five nodes, all checkers on, one core.

use std::time::Instant;

use decube_core::node::Node;
use decube_io_sim::runner::calm_setup;
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

fn main() {
    println!("| load | operations/s | events/s | simulated time over real time |");
    println!("|---|---|---|---|");
    for (name, clients, think_us, horizon_ms) in LOADS {
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
}
