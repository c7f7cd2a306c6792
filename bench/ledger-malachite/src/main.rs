//! The consensus core of this project against malachite's
//! (`arc-malachitebft-core-consensus`): `cargo run --release`.

mod context;
mod net;

use std::collections::BTreeSet;

use decube_core::types::Span;
use ledger_common::{
    COUNTS, Cost, Distance, LATENCY_COUNTS, RUNS, WARM_UP, blocks_of, cost_head, cost_row,
    latency_head, latency_row, ours_cost, ours_latency, per_block, thread_time,
};
use net::Net;

const THEIRS: &str = "malachite core 0.8.2";
const OURS: &str = "DeCube core";

fn main() {
    cost_head("Processor time of a final block, against malachite");
    for count in COUNTS {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            ours.push(ours_cost(count));
            theirs.push(theirs_cost(count));
        }
        let (ours, theirs) = (Cost::of(ours), Cost::of(theirs));
        cost_row(count, OURS, ours, ours);
        cost_row(count, THEIRS, theirs, ours);
    }
    latency_head("Time to finality in ten regions, against malachite");
    for count in LATENCY_COUNTS {
        for crashed in [0, (count - 1) / 3] {
            latency_row(count, crashed, OURS, ours_latency(count, crashed));
            latency_row(count, crashed, THEIRS, theirs_latency(count, crashed));
        }
    }
}

fn theirs_cost(count: usize) -> f64 {
    let distance = Distance::Uniform(Span::from_millis(1));
    let mut net = Net::new(count, distance, &BTreeSet::new());
    net.run_to(WARM_UP);
    let (blocks, begin) = (blocks_of(count), thread_time());
    net.run_to(WARM_UP + blocks);
    per_block(thread_time() - begin, blocks, count)
}

fn theirs_latency(count: usize, crashed: usize) -> ledger_common::Finality {
    let crashed = (0..crashed).map(|number| number * 3).collect();
    let mut net = Net::new(count, Distance::World, &crashed);
    net.run_to(200);
    net.finality()
}
