//! What the log asks of its shell and tells its owner.

use alloc::vec::Vec;

use super::record::{Damage, Record, WalSeq};
use crate::io::{FileOp, FileOpId};

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
