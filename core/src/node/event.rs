//! Everything that can happen to a node.

use alloc::collections::BTreeSet;

use super::parts::{Message, Request};
use crate::codec::{Decode, Encode};
use crate::io::{Done, Volume};
use crate::part::Scope;
use crate::types::{NodeId, RequestId, WallTime};

/// Events are moved often: rare and large parts are boxed.
const _: () = assert!(size_of::<Event>() <= 272);

/// Everything that can happen to a node.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub enum Event {
    /// The first event of a process but for the clock: recover from the volumes.
    #[codec(tag = 0)]
    Start {
        /// Those that were used before, by a mark that the shell keeps beside the
        /// node's keys: an empty one among them has lost its content.
        #[codec(max = Volume::ALL.len())]
        used: BTreeSet<Volume>,
    },
    /// A deadline has come, or the shell's queue of events is drained.
    #[codec(tag = 1)]
    Wake,
    /// The wall clock, as data: before `Start`, and then now and again.
    #[codec(tag = 2)]
    Clock {
        /// The time.
        wall: WallTime,
    },
    /// A message of a peer.
    #[codec(tag = 3)]
    Message {
        /// The peer; the transport has proven who it is.
        from: NodeId,
        /// Of which cluster the transport has proven it to be: this node's own, or any.
        scope: Scope,
        /// The message.
        message: Message,
    },
    /// The transport reached or lost a peer.
    #[codec(tag = 4)]
    Peer {
        peer: NodeId,
        /// As for messages.
        scope: Scope,
        /// Whether it was reached.
        is_up: bool,
    },
    /// A client asks something.
    #[codec(tag = 5)]
    Request {
        /// Chosen by the shell, echoed in the answer, unique among all open requests.
        id: RequestId,
        /// What.
        request: Request,
    },
    /// A client is gone: it is told nothing more.
    #[codec(tag = 6)]
    Cancel {
        /// Its request.
        id: RequestId,
    },
    /// A volume has done what was asked of it, or failed.
    #[codec(tag = 7)]
    Io {
        volume: Volume,
        /// Which operation completed, and how.
        done: Done,
    },
    /// Stop gracefully, then [`Effect::Stopped`](super::Effect::Stopped).
    #[codec(tag = 8)]
    Shutdown,
}
