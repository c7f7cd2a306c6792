//! What clients ask of a cluster, and what they are answered. The REST gateway, the
//! CLI and the simulator's clients speak the same requests.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};

use crate::codec::{Decode, Encode};
use crate::kv::{Answer, Change, Outcome, Query};
use crate::limits::{
    KV_CHANGES_MAX, KV_KEY_BYTES_MAX, KV_RANGE_END_BYTES_MAX, LEARNERS_MAX, VOTERS_MAX,
};
use crate::proof::{LogProof, SignedHead};
use crate::raft::{Membership, Refusal, Role};
use crate::replica::Command;
use crate::types::{Index, LogId, NodeId, Revision, Term};

/// How fresh a read must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum Consistency {
    /// Sees every write that was acknowledged before the read began.
    #[codec(tag = 0)]
    Linearizable,
    /// Answered from this node's state as it is.
    #[codec(tag = 1)]
    Stale,
}

/// What a client asks.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[codec(what = "request")]
pub enum Request {
    /// Change the replicated state. [`Command::Enable`] is refused unless every voter has
    /// the module.
    #[codec(tag = 0)]
    Write(Command),
    /// Read the replicated state.
    #[codec(tag = 1)]
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
    #[codec(tag = 2)]
    Watch {
        /// The first key.
        #[codec(max = KV_KEY_BYTES_MAX)]
        from: bytes::Bytes,
        /// The first key not wanted.
        #[codec(max = KV_RANGE_END_BYTES_MAX)]
        to: Option<bytes::Bytes>,
        /// The first revision wanted; 0 for "from now on".
        since: Revision,
    },
    /// What this node knows of itself and its cluster.
    #[codec(tag = 3)]
    Status,
    /// The same, and again whenever role, term, leader or membership change: a stream
    /// of [`Response::Status`].
    #[codec(tag = 8)]
    FollowStatus,
    /// Change who takes part.
    #[codec(tag = 4)]
    ChangeMembership(Membership),
    /// Hand leadership to another voter.
    #[codec(tag = 5)]
    TransferLeadership {
        /// The voter.
        to: NodeId,
    },
    /// The head of the log as this node has applied it, signed by a majority of
    /// the voters. Served by the node asked.
    #[codec(tag = 6)]
    LogHead,
    /// Entries of the log, proven under such a head. Served by the node asked,
    /// from its own log.
    #[codec(tag = 7)]
    ProveLog {
        /// The index of the first entry.
        first: Index,
        /// How many are wanted. The proof has at least one and may have fewer
        /// than asked: those that are applied and fit one answer.
        count: u32,
    },
}

impl Hash for Request {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.to_bytes().hash(state);
    }
}

/// What a client is answered.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
#[codec(what = "response")]
pub enum Response {
    /// The command was committed and applied; this is how it ended.
    #[codec(tag = 0)]
    Written {
        /// Its place in the log.
        at: LogId,
        /// How it ended.
        outcome: Outcome,
    },
    /// What the read found.
    #[codec(tag = 1)]
    Read(Answer),
    /// The watch has begun; changes follow.
    #[codec(tag = 2)]
    Watching {
        /// The revision of the state when it began.
        revision: Revision,
    },
    /// What a watch reports.
    #[codec(tag = 11)]
    Changed(Changes),
    /// The watch cannot begin (or go on): its history is gone. List the keys
    /// and watch from the revision of the list.
    #[codec(tag = 3)]
    Compacted {
        /// The oldest revision that a watch can begin at.
        oldest: Revision,
    },
    /// See [`Status`].
    #[codec(tag = 4)]
    Status(Box<Status>),
    /// The answer to [`Request::LogHead`].
    #[codec(tag = 8)]
    LogHead(Box<AttestedHead>),
    /// The answer to [`Request::ProveLog`]: for
    /// [`verify_log_proof`](crate::proof::verify_log_proof).
    #[codec(tag = 9)]
    LogProof(Box<LogProof>),
    /// This node cannot prove the entries asked for: they are compacted, or not
    /// applied yet.
    #[codec(tag = 10)]
    NoLogProof {
        /// The first entry that it can prove.
        first: Index,
        /// The last one; before `first` if there is none.
        last: Index,
    },
    /// The membership change or the transfer has begun.
    #[codec(tag = 5)]
    Accepted,
    /// Refused; nothing happened and nothing will. Retrying is safe.
    #[codec(tag = 6)]
    Refused(Refusal),
    /// Nothing is known: it may have happened, or happen later. Only a command
    /// in a session can be retried safely.
    #[codec(tag = 7)]
    Unknown,
}

/// A signed head, and the membership whose majority signed it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub struct AttestedHead {
    /// The head with its signatures.
    pub signed: SignedHead,
    /// The membership in force at the head's size. It tells a client whose keys to
    /// look for; a verifier takes it from where it trusts, never from here.
    pub membership: Membership,
}

/// What a node knows of itself and its cluster.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Status {
    pub node: NodeId,
    pub role: Role,
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
    #[codec(max = 2 * VOTERS_MAX + LEARNERS_MAX)]
    pub matched: Vec<(NodeId, Index)>,
}

/// Changes that a watch reports, in order, all those of one revision together.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Changes {
    #[codec(max = KV_CHANGES_MAX)]
    pub changes: Vec<Change>,
}
