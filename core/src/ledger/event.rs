//! Everything that can happen to a node of the ledger.

use alloc::vec::Vec;

use bytes::Bytes;

use super::message::Message;
use super::request::Request;
use super::types::TimeMs;
use crate::store::StoreSeq;
use crate::types::{NodeId, RequestId};
use crate::wal::{FileOpId, FileResult};

/// Names a read of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ReadId(pub u64);

/// Everything that can happen to a node of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The first event but for the clock: recover from the disk.
    Start,
    /// A deadline has come, or the shell's queue of events is drained.
    Wake,
    /// The wall clock, as data: before `Start`, then now and again.
    Clock {
        /// The time.
        wall: TimeMs,
    },
    /// A peer said something; the transport has proven who it is.
    Message {
        /// The peer.
        from: NodeId,
        /// What it said.
        message: Message,
    },
    /// A client asks something.
    Request {
        /// Echoed in the answer.
        id: RequestId,
        /// What.
        request: Request,
    },
    /// A client is gone.
    Cancel {
        /// Its request.
        id: RequestId,
    },
    /// A file operation of the log completed.
    File {
        /// The operation.
        id: FileOpId,
        /// Its result.
        result: FileResult,
    },
    /// A batch is in the store.
    StoreCommitted {
        /// The batch.
        seq: StoreSeq,
    },
    /// What a read of the store found.
    StoreRead {
        /// The read.
        id: ReadId,
        /// The pairs, in key order.
        pairs: Vec<(Bytes, Bytes)>,
    },
    /// The store failed: the ledger halts.
    StoreFailed,
}
