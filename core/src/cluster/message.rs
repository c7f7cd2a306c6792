//! What the nodes of a cluster say to each other.

use alloc::boxed::Box;

use super::request::{Request, Response};
use crate::codec::{Decode, Encode};
use crate::crypto::Signature;
use crate::proof::LogHead;
use crate::raft;
use crate::types::{Index, Modules, PeerRequestId, Term};

/// A message between two nodes of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
#[codec(what = "peer message")]
pub enum Message {
    /// Between the nodes' Raft machines.
    #[codec(tag = 0)]
    Raft(raft::Message),
    /// A request that only the leader can serve, passed on by another node.
    #[codec(tag = 1)]
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
    #[codec(tag = 2)]
    ForwardReply {
        /// The request.
        id: PeerRequestId,
        /// Its answer.
        response: Response,
    },
    /// Sign the head of the log at this size, once it is applied there.
    #[codec(tag = 3)]
    HeadRequest {
        /// Chosen by the sender, echoed in the answer.
        id: PeerRequestId,
        /// How many entries.
        size: Index,
    },
    /// The answer to [`Message::HeadRequest`].
    #[codec(tag = 4)]
    HeadReply {
        /// The request.
        id: PeerRequestId,
        /// The signature, or nothing if the node can never give one for this
        /// size: it has no key, was no voter there, or has compacted its log.
        share: Option<Box<HeadShare>>,
    },
    /// Which modules of the replicated state do you have?
    #[codec(tag = 5)]
    ModulesRequest {
        /// Chosen by the sender, echoed in the answer.
        id: PeerRequestId,
    },
    /// The answer to [`Message::ModulesRequest`].
    #[codec(tag = 6)]
    ModulesReply {
        /// The request.
        id: PeerRequestId,
        /// Those of the sender's version, be they on or off.
        modules: Modules,
    },
}

/// One voter's signature under the head that it sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
pub struct HeadShare {
    /// What it signed: its own view.
    pub head: LogHead,
    /// Its signature over the head.
    pub signature: Signature,
}
