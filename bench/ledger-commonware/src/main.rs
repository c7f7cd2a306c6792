//! The consensus core of this project against commonware's simplex
//! (`commonware-consensus`): `cargo run --release`.

mod counted;
mod net;
mod shell;

use commonware_consensus::simplex::mocks::scheme as mock;
use commonware_consensus::simplex::scheme::secp256r1;
use decube_core::types::Span;
use ledger_common::{Distance, Length, Plan, Rival, Seen, Traffic, Work, compare, per_block};
use net::{Net, run as run_net};

/// Blocks at the beginning of a run that is not on processor time.
const WARM_UP: u64 = 10;

/// Blocks over which traffic and allocations are counted.
const BLOCKS: u64 = 20;

fn main() {
    compare(&Rival {
        title: "commonware",
        row: "commonware simplex 2026.10.0, its runtime included",
        ours: "DeCube core, our simulator included",
        // Their runtime does several times the work: a tenth of the blocks is enough.
        free: |count, length| {
            let blocks = (length.blocks / 10).max(5);
            let run = run_net(Net::near(count), mock::fixture, length.warm_up, blocks);
            per_block(run.took, run.blocks, count)
        },
        signed: &[(
            "commonware simplex 2026.10.0, its secp256r1 (aws-lc), its runtime included",
            signed,
        )],
        run,
        work,
        traffic,
    });
}

fn signed(count: usize, length: Length) -> f64 {
    let run = run_net(
        Net::near(count),
        secp256r1::fixture,
        length.warm_up,
        length.blocks,
    );
    per_block(run.took, run.blocks, count)
}

/// Signatures are checked inside of its schemes, where nothing counts them.
fn work(count: usize) -> Work {
    let run = run_net(Net::near(count), mock::fixture, WARM_UP, BLOCKS);
    Work {
        signed: None,
        checked: None,
        allocations: run.allocations as f64 / run.blocks as f64 / count as f64,
    }
}

fn traffic(count: usize) -> Traffic {
    let net = Net::new(Plan::new(count, 0), Distance::World);
    let run = run_net(net, secp256r1::fixture, WARM_UP, BLOCKS);
    let each = |total: u64| total as f64 / run.blocks as f64;
    Traffic {
        messages: each(run.messages),
        bytes: each(run.bytes),
    }
}

fn run(plan: Plan) -> Seen {
    let blocks = plan.blocks;
    run_net(Net::new(plan, Distance::World), mock::fixture, 0, blocks).seen
}

impl Net {
    /// All a millisecond apart.
    fn near(count: usize) -> Self {
        let distance = Distance::Uniform(Span::from_millis(1));
        Self::new(Plan::new(count, 0), distance)
    }
}
