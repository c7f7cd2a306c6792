//! Files of a log, and what is done with them.

use alloc::vec::Vec;

use bytes::Bytes;

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
