//! Everything that a node asks of its shell.

use alloc::collections::BTreeSet;

use super::parts::{Message, PartId, Response};
use crate::io::{Io, Volume};
use crate::part::Health;
use crate::types::{NodeId, RequestId};

/// Effects are moved often: rare and large parts are boxed.
const _: () = assert!(size_of::<Effect>() <= 256);

/// Everything that a node asks of its shell, in order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Send a message to a peer. It may be lost, doubled or overtaken; the shell drops
    /// it when the peer's queue is full.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: Message,
    },
    /// Answer a client: exactly once for each request that is not cancelled, and the
    /// last answer to it.
    Reply {
        /// The request.
        id: RequestId,
        /// The answer.
        response: Response,
    },
    /// Tell a client a part of its answer; a `Reply` ends the stream.
    Stream {
        /// The request.
        id: RequestId,
        /// The next part of the answer.
        response: Response,
    },
    /// Do something with a volume; in order, as [`crate::io`] says.
    Io {
        volume: Volume,
        /// What.
        io: Io,
    },
    /// Keep connections to these peers, and to no others.
    Connect {
        /// Whom.
        peers: BTreeSet<NodeId>,
    },
    /// A part is different from before. One that has halted gets nothing more; if it is
    /// the cluster's, the shell shuts the others down and ends the process.
    Health {
        part: PartId,
        /// How it is.
        health: Health,
    },
    /// Every part has stopped or halted; drop the node.
    Stopped,
}
