//! The state of a node, and how it is looked at.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::config::Config;
use super::effect::Role;
use super::election::{Campaign, ElectionTimeout};
use super::event::{Context, PersistSeq};
use super::log::Log;
use super::membership::Transfer;
use super::message::{Incarnation, InflightId, RoundId};
use super::persist::Gate;
use super::progress::Progress;
use super::repair::Repair;
use super::snapshot::Staging;
use super::types::{Base, Entry, HardState, Membership};
use crate::mutant::Mutant;
use crate::types::{Chain, Index, LogId, NodeId, Term, Time};

/// One Raft node. See the module's documentation for its contract.
#[derive(Debug, Clone)]
pub struct Raft {
    pub(super) config: Config,
    pub(super) now: Time,
    pub(super) steps: u64,
    pub(super) hard: HardState,
    pub(super) role: Role,
    pub(super) leader: Option<NodeId>,
    /// When the leader was last heard.
    pub(super) contact: Option<Time>,
    /// When to stand for election, unless the leader is heard before.
    pub(super) election_at: Time,
    /// How long the leader may be silent, drawn once per term and attempt.
    pub(super) election_timeout: Option<ElectionTimeout>,
    pub(super) campaign: Campaign,
    /// Present exactly while leading.
    pub(super) lead: Option<Lead>,
    pub(super) log: Log,
    pub(super) commit: Index,
    /// The last entry given to the state machine.
    pub(super) handed: Index,
    /// The last entry that the state machine reported.
    pub(super) applied: Index,
    pub(super) gate: Gate,
    pub(super) staging: Option<Staging>,
    /// Present exactly while repairing.
    pub(super) repair: Option<Repair>,
    pub(super) halt_reason: Option<&'static str>,
    /// Whether the next wake has something to write or send.
    pub(super) flush_wanted: bool,
    pub(super) announced: Announced,
    /// The epoch of the log's memberships of which the last is committed, not joint
    /// and counts this node: nothing follows from it.
    pub(super) final_epoch: Option<u64>,
}

/// What only a leader has.
#[derive(Debug, Clone, Hash)]
pub(super) struct Lead {
    /// All other members, sorted by id.
    pub peers: Vec<Progress>,
    pub next_inflight: InflightId,
    /// The latest round begun.
    pub round: RoundId,
    /// Whether the next flush begins a round.
    pub round_wanted: bool,
    /// Oldest round first.
    pub reads: VecDeque<PendingRead>,
    pub transfer: Option<Transfer>,
    pub heartbeat_at: Time,
    /// When to check that a quorum was heard.
    pub quorum_at: Time,
    /// Payload bytes after the commit index.
    pub uncommitted_bytes: usize,
    /// The entry that the term began with.
    pub noop: Index,
}

/// A read that waits for its round.
#[derive(Debug, Clone, Copy, Hash)]
pub(super) struct PendingRead {
    pub round: RoundId,
    pub context: Context,
    pub index: Index,
}

/// What the owner was last told.
#[derive(Debug, Clone, Default, Hash)]
pub(super) struct Announced {
    pub role: Option<Role>,
    pub term: Term,
    pub leader: Option<NodeId>,
    pub membership: Option<Membership>,
    /// The epoch of the log's memberships when they were last looked at.
    pub epoch: Option<u64>,
    pub commit: Index,
}

impl Raft {
    /// What this node is at present.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Its term.
    pub fn term(&self) -> Term {
        self.hard.term
    }

    /// The leader of the term, if known.
    pub fn leader(&self) -> Option<NodeId> {
        self.leader
    }

    /// Term, vote, commit and incarnation as of now, durable or not.
    pub fn hard_state(&self) -> HardState {
        HardState {
            commit: self.commit,
            ..self.hard
        }
    }

    /// The end of the log in memory.
    pub fn last(&self) -> LogId {
        self.log.last()
    }

    /// The last index known to be committed.
    pub fn committed(&self) -> Index {
        self.commit
    }

    /// The last index that the state machine reported as applied.
    pub fn applied(&self) -> Index {
        self.applied
    }

    /// The last index given out by an `Apply`.
    pub fn handed(&self) -> Index {
        self.handed
    }

    /// The last index that is durable on this node.
    pub fn durable(&self) -> Index {
        self.gate.durable()
    }

    /// Where the kept log begins.
    pub fn base(&self) -> &Base {
        self.log.base()
    }

    /// The entry at an index, if it is kept.
    pub fn entry(&self, index: Index) -> Option<&Entry> {
        self.log.entry(index)
    }

    /// The term at an index; `None` before the base and beyond the end.
    pub fn term_at(&self, index: Index) -> Option<Term> {
        self.log.term_at(index)
    }

    /// The chain at an index; `None` before the base and beyond the end.
    pub fn chain_at(&self, index: Index) -> Option<Chain> {
        self.log.chain_at(index)
    }

    /// The membership in force.
    pub fn membership(&self) -> &Membership {
        if self.config.mutant.is(Mutant::MembershipAtCommit) {
            return self.log.membership_at(self.commit);
        }
        self.log.membership()
    }

    /// What a snapshot of the state at `index` begins with; `None` if that entry
    /// is not kept.
    pub fn base_at(&self, index: Index) -> Option<Base> {
        Some(Base {
            id: LogId::new(self.log.term_at(index)?, index),
            chain: self.log.chain_at(index)?,
            membership: self.log.membership_at(index).clone(),
        })
    }

    /// What the leader knows of its followers' logs; empty on others.
    pub fn matched(&self) -> Vec<(NodeId, Index)> {
        let peers = self.lead.iter().flat_map(|lead| &lead.peers);
        peers.map(|peer| (peer.id, peer.matched)).collect()
    }

    /// Bytes that the kept log takes in memory.
    pub fn log_bytes(&self) -> usize {
        self.log.bytes()
    }

    /// Why the node halted, for people.
    pub fn halt_reason(&self) -> Option<&'static str> {
        self.halt_reason
    }

    /// The incarnation of this node's log.
    pub fn incarnation(&self) -> Incarnation {
        Incarnation(self.hard.incarnation)
    }

    /// The last write reported durable.
    pub fn persisted(&self) -> PersistSeq {
        self.gate.done()
    }

    /// Whether a leader has committed an entry of its own term: only then does
    /// it know what is committed (Raft paper §8).
    pub fn is_ready_leader(&self) -> bool {
        let early = self.config.mutant.is(Mutant::ReadBeforeTermCommit);
        self.lead
            .as_ref()
            .is_some_and(|lead| early || self.commit >= lead.noop)
    }
}

impl Lead {
    /// The place of a follower in `peers`.
    pub fn position(&self, id: NodeId) -> Option<usize> {
        self.peers.iter().position(|peer| peer.id == id)
    }

    /// A follower.
    pub fn peer_mut(&mut self, id: NodeId) -> Option<&mut Progress> {
        let at = self.position(id)?;
        self.peers.get_mut(at)
    }

    /// Numbers a message.
    pub fn issue(&mut self) -> InflightId {
        let id = self.next_inflight;
        self.next_inflight = InflightId(id.0 + 1);
        id
    }
}
