//! The data that Raft stores and sends.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::codec::{Decode, Encode};
use crate::limits::{ENTRY_BYTES_MAX, LEARNERS_MAX, SNAPSHOT_METADATA_BYTES_MAX, VOTERS_MAX};
use crate::types::{Chain, Index, LogId, NodeId, Term};

/// What an entry is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum EntryKind {
    /// The empty entry that a leader begins its term with.
    Noop = 0,
    /// A membership, canonically encoded; it takes effect when appended.
    Membership = 1,
    /// A command of the replicated state machine.
    App = 2,
}

impl EntryKind {
    /// The byte that stands for the kind, in hashes and encodings.
    pub const fn tag(self) -> u8 {
        self as u8
    }
}

/// One entry of the replicated log.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Entry {
    /// The term in which it was created, and its position.
    pub id: LogId,
    /// What it is for.
    pub kind: EntryKind,
    /// The chained checksum up to and including this entry; see [`super::chain`].
    pub chain: Chain,
    /// The command, at most [`ENTRY_BYTES_MAX`] bytes.
    #[codec(max = ENTRY_BYTES_MAX)]
    pub data: Bytes,
}

/// What must never be forgotten: one atomic record (persistence rule P1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Encode, Decode)]
pub struct HardState {
    /// The latest term this node has seen.
    pub term: Term,
    /// Whom it voted for in that term.
    pub voted_for: Option<NodeId>,
    /// A position known to be committed. Not needed for safety (P8): it is
    /// written along with the next batch to shorten a restart.
    pub commit: Index,
    /// The number of the present start of the process: one more than the last,
    /// written before anything is sent. It is the node's
    /// [`Incarnation`](super::message::Incarnation) in every acknowledgement, so
    /// that those from before a loss are void (see [`super::repair`]).
    pub incarnation: u64,
    /// Set while the node repairs its log: the last index that it may have
    /// acknowledged and lost. Durable, or a second crash would make a voter of a
    /// node that misses entries.
    pub repair_upto: Option<Index>,
}

/// Who takes part. Sorted, without duplicates. While `outgoing` is not empty the
/// membership is joint: decisions need a majority of `voters` *and* a majority of
/// `outgoing` (Raft paper §6).
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash, Encode, Decode)]
#[codec(check = Membership::check)]
pub struct Membership {
    /// The voters, in a joint membership the incoming ones.
    #[codec(max = VOTERS_MAX)]
    pub voters: Vec<NodeId>,
    /// The outgoing voters of a joint membership.
    #[codec(max = VOTERS_MAX)]
    pub outgoing: Vec<NodeId>,
    /// Nodes that receive the log and do not vote. A voter that is being demoted
    /// stands both here and in `outgoing`.
    #[codec(max = LEARNERS_MAX)]
    pub learners: Vec<NodeId>,
}

/// The point where the kept log begins: everything up to it is in the state.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash, Encode, Decode)]
pub struct Base {
    /// The last entry that is not in the log any more.
    pub id: LogId,
    /// The chain there.
    pub chain: Chain,
    /// The membership in force there.
    pub membership: Membership,
}

/// A snapshot of the replicated state, as Raft sees it. Its content travels in
/// chunks that only the state machine understands.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub struct SnapshotMeta {
    /// What the snapshot covers.
    pub base: Base,
    /// Identifies the content: the digest of the state at `base.id`.
    pub digest: [u8; 32],
    /// What the owner wants to travel along with every snapshot. Raft passes it
    /// on and reads nothing of it; at most
    /// [`SNAPSHOT_METADATA_BYTES_MAX`] bytes.
    #[codec(max = SNAPSHOT_METADATA_BYTES_MAX)]
    pub metadata: Bytes,
}

/// What a node found on its disk when it started.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recovered {
    /// Term, vote and a committed position.
    pub hard_state: HardState,
    /// Where the log begins.
    pub base: Base,
    /// The entries after the base, without a gap up to the first damage.
    pub entries: Vec<Entry>,
    /// The last entry in the durable state of the state machine; at least the
    /// base, unless the state was lost. A state that was installed just before a
    /// crash can be ahead of the log, or of another log than this one.
    pub applied: LogId,
    /// The base that belongs to the durable state, if the state came from a
    /// snapshot. The log follows it only later (P7): a crash in between leaves the
    /// old log, which is then given up here as it would have been without it.
    pub installed: Option<Base>,
    /// Set if synced entries are missing: the last index that this node may
    /// have acknowledged. The node starts in `Repairing`.
    pub damaged_upto: Option<Index>,
    /// Set if the hard state itself may be lost: the node must never vote
    /// again under this id and has to be replaced.
    pub hard_state_lost: bool,
}
