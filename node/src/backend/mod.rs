//! The way from the gateway to a node: a narrow trait, so that everything above
//! it is tested without a network or a disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use decube_core::cluster::{Changes, Request, Response};
use decube_core::crypto::PublicKey;
use decube_core::io::Volume;
use decube_core::ledger::{self, FinalBlock};
use decube_core::node::PartId;
use decube_core::part::Health as PartHealth;
use decube_core::raft::{Membership, Refusal, Role};
use decube_core::types::{NodeId, Revision, Term};
use decube_io_real::host::SlowVolume;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use tokio::sync::broadcast;

/// A node, as the gateway sees it.
pub trait Backend: Send + Sync + 'static {
    /// Asks the node and waits for its answer. Dropping the future does not undo
    /// the request.
    fn request(&self, request: Request) -> BoxFuture<'_, Result<Response, Gone>>;

    /// Follows the changes of keys in `from..to` (to the end without `to`), from
    /// revision `since` on; 0 is "from now on".
    fn watch(
        &self,
        from: Bytes,
        to: Option<Bytes>,
        since: Revision,
    ) -> BoxFuture<'_, Result<Watch, WatchEnd>>;

    /// Asks the node's part of the ledger. Dropping the future does not undo a
    /// submission.
    fn ledger(&self, request: ledger::Request) -> BoxFuture<'_, Result<ledger::Response, Gone>>;

    /// Final blocks of the ledger from now on. Who is too slow misses some and is told
    /// how many.
    fn blocks(&self) -> broadcast::Receiver<Arc<FinalBlock>>;

    /// What the node is and knows, without asking it.
    fn health(&self) -> Health;

    /// The keys of this node and of the peers that proved theirs since it started.
    fn voter_keys(&self) -> BTreeMap<NodeId, PublicKey>;

    /// The node's own counters, for `/metrics`.
    fn samples(&self) -> Vec<Sample>;
}

/// The node has stopped; an open request may or may not have been carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

/// A running watch.
pub struct Watch {
    /// The revision of the state when the watch began.
    pub revision: Revision,
    /// The changes; an error is the last item.
    pub changes: BoxStream<'static, Result<Changes, WatchEnd>>,
}

/// Why a watch gives no more changes, or could not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchEnd {
    /// The watcher took changes more slowly than they happened.
    Lagged,
    /// The history that the watch needs is gone.
    Compacted {
        /// The oldest revision that a watch can begin at.
        oldest: Revision,
    },
    /// The node refused the watch.
    Refused(Refusal),
    /// The node ended the watch.
    Ended,
    /// The node has stopped.
    Gone,
}

/// What a node is and knows, as of its last iteration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    pub node: NodeId,
    pub role: Role,
    pub term: Term,
    /// The leader, if known.
    pub leader: Option<NodeId>,
    /// Who takes part.
    pub membership: Membership,
    /// How each part of the node is, as far as it has told.
    pub parts: BTreeMap<PartId, PartHealth>,
    /// Volumes that have not done for too long what was asked of them first.
    pub slow: BTreeMap<Volume, SlowVolume>,
}

impl Health {
    /// Whether requests can be expected to succeed: recovered, running, and in
    /// touch with a leader.
    pub fn serving(&self) -> bool {
        self.is_serving(PartId::Cluster) && self.leader.is_some()
    }

    /// Whether a part has recovered and serves.
    pub fn is_serving(&self, part: PartId) -> bool {
        self.parts.get(&part).is_some_and(PartHealth::is_serving)
    }

    /// Why a part halted, if it did.
    pub fn halted(&self, part: PartId) -> Option<&str> {
        match self.parts.get(&part) {
            Some(PartHealth::Halted(reason)) => Some(reason),
            _ => None,
        }
    }

    /// All members but this node, each once.
    pub fn others(&self) -> Vec<NodeId> {
        let Membership {
            voters,
            outgoing,
            learners,
        } = &self.membership;
        let mut all: Vec<NodeId> = voters
            .iter()
            .chain(outgoing)
            .chain(learners)
            .copied()
            .collect();
        all.sort_unstable();
        all.dedup();
        all.retain(|id| *id != self.node);
        all
    }
}

/// A number of the node at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The name of the metric.
    pub name: &'static str,
    /// What it means.
    pub help: &'static str,
    /// What it is.
    pub value: SampleValue,
}

/// The value of a [`Sample`].
#[derive(Debug, Clone, PartialEq)]
pub enum SampleValue {
    /// Only ever rises.
    Counter(u64),
    /// Goes up and down.
    Gauge(u64),
    /// Upper bounds in seconds with cumulative counts, the sum in seconds, and
    /// the count of all.
    Histogram {
        /// `(upper bound, values not above it)`, rising.
        buckets: Vec<(f64, u64)>,
        /// The sum of all values.
        sum: f64,
        /// How many values.
        count: u64,
    },
}
