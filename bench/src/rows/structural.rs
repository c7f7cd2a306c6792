//! Message delays, messages and durable writes per commit: counted, not timed, so
//! they are the same on every machine.

use std::time::Duration;

use tokio::time::Instant;

use crate::cluster::{Direct, Group09, Group10, Open, caught_up, set_hop_ms};
use crate::node::{Node, Ours, RaftRs, Settings};
use crate::report::{Table, per_entry};
use crate::workload::Payloads;

const PAYLOAD: usize = 256;
/// Commits that each figure is averaged over.
const COMMITS: u64 = 64;
/// Entries of a batch.
const BATCH: usize = 256;

/// The counts of one way to commit.
struct Counted {
    delays: String,
    messages: u64,
    syncs: u64,
}

/// Counts everything and returns the table.
pub fn table() -> Table {
    let mut table = Table::new(&[
        "proposals",
        "contender",
        "delays to the leader's apply",
        "to every node's",
        "messages",
        "durable writes",
    ]);
    for batch in [1, BATCH] {
        let mut add = |name: &str, counted: &Counted| {
            let (leader, everyone) = counted.delays.split_once('/').expect("two numbers");
            table.row([
                format!("{batch} at once"),
                name.to_owned(),
                leader.to_owned(),
                everyone.to_owned(),
                per_entry(counted.messages, COMMITS as usize),
                per_entry(counted.syncs, COMMITS as usize),
            ]);
        };
        add(Ours::NAME, &direct::<Ours>(batch));
        add(RaftRs::NAME, &direct::<RaftRs>(batch));
        add("openraft 0.10", &hosted::<Group10>(batch));
        add("openraft 0.9", &hosted::<Group09>(batch));
    }
    table
}

fn direct<N: Node>(batch: usize) -> Counted {
    let mut cluster = Direct::<N>::elected(Settings::SHORT_LOG);
    let mut payloads = Payloads::new(PAYLOAD);
    cluster.write((0..batch).map(|_| payloads.next()));
    let (messages, syncs) = (cluster.messages(), cluster.syncs());
    let mut delays = (0, 0);
    for _ in 0..COMMITS {
        let target = cluster.leader_sink().count + batch as u64;
        cluster.propose((0..batch).map(|_| payloads.next()));
        let (mut leader, mut everyone) = (None, None);
        for delay in 0.. {
            let more = cluster.round();
            if cluster.leader_sink().count == target {
                leader.get_or_insert(delay);
            }
            if cluster.sinks().iter().all(|sink| sink.count == target) {
                everyone.get_or_insert(delay);
            }
            if !more {
                break;
            }
        }
        delays = (
            delays.0.max(leader.expect("it commits")),
            delays.1.max(everyone.expect("it spreads")),
        );
    }
    Counted {
        delays: format!("{}/{}", delays.0, delays.1),
        messages: cluster.messages() - messages,
        syncs: cluster.syncs() - syncs,
    }
}

/// Delays are read off virtual time, in which only messages take any.
fn hosted<C: Open>(batch: usize) -> Counted {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let cluster = C::start(Settings::SHORT_LOG).await;
        let mut payloads = Payloads::new(PAYLOAD);
        let mut written = 0;
        set_hop_ms(1);
        let mut counted = Counted {
            delays: String::new(),
            messages: 0,
            syncs: 0,
        };
        let (mut leader, mut everyone) = (0, 0);
        for _ in 0..COMMITS {
            // Right after a heartbeat, so that none falls into what is counted.
            let before = cluster.traffic().messages;
            while cluster.traffic().messages == before {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
            let before = cluster.traffic();
            let start = Instant::now();
            cluster
                .write_all((0..batch).map(|_| payloads.next()).collect())
                .await;
            leader = leader.max(start.elapsed().as_millis());
            written += batch as u64;
            while cluster.sinks().iter().any(|sink| sink.count < written) {
                tokio::time::sleep(Duration::from_micros(100)).await;
            }
            everyone = everyone.max(start.elapsed().as_millis());
            tokio::time::sleep(Duration::from_millis(10)).await;
            let after = cluster.traffic();
            counted.messages += after.messages - before.messages;
            counted.syncs += after.syncs - before.syncs;
        }
        set_hop_ms(0);
        caught_up(&cluster, written).await;
        counted.delays = format!("{leader}/{everyone}");
        counted
    })
}
