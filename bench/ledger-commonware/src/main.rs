//! The consensus core of this project against commonware's simplex
//! (`commonware-consensus`): `cargo run --release`.

mod net;

use std::collections::BTreeSet;

use decube_core::types::Span;
use ledger_common::{Distance, Finality, Rival, WARM_UP, blocks_of, compare, per_block};

fn main() {
    compare(&Rival {
        title: "commonware",
        row: "commonware simplex 2026.10.0, its runtime included",
        ours: "DeCube core, our simulator included",
        cost: theirs_cost,
        latency: theirs_latency,
        // Signatures are checked inside of its mock scheme, where nothing counts them.
        work: None,
    });
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
