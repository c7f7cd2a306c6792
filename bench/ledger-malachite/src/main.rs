//! The consensus core of this project against malachite's
//! (`arc-malachitebft-core-consensus`): `cargo run --release`.

mod context;
mod net;

use std::collections::BTreeSet;

use decube_core::types::Span;
use ledger_common::{
    Distance, Finality, Rival, WARM_UP, WORK_BLOCKS, Work, blocks_of, compare, per_block,
    thread_time,
};
use net::Net;

fn main() {
    compare(&Rival {
        title: "malachite",
        row: "malachite core 0.8.2",
        ours: "DeCube core",
        cost: theirs_cost,
        latency: theirs_latency,
        work: Some(theirs_work),
    });
}

fn theirs_cost(count: usize) -> f64 {
    let distance = Distance::Uniform(Span::from_millis(1));
    let mut net = Net::new(count, distance, &BTreeSet::new());
    net.run_to(WARM_UP);
    let (blocks, begin) = (blocks_of(count), thread_time());
    net.run_to(WARM_UP + blocks);
    per_block(thread_time() - begin, blocks, count)
}

fn theirs_work(count: usize) -> Work {
    let distance = Distance::Uniform(Span::from_millis(1));
    let mut net = Net::new(count, distance, &BTreeSet::new());
    net.run_to(WORK_BLOCKS);
    Work::of(net.counts, WORK_BLOCKS, count)
}

fn theirs_latency(count: usize, crashed: usize) -> Finality {
    let crashed = (0..crashed).map(|number| number * 3).collect();
    let mut net = Net::new(count, Distance::World, &crashed);
    net.run_to(200);
    net.finality()
}
