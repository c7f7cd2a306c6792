//! What can happen to the log.

use alloc::vec::Vec;

use super::record::{Batch, Record};
use crate::io::{FileOpId, FileResult};

/// What can happen to the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The first event: recover what is on disk.
    Start,
    /// A file operation completed.
    File {
        /// The operation.
        id: FileOpId,
        result: FileResult,
    },
    /// The owner appends a batch: all its records survive a crash or none.
    Append(Batch),
    /// The owner sets the records that each new segment begins with, so that
    /// older segments can be dropped: its state and its log base.
    SetHead(Vec<Record>),
    /// The owner needs no `Entry` record with an index below `below`.
    Prune {
        /// The first index still needed.
        below: u64,
    },
    /// The shell's queue is drained: flush what has gathered.
    Wake,
}
