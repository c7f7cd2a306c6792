//! What a node of the ledger is built from.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::chain::compact::Proposals;
use crate::bft::{Relay, Timing};
use crate::crypto::{SharedSigner, SharedVerifier};
use crate::ledger_types::Genesis;
use crate::mutant::Mutant;
use crate::types::{NodeId, Span};

/// One node of the ledger: a validator if it has a key and the present set lists
/// it, and a follower otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    pub node: NodeId,
    /// How the ledger began.
    pub genesis: Arc<Genesis>,
    /// Other nodes of the ledger, validators or not: one that was away while all
    /// validators that it knows of have left learns from them where the others are.
    pub peers: Vec<NodeId>,
    /// The node's key.
    pub signer: Option<SharedSigner>,
    /// A further key, with which the node votes in the epochs whose set names that one
    /// for it: so it changes keys without missing a vote. Its own one in all others.
    pub voting_key: Option<SharedSigner>,
    /// How signatures are checked.
    pub verifier: SharedVerifier,
    /// Spans of the consensus.
    pub timing: Timing,
    /// How certificates travel.
    pub relay: Relay,
    /// How this node sends the blocks that it leads with.
    pub proposals: Proposals,
    /// How long a client may wait for a transaction to become final.
    pub wait_timeout: Span,
    /// After how long transactions that came by this node are handed to the others
    /// again, if they are still not final.
    pub push_again: Span,
    /// Blocks between two states that others can fetch. The same on all nodes, so
    /// that a state can be fetched from several.
    pub checkpoint_blocks: u64,
    /// Blocks that a node may be behind before it fetches the state.
    pub fetch_behind: u64,
    /// How many final blocks are kept whole; zero for all. Of older ones headers,
    /// places of operations and all that proofs need are kept, but not the
    /// transactions.
    pub retain_blocks: u64,
    /// Bytes of one segment of the log; smaller only in simulation.
    pub wal_segment_bytes: u64,
    /// Writes of the consensus under way at most; fewer only in simulation.
    pub persists_pending_max: usize,
    /// The planted bug, if any.
    pub mutant: Mutant,
}

impl Config {
    /// The defaults for a node.
    pub fn new(node: NodeId, genesis: Arc<Genesis>) -> Self {
        Self {
            node,
            genesis,
            peers: Vec::new(),
            signer: None,
            voting_key: None,
            verifier: SharedVerifier::default(),
            timing: Timing::default(),
            relay: Relay::default(),
            proposals: Proposals::default(),
            wait_timeout: Span::from_secs(30),
            push_again: Span::from_secs(2),
            checkpoint_blocks: 1024,
            fetch_behind: 10_000,
            retain_blocks: 0,
            wal_segment_bytes: crate::limits::WAL_SEGMENT_BYTES,
            persists_pending_max: crate::limits::PERSISTS_PENDING_MAX,
            mutant: Mutant::None,
        }
    }
}
