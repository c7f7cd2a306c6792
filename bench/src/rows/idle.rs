//! What a group costs that has nothing to do but to keep its leader.

use std::time::Duration;

use crate::cluster::{Cluster, Direct, Group09, Group10};
use crate::node::{Node, Ours, RaftRs, Settings};
use crate::report::{Table, ratio};
use crate::rows::Effort;
use measure::{Count, Spread, thread_cpu_ns};

/// Virtual seconds of one run.
const SECONDS: u64 = 10;

type Run = fn(groups: usize) -> Sample;

/// What one run found.
struct Sample {
    ns: f64,
    bytes: f64,
}

/// Measures all contenders and returns the table.
pub fn table(effort: Effort) -> Table {
    let contenders: [(&str, Run); 4] = [
        (Ours::NAME, direct::<Ours>),
        (RaftRs::NAME, direct::<RaftRs>),
        ("openraft 0.10", hosted::<Group10>),
        ("openraft 0.9", hosted::<Group09>),
    ];
    let mut samples: Vec<Vec<Sample>> = contenders.iter().map(|_| Vec::new()).collect();
    for _ in 0..effort.runs {
        for (at, (_, run)) in contenders.iter().enumerate() {
            samples[at].push(run(effort.groups));
        }
    }
    let spreads: Vec<Spread> = samples
        .iter()
        .map(|runs| Spread::of(runs.iter().map(|sample| sample.ns).collect()))
        .collect();
    let mut table = Table::new(&[
        "contender",
        "ns/group/s",
        "min–max",
        "bytes/group",
        "× ours",
    ]);
    for (at, (name, _)) in contenders.iter().enumerate() {
        let spread = spreads[at];
        table.row([
            (*name).to_owned(),
            format!("{:.0}", spread.median),
            format!("{:.0}–{:.0}", spread.min, spread.max),
            format!("{:.0}", samples[at][0].bytes),
            ratio(spread.median, spreads[0].median),
        ]);
    }
    table
}

fn direct<N: Node>(groups: usize) -> Sample {
    let counter = Count::start();
    let mut clusters: Vec<_> = (0..groups)
        .map(|_| Direct::<N>::elected(Settings::IDLE))
        .collect();
    let bytes = counter.stop().kept as f64 / groups as f64;
    let start = thread_cpu_ns();
    for _ in 0..SECONDS {
        for cluster in &mut clusters {
            cluster.pass(1_000_000_000);
        }
    }
    let ns = (thread_cpu_ns() - start) as f64 / (groups as u64 * SECONDS) as f64;
    Sample { ns, bytes }
}

/// Time is virtual here too: the runtime skips what nobody waits for.
fn hosted<C: Cluster>(groups: usize) -> Sample {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let counter = Count::start();
        let mut clusters = Vec::with_capacity(groups);
        for _ in 0..groups {
            clusters.push(C::start(Settings::IDLE).await);
        }
        let bytes = counter.stop().kept as f64 / groups as f64;
        let start = thread_cpu_ns();
        tokio::time::sleep(Duration::from_secs(SECONDS)).await;
        let ns = (thread_cpu_ns() - start) as f64 / (groups as u64 * SECONDS) as f64;
        Sample { ns, bytes }
    })
}
