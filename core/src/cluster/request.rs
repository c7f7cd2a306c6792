//! What clients ask of a cluster, and what they are answered. The REST gateway, the
//! CLI and the simulator's clients speak the same requests.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::kv::{Answer, Change, Outcome, Query};
use crate::proof::{LogProof, SignedHead};
use crate::raft::{Membership, Refusal, Role};
use crate::replica::Command;
use crate::types::{Index, LogId, NodeId, Revision, Term};

/// How fresh a read must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Consistency {
    /// Sees every write that was acknowledged before the read began.
    Linearizable,
    /// Answered from this node's state as it is.
    Stale,
}

/// What a client asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Change the replicated state. [`Command::Enable`] is refused unless every voter has
    /// the module.
    Write(Command),
    /// Read the replicated state.
    Read {
        /// What.
        query: Query,
        /// How fresh.
        consistency: Consistency,
    },
    /// Follow the changes of keys in `from..to` with revisions from `since` on.
    /// A stream: [`Response::Watching`], then [`Response::Changed`] until it is
    /// cancelled; [`Response::Compacted`] ends it. Served by the node asked, from its
    /// own applied state.
    Watch {
        /// The first key.
        from: bytes::Bytes,
        /// The first key not wanted.
        to: Option<bytes::Bytes>,
        /// The first revision wanted; 0 for "from now on".
        since: Revision,
    },
    /// What this node knows of itself and its cluster.
    Status,
    /// The same, and again whenever role, term, leader or membership change: a stream
    /// of [`Response::Status`].
    FollowStatus,
    /// Change who takes part.
    ChangeMembership(Membership),
    /// Hand leadership to another voter.
    TransferLeadership {
        /// The voter.
        to: NodeId,
    },
    /// The head of the log as this node has applied it, signed by a majority of
    /// the voters. Served by the node asked.
    LogHead,
    /// Entries of the log, proven under such a head. Served by the node asked,
    /// from its own log.
    ProveLog {
        /// The index of the first entry.
        first: Index,
        /// How many are wanted. The proof has at least one and may have fewer
        /// than asked: those that are applied and fit one answer.
        count: u32,
    },
}

/// What a client is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// The command was committed and applied; this is how it ended.
    Written {
        /// Its place in the log.
        at: LogId,
        /// How it ended.
        outcome: Outcome,
    },
    /// What the read found.
    Read(Answer),
    /// The watch has begun; changes follow.
    Watching {
        /// The revision of the state when it began.
        revision: Revision,
    },
    /// What a watch reports.
    Changed(Changes),
    /// The watch can not begin (or go on): its history is gone. List the keys
    /// and watch from the revision of the list.
    Compacted {
        /// The oldest revision that a watch can begin at.
        oldest: Revision,
    },
    /// See [`Status`].
    Status(Box<Status>),
    /// The answer to [`Request::LogHead`].
    LogHead(Box<AttestedHead>),
    /// The answer to [`Request::ProveLog`]: for
    /// [`verify_log_proof`](crate::proof::verify_log_proof).
    LogProof(Box<LogProof>),
    /// This node can not prove the entries asked for: they are compacted, or not
    /// applied yet.
    NoLogProof {
        /// The first entry that it can prove.
        first: Index,
        /// The last one; before `first` if there is none.
        last: Index,
    },
    /// The membership change or the transfer has begun.
    Accepted,
    /// Refused; nothing happened and nothing will. Retrying is safe.
    Refused(Refusal),
    /// Nothing is known: it may have happened, or happen later. Only a command
    /// in a session can be retried safely.
    Unknown,
}

/// A signed head, and the membership whose majority signed it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AttestedHead {
    /// The head with its signatures.
    pub signed: SignedHead,
    /// The membership in force at the head's size. It tells a client whose keys to
    /// look for; a verifier takes it from where it trusts, never from here.
    pub membership: Membership,
}

/// What a node knows of itself and its cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// This node.
    pub node: NodeId,
    /// Its role.
    pub role: Role,
    /// Its term.
    pub term: Term,
    /// The leader, if known.
    pub leader: Option<NodeId>,
    /// The end of its log.
    pub last: LogId,
    /// The last index known to be committed.
    pub committed: Index,
    /// The last index applied.
    pub applied: Index,
    /// The last index that is not in the log any more.
    pub base: Index,
    /// The last index whose effects on the state are durable outside the log.
    pub stored: Index,
    /// The revision of the state.
    pub revision: Revision,
    /// Bytes of keys and values.
    pub state_bytes: u64,
    /// Who takes part.
    pub membership: Membership,
    /// On a leader: how far each peer's log is known to match.
    pub matched: Vec<(NodeId, Index)>,
}

/// Changes that a watch reports, in order, all those of one revision together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The changes.
    pub changes: Vec<Change>,
}
