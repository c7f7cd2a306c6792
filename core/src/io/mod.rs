//! The words between a node and its shell about storage: all there are.
//!
//! A [`Volume`] is one log and one store, each an engine of its own: files of a
//! write-ahead log, and a key-value engine whose content can be rebuilt from that log
//! or from others. A machine asks by [`Io`], its shell answers by [`Done`]; neither
//! names the volume, because each machine has one. The node adds whose it is.
//!
//! # What the shell promises, for each volume
//! - File operations are carried out and completed in the order in which they were
//!   asked for.
//! - So are those of the store, and a read sees every batch that was given before it.
//! - Nothing is ordered between the log and the store, or between two volumes.
//! - Each operation is completed once, unless the process ends or the volume has failed.

mod file;

#[cfg(test)]
mod tests;

use bytes::Bytes;

use crate::codec::{Decode, Encode};
use crate::store::{Page, StoreBatch, StoreSeq};
pub use file::{FileError, FileName, FileOp, FileOpId, FileResult};

/// A log and a store. Which machine it belongs to is in its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Volume {
    /// Raft's log, and the replicated state of the cluster.
    Cluster,
    /// Votes and open blocks of the ledger, and its blocks and state.
    Ledger,
    /// What the toy has taken; it writes no log.
    #[cfg(feature = "toy")]
    Toy,
}

impl Volume {
    /// All of them, in the order in which a node starts them.
    pub const ALL: [Self; 2 + cfg!(feature = "toy") as usize] = [
        Self::Cluster,
        Self::Ledger,
        #[cfg(feature = "toy")]
        Self::Toy,
    ];

    /// What people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Ledger => "ledger",
            #[cfg(feature = "toy")]
            Self::Toy => "toy",
        }
    }
}

/// Names a read of a store; chosen by the machine that reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct ReadId(pub u64);

/// What a machine wants done with its volume.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Io {
    /// Carry out a file operation of the log.
    File {
        /// Echoed in the answer.
        id: FileOpId,
        /// The operation.
        op: FileOp,
    },
    /// Commit a batch to the store.
    Commit(StoreBatch),
    /// Read pairs of the store.
    Read(Read),
}

/// Read pairs with `from <= key`, and `key < to` if `to` is given, until about
/// `bytes_max` bytes are collected: at least one pair, if there is any.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Read {
    /// Echoed in the answer.
    pub id: ReadId,
    /// The first key.
    pub from: Bytes,
    /// The first key not wanted.
    pub to: Option<Bytes>,
    /// About how many bytes of keys and values, at most
    /// [`STORE_READ_BYTES_MAX`](crate::limits::STORE_READ_BYTES_MAX).
    pub bytes_max: usize,
}

/// What became of an [`Io`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub enum Done {
    /// A file operation completed.
    #[codec(tag = 0)]
    File {
        /// The operation.
        id: FileOpId,
        result: FileResult,
    },
    /// A batch is in the store, and durable if it asked for that.
    #[codec(tag = 1)]
    Committed {
        /// The batch.
        seq: StoreSeq,
    },
    /// A read found this.
    #[codec(tag = 2)]
    Read {
        /// The read.
        id: ReadId,
        /// The pairs, and whether they reach the end of what was asked for.
        page: Page,
    },
    /// The store failed. It answers nothing more: the machine halts.
    #[codec(tag = 3)]
    Failed,
}
