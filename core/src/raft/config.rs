//! What an operator may choose, with the defaults of the design.

use crate::limits;
use crate::mutant::Mutant;
use crate::types::{ClusterId, NodeId, Span};

/// The configuration of one Raft node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// This node.
    pub id: NodeId,
    /// Its cluster; hashed into every entry.
    pub cluster: ClusterId,
    /// Seeds the election jitter. Nodes may share it: their ids are mixed in.
    pub seed: u64,
    /// How often a leader speaks to each follower at the least.
    pub heartbeat: Span,
    /// The shortest election timeout. The longest is twice this, exclusive.
    pub election_timeout_min: Span,
    /// Entries in one Append message.
    pub append_entries_max: usize,
    /// Payload bytes in one Append message.
    pub append_bytes_max: usize,
    /// Append messages in flight to one follower.
    pub inflight_messages_max: usize,
    /// Payload bytes in flight to one follower.
    pub inflight_bytes_max: usize,
    /// Payload bytes accepted by a leader before they commit.
    pub uncommitted_bytes_max: usize,
    /// Writes under way to the log at most; fewer only in simulation. The owner of the
    /// machine bounds those to its store by the same number.
    pub persists_pending_max: usize,
    /// The planted bug, if any.
    pub mutant: Mutant,
}

impl Config {
    /// The defaults for a node: heartbeat 100 ms, election 500 to 1000 ms.
    pub const fn new(id: NodeId, cluster: ClusterId, seed: u64) -> Self {
        Self {
            id,
            cluster,
            seed,
            heartbeat: Span::from_millis(100),
            election_timeout_min: Span::from_millis(500),
            append_entries_max: limits::APPEND_ENTRIES_MAX,
            append_bytes_max: limits::APPEND_BYTES_MAX,
            inflight_messages_max: limits::INFLIGHT_MESSAGES_MAX,
            inflight_bytes_max: limits::INFLIGHT_BYTES_MAX,
            uncommitted_bytes_max: limits::UNCOMMITTED_BYTES_MAX,
            persists_pending_max: limits::PERSISTS_PENDING_MAX,
            mutant: Mutant::None,
        }
    }
    /// Checks that the values make sense together.
    ///
    /// # Panics
    /// If they do not: an operator's mistake must stop the node at its start.
    pub fn validate(&self) {
        assert!(self.heartbeat > Span::ZERO, "a heartbeat takes time");
        assert!(
            self.heartbeat < self.election_timeout_min,
            "a follower must hear a heartbeat before its election timeout"
        );
        assert!((1..=limits::APPEND_ENTRIES_MAX).contains(&self.append_entries_max));
        assert!(self.append_bytes_max <= limits::APPEND_BYTES_MAX);
        assert!((1..=limits::INFLIGHT_MESSAGES_MAX).contains(&self.inflight_messages_max));
        assert!((1..=limits::INFLIGHT_BYTES_MAX).contains(&self.inflight_bytes_max));
        assert!(self.uncommitted_bytes_max <= limits::UNCOMMITTED_BYTES_MAX);
        assert!((1..=limits::PERSISTS_PENDING_MAX).contains(&self.persists_pending_max));
    }
}
