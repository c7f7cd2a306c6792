//! Everything that a node asks of its shell.

use bytes::Bytes;

use super::message::PeerMessage;
use super::request::{Changes, Response};
use crate::ledger;
use crate::raft::{Membership, Role};
use crate::store::StoreBatch;
use crate::types::{NodeId, RequestId, Term};
use crate::wal::{FileOp, FileOpId};

/// Everything that a node asks of its shell, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Send a message to a peer. It may be lost, duplicated or overtaken; the
    /// shell drops it when the peer's queue is full.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: PeerMessage,
    },
    /// Answer a client. Exactly one answer for each request.
    Reply {
        /// The request.
        id: RequestId,
        /// The answer.
        response: Response,
    },
    /// Tell a watcher of changes.
    Changed {
        /// The watch.
        id: RequestId,
        /// What changed.
        changes: Changes,
    },
    /// Carry out a file operation of the write-ahead log: strictly in order,
    /// completed in order.
    File {
        /// Echoed in the answer.
        id: FileOpId,
        /// The operation.
        op: FileOp,
    },
    /// Commit a batch to the store: strictly in order, completed in order.
    StoreCommit(StoreBatch),
    /// Read the store's pairs from `from` on (excluded if it is not empty), about
    /// [`STORE_PAGE_BYTES`](crate::limits::STORE_PAGE_BYTES), and answer `StorePage`.
    StoreScan {
        /// Where to go on.
        from: Bytes,
    },
    /// What the ledger's part of the node asks for; never a message.
    Ledger(ledger::Effect),
    /// For people and metrics: the role, term or known leader changed.
    RoleChanged {
        /// The role.
        role: Role,
        /// The term.
        term: Term,
        /// The leader, if known.
        leader: Option<NodeId>,
    },
    /// Who takes part now: the shell keeps connections to these nodes.
    MembershipChanged {
        /// Who.
        membership: Membership,
    },
    /// Recovery is complete: the node takes part and takes requests.
    Ready,
    /// The graceful stop is complete; drop the node.
    Stopped,
    /// The node has halted for good; show the reason and stop the process.
    Halted {
        /// What happened and what to do.
        reason: &'static str,
    },
}
