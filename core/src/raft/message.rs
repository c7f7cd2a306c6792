//! What Raft nodes say to each other. Every message carries its sender's term,
//! replies and refusals included.

use alloc::boxed::Box;

use bytes::Bytes;

use super::entries::Entries;
use super::log::ENTRY_OVERHEAD_BYTES;
use super::snapshot::CHUNK_BYTES_MAX;
use super::types::SnapshotMeta;
use crate::codec::{Decode, Encode};
use crate::limits::{APPEND_ENTRIES_MAX, ENTRY_BYTES_MAX, MESSAGE_BYTES_MAX};
use crate::types::{Chain, Index, LogId, Term};

/// Identifies one Append in flight to one follower, so that a late answer can
/// not be taken for that of a newer request. Unique per leader and term.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct InflightId(pub u64);

/// A round of leadership confirmation for reads, monotone within a term.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct RoundId(pub u64);

/// One attempt to become leader; answers of an older attempt are void.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct CampaignId(pub u64);

/// The incarnation of a follower's log: a new one for each start of the process
/// or repair, so that acknowledgements from before a loss are void.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct Incarnation(pub u64);

/// A message between two nodes of a cluster. Rare and large parts are boxed:
/// messages are moved often.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Message {
    /// The sender's term; for a pre-vote the term it would campaign in.
    pub term: Term,
    /// What it says.
    pub body: Body,
}

const _: () = assert!(size_of::<Message>() <= 96);
const _: () = assert!(CHUNK_BYTES_MAX + 2048 < MESSAGE_BYTES_MAX);
const _: () = assert!(ENTRY_BYTES_MAX + ENTRY_OVERHEAD_BYTES < MESSAGE_BYTES_MAX);

/// The kinds of message.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
#[codec(what = "raft message", check = Body::check)]
pub enum Body {
    /// Would you vote for me? Changes nothing at either side.
    #[codec(tag = 0)]
    PreVote {
        /// The attempt.
        campaign: CampaignId,
        /// The end of the candidate's log.
        last: LogId,
    },
    /// Answer to [`Body::PreVote`].
    #[codec(tag = 1)]
    PreVoteReply {
        /// The attempt.
        campaign: CampaignId,
        /// Whether the vote would be granted.
        granted: bool,
    },
    /// Vote for me in this term (Raft paper, RequestVote RPC).
    #[codec(tag = 2)]
    Vote {
        /// The attempt.
        campaign: CampaignId,
        /// The end of the candidate's log.
        last: LogId,
        /// Whether the leader itself asked the candidate to take over, which
        /// lifts the stickiness rule.
        transfer: bool,
    },
    /// Answer to [`Body::Vote`], sent only after term and vote are durable.
    #[codec(tag = 3)]
    VoteReply {
        /// The attempt.
        campaign: CampaignId,
        /// Whether the vote was granted.
        granted: bool,
    },
    /// Entries, or none as a heartbeat (Raft paper, AppendEntries RPC).
    #[codec(tag = 4)]
    Append {
        /// Identifies this message.
        inflight: InflightId,
        /// The latest read round, confirmed by the answer.
        round: RoundId,
        /// The entry before the first one carried here.
        prev: LogId,
        /// The chain at `prev`.
        prev_chain: Chain,
        /// The leader's commit index.
        commit: Index,
        /// Whether only a refusal is wanted: the message brings news of a commit to a
        /// follower that is in step, and neither entries nor a new round.
        quiet: bool,
        /// The entries, contiguous from `prev`.
        #[codec(max = APPEND_ENTRIES_MAX)]
        entries: Entries,
    },
    /// Answer to [`Body::Append`].
    #[codec(tag = 5)]
    AppendReply {
        /// The message answered.
        inflight: InflightId,
        /// The round confirmed.
        round: RoundId,
        /// The follower's incarnation.
        incarnation: Incarnation,
        /// How it went.
        result: AppendResult,
    },
    /// One chunk of a snapshot (Raft paper, InstallSnapshot RPC).
    #[codec(tag = 6)]
    Snapshot {
        /// Identifies this message.
        inflight: InflightId,
        /// See [`Body::Append`].
        round: RoundId,
        /// What is being sent.
        meta: Box<SnapshotMeta>,
        /// The chunk's number, from 0.
        chunk: u64,
        /// Its content.
        #[codec(max = CHUNK_BYTES_MAX)]
        data: Bytes,
        /// Whether it is the last one.
        last: bool,
    },
    /// Answer to [`Body::Snapshot`].
    #[codec(tag = 7)]
    SnapshotReply {
        /// The message answered.
        inflight: InflightId,
        /// See [`Body::Append`].
        round: RoundId,
        /// The follower's incarnation.
        incarnation: Incarnation,
        /// What it wants next.
        result: SnapshotResult,
    },
    /// The leader hands over: campaign at once, without a pre-vote.
    #[codec(tag = 8)]
    TimeoutNow,
}

impl Body {
    /// Entries that do not follow each other never get further (logcabin #160).
    fn check(&self) -> Result<(), &'static str> {
        let Self::Append { prev, entries, .. } = self else {
            return Ok(());
        };
        let mut before = *prev;
        for entry in entries {
            let follows = before.index.0.checked_add(1) == Some(entry.id.index.0);
            if !follows || entry.id.term < before.term {
                return Err("order of entries");
            }
            before = entry.id;
        }
        Ok(())
    }
}

/// How an Append went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
pub enum AppendResult {
    /// The follower's log equals the leader's up to here, durably.
    #[codec(tag = 0)]
    Match {
        /// `prev` plus the entries carried, never more.
        upto: Index,
    },
    /// `prev` does not match. A hint where it may: the follower's last entry
    /// with a term no later than that of `prev`.
    #[codec(tag = 1)]
    Reject {
        /// The `prev` that was refused.
        prev: Index,
        /// Where to try next.
        hint: LogId,
    },
    /// The follower cannot take entries now (full, or no window); it is alive.
    #[codec(tag = 2)]
    Busy,
}

/// What a follower wants of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
pub enum SnapshotResult {
    /// Chunks below `chunk` are staged; send this one next.
    #[codec(tag = 0)]
    Next {
        /// The next chunk wanted.
        chunk: u64,
    },
    /// The snapshot is installed, durably, or was not needed.
    #[codec(tag = 1)]
    Installed {
        /// The follower's log equals the leader's up to here.
        upto: Index,
    },
    /// The content did not have the digest promised: begin again.
    #[codec(tag = 2)]
    Refused,
}
