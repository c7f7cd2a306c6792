//! Files of a log, and what is done with them.

use alloc::vec::Vec;

use crate::codec::{Decode, Encode};
use crate::limits::{MESSAGE_BYTES_MAX, RECORDED_LIST_MAX, WAL_READ_BYTES};
use bytes::Bytes;

/// The most that one read finds.
const READ_BYTES_MAX: usize = {
    assert!(WAL_READ_BYTES <= MESSAGE_BYTES_MAX as u64);
    MESSAGE_BYTES_MAX
};

/// A file of the log. Shells map it to a name inside the node's data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum FileName {
    /// One of the two alternating superblocks, 0 or 1.
    #[codec(tag = 0)]
    Superblock(#[codec(with = wide)] u8),
    /// A segment, numbered from 1 upwards and never reused.
    #[codec(tag = 1)]
    Segment(u64),
}

/// A number of one byte that is written as those of segments are.
mod wide {
    use crate::codec::{DecodeError, Reader, Writer};

    pub(super) fn encode(number: &u8, writer: &mut Writer) {
        writer.u64(u64::from(*number));
    }

    pub(super) const fn size_hint(_: &u8) -> usize {
        size_of::<u64>()
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<u8, DecodeError> {
        let what = "superblock number";
        u8::try_from(reader.u64()?).map_err(|_| DecodeError::Invalid { what })
    }
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
        file: FileName,
        /// Its length in bytes.
        len: u64,
    },
    /// Writes bytes inside the file's length. Not durable until a `Sync`.
    Write {
        file: FileName,
        /// Where, in bytes.
        offset: u64,
        /// What.
        data: Bytes,
    },
    /// Makes all earlier writes to the file durable.
    Sync { file: FileName },
    /// Reads `len` bytes; fewer at the end of the file.
    Read {
        file: FileName,
        /// Where, in bytes.
        offset: u64,
        /// How many bytes.
        len: u64,
    },
    /// Removes a file. Removing an absent file is no error.
    Remove { file: FileName },
}

impl FileOp {
    /// Whether it changes what is on the disk.
    pub const fn is_change(&self) -> bool {
        !matches!(self, Self::List | Self::Read { .. })
    }

    /// Whether records are durable once it is done, if no change before it failed: a log
    /// that has heard of a failure takes nothing for durable any more, whatever is synced
    /// behind it. Who marks a volume as used does so then and not before: superblocks are
    /// durable earlier, and a node that dies between, or whose first record could not be
    /// written, has lost nothing.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct FileOpId(pub u64);

/// Why a file operation failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
pub enum FileError {
    /// The device reported an error.
    #[codec(tag = 0)]
    Io,
    /// No space is left.
    #[codec(tag = 1)]
    Full,
    /// The file does not exist.
    #[codec(tag = 2)]
    Missing,
    /// The file exists already.
    #[codec(tag = 3)]
    Exists,
}

/// How a file operation ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub enum FileResult {
    /// `Create`, `Write`, `Sync` or `Remove` succeeded.
    #[codec(tag = 0)]
    Done,
    /// The answer to `List`.
    #[codec(tag = 1)]
    Listed(#[codec(max = RECORDED_LIST_MAX)] Vec<(FileName, u64)>),
    /// The answer to `Read`.
    #[codec(tag = 2)]
    Data(#[codec(max = READ_BYTES_MAX)] Bytes),
    /// The operation failed. After a failed `Write` or `Sync` the content of
    /// the file is unknown.
    #[codec(tag = 3)]
    Failed(FileError),
}
