//! How fast the simulator is: five nodes, all checkers on, one core.

use std::time::Instant;

use decube_core::node::Node;
use decube_io_sim::runner::calm_setup;
use decube_io_sim::world::World;

fn main() {
    for (clients, horizon_ms) in [(1, 600_000), (4, 120_000), (16, 60_000)] {
        let setup = calm_setup(1, 5, clients, horizon_ms);
        let start = Instant::now();
        let outcome = World::<Node>::new(setup).run();
        let micros = u64::try_from(start.elapsed().as_micros())
            .unwrap_or(u64::MAX)
            .max(1);
        println!(
            "{clients} clients: {} events/s, {} times real time, {} operations{}",
            outcome.events * 1_000_000 / micros,
            outcome.simulated / 1_000 / micros,
            outcome.clients.completed,
            if outcome.violation.is_some() {
                ", VIOLATION"
            } else {
                ""
            }
        );
    }
}
