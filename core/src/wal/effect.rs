//! What the log asks of its shell and tells its owner.

use alloc::vec::Vec;

use bytes::Bytes;

use super::event::FileOpId;
use super::record::{Damage, Record, WalSeq};

/// A file of the log. Shells map it to a name inside the node's data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileName {
    /// One of the two alternating superblocks, 0 or 1.
    Superblock(u8),
    /// A segment, numbered from 1 upwards and never reused.
    Segment(u64),
}

/// One operation on files. The shell carries operations out strictly in the
/// order they were asked for and completes them in that order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FileOp {
    /// Names and lengths of all files of the log.
    List,
    /// Creates a file of `len` zero bytes. On completion the file, its length
    /// and its directory entry are durable. An existing file is an error.
    Create {
        /// The file.
        file: FileName,
        /// Its length in bytes.
        len: u64,
    },
    /// Writes bytes inside the file's length. Not durable until a `Sync`.
    Write {
        /// The file.
        file: FileName,
        /// Where, in bytes.
        offset: u64,
        /// What.
        data: Bytes,
    },
    /// Makes all earlier writes to the file durable.
    Sync {
        /// The file.
        file: FileName,
    },
    /// Reads `len` bytes; fewer at the end of the file.
    Read {
        /// The file.
        file: FileName,
        /// Where, in bytes.
        offset: u64,
        /// How many bytes.
        len: u64,
    },
    /// Removes a file. Removing an absent file is no error.
    Remove {
        /// The file.
        file: FileName,
    },
}

impl FileOp {
    /// Whether records are durable once it is done. Who marks a volume as used does so
    /// then and not before: superblocks are durable earlier, and a node that dies between
    /// has lost nothing.
    pub const fn makes_records_durable(&self) -> bool {
        matches!(
            self,
            Self::Sync {
                file: FileName::Segment(_)
            }
        )
    }
}

/// What recovery found: the content of the log, oldest record first.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Recovered {
    /// All readable records in log order.
    pub records: Vec<Record>,
    /// Damage inside the synced part. Empty after every crash that only lost or
    /// tore writes that were never reported durable.
    pub damage: Vec<Damage>,
    /// Bytes of torn tail that were dropped.
    pub torn_bytes: u64,
}

/// What the log wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// For the shell: carry this out and answer with the same id.
    File {
        /// Echoed in the answer.
        id: FileOpId,
        /// The operation.
        op: FileOp,
    },
    /// For the owner: recovery is complete and appends are now accepted.
    Recovered(Recovered),
    /// For the owner: every batch up to and including `seq` is durable.
    Durable {
        /// The last durable batch.
        seq: WalSeq,
    },
    /// For the owner: the disk failed. What was not reported durable may or may
    /// not be there; the log takes nothing more and the node must halt.
    Failed {
        /// What happened, for people.
        reason: &'static str,
    },
}
