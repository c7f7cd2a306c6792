//! Three nodes and what connects them.

mod direct;
mod node_host;
mod openraft_09;
mod openraft_10;
mod tokio_host;

pub use direct::Direct;
pub use node_host::WholeNode;
pub use openraft_09::Group09;
pub use openraft_10::Group10;
pub use tokio_host::Hosted;

use std::future::Future;
use std::ops::{Bound, RangeBounds};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::node::Settings;
use crate::workload::Sink;

/// A running cluster under tokio, as its clients see it.
pub trait Cluster: Clone + Send + Sync + 'static {
    /// Starts three nodes on the present runtime and waits for a leader.
    fn start(settings: Settings) -> impl Future<Output = Self> + Send;

    /// Replicates one command and waits until the leader has applied it.
    fn write(&self, data: Bytes) -> impl Future<Output = ()> + Send;

    /// Whether every node has applied these commands, and all the same.
    fn is_caught_up(&self, written: u64) -> impl Future<Output = bool> + Send;
}

/// A cluster of nodes whose state machine, log and network are this crate's, so
/// that they can be looked into.
pub trait Open: Cluster {
    /// Replicates several commands, in the cheapest way on offer.
    fn write_all(&self, data: Vec<Bytes>) -> impl Future<Output = ()> + Send;

    /// What each node has applied.
    fn sinks(&self) -> [Sink; 3];

    /// Messages and log writes so far.
    fn traffic(&self) -> Traffic;
}

/// Things that are counted, not timed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Traffic {
    /// Messages between nodes; an RPC counts as two.
    pub messages: u64,
    /// Writes that must be durable.
    pub syncs: u64,
}

/// Waits until every node has applied `written` commands, and checks that all
/// have applied the same.
pub async fn caught_up<C: Cluster>(cluster: &C, written: u64) {
    let until = Instant::now() + Duration::from_secs(30);
    while !cluster.is_caught_up(written).await {
        assert!(
            Instant::now() < until,
            "every node applies every entry once"
        );
        tokio::task::yield_now().await;
    }
}

/// Whether three nodes have applied the same commands, and so many.
fn agree([first, second, third]: [Sink; 3], written: u64) -> bool {
    first == second && second == third && first.count == written
}

/// Milliseconds that a message takes, for the runs that count message delays in
/// virtual time; 0, no delay and no cost, in all others.
static HOP_MS: AtomicU64 = AtomicU64::new(0);

/// Sets how long a message takes between nodes of `openraft`.
pub fn set_hop_ms(hop_ms: u64) {
    HOP_MS.store(hop_ms, Relaxed);
}

/// Lets one message delay pass.
async fn hop() {
    let hop_ms = HOP_MS.load(Relaxed);
    if hop_ms > 0 {
        tokio::time::sleep(Duration::from_millis(hop_ms)).await;
    }
}

/// The shortest and longest election timeout, in milliseconds.
const fn timeouts(elections: bool) -> (u64, u64) {
    if elections {
        (500, 1000)
    } else {
        (3_600_000, 7_200_000)
    }
}

/// The part of `range` that lies in `first..end`, as `from..upto`.
fn clamp(range: &impl RangeBounds<u64>, first: u64, end: u64) -> (u64, u64) {
    let from = match range.start_bound() {
        Bound::Included(at) => *at,
        Bound::Excluded(at) => at + 1,
        Bound::Unbounded => first,
    };
    let upto = match range.end_bound() {
        Bound::Included(at) => at + 1,
        Bound::Excluded(at) => *at,
        Bound::Unbounded => end,
    };
    let upto = upto.clamp(first, end);
    (from.clamp(first, upto), upto)
}
