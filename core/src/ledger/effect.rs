//! Everything that a node of the ledger asks of its shell.

use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use super::event::ReadId;
use super::message::Message;
use super::record::FinalBlock;
use super::request::Response;
use crate::bft::{Evidence, Height};
use crate::store::StoreBatch;
use crate::types::{NodeId, RequestId};
use crate::wal::{FileOp, FileOpId};

/// Everything that a node of the ledger asks of its shell, in order. Files and
/// store are the ledger's own: not those of the cluster's log and state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Send a message to a peer. It may be lost.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: Message,
    },
    /// Answer a client. Exactly one answer for each request.
    Reply {
        /// The request.
        id: RequestId,
        /// The answer.
        response: Response,
    },
    /// A block is final, and durable here. Each height comes once in the life of a
    /// process, in order.
    Final(Arc<FinalBlock>),
    /// The state after this block was fetched instead of executing all blocks up to
    /// it. Final blocks go on behind it.
    StateFetched {
        /// The block.
        height: Height,
    },
    /// Carry out a file operation of the log.
    File {
        /// Echoed in the answer.
        id: FileOpId,
        /// The operation.
        op: FileOp,
    },
    /// Commit a batch to the store: strictly in order, completed in order.
    StoreCommit(StoreBatch),
    /// Read pairs of the store with `from <= key < to`, after all batches that
    /// were given before, until about `bytes_max` bytes (at least one pair, if
    /// there is any).
    StoreRead {
        /// Echoed in the answer.
        id: ReadId,
        /// The first key.
        from: Bytes,
        /// The first key not wanted.
        to: Bytes,
        /// About how many bytes.
        bytes_max: usize,
    },
    /// Recovery is complete: the node takes part and takes requests.
    Ready,
    /// More than a third of the power lies. The guilty, with proof; the ledger
    /// halts right after.
    SafetyViolation {
        /// Who signed both sides.
        culprits: Vec<Evidence>,
    },
    /// The ledger has halted for good.
    Halted {
        /// What happened and what to do.
        reason: &'static str,
    },
}
