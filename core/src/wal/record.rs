//! Records, batches and damage, as the owner sees them.

use alloc::vec::Vec;

use bytes::Bytes;

/// The number of an appended batch, counted by the owner from 1 at each start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct WalSeq(pub u64);

/// What a record is to its owner. The log itself only needs to know which
/// records carry an index that can be pruned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordKind {
    /// A log entry; `index` is its position.
    Entry,
    /// What the owner must know beside its entries, one atomic record: the newest counts.
    State,
    /// The log is cut: entries from `index` on are void.
    Truncate,
    /// The log begins after `index`: position, chain and membership there.
    Base,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Record {
    /// What it is.
    pub kind: RecordKind,
    /// The log position that it speaks of, 0 where none.
    pub index: u64,
    /// Its content, at most [`WAL_RECORD_BYTES_MAX`](crate::limits::WAL_RECORD_BYTES_MAX) bytes.
    pub payload: Bytes,
}

/// Records that become durable together or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Batch {
    /// The owner's number: one more than that of the batch before.
    pub seq: WalSeq,
    /// The records, in order. Never empty.
    pub records: Vec<Record>,
}

/// A hole in the synced part of the log: the device returned something else than
/// what it had confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Damage {
    /// The index of the last readable `Entry` record before the hole, 0 if none.
    pub after_index: u64,
    /// The index of the first readable `Entry` record behind the hole, or `None`
    /// if the hole reaches the end.
    pub before_index: Option<u64>,
    /// Whether a record that is not an `Entry` may be lost in the hole and no
    /// `State` stands behind it, which would be younger.
    pub may_hide_state: bool,
    /// Where the hole begins: segment number and byte offset.
    pub segment: u64,
    /// See `segment`.
    pub offset: u64,
}
