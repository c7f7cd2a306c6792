//! What a toy is built from.

use alloc::collections::BTreeSet;

use crate::limits::{LEDGER_ANSWER_BYTES_MAX, TOY_PEERS_MAX};
use crate::types::NodeId;

/// One node's toy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    pub node: NodeId,
    /// Other nodes with a toy.
    pub peers: BTreeSet<NodeId>,
    /// About how many bytes of blocks it reads at once.
    pub page_bytes: usize,
    /// After how many blocks its position is synced, if nothing else asks for it.
    pub sync_blocks: u64,
    /// What it does wrong, for tests that have to notice.
    pub bug: Bug,
}

/// Something that a follower must not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Bug {
    /// Nothing.
    #[default]
    None,
    /// It takes whatever it is told of and never reads on from its cursor.
    TrustsNotices,
    /// It takes blocks again that it has taken before.
    TakesRepeats,
    /// What a link tells it becomes a notice in the same step, and that a link again.
    AnswersItself,
}

impl Config {
    /// The defaults for a node.
    pub const fn new(node: NodeId) -> Self {
        Self {
            node,
            peers: BTreeSet::new(),
            page_bytes: LEDGER_ANSWER_BYTES_MAX,
            sync_blocks: 8,
            bug: Bug::None,
        }
    }

    /// Panics if it makes no sense.
    pub(super) fn validate(&self) {
        assert!(self.peers.len() <= TOY_PEERS_MAX, "few peers");
        assert!(
            !self.peers.contains(&self.node),
            "a node is no peer of itself"
        );
        assert!(self.sync_blocks > 0, "some blocks, or every one");
    }
}
