//! The consensus core of this project against malachite's
//! (`arc-malachitebft-core-consensus`): `cargo run --release`.

mod context;
mod crypto;
mod net;
mod wire;

use crypto::Crypto;
use decube_core::types::Span;
use ledger_common::{
    Count, Distance, Faults, Length, Plan, Rival, Seen, Traffic, WORK, Work, compare, per_block,
    thread_cpu_ns,
};
use net::Net;

fn main() {
    compare(&Rival {
        title: "malachite",
        row: "malachite core 0.8.2",
        ours: "DeCube core",
        free: |count, length| cost(count, length, Crypto::Free),
        signed: &[
            ("malachite core 0.8.2, ring", |count, length| {
                cost(count, length, Crypto::Ring)
            }),
            (
                "malachite core 0.8.2, its signing-ecdsa 0.8.2 (p256 0.13)",
                |count, length| cost(count, length, Crypto::Own),
            ),
        ],
        run,
        work,
        traffic,
    });
}

/// All a millisecond apart.
fn near(count: usize, crypto: Crypto) -> Net {
    let distance = Distance::Uniform(Span::from_millis(1));
    Net::new(count, distance, Faults::default(), crypto)
}

fn cost(count: usize, length: Length, crypto: Crypto) -> f64 {
    let mut net = near(count, crypto);
    net.run_to(length.warm_up);
    let begin = thread_cpu_ns();
    assert!(
        net.run_to(length.warm_up + length.blocks),
        "nothing goes wrong"
    );
    per_block(thread_cpu_ns() - begin, length.blocks, count)
}

fn work(count: usize) -> Work {
    let mut net = near(count, Crypto::Free);
    net.run_to(WORK.warm_up);
    let (before, allocations) = (net.counts, Count::start());
    net.run_to(WORK.warm_up + WORK.blocks);
    let allocations = allocations.stop();
    let signed = net.counts.signed - before.signed;
    let checked = net.counts.checked - before.checked;
    Work::of(
        Some([signed, checked]),
        allocations.calls,
        WORK.blocks,
        count,
    )
}

fn traffic(count: usize) -> Traffic {
    let mut net = Net::new(count, Distance::World, Faults::default(), Crypto::Free);
    net.run_to(WORK.warm_up);
    let before = net.counts.sent();
    net.run_to(WORK.warm_up + WORK.blocks);
    Traffic::of(before, net.counts.sent(), WORK.blocks)
}

fn run(plan: Plan) -> Seen {
    let mut net = Net::new(plan.count, Distance::World, plan.faults, Crypto::Free);
    let done = net.run_to(plan.blocks);
    net.seen(!done)
}
