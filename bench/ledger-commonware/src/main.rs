//! The consensus core of this project against commonware's simplex
//! (`commonware-consensus`): `cargo run --release`.

mod net;

use std::collections::BTreeSet;

use decube_core::types::Span;
use ledger_common::{
    COUNTS, Cost, Distance, Finality, LATENCY_COUNTS, RUNS, WARM_UP, blocks_of, cost_head,
    cost_row, latency_head, latency_row, ours_cost, ours_latency, per_block,
};

const THEIRS: &str = "commonware simplex 2026.10.0, its runtime included";
const OURS: &str = "DeCube core, our simulator included";

fn main() {
    cost_head("Processor time of a final block, against commonware");
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
    latency_head("Time to finality in ten regions, against commonware");
    for count in LATENCY_COUNTS {
        for crashed in [0, (count - 1) / 3] {
            latency_row(count, crashed, OURS, ours_latency(count, crashed));
            latency_row(count, crashed, THEIRS, theirs_latency(count, crashed));
        }
    }
}

fn theirs_cost(count: usize) -> f64 {
    let distance = Distance::Uniform(Span::from_millis(1));
    // Their runtime does several times the work: a tenth of the blocks is enough.
    let blocks = (blocks_of(count) / 10).max(5);
    let run = net::run(count, distance, BTreeSet::new(), WARM_UP, blocks);
    per_block(run.took, run.blocks, count)
}

fn theirs_latency(count: usize, crashed: usize) -> Finality {
    let crashed = (0..crashed).map(|number| number * 3).collect();
    net::run(count, Distance::World, crashed, WARM_UP, 90).finality
}
