//! What the nodes of a cluster say to each other.

use alloc::boxed::Box;

use super::request::{Request, Response};
use crate::crypto::Signature;
use crate::proof::LogHead;
use crate::raft;
use crate::types::{Index, Modules, PeerRequestId, Term};

/// A message between two nodes of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Between the nodes' Raft machines.
    Raft(raft::Message),
    /// A request that only the leader can serve, passed on by another node.
    Forward {
        /// Chosen by the sender, echoed in the answer.
        id: PeerRequestId,
        /// The term that the receiver is taken to lead. It serves the request
        /// only in that term: a late duplicate that arrives after a restart or a
        /// change of leaders must not happen a second time.
        term: Term,
        /// What a client asked.
        request: Box<Request>,
    },
    /// The answer to [`Message::Forward`].
    ForwardReply {
        /// The request.
        id: PeerRequestId,
        /// Its answer.
        response: Response,
    },
    /// Sign the head of the log at this size, once it is applied there.
    HeadRequest {
        /// Chosen by the sender, echoed in the answer.
        id: PeerRequestId,
        /// How many entries.
        size: Index,
    },
    /// The answer to [`Message::HeadRequest`].
    HeadReply {
        /// The request.
        id: PeerRequestId,
        /// The signature, or nothing if the node can never give one for this
        /// size: it has no key, was no voter there, or has compacted its log.
        share: Option<Box<HeadShare>>,
    },
    /// Which modules of the replicated state do you have?
    ModulesRequest {
        /// Chosen by the sender, echoed in the answer.
        id: PeerRequestId,
    },
    /// The answer to [`Message::ModulesRequest`].
    ModulesReply {
        /// The request.
        id: PeerRequestId,
        /// Those of the sender's version, be they on or off.
        modules: Modules,
    },
}

/// One voter's signature under the head that it sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HeadShare {
    /// What it signed: its own view.
    pub head: LogHead,
    /// Its signature over the head.
    pub signature: Signature,
}
