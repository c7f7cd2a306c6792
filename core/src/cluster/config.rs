//! What a node's part in its cluster is built from.

use alloc::collections::BTreeMap;

use crate::crypto::{PublicKey, SharedSigner, SharedVerifier};
use crate::kv;
use crate::mutant::Mutant;
use crate::raft::{self, Membership};
use crate::replica;
use crate::types::{ClusterId, Modules, NodeId, ProcessNonce, Span};

/// The configuration of a node's part in its cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// This node.
    pub id: NodeId,
    pub cluster: ClusterId,
    /// The first members of the cluster. Used only when the disk is empty; all
    /// nodes of a new cluster must be given the same, and a node that joins
    /// later an empty one.
    pub bootstrap: Membership,
    /// This life of the process: drawn again at each start.
    pub process: ProcessNonce,
    /// Raft's own.
    pub raft: raft::Config,
    /// How long a request may wait before it is answered `Unknown`.
    pub request_timeout: Span,
    /// Bytes of one WAL segment; smaller only in simulation.
    pub wal_segment_bytes: u64,
    /// Entries in the log after which it is compacted.
    pub log_entries_max: u64,
    /// Entries kept behind the applied index when it is compacted.
    pub log_trailing_entries: u64,
    /// Signs the heads of the log that this node has applied, with the key that
    /// its id follows from. Without one the node signs nothing, and proofs need a
    /// majority of the other voters.
    pub signer: Option<SharedSigner>,
    /// The keys of voters, as far as they are known: a share that does not verify
    /// under its voter's key is dropped. That of another voter is passed on as it
    /// is; who checks the proof decides.
    pub voter_keys: BTreeMap<NodeId, PublicKey>,
    /// Checks shares against `voter_keys`.
    pub head_verifier: SharedVerifier,
    /// See [`replica::Config::claimed_modules`].
    pub claimed_modules: Modules,
    /// The planted bug, if any.
    pub mutant: Mutant,
}

impl Config {
    /// The defaults for a node. The seed of every random choice is drawn again at each
    /// start, so that it names the process as well.
    pub fn new(id: NodeId, cluster: ClusterId, bootstrap: Membership, seed: u64) -> Self {
        Self {
            id,
            cluster,
            bootstrap,
            process: ProcessNonce(seed),
            raft: raft::Config::new(id, cluster, seed),
            request_timeout: Span::from_secs(5),
            wal_segment_bytes: crate::limits::WAL_SEGMENT_BYTES,
            log_entries_max: crate::limits::LOG_ENTRIES_MAX,
            log_trailing_entries: crate::limits::LOG_TRAILING_ENTRIES,
            signer: None,
            voter_keys: BTreeMap::new(),
            head_verifier: SharedVerifier::default(),
            claimed_modules: Modules::NONE,
            mutant: Mutant::None,
        }
    }
}

impl Config {
    /// The configuration of the node's log.
    pub(super) fn wal_config(&self) -> crate::wal::Config {
        crate::wal::Config {
            segment_bytes: self.wal_segment_bytes,
            mutant: self.mutant,
        }
    }

    /// The configuration of the node's replicated state.
    pub(super) fn replica_config(&self) -> replica::Config {
        replica::Config {
            claimed_modules: self.claimed_modules,
            mutant: self.mutant,
            ..replica::Config::default()
        }
    }

    /// The modules of the replicated state, with nothing in them.
    pub(super) fn modules(&self) -> replica::Installed {
        kv::Kv::new(kv::Config {
            mutant: self.mutant,
            ..kv::Config::default()
        })
    }

    /// The configuration of the node's Raft machine.
    pub(super) fn raft_config(&self) -> raft::Config {
        raft::Config {
            mutant: self.mutant,
            ..self.raft.clone()
        }
    }
}
