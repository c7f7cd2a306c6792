//! Everything that can happen to a node.

use alloc::vec::Vec;

use bytes::Bytes;

use super::message::PeerMessage;
use super::request::Request;
use crate::kv::LogTime;
use crate::ledger;
use crate::store::StoreSeq;
use crate::types::{NodeId, RequestId};
use crate::wal::{FileOpId, FileResult};

/// Everything that can happen to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The first event of a process: recover from the disk.
    Start,
    /// A deadline has come, or the shell's queue of events is drained.
    Wake,
    /// The wall clock, as data: delivered before `Start` and then now and again.
    /// It stamps log entries; no decision of a protocol rests on it.
    Clock {
        /// Nanoseconds since the Unix epoch.
        wall: LogTime,
    },
    /// A peer said something; the transport has proven who it is.
    Message {
        /// The peer.
        from: NodeId,
        /// What it said.
        message: PeerMessage,
    },
    /// The transport reached a peer.
    PeerUp {
        /// The peer.
        peer: NodeId,
    },
    /// The transport lost a peer.
    PeerDown {
        /// The peer.
        peer: NodeId,
    },
    /// A client asks something.
    Request {
        /// Echoed in the answer.
        id: RequestId,
        /// What.
        request: Request,
    },
    /// A client is gone: nobody waits for the answer, a watch ends.
    Cancel {
        /// The request.
        id: RequestId,
    },
    /// A file operation of the write-ahead log completed.
    File {
        /// The operation.
        id: FileOpId,
        /// Its result.
        result: FileResult,
    },
    /// A batch is in the store (and on stable storage, if it asked for that).
    StoreCommitted {
        /// The batch.
        seq: StoreSeq,
    },
    /// A page of the scan asked for by `Effect::StoreScan`.
    StorePage {
        /// The pairs, in key order.
        pairs: Vec<(Bytes, Bytes)>,
        /// Whether these were the last.
        done: bool,
    },
    /// The store failed: the node halts.
    StoreFailed,
    /// Something happened to the ledger's part of the node. Its messages come as
    /// [`Event::Message`], its clock and its wake with the node's own.
    Ledger(ledger::Event),
    /// Stop gracefully: hand leadership over, make the state durable, then
    /// `Effect::Stopped`.
    Shutdown,
}
