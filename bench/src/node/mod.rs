//! Contenders that are pure step machines, behind one trait, so that they share
//! every driver: the function-call cluster, the tokio host, the counted network.

mod ours;
mod raft_rs;

pub use ours::Ours;
pub use raft_rs::RaftRs;

use bytes::Bytes;

use crate::workload::Sink;

/// Nodes of every cluster here.
pub const NODES: usize = 3;

/// What a row asks of every contender alike.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Entries that stay in a log behind the applied ones when it is cut.
    pub trailing: u64,
    /// A log is cut when it holds this many applied entries more than that.
    pub cut_every: u64,
    /// Whether election timeouts are real (500 to 1000 ms), or so long that a
    /// busy machine cannot disturb a measurement.
    pub elections: bool,
}

impl Settings {
    /// For runs in which no node lags far.
    pub const SHORT_LOG: Self = Self {
        trailing: 1024,
        cut_every: 1024,
        elections: false,
    };
    /// For runs in which the machine may stop a node for many milliseconds.
    pub const LONG_LOG: Self = Self {
        trailing: 131_072,
        ..Self::SHORT_LOG
    };
    /// For runs in which nothing happens.
    pub const IDLE: Self = Self {
        elections: true,
        ..Self::SHORT_LOG
    };
}

/// Things that are counted, not timed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// Writes that must be durable before something depending on them is said.
    pub syncs: u64,
    /// Entries in these writes.
    pub entries: u64,
}

/// One node of a cluster whose members are numbered from 0.
///
/// An iteration is: take what has arrived, then call [`Node::iterate`] once. Writes are
/// durable at once: they go to an in-memory log.
pub trait Node: Send + 'static {
    /// What nodes send each other.
    type Message: Send + 'static;

    /// The name in the tables.
    const NAME: &'static str;

    /// A node that has never run.
    fn new(id: usize, settings: Settings) -> Self;

    /// Tries to become the leader as soon as the rules allow.
    fn stand(&mut self, now_ns: u64);

    /// Whether it leads and can take proposals.
    fn leads(&self) -> bool;

    /// Takes a proposal, as the leader.
    fn propose(&mut self, now_ns: u64, data: Bytes);

    /// Takes a message.
    fn receive(&mut self, now_ns: u64, from: usize, message: Self::Message);

    /// Ends an iteration: writes, sends and applies what there is.
    fn iterate(&mut self, now_ns: u64, out: &mut Vec<(usize, Self::Message)>);

    /// When it must iterate at the latest, without other events.
    fn deadline_ns(&self) -> u64;

    /// What it has applied.
    fn sink(&self) -> Sink;

    /// What it has written.
    fn counts(&self) -> Counts;
}
