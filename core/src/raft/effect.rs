//! What a Raft node asks of its owner.

use alloc::boxed::Box;

use bytes::Bytes;

use super::entries::Runs;
use super::event::{Context, PersistSeq};
use super::membership::MembershipRule;
use super::message::Message;
use super::types::{Base, HardState, Membership, SnapshotMeta};
use crate::codec::{Decode, Encode};
use crate::types::{Index, LogId, ModuleId, NodeId, Term};

/// One atomic write. Parts are in the order in which they take effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Persist {
    /// Echoed by `Persisted`.
    pub seq: PersistSeq,
    /// Term, vote and commit, when term or vote changed, or the commit index went
    /// a good way.
    pub hard_state: Option<Box<HardState>>,
    /// The log now begins after this base: entries up to it are dropped, and
    /// with `reset` all others too (a snapshot replaced the log).
    pub base: Option<Box<Base>>,
    /// See `base`.
    pub reset: bool,
    /// Entries from here on are void.
    pub truncate_from: Option<Index>,
    /// Entries appended after the truncation.
    pub append: Runs,
}

/// Effects are moved often: rare and large parts are boxed.
const _: () = assert!(size_of::<Effect>() <= 128);

/// What a node is in its term.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum Role {
    /// Follows, or waits for, a leader.
    #[codec(tag = 0)]
    Follower,
    /// Asks whether it would be elected.
    #[codec(tag = 1)]
    PreCandidate,
    /// Asks to be elected.
    #[codec(tag = 2)]
    Candidate,
    /// Leads its term.
    #[codec(tag = 3)]
    Leader,
    /// Lost synced entries: takes part in nothing until it has them again.
    #[codec(tag = 4)]
    Repairing,
    /// Halted for good: its disk failed or its vote was lost.
    #[codec(tag = 5)]
    Halted,
}

/// Why a proposal, read or change was refused. Nothing happened and nothing of
/// it will ever happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
pub enum Refusal {
    /// Ask the leader.
    #[codec(tag = 0)]
    NotLeader {
        /// The leader, if known.
        leader: Option<NodeId>,
    },
    /// Leader, but nothing of its term is committed yet: ask again soon.
    #[codec(tag = 1)]
    NotReady,
    /// Leadership is being handed over: ask again soon.
    #[codec(tag = 2)]
    Transferring,
    /// Too much is uncommitted or waiting: ask again later.
    #[codec(tag = 3)]
    Busy,
    /// The command is larger than an entry may be.
    #[codec(tag = 4)]
    TooLarge,
    /// A membership change is in progress.
    #[codec(tag = 5)]
    ChangeInProgress,
    /// The membership asked for breaks a rule.
    #[codec(tag = 6)]
    InvalidMembership { rule: MembershipRule },
    /// A learner must have caught up before it becomes a voter.
    #[codec(tag = 7)]
    NotCaughtUp {
        /// The node that lags.
        node: NodeId,
    },
    /// The node has halted or is repairing its log.
    #[codec(tag = 8)]
    Unavailable,
    /// A voter must have every module of the replicated state that is on, or is to be
    /// switched on. Raft knows of no modules: its owner refuses so.
    #[codec(tag = 9)]
    LacksModule {
        /// The node that has it not.
        node: NodeId,
        /// One that it lacks.
        module: ModuleId,
    },
    /// The same, and a node did not say in time which modules it has: ask again.
    #[codec(tag = 10)]
    SilentOnModule {
        /// The silent node.
        node: NodeId,
        /// One that it must have.
        module: ModuleId,
    },
    /// Too few voters have signed the head of the log: ask again. Raft signs nothing: its
    /// owner refuses so.
    #[codec(tag = 11)]
    HeadUnsigned,
}

/// What a Raft node asks of its owner, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Write this durably, then answer `Persisted`. Writes are numbered and
    /// complete in order.
    Persist(Persist),
    /// Send a message; it may be lost, duplicated or overtaken.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: Message,
    },
    /// Apply these entries, then answer `Applied`. They are committed, durable
    /// here, and contiguous with the last ones.
    Apply { entries: Runs },
    /// The proposal has this place in the log. It is committed if an entry with
    /// the same id is applied, and void if another is applied at that index.
    Proposed {
        /// The proposal.
        context: Context,
        /// Its place.
        id: LogId,
    },
    /// The proposal, read or change was refused.
    Refused {
        /// Which.
        context: Context,
        /// Why.
        reason: Refusal,
    },
    /// The read may be answered from the state once `index` is applied.
    ReadReady {
        /// The read.
        context: Context,
        /// What must be applied.
        index: Index,
    },
    /// Freeze the applied state as a snapshot for a peer and answer
    /// `SnapshotOpened`.
    SnapshotOpen {
        /// For whom.
        peer: NodeId,
    },
    /// Answer `SnapshotChunk` with this chunk of the peer's snapshot.
    SnapshotRead {
        /// For whom.
        peer: NodeId,
        /// The chunk's number.
        chunk: u64,
    },
    /// The peer's snapshot is not needed any more.
    SnapshotClose {
        /// For whom.
        peer: NodeId,
    },
    /// Stage a chunk of an incoming snapshot; chunk 0 begins again. After the
    /// last one check the digest, replace the state durably, and answer
    /// `SnapshotInstalled` or `SnapshotRefused`.
    SnapshotStage {
        /// What is coming.
        meta: Box<SnapshotMeta>,
        /// The chunk's number.
        chunk: u64,
        /// Its content.
        data: Bytes,
        /// Whether it is the last one.
        last: bool,
    },
    /// Role, term or known leader changed.
    RoleChanged {
        role: Role,
        term: Term,
        /// The leader of the term, if known.
        leader: Option<NodeId>,
    },
    /// This membership is in force now (appended, cut back, or from a snapshot).
    MembershipChanged {
        /// Who takes part.
        membership: Membership,
    },
    /// Committed up to here (for observers; nothing to do).
    Committed {
        /// The commit index.
        index: Index,
    },
}
