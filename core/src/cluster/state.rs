//! What a node remembers.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use super::attest::Attest;
use super::config::Config;
use super::modules::ModuleChecks;
use super::recovery::Recovery;
use super::requests::Requests;
use super::snapshots::Snapshots;
use super::storage::Storage;
use super::{Request, Status};
use crate::machine::Outbox;
use crate::part::{Health, Reason};
use crate::proof::AppliedTree;
use crate::raft::{self, Raft};
use crate::replica::{LogTime, Replica};
use crate::types::{NodeId, PeerRequestId, RequestId, Revision, Span, Time};
use crate::wal::{self, Wal};

/// A node's part in its cluster: feed it [`super::Event::Clock`], then
/// [`super::Event::Start`], then whatever happens.
#[derive(Debug)]
pub struct Cluster {
    pub(super) config: Config,
    pub(super) phase: Phase,
    pub(super) clock: Clock,
    pub(super) wal: Wal,
    /// Present from the end of recovery on.
    pub(super) raft: Option<Raft>,
    pub(super) replica: Replica,
    pub(super) storage: Storage,
    pub(super) requests: Requests,
    pub(super) watches: BTreeMap<RequestId, Watch>,
    pub(super) snapshots: Snapshots,
    /// The tree over the applied log, if its accumulator at the base is known.
    pub(super) log_tree: Option<AppliedTree>,
    pub(super) attest: Attest,
    pub(super) module_checks: ModuleChecks,
    /// Clients that follow [`Request::FollowStatus`].
    pub(super) followers: BTreeSet<RequestId>,
    /// The health that was told last.
    pub(super) told_health: Health,
    /// Set while an own `Tick` is on its way through the log.
    pub(super) tick_in_flight: bool,
    /// Effects of the inner machines that are not routed yet. Empty between steps.
    pub(super) queue: VecDeque<Inner>,
    pub(super) raft_out: Outbox<raft::Effect>,
    pub(super) wal_out: Outbox<wal::Effect>,
}

/// An effect of an inner machine.
#[derive(Debug)]
pub(super) enum Inner {
    Raft(raft::Effect),
    Wal(wal::Effect),
}

/// How far the node is in its life.
#[derive(Debug, Hash)]
pub(super) enum Phase {
    /// Before `Event::Start`.
    New,
    /// Reading the disk.
    Recovering(alloc::boxed::Box<Recovery>),
    /// Taking part.
    Running,
    /// Stopping gracefully; leadership is given up until the deadline at most.
    Stopping {
        /// When to stop waiting for another leader.
        transfer_deadline: Time,
        /// The synced store batch that is waited for, once it is under way.
        last_batch: Option<crate::store::StoreSeq>,
    },
    /// Stopped, or halted for good.
    Ended {
        /// Why it halted, if it did.
        halted: Option<Reason>,
    },
}

/// A client that follows changes.
#[derive(Debug, Hash)]
pub(super) struct Watch {
    pub(super) from: bytes::Bytes,
    pub(super) to: Option<bytes::Bytes>,
    /// The first revision wanted. This node may be behind it: the watcher may have
    /// followed another one before.
    pub(super) since: Revision,
}

/// The wall clock, extrapolated from the last reading.
#[derive(Debug, Clone, Copy, Default, Hash)]
pub(super) struct Clock {
    pub(super) wall: LogTime,
    pub(super) read_at: Time,
}

impl Clock {
    /// The wall time now.
    pub(super) fn wall_at(&self, now: Time) -> LogTime {
        LogTime(
            self.wall
                .0
                .saturating_add(now.saturating_since(self.read_at).0),
        )
    }

    /// When the wall clock will show `wall`, if it does not already.
    pub(super) fn time_of(&self, wall: LogTime) -> Time {
        self.read_at
            .saturating_add(Span(wall.0.saturating_sub(self.wall.0)))
    }
}

impl Cluster {
    /// A node that has not started.
    pub fn new(config: Config) -> Self {
        assert_eq!(config.id, config.raft.id, "one identity");
        assert_eq!(config.cluster, config.raft.cluster, "one cluster");
        let key = config.signer.as_ref().map(|signer| signer.public_key());
        assert!(
            key.is_none_or(|key| key.node_id() == config.id),
            "a node signs with the key that its id follows from"
        );
        let replica = Replica::new(config.replica_config(), config.modules());
        let wal = Wal::new(config.wal_config());
        Self {
            phase: Phase::New,
            clock: Clock::default(),
            wal,
            raft: None,
            replica,
            storage: Storage::default(),
            requests: Requests::default(),
            watches: BTreeMap::new(),
            snapshots: Snapshots::default(),
            log_tree: None,
            attest: Attest::default(),
            module_checks: ModuleChecks::default(),
            followers: BTreeSet::new(),
            told_health: Health::Starting,
            config,
            tick_in_flight: false,
            queue: VecDeque::new(),
            raft_out: Outbox::new(),
            wal_out: Outbox::new(),
        }
    }

    /// What the node was built from.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Its Raft machine, once recovery is complete. For checkers and metrics.
    pub fn raft(&self) -> Option<&Raft> {
        self.raft.as_ref()
    }

    /// Its copy of the replicated state. For checkers and metrics.
    pub fn replica(&self) -> &Replica {
        &self.replica
    }

    /// Whether a node is in the cluster, as far as this one knows.
    pub(super) fn is_member(&self, node: NodeId) -> bool {
        let raft = self.raft.as_ref();
        raft.is_some_and(|raft| raft.membership().contains(node))
    }

    /// How many requests wait for an answer. For checkers and metrics.
    pub fn requests_open(&self) -> usize {
        let in_requests = self.requests.open();
        let waiting = self.attest.open().saturating_add(self.module_checks.open());
        in_requests.saturating_add(waiting)
    }

    /// Shares of heads that contradicted this node's log or did not verify. Above
    /// zero somebody is misconfigured, damaged or Byzantine.
    pub fn head_disagreements(&self) -> u64 {
        self.attest.disagreements()
    }

    /// Whether the node knows the tree over its log, so that it can sign heads
    /// and prove entries. For checkers and metrics.
    pub fn knows_log_tree(&self) -> bool {
        self.known_log_tree().is_some()
    }

    /// Whether the node has stopped or halted and takes nothing more.
    pub fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended { .. })
    }

    /// What the node knows of itself, for `Request::Status`.
    pub(super) fn status(&self) -> Option<Status> {
        let raft = self.raft.as_ref()?;
        Some(Status {
            node: self.config.id,
            role: raft.role(),
            term: raft.term(),
            leader: raft.leader(),
            last: raft.last(),
            committed: raft.committed(),
            applied: self.replica.applied().index,
            base: raft.base().id.index,
            stored: self.storage.stored,
            revision: self.revision(),
            state_bytes: self.replica.state_bytes(),
            membership: raft.membership().clone(),
            matched: raft.matched(),
        })
    }

    /// The revision of the state.
    pub(super) fn revision(&self) -> Revision {
        self.replica.revision()
    }

    /// The leader of the current term and the term, if one is known.
    pub(super) fn known_leader(&self) -> Option<(NodeId, crate::types::Term)> {
        let raft = self.raft.as_ref()?;
        raft.leader().map(|leader| (leader, raft.term()))
    }
}

/// Who waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Origin {
    /// A client of this node.
    Client(RequestId),
    /// A client of another node.
    Peer(NodeId, PeerRequestId),
}

/// A request that no leader could be found for yet.
#[derive(Debug, Hash)]
pub(super) struct Parked {
    pub(super) id: RequestId,
    pub(super) request: Request,
    pub(super) deadline: Time,
}

/// Buffers that are reused from step to step.
pub(super) type Ops = Vec<crate::store::StoreOp>;
