//! The consensus core of this project against commonware's simplex
//! (`commonware-consensus`): `cargo run --release`.

mod counted;
mod net;
mod shell;

use std::sync::Arc;

use commonware_consensus::simplex::mocks::scheme as mock;
use commonware_consensus::simplex::scheme::secp256r1;
use decube_core::types::Span;
use ledger_common::{Distance, Length, Plan, Rival, Seen, Traffic, WORK, Work, compare, per_block};
use net::{Net, Run, run as run_net};

fn main() {
    compare(&Rival {
        title: "commonware",
        row: "commonware simplex 2026.10.0, its runtime included",
        ours: "DeCube core, our simulator included",
        free: |count, mut length| {
            // Their runtime does several times the work: a tenth of the blocks is enough.
            length.blocks = (length.blocks / 10).max(5);
            cost(run_net(Net::near(count), mock::fixture, length), count)
        },
        signed: &[(
            "commonware simplex 2026.10.0, its secp256r1 (p256 0.14, aws-lc), its runtime included",
            |count, length| cost(run_net(Net::near(count), secp256r1::fixture, length), count),
        )],
        run,
        work,
        traffic,
    });
}

fn cost(run: Run, count: usize) -> f64 {
    per_block(run.took_ns, run.blocks, count)
}

/// Signatures are checked inside of its schemes, where nothing counts them. The one
/// that is used here looks them up instead of computing them.
fn work(count: usize) -> Work {
    let mut net = Net::near(count);
    net.counts_allocations = true;
    let run = run_net(net, mock::fixture, WORK);
    Work::of(None, run.allocations, run.blocks, count)
}

fn traffic(count: usize) -> Traffic {
    let mut net = Net::new(Plan::new(count, 0), Distance::World);
    net.sent = Some(Arc::default());
    let run = run_net(net, secp256r1::fixture, WORK);
    let [before, after] = run.sent;
    Traffic::of(before, after, run.blocks)
}

fn run(plan: Plan) -> Seen {
    let length = Length {
        warm_up: 0,
        blocks: plan.blocks,
    };
    run_net(Net::new(plan, Distance::World), mock::fixture, length).seen
}

impl Net {
    /// All a millisecond apart.
    fn near(count: usize) -> Self {
        let distance = Distance::Uniform(Span::from_millis(1));
        Self::new(Plan::new(count, 0), distance)
    }
}
