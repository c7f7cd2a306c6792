//! A world of thousands of nodes: `crowd [NODES]`. Five voters serve clients, as
//! many learners follow as a cluster may have, and all other nodes run, know their
//! peers, and wait to be asked. Prints speed and memory.

use std::time::Instant;

use decube_core::limits::LEARNERS_MAX;
use decube_core::node::Node;
use decube_io_sim::plan::{Fault, FaultKind};
use decube_io_sim::runner::calm_setup;
use decube_io_sim::world::World;
use decube_sim_tests as _;

fn main() {
    let nodes: u64 = std::env::args()
        .nth(1)
        .map_or(1_000, |nodes| nodes.parse().expect("a number of nodes"));
    let mut setup = calm_setup(1, 5, 4, 10_000);
    setup.config.topology.spares = nodes.saturating_sub(5);
    setup.config.load.contacts = 5;
    let learners = u64::try_from(LEARNERS_MAX).expect("few");
    setup.plan = vec![Fault {
        at: 1_000_000_000,
        duration: 0,
        kind: FaultKind::Reconfigure,
        args: [0b1_1111, ((1 << learners) - 1) << 5, 0],
    }];
    let start = Instant::now();
    let outcome = World::<Node>::new(setup).run();
    let micros = start.elapsed().as_micros().max(1);
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find(|line| line.starts_with("VmHWM"));
    println!(
        "{nodes} nodes: {} events in {} ms, {} events/s, {} ms simulated, {} operations, {} \
         changes of members; {}{}",
        outcome.events,
        micros / 1_000,
        u128::from(outcome.events) * 1_000_000 / micros,
        outcome.simulated / 1_000_000,
        outcome.clients.completed,
        outcome.coverage.changes_accepted,
        peak.unwrap_or("memory unknown"),
        match &outcome.violation {
            Some(violation) => format!(", VIOLATION {violation}"),
            None => String::new(),
        }
    );
}
