//! What nodes of a cluster say to each other.

use super::request::{Request, Response};
use crate::raft;
use crate::types::{RequestId, Term};

/// A message between two nodes of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerMessage {
    /// Between the nodes' Raft machines.
    Raft(raft::Message),
    /// A request that only the leader can serve, passed on by another node.
    Forward {
        /// Chosen by the sender, echoed in the answer, never used twice by a
        /// process.
        id: RequestId,
        /// The term that the receiver is taken to lead. It serves the request
        /// only in that term: a late duplicate that arrives after a restart or a
        /// change of leaders must not happen a second time.
        term: Term,
        /// What a client asked.
        request: Request,
    },
    /// The answer to [`PeerMessage::Forward`].
    ForwardReply {
        /// The request.
        id: RequestId,
        /// Its answer.
        response: Response,
    },
}
