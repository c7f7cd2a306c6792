//! What can happen to a Raft node.

use alloc::boxed::Box;

use bytes::Bytes;

use super::message::Message;
use super::types::{Membership, SnapshotMeta};
use crate::types::{Index, NodeId};

/// Names a proposal, read or change in its answer. Chosen by the owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Context(pub u64);

/// The number of a [`Persist`](super::effect::Persist), counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PersistSeq(pub u64);

const _: () = assert!(size_of::<Event>() <= 128);

/// What can happen to a Raft node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A deadline has come. Also the end of an iteration: effects that were gathered
    /// (one write, one Append per peer) are emitted now.
    Wake,
    /// A message of a peer. Its identity was proven by the transport.
    Message {
        /// The peer.
        from: NodeId,
        /// The message.
        message: Message,
    },
    /// Replicate a command.
    Propose {
        /// Echoed in the answer.
        context: Context,
        /// The command.
        data: Bytes,
    },
    /// Find the index that a linearizable read has to wait for (ReadIndex).
    Read {
        /// Echoed in the answer.
        context: Context,
    },
    /// Change who takes part, through a joint membership that is left by itself.
    ChangeMembership {
        /// Echoed in the answer.
        context: Context,
        /// The voters and learners wanted; `outgoing` must be empty.
        target: Membership,
    },
    /// Hand leadership to a voter that is caught up.
    Transfer {
        /// The voter.
        to: NodeId,
    },
    /// A write is durable, and with it all earlier ones.
    Persisted {
        /// The write.
        seq: PersistSeq,
    },
    /// The disk failed: halt (P10).
    StoreFailed,
    /// The state machine has applied everything up to here, in memory.
    Applied {
        /// The last applied entry.
        upto: Index,
    },
    /// The state machine is durable up to here, so the log before it may go.
    Compact {
        /// The last entry that may be dropped.
        upto: Index,
    },
    /// The snapshot asked for by `SnapshotOpen` is ready.
    SnapshotOpened {
        /// For whom.
        peer: NodeId,
        /// What it covers.
        meta: Box<SnapshotMeta>,
    },
    /// The chunk asked for by `SnapshotRead`.
    SnapshotChunk {
        /// For whom.
        peer: NodeId,
        /// Its number.
        chunk: u64,
        /// Its content.
        data: Bytes,
        /// Whether it is the last one.
        last: bool,
    },
    /// The chunks given by `SnapshotStage` are a snapshot with the right digest,
    /// and the state machine has durably become it.
    SnapshotInstalled {
        /// What it covers.
        meta: Box<SnapshotMeta>,
    },
    /// The chunks were not what their digest promised and are thrown away.
    SnapshotRefused,
    /// The transport lost a peer: what was in flight may be gone.
    PeerDown { peer: NodeId },
    /// The transport reached a peer again.
    PeerUp { peer: NodeId },
}
