//! What can happen to the log.

use alloc::vec::Vec;

use bytes::Bytes;

use super::effect::FileName;
use super::record::{Batch, Record};

/// Matches a completion to its operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FileOpId(pub u64);

/// Why a file operation failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileError {
    /// The device reported an error.
    Io,
    /// No space is left.
    Full,
    /// The file does not exist.
    Missing,
    /// The file exists already.
    Exists,
}

/// How a file operation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileResult {
    /// `Create`, `Write`, `Sync` or `Remove` succeeded.
    Done,
    /// The answer to `List`.
    Listed(Vec<(FileName, u64)>),
    /// The answer to `Read`.
    Data(Bytes),
    /// The operation failed. After a failed `Write` or `Sync` the content of
    /// the file is unknown.
    Failed(FileError),
}

/// What can happen to the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The first event: recover what is on disk.
    Start,
    /// A file operation completed.
    File {
        /// The operation.
        id: FileOpId,
        /// Its result.
        result: FileResult,
    },
    /// The owner appends a batch: all its records survive a crash or none.
    Append(Batch),
    /// The owner sets the records that each new segment begins with, so that
    /// older segments can be dropped: its hard state and its log base.
    SetHead(Vec<Record>),
    /// The owner needs no `Entry` record with an index below `below`.
    Prune {
        /// The first index still needed.
        below: u64,
    },
    /// The shell's queue is drained: flush what has gathered.
    Wake,
}
