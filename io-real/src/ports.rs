//! The traits between the host and its adapters.
//!
//! Each adapter takes orders through a method that never blocks and answers
//! through a channel that the host owns the receiving end of. Plain channels
//! instead of futures keep the host's `select!` cancel-safe, and let a simulation
//! lane answer from a task where the real adapter answers from a thread.
//!
//! Bounds: the answers of the disk and the store are unbounded channels because
//! an adapter that waited for the host, while the host waits for the adapter,
//! would stop both. Their length is bounded all the same: there is one answer
//! for each order, the core bounds its open orders
//! ([`PERSISTS_PENDING_MAX`](decube_core::limits::PERSISTS_PENDING_MAX)), and the
//! host takes no new work from clients and peers for a part while more than
//! [`OPERATIONS_IN_FLIGHT_MAX`](crate::host::OPERATIONS_IN_FLIGHT_MAX) orders to its volume are open. What the
//! network brings in comes through queues with a bound for each part.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use bytes::Bytes;
use decube_core::io::{FileOp, FileOpId, FileResult, Read, ReadId, Volume};
use decube_core::part::Scope;
use decube_core::store::{Page, StoreBatch, StoreSeq};
use decube_core::types::{NodeId, WallTime};
use tokio::sync::mpsc;

use crate::inbox::NetworkInbox;

/// Carries messages between nodes. It may lose, duplicate and reorder them; it
/// must never deliver one under the name of a node that did not send it.
pub trait Network: Send + 'static {
    /// Queues a message for a peer and returns at once. A message that cannot
    /// be queued is dropped: the protocols above repeat what matters.
    fn send(&mut self, to: NodeId, message: Bytes) -> Result<(), Dropped>;

    /// Keeps connections to these peers and to no others.
    fn connect(&mut self, peers: &BTreeSet<NodeId>);

    /// Sends what is queued if that is quick, and closes all connections.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// Why a message was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Dropped {
    /// The peer takes messages more slowly than they are made.
    #[error("the peer's queue is full")]
    QueueFull,
    /// There is no connection to the peer.
    #[error("the peer is not connected")]
    NotConnected,
    /// The message is larger than a message may be.
    #[error("the message is too large")]
    TooLarge,
}

/// A peer that has proven who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    pub node: NodeId,
    /// Whether it has proven to be of this node's cluster.
    pub scope: Scope,
}

impl Peer {
    /// A node of the same cluster.
    pub const fn of_cluster(node: NodeId) -> Self {
        let scope = Scope::Cluster;
        Self { node, scope }
    }
}

/// What the network tells the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkEvent {
    /// Messages can be exchanged with the peer from now on.
    Up(Peer),
    /// The connection to the peer is lost.
    Down(Peer),
    Message {
        from: Peer,
        /// The encoded message.
        bytes: Bytes,
    },
}

/// Carries out the file operations of the write-ahead log, strictly in order.
pub trait Disk: Send + 'static {
    /// Queues an operation and returns at once.
    fn submit(&mut self, id: FileOpId, op: FileOp);

    /// Carries out what is queued and releases the files.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// The completion of a file operation, in the order of the operations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskEvent {
    /// The operation.
    pub id: FileOpId,
    /// How it ended.
    pub result: FileResult,
    /// What the system said of a failure, for people.
    pub said: Option<String>,
}

/// Carries out the orders to the key-value engine, strictly in order.
pub trait StoreQueue: Send + 'static {
    /// Queues a batch and returns at once.
    fn commit(&mut self, batch: StoreBatch);

    /// Queues a read of pairs.
    fn read(&mut self, read: Read);

    /// Carries out what is queued and closes the engine.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// What the store tells the host, in the order of the orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreEvent {
    /// A batch is committed, and durable if it asked for that.
    Committed(StoreSeq),
    /// What a read found.
    Read {
        /// The read.
        id: ReadId,
        /// The pairs, and whether they reach the end.
        page: Page,
    },
    /// The engine failed; it takes no more orders.
    Failed {
        /// What it said, for people.
        reason: String,
    },
}

/// Reads the wall clock.
pub trait WallClock: Send + 'static {
    /// Nanoseconds since the Unix epoch, as far as this machine knows.
    fn now(&self) -> WallTime;
}

/// The clock of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl WallClock for SystemClock {
    fn now(&self) -> WallTime {
        // A clock before 1970 is as good as unset; the core treats wall time as
        // data and takes the maximum with what the log already says.
        let since_epoch = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        WallTime(u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX))
    }
}

/// Everything that a host is attached to.
#[derive(Debug)]
pub struct Ports<N, D, S, C> {
    /// To the peers.
    pub network: N,
    /// From the peers.
    pub network_events: NetworkInbox,
    /// The volume of each part that the node has.
    pub volumes: BTreeMap<Volume, VolumePorts<D, S>>,
    /// The wall clock.
    pub clock: C,
}

/// What a volume of a node is kept on: a log and a store of its own.
#[derive(Debug)]
pub struct VolumePorts<D, S> {
    /// To the files of the log.
    pub disk: D,
    /// From the files of the log.
    pub disk_events: mpsc::UnboundedReceiver<DiskEvent>,
    /// To the key-value engine.
    pub store: S,
    /// From the key-value engine.
    pub store_events: mpsc::UnboundedReceiver<StoreEvent>,
    /// Whether anything was ever made durable here: an empty one has lost it.
    pub is_used: bool,
}
